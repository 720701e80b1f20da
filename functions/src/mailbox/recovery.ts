import { type SyncOutcome } from "./sync-outcome.ts";
import { storedChanges } from "../pubsub/cloud-event.ts";
import { later } from "../domain/clock.ts";
import {
  type Recovery,
  type User,
  type UserPatch,
  storeNow,
  storeNowAtLeast,
  type WalkedPage,
} from "../domain/user.ts";
import type { Answer } from "../domain/access.ts";
import { completeSince } from "../domain/completeness.ts";
import { type Change, type Gap, PublishFailure } from "../domain/events.ts";
import { type ExpiredCursor, confirmRewind } from "./expiry.ts";
import { type HistoryId, isAfter } from "../domain/history-id.ts";
import type { HistoryMessage } from "../domain/history.ts";
import { type AgeLimit, earliestOf, isOldPage, withoutOld } from "./message-ages.ts";
import { listPage, readNew, readPage, withoutDrafts } from "./message-pages.ts";
import { accounted } from "../domain/incomplete.ts";
import { notifiedAfter } from "./settling.ts";
import { type Run, isCurrent, isOver, keptToken, reread } from "./run.ts";
import { dueBy, giveUp, unfinished, waitUntil } from "./ending.ts";

/**
 * Listed again from before the last sync: clocks differ, mail is dated before it arrives, and
 * Gmail's lists have been seen seven hours out of order.
 */
const MARGIN_MS = 24 * 3_600_000;
/** Pages in a row with nothing but old messages on them, after which the walk ends. */
const OLD_PAGES = 2;
/** Half a million messages; a gap names what is older. */
const WALKED_PAGES_MAX = 1_000;
/** What is stored of the pages of a walk, at most: a document takes a million bytes in all. */
const NOTED_BYTES_MAX = 200_000;
/** Of one noted page beside its token and its message's id. */
const NOTED_PAGE_BYTES = 50;
/** Newest messages remembered for the second pass: one page of Gmail's, or less of each label. */
const NEWEST_MAX = 500;
const NEWEST_MAX_ALL = 2_000;
/** Messages remembered where the told ones begin: any of them may be deleted. */
const TOLD_MAX = 5;
/** Refusals of one step in a row, each in a run of its own, before it is passed over. */
const REFUSALS_MAX = 3;

/** An outcome when the run has to end; `undefined` when it goes on. */
type Ended = SyncOutcome | undefined;

/** From one recovery to the next while Gmail lists no history in between; the last one repeats. */
const PAUSES_MS = [15 * 60_000, 3_600_000, 2 * 3_600_000, 6 * 3_600_000];

/**
 * Gmail no longer keeps the history after the cursor. Pins the present head, before anything is
 * told: the gap that is then published keeps its bounds however often it is published. The cursor
 * stays where it is until {@link recover} is through.
 */
export async function beginRecovery(run: Run, { from, reason }: ExpiredCursor): Promise<Ended> {
  const { context, access, user } = run;
  const { recoveries } = user.sync;
  const now = storeNow(user, context.clock);
  const until = recoveries && later(recoveries.at, pauseMs(recoveries.count));
  // Not past the pause itself, wherever the clock was that wrote the time.
  if (until !== undefined && until > now) {
    return waitUntil(run, earlier(until, later(now, pauseMs(recoveries?.count ?? 0))));
  }

  const answer = await access.call("users.getProfile", (token) => context.gmail.getProfile(token));
  if (answer.kind !== "answered") return endOf(run, answer);
  const to = answer.value.historyId;
  const begun = { count: (recoveries?.count ?? 0) + 1, at: now };
  // After a rewind to the very cursor, the ids above it begin anew.
  if (to === from && reason === "history_expired") {
    // Gmail refuses its own head. Nothing has happened since the cursor, so there is no gap.
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
  if (typeof cause !== "string") return cause;
  const recovery: Recovery = {
    fromHistoryId: from,
    toHistoryId: to,
    reason: cause,
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
      reason: cause,
    },
  );
  // Due, so that another run goes on should this one die.
  const dueAt = later(context.clock.now(), context.config.sync.timeMsMax);
  const { cursorRefusals: _, ...sync } = user.sync;
  return write(run, {
    sync: { ...sync, recovery, recoveries: begun, dueAt, dueReason: "unfinished" },
  });
}

