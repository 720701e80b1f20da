import { later } from "../clock.ts";
import type { Failure } from "../google/failure.ts";
import type { Recovery, User, UserPatch, WalkedPage } from "../user.ts";
import type { Answer } from "./access.ts";
import { type Change, type Gap, PublishFailure } from "./event.ts";
import type { ExpiredCursor } from "./expiry.ts";
import type { HistoryMessage, MessagePage } from "./history.ts";
import {
  type Run,
  type SyncOutcome,
  giveUp,
  isOver,
  keptToken,
  reread,
  unfinished,
  waitUntil,
} from "./sync-run.ts";

/** Listed again from before the last sync: clocks differ, and mail is dated before it arrives. */
const MARGIN_MS = 3_600_000;
/** Half a million messages; a gap names what is older. */
const WALKED_PAGES_MAX = 1_000;
/** How far a page is looked for when mail has arrived since the walk: ten thousand messages. */
const SHIFTED_PAGES_MAX = 20;
/** Messages asked for their date before a page counts as undated. */
const DATED_MESSAGES_MAX = 5;
/** Pages of drafts to leave out. */
const DRAFT_PAGES_MAX = 10;

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
  const { services, access, user } = run;
  const { recoveries } = user.sync;
  const now = services.clock.now();
  const until = recoveries && later(recoveries.at, pauseMs(recoveries.count));
  // Not past the pause itself, wherever the clock was that wrote the time.
  if (until !== undefined && until > now) {
    return waitUntil(run, earlier(until, later(now, pauseMs(recoveries?.count ?? 0))));
  }

  const answer = await access.call("users.getProfile", (token) => services.getHead(token));
  if (answer.kind !== "answered") return endOf(run, answer);
  const to = answer.value;
  const begun = { count: (recoveries?.count ?? 0) + 1, at: now };
  if (to === from) {
    // Gmail refuses its own head. Nothing has happened since the cursor, so there is no gap.
    services.log.error("history_head_refused", "Gmail refuses the head of a mailbox's history", {
      userId: user.id,
      fromHistoryId: from,
      retries: begun.count,
    });
    const refused = await write(run, { sync: { ...user.sync, recoveries: begun } });
    return refused ?? waitUntil(run, later(now, pauseMs(begun.count)));
  }
  const recovery: Recovery = {
    fromHistoryId: from,
    toHistoryId: to,
    reason,
    since: user.sync.syncedAt ?? user.grant.grantedAt,
    listing: 0,
    pages: [],
    isWalked: false,
  };
  services.log.error("history_gap", "Gmail no longer keeps the history after the cursor", {
    userId: user.id,
    fromHistoryId: from,
    toHistoryId: recovery.toHistoryId,
    reason,
  });
  // Due, so that another run goes on should this one die.
  const dueAt = later(now, services.limits.timeMsMax);
  return write(run, {
    sync: { ...user.sync, recovery, recoveries: begun, dueAt, dueReason: "unfinished" },
  });
}

function pauseMs(recoveries: number): number {
  return PAUSES_MS[Math.min(recoveries, PAUSES_MS.length) - 1] ?? 0;
}

function earlier(a: Date, b: Date): Date {
  return a < b ? a : b;
}

/**
 * Makes an expired history good, from wherever it stands: tells the gap, walks over the mailbox
 * from the newest message to the last sync, publishes what it found from the oldest on, and only
 * then sets the cursor to the pinned head. Bounded in pages and time; what is left is due.
 */
export async function recover(run: Run, recovery: Recovery): Promise<Ended> {
  const { services, user } = run;
  if (recovery.pages.length === 0 && !recovery.isWalked) {
    const { fromHistoryId, toHistoryId, since, reason } = recovery;
    const incomplete = ["deletions", "labels", "imports"] as const;
    const gap: Gap = { kind: "gap", fromHistoryId, toHistoryId, since, reason, incomplete };
    const failed = await publish(run, [gap]);
    if (failed !== undefined) return failed;
  }
  for (let current: Recovery | undefined = recovery; current !== undefined;) {
    if (isOver(run)) return unfinished(run);
    const failed = await (current.isWalked ? publishOldest(run, current) : walkOn(run, current));
    if (failed !== undefined) return failed;
    current = run.user.sync.recovery;
  }
  services.log.info("history_recovered", "an expired history has been made good", {
    userId: user.id,
    toHistoryId: recovery.toHistoryId,
  });
  return undefined;
}

