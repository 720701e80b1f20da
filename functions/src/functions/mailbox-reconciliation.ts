import { type FollowUpContext, followUp } from "./follow-up.ts";
import { reportSync } from "../mailbox/report.ts";
import { isWatching } from "../domain/schedule.ts";
import { jittered, later } from "../domain/clock.ts";
import { type User, notificationAddress, storeNow } from "../domain/user.ts";
import type { Log } from "../platform/log.ts";
import { watchBehind } from "../mailbox/behind.ts";
import { type Budget, eachDue } from "../mailbox/each-due.ts";
import { snapshotBudget } from "../mailbox/snapshot.ts";
import { sync } from "../mailbox/sync.ts";

/** The share of a run's time by which it publishes no more delays; then it reads mailboxes. */
const TELL_UNTIL = 0.2;
/** The share of a run's time by which it starts to read no more mailboxes; the rest is follow-ups'. */
export const SYNC_UNTIL = 0.8;

/** How a reconciliation run ended. */
interface ReconciliationRun {
  synced: number;
  postponed: number;
  followedUp: number;
  /** The run stopped before the lists were empty; the rest stays due. */
  isCutShort: boolean;
}

/** Runs on schedule: does what is due. Unfinished work stays due. */
export async function mailboxReconciliation(log: Log, context: FollowUpContext): Promise<void> {
  const run = await reconcile(context);
  const isIdle = run.synced + run.postponed + run.followedUp === 0;
  const write = isIdle ? log.debug : log.info;
  write("mailboxes_reconciled", "synced the mailboxes that were due", { ...run });
}

/**
 * Does what is due: mailboxes that were quiet for long, whose history was not readable yet, that
 * were throttled or left unfinished; then the work outside the stream. The longest overdue first,
 * until the time is up. Without any notification, changes are delayed no longer than this.
 */
async function reconcile(context: FollowUpContext): Promise<ReconciliationRun> {
  const { config, clock } = context;
  const { concurrency, timeMsMax } = config.reconciliation;
  const startedAt = clock.now();
  // What an earlier step has started may last longer than its time: no step loses its own to that.
  const between = (from: number, to: number): Budget => ({
    concurrency,
    timeMsMax: Math.max(
      startedAt.getTime() + timeMsMax * to - clock.now().getTime(),
      timeMsMax * (to - from),
    ),
  });
  const run: ReconciliationRun = { synced: 0, postponed: 0, followedUp: 0, isCutShort: false };

  const snapshots = snapshotBudget(context);
  await watchBehind(between(0, TELL_UNTIL), context);
  const isSyncCut = await eachDue(
    "sync.dueAt",
    between(TELL_UNTIL, SYNC_UNTIL),
    context,
    async (user) => {
      run[await syncDue(user, context)] += 1;
      return "done";
    },
  );
  const isFollowUpCut = await eachDue(
    "followUp.dueAt",
    between(SYNC_UNTIL, 1),
    context,
    async (user) => {
      await followUp(user, snapshots, context);
      run.followedUp += 1;
      return "done";
    },
  );
  run.isCutShort = isSyncCut || isFollowUpCut;
  return run;
}

async function syncDue(user: User, context: FollowUpContext): Promise<"synced" | "postponed"> {
  const { clock, random, config, users } = context;
  const { dueReason, syncedAt } = user.sync;
  const now = storeNow(user, clock);
  // A wrong clock recorded a sync in the future, which says nothing.
  const isKnown = syncedAt !== undefined && syncedAt <= now;
  if (dueReason === "quiet" && isWatching(user.watch, now) && isKnown) {
    const dueAt = later(syncedAt, jittered(config.sync.reconcileAfterMs, random));
    if (dueAt > now) {
      // Refused: another instance is working on it. The next run finds what is left.
      await users.update(user, { sync: { ...user.sync, dueAt } });
      return "postponed";
    }
  }
  const outcome = await context.mailboxes.run(notificationAddress(user), async (hasWaited) => {
    const current = hasWaited ? await users.find(user.id) : user;
    return sync(current ?? user, { kind: "due" }, context);
  });
  reportSync(context.log, outcome, { userId: user.id });
  return "synced";
}
