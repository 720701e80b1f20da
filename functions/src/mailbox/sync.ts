import { later } from "../clock.ts";
import type { Failure } from "../google/failure.ts";
import { type Sync, type User, storeNow, storeNowAtLeast } from "../user.ts";
import { completeSince } from "./completeness.ts";
import { findAddress } from "./address.ts";
import { type Change, type Gap, PublishFailure } from "./event.ts";
import { type ExpiredCursor, confirmExpiry, confirmRefusal, isOfCursor } from "./expiry.ts";
import { type HistoryId, isAfter, maxHistoryId } from "./history-id.ts";
import { type HistoryRecord, toChanges } from "./history.ts";
import { beginRecovery, recover } from "./recovery.ts";
import { type Read, covers, highestRead, readRecords, settle } from "./settling.ts";
import { afterListing, atOnce } from "./sync-due.ts";
import {
  type Run,
  type SyncOutcome,
  type SyncServices,
  type Trigger,
  giveUp,
  isOver,
  progressOf,
  reread,
  startRun,
  unfinished,
  writeProgress,
} from "./sync-run.ts";

/** Gmail can tell of a change seconds before it can be read; after these waits a due time follows. */
const LAG_WAITS_MS = [1_000, 2_000, 4_000];
/** Listings that one run begins again because Gmail contradicts itself; then a due time follows. */
const RESTARTS_MAX = 3;

/**
 * Brings one mailbox from its cursor up to the present. Each page is published, then the
 * checkpoint is written: a crash in between repeats changes under the same ids; the other order
 * would lose them. `user` is what was just read from the store. Rejects only when the store fails.
 */
export function sync(user: User, trigger: Trigger, services: SyncServices): Promise<SyncOutcome> {
  const { telemetry } = services;
  const attributes = { "user.id": user.id, "gmail_receiver.trigger": trigger.kind };
  return telemetry.span("sync", { attributes }, async (span) => {
    const outcome = await syncNow(user, trigger, services);
    span.set({
      "gmail_receiver.outcome": outcome.kind,
      "gmail_receiver.changes": "changes" in outcome ? outcome.changes : undefined,
    });
    telemetry.count("gmail_receiver.syncs", 1, { trigger: trigger.kind, outcome: outcome.kind });
    return outcome;
  });
}

async function syncNow(user: User, trigger: Trigger, services: SyncServices): Promise<SyncOutcome> {
  if (user.status !== "active") return { kind: "inactive", status: user.status };
  if (trigger.kind === "notified" && isStale(user, trigger.historyId)) return { kind: "stale" };

  const { dueAt, dueReason } = user.sync;
  const isThrottled = dueReason === "throttled" && dueAt !== undefined;
  if (isThrottled && dueAt > services.clock.now()) return { kind: "throttled", until: dueAt };

  return catchUp(startRun(user, trigger, services));
}

function isStale(user: User, notified: HistoryId): boolean {
  const { notifiedHistoryId } = user.sync;
  if (!isAfter(notified, user.historyId)) return true;
  return notifiedHistoryId !== undefined && !isAfter(notified, notifiedHistoryId);
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
        return giveUp(run, { kind: "transient", reason: "history_contradictory" });
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
      const stopped = await beginRecovery(run, confirmation);
      if (stopped !== undefined) return stopped;
      continue;
    }
    const isLagging =
      trigger.kind === "notified" &&
      listed.fresh.length === 0 &&
      isAfter(trigger.historyId, knownBefore);
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
  startedAt: Date;
  /** When the last page was read. */
  readAt: Date;
  /** The new records of the last page. */
  lastPage: readonly HistoryId[];
  /** The new records of all pages. */
  fresh: readonly HistoryId[];
  /** The highest record that is known to have been read. */
  newest: HistoryId;
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
 * published; every page but the last is checkpointed here.
 */
async function listOnce(run: Run): Promise<Listing> {
  const { services, access } = run;
  const startedAt = storeNowAtLeast(run.user, services.clock);
  const start = run.user.historyId;
  const fresh: HistoryId[] = [];
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
      if (failure.kind !== "history_expired") return ended(await giveUp(run, failure));
      return { kind: "expired", from: start, reason: "history_expired" };
    }
    const readAt = storeNow(run.user, services.clock);
    const { records, nextPageToken, head } = answer.value;
    if (isAfter(start, head)) return { kind: "expired", from: start, reason: "history_rewound" };

    const unknown = unknownTo(run.user, records);
    const failed = await publishRecords(run, records, unknown, upTo);
    if (failed !== undefined) return ended(failed);
    const page = [...unknown];
    fresh.push(...page);
    upTo = maxHistoryId(upTo, ...records.map(({ historyId }) => historyId));
    // A page of what is known and not settled yet is passed over, or small pages would never end.
    const isKnown = records.length > 0 && unknown.size === 0;
    run.pages += isKnown ? 0 : 1;

    if (nextPageToken === undefined) {
      const newest = maxHistoryId(upTo, highestRead(progressOf(run.user)));
      return { kind: "listed", startedAt, readAt, lastPage: page, fresh, newest, head };
    }
    const outcome = await checkpointPage(run, { startedAt, readAt, records: page, upTo });
    if (outcome !== undefined) return ended(outcome);
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

