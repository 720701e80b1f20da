import { describe, expect, it } from "vitest";
import { runSeeds, seedsFrom } from "./batch.ts";
import { FOCUS } from "./focus.ts";
import { familyOf } from "./parameters.ts";
import { REGRESSIONS } from "./regressions.ts";
import { simulate } from "./simulate.ts";

/** A few hundred here; thousands with `npm run simulate`. */
const SEEDS = 300;
const TIMEOUT_MS = 180_000;

/** What to run to see how a promise was broken. */
function broken(failed: Awaited<ReturnType<typeof runSeeds>>["failed"]): string[] {
  return failed.map(
    ({ seed, violations: [first] }) =>
      `npm run simulate -- --seed ${seed}: ${first?.property} ${first?.what}`,
  );
}

describe("simulation", () => {
  it(
    "breaks no promise",
    async () => {
      const { seeds, failed } = await runSeeds(seedsFrom(0, SEEDS));
      expect(broken(failed)).toEqual([]);
      expect(seeds).toBe(SEEDS);
    },
    TIMEOUT_MS,
  );

  it(
    "breaks no promise that it once broke",
    async () => {
      const { failed } = await runSeeds(REGRESSIONS.map(({ seed }) => seed));
      expect(broken(failed)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it.each(Object.entries(FOCUS))(
    "breaks no promise where %s is all that happens",
    async (_, adjust) => {
      const seeds = [...seedsFrom(0, 18)].filter((seed) => familyOf(seed) === "reconciled");
      expect(broken((await runSeeds(seeds, { adjust })).failed)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    "repeats itself for the same seed",
    async () => {
      for (const seed of [1, 2, 4, 9, 12]) {
        const first = await simulate(seed, { isTraced: true });
        const second = await simulate(seed, { isTraced: true });
        expect(second.traceHash).toBe(first.traceHash);
        expect(second.trace).toEqual(first.trace);
        expect(first.trace.length).toBeGreaterThan(100);
      }
    },
    TIMEOUT_MS,
  );

  it("differs for another seed", async () => {
    const [first, second] = [await simulate(1), await simulate(10)];
    expect(second.events).not.toBe(first.events);
  });
});
