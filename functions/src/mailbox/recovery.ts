import { type Unanswered, hasFailed } from "../domain/access.ts";
import { withDetails } from "./detail.ts";
import { later } from "../domain/clock.ts";
import { completeSince, accounted } from "../domain/completeness.ts";
import { type Change, type Gap, PublishFailure } from "../domain/events.ts";
import type { HistoryMessage, MessageListing } from "../domain/history.ts";
import { type HistoryId, isAfter } from "../domain/history-id.ts";
import { type Result, err, ok } from "../domain/result.ts";
import {
  type Recovery,
  type UserPatch,
  patched,
  storeNow,
  storeNowAtLeast,
} from "../domain/user.ts";
import { storedChanges } from "../pubsub/cloud-event.ts";
import { dueBy, endUnanswered, giveUp, unfinished, waitUntil } from "./ending.ts";
import { type ExpiredCursor, confirmRewind } from "./expiry.ts";
import { DATED_ONE_BY_ONE_MAX, isOldPage, withoutOld } from "./message-ages.ts";
import { listPage, readNew, readPage, withoutDrafts } from "./message-pages.ts";
import {
  afterLastPage,
  afterLate,
  afterPublishedPage,
  afterRecovery,
  afterRefusal,
  afterRefusedToken,
  afterWalkedPage,
  connectionLimitOf,
  gapOf,
  indexOfTold,
  isMoved,
  isOfOneItem,
  isRefusedForGood,
  phaseOf,
  scanLimitOf,
  toChanges,
  walkedOver,
  withoutLabel,
} from "./recovery-plan.ts";
import { type Run, isCurrent, isOver, keptToken, reread } from "./run.ts";
import type { SyncOutcome } from "./report.ts";

/** An outcome if the run has to end; `undefined` if it continues. */
type Ended = SyncOutcome | undefined;

/** From one recovery to the next while Gmail lists no history in between; the last one repeats. */
const PAUSES_MS = [15 * 60_000, 3_600_000, 2 * 3_600_000, 6 * 3_600_000];

/**
 * Starts a recovery when Gmail no longer has the history after the cursor. Pins the current head
 * before anything is published, so the gap keeps its bounds in every repetition. The cursor stays
 * where it is until {@link recover} is complete.
 */
export async function beginRecovery(run: Run, { from, reason }: ExpiredCursor): Promise<Ended> {
  const { context, access, user } = run;
  const { recoveries } = user.sync;
  const now = storeNow(user, context.clock);
  const until = recoveries && later(recoveries.at, pauseMs(recoveries.count));
  // At most the pause itself, even if a wrong clock wrote the time.
  if (until !== undefined && until > now) {
    return waitUntil(run, earlier(until, later(now, pauseMs(recoveries?.count ?? 0))));
  }

  const answer = await access.call("users.getProfile", (token) => context.gmail.getProfile(token));
  if (!answer.ok) return endUnanswered(run, answer.error);
  const to = answer.value.historyId;
  const begun = { count: (recoveries?.count ?? 0) + 1, at: now };
  // After a rewind to exactly the cursor, the ids above it start again.
  if (to === from && reason === "history_expired") {
    // Gmail rejects its own head. Nothing has happened since the cursor, so there is no gap.
    context.log.error(
      "history_head_refused",
      "Gmail answers 404 for the current head of a history; retrying after a pause",
      {
        userId: user.id,
        fromHistoryId: from,
        retries: begun.count,
      },
    );
    const refused = await write(run, { sync: { ...user.sync, recoveries: begun } });
    return refused ?? waitUntil(run, later(now, pauseMs(begun.count)));
  }
  const pinnedAt = storeNow(user, context.clock);
  const cause = await causeOf(run, { from, reason }, to);
  if (!cause.ok) return cause.error;
  const recovery: Recovery = {
    fromHistoryId: from,
    toHistoryId: to,
    reason: cause.value,
    since: completeSince(user),
    pinnedAt,
    listing: 0,
    pages: [],
    isWalked: false,
  };
  context.log.error(
    "history_gap",
    "Gmail no longer has the history after the cursor; published a gap and recovering",
    {
      userId: user.id,
      fromHistoryId: from,
      toHistoryId: recovery.toHistoryId,
      reason: cause.value,
    },
  );
  // Due, so that another run continues if this one dies.
  const dueAt = later(context.clock.now(), context.config.sync.timeMsMax);
  const { cursorRefusals: _, ...sync } = user.sync;
  return write(run, {
    sync: { ...sync, recovery, recoveries: begun, dueAt, dueReason: "unfinished" },
  });
}

