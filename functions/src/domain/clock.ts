/** The time. Passed in, so that a test can control it. */
export interface Clock {
  now(): Date;
  sleep(ms: number): Promise<void>;
}

/** Runs a function after `ms` milliseconds, unless the returned function is called first. */
export type After = (ms: number, run: () => void) => () => void;

/** Returns a number in [0, 1). */
export type Random = () => number;

/** Returns the time `ms` milliseconds after `date`. */
export function later(date: Date, ms: number): Date {
  return new Date(date.getTime() + ms);
}

/**
 * Returns the wait in milliseconds after this many failures: it doubles from the first to the
 * maximum.
 */
export function backoffMs(failures: number, firstMs: number, maxMs: number): number {
  return Math.min(firstMs * 2 ** Math.min(failures, DOUBLINGS_MAX), maxMs);
}

/** Far above every maximum, and far below an overflow. */
const DOUBLINGS_MAX = 16;

/** Returns a delay in [ms / 2, ms), so that what failed together is not retried together. */
export function jittered(ms: number, random: Random): number {
  return ms / 2 + (ms / 2) * random();
}
