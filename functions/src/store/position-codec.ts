import type { ReadPosition } from "../domain/user.ts";
import { type HistoryId, parseHistoryId } from "../domain/history-id.ts";
import { byId, isRecord, positionOf, positionsAfter, withPositions } from "../domain/positions.ts";

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

/** Records that were read at one time, ascending, and their text. */
interface Group {
  records: readonly ReadPosition[];
  /** `time:first,difference,difference...` */
  text: string;
}

/**
 * Returns a codec that remembers what it has converted: a catch-up writes and reads tens of
 * thousands of positions with every page, and all but those of the page are the same as before.
 */
export function positionCodec(): PositionCodec {
  /** By their first record. */
  const packed = new WeakMap<ReadPosition, Group>();
  /** By their text, the one that was used last at the end. */
  const unpacked = new Map<string, Group>();
  let remembered = 0;

  function remember(group: Group): Group {
    const { records, text } = group;
    const [first] = records;
    if (first !== undefined) packed.set(first, group);
    remembered += records.length - (unpacked.get(text)?.records.length ?? 0);
    unpacked.delete(text);
    unpacked.set(text, group);
    for (const [oldest, { records: forgotten }] of unpacked) {
      if (remembered <= REMEMBERED_MAX) break;
      unpacked.delete(oldest);
      remembered -= forgotten.length;
    }
    return group;
  }

  function groupOf(records: readonly ReadPosition[]): Group {
    const known = records[0] && packed.get(records[0]);
    const isKnown =
      known?.records.length === records.length &&
      known.records.every((record, index) => record === records[index]);
    return remember(isKnown ? known : { records, text: textOf(records) });
  }

  function read(text: string): readonly ReadPosition[] {
    const known = unpacked.get(text);
    if (known !== undefined) return remember(known).records;
    const records = recordsOf(text);
    // A part of a string keeps all of it in memory, so its own text is remembered.
    return records.length === 0 ? [] : remember({ records, text: textOf(records) }).records;
  }

  return {
    pack(positions) {
      if (positions.length <= LISTED_MAX) return { recent: positions };
      const groups = byTime(positions).map(groupOf);
      return {
        recent: positions.filter((position) => !isRecord(position)),
        more: limited(groups.map(({ text }) => text).join(";")),
      };
    },

    unpack({ recent, more = "" }, cursor) {
      const groups = more.split(";").map(read);
      const isInOrder = groups.every((records, index) => {
        const [before, first] = [groups[index - 1]?.at(-1), records[0]];
        return before === undefined || first === undefined || byId(before, first) < 0;
      });
      const all = joined(groups);
      const records = isInOrder ? all : inOrder(all);
      const same = recent.map(({ historyId }) => positionOf(historyId, records));
      const listed = inOrder([...recent, ...same.filter((record) => record !== undefined)]);
      return positionsAfter(cursor, withPositions(records, listed));
    },
  };
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

/** Far quicker than `flat`, which asks of each element whether it is an array. */
function joined(groups: readonly (readonly ReadPosition[])[]): readonly ReadPosition[] {
  const all: ReadPosition[] = [];
  for (const records of groups) for (const record of records) all.push(record);
  return all;
}

/** Returns the records among ascending positions, those of one time together. */
function byTime(positions: readonly ReadPosition[]): (readonly ReadPosition[])[] {
  const groups = new Map<number, ReadPosition[]>();
  let time: number | undefined;
  let group: ReadPosition[] = [];
  for (const position of positions) {
    if (!isRecord(position)) continue;
    if (position.at.getTime() !== time) {
      time = position.at.getTime();
      group = groups.get(time) ?? [];
      groups.set(time, group);
    }
    group.push(position);
  }
  return [...groups.values()];
}

function textOf(records: readonly ReadPosition[]): string {
  let last = 0n;
  const differences = records.map(({ historyId }) => {
    const id = BigInt(historyId);
    const difference = id - last;
    last = id;
    return difference.toString(RADIX);
  });
  return `${records[0]?.at.getTime().toString(RADIX)}:${differences.join(",")}`;
}

function recordsOf(text: string): readonly ReadPosition[] {
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
