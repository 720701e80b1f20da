import { later } from "../domain/clock.ts";
import type { Change, Gap } from "../domain/events.ts";
import type { FailedCall } from "../domain/failure.ts";
import type { HistoryMessage } from "../domain/history.ts";
import type { Recovery, User, UserPatch, WalkedPage } from "../domain/user.ts";
import type { AgeLimit } from "./message-ages.ts";
import { notifiedAfter } from "./settling.ts";

/*
 * The steps of a recovery, without their effects: from what is stored of it and what Gmail has
 * answered, they say what is stored next. The phases follow each other for each watched label:
 *
 *   gap -> walk -> publish -> (the next round: walk) -> (the next label: walk) -> late -> done
 */

/**
 * How far before the last sync messages are listed: clocks differ, mail is dated before it arrives,
 * and Gmail's lists have been seen seven hours out of order.
 */
const MARGIN_MS = 24 * 3_600_000;
/** Consecutive pages with only old messages, after which the scan ends. */
const OLD_PAGES = 2;
/** Half a million messages; a gap names what is older. */
const WALKED_PAGES_MAX = 1_000;
/** The maximum size of the stored pages of a scan: a document has a million bytes in all. */
const NOTED_BYTES_MAX = 200_000;
/** The size of one stored page besides its token and its message's id. */
const NOTED_PAGE_BYTES = 50;
/**
 * Newest messages remembered for the second pass, of all listings together: more than arrive while
 * Gmail's index is behind.
 */
const NEWEST_MAX = 2_000;
/** Messages remembered where the published ones begin: any of them may be deleted. */
const TOLD_MAX = 5;
/** Consecutive rejections of one step, each in a run of its own, before it is skipped. */
const REFUSALS_MAX = 3;

/** The next step of a recovery. */
export type Phase =
  /** Publishes the gap, and records that. */
  | "gap"
  /** Scans the pages of a listing, from the newest to what was published before. */
  | "walk"
  /** Publishes the scanned pages, from the oldest. */
  | "publish"
  /** Scans the first pages once more, for what Gmail's index has shown late. */
  | "late";

/**
 * Returns the phase of a stored recovery. The gap is published before the first page: once, or
 * again after a crash.
 */
export function phaseOf({ listing, pages, newest, isWalked, isTold }: Recovery): Phase {
  if (isTold === true) return "late";
  if (isWalked) return "publish";
  const isStarted = listing > 0 || pages.length > 0 || newest !== undefined;
  return isStarted ? "walk" : "gap";
}

/** Returns the gap of a recovery; the recovered changes follow it. */
export function gapOf({ fromHistoryId, toHistoryId, since, reason }: Recovery): Gap {
  const incomplete = ["deletions", "labels", "imports"] as const;
  return { kind: "gap", fromHistoryId, toHistoryId, since, reason, incomplete };
}

/** Returns which messages end the scan of a recovery because of their age. */
export function scanLimitOf({ since, refusals = 0 }: Recovery): AgeLimit {
  return { earliest: later(since, -MARGIN_MS), isFailureUnknown: refusals >= REFUSALS_MAX };
}

/**
 * Returns which messages a recovery leaves out: those from before the mailbox was connected.
 * `undefined` where the scan does not reach back so far.
 */
export function connectionLimitOf(recovery: Recovery, { connectedAt }: User): AgeLimit | undefined {
  const limit = scanLimitOf(recovery);
  const isReached = connectedAt !== undefined && connectedAt > limit.earliest;
  return isReached ? { ...limit, earliest: connectedAt } : undefined;
}

/** A scanned page, as Gmail returned it. */
export interface WalkedAnswer {
  messages: readonly HistoryMessage[];
  /** The token of the request; absent for the first page. */
  token: string | undefined;
  nextPageToken: string | undefined;
  /** The index of the first message that was published before; -1 if there is none. */
  told: number;
  /** The page contains only old messages. */
  isOld: boolean;
}

