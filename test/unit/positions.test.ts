import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HistoryId } from "../../functions/src/domain/history-id.ts";
import {
  partsOf,
  positionOf,
  positionsAfter,
  together,
  withPositions,
} from "../../functions/src/domain/positions.ts";
import type { ReadPosition } from "../../functions/src/domain/user.ts";

const id = (value: number) => String(value) as HistoryId;
const at = (seconds: number) => new Date(seconds * 1_000);
const idsOf = (positions: readonly ReadPosition[]) =>
  positions.map(({ historyId }) => Number(historyId));

const POSITION = fc.record({
  // Ids of different lengths, too.
  place: fc.integer({ min: 80, max: 120 }),
  seconds: fc.nat(3),
  kind: fc.constantFrom({}, {}, {}, { isHead: true as const }, { isNotified: true as const }),
});
const POSITIONS = fc
  .uniqueArray(POSITION, { selector: ({ place }) => place, maxLength: 12 })
  .map((positions) =>
    positions
      .toSorted((a, b) => a.place - b.place)
      .map(({ place, seconds, kind }) => ({ historyId: id(place), at: at(seconds), ...kind })),
  );

/** The parts in an order that does not depend on how the list was made. */
function comparable(positions: readonly ReadPosition[]) {
  const { special, records } = partsOf(positions);
  return { special, records: [...records].toSorted(([a], [b]) => a - b) };
}

describe("positions", () => {
  it("replace those of the same id, stay ascending, and are cut off after an id", () => {
    fc.assert(
      fc.property(POSITIONS, POSITIONS, fc.integer({ min: 79, max: 121 }), (some, added, place) => {
        const ids = new Set(idsOf(added));
        const expected = [
          ...some.filter(({ historyId }) => !ids.has(Number(historyId))),
          ...added,
        ].toSorted((a, b) => Number(a.historyId) - Number(b.historyId));
        const all = withPositions(some, added);
        expect(all).toEqual(expected);
        const isAfter = ({ historyId }: ReadPosition) => Number(historyId) > place;
        expect(positionsAfter(id(place), all)).toEqual(expected.filter(isAfter));
        const found = expected.find(({ historyId }) => historyId === id(place));
        expect(positionOf(id(place), all)).toEqual(found);
      }),
    );
  });

  it("have the same parts however they were made", () => {
    const step = fc.record({ added: POSITIONS, place: fc.integer({ min: 79, max: 121 }) });
    fc.assert(
      fc.property(POSITIONS, fc.array(step, { maxLength: 4 }), (some, steps) => {
        let positions: readonly ReadPosition[] = some;
        partsOf(positions);
        for (const { added, place } of steps) {
          positions = withPositions(positions, added);
          expect(comparable(positions)).toEqual(comparable([...positions]));
          positions = positionsAfter(id(place), positions);
          expect(comparable(positions)).toEqual(comparable([...positions]));
        }
      }),
    );
  });

  it("pass the records of other times on as they are", () => {
    const read = (first: number, seconds: number) =>
      Array.from({ length: 3 }, (_, index) => ({ historyId: id(first + index), at: at(seconds) }));
    const positions = together([read(100, 1), read(200, 2)]) ?? [];
    const group = partsOf(positions).records.get(2_000);
    const head = { historyId: id(900), at: at(2), isHead: true as const };
    const more = withPositions(withPositions(positions, [head]), read(300, 3));
    expect(partsOf(more).records.get(2_000)).toBe(group);
    const rest = positionsAfter(id(101), more);
    expect(partsOf(rest).records.get(2_000)).toBe(group);
    expect(partsOf(rest).records.get(1_000)).toEqual(read(100, 1).slice(2));
    expect(partsOf(rest).special).toEqual([head]);
  });

  it("come together from the groups of several times, if no id occurs twice", () => {
    fc.assert(
      fc.property(POSITIONS, (some) => {
        const groups = [...partsOf(some).records.values()];
        const records = together(groups) ?? [];
        expect(records).toEqual(some.filter(({ isHead, isNotified }) => !isHead && !isNotified));
        expect(comparable(records)).toEqual(comparable([...records]));
        expect(together([...groups, ...groups.slice(0, 1)]) === undefined).toBe(groups.length > 0);
      }),
    );
  });

  it("come together from more groups than a call takes arguments", () => {
    const groups = Array.from({ length: 200_000 }, (_, index) => [
      { historyId: id(1_000_000 + index), at: at(index) },
    ]);
    expect(together(groups)).toHaveLength(200_000);
  });
});
