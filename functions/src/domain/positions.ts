import { type HistoryId, compareHistoryIds, isAfter } from "./history-id.ts";
import type { ReadPosition } from "./user.ts";

/*
 * Ascending positions, each id once. A catch-up adds page after page to tens of thousands of them.
 * So what is looked up is searched for by halves, and what is added leaves the positions before it
 * where they are.
 */

/** Returns whether a record of this position was read: it is no head, and no notified id. */
export function isRecord({ isHead, isNotified }: ReadPosition): boolean {
  return isHead !== true && isNotified !== true;
}

/** Returns the position of an id; `undefined` if there is none. */
export function positionOf(
  id: HistoryId,
  positions: readonly ReadPosition[],
): ReadPosition | undefined {
  const position = positions[placeOf(id, positions)];
  return position?.historyId === id ? position : undefined;
}

/** Returns the positions after an id. */
export function positionsAfter(
  id: HistoryId,
  positions: readonly ReadPosition[],
): readonly ReadPosition[] {
  const place = placeOf(id, positions);
  const first = positions[place]?.historyId === id ? place + 1 : place;
  return first === 0 ? positions : positions.slice(first);
}

/** Returns the positions with others, also ascending, which replace those of the same id. */
export function withPositions(
  positions: readonly ReadPosition[],
  added: readonly ReadPosition[],
): readonly ReadPosition[] {
  const [first] = added;
  if (first === undefined) return positions;
  const place = placeOf(first.historyId, positions);
  if (place === positions.length) return positions.concat(added);
  const replaced = new Set(added.map(({ historyId }) => historyId));
  const others = positions.slice(place).filter(({ historyId }) => !replaced.has(historyId));
  return positions.slice(0, place).concat([...others, ...added].sort(byId));
}

/** Compares two positions by their ids. */
export function byId(a: ReadPosition, b: ReadPosition): number {
  return compareHistoryIds(a.historyId, b.historyId);
}

/** Returns the index of the first position that is not before the id. */
function placeOf(id: HistoryId, positions: readonly ReadPosition[]): number {
  let low = 0;
  let high = positions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const position = positions[middle];
    if (position !== undefined && isAfter(id, position.historyId)) low = middle + 1;
    else high = middle;
  }
  return low;
}
