import { type Change, type Gap, PublishFailure } from "../domain/events.ts";
import { withDetails } from "./detail.ts";
import type { Failure } from "../domain/failure.ts";
import { isWaiting } from "../domain/failure-streak.ts";
import { type HistoryId, isAfter, maxHistoryId } from "../domain/history-id.ts";
import { later } from "../domain/clock.ts";
import { type Trigger, atOnce } from "../domain/schedule.ts";
import { type User, storeNow, storeNowAtLeast } from "../domain/user.ts";
import { findAddress } from "../grant/address.ts";
import { settleHolders } from "../grant/address-holders.ts";
import { describeUnknown } from "../platform/log.ts";
import { mayPass } from "../platform/store-error.ts";
import type { MailboxContext } from "./context.ts";
import {
  type Listed,
  type PagePlan,
  type PageState,
  changeFilterOf,
  isLagging,
  isStale,
  planEnd,
  planPage,
  planRead,
  unannounced,
  unknownTo,
  wasMissed,
} from "./cursor.ts";
import { isUntold, tellCaughtUp } from "./delay.ts";
import { endUnanswered, giveUp, holdNotified, unfinished } from "./ending.ts";
import { type ExpiredCursor, confirmExpiry, confirmRefusal, isOfCursor } from "./expiry.ts";
import { beginRecovery, recover } from "./recovery.ts";
import {
  type Run,
  highestHeadOf,
  isCurrent,
  isOver,
  reread,
  startRun,
  writeProgress,
} from "./run.ts";
import { type Read, covers, highestRead, progressOf } from "./settling.ts";
import type { SyncOutcome } from "./report.ts";

/*
 * The driver of a sync: it makes the calls and the writes that `cursor.ts` plans. Publish, then
 * advance: a crash between the two repeats changes under the same ids; the other order would lose
 * them.
 */

/**
 * Gmail can announce a change seconds before it can be read; after these waits a due time follows.
 */
const LAG_WAITS_MS = [1_000, 2_000, 4_000];
/** Events passed to the topic at once. */
const PUBLISHED_MAX = 1_000;
/** Listings that one run restarts because Gmail contradicts itself; then a due time follows. */
const RESTARTS_MAX = 3;

/**
 * Brings one mailbox from its cursor to the present. Each page is published, then the checkpoint is
 * written. `user` was just read from the store. Rejects only if the store does not answer.
 */
export function sync(user: User, trigger: Trigger, context: MailboxContext): Promise<SyncOutcome> {
  const { telemetry } = context;
  const attributes = { "user.id": user.id, "gmail_receiver.trigger": trigger.kind };
  return telemetry.span("sync", { attributes }, async (span) => {
    const outcome = await syncNow(user, trigger, context).catch((error: unknown) =>
      failedForGood(error, user, trigger, context),
    );
    span.set({
      "gmail_receiver.outcome": outcome.kind,
      "gmail_receiver.changes": "changes" in outcome ? outcome.changes : undefined,
    });
    telemetry.count("gmail_receiver.syncs", 1, { trigger: trigger.kind, outcome: outcome.kind });
    return outcome;
  });
}

/**
 * An error of our own code would occur again at once: it alerts an operator, and the mailbox is due
 * after growing pauses. Redelivered instead, the notification would cause endless retries.
 */
async function failedForGood(
  error: unknown,
  user: User,
  trigger: Trigger,
  context: MailboxContext,
): Promise<SyncOutcome> {
  if (mayPass(error)) throw error;
  context.log.alert(
    "sync_crashed",
    "a sync failed because of an error in our own code; retrying later",
    {
      userId: user.id,
      error: describeUnknown(error),
    },
  );
  const failure = { kind: "transient", reason: "internal_error" } as const;
  const run = startRun(user, trigger, context);
  try {
    const outcome: SyncOutcome = (await reread(run))
      ? await giveUp(run, failure, "sync")
      : { kind: "superseded", changes: run.changes };
    if (outcome.kind === "superseded") await holdAnew(run);
    return outcome;
  } catch (another) {
    if (mayPass(another)) throw another;
    // Not even a due time can be stored: the present one, and the next notification, remain.
    return { kind: "failed", failure, changes: run.changes };
  }
}

