import type { ReadPosition } from "../domain/user.ts";
import { type HistoryId, parseHistoryId } from "../domain/history-id.ts";
import {
  byId,
  isRecord,
  partsOf,
  positionOf,
  positionsAfter,
  together,
  withPositions,
} from "../domain/positions.ts";

/**
 * The number of positions that are stored one by one; if there are more, all records are packed
 * into one string.
 */
const LISTED_MAX = 100;
/**
 * Far below the 1 MiB of a document, together with everything else in it. Omitted records are read
 * again.
 */
const PACKED_CHARACTERS_MAX = 500_000;
/** The number of records whose text is remembered: of four mailboxes that are far behind. */
const REMEMBERED_MAX = 200_000;
const RADIX = 36;
const GROUP = /^([0-9a-z]{1,11}):([0-9a-z,]+)$/;
const DIGITS = /^[0-9a-z]{1,13}$/;

/**
 * Unsettled positions in their stored form: `sync.recent`, and `sync.more` only if there are many.
 */
export interface StoredPositions {
  recent: readonly ReadPosition[];
  more?: string;
}

/** Converts positions into their stored form and back. */
export interface PositionCodec {
  /** Returns ascending positions in their stored form. Heads and notified ids are never packed. */
  pack(positions: readonly ReadPosition[]): StoredPositions;
  /**
   * Returns the positions after the cursor, ascending, each id once, from any document. Invalid
   * ones are left out: their records are published again under the same ids.
   */
  unpack(stored: StoredPositions, cursor: HistoryId): readonly ReadPosition[];
}

/** Records that were read at one time, ascending. */
type Group = readonly ReadPosition[];

/**
 * Returns a codec that remembers what it has converted: a catch-up writes and reads tens of
 * thousands of positions with every page, and all but those of the page are the same as before.
 */
export function positionCodec(): PositionCodec {
  const texts = new WeakMap<Group, string>();
  /** By their text, the one that was used last at the end. */
  const groups = new Map<string, Group>();
  let remembered = 0;

  function remember(group: Group, text: string): void {
    texts.set(group, text);
    remembered += group.length - (groups.get(text)?.length ?? 0);
    groups.delete(text);
    groups.set(text, group);
    for (const [oldest, { length }] of groups) {
      if (remembered <= REMEMBERED_MAX) break;
      groups.delete(oldest);
      remembered -= length;
    }
  }

  function write(group: Group): string {
    const text = texts.get(group) ?? textOf(group);
    remember(group, text);
    return text;
  }

  function read(text: string): Group {
    const group = groups.get(text) ?? recordsOf(text);
    // A part of a string keeps all of it in memory, so the group's own text is remembered.
    if (group.length > 0) write(group);
    return group;
  }

  return {
    pack(positions) {
      if (positions.length <= LISTED_MAX) return { recent: positions };
      const { special, records } = partsOf(positions);
      const packed = [...records.values()].sort(byFirst).map(write);
      return { recent: special, more: limited(packed.join(";")) };
    },

    unpack({ recent, more = "" }, cursor) {
      const packed = more.split(";").map(read);
      const full = packed.filter(({ length }) => length > 0);
      const records = together(full) ?? inOrder(full.flat());
      const same = recent.map(({ historyId }) => positionOf(historyId, records));
      const listed = inOrder([...recent, ...same.filter((record) => record !== undefined)]);
      return positionsAfter(cursor, withPositions(records, listed));
    },
  };
}

function byFirst([a]: Group, [b]: Group): number {
  return a === undefined || b === undefined ? 0 : byId(a, b);
}

/** Returns the positions ascending, each id once. */
function inOrder(all: readonly ReadPosition[]): readonly ReadPosition[] {
  const positions = new Map<HistoryId, ReadPosition>();
  for (const position of all) {
    const { historyId } = position;
    const stored = positions.get(historyId);
    // A record is the most precise about an id; of two, the later one settles later.
    const isBetter =
      stored === undefined ||
      (isRecord(position) && !isRecord(stored)) ||
      (isRecord(position) === isRecord(stored) && position.at > stored.at);
    if (isBetter) positions.set(historyId, position);
  }
  return [...positions.values()].sort(byId);
}

/** Returns `time:first,difference,difference...` */
function textOf(records: Group): string {
  let last = 0n;
  const differences = records.map(({ historyId }) => {
    const id = BigInt(historyId);
    const difference = id - last;
    last = id;
    return difference.toString(RADIX);
  });
  return `${records[0]?.at.getTime().toString(RADIX)}:${differences.join(",")}`;
}

function recordsOf(text: string): Group {
  const [, time = "", differences = ""] = GROUP.exec(text) ?? [];
  const at = new Date(Number.parseInt(time, RADIX));
  if (Number.isNaN(at.getTime())) return [];
  let last = 0n;
  const records: ReadPosition[] = [];
  for (const difference of differences.split(",")) {
    if (!DIGITS.test(difference)) break;
    last += toBigInt(difference);
    const historyId = parseHistoryId(String(last));
    const before = records.at(-1);
    if (historyId === undefined || before?.historyId === historyId) break;
    records.push({ historyId, at });
  }
  return records;
}

/** Cuts a packed text off between two ids. */
function limited(text: string): string {
  if (text.length <= PACKED_CHARACTERS_MAX) return text;
  return text.slice(0, PACKED_CHARACTERS_MAX).replace(/[,;][^,;]*$/, "");
}

function toBigInt(digits: string): bigint {
  let value = 0n;
  for (const digit of digits) value = value * BigInt(RADIX) + BigInt(Number.parseInt(digit, RADIX));
  return value;
}
