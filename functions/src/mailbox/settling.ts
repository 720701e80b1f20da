import { later } from "../domain/clock.ts";
import type { ReadPosition, User } from "../domain/user.ts";
import { type HistoryId, compareHistoryIds, isAfter, latestOf } from "../domain/history-id.ts";

/**
 * The most unsettled records that are remembered. What is beyond them is published again under the
 * same ids by the next listing; the cursor never passes it for that.
 */
export const RECENT_MAX = 50_000;
/** The most heads that are remembered; each settles what lies below it. */
const HEADS_MAX = 20;
/** The most notified ids that are waited for at a time; the lowest is given up for one more. */
export const NOTIFIED_MAX = 100;
/** How long the cursor waits below a notified id that has not shown as a record; then it is a gap. */
export const UNSEEN_HOLD_MS = 30 * 60_000;
/** The same in a mailbox whose notifications name ids that never become records; without a gap. */
export const AHEAD_HOLD_MS = 10 * 60_000;

/** Where a mailbox has been read to: everything up to the cursor, and these positions after it. */
export interface Progress {
  historyId: HistoryId;
  /** Ascending, each id once. */
  recent: readonly ReadPosition[];
  /** A notified id never showed, and none has shown exactly since: an id proves no record here. */
  isNotifiedAhead?: true;
}

/** What is stored of it. */
export function progressOf({ historyId, sync }: User): Progress {
  const { recent, isNotifiedAhead } = sync;
  return { historyId, recent, ...(isNotifiedAhead === true && { isNotifiedAhead }) };
}

/** A range in which a notified record never became readable. */
export interface UnseenRange {
  /** The last settled position. */
  from: HistoryId;
  to: HistoryId;
  /** When the first notification of it was served. */
  since: Date;
}

/** What one listing, or its pages so far, brought. */
export interface Read {
  /** The store's time when the listing began, or earlier: what shows later is not covered by it. */
  startedAt: Date;
  /** The store's time when the answer came, or later: what is new in it was read by then. */
  readAt: Date;
  /** Records read, and published. */
  records: readonly HistoryId[];
  /** The head that the first page named, and when it came. */
  head?: { historyId: HistoryId; at: Date };
  /** The ids that the notifications named which this listing serves to its end. */
  notified?: readonly HistoryId[];
  /** What has been published as a gap, since notified ids in it were never seen. */
  unseen?: UnseenRange | undefined;
  /** How far the pages reach; absent once the listing has come to its end. */
  upTo?: HistoryId;
}

/**
 * Gmail can reveal a record late, after one with a higher id. So the cursor stands only on a position
 * that was seen `settleMs` or more before a listing began that covers it: everything that was hidden
 * below it then has been read since, whoever read it and however recently. Until then what was read
 * is remembered in `recent`, and a record among it is skipped when the next listing brings it again.
 * Nothing settles by count. The cursor does not pass a notified id that has not shown, until the
 * wait for it ends: then it counts as a head again, if an answer named it as one.
 */
export function settle(progress: Progress, read: Read, settleMs: number): Progress {
  const merged = merge(progress, read, settleMs);
  const positions = withHead(withoutUnseen(merged, progress, read), progress, read);
  const settledBefore = read.startedAt.getTime() - settleMs;
  const old = positions.findLast(
    ({ at, isNotified }) => isNotified !== true && at.getTime() <= settledBefore,
  );
  let settledCount = 0;
  for (const [index, { historyId, isNotified }] of positions.entries()) {
    if (isNotified === true || old === undefined || isAfter(historyId, old.historyId)) break;
    if (read.upTo !== undefined && isAfter(historyId, read.upTo)) break;
    settledCount = index + 1;
  }
  return {
    historyId: positions[settledCount - 1]?.historyId ?? progress.historyId,
    recent: bounded(positions.slice(settledCount)),
    ...(isAhead(progress, read) && { isNotifiedAhead: true }),
  };
}

/**
 * The range that has to be told as a gap before the cursor may pass it: notified ids that have been
 * waited for long enough, and have not shown in a listing that covers them.
 */
export function findUnseen(
  progress: Progress,
  read: Read,
  settleMs: number,
): UnseenRange | undefined {
  if (progress.isNotifiedAhead === true) return undefined;
  const { upTo } = read;
  const waiting = merge(progress, read, settleMs).filter(
    ({ historyId, isNotified }) =>
      isNotified === true && !isAboveHead(historyId, read) && !(upTo && isAfter(historyId, upTo)),
  );
  let last: ReadPosition | undefined;
  for (const [index, position] of waiting.entries()) {
    const isTooMany = waiting.length - index > NOTIFIED_MAX;
    if (!isTooMany && !isHeldLongEnough(position, UNSEEN_HOLD_MS, read)) break;
    last = position;
  }
  const since = waiting[0]?.at;
  if (last === undefined || since === undefined) return undefined;
  return { from: settle(progress, read, settleMs).historyId, to: last.historyId, since };
}