async function publishRecords(
  run: Run,
  records: readonly HistoryRecord[],
  unknown: ReadonlySet<HistoryId>,
  after: HistoryId,
): Promise<SyncOutcome | undefined> {
  const { services, user } = run;
  const since = completeSince(user);
  const events: (Change | Gap)[] = [];
  let previous = after;
  for (const record of records) {
    if (unknown.has(record.historyId)) {
      events.push(...toChanges(record, previous, since, services.changeFilter));
      logUnreadable(run, record);
    }
    previous = record.historyId;
  }
  if (events.length === 0) return undefined;
  try {
    await services.publish(user, events);
  } catch (error) {
    if (!(error instanceof PublishFailure)) throw error;
    return giveUp(run, { kind: error.kind, reason: error.reason });
  }
  recordDelay(run);
  run.changes += events.length;
  run.unkept.push(...events);
  return undefined;
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
  services.log.error("history_record_unreadable", "a history record is told as a gap", {
    userId: user.id,
    historyId,
  });
}

/** The checkpoint of a page that others follow; an outcome when the run ends with it. */
async function checkpointPage(
  run: Run,
  read: Read & { upTo: HistoryId },
): Promise<SyncOutcome | undefined> {
  const { services, changes } = run;
  const { limits, clock } = services;
  const isLast = isOver(run);
  if (!isLast && isKnownAlready(run, read)) return undefined;
  const written = await writeProgress(run, read.records, (user) => {
    const settled = settle(progressOf(user), read, limits.settleMs);
    if (!isLast) return { ...settled, sync: {} };
    return { ...settled, sync: { ...atOnce(clock), ...unannounced(run, read.startedAt) } };
  });
  if (written === "superseded") return { kind: "superseded", changes };
  // The winner may have stopped there, or have been this run itself: the next pages are still due.
  if (written === "covered") return isLast ? unfinished(run) : undefined;
  if (isLast) return { kind: "unfinished", changes };
  // The next page is compared with what is stored now, not with what we believe we wrote.
  return (await reread(run)) ? undefined : { kind: "superseded", changes };
}

/** Nothing on this page is new, and nothing has settled since: the checkpoint would be the stored one. */
function isKnownAlready({ user, services }: Run, read: Read): boolean {
  if (read.records.length > 0) return false;
  const { recent } = settle(progressOf(user), read, services.limits.settleMs);
  return recent.length === user.sync.recent.length;
}

/** The end of the last listing: its checkpoint, and when to look again. */
async function finish(run: Run, listed: Listed, isLagging: boolean): Promise<SyncOutcome> {
  const { services, trigger } = run;
  const { startedAt, readAt, lastPage, fresh, newest, head } = listed;
  const due = afterListing(run, { hasNew: fresh.length > 0, isLagging, newest });
  // The head is a quiet mailbox's position only when nothing is known to be hidden.
  const isQuiet = fresh.length === 0 && !isLagging && due?.dueReason !== "lag";
  const read = { startedAt, readAt, records: lastPage, ...(isQuiet && { head }) };

  const isServed = trigger.kind === "notified" && fresh.length > 0;
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
  const { recoveries, cursorRefusals } = run.user.sync;
  const isOfRecovery = recoveries !== undefined || cursorRefusals !== undefined;
  const isWorthWriting =
    due !== undefined || fresh.length > 0 || isMoved || isAsked || isOfRecovery;
  if (isWorthWriting || run.access.obtained() !== undefined) {
    const isMissed = run.isLook && fresh.length > 0;
    // The notifications may name an address that nobody is stored under.
    const found = isMissed ? await findAddress(run.user, run.access, services) : undefined;
    const isSilent = isMissed && found === undefined;
    if (isSilent) logSilent(run);
    const written = await writeProgress(run, lastPage, (user) => ({
      ...settle(progressOf(user), read, services.limits.settleMs),
      sync: served,
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
  services.log.error("push_silent", "history moved and Gmail told nothing; watching again", {
    userId: user.id,
  });
}

/** What a look has found that nobody had told of. For a write that is made anyway. */
function unannounced({ isLook, changes }: Run, at: Date): Pick<Sync, "unannounced"> {
  return isLook ? { unannounced: { at, changes } } : {};
}
