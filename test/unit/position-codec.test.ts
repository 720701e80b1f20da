import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HistoryId } from "../../functions/src/domain/history-id.ts";
import type { ReadPosition } from "../../functions/src/domain/user.ts";
import { positionCodec } from "../../functions/src/store/position-codec.ts";

const id = (value: number | bigint) => String(value) as HistoryId;
const at = (seconds: number) => new Date(seconds * 1_000);
const START = id(1_000);

/** The records of these ids, all read at one time. */
function records(first: number, count: number, seconds: number): ReadPosition[] {
  return Array.from({ length: count }, (_, index) => ({
    historyId: id(first + index * 3),
    at: at(seconds),
  }));
}

describe("positionCodec", () => {
  it("lists a hundred positions one by one", () => {
    const positions = records(2_000, 100, 0);
    expect(positionCodec().pack(positions)).toEqual({ recent: positions });
  });

  it("packs all records of more positions, and none of the others", () => {
    const notified: ReadPosition = { historyId: id(1_500), at: at(1), isNotified: true };
    const head: ReadPosition = { historyId: id(2_001), at: at(2), isHead: true };
    const positions = [notified, ...records(2_000, 1, 0), head, ...records(2_003, 99, 0)];
    const stored = positionCodec().pack(positions);
    expect(stored.recent).toEqual([notified, head]);
    expect(positionCodec().unpack(stored, START)).toEqual(positions);
  });

  it("returns the same positions as without a memory, whatever it converted before", () => {
    const page = fc.record({
      seconds: fc.nat(3),
      ids: fc.uniqueArray(fc.nat(400), { minLength: 60, maxLength: 160 }),
      settled: fc.nat(400),
      headAt: fc.option(fc.nat(400)),
    });
    fc.assert(
      fc.property(fc.array(page, { minLength: 1, maxLength: 6 }), (pages) => {
        const codec = positionCodec();
        let positions: readonly ReadPosition[] = [];
        for (const { seconds, ids, settled, headAt } of pages) {
          const next = new Map(positions.map((position) => [Number(position.historyId), position]));
          if (headAt !== null) {
            const historyId = id(2_000 + headAt);
            next.set(2_000 + headAt, { historyId, at: at(seconds), isHead: true });
          }
          for (const place of ids) {
            next.set(2_000 + place, { historyId: id(2_000 + place), at: at(seconds) });
          }
          const written = [...next]
            .sort(([a], [b]) => a - b)
            .filter(([place]) => place > 1_900 + settled)
            .map(([, position]) => position);
          const stored = codec.pack(written);
          expect(stored).toEqual(positionCodec().pack(written));
          positions = codec.unpack(stored, START);
          expect(positions).toEqual(written);
        }
      }),
    );
  });

  it("converts only the page that is new", () => {
    const codec = positionCodec();
    const before = [...records(2_000, 200, 0), ...records(9_000, 200, 1)];
    const read = codec.unpack(positionCodec().pack(before), START);
    const page = records(20_000, 200, 2);
    const stored = codec.pack([...read, ...page]);
    const again = codec.unpack(stored, START);
    expect(again).toEqual([...before, ...page]);
    for (const [index, position] of [...read, ...page].entries()) {
      expect(again[index]).toBe(position);
    }
  });

  it("forgets what it converted long ago, and converts it again", () => {
    const codec = positionCodec();
    const stored = codec.pack(records(2_000, 200, 0));
    const [first] = codec.unpack(stored, START);
    for (let hour = 1; hour <= 4; hour++) codec.pack(records(2_000, 50_000, hour * 3_600));
    const again = codec.unpack(stored, START);
    expect(again).toEqual(records(2_000, 200, 0));
    expect(again[0]).not.toBe(first);
  });

  it("keeps the earliest records whole when a document would grow too large", () => {
    const wide = Array.from({ length: 50_000 }, (_, index) => ({
      historyId: id(10n ** 17n + BigInt(index) * 10n ** 14n),
      at: at(index < 100 ? 0 : 1),
    }));
    const stored = positionCodec().pack(wide);
    expect(stored.more?.length).toBeLessThanOrEqual(500_000);
    const positions = positionCodec().unpack(stored, START);
    expect(positions.length).toBeGreaterThan(40_000);
    expect(positions).toEqual(wide.slice(0, positions.length));
  });

  it("prefers a record to a head of the same id, and the later of two times", () => {
    const more = positionCodec().pack(records(2_000, 101, 5)).more ?? "";
    const recent: ReadPosition[] = [
      { historyId: id(2_006), at: at(9) },
      { historyId: id(2_003), at: at(9), isHead: true },
      { historyId: id(2_000), at: at(1) },
    ];
    const [first, second, third] = positionCodec().unpack({ recent, more }, START);
    expect(first).toEqual({ historyId: id(2_000), at: at(5) });
    expect(second).toEqual({ historyId: id(2_003), at: at(5) });
    expect(third).toEqual({ historyId: id(2_006), at: at(9) });
  });

  it("puts groups that an edit has mixed up in order, and omits what the cursor has passed", () => {
    const { more: late = "" } = positionCodec().pack(records(2_001, 101, 1));
    const { more: early = "" } = positionCodec().pack(records(2_000, 101, 2));
    const positions = positionCodec().unpack({ recent: [], more: `${late};${early}` }, id(2_001));
    expect(positions).toHaveLength(200);
    expect(positions.map(({ historyId }) => Number(historyId))).toEqual(
      positions.map(({ historyId }) => Number(historyId)).toSorted((a, b) => a - b),
    );
    expect(positions[0]).toEqual({ historyId: id(2_003), at: at(2) });
  });
});