async function syncNow(
  user: User,
  trigger: Trigger,
  context: MailboxContext,
): Promise<SyncOutcome> {
  if (user.status !== "active") return { kind: "inactive", status: user.status };
  if (isStale(user, trigger, context.clock)) return { kind: "stale" };

  const { dueAt, dueReason, failure } = user.sync;
  const isAhead = dueAt !== undefined && dueAt > context.clock.now();
  if (isAhead && dueReason === "throttled") {
    await holdNotified(user, trigger, context);
    return { kind: "throttled", until: dueAt };
  }
  if (isAhead && isHint(trigger) && isWaiting(failure)) {
    await holdNotified(user, trigger, context);
    return { kind: "waiting", until: dueAt };
  }

  const run = startRun(user, trigger, context);
  const outcome = await catchUp(run);
  // The run that was ahead does not know these ids.
  if (outcome.kind === "superseded") await holdAnew(run);
  return outcome;
}

async function holdAnew({ user, trigger, context }: Run): Promise<void> {
  if (trigger.kind !== "notified") return;
  const stored = await context.users.find(user.id);
  if (stored !== undefined) await holdNotified(stored, trigger, context);
}

/** Returns whether a trigger only says that there may be something new. */
function isHint({ kind }: Trigger): boolean {
  return kind === "notified" || kind === "renewed";
}

/**
 * Lists until one listing is complete, and again after short waits if Gmail is known to lag. A
 * running recovery comes first: until it is complete, there is nothing to list from.
 */
async function catchUp(run: Run): Promise<SyncOutcome> {
  const { trigger, context } = run;
  const { settleMs } = context.config.sync;
  for (let restarts = 0, waits = 0; ;) {
    const { recovery } = run.user.sync;
    const unrecovered = recovery && (await recover(run, recovery));
    if (unrecovered !== undefined) return unrecovered;

    const knownBefore = highestRead(progressOf(run.user));
    const listed = await listOnce(run);
    if (listed.kind === "ended") return listed.outcome;
    if (listed.kind !== "listed") {
      restarts += 1;
      if (restarts > RESTARTS_MAX) {
        return giveUp(run, { kind: "transient", reason: "history_contradictory" }, "history.list");
      }
      const stopped = listed.kind === "restart" ? undefined : await lose(run, listed);
      if (stopped !== undefined) return stopped;
      continue;
    }
    const lags = isLagging(run.user, trigger, listed, knownBefore, settleMs);
    const waitMs = LAG_WAITS_MS[waits];
    if (!lags || waitMs === undefined) return finish(run, listed, lags);
    if (later(context.clock.now(), waitMs) >= run.deadline) return finish(run, listed, lags);
    waits += 1;
    await context.clock.sleep(waitMs);
  }
}

/**
 * Starts a recovery once the loss of the cursor is confirmed; returns an outcome if the run ends
 * with it.
 */
async function lose(run: Run, lost: Expired | Refused): Promise<SyncOutcome | undefined> {
  // Between two pages another run may have recovered it, or started to.
  const isPast = run.user.historyId !== lost.from || run.user.sync.recovery !== undefined;
  if (isPast) return undefined;
  const confirmation =
    lost.kind === "refused"
      ? await confirmRefusal(run, lost.failure)
      : await confirmExpiry(run, lost);
  if (confirmation.kind === "ended") return confirmation.outcome;
  if (confirmation.kind === "unconfirmed") return undefined;
  run.highestHead = undefined;
  return beginRecovery(run, confirmation);
}

type Expired = { kind: "expired" } & ExpiredCursor;
/** Gmail rejects the cursor itself as malformed, although Gmail issued it. */
interface Refused {
  kind: "refused";
  from: HistoryId;
  failure: Failure;
}

type Listing =
  | Listed
  | Expired
  | Refused
  /** A page token was rejected, which says nothing about the cursor: the first page decides. */
  | { kind: "restart" }
  | { kind: "ended"; outcome: SyncOutcome };

/**
 * Performs one listing: from the cursor to the last page, with the same start for all pages. Every
 * page is published, and checkpointed here, in parts if it is large, except the last part of the
 * last page.
 */
