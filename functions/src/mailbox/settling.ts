import type { ReadPosition } from "../user.ts";
import { type HistoryId, compareHistoryIds, isAfter, maxHistoryId } from "./history-id.ts";

/** More unsettled positions than this and the oldest count as settled. */
export const RECENT_MAX = 500;

/** Where a mailbox has been read to: everything up to the cursor, and these positions after it. */
export interface Progress {
  historyId: HistoryId;
  recent: readonly ReadPosition[];
}

/** What one listing, or its pages so far, brought. */
export interface Read {
  /** The store's time when the listing began, or earlier: what shows later is not covered by it. */
  startedAt: Date;
  /** The store's time when the answer came, or later: what is new in it was read by then. */
  readAt: Date;
  /** Records read, and published. */
  records: readonly HistoryId[];
  /** The head that an answer without anything new named. */
  head?: HistoryId;
  /** How far the pages reach; absent once the listing has come to its end. */
  upTo?: HistoryId;
}

/**
 * Gmail can reveal a record late, after one with a higher id. So a position is settled, and the
 * cursor may stand on it, only when a listing that covers it began `settleMs` or more after it was
 * first read: whatever was hidden below it then has been read since. Until then it is remembered
 * in `recent`, and a record among them is skipped when the next listing brings it again.
 */
export function settle(progress: Progress, read: Read, settleMs: number): Progress {
  const positions = merge(progress, read);
  const settledBefore = read.startedAt.getTime() - settleMs;
  let settledCount = 0;
  for (const [index, { historyId, at }] of positions.entries()) {
    if (read.upTo !== undefined && isAfter(historyId, read.upTo)) break;
    const isTooMany = positions.length - index > RECENT_MAX;
    if (isTooMany || at.getTime() <= settledBefore) settledCount = index + 1;
  }
  return {
    historyId: positions[settledCount - 1]?.historyId ?? progress.historyId,
    recent: positions.slice(settledCount),
  };
}

/**
 * Records that were read and are not settled. A remembered head is not one of them: the record
 * that it is the id of may still be hidden, and has to be published when it shows.
 */
export function readRecords({ recent }: Progress): Set<HistoryId> {
  return new Set(recent.filter(({ isHead }) => isHead !== true).map(({ historyId }) => historyId));
}

/** The highest record that is known to have been read. */
export function highestRead(progress: Progress): HistoryId {
  return maxHistoryId(progress.historyId, ...readRecords(progress));
}

/** True when every one of these records is accounted for by the progress. */
export function covers(progress: Progress, records: readonly HistoryId[]): boolean {
  const known = readRecords(progress);
  return records.every((id) => !isAfter(id, progress.historyId) || known.has(id));
}

/** Ascending, each position once, with the time it was first read. */
function merge(progress: Progress, { records, head, readAt: at }: Read): ReadPosition[] {
  const known = readRecords(progress);
  const fresh = new Set(records.filter((id) => isAfter(id, progress.historyId) && !known.has(id)));
  const positions: ReadPosition[] = [
    // A record that has shown takes the place of the head that told of it.
    ...progress.recent.filter(({ historyId }) => !fresh.has(historyId)),
    ...[...fresh].map((historyId) => ({ historyId, at })),
  ];
  const isNewHead =
    head !== undefined &&
    isAfter(head, progress.historyId) &&
    !positions.some(({ historyId }) => historyId === head);
  if (isNewHead) positions.push({ historyId: head, at, isHead: true });
  return positions.sort((a, b) => compareHistoryIds(a.historyId, b.historyId));
}