/** A history that has expired may have been rewound too: then what is above the head is lost. */
async function causeOf(
  run: Run,
  { from, reason }: ExpiredCursor,
  head: HistoryId,
): Promise<Recovery["reason"] | SyncOutcome> {
  const { highestHead } = run.user.sync;
  if (reason !== "history_expired" || highestHead === undefined) return reason;
  if (!isAfter(highestHead, head)) return reason;
  const rewind = await confirmRewind(run, { from, reason: "history_rewound", highestHead });
  if (rewind.kind === "ended") return rewind.outcome;
  return rewind.kind === "confirmed" ? rewind.reason : reason;
}

function pauseMs(recoveries: number): number {
  return PAUSES_MS[Math.min(recoveries, PAUSES_MS.length) - 1] ?? 0;
}

function earlier(a: Date, b: Date): Date {
  return a < b ? a : b;
}

/**
 * Makes an expired history good, from wherever it stands: tells the gap, walks over the mailbox
 * from the newest message to the last sync, publishes what it found from the oldest on, looks once
 * more for what the index showed late, and only then sets the cursor to the pinned head. Bounded in
 * pages and time; what is left is due.
 */
export async function recover(run: Run, recovery: Recovery): Promise<Ended> {
  const { context, user } = run;
  if (isUntold(recovery)) {
    const { fromHistoryId, toHistoryId, since, reason } = recovery;
    const incomplete = ["deletions", "labels", "imports"] as const;
    const gap: Gap = { kind: "gap", fromHistoryId, toHistoryId, since, reason, incomplete };
    const failed = await publish(run, [gap]);
    if (failed !== undefined) return failed;
    const kept = await keep(run, { ...recovery, newest: [] });
    if (kept !== undefined) return kept;
  }
  for (let current = run.user.sync.recovery; current !== undefined;) {
    if (isOver(run)) return unfinished(run);
    const failed = await advance(run, current);
    if (failed !== undefined) return failed;
    current = run.user.sync.recovery;
  }
  context.log.info("history_recovered", "recovered an expired history", {
    userId: user.id,
    toHistoryId: recovery.toHistoryId,
  });
  return undefined;
}

/** The gap is published and noted before the first page: once, or again after a crash. */
function isUntold({ listing, pages, newest, isWalked, isTold }: Recovery): boolean {
  const isStarted = listing > 0 || pages.length > 0 || newest !== undefined;
  return !isStarted && !isWalked && isTold !== true;
}

/** One step: a page walked over, a page published, or one listing's second pass. */
function advance(run: Run, recovery: Recovery): Promise<Ended> {
  if (recovery.isTold === true) return tellLate(run, recovery);
  return recovery.isWalked ? publishOldest(run, recovery) : walkOn(run, recovery);
}

/** One step of the walk: notes a page, and whether the walk ends with it. */
async function walkOn(run: Run, stored: Recovery): Promise<Ended> {
  const { refusals: _, ...recovery } = stored;
  const { pages, unnoted = 0, oldPages = 0, toldUpTo = [], untold = [] } = recovery;
  const token = run.walkToken;
  if (pages.length > 0 && token === undefined) return findWalkToken(run, recovery);

  const listed = await listPage(run, labelOf(run, recovery), token);
  if (listed.kind !== "answered") {
    return token === undefined ? refusedListing(run, stored, listed) : refusedToken(run, listed);
  }
  run.pages += 1;
  const { messages, nextPageToken } = listed.value;
  const told = messages.findIndex(({ id }) => toldUpTo.includes(id));
  const isOld: Answer<boolean> =
    told >= 0
      ? { kind: "answered", value: false }
      : await isOldPage(run, messages, ageLimit(run, stored));
  if (isOld.kind !== "answered") {
    return refusedStep(run, stored, isOld);
  }

  const [first] = messages;
  // A page that begins with what has been told holds nothing else.
  const page: WalkedPage[] =
    first === undefined || told === 0
      ? []
      : [{ firstMessageId: first.id, ...(token !== undefined && { token }) }];
  const noted = newestDropped([...pages, ...page]);
  run.walkToken = nextPageToken;
  const newest = withNewest(run, recovery, messages);
  const walked = {
    ...recovery,
    pages: noted,
    unnoted: unnoted + pages.length + page.length - noted.length,
    newest,
    // A page of old messages has been told before.
    untold: [...untold, ...(isOld.value ? [] : newest.slice(recovery.newest?.length ?? 0))],
    // An empty page says nothing of either kind.
    oldPages: isOld.value ? oldPages + 1 : first === undefined ? oldPages : 0,
  };
  const isEnd =
    told >= 0 ||
    walked.oldPages >= OLD_PAGES ||
    nextPageToken === undefined ||
    walked.unnoted + noted.length >= WALKED_PAGES_MAX;
  return keep(run, isEnd ? walkedOver(walked, told < 0) : walked);
}