/** An expired history may have been rewound, too: then everything above the head is lost. */
async function causeOf(
  run: Run,
  { from, reason }: ExpiredCursor,
  head: HistoryId,
): Promise<Result<Recovery["reason"], SyncOutcome>> {
  const { highestHead = from } = run.user.sync;
  if (reason !== "history_expired" || !isAfter(highestHead, head)) return ok(reason);
  const rewind = await confirmRewind(run, { from, reason: "history_rewound", highestHead });
  if (rewind.kind === "ended") return err(rewind.outcome);
  return ok(rewind.kind === "confirmed" ? rewind.reason : reason);
}

function pauseMs(recoveries: number): number {
  return PAUSES_MS[Math.min(recoveries, PAUSES_MS.length) - 1] ?? 0;
}

function earlier(a: Date, b: Date): Date {
  return a < b ? a : b;
}

/**
 * Recovers an expired history from its stored progress: publishes the gap, scans the mailbox from
 * the newest message to the last sync, publishes what it found from the oldest on, searches once
 * more for what the index showed late, and only then sets the cursor to the pinned head. Bounded in
 * pages and time; the rest is due.
 */
export async function recover(run: Run, recovery: Recovery): Promise<Ended> {
  const { context, user } = run;
  let current: Recovery | undefined = recovery;
  for (let steps = 0; current !== undefined; steps++) {
    // The gap is published first, even if there is hardly any time.
    const isFirstGap = steps === 0 && phaseOf(current) === "gap";
    if (!isFirstGap && isOver(run)) return unfinished(run);
    const ended = await advance(run, current);
    if (ended !== undefined) return ended;
    current = run.user.sync.recovery;
  }
  context.log.info("history_recovered", "recovered an expired history", {
    userId: user.id,
    toHistoryId: recovery.toHistoryId,
  });
  return undefined;
}

function advance(run: Run, recovery: Recovery): Promise<Ended> {
  switch (phaseOf(recovery)) {
    case "gap":
      return tellGap(run, recovery);
    case "walk":
      return walkOn(run, recovery);
    case "publish":
      return publishOldest(run, recovery);
    case "late":
      return tellLate(run, recovery);
  }
}

async function tellGap(run: Run, recovery: Recovery): Promise<Ended> {
  const failed = await publish(run, [gapOf(recovery)]);
  return failed ?? keep(run, { ...recovery, newest: [] });
}

/** Performs one step of the scan. */
async function walkOn(run: Run, recovery: Recovery): Promise<Ended> {
  const token = run.walkToken;
  if (recovery.pages.length > 0 && token === undefined) return findWalkToken(run, recovery);

  const listed = await listPage(run, listingOf(run, recovery), token);
  if (!listed.ok) {
    return token === undefined
      ? refusedListing(run, recovery, listed.error)
      : refusedToken(run, listed.error);
  }
  run.pages += 1;
  const { messages, nextPageToken } = listed.value;
  const told = indexOfTold(recovery, messages);
  const isOld: Result<boolean, Unanswered> =
    told >= 0 ? ok(false) : await isOldPage(run, messages, scanLimitOf(recovery));
  if (!isOld.ok) return refusedStep(run, recovery, isOld.error);
  const walked = { messages, token, nextPageToken, told, isOld: isOld.value };
  return keep(run, afterWalkedPage(recovery, walked, labelsOf(run).length), nextPageToken);
}