/** One step of the walk: notes a page, and whether what is older has been told before. */
async function walkOn(run: Run, recovery: Recovery): Promise<Ended> {
  const { services, access } = run;
  const { pages } = recovery;
  const token = run.walkToken;
  if (pages.length > 0 && token === undefined) return findWalkToken(run, recovery);

  const labelId = labelOf(run, recovery);
  const listed = await access.call("messages.list", (bearer) =>
    services.listMessages(bearer, { token, labelId }),
  );
  if (listed.kind === "failed" && listed.failure.kind === "bad_request") return startAnew(run);
  if (listed.kind !== "answered") return endOf(run, listed);
  run.pages += 1;
  const { messages, nextPageToken } = listed.value;
  const isOld = await isBefore(run, messages, later(recovery.since, -MARGIN_MS));
  if (isOld.kind !== "answered") return endOf(run, isOld);

  const [first] = messages;
  const page: WalkedPage[] =
    first === undefined
      ? []
      : [{ firstMessageId: first.id, ...(token !== undefined && { token }) }];
  run.walkToken = nextPageToken;
  const isWalked =
    isOld.value || nextPageToken === undefined || pages.length + 1 >= WALKED_PAGES_MAX;
  return keep(run, { ...recovery, pages: [...pages, ...page], isWalked });
}

/** In a later run: the token that leads on from the last page that was noted. */
async function findWalkToken(run: Run, recovery: Recovery): Promise<Ended> {
  const { services, access } = run;
  const token = recovery.pages.at(-1)?.token;
  const labelId = labelOf(run, recovery);
  const listed = await access.call("messages.list", (bearer) =>
    services.listMessages(bearer, { token, labelId }),
  );
  if (listed.kind === "failed" && listed.failure.kind === "bad_request") return startAnew(run);
  if (listed.kind !== "answered") return endOf(run, listed);
  run.walkToken = listed.value.nextPageToken;
  if (run.walkToken !== undefined) return undefined;
  return keep(run, { ...recovery, isWalked: true });
}

/** Google refuses a page token: the walk begins again. What was published stays published. */
async function startAnew(run: Run): Promise<Ended> {
  const { recovery } = run.user.sync;
  run.walkToken = undefined;
  if (recovery === undefined) return undefined;
  if (recovery.pages.length === 0) {
    return giveUp(run, { kind: "bad_request", reason: "messages_list" });
  }
  return keep(run, { ...recovery, pages: [], isWalked: false });
}

/** Publishes the oldest page that is left, oldest message first; after the last one, the end. */
async function publishOldest(run: Run, recovery: Recovery): Promise<Ended> {
  const page = recovery.pages.at(-1);
  if (page === undefined) return endListing(run, recovery);
  const messages = await readWithoutDrafts(run, recovery, page);
  if (messages.kind === "failed" && messages.failure.kind === "bad_request") return startAnew(run);
  if (messages.kind !== "answered") return endOf(run, messages);

  const labelId = labelOf(run, recovery);
  const changes = messages.value.toReversed().map(({ id: messageId, threadId }): Change => ({
    kind: "added",
    historyId: recovery.toHistoryId,
    messageId,
    threadId,
    labelIds: labelId === undefined ? [] : [labelId],
    recovered: true,
  }));
  const failed = await publish(run, changes);
  if (failed !== undefined) return failed;
  return keep(run, { ...recovery, pages: recovery.pages.slice(0, -1) });
}

/**
 * A page without its drafts, which can only be known by their ids: a list of messages does not say
 * what labels they carry, and every autosave puts a new message in the place of the old one. So the
 * drafts are listed between two readings of the page. What is on both readings was there in between,
 * among the drafts if it was one. What is on one of them only has come or gone since the head was
 * pinned, and the history after that tells of it. A draft gets through where Gmail's lists of one
 * mailbox lag behind each other, or beyond the pages of drafts that are read.
 */
async function readWithoutDrafts(
  run: Run,
  recovery: Recovery,
  page: WalkedPage,
): Promise<Answer<HistoryMessage[]>> {
  const before = await readPage(run, recovery, page);
  if (before.kind !== "answered" || before.value.length === 0) return before;
  if (run.services.changeFilter.publishDrafts) return before;
  const drafts = await readDrafts(run);
  if (drafts.kind !== "answered") return drafts;
  const after = await readPage(run, recovery, page);
  if (after.kind !== "answered") return after;
  const present = new Set(after.value.map(({ id }) => id));
  const messages = before.value.filter(({ id }) => present.has(id) && !drafts.value.has(id));
  return { kind: "answered", value: messages };
}

/**
 * The messages that a page held when it was walked over. Mail that arrived since has pushed them
 * down, so the message that the page began with is looked for, and the page after it is read too.
 * What is newer is on another page of the walk, or history tells of it after the pinned head. When
 * that message is gone, everything that was read is told: some too many do no harm.
 */
async function readPage(
  run: Run,
  recovery: Recovery,
  page: WalkedPage,
): Promise<Answer<HistoryMessage[]>> {
  const { services, access } = run;
  const labelId = labelOf(run, recovery);
  const messages: HistoryMessage[] = [];
  let token = page.token;
  let first = -1;
  for (let pages = 0; pages <= SHIFTED_PAGES_MAX; pages++) {
    const listed: Answer<MessagePage> = await access.call("messages.list", (bearer) =>
      services.listMessages(bearer, { token, labelId }),
    );
    if (listed.kind !== "answered") return listed;
    run.pages += 1;
    const known = new Set(messages.map(({ id }) => id));
    messages.push(...listed.value.messages.filter(({ id }) => !known.has(id)));
    token = listed.value.nextPageToken;
    const isThrough = first >= 0;
    first = messages.findIndex(({ id }) => id === page.firstMessageId);
    if (isThrough || first === 0 || token === undefined) break;
  }
  return { kind: "answered", value: messages.slice(Math.max(first, 0)) };
}

