import { isWatching } from "../domain/schedule.ts";
import { jittered, later } from "../domain/clock.ts";
import { type User, notificationAddress, storeNow } from "../domain/user.ts";
import { type BehindServices, watchBehind } from "../mailbox/behind.ts";
import { type Budget, eachDue } from "../mailbox/each-due.ts";
import type { InTurn } from "../mailbox/in-turn.ts";
import { sync } from "../mailbox/sync.ts";
import type { SyncOutcome, SyncServices } from "../mailbox/sync-run.ts";

export interface ReconciliationServices extends SyncServices, BehindServices {
  mailboxes: InTurn<SyncOutcome>;
  reconciliation: Budget;
  /** Does what a user is owed outside the stream. */
  followUp(user: User): Promise<void>;
  /** Told of each mailbox's outcome. */
  report(user: User, outcome: SyncOutcome): void;
}

/** By which part of a run's time each step stops, so that none takes the time of those after it. */
const TELL_UNTIL = 0.2;
const SYNC_UNTIL = 0.8;

export interface ReconciliationRun {
  synced: number;
  postponed: number;
  followedUp: number;
  /** The run stopped before the lists were empty; the rest stays due. */
  isCutShort: boolean;
}

/**
 * Does what is due: mailboxes that have been quiet for long, whose history was not readable yet,
 * that were throttled or left unfinished; then what is owed outside the stream. The longest overdue
 * first, until the time is up. Losing every notification delays changes no longer than this.
 */
export async function reconcile(services: ReconciliationServices): Promise<ReconciliationRun> {
  const { reconciliation, clock } = services;
  const { concurrency, timeMsMax } = reconciliation;
  const startedAt = clock.now();
  const until = (part: number): Budget => ({
    concurrency,
    timeMsMax: startedAt.getTime() + timeMsMax * part - clock.now().getTime(),
  });
  const run: ReconciliationRun = { synced: 0, postponed: 0, followedUp: 0, isCutShort: false };

  await watchBehind(until(TELL_UNTIL), services);
  const isSyncCut = await eachDue("sync.dueAt", until(SYNC_UNTIL), services, async (user) => {
    run[await syncDue(user, services)] += 1;
    return "done";
  });
  const isFollowUpCut = await eachDue("followUp.dueAt", until(1), services, async (user) => {
    await services.followUp(user);
    run.followedUp += 1;
    return "done";
  });
  run.isCutShort = isSyncCut || isFollowUpCut;
  return run;
}

async function syncDue(
  user: User,
  services: ReconciliationServices,
): Promise<"synced" | "postponed"> {
  const { clock, random, limits, users } = services;
  const { dueReason, syncedAt } = user.sync;
  const now = storeNow(user, clock);
  // A sync in the future was noted by a wrong clock, and says nothing.
  const isKnown = syncedAt !== undefined && syncedAt <= now;
  if (dueReason === "quiet" && isWatching(user.watch, now) && isKnown) {
    const dueAt = later(syncedAt, jittered(limits.quietMs, random));
    if (dueAt > now) {
      // Refused: somebody else is at work on it. The next run finds what they left.
      await users.update(user, { sync: { ...user.sync, dueAt } });
      return "postponed";
    }
  }
  const outcome = await services.mailboxes.run(notificationAddress(user), async (hasWaited) => {
    const current = hasWaited ? await users.find(user.id) : user;
    return sync(current ?? user, { kind: "due" }, services);
  });
  services.report(user, outcome);
  return "synced";
}
