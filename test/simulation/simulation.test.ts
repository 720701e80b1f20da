import { describe, expect, it } from "vitest";
import { brokenIn, runSeeds, seedsFrom } from "./batch.ts";
import { REGRESSIONS } from "./regressions.ts";
import { simulate } from "./simulate.ts";

/** Some here; thousands with `npm run simulate`, these among them. */
const SEEDS = 60;
const TIMEOUT_MS = 180_000;

describe("simulation", () => {
  it(
    "breaks no promise",
    async () => {
      const batch = await runSeeds(seedsFrom(0, SEEDS));
      expect(brokenIn(batch)).toEqual([]);
      expect(batch.seeds).toBe(SEEDS);
    },
    TIMEOUT_MS,
  );

  it(
    "breaks no promise that it once broke",
    async () => {
      const batch = await runSeeds(REGRESSIONS.map(({ seed }) => seed));
      expect(brokenIn(batch)).toEqual([]);
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