async function readDrafts(run: Run): Promise<Answer<ReadonlySet<string>>> {
  const { services, access } = run;
  const drafts = new Set<string>();
  let token: string | undefined;
  for (let pages = 0; pages < DRAFT_PAGES_MAX; pages++) {
    const listed: Answer<MessagePage> = await access.call("messages.list", (bearer) =>
      services.listMessages(bearer, { token, labelId: "DRAFT" }),
    );
    if (listed.kind !== "answered") return listed;
    for (const { id } of listed.value.messages) drafts.add(id);
    token = listed.value.nextPageToken;
    if (token === undefined) break;
  }
  return { kind: "answered", value: drafts };
}

/** The end of one listing: the next watched label, or the cursor on the pinned head. */
async function endListing(run: Run, recovery: Recovery): Promise<Ended> {
  const { services, user } = run;
  const listing = recovery.listing + 1;
  if (listing < services.changeFilter.labelIds.length) {
    run.walkToken = undefined;
    return keep(run, { ...recovery, listing, pages: [], isWalked: false });
  }
  // After a rewind the ids begin anew: one notified before would make the mailbox deaf.
  const { recovery: _, notifiedHistoryId: __, ...sync } = user.sync;
  // What was read after the old cursor lies before the pinned head, or is listed again after it.
  return write(run, { historyId: recovery.toHistoryId, sync: { ...sync, recent: [] } });
}

function labelOf({ services }: Run, { listing }: Recovery): string | undefined {
  return services.changeFilter.labelIds[listing];
}

/** Whether the last message of a page that exists, and has a date, is older than `date`. */
async function isBefore(
  run: Run,
  messages: readonly HistoryMessage[],
  date: Date,
): Promise<Answer<boolean>> {
  const { services, access, user } = run;
  for (const { id: messageId } of messages.slice(-DATED_MESSAGES_MAX).toReversed()) {
    const dated = await access.call("messages.get", (bearer) =>
      services.getInternalDate(bearer, messageId),
    );
    if (dated.kind === "answered") return { kind: "answered", value: dated.value < date };
    if (dated.kind === "superseded") return dated;
    const { failure } = dated;
    if (isMalformed(failure)) {
      // Asked about for ever, one message would hold up the whole mailbox.
      services.log.error("message_date_unreadable", "a message has no date that can be read", {
        userId: user.id,
        messageId,
      });
    } else if (failure.kind !== "gone") return dated;
  }
  return { kind: "answered", value: false };
}

/** Google has answered, with what is no answer: that is not a matter of time. */
function isMalformed(failure: Failure): boolean {
  return failure.kind === "transient" && failure.reason === "malformed_answer";
}

async function publish(run: Run, events: readonly (Change | Gap)[]): Promise<Ended> {
  if (events.length === 0) return undefined;
  try {
    await run.services.publish(run.user, events);
  } catch (error) {
    if (!(error instanceof PublishFailure)) throw error;
    return giveUp(run, { kind: error.kind, reason: error.reason });
  }
  run.changes += events.length;
  run.unkept.push(...events);
  return undefined;
}

function keep(run: Run, recovery: Recovery): Promise<Ended> {
  return write(run, { sync: { ...run.user.sync, recovery } });
}

/** Refused: somebody else is at it, or at work on the document. What they stored says how far. */
async function write(run: Run, patch: UserPatch): Promise<Ended> {
  const { services, user, changes } = run;
  const kept = services.toStoredChanges(user, run.unkept);
  const written = await services.users.update(user, { ...patch, ...keptToken(run) }, kept);
  if (written === "written") run.unkept = [];
  // A page that was not noted is walked over again.
  else run.walkToken = undefined;
  const isCurrent = await reread(run);
  if (!isCurrent) return { kind: "superseded", changes };
  if (written === "refused" && isMoved(user, run.user)) return { kind: "superseded", changes };
  return undefined;
}

/** Another run has gone on with this recovery, or has begun or ended one. */
function isMoved({ historyId, sync }: User, stored: User): boolean {
  const progress = ({ recovery }: User["sync"]) =>
    recovery && `${recovery.listing} ${recovery.pages.length} ${String(recovery.isWalked)}`;
  return stored.historyId !== historyId || progress(stored.sync) !== progress(sync);
}

function endOf(run: Run, answer: Exclude<Answer<unknown>, { kind: "answered" }>): Promise<Ended> {
  return answer.kind === "failed"
    ? giveUp(run, answer.failure)
    : Promise.resolve({ kind: "superseded", changes: run.changes });
}