/** When the first notified id has been waited for long enough; undefined when none is waited for. */
export function heldUntil(
  { recent, isNotifiedAhead }: Progress,
  head: HistoryId,
): Date | undefined {
  if (isNotifiedAhead === true) return undefined;
  // An id above the head holds nothing up.
  const held = recent.filter(
    ({ historyId, isNotified }) => isNotified === true && !isAfter(historyId, head),
  );
  const first = held.reduce<Date | undefined>(
    (earliest, { at }) => (earliest === undefined || at < earliest ? at : earliest),
    undefined,
  );
  return first && later(first, UNSEEN_HOLD_MS);
}

/**
 * Records that were read and are not settled. A remembered head, or a notified id, is not one of
 * them: the record of that id may still be hidden, and has to be published when it shows.
 */
export function readRecords({ recent }: Progress): Set<HistoryId> {
  return new Set(recent.filter(isRecord).map(({ historyId }) => historyId));
}

function isRecord({ isHead, isNotified }: ReadPosition): boolean {
  return isHead !== true && isNotified !== true;
}

/** The highest record that is known to have been read. */
export function highestRead(progress: Progress): HistoryId {
  return latestOf(progress.historyId, readRecords(progress));
}

/** True when every one of these records is accounted for by the progress. */
export function covers(progress: Progress, records: readonly HistoryId[]): boolean {
  const known = readRecords(progress);
  return records.every((id) => !isAfter(id, progress.historyId) || known.has(id));
}

/** True when nothing more can be learnt of a notified id: it has been read, or is waited for. */
export function isTracked({ historyId, recent }: Progress, notified: HistoryId): boolean {
  if (!isAfter(notified, historyId)) return true;
  return recent.some(
    (position) =>
      position.historyId === notified && (isRecord(position) || position.isNotified === true),
  );
}

/**
 * True of a notified id that a listing named as its head so long before this one began that the
 * cursor may pass it. Gmail notifies of the present head whenever a watch is renewed. But the
 * notification of a record can itself come minutes late, after a listing has named the id: so this
 * takes longer than settling does.
 */
export function isOldHead(
  { recent }: Progress,
  notified: HistoryId,
  startedAt: Date,
  settleMs: number,
): boolean {
  return recent.some(
    ({ historyId, at, isHead, isNotified }) =>
      historyId === notified &&
      isHead === true &&
      isNotified !== true &&
      later(at, Math.max(settleMs, AHEAD_HOLD_MS)) <= startedAt,
  );
}

/**
 * The progress with the notified ids that nothing is known of: the cursor waits for them although
 * no listing was completed for their notifications. The same object where there are none. Of more
 * than {@link NOTIFIED_MAX} the highest are kept, since the others had the most time to show.
 */
export function withNotified(
  progress: Progress,
  notified: readonly HistoryId[],
  now: Date,
  settleMs: number,
): Progress {
  const isKnown = (id: HistoryId) =>
    isTracked(progress, id) || isOldHead(progress, id, now, settleMs);
  if (notified.every(isKnown)) return progress;
  const read: Read = { startedAt: now, readAt: now, records: [], notified };
  return { ...progress, recent: bounded(merge(progress, read, settleMs)) };
}

/**
 * What stays remembered when a recovery sets the cursor on the head that it pinned: notified ids
 * above it. After a rewind an id that was notified before the pin is of the old count.
 */
export function notifiedAfter(
  { recent }: Pick<Progress, "recent">,
  pinned: HistoryId,
  since?: Date,
): readonly ReadPosition[] {
  return recent.flatMap(({ historyId, at, isNotified }) => {
    const isOfBefore = since !== undefined && at < since;
    if (isNotified !== true || isOfBefore || !isAfter(historyId, pinned)) return [];
    return [{ historyId, at, isNotified }];
  });
}