/** The end of a walk. The pages of nothing but old messages that it ended with were told before. */
function walkedOver({ oldPages = 0, ...recovery }: Recovery, isAtEdge: boolean): Recovery {
  const { pages } = recovery;
  return { ...recovery, pages: pages.slice(0, pages.length - oldPages), isWalked: true, isAtEdge };
}

/** As many of the oldest pages as may be stored. Another round comes back for the newer ones. */
function newestDropped(pages: readonly WalkedPage[]): WalkedPage[] {
  let bytes = 0;
  const first = pages.findLastIndex(({ token = "", firstMessageId }) => {
    bytes += token.length + firstMessageId.length + NOTED_PAGE_BYTES;
    return bytes > NOTED_BYTES_MAX;
  });
  // What is dropped of the end, for being old, must leave something to tell.
  return pages.slice(Math.min(first + 1, Math.max(pages.length - OLD_PAGES - 1, 0)));
}

/** The ids that each listing's walk began with, up to as many as a page of Gmail's holds. */
function withNewest(
  { context }: Run,
  { newest = [], listing }: Recovery,
  messages: readonly HistoryMessage[],
): string[] {
  const listings = Math.max(context.config.gmail.watchLabelIds.length, 1);
  const each = Math.min(NEWEST_MAX, Math.floor(NEWEST_MAX_ALL / listings));
  const room = Math.max(each * (listing + 1) - newest.length, 0);
  const known = new Set(newest);
  const more = messages.map(({ id }) => id).filter((id) => !known.has(id));
  return [...newest, ...more.slice(0, room)];
}

/** In a later run: the token that leads on from the last page that was noted. */
async function findWalkToken(run: Run, recovery: Recovery): Promise<Ended> {
  const listed = await listPage(run, labelOf(run, recovery), recovery.pages.at(-1)?.token);
  if (listed.kind !== "answered") return refusedToken(run, listed);
  run.walkToken = listed.value.nextPageToken;
  if (run.walkToken !== undefined) return undefined;
  return keep(run, walkedOver(recovery, true));
}

/** Publishes the oldest page that is left, oldest message first; after the last one, the end. */
async function publishOldest(run: Run, stored: Recovery): Promise<Ended> {
  const { refusals: _, isAtEdge, ...recovery } = stored;
  const page = recovery.pages.at(-1);
  if (page === undefined) return endRound(run, recovery);
  const labelId = labelOf(run, recovery);
  const { isFailureUnknown } = ageLimit(run, stored);
  const read = await withoutDrafts(run, () => readPage(run, labelId, page), isFailureUnknown);
  if (read.kind !== "answered") {
    const isOfToken = read.kind === "failed" && read.failure.kind === "bad_request";
    return isOfToken ? refusedToken(run, read) : refusedStep(run, stored, read);
  }
  const { messages, decided } = read.value;
  const young: Answer<readonly HistoryMessage[]> =
    isAtEdge === true
      ? await sinceConnected(run, stored, messages)
      : { kind: "answered", value: messages };
  if (young.kind !== "answered") return refusedStep(run, stored, young);
  const failed = await publish(run, toChanges(run, recovery, young.value));
  if (failed !== undefined) return failed;
  const edge = [page.firstMessageId, ...messages.map(({ id }) => id)];
  return keep(run, {
    ...recovery,
    pages: recovery.pages.slice(0, -1),
    toldUpTo: [...new Set(edge)].slice(0, TOLD_MAX),
    untold: (recovery.untold ?? []).filter((id) => !decided.has(id)),
  });
}

/** Oldest first, as `messages.list` names the newest first. */
function toChanges(run: Run, recovery: Recovery, messages: readonly HistoryMessage[]): Change[] {
  const labelId = labelOf(run, recovery);
  return messages.toReversed().map(({ id: messageId, threadId }) => ({
    kind: "added",
    historyId: recovery.toHistoryId,
    messageId,
    ...(threadId !== undefined && { threadId }),
    labelIds: labelId === undefined ? [] : [labelId],
    recovered: true,
  }));
}

