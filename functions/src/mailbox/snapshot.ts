import { type Access, type Unanswered, hasFailed } from "../domain/access.ts";
import { backoffMs, jittered, later } from "../domain/clock.ts";
import { type MailboxEvent, PublishFailure } from "../domain/events.ts";
import type { Call, FailedCall, Failure } from "../domain/failure.ts";
import { endingOf } from "../domain/failure-streak.ts";
import type { HistoryMessage, MessageListing } from "../domain/history.ts";
import { type Result, ok } from "../domain/result.ts";
import { settled } from "../domain/retention.ts";
import {
  afterFailure,
  afterRefusedPage,
  afterSkippedPage,
  afterSnapshotPage,
  isListed,
  isSamePlace,
  reasonToGiveUp,
  runningSnapshot,
  snapshotStart,
  toCompleted,
  toExisting,
  toFailed,
  unpublishedOf,
  withoutListing,
} from "../domain/snapshot.ts";
import { type FollowUp, type Snapshot, type User, storeNow } from "../domain/user.ts";
import { GMAIL_UNITS } from "../google/quota.ts";
import { isAnnounced } from "../grant/announcement.ts";
import { flag } from "../grant/flagging.ts";
import { storedChanges } from "../pubsub/cloud-event.ts";
import { modify } from "../store/modify.ts";
import type { MailboxContext } from "./context.ts";
import { type AgeLimit, DATED_ONE_BY_ONE_MAX, isOldPage, withoutOld } from "./message-ages.ts";
import { listPage, readDrafts, sortOut } from "./message-pages.ts";
import { reportFailure } from "./report.ts";
import { type Run, isCurrent, keptToken, reread, startRun } from "./run.ts";

/** The units of Gmail's quota that one run of the reconciliation may still use for snapshots. */
export interface SnapshotBudget {
  units: number;
}

/** What each call costs in units. */
const UNITS: Partial<Record<Call, number>> = GMAIL_UNITS;
/** Of the 6,000 units a minute of one user, of which subscribers may use 5,400. */
const USER_UNITS_PER_TURN = 300;
/** Most pages cost that much: two lists, the drafts, and the date of a message. */
const PAGE_UNITS = 35;
/** Near the oldest message, where each is dated: half of what can be, since dates cost most. */
const DATED_PAGE_SIZE = DATED_ONE_BY_ONE_MAX / 2;
const PAGES_PER_TURN_MAX = 100;
const TURN_MS_MAX = 10_000;
/** The pause of a snapshot while the stream of its mailbox is behind: live changes come first. */
const YIELD_MS = 5 * 60_000;
const RETRY_MS = 60_000;
const RETRY_MS_MAX = 3_600_000;
/** Clocks differ, mail is dated before it arrives, and lists have been seen out of order. */
const DISORDER_MS = 24 * 3_600_000;
/** Consecutive failures after which one message that Gmail rejects is passed over. */
const REFUSALS_MAX = 3;

/**
 * Returns the budget of a run. A run starts each minute, so its whole budget is a minute's share,
 * even if runs overlap.
 */
export function snapshotBudget({ config }: Pick<MailboxContext, "config">): SnapshotBudget {
  return { units: (config.gmail.unitsPerMinute * config.snapshot.quotaPercent) / 100 };
}

/**
 * Publishes some pages of the snapshot of an active user, or its end. Everything else goes first:
 * the snapshot waits while the stream is behind. What is left stays due.
 */
export async function continueSnapshot(
  user: User,
  budget: SnapshotBudget,
  context: MailboxContext,
): Promise<void> {
  const { clock, config } = context;
  const snapshot = runningSnapshot(user);
  if (snapshot === undefined || budget.units <= 0) return;
  const now = storeNow(user, clock);
  const start = snapshotStart(snapshot, config.sync.settleMs);
  if (start > now) return postpone(user, start, context);
  if (user.sync.behindSince !== undefined) return postpone(user, later(now, YIELD_MS), context);

  const own = { units: Math.min(USER_UNITS_PER_TURN, budget.units) };
  const started = startRun(user, { kind: "requested" }, context);
  const run: Run = { ...started, access: metered(started.access, [budget, own]) };
  const deadline = later(clock.now(), TURN_MS_MAX);
  for (let pages = 0; pages < PAGES_PER_TURN_MAX; pages++) {
    const current = runningSnapshot(run.user);
    if (current === undefined || !(await advance(run, current))) return;
    if (Math.min(budget.units, own.units) < PAGE_UNITS || clock.now() >= deadline) return;
  }
}

/** Counts what each call costs, repeated ones too. */
function metered(access: Access, budgets: readonly SnapshotBudget[]): Access {
  return {
    ...access,
    call: (method, request) =>
      access.call(method, (token) => {
        for (const budget of budgets) budget.units -= UNITS[method] ?? 0;
        return request(token);
      }),
  };
}

/**
 * Performs one step; returns false if the turn ends with it. A page of old messages is requested
 * again with the `size` of which each message can be dated.
 */
