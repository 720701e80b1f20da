import { expect, it } from "vitest";
import { METHODS } from "./methods.ts";
import { PARITY } from "./parity.ts";

it("has a row for every method, and one alone", () => {
  const named = PARITY.flatMap(({ methods }) => methods);
  expect(named.toSorted()).toEqual(Object.keys(METHODS).toSorted());
});

it("has a source and a test in every row", () => {
  for (const { source, tests } of PARITY) {
    expect(source).not.toBe("");
    expect(tests).not.toEqual([]);
  }
});
