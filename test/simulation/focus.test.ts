import { describe, expect, it } from "vitest";
import { brokenIn, runSeeds, seedsFrom } from "./batch.ts";
import { FOCUS } from "./focus.ts";
import { familyOf } from "./parameters.ts";

const TIMEOUT_MS = 180_000;

describe("a simulation that brings about what is rare", () => {
  it.each(Object.entries(FOCUS))(
    "breaks no promise where %s is all that happens",
    async (_, adjust) => {
      const seeds = [...seedsFrom(0, 18)].filter((seed) => familyOf(seed) === "reconciled");
      expect(brokenIn(await runSeeds(seeds, { adjust }))).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