async function advance(run: Run, snapshot: Snapshot, size?: number): Promise<boolean> {
  const reason = reasonToGiveUp(snapshot);
  if (reason !== undefined) return giveUp(run, snapshot, reason);
  const labels = run.context.config.gmail.watchLabelIds;
  if (isListed(snapshot, labels.length)) return complete(run, snapshot);
  const listing = { labelId: labels[snapshot.listing], ...(size !== undefined && { size }) };
  const listed = await listPage(run, listing, snapshot.token);
  if (!listed.ok) return refused(run, snapshot, listing.labelId, listed.error);
  const { messages, nextPageToken } = listed.value;
  const left = unpublishedOf(snapshot, messages);
  if (left === undefined) return store(run, snapshot, afterSkippedPage(snapshot, nextPageToken));

  const limits = limitsOf(run, snapshot);
  const reachesOld = await isOldPage(run, left.slice(-1), limits(DISORDER_MS));
  if (!reachesOld.ok) return failed(run, reachesOld.error);
  if (reachesOld.value && left.length > DATED_PAGE_SIZE && size === undefined) {
    return advance(run, snapshot, DATED_PAGE_SIZE);
  }
  const young = await youngOf(run, left, reachesOld.value, limits);
  if (!young.ok) return failed(run, young.error);
  const told = await stillThere(run, listing, snapshot.token, young.value.messages);
  if (!told.ok) return failed(run, told.error);
  const events = toExisting(snapshot, told.value);
  const { isOld } = young.value;
  const page = { messages: left, nextPageToken, published: events.length, isOld };
  const isPublished = await publish(run, snapshot, events);
  return isPublished && store(run, snapshot, afterSnapshotPage(snapshot, page), events);
}

/** Returns limits of age, so much younger than the oldest message of the snapshot. */
function limitsOf({ user }: Run, { since }: Snapshot): (ms: number) => AgeLimit {
  const isFailureUnknown = user.followUp.failures >= REFUSALS_MAX;
  return (ms) => ({ earliest: later(since, ms), isFailureUnknown });
}

/**
 * Returns the messages that are young enough, and whether the page contains only messages that are
 * older by more than lists are out of order. `reachesOld`: its last message may be old, which for
 * most pages is all that has to be asked.
 */
async function youngOf(
  run: Run,
  messages: readonly HistoryMessage[],
  reachesOld: boolean,
  limits: (ms: number) => AgeLimit,
): Promise<Result<{ messages: readonly HistoryMessage[]; isOld: boolean }, Unanswered>> {
  if (!reachesOld) return ok({ messages, isOld: false });
  const young = await withoutOld(run, messages, limits(0));
  if (!young.ok) return young;
  if (young.value.length > 0) {
    return ok({ messages: young.value, isOld: false });
  }
  const old = await isOldPage(run, messages, limits(-DISORDER_MS));
  if (!old.ok) return old;
  return ok({ messages: [], isOld: old.value });
}

/**
 * Lists the page once more, just before it is published: without drafts, and without messages that
 * were deleted in the meantime, since subscribers hear of a deletion as soon as it happens. New mail
 * may only have moved a message to the next page.
 */
async function stillThere(
  run: Run,
  listing: MessageListing,
  token: string | undefined,
  messages: readonly HistoryMessage[],
): Promise<Result<readonly HistoryMessage[], Unanswered>> {
  if (messages.length === 0) return ok(messages);
  const drafts = await readDrafts(run);
  if (!drafts.ok) return drafts;
  const again = await listPage(run, listing, token);
  if (!again.ok) return again;
  const isWanted = new Set(messages.map(({ id }) => id));
  const after = again.value.messages.filter(({ id }) => isWanted.has(id));
  const isFailureTold = run.user.followUp.failures >= REFUSALS_MAX;
  const reads = { before: messages, after, drafts: drafts.value };
  const sorted = await sortOut(run, reads, isFailureTold);
  return sorted.ok ? ok(sorted.value.messages) : sorted;
}

/** Publishes the end of a complete snapshot, then records it. */
async function complete(run: Run, snapshot: Snapshot): Promise<false> {
  const { context, user } = run;
  const { id: snapshotId, messages } = snapshot;
  const completedAt = storeNow(user, context.clock);
  if (await end(run, snapshot, { completedAt }, toCompleted(snapshot))) {
    const fields = { userId: user.id, snapshotId, messages };
    context.log.info("snapshot_completed", "published the mail that was in a mailbox", fields);
  }
  return false;
}

/** Publishes that a snapshot is given up, then records it. */
async function giveUp(run: Run, snapshot: Snapshot, reason: string): Promise<false> {
  const { context, user } = run;
  const { id: snapshotId, messages } = snapshot;
  const failedAt = storeNow(user, context.clock);
  if (await end(run, snapshot, { failedAt }, toFailed(snapshot, reason))) {
    const fields = { userId: user.id, snapshotId, messages, reason };
    context.log.error("snapshot_failed", "a snapshot failed for days and is given up", fields);
  }
  return false;
}

