import { describe, expect, it } from "vitest";
import { countRequests } from "../bench/operations.ts";

/**
 * Goal: what a case costs on the wire is what design and prices reckon with: the requests that the
 * built function makes, counted by those who answer them. `test/deploy/operation-counts.test.ts`
 * counts the same at the stores, with every request of Firestore's as the documents that it is
 * billed for.
 */
describe("the requests of the built function", () => {
  it("are exactly those that are needed", { timeout: 120_000 }, async () => {
    const costs = await countRequests();
    expect(costs.length).toBeGreaterThan(5);
    for (const { name, ours, expected } of costs) {
      expect({ name, ...ours }).toEqual({ name, ...expected });
    }
  });
});
