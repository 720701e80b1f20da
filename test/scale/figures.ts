/** One line of the table: what was tried, what came out, and what bounds it. */
export interface Figure {
  what: string;
  figure: string;
  limit: string;
}

/**
 * Where the users are: in memory, with indexes; in the bench's stub of Firestore, or in an emulator at
 * a host, by Firestore's client.
 */
export type StoreKind = "memory" | "stub" | { firestoreHost: string };

export interface ScaleOptions {
  users: number;
  store: StoreKind;
  note?(line: string): void;
}

/** What the growth of the heap may not exceed; a store in memory grows with what is written. */
export const HEAP_LIMIT = "256 MB in all; the users count, too, where they are in memory";

const MINUTE_MS = 60_000;

/** Whole numbers with separators, small ones with two digits. */
export function number(value: number): string {
  return value >= 100
    ? Math.round(value).toLocaleString("en")
    : Number(value.toPrecision(2)).toString();
}

/** A duration as people say it. */
export function duration(ms: number): string {
  if (ms < MINUTE_MS) return `${number(ms / 1_000)} s`;
  const minutes = ms / MINUTE_MS;
  return minutes < 120 ? `${number(minutes)} min` : `${number(minutes / 60)} h`;
}

/** The highest number of all. */
export function highest(numbers: Iterable<number>): number {
  let max = 0;
  for (const each of numbers) max = Math.max(max, each);
  return max;
}
