import type { Answer } from "../domain/access.ts";
import type { Change, Gap } from "../domain/events.ts";
import type { HistoryMessage } from "../domain/history.ts";
import type { Recovery, User, UserPatch, WalkedPage } from "../domain/user.ts";
import { type AgeLimit, earliestOf } from "./message-ages.ts";
import { notifiedAfter } from "./settling.ts";

/*
 * The steps of a recovery, without their effects: from what is stored of it and what Gmail has
 * answered, they say what is stored next. The phases follow each other for each watched label:
 *
 *   gap -> walk -> publish -> (the next round: walk) -> (the next label: walk) -> late -> done
 */

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

/** What a recovery does next. */
export type Phase =
  /** Publishes the gap, and notes that it did. */
  | "gap"
  /** Walks over the pages of a listing, from the newest to what was published before. */
  | "walk"
  /** Publishes the pages that were walked over, from the oldest. */
  | "publish"
  /** Looks once more at the first pages, for what Gmail's index has shown late. */
  | "late";

/** The phase of a stored recovery. The gap is published before the first page: once, or after a crash again. */
export function phaseOf({ listing, pages, newest, isWalked, isTold }: Recovery): Phase {
  if (isTold === true) return "late";
  if (isWalked) return "publish";
  const isStarted = listing > 0 || pages.length > 0 || newest !== undefined;
  return isStarted ? "walk" : "gap";
}

/** The gap of a recovery: what it makes good of it is published as recovered changes. */
export function gapOf({ fromHistoryId, toHistoryId, since, reason }: Recovery): Gap {
  const incomplete = ["deletions", "labels", "imports"] as const;
  return { kind: "gap", fromHistoryId, toHistoryId, since, reason, incomplete };
}

/** Which messages a recovery leaves out for their age. */
export function ageLimitOf({ since, refusals = 0 }: Recovery, { connectedAt }: User): AgeLimit {
  return {
    earliest: earliestOf(since, MARGIN_MS, connectedAt),
    isFailureUnknown: refusals >= REFUSALS_MAX,
  };
}

/** A page that was walked over, as Gmail answered it. */
export interface WalkedAnswer {
  messages: readonly HistoryMessage[];
  /** With which it was asked for; absent for the first page. */
  token: string | undefined;
  nextPageToken: string | undefined;
  /** The index of the first message that was published before; -1 where there is none. */
  told: number;
  /** Nothing but old messages are on it. */
  isOld: boolean;
}

/** The index of the first message that was published before this walk; -1 where there is none. */
export function indexOfTold({ toldUpTo = [] }: Recovery, messages: readonly HistoryMessage[]) {
  return messages.findIndex(({ id }) => toldUpTo.includes(id));
}

/** Notes a page of the walk, and whether the walk ends with it. `labels`: how many are watched. */
export function afterWalkedPage(
  { refusals: _, ...recovery }: Recovery,
  { messages, token, nextPageToken, told, isOld }: WalkedAnswer,
  labels: number,
): Recovery {
  const { pages, unnoted = 0, oldPages = 0, untold = [] } = recovery;
  const [first] = messages;
  // A page that begins with what has been told holds nothing else.
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
    // A page of old messages has been told before.
    untold: [...untold, ...(isOld ? [] : newest.slice(recovery.newest?.length ?? 0))],
    // An empty page says nothing of either kind.
    oldPages: isOld ? oldPages + 1 : first === undefined ? oldPages : 0,
  };
  const isEnd =
    told >= 0 ||
    walked.oldPages >= OLD_PAGES ||
    nextPageToken === undefined ||
    walked.unnoted + noted.length >= WALKED_PAGES_MAX;
  return isEnd ? walkedOver(walked, told < 0) : walked;
}

/** The end of a walk. The pages of nothing but old messages that it ended with were told before. */
export function walkedOver({ oldPages = 0, ...recovery }: Recovery, isAtEdge: boolean): Recovery {
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
  { newest = [], listing }: Recovery,
  messages: readonly HistoryMessage[],
  labels: number,
): string[] {
  const each = Math.min(NEWEST_MAX, Math.floor(NEWEST_MAX_ALL / Math.max(labels, 1)));
  const room = Math.max(each * (listing + 1) - newest.length, 0);
  const known = new Set(newest);
  const more = messages.map(({ id }) => id).filter((id) => !known.has(id));
  return [...newest, ...more.slice(0, room)];
}