/** In a later run: finds the token that continues after the last stored page. */
async function findWalkToken(run: Run, recovery: Recovery): Promise<Ended> {
  const listed = await listPage(run, listingOf(run, recovery), recovery.pages.at(-1)?.token);
  if (!listed.ok) return refusedToken(run, listed.error);
  run.walkToken = listed.value.nextPageToken;
  if (run.walkToken !== undefined) return undefined;
  const { refusals: _, ...rest } = recovery;
  return keep(run, walkedOver(rest));
}

/**
 * Publishes the oldest page that is left, oldest message first; after the last one, the scan ends.
 */
async function publishOldest(run: Run, recovery: Recovery): Promise<Ended> {
  const page = recovery.pages.at(-1);
  if (page === undefined) return keep(run, afterLastPage(recovery, labelsOf(run).length));
  const labelId = labelOf(run, recovery);
  const { isFailureUnknown } = scanLimitOf(recovery);
  const read = await withoutDrafts(
    run,
    () => readPage(run, listingOf(run, recovery), page),
    isFailureUnknown,
  );
  if (!read.ok) {
    return hasFailed(read.error, "bad_request")
      ? refusedToken(run, read.error)
      : refusedStep(run, recovery, read.error);
  }
  const { messages, decided } = read.value;
  const young = await sinceConnected(run, recovery, messages);
  if (!young.ok) return refusedStep(run, recovery, young.error);
  const failed = await publish(run, toChanges(recovery, young.value, labelId));
  return failed ?? keep(run, afterPublishedPage(recovery, page, messages, decided));
}

/** Removes the messages from before the mailbox was connected. */
async function sinceConnected(
  run: Run,
  recovery: Recovery,
  messages: readonly HistoryMessage[],
): Promise<Result<readonly HistoryMessage[], Unanswered>> {
  const limit = connectionLimitOf(recovery, run.user);
  return limit === undefined ? ok(messages) : withoutOld(run, messages, limit);
}

/**
 * Performs the second pass over one listing. Gmail can show a message seconds after its head
 * announced it: a message from before the pinned head that appeared after the scan began is nowhere
 * else.
 */
async function tellLate(run: Run, recovery: Recovery): Promise<Ended> {
  const { context } = run;
  const { pinnedAt = recovery.since, newest = [], untold = [] } = recovery;
  const waitMs =
    later(pinnedAt, context.config.sync.settleMs).getTime() -
    storeNowAtLeast(run.user, context.clock).getTime();
  if (waitMs > 0) return dueBy(run, later(context.clock.now(), waitMs));

  const labelId = labelOf(run, recovery);
  const limit = scanLimitOf(recovery);
  const first = {
    newest: new Set(newest),
    untold: new Set(untold),
    isEnd: (messages: readonly HistoryMessage[]) => isOldPage(run, messages, limit),
  };
  const read = () => readNew(run, listingOf(run, recovery), first);
  const late = await withoutDrafts(run, read, limit.isFailureUnknown);
  if (!late.ok) {
    return hasFailed(late.error, "bad_request")
      ? refusedListing(run, recovery, late.error)
      : refusedStep(run, recovery, late.error);
  }
  const young = await sinceConnected(run, recovery, late.value.messages);
  if (!young.ok) return refusedStep(run, recovery, young.error);
  const failed = await publish(run, toChanges(recovery, young.value, labelId));
  return failed ?? endLate(run, recovery);
}

/** Continues with the next listing's second pass, or sets the cursor to the pinned head. */
function endLate(run: Run, recovery: Recovery): Promise<Ended> {
  const next = afterLate(recovery, labelsOf(run).length);
  if (next !== undefined) return keep(run, next);
  return write(run, afterRecovery(run.user, recovery));
}

/**
 * Handles a rejected first page of a listing: a label that the mailbox does not have is left out.
 */
