import { type Clock, later } from "../domain/clock.ts";

/** Between two attempts of a failing start: each costs a call of Cloud KMS and an alert. */
const REST_MS = 10_000;

/**
 * Returns a function that starts on first use, and only once. After a failure, every call within
 * {@link REST_MS} rejects with the same error, and the next one starts again.
 */
export function startOnce<T>(start: () => Promise<T>, clock: Clock): () => Promise<T> {
  let started: Promise<T> | undefined;
  let failedAt: Date | undefined;
  return () => {
    if (failedAt !== undefined && clock.now() >= later(failedAt, REST_MS)) started = undefined;
    if (started === undefined) {
      failedAt = undefined;
      started = start();
      started.catch(() => {
        failedAt = clock.now();
      });
    }
    return started;
  };
}
