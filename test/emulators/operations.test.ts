import { describe, expect, it } from "vitest";
import { operations } from "../bench/operations.ts";

/**
 * Goal: what a case costs on the wire is what design and prices reckon with: the requests that the
 * built function makes, counted by those who answer them. `test/bench/operations.test.ts` counts
 * the same at the stores, with every request of Firestore's as the documents that it is billed for.
 */
describe("the requests of the built function", () => {
  it("are no more and no fewer than they have to be", { timeout: 120_000 }, async () => {
    const rows = await operations();
    expect(rows.length).toBeGreaterThan(5);
    expect(rows.map(({ row, ours }) => [row, ours])).toEqual(
      rows.map(({ row, reference }) => [row, reference]),
    );
  });
});
