import { later } from "../domain/clock.ts";
import type { ReadPosition, User } from "../domain/user.ts";
import { type HistoryId, isAfter, maxHistoryId } from "../domain/history-id.ts";
import {
  byId,
  isRecord,
  partsOf,
  positionOf,
  positionsAfter,
  withPositions,
} from "../domain/positions.ts";

/**
 * The maximum number of remembered unsettled records. The next listing publishes those beyond it
 * again under the same ids; the cursor never passes them because of that.
 */
export const RECENT_MAX = 50_000;
/** The maximum number of remembered heads; each settles what is below it. */
const HEADS_MAX = 20;
/** The maximum number of notified ids that are waited for; for one more, the lowest is given up. */
export const NOTIFIED_MAX = 100;
/**
 * How long the cursor waits below a notified id that has not appeared as a record; then it is a
 * gap.
 */
export const UNSEEN_HOLD_MS = 30 * 60_000;
/**
 * How long the cursor waits in a mailbox whose notifications name ids that never become records; no
 * gap follows.
 */
export const AHEAD_HOLD_MS = 10 * 60_000;

/** The progress of reading a mailbox: everything up to the cursor, and these positions after it. */
export interface Progress {
  historyId: HistoryId;
  /** Ascending, each id once. */
  recent: readonly ReadPosition[];
  /**
   * A notified id never appeared, and none has appeared exactly since: an id proves no record here.
   */
  isNotifiedAhead?: true;
}

/** Returns the stored progress. */
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

/** The result of one listing, or of its pages so far. */
export interface Read {
  /**
   * The store's time when the listing began, or earlier: what appears later is not covered by it.
   */
  startedAt: Date;
  /** The store's time when the response arrived, or later: what is new in it was read by then. */
  readAt: Date;
  /** Records read, and published. */
  records: readonly HistoryId[];
  /** The head that the first page named, and when it arrived. */
  head?: { historyId: HistoryId; at: Date };
  /** The notified ids that this listing serves completely. */
  notified?: readonly HistoryId[];
  /** What has been published as a gap, because notified ids in it were never seen. */
  unseen?: UnseenRange | undefined;
  /** How far the pages reach; absent once the listing is complete. */
  upTo?: HistoryId;
}

/**
 * Returns the progress after a read. Gmail can reveal a record late, after one with a higher id. So
 * the cursor moves only to a position that was seen `settleMs` or more before a listing began that
 * covers it: everything that was hidden below it then has been read since, by any run and however
 * recently. Until then, what was read is remembered in `recent`, and a record in it is skipped when
 * the next listing contains it again. Nothing settles by count. The cursor does not pass a notified
 * id that has not appeared until the wait for it ends: then it counts as a head again, if a
 * response named it as one.
 */
export function settle(progress: Progress, read: Read, settleMs: number): Progress {
  const merged = merge(progress, read, settleMs);
  const positions = withHead(withoutUnseen(merged, progress, read), progress, read);
  const old = lastOf(positions, read.startedAt.getTime() - settleMs);
  let settledCount = 0;
  for (const { historyId, isNotified } of positions) {
    if (isNotified === true || old === undefined || isAfter(historyId, old.historyId)) break;
    if (read.upTo !== undefined && isAfter(historyId, read.upTo)) break;
    settledCount += 1;
  }
  const historyId = positions[settledCount - 1]?.historyId ?? progress.historyId;
  return {
    historyId,
    recent: bounded(positionsAfter(historyId, positions)),
    ...(isAhead(progress, read) && { isNotifiedAhead: true }),
  };
}

/** Returns the last position, notified ids left out, that was known at a time (epoch ms). */
function lastOf(positions: readonly ReadPosition[], time: number): ReadPosition | undefined {
  const { special, records } = partsOf(positions);
  const heads = special.filter(({ isNotified }) => isNotified !== true);
  const ends = [...records.values()].map((group) => group.at(-1));
  return [...heads, ...ends]
    .filter((position) => position !== undefined)
    .filter(({ at }) => at.getTime() <= time)
    .sort(byId)
    .at(-1);
}

