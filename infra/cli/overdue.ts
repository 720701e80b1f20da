import { later } from "../../functions/src/domain/clock.ts";
import type { DueList, User } from "../../functions/src/domain/user.ts";

const MINUTE_MS = 60_000;

/**
 * Milliseconds after which due work is overdue: several runs of its schedule, which runs every
 * minute, for renewals every ten.
 */
export const OVERDUE_MS: Readonly<Record<DueList, number>> = {
  "sync.dueAt": 5 * MINUTE_MS,
  "watch.renewAt": 30 * MINUTE_MS,
  "followUp.dueAt": 5 * MINUTE_MS,
};

/** Returns the lists on which this user is overdue. */
export function overdue({ sync, watch, followUp }: User, now: Date): DueList[] {
  const due: [DueList, Date | undefined][] = [
    ["sync.dueAt", sync.dueAt],
    ["watch.renewAt", watch.renewAt],
    ["followUp.dueAt", followUp.dueAt],
  ];
  return due
    .filter(([list, at]) => at !== undefined && later(at, OVERDUE_MS[list]) < now)
    .map(([list]) => list);
}