/**
 * Returns the index of the first message that was published before this scan; -1 if there is none.
 */
export function indexOfTold({ toldUpTo = [] }: Recovery, messages: readonly HistoryMessage[]) {
  return messages.findIndex(({ id }) => toldUpTo.includes(id));
}

/** Records a scanned page, and whether the scan ends with it. `labels`: how many are watched. */
export function afterWalkedPage(
  { refusals: _, ...recovery }: Recovery,
  { messages, token, nextPageToken, told, isOld }: WalkedAnswer,
  labels: number,
): Recovery {
  const { pages, unnoted = 0, oldPages = 0, untold = [] } = recovery;
  const [first] = messages;
  // A page that begins with published messages contains nothing else.
  const page: WalkedPage[] =
    first === undefined || told === 0
      ? []
      : [{ firstMessageId: first.id, ...(token !== undefined && { token }) }];
  const noted = newestDropped([...pages, ...page]);
  const newest = withNewest(recovery, messages, labels);
  const walked = {
    ...recovery,
    pages: noted,
    unnoted: unnoted + pages.length + page.length - noted.length,
    newest,
    // A page of old messages was published before.
    untold: [...untold, ...(isOld ? [] : newest.slice(recovery.newest?.length ?? 0))],
    // An empty page says neither.
    oldPages: isOld ? oldPages + 1 : first === undefined ? oldPages : 0,
  };
  const isEnd =
    told >= 0 ||
    walked.oldPages >= OLD_PAGES ||
    nextPageToken === undefined ||
    walked.unnoted + noted.length >= WALKED_PAGES_MAX;
  return isEnd ? walkedOver(walked) : walked;
}

/** Ends a scan. Its last pages, with only old messages, were published before. */
export function walkedOver({ oldPages = 0, ...recovery }: Recovery): Recovery {
  const { pages } = recovery;
  return { ...recovery, pages: pages.slice(0, pages.length - oldPages), isWalked: true };
}

/** Keeps as many of the oldest pages as can be stored. Another round scans the newer ones. */
function newestDropped(pages: readonly WalkedPage[]): WalkedPage[] {
  let bytes = 0;
  const first = pages.findLastIndex(({ token = "", firstMessageId }) => {
    bytes += token.length + firstMessageId.length + NOTED_PAGE_BYTES;
    return bytes > NOTED_BYTES_MAX;
  });
  // Dropping old pages at the end must leave something to publish.
  return pages.slice(Math.min(first + 1, Math.max(pages.length - OLD_PAGES - 1, 0)));
}

/** Returns the ids at the start of each listing's scan, up to its share of {@link NEWEST_MAX}. */
function withNewest(
  { newest = [], listing }: Recovery,
  messages: readonly HistoryMessage[],
  labels: number,
): string[] {
  const each = Math.floor(NEWEST_MAX / Math.max(labels, 1));
  const room = Math.max(each * (listing + 1) - newest.length, 0);
  const known = new Set(newest);
  const more = messages.map(({ id }) => id).filter((id) => !known.has(id));
  return [...newest, ...more.slice(0, room)];
}

/**
 * Records that the oldest page is published: `messages` of it, after everything in `decided` was
 * decided on.
 */
export function afterPublishedPage(
  { refusals: _, ...recovery }: Recovery,
  page: WalkedPage,
  messages: readonly HistoryMessage[],
  decided: ReadonlySet<string>,
): Recovery {
  const edge = [page.firstMessageId, ...messages.map(({ id }) => id)];
  return {
    ...recovery,
    pages: recovery.pages.slice(0, -1),
    toldUpTo: [...new Set(edge)].slice(0, TOLD_MAX),
    untold: (recovery.untold ?? []).filter((id) => !decided.has(id)),
  };
}

/**
 * Continues when no stored page is left to publish: the next round, the next watched label, or the
 * last phase.
 */
export function afterLastPage({ refusals: _, ...recovery }: Recovery, labels: number): Recovery {
  const { unnoted = 0, ...rest } = recovery;
  return unnoted > 0 ? { ...rest, isWalked: false } : afterListing(rest, labels);
}

