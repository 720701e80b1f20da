import { later } from "../../functions/src/clock.ts";
import type { DueList, User } from "../../functions/src/user.ts";

/** Schedules run every minute and every ten; work this long after its time has not been done. */
const OVERDUE_MS: Readonly<Record<DueList, number>> = {
  "sync.dueAt": 5 * 60_000,
  "watch.renewAt": 30 * 60_000,
  "followUp.dueAt": 5 * 60_000,
};

/** What should have been done for this user, and was not. */
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
