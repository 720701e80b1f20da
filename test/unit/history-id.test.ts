import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compareHistoryIds,
  type HistoryId,
  isAfter,
  latestOf,
  parseHistoryId,
} from "../../functions/src/domain/history-id.ts";

function id(value: bigint | number | string): HistoryId {
  const parsed = parseHistoryId(String(value));
  assert(parsed !== undefined);
  return parsed;
}

const positions = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });

describe("a history id", () => {
  it.each([
    ["1710", "1710"],
    [1710, "1710"],
    ["9007199254740993", "9007199254740993"],
    ["18446744073709551615", "18446744073709551615"],
    [Number.MAX_SAFE_INTEGER, "9007199254740991"],
  ])("is read from %j", (value, expected) => {
    expect(parseHistoryId(value)).toBe(expected);
  });

  it.each([
    undefined,
    null,
    "",
    "0",
    0,
    -0,
    -1,
    "-1",
    "+1",
    1.5,
    "1.0",
    "1e3",
    "0x1f",
    "abc",
    " 12",
    "12 ",
    "12\n",
    "0012",
    "１２",
    2 ** 53,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    "18446744073709551616",
    "99999999999999999999",
    12n,
    true,
    ["12"],
    { toString: () => "12" },
  ])("is not read from %o", (value) => {
    expect(parseHistoryId(value)).toBeUndefined();
  });

  it("is not parsed from a million digits", () => {
    expect(parseHistoryId("9".repeat(1_000_000))).toBeUndefined();
  });

  it("is every uint64 but 0, digit for digit, and nothing else", () => {
    fc.assert(
      fc.property(positions, (position) => {
        expect(parseHistoryId(position.toString())).toBe(position.toString());
      }),
    );
    fc.assert(
      fc.property(fc.bigInt({ min: 2n ** 64n }), (beyond) => {
        expect(parseHistoryId(beyond.toString())).toBeUndefined();
      }),
    );
  });
});

describe("two history ids", () => {
  it("are compared as integers, not as text and not as doubles", () => {
    expect(isAfter(id("1000"), id("999"))).toBe(true);
    expect(isAfter(id("999"), id("1000"))).toBe(false);
    expect(isAfter(id("9007199254740993"), id("9007199254740992"))).toBe(true);
    expect(isAfter(id("5"), id("5"))).toBe(false);
  });

  it("have the order of their integers", () => {
    fc.assert(
      fc.property(positions, positions, (a, b) => {
        expect(Math.sign(compareHistoryIds(id(a), id(b)))).toBe(a > b ? 1 : a < b ? -1 : 0);
        expect(isAfter(id(a), id(b))).toBe(a > b);
      }),
    );
  });

  it("have a latest and an earliest, in any number", () => {
    fc.assert(
      fc.property(fc.array(positions, { minLength: 1 }), (many) => {
        const sorted = many.toSorted((a, b) => (a > b ? 1 : a < b ? -1 : 0));
        const [first, ...others] = many.map(id) as [HistoryId, ...HistoryId[]];
        expect(latestOf(first, others)).toBe(String(sorted.at(-1)));
      }),
    );
  });
});