async function listOnce(run: Run): Promise<Listing> {
  const { context, access } = run;
  const changeFilter = changeFilterOf(context);
  const startedAt = storeNowAtLeast(run.user, context.clock);
  const start = run.user.historyId;
  let first: Read["head"];
  let freshCount = 0;
  let upTo = start;
  let pageToken: string | undefined;
  for (;;) {
    const answer = await access.call("history.list", (token) =>
      context.gmail.listHistory(token, start, pageToken),
    );
    if (!answer.ok) {
      const why = answer.error;
      if (why === "superseded") return ended(await endUnanswered(run, why));
      const { failure } = why;
      const isOfToken = failure.kind === "history_expired" || failure.kind === "bad_request";
      if (isOfToken && pageToken !== undefined) return { kind: "restart" };
      if (isOfCursor(failure)) return { kind: "refused", from: start, failure };
      if (failure.kind !== "history_expired") return ended(await endUnanswered(run, why));
      return { kind: "expired", from: start, reason: "history_expired" };
    }
    const readAt = storeNow(run.user, context.clock);
    const { records, nextPageToken, head } = answer.value;
    // The servers that answer later pages may be a moment behind.
    const highestHead =
      first === undefined ? maxHistoryId(start, highestHeadOf(run) ?? start) : start;
    if (isAfter(highestHead, head)) {
      return { kind: "expired", from: start, reason: "history_rewound", highestHead };
    }
    first ??= { historyId: head, at: readAt };
    run.highestHead = maxHistoryId(run.highestHead ?? head, head);

    // A page without a new record does not count, or runs of few pages would never come past the
    // unsettled records.
    const isPassedOver = unknownTo(run.user, records).size === 0;
    if (!isPassedOver) {
      // A run that resumed long after its time has nothing of its own to save: the next one
      // continues.
      const isTooLate = run.pages > 0 && context.clock.now() >= run.deadline;
      if (isTooLate) return ended(await unfinished(run));
      run.pages += 1;
    }
    if (!(await isCurrent(run))) return ended({ kind: "superseded", changes: run.changes });
    if (isAfter(start, run.user.historyId)) {
      return ended({ kind: "superseded", changes: run.changes });
    }
    let page: PageState = { records, index: 0, upTo };
    for (let isLast = false; !isLast;) {
      const part = planPage(run.user, page, changeFilter);
      const failed = await publishPage(run, part);
      if (failed !== undefined) return ended(failed);
      freshCount += part.records.length;
      ({ isLast, rest: page } = part);
      upTo = page.upTo;
      const read = { startedAt, readAt, records: part.records, head: first };
      if (isLast && nextPageToken === undefined) {
        const newest = maxHistoryId(upTo, highestRead(progressOf(run.user)));
        return { kind: "listed", last: read, freshCount, newest, head };
      }
      const outcome = await checkpointPage(run, { ...read, upTo });
      if (outcome !== undefined) return ended(outcome);
    }
    pageToken = nextPageToken;
  }
}

function ended(outcome: SyncOutcome): Listing {
  return { kind: "ended", outcome };
}

/** Publishes a part of a page; returns an outcome if the run ends with it. */
async function publishPage(run: Run, { publish, unreadable, watchedChanges }: PagePlan) {
  const { context, user } = run;
  run.watchedChanges += watchedChanges;
  for (const historyId of unreadable) {
    context.log.error(
      "history_record_unreadable",
      "could not read a history record; published it as a gap",
      { userId: user.id, historyId },
    );
  }
  return publishEvents(run, publish);
}

async function publishEvents(
  run: Run,
  events: readonly (Change | Gap)[],
): Promise<SyncOutcome | undefined> {
  const { context, user } = run;
  for (let first = 0; first < events.length; first += PUBLISHED_MAX) {
    const batch = await withDetails(run, events.slice(first, first + PUBLISHED_MAX));
    try {
      await context.publish(user, batch);
    } catch (error) {
      if (!(error instanceof PublishFailure)) throw error;
      return giveUp(run, { kind: error.kind, reason: error.reason }, "publish");
    }
    run.changes += batch.length;
    for (const event of batch) run.unkept.push(event);
  }
  if (events.length > 0) recordDelay(run);
  return undefined;
}

/** Publishes a gap for notified ids that never appeared, before the cursor passes them. */
async function publishGap(run: Run, gap: Gap | undefined): Promise<SyncOutcome | undefined> {
  if (gap === undefined) return undefined;
  const { fromHistoryId, toHistoryId, reason } = gap;
  run.context.log.error(
    "history_gap",
    "Gmail announced a change and never listed it; published a gap",
    { userId: run.user.id, fromHistoryId, toHistoryId, reason },
  );
  return publishEvents(run, [gap]);
}

