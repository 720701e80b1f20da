import {
  type Trigger,
  notifiedIds,
  afterListing,
  atOnce,
  isNeglected,
} from "../domain/schedule.ts";
import type { Failure } from "../domain/failure.ts";
import { type Clock, later } from "../domain/clock.ts";
import { type Sync, type User, storeNow, storeNowAtLeast } from "../domain/user.ts";
import { describeUnknown } from "../platform/log.ts";
import { mayPass } from "../platform/store-error.ts";
import { completeSince } from "../domain/completeness.ts";
import { findAddress } from "../grant/address.ts";
import { type Change, type Gap, PublishFailure } from "../domain/events.ts";
import { type ExpiredCursor, confirmExpiry, confirmRefusal, isOfCursor } from "./expiry.ts";
import { type HistoryId, isAfter, maxHistoryId } from "../domain/history-id.ts";
import { type HistoryRecord, countWatched, toChanges } from "../domain/history.ts";
import { beginRecovery, recover } from "./recovery.ts";
import {
  type Read,
  UNSEEN_HOLD_MS,
  type UnseenRange,
  covers,
  findUnseen,
  heldUntil,
  highestRead,
  isOldHead,
  isTracked,
  readRecords,
  settle,
} from "./settling.ts";
import { isUntold, tellCaughtUp } from "./delay.ts";
import { isWaiting } from "../domain/failure-streak.ts";
import {
  type Run,
  type SyncOutcome,
  type SyncServices,
  giveUp,
  highestHeadOf,
  holdNotified,
  isCurrent,
  isOver,
  progressOf,
  reread,
  startRun,
  unfinished,
  writeProgress,
} from "./sync-run.ts";

/** Gmail can tell of a change seconds before it can be read; after these waits a due time follows. */
const LAG_WAITS_MS = [1_000, 2_000, 4_000];
/** Of a page, so much is published before the next checkpoint; a record is never divided by one. */
const PART_EVENTS = 2_000;
const PART_BYTES = 4_000_000;
/** Events handed to the topic at once. */
const PUBLISHED_MAX = 1_000;
/** Between the clocks of two of Google's services. */
const CLOCKS_MS_MAX = 60_000;
/** The first connection becomes active within this time after its cursor was taken. */
const FIRST_CONNECT_MS = 60_000;
/** Longer than anything is remembered. */
const NEVER_MS = 365 * 24 * 3_600_000;
/** Listings that one run begins again because Gmail contradicts itself; then a due time follows. */
const RESTARTS_MAX = 3;

/**
 * Brings one mailbox from its cursor up to the present. Each page is published, then the
 * checkpoint is written: a crash in between repeats changes under the same ids; the other order
 * would lose them. `user` is what was just read from the store. Rejects only when the store does
 * not answer.
 */