/** Ends one listing. */
function afterListing({ toldUpTo: _, ...recovery }: Recovery, labels: number): Recovery {
  const listing = recovery.listing + 1;
  return listing >= labels
    ? { ...recovery, listing: 0, isTold: true }
    : { ...recovery, listing, pages: [], isWalked: false };
}

/** Continues with the next listing's last phase; `undefined` when the recovery is complete. */
export function afterLate(
  { refusals: _, ...recovery }: Recovery,
  labels: number,
): Recovery | undefined {
  const listing = recovery.listing + 1;
  return listing < labels ? { ...recovery, listing } : undefined;
}

/**
 * Returns the change that completes a recovery: the cursor is the head that was pinned before its
 * gap.
 */
export function afterRecovery({ sync: stored }: User, recovery: Recovery): UserPatch {
  // After a rewind the ids start again: an earlier notified id would make later notifications look
  // stale.
  const { recovery: _, notifiedHistoryId: __, highestHead: ___, ...sync } = stored;
  const { pinnedAt: syncedAt, toHistoryId: historyId } = recovery;
  // What was read after the old cursor is before the pinned head, or is listed again after it.
  const rewoundAt = recovery.reason === "history_rewound" ? syncedAt : undefined;
  const recent = notifiedAfter(sync, historyId, rewoundAt);
  const told = { ...sync, ...(syncedAt !== undefined && { syncedAt }), recent };
  return { historyId, sync: { ...told, highestHead: historyId } };
}

/** Leaves out the current watched label, because Gmail rejects its list. */
export function withoutLabel(
  { refusals: _, ...recovery }: Recovery,
  labels: number,
): Recovery | undefined {
  if (phaseOf(recovery) === "late") return afterLate(recovery, labels);
  return afterListing({ ...recovery, pages: [] }, labels);
}

/**
 * Restarts the scan when Gmail rejects a page token; it ends where the published messages begin.
 */
export function afterRefusedToken({ unnoted: _, oldPages: __, ...rest }: Recovery): Recovery {
  return { ...rest, pages: [], isWalked: false };
}

/** Counts one more rejection of the same step. */
export function afterRefusal(recovery: Recovery): Recovery {
  return { ...recovery, refusals: (recovery.refusals ?? 0) + 1 };
}

/** Returns whether a step was rejected often enough to be skipped. */
export function isRefusedForGood({ refusals = 0 }: Recovery): boolean {
  return refusals >= REFUSALS_MAX;
}

/**
 * Returns whether Gmail rejected only one item. It can forbid a single message; other calls show
 * whether it forbids the mailbox.
 */
export function isOfOneItem({ failure, call }: FailedCall): boolean {
  const { kind } = failure;
  const isForbidden = kind === "refused" && call === "messages.get";
  return kind === "transient" || kind === "bad_request" || isForbidden;
}

/** Returns the changes oldest first, although `messages.list` returns the newest first. */
export function toChanges(
  { toHistoryId }: Recovery,
  messages: readonly HistoryMessage[],
  labelId: string | undefined,
): Change[] {
  return messages.toReversed().map(({ id: messageId, threadId }) => ({
    kind: "added",
    historyId: toHistoryId,
    messageId,
    ...(threadId !== undefined && { threadId }),
    labelIds: labelId === undefined ? [] : [labelId],
    recovered: true,
  }));
}

/** Returns whether another run has continued this recovery, or has started or ended one. */
export function isMoved({ historyId, sync }: User, stored: User): boolean {
  const progress = ({ recovery }: User["sync"]) => {
    if (recovery === undefined) return undefined;
    const { listing, pages, unnoted, isWalked, isTold, toldUpTo } = recovery;
    return JSON.stringify([listing, pages.length, unnoted, isWalked, isTold, toldUpTo]);
  };
  return stored.historyId !== historyId || progress(stored.sync) !== progress(sync);
}
