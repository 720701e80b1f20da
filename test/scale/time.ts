import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../../functions/src/domain/clock.ts";
import { randomStreams } from "../simulation/random.ts";
import { createScheduler } from "../simulation/scheduler.ts";

/** Time that passes only by waiting: a day of a fleet takes minutes. */
export interface SimulatedTime extends Clock {
  /** Resolves or rejects with the work after that time, but not before the work has ended. */
  lasting<T>(ms: number, work: Promise<T>): Promise<T>;
  /** Starts `run` at each multiple of `everyMs` from now on, as long as `goesOn` says so. */
  each(everyMs: number, run: () => Promise<unknown>, goesOn: () => boolean): void;
  /** Lets time pass until it holds, which is looked at once a second; at most so long. */
  passUntil(isOver: () => boolean, msMax: number): Promise<void>;
}

const STEP_MS = 1_000;

/** `start` is ahead of the real time, so that no date of the store's own is ahead of this one. */
export function simulateTime(start: number): SimulatedTime {
  const scheduler = createScheduler(start, randomStreams(1)("ties"), Infinity);
  let failure: { error: unknown } | undefined;

  const time: SimulatedTime = {
    now: () => new Date(scheduler.now()),
    sleep: (ms) => new Promise((resolve) => scheduler.at(scheduler.now() + ms, resolve)),
    lasting(ms, work) {
      const settled = Promise.allSettled([work]);
      return new Promise((resolve, reject) => {
        scheduler.at(scheduler.now() + ms, () => {
          scheduler.hold(settled.then(() => work.then(resolve, reject)));
        });
      });
    },
    each(everyMs, run, goesOn) {
      const next = () => {
        if (!goesOn()) return;
        run().catch((error: unknown) => {
          failure ??= { error };
        });
        scheduler.at(scheduler.now() + everyMs, next);
      };
      scheduler.at(scheduler.now() + everyMs, next);
    },
    async passUntil(isOver, msMax) {
      const end = scheduler.now() + msMax;
      await turn();
      while (!isOver() && scheduler.now() < end) {
        await scheduler.runUntil(Math.min(end, scheduler.now() + STEP_MS));
        if (failure !== undefined) throw failure.error;
      }
    },
  };
  return time;
}
