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
  isRead,
  isTracked,
  progressOf,
  settle,
} from "./settling.ts";

/*
 * The decisions of a sync, without its effects: from what is stored of a mailbox and what Gmail has
 * answered, they say what is published, what is written, and when the mailbox is looked at again.
 */

/**
 * The number of events of a page to publish before the next checkpoint; a record is never divided.
 */
const PART_EVENTS = 2_000;
const PART_BYTES = 4_000_000;
/** Between the clocks of two of Google's services. */
const CLOCKS_MS_MAX = 60_000;
/** The first connection becomes active within this time after its cursor was taken. */
const FIRST_CONNECT_MS = 60_000;
/** Longer than anything is remembered. */
const NEVER_MS = 365 * 24 * 3_600_000;

/**
 * Returns whether a notification is no reason to list: everything that it can announce has been
 * read.
 */
export function isStale(user: User, trigger: Trigger, clock: Clock): boolean {
  if (trigger.kind !== "notified" || isNeglected(user, clock)) return false;
  return notifiedIds(trigger).every((id) => isKnown(user, id)) && !isLow(user, trigger, clock);
}

/**
 * Returns whether a notification with this id announces nothing new. One that arrives after a later
 * one does, if its record has not been read: that record may still be hidden.
 */
function isKnown(user: User, notified: HistoryId): boolean {
  const { notifiedHistoryId } = user.sync;
  if (!isAfter(notified, user.historyId)) return true;
  const isServed = notifiedHistoryId !== undefined && !isAfter(notified, notifiedHistoryId);
  return isServed && isTracked(progressOf(user), notified);
}

/**
 * Returns whether Gmail's history seems to have been rewound: the notification is from after the
 * last complete listing, and names an id from before it. All times are Google's.
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
  /** The first record that is not planned yet. */
  index: number;
  /** The last record before it, of this page or of earlier ones. */
  upTo: HistoryId;
}

/** Whole records of a page: what to publish of them before the next checkpoint. */
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
  /** Whether nothing of the page is left. */
  isLast: boolean;
}

/** Plans the next part of a page from the stored state of the mailbox. */
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

/**
 * Returns the records that have not been published: after the cursor, and not among the recent
 * ones.
 */
export function unknownTo(user: User, records: readonly HistoryRecord[]): Set<HistoryId> {
  const progress = progressOf(user);
  const ids = records.map(({ historyId }) => historyId);
  return new Set(ids.filter((id) => !isRead(progress, id)));
}

/** Returns about as many bytes as the event has in transit. */
function sizeOf(event: Change | Gap): number {
  const labelIds = "labelIds" in event ? event.labelIds : [];
  return labelIds.reduce((sum, label) => sum + label.length + 3, 500);
}

/** What was read, as far as the cursor depends on it. */
export interface ReadPlan {
  /**
   * Ids that notifications announced and no listing has shown. Published before the cursor passes
   * it.
   */
  gap: Gap | undefined;
  /** Returns the progress of the stored user with this read. */
  progressFrom(stored: User): Progress;
}

/** Plans the checkpoint of what was read and published. */
export function planRead(user: User, read: Read, trigger: Trigger, settleMs: number): ReadPlan {
  const listed = { ...read, notified: notifiedIds(trigger) };
  const unseen = findUnseen(progressOf(user), listed, settleMs);
  const whole: Read = { ...listed, unseen };
  // A driver asks several times for the user that it has.
  const settled = new Map<User, Progress>();
  return {
    gap: unseen && gapOf(unseen),
    progressFrom(stored) {
      const known = settled.get(stored);
      if (known !== undefined) return known;
      const ms = settleMsOf(stored, read.startedAt, settleMs);
      const progress = settle(progressOf(stored), whole, ms);
      settled.set(stored, progress);
      return progress;
    },
  };
}

function gapOf({ from: fromHistoryId, to: toHistoryId, since }: UnseenRange): Gap {
  return { kind: "gap", fromHistoryId, toHistoryId, since, reason: "notified_unseen" };
}

/**
 * A flagged user's notifications are not recorded, and their records may appear minutes late. So
 * after the mailbox has become active again, nothing settles for as long as the cursor waits for
 * any notified id: each listing starts where the mailbox was, and finds what appears in the
 * meantime.
 */
function settleMsOf({ statusAt, connectedAt }: User, startedAt: Date, settleMs: number): number {
  const isFirst = connectedAt !== undefined && statusAt <= later(connectedAt, FIRST_CONNECT_MS);
  const isPast = startedAt >= later(statusAt, UNSEEN_HOLD_MS);
  return isFirst || isPast ? settleMs : NEVER_MS;
}

/** A complete listing. The checkpoint of its last page is still to be written. */
export interface Listed {
  kind: "listed";
  /** What the last page, or its last part, contained: it is still to be stored. */
  last: Read & Required<Pick<Read, "head">>;
  /** The number of new records on all pages. */
  freshCount: number;
  /** The highest record that is known to have been read. */
  newest: HistoryId;
  /** The head that the last page named. */
  head: HistoryId;
}

/** Returns whether Gmail has announced something that this listing does not show. */
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
  /** The run is a poll: it was due although nothing was known to be missing. */
  isLook: boolean;
  watchedChanges: number;
  context: DueContext;
}

/** The end of a complete listing. */
export interface EndPlan {
  /** When the mailbox is read next; `undefined` leaves the due time unchanged. */
  due: Due | undefined;
  /** What the checkpoint writes in addition to the cursor. */
  sync: Partial<Sync>;
  /** Whether the checkpoint says more than what is stored. */
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
      // Cap at the head, or a bogus huge id would make every later notification look stale.
      ...(isServed && {
        notifiedHistoryId: isAfter(trigger.historyId, head) ? head : trigger.historyId,
        notifiedAt: last.startedAt,
      }),
    },
    isWorthWriting:
      due !== undefined || isFound || isMoved || isOwed || trigger.kind === "requested",
  };
}

/** Returns whether Gmail should have announced what a poll has found, and did not. */
export function wasMissed(
  { isLook, watchedChanges }: Seen,
  freshCount: number,
  { labelIds }: ChangeFilter,
): boolean {
  // If only some labels are watched, Gmail announces nothing else.
  const isFiltered = labelIds.length > 0;
  return isLook && (isFiltered ? watchedChanges : freshCount) > 0;
}

/**
 * Returns what a poll has found that no notification announced, for a write that is made anyway.
 */
export function unannounced({ isLook, watchedChanges }: Seen, at: Date): Pick<Sync, "unannounced"> {
  return isLook ? { unannounced: { at, changes: watchedChanges } } : {};
}