/**
 * Nothing that was there before the mailbox was connected is told as added. Only the page at the
 * edge of what is told can hold it: an old message above a young one has arrived out of order.
 */
async function sinceConnected(
  run: Run,
  recovery: Recovery,
  messages: readonly HistoryMessage[],
): Promise<Answer<readonly HistoryMessage[]>> {
  const limit = ageLimit(run, recovery);
  const isBoundary = limit.earliest.getTime() === run.user.connectedAt?.getTime();
  return isBoundary ? withoutOld(run, messages, limit) : { kind: "answered", value: messages };
}

function ageLimit(run: Run, { since, refusals = 0 }: Recovery): AgeLimit {
  return {
    earliest: earliestOf(since, MARGIN_MS, run.user.connectedAt),
    isFailureUnknown: refusals >= REFUSALS_MAX,
  };
}

/** Nothing noted is left: the next round, the next watched label, or the second pass. */
function endRound(run: Run, { unnoted = 0, ...recovery }: Recovery): Promise<Ended> {
  if (unnoted === 0) return endListing(run, recovery);
  run.walkToken = undefined;
  return keep(run, { ...recovery, isWalked: false });
}

function endListing(run: Run, { toldUpTo: _, ...recovery }: Recovery): Promise<Ended> {
  run.walkToken = undefined;
  const listing = recovery.listing + 1;
  const isLast = listing >= run.context.config.gmail.watchLabelIds.length;
  return isLast
    ? keep(run, { ...recovery, listing: 0, isTold: true })
    : keep(run, { ...recovery, listing, pages: [], isWalked: false });
}

/**
 * The second pass over one listing. Gmail can show a message seconds after its head told of it: one
 * that came before the pinned head, and showed after the walk had begun, is in no other place.
 */
async function tellLate(run: Run, stored: Recovery): Promise<Ended> {
  const { context } = run;
  const { refusals: _, ...recovery } = stored;
  const { pinnedAt = recovery.since, newest = [], untold = [] } = recovery;
  const waitMs =
    later(pinnedAt, context.config.sync.settleMs).getTime() -
    storeNowAtLeast(run.user, context.clock).getTime();
  if (waitMs > 0) return dueBy(run, later(context.clock.now(), waitMs));

  const labelId = labelOf(run, recovery);
  const limit = ageLimit(run, stored);
  const first = {
    newest: new Set(newest),
    untold: new Set(untold),
    isEnd: (messages: readonly HistoryMessage[]) => isOldPage(run, messages, limit),
  };
  const read = () => readNew(run, labelId, first);
  const late = await withoutDrafts(run, read, limit.isFailureUnknown);
  if (late.kind !== "answered") {
    const isOfLabel = late.kind === "failed" && late.failure.kind === "bad_request";
    return isOfLabel ? refusedListing(run, stored, late) : refusedStep(run, stored, late);
  }
  const failed = await publish(run, toChanges(run, recovery, late.value.messages));
  return failed ?? endLate(run, recovery);
}

/** The next listing's second pass, or the cursor on the pinned head. */
function endLate(run: Run, recovery: Recovery): Promise<Ended> {
  const { context, user } = run;
  const listing = recovery.listing + 1;
  if (listing < context.config.gmail.watchLabelIds.length)
    return keep(run, { ...recovery, listing });
  // After a rewind the ids begin anew: one notified before would make the mailbox deaf.
  const { recovery: _, notifiedHistoryId: __, highestHead: ___, ...sync } = user.sync;
  const { pinnedAt: syncedAt, toHistoryId: historyId } = recovery;
  // What was read after the old cursor lies before the pinned head, or is listed again after it.
  const rewoundAt = recovery.reason === "history_rewound" ? syncedAt : undefined;
  const recent = notifiedAfter(sync, historyId, rewoundAt);
  const told = { ...sync, ...(syncedAt !== undefined && { syncedAt }), recent };
  return write(run, { historyId, sync: { ...told, highestHead: historyId } });
}

type Refused = Exclude<Answer<unknown>, { kind: "answered" }>;

