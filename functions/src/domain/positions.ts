import { type HistoryId, compareHistoryIds, isAfter } from "./history-id.ts";
import type { ReadPosition } from "./user.ts";

/*
 * Ascending positions, each id once. A catch-up adds page after page to tens of thousands of them,
 * so that looking at each of them with every page would take longer than the page. What is looked up
 * is searched for by halves, and what is known of all of them is passed on from one list to the next.
 */

/** What positions consist of. */
export interface Parts {
  /** The heads and the notified ids, ascending. */
  special: readonly ReadPosition[];
  /** The records by the time at which they were read (epoch milliseconds), ascending. */
  records: ReadonlyMap<number, readonly ReadPosition[]>;
}

/** The parts of lists that have been divided, or made of others. */
const divided = new WeakMap<readonly ReadPosition[], Parts>();

/** Returns whether a record of this position was read: it is no head, and no notified id. */
export function isRecord({ isHead, isNotified }: ReadPosition): boolean {
  return isHead !== true && isNotified !== true;
}

/** Returns what positions consist of. */
export function partsOf(positions: readonly ReadPosition[]): Parts {
  const known = divided.get(positions);
  if (known !== undefined) return known;
  const special = positions.filter((position) => !isRecord(position));
  const parts = { special, records: byTime(positions.filter(isRecord)) };
  divided.set(positions, parts);
  return parts;
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
  const rest = cut(id, positions);
  const known = divided.get(positions);
  if (rest === positions || known === undefined) return rest;
  const records = [...known.records]
    .map(([time, group]) => [time, cut(id, group)] as const)
    .filter(([, group]) => group.length > 0);
  divided.set(rest, { special: cut(id, known.special), records: new Map(records) });
  return rest;
}

/** Returns the positions with others, also ascending, which replace those of the same id. */
export function withPositions(
  positions: readonly ReadPosition[],
  added: readonly ReadPosition[],
): readonly ReadPosition[] {
  const [first] = added;
  if (first === undefined) return positions;
  const ids = new Set(added.map(({ historyId }) => historyId));
  const isKept = ({ historyId }: ReadPosition) => !ids.has(historyId);
  const place = placeOf(first.historyId, positions);
  const others = positions.slice(place).filter(isKept);
  const all = positions.slice(0, place).concat([...others, ...added].sort(byId));
  const known = divided.get(positions);
  if (known === undefined) return all;
  const special = known.special.filter(isKept);
  const isRecordReplaced =
    positions.length - place - others.length > known.special.length - special.length;
  if (isRecordReplaced) return all;
  divided.set(all, {
    special: [...special, ...added.filter((position) => !isRecord(position))].sort(byId),
    records: withRecords(known.records, added.filter(isRecord)),
  });
  return all;
}

/**
 * Returns the records of several times as positions; `undefined` if an id occurs twice. Each group
 * is ascending, and not empty.
 */
export function together(
  groups: readonly (readonly ReadPosition[])[],
): readonly ReadPosition[] | undefined {
  const all = joined(groups);
  const isInOrder = groups.every((group, index) => isBefore(groups[index - 1]?.at(-1), group[0]));
  if (!isInOrder) all.sort(byId);
  if (!isInOrder && !all.every((position, index) => isBefore(all[index - 1], position))) {
    return undefined;
  }
  const records = new Map(groups.map((group) => [group[0]?.at.getTime() ?? 0, group]));
  if (records.size === groups.length) divided.set(all, { special: [], records });
  return all;
}

/** Compares two positions by their ids. */
export function byId(a: ReadPosition, b: ReadPosition): number {
  return compareHistoryIds(a.historyId, b.historyId);
}

/** A call takes so many arguments in any case. */
const ARGUMENTS_MAX = 10_000;

/** Like `flat`, which takes ten times as long because it asks of each element whether it is a list. */
function joined(groups: readonly (readonly ReadPosition[])[]): ReadPosition[] {
  return groups.length > ARGUMENTS_MAX
    ? groups.flat()
    : new Array<ReadPosition>().concat(...groups);
}

function isBefore(a: ReadPosition | undefined, b: ReadPosition | undefined): boolean {
  return a === undefined || b === undefined || byId(a, b) < 0;
}

/** Returns groups with more records: each joins those of its time. */
function withRecords(groups: Parts["records"], records: readonly ReadPosition[]): Parts["records"] {
  const all = new Map(groups);
  for (const [time, added] of byTime(records)) {
    const group = groups.get(time);
    all.set(time, group === undefined ? added : [...group, ...added].sort(byId));
  }
  return all;
}

function byTime(records: readonly ReadPosition[]): Parts["records"] {
  const groups = new Map<number, ReadPosition[]>();
  for (const record of records) {
    const time = record.at.getTime();
    const group = groups.get(time);
    if (group === undefined) groups.set(time, [record]);
    else group.push(record);
  }
  return groups;
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

/** Returns the same list if there is nothing to cut off. */
function cut(id: HistoryId, positions: readonly ReadPosition[]): readonly ReadPosition[] {
  const place = placeOf(id, positions);
  const first = positions[place]?.historyId === id ? place + 1 : place;
  return first === 0 ? positions : positions.slice(first);
}