/** Ascending, each position once, with the time it was first read; without the head. */
function merge(progress: Progress, read: Read, settleMs: number): ReadPosition[] {
  const { records, head, notified = [], startedAt, readAt: at } = read;
  const known = readRecords(progress);
  const fresh = new Set(records.filter((id) => isAfter(id, progress.historyId) && !known.has(id)));
  // A record that has shown takes the place of the head or the notification that named it.
  const positions = new Map<HistoryId, ReadPosition>();
  for (const position of progress.recent) {
    // An edited document may hold positions that the cursor has passed: it would go back to them.
    const isPast = !isAfter(position.historyId, progress.historyId);
    if (isPast || fresh.has(position.historyId)) continue;
    // A time that has not come, as an edited document may hold, would never settle.
    const isFuture = position.at > at;
    positions.set(position.historyId, isFuture ? { ...position, at } : position);
  }
  for (const historyId of fresh) positions.set(historyId, { historyId, at });
  for (const historyId of notified) {
    const position = positions.get(historyId);
    const isKnown = position !== undefined && (isRecord(position) || position.isNotified === true);
    if (isKnown || !isAfter(historyId, progress.historyId)) continue;
    if (isOldHead(progress, historyId, startedAt, settleMs)) continue;
    const isHead = position?.isHead === true || head?.historyId === historyId;
    positions.set(historyId, { historyId, at, isNotified: true, ...(isHead && { isHead }) });
  }
  return [...positions.values()].sort(byId);
}

/** With the head that this listing named, unless its position is known. */
function withHead(
  positions: readonly ReadPosition[],
  progress: Progress,
  { head }: Read,
): ReadPosition[] {
  if (head === undefined || !isAfter(head.historyId, progress.historyId)) return [...positions];
  if (positions.some(({ historyId }) => historyId === head.historyId)) return [...positions];
  return [...positions, { ...head, isHead: true as const }].sort(byId);
}

function byId(a: ReadPosition, b: ReadPosition): number {
  return compareHistoryIds(a.historyId, b.historyId);
}

/** Without the notified ids that are waited for no longer; what is left of one may be a head. */
function withoutUnseen(
  positions: readonly ReadPosition[],
  progress: Progress,
  read: Read,
): ReadPosition[] {
  return positions.flatMap((position) => {
    if (position.isNotified !== true || isWaitedFor(position, progress, read)) return [position];
    const { isNotified: _, ...head } = position;
    return head.isHead === true ? [head] : [];
  });
}

function isWaitedFor(position: ReadPosition, { isNotifiedAhead }: Progress, read: Read): boolean {
  const { historyId } = position;
  const { unseen } = read;
  const isTold =
    unseen !== undefined && isAfter(historyId, unseen.from) && !isAfter(historyId, unseen.to);
  if (isTold) return false;
  if (isNotifiedAhead === true) return !isHeldLongEnough(position, AHEAD_HOLD_MS, read);
  // Gmail itself knows no such id.
  return !(isAboveHead(historyId, read) && isHeldLongEnough(position, UNSEEN_HOLD_MS, read));
}

function isHeldLongEnough({ at }: ReadPosition, holdMs: number, { startedAt }: Read): boolean {
  return later(at, holdMs) <= startedAt;
}

function isAboveHead(historyId: HistoryId, { head }: Read): boolean {
  return head !== undefined && isAfter(historyId, head.historyId);
}

/** Whether a notified id is no proof of a record; one that has shown exactly makes it one again. */
function isAhead(progress: Progress, { unseen, upTo, notified = [], records }: Read): boolean {
  // Pages that follow may show other notified ids, and those that do not show belong to a gap too.
  if (unseen !== undefined && upTo === undefined) return true;
  if (progress.isNotifiedAhead !== true) return false;
  const shown = new Set([...readRecords(progress), ...records]);
  const waited = progress.recent.filter(({ isNotified }) => isNotified === true);
  const ids = [...notified, ...waited.map(({ historyId }) => historyId)];
  return !ids.some((id) => shown.has(id));
}

/** What is forgotten is only remembered so that it is not published twice, or settled sooner. */
function bounded(positions: readonly ReadPosition[]): readonly ReadPosition[] {
  let records = 0;
  const heads = positions
    .filter(({ isHead, isNotified }) => isHead === true && isNotified !== true)
    .map(({ historyId }) => historyId);
  // The oldest settle first, and the newest reaches farthest.
  const dropped = new Set(heads.slice(HEADS_MAX - 1, -1));
  const notified = positions.filter(({ isNotified }) => isNotified === true);
  for (const { historyId } of notified.slice(0, -NOTIFIED_MAX)) dropped.add(historyId);
  return positions.filter((position) => {
    if (isRecord(position)) return ++records <= RECENT_MAX;
    return !dropped.has(position.historyId);
  });
}
