import type { LocalStack } from "./stack.ts";

export type ScheduleName = Parameters<LocalStack["runSchedule"]>[0];

/** As deployed: see the two schedules in `infra`. */
const EVERY_MS: Readonly<Record<ScheduleName, number>> = {
  watchRenewal: 10 * 60_000,
  mailboxReconciliation: 60_000,
};

/** What Cloud Scheduler does: calls the scheduled functions over HTTP when their time comes. */
export interface Schedules {
  /** When each one runs next. */
  nextRuns(): Record<ScheduleName, string>;
  stop(): void;
}

export function startSchedules(run: (name: ScheduleName) => Promise<unknown>): Schedules {
  const names = Object.keys(EVERY_MS) as ScheduleName[];
  const next = new Map<ScheduleName, number>();
  const timers = names.map((name) => {
    next.set(name, Date.now() + EVERY_MS[name]);
    return setInterval(() => {
      next.set(name, Date.now() + EVERY_MS[name]);
      // A run that failed has said so in the log; the next one comes by itself.
      run(name).catch(() => {});
    }, EVERY_MS[name]);
  });
  const nextRun = (name: ScheduleName) => new Date(next.get(name) ?? 0).toISOString();
  return {
    nextRuns: () => ({
      watchRenewal: nextRun("watchRenewal"),
      mailboxReconciliation: nextRun("mailboxReconciliation"),
    }),
    stop: () => timers.forEach((timer) => clearInterval(timer)),
  };
}

export function parseScheduleName(text: string): ScheduleName | undefined {
  return Object.hasOwn(EVERY_MS, text) ? (text as ScheduleName) : undefined;
}
