import type { ReadPosition } from "../domain/user.ts";
import {
  type HistoryId,
  compareHistoryIds,
  isAfter,
  parseHistoryId,
} from "../domain/history-id.ts";

/**
 * The number of positions that are stored one by one; if there are more, records are packed into
 * one string.
 */
const LISTED_MAX = 500;
/**
 * Far below the 1 MiB of a document, together with everything else in it. Omitted records are read
 * again.
 */
const PACKED_CHARACTERS_MAX = 500_000;
const RADIX = 36;
const GROUP = /^([0-9a-z]{1,11}):([0-9a-z,]+)$/;
const DIGITS = /^[0-9a-z]{1,13}$/;

/**
 * Unsettled positions in their stored form: `sync.recent`, and `sync.more` only if that is full.
 */
export interface StoredPositions {
  recent: readonly ReadPosition[];
  more?: string;
}

/** Returns ascending positions in their stored form. Heads and notified ids are never packed. */
export function packPositions(positions: readonly ReadPosition[]): StoredPositions {
  if (positions.length <= LISTED_MAX) return { recent: positions };
  const special = positions.filter((position) => !isRecord(position));
  const records = positions.filter(isRecord);
  const listed = Math.max(0, LISTED_MAX - special.length);
  const recent = [...special, ...records.slice(0, listed)].sort(byId);
  return { recent, more: pack(records.slice(listed)) };
}

/**
 * Returns the positions after the cursor, ascending, each id once, from any document. Invalid ones
 * are left out: their records are published again under the same ids.
 */
export function unpackPositions(
  { recent, more = "" }: StoredPositions,
  cursor: HistoryId,
): ReadPosition[] {
  const positions = new Map<HistoryId, ReadPosition>();
  for (const position of [...recent, ...unpack(more)]) {
    const { historyId } = position;
    const stored = positions.get(historyId);
    // A record is the most precise about an id; of two, the later one settles later.
    const isBetter =
      stored === undefined ||
      (isRecord(position) && !isRecord(stored)) ||
      (isRecord(position) === isRecord(stored) && position.at > stored.at);
    if (isAfter(historyId, cursor) && isBetter) positions.set(historyId, position);
  }
  return [...positions.values()].sort(byId);
}

/** Groups of one time: `time:first,difference,difference...`, separated by semicolons. */
function pack(records: readonly ReadPosition[]): string {
  const groups = new Map<number, { text: string[]; last: bigint }>();
  let characters = 0;
  for (const { historyId, at } of records) {
    const id = BigInt(historyId);
    const time = at.getTime();
    const group = groups.get(time);
    const text = (id - (group?.last ?? 0n)).toString(RADIX);
    characters += text.length + (group === undefined ? time.toString(RADIX).length + 2 : 1);
    if (characters > PACKED_CHARACTERS_MAX) break;
    if (group === undefined) groups.set(time, { text: [text], last: id });
    else {
      group.text.push(text);
      group.last = id;
    }
  }
  return [...groups]
    .map(([time, { text }]) => `${time.toString(RADIX)}:${text.join(",")}`)
    .join(";");
}

function unpack(packed: string): ReadPosition[] {
  return packed.split(";").flatMap((group) => {
    const [, time = "", ids = ""] = GROUP.exec(group) ?? [];
    const at = new Date(Number.parseInt(time, RADIX));
    if (Number.isNaN(at.getTime())) return [];
    let last = 0n;
    const positions: ReadPosition[] = [];
    for (const text of ids.split(",")) {
      if (!DIGITS.test(text)) break;
      last += toBigInt(text);
      const historyId = parseHistoryId(String(last));
      if (historyId === undefined) break;
      positions.push({ historyId, at });
    }
    return positions;
  });
}

function toBigInt(digits: string): bigint {
  let value = 0n;
  for (const digit of digits) value = value * BigInt(RADIX) + BigInt(Number.parseInt(digit, RADIX));
  return value;
}

function isRecord({ isHead, isNotified }: ReadPosition): boolean {
  return isHead !== true && isNotified !== true;
}

function byId(a: ReadPosition, b: ReadPosition): number {
  return compareHistoryIds(a.historyId, b.historyId);
}
