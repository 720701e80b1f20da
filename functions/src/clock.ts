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

/** A delay spread over [ms / 2, ms), so that what failed together does not come back together. */
export function jittered(ms: number, random: Random): number {
  return ms / 2 + (ms / 2) * random();
}
