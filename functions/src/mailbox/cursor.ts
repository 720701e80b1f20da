import type { MailboxContext } from "./context.ts";
import { type Clock, later } from "../domain/clock.ts";
import { completeSince } from "../domain/completeness.ts";
import type { Change, Gap } from "../domain/events.ts";
import {
  type ChangeFilter,
  type HistoryRecord,
  countWatched,
  toChanges,
} from "../domain/history.ts";
import { type HistoryId, isAfter, maxHistoryId } from "../domain/history-id.ts";
import {
  type Due,
  type DueContext,
  type Trigger,
  afterListing,
  isNeglected,
  notifiedIds,
} from "../domain/schedule.ts";
import { type Sync, type User, storeNow } from "../domain/user.ts";
import {
  type Progress,
  type Read,
  UNSEEN_HOLD_MS,
  type UnseenRange,
  covers,
  findUnseen,
  heldUntil,
  isOldHead,
  isTracked,
  progressOf,
  readRecords,
  settle,
} from "./settling.ts";

/*
 * The decisions of a sync, without its effects: from what is stored of a mailbox and what Gmail has
 * answered, they say what is published, what is written, and when the mailbox is looked at again.
 */

/** Of a page, so much is published before the next checkpoint; a record is never divided by one. */
const PART_EVENTS = 2_000;
const PART_BYTES = 4_000_000;
/** Between the clocks of two of Google's services. */
const CLOCKS_MS_MAX = 60_000;
/** The first connection becomes active within this time after its cursor was taken. */
const FIRST_CONNECT_MS = 60_000;
/** Longer than anything is remembered. */
const NEVER_MS = 365 * 24 * 3_600_000;

