import pLimit from "p-limit";
import { type Clock, later } from "../clock.ts";
import { type Log, describeUnknown } from "../log.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { DueList, User, UserStore } from "../user.ts";

/** How much of a due list one run may take on. */
export interface Budget {
  concurrency: number;
  timeMsMax: number;
}

interface DueServices {
  users: UserStore;
  clock: Clock;
  log: Log;
  telemetry: Telemetry;
}

/** Users read at a time: what a run holds in memory does not grow with the fleet. */
const BATCH = 100;

/**
 * Acts on each user whose date in the list has come, the longest overdue first, until the list is
 * empty, the time is up, or `act` says `stop`. A user whose turn fails stops nobody else, and is
 * left for the next run. Resolves to true when some were left.
 */
export async function eachDue(
  list: DueList,
  budget: Budget,
  { users, clock, log, telemetry }: DueServices,
  act: (user: User) => Promise<"done" | "stop">,
): Promise<boolean> {
  const deadline = later(clock.now(), budget.timeMsMax);
  const limit = pLimit(budget.concurrency);
  let previous = new Set<string>();
  let found = 0;
  let isStopped = false;

  async function take(user: User): Promise<void> {
    isStopped ||= clock.now() >= deadline;
    if (isStopped) return;
    try {
      isStopped = (await act(user)) === "stop" || isStopped;
    } catch (error) {
      log.error("due_user_failed", "a due user was left for the next run", {
        userId: user.id,
        list,
        error: describeUnknown(error),
      });
    }
  }

  for (;;) {
    const due = await users.listDue(list, clock.now(), BATCH);
    // Whoever is still due although their turn has come would come again for ever.
    const fresh = due.filter(({ id }) => !previous.has(id));
    if (found === 0)
      telemetry.record("gmail_receiver.overdue", overdue(list, fresh[0], clock), { list });
    found += fresh.length;
    telemetry.record("gmail_receiver.due", found, { list });
    await Promise.all(fresh.map((user) => limit(() => take(user))));
    if (isStopped) return true;
    if (due.length < BATCH || fresh.length === 0) return false;
    previous = new Set(due.map(({ id }) => id));
  }
}

/** In seconds; the longest overdue comes first. */
function overdue(list: DueList, first: User | undefined, clock: Clock): number {
  const dueAt = first && dueAtOf(list, first);
  return dueAt === undefined ? 0 : (clock.now().getTime() - dueAt.getTime()) / 1_000;
}

function dueAtOf(list: DueList, { watch, sync, followUp }: User): Date | undefined {
  switch (list) {
    case "watch.renewAt":
      return watch.renewAt;
    case "sync.dueAt":
      return sync.dueAt;
    case "followUp.dueAt":
      return followUp.dueAt;
  }
}
