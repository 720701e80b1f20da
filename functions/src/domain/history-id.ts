/**
 * A position in Gmail's history: a uint64 in decimal, without leading zeros. A string, because
 * real ids may exceed what a JavaScript number holds exactly.
 */
export type HistoryId = string & { readonly __brand: "HistoryId" };

const HISTORY_ID_MAX = 2n ** 64n - 1n;
/** 2^64 - 1 has 20 digits; checked before `BigInt`, whose cost grows with the length. */
const DIGITS = /^[1-9][0-9]{0,19}$/;

/**
 * A history id as Gmail's answers, our own documents and notifications carry it: a decimal string,
 * or a number that JavaScript holds exactly. `undefined` for everything else. A larger number has
 * lost its last digits by the time it is a number, so whoever parses JSON must keep them as text.
 */
export function parseHistoryId(value: unknown): HistoryId | undefined {
  const digits = Number.isSafeInteger(value) ? String(value) : value;
  if (typeof digits !== "string" || !DIGITS.test(digits)) return undefined;
  return BigInt(digits) <= HISTORY_ID_MAX ? (digits as HistoryId) : undefined;
}

/** Negative when `a` comes before `b`, positive when it comes after, 0 when they are the same. */
export function compareHistoryIds(a: HistoryId, b: HistoryId): number {
  // Decimals without leading zeros: the longer one is the larger one.
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** True when `a` is strictly later in the history than `b`. */
export function isAfter(a: HistoryId, b: HistoryId): boolean {
  return compareHistoryIds(a, b) > 0;
}

/** The later of two positions. */
export function maxHistoryId(a: HistoryId, b: HistoryId): HistoryId {
  return isAfter(b, a) ? b : a;
}

/** The latest of any number of positions. */
export function latestOf(first: HistoryId, others: Iterable<HistoryId>): HistoryId {
  let latest = first;
  for (const id of others) latest = maxHistoryId(latest, id);
  return latest;
}