async function refusedListing(run: Run, recovery: Recovery, refused: Unanswered): Promise<Ended> {
  const { context, user } = run;
  const labelId = labelOf(run, recovery);
  if (!hasFailed(refused, "bad_request") || labelId === undefined)
    return endUnanswered(run, refused);
  const isUnknown = refused.failure.reason === "invalid_label";
  if (!isUnknown && !isRefusedForGood(recovery)) return refusedStep(run, recovery, refused);
  context.log.error(
    "label_left_out",
    "Gmail rejects the list of a watched label; the recovery leaves it out",
    { userId: user.id, labelId },
  );
  const next = withoutLabel(recovery, labelsOf(run).length);
  return next === undefined ? write(run, afterRecovery(user, recovery)) : keep(run, next);
}

/** Handles a rejected page token, which may live for only an hour. */
async function refusedToken(run: Run, refused: Unanswered): Promise<Ended> {
  const { recovery } = run.user.sync;
  if (!hasFailed(refused, "bad_request") || recovery === undefined)
    return endUnanswered(run, refused);
  const failed = await keep(run, afterRefusedToken(recovery));
  return (
    failed ?? giveUp(run, { kind: "transient", reason: "page_token_refused" }, "messages.list")
  );
}

/** Counts the rejections of one step, since one message or one label must not block a mailbox. */
async function refusedStep(run: Run, recovery: Recovery, refused: Unanswered): Promise<Ended> {
  if (refused === "superseded" || !isOfOneItem(refused)) return endUnanswered(run, refused);
  const failed = await keep(run, afterRefusal(recovery));
  return failed ?? giveUp(run, refused.failure, refused.call);
}

/** Empty: the whole mailbox is watched, in one listing. */
function labelsOf({ context }: Run): readonly string[] {
  return context.config.gmail.watchLabelIds;
}

function labelOf(run: Run, { listing }: Recovery): string | undefined {
  return labelsOf(run)[listing];
}

/** Returns what to list: half of what can be dated, because a page is read with the one after it. */
function listingOf(run: Run, recovery: Recovery): MessageListing {
  const isDated = connectionLimitOf(recovery, run.user) !== undefined;
  return {
    labelId: labelOf(run, recovery),
    ...(isDated && { size: DATED_ONE_BY_ONE_MAX / 2 }),
  };
}

async function publish(run: Run, found: readonly (Change | Gap)[]): Promise<Ended> {
  if (found.length === 0) return undefined;
  const { user } = run;
  const isMine = (await isCurrent(run)) && !isMoved(user, run.user);
  if (!isMine) return { kind: "superseded", changes: run.changes };
  const events = await withDetails(run, found);
  try {
    await run.context.publish(run.user, events);
  } catch (error) {
    if (!(error instanceof PublishFailure)) throw error;
    return giveUp(run, { kind: error.kind, reason: error.reason }, "publish");
  }
  run.changes += events.length;
  for (const event of events) run.unkept.push(event);
  return undefined;
}

/**
 * Stores the progress of the recovery. `walkToken`: where this run's scan continues, if it does.
 */
function keep(run: Run, recovery: Recovery, walkToken?: string): Promise<Ended> {
  run.walkToken = walkToken;
  return write(run, { sync: { ...run.user.sync, recovery } });
}

/**
 * Refused: another writer is working on the recovery or the document. The stored progress counts.
 */
async function write(run: Run, patch: UserPatch): Promise<Ended> {
  const { context, user, changes } = run;
  const kept = storedChanges(user, run.unkept, context);
  const sync = accounted(user.sync, patch.sync ?? user.sync, storeNow(user, context.clock));
  // Stored before: the history may have stored more about the same message, with its labels.
  const isKept = kept.length === 0 || (await context.users.keepMissing(user, kept)) === "written";
  const whole = { ...patch, sync, ...keptToken(run) };
  const written = isKept ? await context.users.update(user, whole) : "refused";
  if (written !== "refused") {
    run.user = { ...patched(user, whole), revision: written };
    run.unkept = [];
    return undefined;
  }
  // A page that was not stored is scanned again.
  run.walkToken = undefined;
  const isSuperseded = !(await reread(run)) || isMoved(user, run.user);
  return isSuperseded ? { kind: "superseded", changes } : undefined;
}
