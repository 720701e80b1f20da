/**
 * A position in Gmail's history: a uint64 in decimal, without leading zeros. A string, because
 * real ids may exceed what a JavaScript number holds exactly.
 */
export type HistoryId = string & { readonly __brand: "HistoryId" };

/** 2^64 - 1. */
const HISTORY_ID_MAX = "18446744073709551615" as HistoryId;
const DIGITS = /^[1-9][0-9]{0,19}$/;

/**
 * Parses a history id of Gmail's responses, stored documents and notifications: a decimal string,
 * or a number that JavaScript represents exactly. Returns `undefined` for everything else. A larger
 * number has already lost its last digits, so JSON parsers have to keep such ids as text.
 */
export function parseHistoryId(value: unknown): HistoryId | undefined {
  const digits = Number.isSafeInteger(value) ? String(value) : value;
  if (typeof digits !== "string" || !DIGITS.test(digits)) return undefined;
  const id = digits as HistoryId;
  return isAfter(id, HISTORY_ID_MAX) ? undefined : id;
}

/**
 * Returns a negative number when `a` comes before `b`, a positive one when it comes after, 0 when
 * they are equal.
 */
export function compareHistoryIds(a: HistoryId, b: HistoryId): number {
  // Of decimals without leading zeros, the longer one is larger.
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Returns whether `a` is strictly later in the history than `b`. */
export function isAfter(a: HistoryId, b: HistoryId): boolean {
  return compareHistoryIds(a, b) > 0;
}

/** Returns the later of two positions. */
export function maxHistoryId(a: HistoryId, b: HistoryId): HistoryId {
  return isAfter(b, a) ? b : a;
}

/** Returns the latest of any number of positions. */
export function latestOf(first: HistoryId, others: Iterable<HistoryId>): HistoryId {
  let latest = first;
  for (const id of others) latest = maxHistoryId(latest, id);
  return latest;
}
