import type { User } from "../../functions/src/domain/user.ts";
import type { End, Fleet } from "./fleet.ts";
import type { World } from "./world.ts";

const MINUTE = 60_000;
const RENEWAL_EVERY_MS = 10 * MINUTE;
const RECONCILIATION_EVERY_MS = MINUTE;

/** What the receiver promises. */
const DELAYED_AFTER_MS = 30 * MINUTE;

/** No date that is written is so far ahead, so it may count as due. */
const ABSURD_MS = 30 * 24 * 60 * MINUTE;

type Name = "watchRenewal" | "mailboxReconciliation";

/** Which calls are made; `simulate` changes it as the run goes on. */
export interface Calls {
  /** No call begins after this time. */
  overAt: number;
  /** Whether a look at a quiet mailbox would find nothing, so that it is no reason for a call. */
  isAtRest(user: User): boolean;
}

/**
 * Cloud Scheduler: calls at their times, sometimes twice, sometimes not at all, whether or not the
 * one before has ended. A call at which nothing is due would do nothing, so it is not made; nor is
 * one that is due only for mailboxes at rest.
 */
export function startSchedules(
  world: World,
  fleet: Fleet,
  stored: () => readonly User[],
  calls: Calls,
): void {
  const random = world.random("schedules");
  const { scheduler, count, parameters } = world;
  const underWay: Record<Name, number> = { watchRenewal: 0, mailboxReconciliation: 0 };

  function every(ms: number, name: Name, dueOf: (user: User) => (Date | undefined)[]): void {
    const tick = () => {
      if (scheduler.now() >= calls.overAt) return;
      scheduler.quietly(scheduler.now() + ms, tick);
      const horizon = scheduler.now() + parameters.skewMsMax;
      const isDue = stored().some((user) =>
        dueOf(user).some((at) => {
          if (at === undefined) return false;
          return at.getTime() <= horizon || at.getTime() > scheduler.now() + ABSURD_MS;
        }),
      );
      if (!isDue) return;
      if (random.chance(world.rates.scheduleSkipped)) {
        count("schedule skipped");
        return;
      }
      const isDoubled = random.chance(world.rates.scheduleDoubled);
      if (isDoubled) count("schedule doubled");
      for (let left = isDoubled ? 2 : 1; left > 0; left--) {
        scheduler.at(scheduler.now() + random.between(0, 3_000), () => call(name));
      }
    };
    scheduler.quietly(scheduler.now() + random.between(0, ms), tick);
  }

  function call(name: Name): void {
    if (underWay[name] > 0) count("schedules overlapped");
    underWay[name] += 1;
    const ended = (_: End<void>) => {
      underWay[name] -= 1;
    };
    fleet.invoke(name, name, (receiver) => receiver[name](), ended);
  }

  every(RENEWAL_EVERY_MS, "watchRenewal", ({ watch }) => [watch.renewAt]);
  if (parameters.family === "notified") return;
  every(RECONCILIATION_EVERY_MS, "mailboxReconciliation", (user) => [
    calls.isAtRest(user) ? undefined : user.sync.dueAt,
    user.followUp.dueAt,
    delayDueAt(user.sync),
  ]);
}

/** When it has to be told that the mailbox is late, whatever it waits for. */
function delayDueAt({ behindSince, delayedAt }: User["sync"]): Date | undefined {
  if (behindSince === undefined || delayedAt !== undefined) return undefined;
  return new Date(behindSince.getTime() + DELAYED_AFTER_MS);
}