/** A due run has no notification with a known time: `gmail_receiver.syncs` counts what it finds. */
function recordDelay({ trigger, context }: Run): void {
  if (trigger.kind !== "notified" || trigger.publishedAt === undefined) return;
  const delayMs = context.clock.now().getTime() - trigger.publishedAt.getTime();
  // Pub/Sub's clock may be ahead of this instance's.
  context.telemetry.record("gmail_receiver.delay", Math.max(0, delayMs) / 1_000);
}

/**
 * Writes the checkpoint of a page, or of a part, that others follow; returns an outcome if the run
 * ends with it.
 */
async function checkpointPage(
  run: Run,
  page: Read & { upTo: HistoryId },
): Promise<SyncOutcome | undefined> {
  const { context, changes } = run;
  const { config, clock } = context;
  const { gap, progressFrom } = planRead(run.user, page, run.trigger, config.sync.settleMs);
  const failed = await publishGap(run, gap);
  if (failed !== undefined) return failed;
  const progress = progressFrom(run.user);
  // More than is remembered: later pages would be published again and again before this settles.
  const isFull = !covers(progress, page.records);
  const isLast = isFull || isOver(run);
  // Nothing on this page is new, and nothing has settled: the stored checkpoint is current.
  const isMoved = progress.historyId !== run.user.historyId || gap !== undefined;
  if (!isLast && !isMoved && page.records.length === 0) return undefined;
  const written = await writeProgress(run, page.records, (user) => {
    if (!isLast) return { ...progressFrom(user), sync: {} };
    const stopped = { ...atOnce(clock), ...unannounced(run, page.startedAt) };
    return { ...progressFrom(user), sync: stopped, isThrough: true };
  });
  if (written === "superseded") return { kind: "superseded", changes };
  // The other writer may have stopped there, or have been this run itself: the next pages are still
  // due.
  if (written === "covered") return isLast ? unfinished(run) : undefined;
  return isLast ? { kind: "unfinished", changes } : undefined;
}

/** Ends the last listing: its checkpoint, and when to read again. */
async function finish(run: Run, listed: Listed, lags: boolean): Promise<SyncOutcome> {
  const { context } = run;
  const read = planRead(run.user, listed.last, run.trigger, context.config.sync.settleMs);
  const failed = await publishGap(run, read.gap);
  if (failed !== undefined) return failed;
  const { due, sync: served, isWorthWriting } = planEnd(run, listed, read, lags);
  const caughtUp = await tellCaughtUp(run, due ?? run.user.sync);
  if (caughtUp.kind === "failed") return giveUp(run, caughtUp.failure, "publish");
  if (isWorthWriting || run.access.obtained() !== undefined) {
    const isMissed = wasMissed(run, listed.freshCount, changeFilterOf(context));
    // The notifications may name an address that no user has.
    const found = isMissed ? await findAddress(run.user, run.access, context) : undefined;
    const isSilent = isMissed && found === undefined;
    if (isSilent) logSilent(run);
    const isRenewed = isSilent || found?.isUntold === true;
    const written = await writeProgress(run, listed.last.records, (user) => ({
      ...read.progressFrom(user),
      sync: served,
      // The next listing ends a delay that another run has published in the meantime.
      ...(isUntold(user, caughtUp, context) && { sync: { ...served, ...atOnce(context.clock) } }),
      isThrough: true,
      ...(isRenewed && { watch: { ...user.watch, renewAt: context.clock.now() } }),
      ...found?.patchOf(user),
    }));
    if (written !== "written") return { kind: "superseded", changes: run.changes };
    if (found !== undefined) await settleHolders(found.named, run.user.id, context);
  }
  return { kind: due?.dueReason === "lag" ? "lagging" : "caught_up", changes: run.changes };
}

/**
 * A poll found changes that no notification announced, so the watch may be dead: renew it. If the
 * notification was only on its way, the extra renewal is harmless.
 */
function logSilent({ user, context }: Run): void {
  context.log.error(
    "push_missed",
    "a mailbox changed and no notification arrived; renewing its watch",
    {
      userId: user.id,
    },
  );
}
