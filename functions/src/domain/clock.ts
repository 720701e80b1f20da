/** Time, as the domain needs it. Injected, so that a test can own it. */
export interface Clock {
  now(): Date;
  sleep(ms: number): Promise<void>;
}

/** Runs something after `ms`, unless the function that it returns is called first. */
export type After = (ms: number, run: () => void) => () => void;

/** A number in [0, 1). */
export type Random = () => number;

/** The instant `ms` after `date`. */
export function later(date: Date, ms: number): Date {
  return new Date(date.getTime() + ms);
}

/** The wait after this many failures: doubles from the first to the maximum. In milliseconds. */
export function backoffMs(failures: number, firstMs: number, maxMs: number): number {
  return Math.min(firstMs * 2 ** Math.min(failures, DOUBLINGS_MAX), maxMs);
}

/** Far above every maximum, and far below what is no number any more. */
const DOUBLINGS_MAX = 16;

/** A delay spread over [ms / 2, ms), so that what failed together does not come back together. */
export function jittered(ms: number, random: Random): number {
  return ms / 2 + (ms / 2) * random();
}