async function end(
  run: Run,
  snapshot: Snapshot,
  at: Pick<Snapshot, "completedAt" | "failedAt">,
  event: MailboxEvent,
): Promise<boolean> {
  const isPublished = await publish(run, snapshot, [event]);
  return isPublished && store(run, snapshot, { ...snapshot, ...at }, [event]);
}

/** Returns whether the topic accepted the events; false also when they are no longer wanted. */
async function publish(
  run: Run,
  snapshot: Snapshot,
  events: readonly MailboxEvent[],
): Promise<boolean> {
  const { context } = run;
  if (events.length === 0) return true;
  const isWanted = (await isCurrent(run)) && isSamePlace(run.user.snapshot, snapshot);
  if (!isWanted) return false;
  try {
    await context.publish(run.user, events);
    return true;
  } catch (error) {
    if (!(error instanceof PublishFailure)) throw error;
    await postpone(run.user, undefined, context);
    return false;
  }
}

/**
 * Stores the progress, if the stored snapshot is still at the same place: another writer has changed
 * something else then. Returns false if the turn ends.
 */
async function store(
  run: Run,
  from: Snapshot,
  snapshot: Snapshot,
  events: readonly MailboxEvent[] = [],
): Promise<boolean> {
  const { context, user } = run;
  const isProgress = snapshot.failure === undefined || runningSnapshot({ snapshot }) === undefined;
  const { kind } = await modify(
    context.users,
    user.id,
    (stored) => {
      if (stored.status !== "active" || !isSamePlace(stored.snapshot, from)) return "skip";
      const isSameGrant = stored.grant.generation === user.grant.generation;
      return {
        snapshot,
        ...(isProgress && { followUp: afterStep(stored, snapshot, context) }),
        ...(isSameGrant && keptToken({ ...run, user: stored })),
      };
    },
    {
      what: "the progress of a snapshot",
      from: user,
      changes: (stored) => storedChanges(stored, events, context),
    },
  );
  return kind === "written" && (await reread(run));
}

/** Due at once, unless the snapshot has ended or a status is to be published first. */
function afterStep(user: User, snapshot: Snapshot, context: MailboxContext): FollowUp {
  const followUp = { ...user.followUp, failures: 0 };
  if (!isAnnounced(user)) return followUp;
  if (runningSnapshot({ snapshot }) === undefined) return settled(user, followUp, context);
  return { ...followUp, dueAt: storeNow(user, context.clock) };
}

/** Handles a rejected list: of a page token, of a label that the mailbox does not have, or of all. */
async function refused(
  run: Run,
  snapshot: Snapshot,
  labelId: string | undefined,
  answer: Unanswered,
): Promise<boolean> {
  if (!hasFailed(answer, "bad_request")) return failed(run, answer);
  if (snapshot.token !== undefined) {
    await store(run, snapshot, afterRefusedPage(snapshot));
    return failed(run, answer);
  }
  if (labelId === undefined || answer.failure.reason !== "invalid_label") {
    return failed(run, answer);
  }
  run.context.log.error(
    "label_left_out",
    "Gmail rejects the list of a watched label; the snapshot leaves it out",
    { userId: run.user.id, labelId },
  );
  return store(run, snapshot, withoutListing(snapshot));
}

/** Ends the turn after a call that failed: flags the user if the grant has ended, or retries later. */
async function failed(run: Run, answer: Unanswered): Promise<false> {
  const { context, user } = run;
  if (answer === "superseded") return false;
  const { failure, call } = answer;
  const ending = endingOf(user.sync.failure, failure, call, context.clock.now());
  if (ending?.kind === "flag") {
    const flagging = await flag(user, ending.failure, context);
    if (flagging.kind === "flagged" || flagging.kind === "superseded") return false;
  }
  reportFailure(context.log, failure, { userId: user.id, call });
  await postpone(user, retryAt(failure, context), context, answer);
  return false;
}

function retryAt(failure: Failure, { clock }: MailboxContext): Date | undefined {
  if (failure.kind !== "rate_limited" || failure.retryAt === undefined) return undefined;
  const max = later(clock.now(), RETRY_MS_MAX);
  return failure.retryAt < max ? failure.retryAt : max;
}

/** Continues at this time, or after a growing pause; records what Google refused. */
async function postpone(
  { id }: User,
  until: Date | undefined,
  { users, clock, random }: MailboxContext,
  refusal?: FailedCall,
): Promise<void> {
  await modify(
    users,
    id,
    (user) => {
      const snapshot = runningSnapshot(user);
      if (user.status !== "active" || snapshot === undefined || !isAnnounced(user)) return "skip";
      const { failures } = user.followUp;
      const waitMs = jittered(backoffMs(failures, RETRY_MS, RETRY_MS_MAX), random);
      const now = storeNow(user, clock);
      const dueAt = until !== undefined && until > now ? until : later(now, waitMs);
      const isFailure = until === undefined;
      return {
        followUp: { ...user.followUp, dueAt, failures: failures + (isFailure ? 1 : 0) },
        ...(refusal && {
          snapshot: afterFailure(snapshot, refusal.failure, refusal.call, now),
        }),
      };
    },
    { what: "the pause of a snapshot" },
  );
}