/**
 * Returns the range that has to be published as a gap before the cursor may pass it: notified ids
 * that have been waited for long enough, and that a listing covers without showing them.
 */
export function findUnseen(
  progress: Progress,
  read: Read,
  settleMs: number,
): UnseenRange | undefined {
  if (progress.isNotifiedAhead === true) return undefined;
  const { upTo } = read;
  const { special } = partsOf(timely(progress, read.readAt));
  const waiting = withPositions(special, additions(progress, read, settleMs)).filter(
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

/**
 * Returns when the first notified id has been waited for long enough; undefined if there is none.
 */
export function heldUntil(
  { recent, isNotifiedAhead }: Progress,
  head: HistoryId,
): Date | undefined {
  if (isNotifiedAhead === true) return undefined;
  // An id above the head blocks nothing.
  const held = partsOf(recent).special.filter(
    ({ historyId, isNotified }) => isNotified === true && !isAfter(historyId, head),
  );
  const first = held.reduce<Date | undefined>(
    (earliest, { at }) => (earliest === undefined || at < earliest ? at : earliest),
    undefined,
  );
  return first && later(first, UNSEEN_HOLD_MS);
}

/**
 * Returns whether a record was published: it is settled, or remembered as read. A remembered head,
 * or a notified id, was not read: the record of that id may still be hidden, and has to be
 * published when it appears.
 */
export function isRead(progress: Progress, record: HistoryId): boolean {
  return !isAfter(record, progress.historyId) || isRemembered(progress, record);
}

function isRemembered({ recent }: Progress, record: HistoryId): boolean {
  const position = positionOf(record, recent);
  return position !== undefined && isRecord(position);
}

/** Returns the highest record that is known to have been read. */
export function highestRead({ historyId, recent }: Progress): HistoryId {
  const last = recent.findLast(isRecord);
  return last === undefined ? historyId : maxHistoryId(historyId, last.historyId);
}

/** Returns whether the progress accounts for every one of these records. */
export function covers(progress: Progress, records: readonly HistoryId[]): boolean {
  return records.every((id) => isRead(progress, id));
}

/**
 * Returns whether nothing more can be learned about a notified id: it has been read, or is waited
 * for.
 */
export function isTracked({ historyId, recent }: Progress, notified: HistoryId): boolean {
  if (!isAfter(notified, historyId)) return true;
  const position = positionOf(notified, recent);
  return position !== undefined && (isRecord(position) || position.isNotified === true);
}

/**
 * Returns whether a listing named a notified id as its head so long before this one began that the
 * cursor may pass it. Gmail notifies of the current head whenever a watch is renewed. But the
 * notification of a record can itself arrive minutes late, after a listing has named the id: so
 * this takes longer than settling.
 */
export function isOldHead(
  { recent }: Progress,
  notified: HistoryId,
  startedAt: Date,
  settleMs: number,
): boolean {
  const { at, isHead, isNotified } = positionOf(notified, recent) ?? {};
  if (at === undefined || isHead !== true || isNotified === true) return false;
  return later(at, Math.max(settleMs, AHEAD_HOLD_MS)) <= startedAt;
}

/**
 * Returns the progress with the unknown notified ids: the cursor waits for them although no listing
 * was completed for their notifications. The same object if there are none. Of more than {@link
 * NOTIFIED_MAX} the highest are kept, since the others had the most time to appear.
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
 * Returns what stays remembered when a recovery sets the cursor to the pinned head: notified ids
 * above it. After a rewind, an id that was notified before the pin belongs to the old ids.
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

/**
 * Returns the positions ascending, each once, with the time it was first read; without the head.
 */
function merge(progress: Progress, read: Read, settleMs: number): readonly ReadPosition[] {
  return withPositions(timely(progress, read.readAt), additions(progress, read, settleMs));
}

/** Returns what a read adds to the positions, or replaces in them, ascending. */
function additions(progress: Progress, read: Read, settleMs: number): readonly ReadPosition[] {
  const { records, head, notified = [], startedAt, readAt: at } = read;
  // A record that has appeared replaces the head or the notification that named it.
  const added = new Map<HistoryId, ReadPosition>();
  for (const historyId of records) {
    if (!isRead(progress, historyId)) added.set(historyId, { historyId, at });
  }
  for (const historyId of notified) {
    if (added.has(historyId) || isTracked(progress, historyId)) continue;
    if (isOldHead(progress, historyId, startedAt, settleMs)) continue;
    const wasHead = positionOf(historyId, progress.recent)?.isHead === true;
    const isHead = wasHead || head?.historyId === historyId;
    added.set(historyId, { historyId, at, isNotified: true, ...(isHead && { isHead }) });
  }
  return [...added.values()].sort(byId);
}

/**
 * Returns the remembered positions without what only an edited document contains: positions that
 * the cursor has passed, as it would go back to them, and future times, as they would never settle.
 */
function timely({ historyId, recent }: Progress, now: Date): readonly ReadPosition[] {
  const ahead = positionsAfter(historyId, recent);
  const { special, records } = partsOf(ahead);
  const isFuture = ({ at }: ReadPosition) => at.getTime() > now.getTime();
  const times = [...records.keys()];
  if (!special.some(isFuture) && !times.some((time) => time > now.getTime())) return ahead;
  return ahead.map((position) => (isFuture(position) ? { ...position, at: now } : position));
}

/** Adds the head that this listing named, unless its position is known. */
function withHead(
  positions: readonly ReadPosition[],
  progress: Progress,
  { head }: Read,
): readonly ReadPosition[] {
  if (head === undefined || !isAfter(head.historyId, progress.historyId)) return positions;
  if (positionOf(head.historyId, positions) !== undefined) return positions;
  return withPositions(positions, [{ ...head, isHead: true }]);
}

/** Removes the notified ids that are not waited for any more; what is left of one may be a head. */
function withoutUnseen(
  positions: readonly ReadPosition[],
  progress: Progress,
  read: Read,
): readonly ReadPosition[] {
  const isOver = (position: ReadPosition) =>
    position.isNotified === true && !isWaitedFor(position, progress, read);
  if (!partsOf(positions).special.some(isOver)) return positions;
  return positions.flatMap((position) => {
    if (!isOver(position)) return [position];
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

/**
 * Returns whether a notified id proves no record; one that has appeared exactly proves one again.
 */
function isAhead(progress: Progress, { unseen, upTo, notified = [], records }: Read): boolean {
  // Later pages may show other notified ids, and those that do not appear belong to a gap, too.
  if (unseen !== undefined && upTo === undefined) return true;
  if (progress.isNotifiedAhead !== true) return false;
  const waited = partsOf(progress.recent).special.filter(({ isNotified }) => isNotified === true);
  const ids = [...notified, ...waited.map(({ historyId }) => historyId)];
  return !ids.some((id) => records.includes(id) || isRemembered(progress, id));
}

/**
 * Positions are only remembered to avoid repetitions, or to settle sooner, so some may be dropped.
 */
function bounded(positions: readonly ReadPosition[]): readonly ReadPosition[] {
  const { special } = partsOf(positions);
  const heads = special.filter(({ isNotified }) => isNotified !== true);
  const notified = special.filter(({ isNotified }) => isNotified === true);
  // The oldest settle first, and the newest reaches farthest.
  const dropped = new Set([...heads.slice(HEADS_MAX - 1, -1), ...notified.slice(0, -NOTIFIED_MAX)]);
  if (dropped.size === 0 && positions.length - special.length <= RECENT_MAX) return positions;
  let records = 0;
  return positions.filter((position) =>
    isRecord(position) ? ++records <= RECENT_MAX : !dropped.has(position),
  );
}