/** Whether a notification is no reason to list: everything that it can announce has been read. */
export function isStale(user: User, trigger: Trigger, clock: Clock): boolean {
  if (trigger.kind !== "notified" || isNeglected(user, clock)) return false;
  return notifiedIds(trigger).every((id) => isKnown(user, id)) && !isLow(user, trigger, clock);
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

/** Which changes are published, as the configuration says. */
export function changeFilterOf({ config }: Pick<MailboxContext, "config">): ChangeFilter {
  return { publishDrafts: config.changes.publishDrafts, labelIds: config.gmail.watchLabelIds };
}

/** A page of `users.history.list`, and how much of it has been planned. */
export interface PageState {
  records: readonly HistoryRecord[];
  /** The first record that is still to be planned. */
  index: number;
  /** The last record before it, of this page or of those before. */
  upTo: HistoryId;
}

/** Whole records of a page: what is published of them before the next checkpoint. */
export interface PagePlan {
  publish: readonly (Change | Gap)[];
  /** The records in it that had not been published. */
  records: readonly HistoryId[];
  /** Those of them that could not be read, each published as a gap. */
  unreadable: readonly HistoryId[];
  /** Changes that the watch covers, so that a notification should have announced them. */
  watchedChanges: number;
  /** The page without these records. */
  rest: PageState;
  /** Nothing of the page is left. */
  isLast: boolean;
}

/** Plans the next part of a page, from what is stored of the mailbox by now. */
export function planPage(
  user: User,
  { records, index, upTo }: PageState,
  filter: ChangeFilter,
): PagePlan {
  const unknown = unknownTo(user, records.slice(index));
  const since = completeSince(user);
  const read = new Set<HistoryId>();
  const unreadable: HistoryId[] = [];
  const events: (Change | Gap)[] = [];
  let bytes = 0;
  let watchedChanges = 0;
  for (; index < records.length && events.length < PART_EVENTS; index++) {
    const record = records[index];
    if (record === undefined || bytes >= PART_BYTES) break;
    if (unknown.has(record.historyId)) {
      for (const event of toChanges(record, upTo, since, filter)) {
        events.push(event);
        bytes += sizeOf(event);
      }
      watchedChanges += countWatched(record, filter);
      if (record.unreadable) unreadable.push(record.historyId);
      read.add(record.historyId);
    }
    upTo = maxHistoryId(upTo, record.historyId);
  }
  return {
    publish: events,
    records: [...read],
    unreadable,
    watchedChanges,
    rest: { records, index, upTo },
    isLast: index >= records.length,
  };
}

/** Records that have not been published: after the cursor, and not among the recent ones. */
export function unknownTo(user: User, records: readonly HistoryRecord[]): Set<HistoryId> {
  const known = readRecords(progressOf(user));
  const ids = records.map(({ historyId }) => historyId);
  return new Set(ids.filter((id) => isAfter(id, user.historyId) && !known.has(id)));
}

/** About as many bytes as the event takes on its way. */
function sizeOf(event: Change | Gap): number {
  const labelIds = "labelIds" in event ? event.labelIds : [];
  return labelIds.reduce((sum, label) => sum + label.length + 3, 500);
}

/** What was read, as the cursor sees it. */
export interface ReadPlan {
  /** What notifications named and no listing has shown. Published before the cursor passes it. */
  gap: Gap | undefined;
  /** Where this takes the stored user. */
  progressFrom(stored: User): Progress;
}

/** Plans the checkpoint of what was read and published. */
export function planRead(user: User, read: Read, trigger: Trigger, settleMs: number): ReadPlan {
  const listed = { ...read, notified: notifiedIds(trigger) };
  const unseen = findUnseen(progressOf(user), listed, settleMs);
  const whole: Read = { ...listed, unseen };
  return {
    gap: unseen && gapOf(unseen),
    progressFrom: (stored) =>
      settle(progressOf(stored), whole, settleMsOf(stored, read.startedAt, settleMs)),
  };
}

function gapOf({ from: fromHistoryId, to: toHistoryId, since }: UnseenRange): Gap {
  return { kind: "gap", fromHistoryId, toHistoryId, since, reason: "notified_unseen" };
}

/**
 * A flagged user's notifications are not written down, and their records may show minutes late. So
 * after the mailbox has become active again nothing settles for as long as the cursor waits for any
 * notified id: each listing starts where the mailbox stood, and finds what shows meanwhile.
 */
function settleMsOf({ statusAt, connectedAt }: User, startedAt: Date, settleMs: number): number {
  const isFirst = connectedAt !== undefined && statusAt <= later(connectedAt, FIRST_CONNECT_MS);
  const isPast = startedAt >= later(statusAt, UNSEEN_HOLD_MS);
  return isFirst || isPast ? settleMs : NEVER_MS;
}

/** A listing that came to its end. The checkpoint of its last page is still to be written. */
export interface Listed {
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

/** Whether Gmail has announced something that this listing does not show. */
export function isLagging(
  user: User,
  trigger: Trigger,
  { freshCount, last }: Listed,
  knownBefore: HistoryId,
  settleMs: number,
): boolean {
  if (trigger.kind !== "notified" || freshCount > 0) return false;
  if (!isAfter(trigger.historyId, knownBefore)) return false;
  return !isOldHead(progressOf(user), trigger.historyId, last.startedAt, settleMs);
}

/** What a run has seen, as far as the end of its listing depends on it. */
export interface Seen {
  user: User;
  trigger: Trigger;
  /** A due time has come for a mailbox of which nothing was known to be missing. */
  isLook: boolean;
  watchedChanges: number;
  context: DueContext;
}

/** The end of a complete listing. */
export interface EndPlan {
  /** When the mailbox is looked at next; `undefined` leaves the due time as it is. */
  due: Due | undefined;
  /** What the checkpoint writes, in addition to where the cursor stands. */
  sync: Partial<Sync>;
  /** The checkpoint tells more than what is stored. */
  isWorthWriting: boolean;
}

/** Plans the end of a complete listing, whose gap has been published. */
export function planEnd(
  seen: Seen,
  { freshCount, newest, head, last }: Listed,
  { gap, progressFrom }: ReadPlan,
  lags: boolean,
): EndPlan {
  const { user, trigger } = seen;
  const due = afterListing(seen, {
    hasNew: freshCount > 0,
    isLagging: lags,
    newest,
    heldUntil: heldUntil(progressFrom(user), head),
  });
  const isServed = trigger.kind === "notified" && freshCount > 0;
  const isNews = notifiedIds(trigger).some((id) => !isTracked(progressOf(user), id));
  const isMoved = trigger.kind !== "notified" && !covers(progressOf(user), [head]);
  const { recoveries, cursorRefusals, behindSince } = user.sync;
  const isOwed = [recoveries, cursorRefusals, behindSince].some((it) => it !== undefined);
  const isFound = freshCount > 0 || isNews || gap !== undefined;
  return {
    due,
    sync: {
      ...due,
      ...unannounced(seen, last.startedAt),
      syncedAt: last.startedAt,
      // Capped: an absurd id must not make the mailbox deaf to those that follow.
      ...(isServed && {
        notifiedHistoryId: isAfter(trigger.historyId, head) ? head : trigger.historyId,
        notifiedAt: last.startedAt,
      }),
    },
    isWorthWriting:
      due !== undefined || isFound || isMoved || isOwed || trigger.kind === "requested",
  };
}

/** Whether Gmail should have notified of what a look has found, and did not. */
export function wasMissed(
  { isLook, watchedChanges }: Seen,
  freshCount: number,
  { labelIds }: ChangeFilter,
): boolean {
  // Where only some labels are watched, Gmail tells of nothing else.
  const isFiltered = labelIds.length > 0;
  return isLook && (isFiltered ? watchedChanges : freshCount) > 0;
}

/** What a look has found that nobody had told of. For a write that is made anyway. */
export function unannounced({ isLook, watchedChanges }: Seen, at: Date): Pick<Sync, "unannounced"> {
  return isLook ? { unannounced: { at, changes: watchedChanges } } : {};
}