export function sync(user: User, trigger: Trigger, services: SyncServices): Promise<SyncOutcome> {
  const { telemetry } = services;
  const attributes = { "user.id": user.id, "gmail_receiver.trigger": trigger.kind };
  return telemetry.span("sync", { attributes }, async (span) => {
    const outcome = await syncNow(user, trigger, services).catch((error: unknown) =>
      failedForGood(error, user, trigger, services),
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
 * What our own code threw it would throw again at once: an operator is alerted, and the mailbox is
 * due again after pauses that grow. Delivered again in place of that, it would be a storm.
 */
async function failedForGood(
  error: unknown,
  user: User,
  trigger: Trigger,
  services: SyncServices,
): Promise<SyncOutcome> {
  if (mayPass(error)) throw error;
  services.log.alert(
    "sync_crashed",
    "a sync failed because of an error in our own code; retrying later",
    {
      userId: user.id,
      error: describeUnknown(error),
    },
  );
  const failure = { kind: "transient", reason: "internal_error" } as const;
  const run = startRun(user, trigger, services);
  try {
    const outcome: SyncOutcome = (await reread(run))
      ? await giveUp(run, failure, "sync")
      : { kind: "superseded", changes: run.changes };
    if (outcome.kind === "superseded") await holdAnew(run);
    return outcome;
  } catch (another) {
    if (mayPass(another)) throw another;
    // Not even a due time can be stored: the one that stands, and the next notification, remain.
    return { kind: "failed", failure, changes: run.changes };
  }
}

async function syncNow(user: User, trigger: Trigger, services: SyncServices): Promise<SyncOutcome> {
  if (user.status !== "active") return { kind: "inactive", status: user.status };
  const isStale =
    notifiedIds(trigger).every((id) => isKnown(user, id)) && !isNeglected(user, services.clock);
  if (trigger.kind === "notified" && isStale && !isLow(user, trigger, services.clock))
    return { kind: "stale" };

  const { dueAt, dueReason, failure } = user.sync;
  const isThrottled = dueReason === "throttled" && dueAt !== undefined;
  if (isThrottled && dueAt > services.clock.now()) {
    await holdNotified(user, trigger, services);
    return { kind: "throttled", until: dueAt };
  }
  if (
    isHint(trigger) &&
    isWaiting(failure) &&
    dueAt !== undefined &&
    dueAt > services.clock.now()
  ) {
    await holdNotified(user, trigger, services);
    return { kind: "waiting", until: dueAt };
  }

  const run = startRun(user, trigger, services);
  const outcome = await catchUp(run);
  // The run that was ahead does not know these ids.
  if (outcome.kind === "superseded") await holdAnew(run);
  return outcome;
}

async function holdAnew({ user, trigger, services }: Run): Promise<void> {
  if (trigger.kind !== "notified") return;
  const stored = await services.users.find(user.id);
  if (stored !== undefined) await holdNotified(stored, trigger, services);
}

/** What only says that there may be something new. */
function isHint({ kind }: Trigger): boolean {
  return kind === "notified" || kind === "renewed";
}

/**
 * Whether a notification of this id tells nothing new. One that comes after a later one was served
 * does when its record has not been read: that record may still be hidden.
 */
function isKnown(user: User, notified: HistoryId): boolean {
  const { notifiedHistoryId } = user.sync;
  if (!isAfter(notified, user.historyId)) return true;
  const isServed = notifiedHistoryId !== undefined && !isAfter(notified, notifiedHistoryId);
  return isServed && isTracked(progressOf(user), notified);
}

/**
 * Whether Gmail's history seems to have been rewound: the notification is of after the last complete
 * listing, and names an id from before it. All times are Google's.
 */
function isLow(
  user: User,
  { historyId, publishedAt }: Extract<Trigger, { kind: "notified" }>,
  clock: Clock,
): boolean {
  const { historyId: cursor } = user;
  const { syncedAt, highestHead } = user.sync;
  if (syncedAt === undefined || publishedAt === undefined || publishedAt <= syncedAt) return false;
  if (publishedAt > later(storeNow(user, clock), CLOCKS_MS_MAX)) return false;
  if (highestHead === undefined || isAfter(historyId, cursor)) return false;
  return isAfter(highestHead, historyId);
}

/**
 * Listings until one comes to its end, and again after short waits when Gmail is known to lag. A
 * recovery that is under way comes first: before it is through there is nothing to list from.
 */
async function catchUp(run: Run): Promise<SyncOutcome> {
  const { trigger, services } = run;
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
      if (listed.kind === "restart") continue;
      // Between two pages another run may have made it good, or begun to.
      const isPast = run.user.historyId !== listed.from || run.user.sync.recovery !== undefined;
      if (isPast) continue;
      const confirmation =
        listed.kind === "refused"
          ? await confirmRefusal(run, listed.failure)
          : await confirmExpiry(run, listed);
      if (confirmation.kind === "ended") return confirmation.outcome;
      if (confirmation.kind === "unconfirmed") continue;
      run.highestHead = undefined;
      const stopped = await beginRecovery(run, confirmation);
      if (stopped !== undefined) return stopped;
      continue;
    }
    const isLagging =
      trigger.kind === "notified" &&
      listed.freshCount === 0 &&
      isAfter(trigger.historyId, knownBefore) &&
      !isOldHead(
        progressOf(run.user),
        trigger.historyId,
        listed.last.startedAt,
        services.limits.settleMs,
      );
    const waitMs = LAG_WAITS_MS[waits];
    if (!isLagging || waitMs === undefined) return finish(run, listed, isLagging);
    if (later(services.clock.now(), waitMs) >= run.deadline) return finish(run, listed, isLagging);
    waits += 1;
    await services.clock.sleep(waitMs);
  }
}

/** A listing that came to its end. The checkpoint of its last page is still to be written. */
interface Listed {
  kind: "listed";
  /** What the last page brought, or its last part: that is still to be kept. */
  last: Read & Required<Pick<Read, "head">>;
  /** How many new records all pages held. */
  freshCount: number;
  /** The highest record that is known to have been read. */
  newest: HistoryId;
  /** As the last page named it. */
  head: HistoryId;
}

type Listing =
  | Listed
  | ({ kind: "expired" } & ExpiredCursor)
  /** Gmail refuses the cursor itself as malformed, although it is of Gmail's own making. */
  | { kind: "refused"; from: HistoryId; failure: Failure }
  /** A page token was refused, which says nothing about the cursor: the first page decides. */
  | { kind: "restart" }
  | { kind: "ended"; outcome: SyncOutcome };

/**
 * One listing: from the cursor to the last page, with the same start for all pages. Every page is
 * published; every page is checkpointed here, in parts if it is large, but for the last part of the
 * last page.
 */
async function listOnce(run: Run): Promise<Listing> {
  const { services, access } = run;
  const startedAt = storeNowAtLeast(run.user, services.clock);
  const start = run.user.historyId;
  let first: Read["head"];
  let freshCount = 0;
  let upTo = start;
  let pageToken: string | undefined;
  for (;;) {
    const answer = await access.call("history.list", (token) =>
      services.listHistory(token, start, pageToken),
    );
    if (answer.kind === "superseded") return ended({ kind: "superseded", changes: run.changes });
    if (answer.kind === "failed") {
      const { failure } = answer;
      const isOfToken = failure.kind === "history_expired" || failure.kind === "bad_request";
      if (isOfToken && pageToken !== undefined) return { kind: "restart" };
      if (isOfCursor(failure)) return { kind: "refused", from: start, failure };
      if (failure.kind !== "history_expired") return ended(await giveUp(run, failure, answer.call));
      return { kind: "expired", from: start, reason: "history_expired" };
    }
    const readAt = storeNow(run.user, services.clock);
    const { records, nextPageToken, head } = answer.value;
    // The servers that answer later pages may be a moment behind.
    const highestHead =
      first === undefined ? maxHistoryId(start, highestHeadOf(run) ?? start) : start;
    if (isAfter(highestHead, head)) {
      return { kind: "expired", from: start, reason: "history_rewound", highestHead };
    }
    first ??= { historyId: head, at: readAt };
    run.highestHead = maxHistoryId(run.highestHead ?? head, head);

    // A page of what is known and not settled yet is passed over, or small pages would never end.
    const isPassedOver = records.length > 0 && unknownTo(run.user, records).size === 0;
    if (!isPassedOver) {
      // A run that woke up long after its time has nothing of its own to save: the next one goes on.
      const isTooLate = run.pages > 0 && services.clock.now() >= run.deadline;
      if (isTooLate) return ended(await unfinished(run));
      if (!(await isCurrent(run))) return ended({ kind: "superseded", changes: run.changes });
      if (isAfter(start, run.user.historyId)) {
        return ended({ kind: "superseded", changes: run.changes });
      }
      run.pages += 1;
    }
    for (const part of partsOf(run, records, upTo)) {
      const failed = await publishEvents(run, part.events);
      if (failed !== undefined) return ended(failed);
      freshCount += part.records.length;
      upTo = part.upTo;
      const read = { startedAt, readAt, records: part.records, head: first };
      if (part.isLast && nextPageToken === undefined) {
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

/** Records that have not been published: after the cursor, and not among the recent ones. */
function unknownTo(user: User, records: readonly HistoryRecord[]): Set<HistoryId> {
  const known = readRecords(progressOf(user));
  const ids = records.map(({ historyId }) => historyId);
  return new Set(ids.filter((id) => isAfter(id, user.historyId) && !known.has(id)));
}

/** Whole records of a page, as many as are published before the next checkpoint. */
interface Part {
  records: readonly HistoryId[];
  events: readonly (Change | Gap)[];
  /** The last record in it, new or not, or what lies before the page. */
  upTo: HistoryId;
  isLast: boolean;
}

/** A page in parts, at least one; each is made of what is unknown by then. */
function* partsOf(
  run: Run,
  records: readonly HistoryRecord[],
  after: HistoryId,
): Generator<Part, void> {
  const { changeFilter } = run.services;
  let upTo = after;
  let index = 0;
  do {
    const unknown = unknownTo(run.user, records.slice(index));
    const since = completeSince(run.user);
    const read = new Set<HistoryId>();
    const events: (Change | Gap)[] = [];
    let bytes = 0;
    for (; index < records.length && events.length < PART_EVENTS; index++) {
      const record = records[index];
      if (record === undefined || bytes >= PART_BYTES) break;
      if (unknown.has(record.historyId)) {
        for (const event of toChanges(record, upTo, since, changeFilter)) {
          events.push(event);
          bytes += sizeOf(event);
        }
        run.watchedChanges += countWatched(record, changeFilter);
        logUnreadable(run, record);
        read.add(record.historyId);
      }
      upTo = maxHistoryId(upTo, record.historyId);
    }
    yield { records: [...read], events, upTo, isLast: index >= records.length };
  } while (index < records.length);
}

async function publishEvents(
  run: Run,
  events: readonly (Change | Gap)[],
): Promise<SyncOutcome | undefined> {
  const { services, user } = run;
  for (let first = 0; first < events.length; first += PUBLISHED_MAX) {
    const batch = events.slice(first, first + PUBLISHED_MAX);
    try {
      await services.publish(user, batch);
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

/** Ids that notifications named and that never showed become a gap, before the cursor passes them. */
async function tellUnseen(
  run: Run,
  read: Read,
): Promise<{ unseen?: UnseenRange; failed?: SyncOutcome }> {
  const { services, user } = run;
  const unseen = findUnseen(progressOf(user), read, services.limits.settleMs);
  if (unseen === undefined) return {};
  const { from: fromHistoryId, to: toHistoryId, since } = unseen;
  const reason = "notified_unseen";
  services.log.error(
    "history_gap",
    "Gmail announced a change and never listed it; published a gap",
    {
      userId: user.id,
      fromHistoryId,
      toHistoryId,
      reason,
    },
  );
  const gap: Gap = { kind: "gap", fromHistoryId, toHistoryId, since, reason };
  const failed = await publishEvents(run, [gap]);
  return failed === undefined ? { unseen } : { failed };
}

/** What a due run finds has no notification whose time is known: `gmail_receiver.syncs` counts it. */
function recordDelay({ trigger, services }: Run): void {
  if (trigger.kind !== "notified" || trigger.publishedAt === undefined) return;
  const delayMs = services.clock.now().getTime() - trigger.publishedAt.getTime();
  // Pub/Sub's clock may be ahead of ours.
  services.telemetry.record("gmail_receiver.delay", Math.max(0, delayMs) / 1_000);
}

function logUnreadable({ services, user }: Run, { historyId, unreadable }: HistoryRecord): void {
  if (!unreadable) return;
  services.log.error(
    "history_record_unreadable",
    "could not read a history record; published it as a gap",
    {
      userId: user.id,
      historyId,
    },
  );
}

/**
 * A flagged user's notifications are not written down, and their records may show minutes late. So
 * after the mailbox has become active again nothing settles for as long as the cursor waits for any
 * notified id: each listing starts where the mailbox stood, and finds what shows meanwhile.
 */
function settleMsOf(
  { statusAt, connectedAt }: User,
  startedAt: Date,
  { settleMs }: SyncServices["limits"],
): number {
  const isFirst = connectedAt !== undefined && statusAt <= later(connectedAt, FIRST_CONNECT_MS);
  const isPast = startedAt >= later(statusAt, UNSEEN_HOLD_MS);
  return isFirst || isPast ? settleMs : NEVER_MS;
}

/** The checkpoint of a page, or of a part, that others follow; an outcome when the run ends with it. */
async function checkpointPage(
  run: Run,
  page: Read & { upTo: HistoryId },
): Promise<SyncOutcome | undefined> {
  const { services, changes } = run;
  const { limits, clock } = services;
  const listed = { ...page, notified: notifiedIds(run.trigger) };
  const { unseen, failed } = await tellUnseen(run, listed);
  if (failed !== undefined) return failed;
  const read = { ...listed, unseen };
  const settled = settle(progressOf(run.user), read, settleMsOf(run.user, page.startedAt, limits));
  // More than is remembered: what follows would be published again and again before this settles.
  const isFull = !covers(settled, page.records);
  const isLast = isFull || isOver(run);
  // Nothing on this page is new, and nothing has settled: the stored checkpoint says it all.
  const isMoved = settled.historyId !== run.user.historyId || unseen !== undefined;
  if (!isLast && !isMoved && page.records.length === 0) return undefined;
  const written = await writeProgress(run, page.records, (user) => {
    const progress = settle(progressOf(user), read, settleMsOf(user, page.startedAt, limits));
    if (!isLast) return { ...progress, sync: {} };
    const stopped = { ...atOnce(clock), ...unannounced(run, read.startedAt) };
    return { ...progress, sync: stopped, isThrough: true };
  });
  if (written === "superseded") return { kind: "superseded", changes };
  // The winner may have stopped there, or have been this run itself: the next pages are still due.
  if (written === "covered") return isLast ? unfinished(run) : undefined;
  if (isLast) return { kind: "unfinished", changes };
  // The next page is compared with what is stored now, not with what we believe we wrote.
  return (await reread(run)) ? undefined : { kind: "superseded", changes };
}

/** The end of the last listing: its checkpoint, and when to look again. */
async function finish(run: Run, listed: Listed, isLagging: boolean): Promise<SyncOutcome> {
  const { services, trigger } = run;
  const { freshCount, newest, head, last } = listed;
  const { startedAt, records } = last;
  const notified = notifiedIds(trigger);
  const isNews = notified.some((id) => !isTracked(progressOf(run.user), id));
  const { unseen, failed } = await tellUnseen(run, { ...last, notified });
  if (failed !== undefined) return failed;
  const read: Read = { ...last, notified, unseen };
  const progress = settle(
    progressOf(run.user),
    read,
    settleMsOf(run.user, startedAt, services.limits),
  );
  const due = afterListing(run, {
    hasNew: freshCount > 0,
    isLagging,
    newest,
    heldUntil: heldUntil(progress, head),
  });

  const isServed = trigger.kind === "notified" && freshCount > 0;
  const served = {
    ...due,
    ...unannounced(run, startedAt),
    syncedAt: startedAt,
    // Capped: an absurd id must not make the mailbox deaf to those that follow.
    ...(isServed && {
      notifiedHistoryId: isAfter(trigger.historyId, head) ? head : trigger.historyId,
      notifiedAt: startedAt,
    }),
  };
  const isMoved = trigger.kind !== "notified" && !covers(progressOf(run.user), [head]);
  const isAsked = trigger.kind === "requested";
  const { recoveries, cursorRefusals, behindSince } = run.user.sync;
  const isOwed = [recoveries, cursorRefusals, behindSince].some((it) => it !== undefined);
  const isFound = freshCount > 0 || isNews || unseen !== undefined;
  const isWorthWriting = due !== undefined || isFound || isMoved || isAsked || isOwed;
  const caughtUp = await tellCaughtUp(run, due ?? run.user.sync);
  if (caughtUp.kind === "failed") return giveUp(run, caughtUp.failure, "publish");
  if (isWorthWriting || run.access.obtained() !== undefined) {
    const isMissed = wasMissed(run, freshCount);
    // The notifications may name an address that nobody is stored under.
    const found = isMissed ? await findAddress(run.user, run.access, services) : undefined;
    const isSilent = isMissed && found === undefined;
    if (isSilent) logSilent(run);
    const written = await writeProgress(run, records, (user) => ({
      ...settle(progressOf(user), read, settleMsOf(user, startedAt, services.limits)),
      sync: served,
      // A delay that another run told meanwhile is ended by the next listing.
      ...(isUntold(user, caughtUp, services) && { sync: { ...served, ...atOnce(services.clock) } }),
      isThrough: true,
      ...(isSilent && { watch: { ...user.watch, renewAt: services.clock.now() } }),
      ...found?.patchOf(user),
    }));
    if (written !== "written") return { kind: "superseded", changes: run.changes };
    if (found !== undefined) await services.settleHolders(found.named, run.user.id);
  }
  return { kind: due?.dueReason === "lag" ? "lagging" : "caught_up", changes: run.changes };
}

/**
 * Nobody told of what a look at a quiet mailbox has found: its watch may be dead although it has
 * not expired, so it is made again. What happened in this very minute may just be on its way, and
 * then the watch is made again for nothing.
 */
function logSilent({ user, services }: Run): void {
  services.log.error(
    "push_missed",
    "a mailbox changed and no notification arrived; renewing its watch",
    {
      userId: user.id,
    },
  );
}

/** Whether Gmail should have notified of what a look has found, and did not. */
function wasMissed({ services, isLook, watchedChanges }: Run, freshCount: number): boolean {
  // Where only some labels are watched, Gmail tells of nothing else.
  const isFiltered = services.changeFilter.labelIds.length > 0;
  return isLook && (isFiltered ? watchedChanges : freshCount) > 0;
}

/** What a look has found that nobody had told of. For a write that is made anyway. */
function unannounced({ isLook, watchedChanges }: Run, at: Date): Pick<Sync, "unannounced"> {
  return isLook ? { unannounced: { at, changes: watchedChanges } } : {};
}

/** About as many bytes as the event takes on its way. */
function sizeOf(event: Change | Gap): number {
  const labelIds = "labelIds" in event ? event.labelIds : [];
  return labelIds.reduce((sum, label) => sum + label.length + 3, 500);
}