/** The first page of a listing is refused: a label that the mailbox does not have is left out. */
async function refusedListing(run: Run, recovery: Recovery, refused: Refused): Promise<Ended> {
  const { context, user } = run;
  const labelId = labelOf(run, recovery);
  const isBad = refused.kind === "failed" && refused.failure.kind === "bad_request";
  if (!isBad || labelId === undefined) return endOf(run, refused);
  const isUnknown =
    refused.failure.kind === "bad_request" && refused.failure.reason === "invalid_label";
  if (!isUnknown && (recovery.refusals ?? 0) < REFUSALS_MAX) {
    return refusedStep(run, recovery, refused);
  }
  context.log.error(
    "label_left_out",
    "Gmail rejects the list of a watched label; the recovery leaves it out",
    {
      userId: user.id,
      labelId,
    },
  );
  const { refusals: _, ...rest } = recovery;
  return rest.isTold === true ? endLate(run, rest) : endListing(run, { ...rest, pages: [] });
}

/**
 * Google refuses a page token, which may live for an hour only: the walk begins again, later, and
 * ends where the told messages begin.
 */
async function refusedToken(run: Run, refused: Refused): Promise<Ended> {
  const { recovery } = run.user.sync;
  const isBad = refused.kind === "failed" && refused.failure.kind === "bad_request";
  if (!isBad || recovery === undefined) return endOf(run, refused);
  run.walkToken = undefined;
  const { unnoted: _, oldPages: __, isAtEdge: ___, ...rest } = recovery;
  const failed = await keep(run, { ...rest, pages: [], isWalked: false });
  return (
    failed ?? giveUp(run, { kind: "transient", reason: "page_token_refused" }, "messages.list")
  );
}

/** Counts the refusals of one step, since one message or one label must not hold up a mailbox. */
async function refusedStep(run: Run, recovery: Recovery, refused: Refused): Promise<Ended> {
  const isCounted = refused.kind === "failed" && isOfOneItem(refused);
  if (!isCounted) return endOf(run, refused);
  const failed = await keep(run, { ...recovery, refusals: (recovery.refusals ?? 0) + 1 });
  return failed ?? giveUp(run, refused.failure, refused.call);
}

/** Gmail can also forbid a single message: whether it forbids the mailbox shows in other calls. */
function isOfOneItem({ failure, call }: Extract<Refused, { kind: "failed" }>): boolean {
  const { kind } = failure;
  const isForbidden = kind === "refused" && call === "messages.get";
  return kind === "transient" || kind === "bad_request" || isForbidden;
}

function labelOf({ context }: Run, { listing }: Recovery): string | undefined {
  return context.config.gmail.watchLabelIds[listing];
}

async function publish(run: Run, events: readonly (Change | Gap)[]): Promise<Ended> {
  if (events.length === 0) return undefined;
  const { user } = run;
  const isMine = (await isCurrent(run)) && !isMoved(user, run.user);
  if (!isMine) return { kind: "superseded", changes: run.changes };
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

function keep(run: Run, recovery: Recovery): Promise<Ended> {
  return write(run, { sync: { ...run.user.sync, recovery } });
}

/** Refused: somebody else is at it, or at work on the document. What they stored says how far. */
async function write(run: Run, patch: UserPatch): Promise<Ended> {
  const { context, user, changes } = run;
  const kept = storedChanges(user, run.unkept, context);
  const sync = accounted(user.sync, patch.sync ?? user.sync, storeNow(user, context.clock));
  // Kept before: history may have kept more of the same message, with its labels.
  const isKept = kept.length === 0 || (await context.users.keepMissing(user, kept)) === "written";
  const written = isKept
    ? await context.users.update(user, { ...patch, sync, ...keptToken(run) })
    : "refused";
  if (written === "written") run.unkept = [];
  // A page that was not noted is walked over again.
  else run.walkToken = undefined;
  if (!(await reread(run))) return { kind: "superseded", changes };
  if (written === "refused" && isMoved(user, run.user)) return { kind: "superseded", changes };
  return undefined;
}

/** Another run has gone on with this recovery, or has begun or ended one. */
function isMoved({ historyId, sync }: User, stored: User): boolean {
  const progress = ({ recovery }: User["sync"]) => {
    if (recovery === undefined) return undefined;
    const { listing, pages, unnoted, isWalked, isTold, toldUpTo } = recovery;
    return JSON.stringify([listing, pages.length, unnoted, isWalked, isTold, toldUpTo]);
  };
  return stored.historyId !== historyId || progress(stored.sync) !== progress(sync);
}

function endOf(run: Run, answer: Exclude<Answer<unknown>, { kind: "answered" }>): Promise<Ended> {
  return answer.kind === "failed"
    ? giveUp(run, answer.failure, answer.call)
    : Promise.resolve({ kind: "superseded", changes: run.changes });
}