/** The oldest page is published: `messages` of it, after everything in `decided` was decided on. */
export function afterPublishedPage(
  { refusals: _, isAtEdge: __, ...recovery }: Recovery,
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

/** Nothing noted is left to publish: the next round, the next watched label, or the last phase. */
export function afterLastPage(
  { refusals: _, isAtEdge: __, ...recovery }: Recovery,
  labels: number,
): Recovery {
  const { unnoted = 0, ...rest } = recovery;
  return unnoted > 0 ? { ...rest, isWalked: false } : afterListing(rest, labels);
}

/** One listing is through. */
function afterListing({ toldUpTo: _, ...recovery }: Recovery, labels: number): Recovery {
  const listing = recovery.listing + 1;
  return listing >= labels
    ? { ...recovery, listing: 0, isTold: true }
    : { ...recovery, listing, pages: [], isWalked: false };
}

/** The next listing's last phase; `undefined` when the recovery is complete. */
export function afterLate(
  { refusals: _, ...recovery }: Recovery,
  labels: number,
): Recovery | undefined {
  const listing = recovery.listing + 1;
  return listing < labels ? { ...recovery, listing } : undefined;
}

/** A recovery is complete: the cursor stands on the head that was pinned before its gap. */
export function afterRecovery({ sync: stored }: User, recovery: Recovery): UserPatch {
  // After a rewind the ids begin anew: one notified before would make the mailbox deaf.
  const { recovery: _, notifiedHistoryId: __, highestHead: ___, ...sync } = stored;
  const { pinnedAt: syncedAt, toHistoryId: historyId } = recovery;
  // What was read after the old cursor lies before the pinned head, or is listed again after it.
  const rewoundAt = recovery.reason === "history_rewound" ? syncedAt : undefined;
  const recent = notifiedAfter(sync, historyId, rewoundAt);
  const told = { ...sync, ...(syncedAt !== undefined && { syncedAt }), recent };
  return { historyId, sync: { ...told, highestHead: historyId } };
}

/** Gmail rejects the list of the watched label that is under way: it is left out. */
export function withoutLabel(
  { refusals: _, ...recovery }: Recovery,
  labels: number,
): Recovery | undefined {
  if (phaseOf(recovery) === "late") return afterLate(recovery, labels);
  return afterListing({ ...recovery, pages: [] }, labels);
}

/** Gmail rejects a page token: the walk begins again, and ends where the published messages begin. */
export function afterRefusedToken({
  unnoted: _,
  oldPages: __,
  isAtEdge: ___,
  ...rest
}: Recovery): Recovery {
  return { ...rest, pages: [], isWalked: false };
}

/** The same step was refused once more. */
export function afterRefusal(recovery: Recovery): Recovery {
  return { ...recovery, refusals: (recovery.refusals ?? 0) + 1 };
}

/** Whether a step was refused often enough to be passed over. */
export function isRefusedForGood({ refusals = 0 }: Recovery): boolean {
  return refusals >= REFUSALS_MAX;
}

/** A call of a recovery that was not answered. */
export type Unanswered = Exclude<Answer<unknown>, { kind: "answered" }>;

/** Gmail can also forbid a single message: whether it forbids the mailbox shows in other calls. */
export function isOfOneItem({ failure, call }: Extract<Unanswered, { kind: "failed" }>): boolean {
  const { kind } = failure;
  const isForbidden = kind === "refused" && call === "messages.get";
  return kind === "transient" || kind === "bad_request" || isForbidden;
}

/** Oldest first, as `messages.list` names the newest first. */
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

/** Another run has gone on with this recovery, or has begun or ended one. */
export function isMoved({ historyId, sync }: User, stored: User): boolean {
  const progress = ({ recovery }: User["sync"]) => {
    if (recovery === undefined) return undefined;
    const { listing, pages, unnoted, isWalked, isTold, toldUpTo } = recovery;
    return JSON.stringify([listing, pages.length, unnoted, isWalked, isTold, toldUpTo]);
  };
  return stored.historyId !== historyId || progress(stored.sync) !== progress(sync);
}
