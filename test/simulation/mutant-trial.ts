import { parentPort } from "node:worker_threads";
import { seedsFrom } from "./batch.ts";
import type { Focus } from "./focus.ts";
import type { Size } from "./explore-scenarios.ts";
import type { exploredViolation, firstViolation } from "./mutant.ts";
import { familyOf } from "./parameters.ts";
import { REGRESSIONS } from "./regressions.ts";

/** Bundles of `mutant.ts`, and which seeds to try on them. */
export interface Trial {
  mutant: string;
  /** Without any change. */
  product: string;
  seeds: number;
  focus: Focus | undefined;
  /** Explores small worlds instead, each for so long at most. */
  explored: { size: Size; secondsMax: number } | undefined;
}

/** What a trial came to. */
export interface Tried {
  /** By the run of a seed, or by the exploration of a small world. */
  caught?: { by: string; property: string; what: string };
  /** The runs that break a promise without the change, so they prove nothing about it. */
  broken: string[];
  seeds: number;
}

interface Bundle {
  firstViolation: typeof firstViolation;
  exploredViolation: typeof exploredViolation;
}

/*
 * A worker that runs one trial after the other. It loads the packages, and the product as it is,
 * only once.
 */
parentPort?.on("message", async (trial: Trial) => {
  const tried = await run(trial);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
  parentPort?.postMessage(tried);
});

async function run({ mutant, product, seeds, focus, explored }: Trial): Promise<Tried> {
  const changed = (await import(mutant)) as Bundle;
  if (explored !== undefined) {
    // Without the change no small world breaks a promise: `npm run explore` has shown that.
    const found = await changed.exploredViolation(explored.size, explored.secondsMax);
    if (found === undefined) return { broken: [], seeds: 0 };
    const { property, what } = found.violation;
    return { caught: { by: found.scenario, property, what }, broken: [], seeds: 0 };
  }
  const unchanged = (await import(product)) as Bundle;
  const every = [...seedsFrom(0, seeds), ...REGRESSIONS.map(({ seed }) => seed)];
  const chosen = focus === undefined ? every : every.filter((it) => familyOf(it) === "reconciled");
  const broken: string[] = [];
  for (const [index, seed] of chosen.entries()) {
    const violation = await changed.firstViolation(seed, focus);
    if (violation === undefined) continue;
    if ((await unchanged.firstViolation(seed, focus)) === undefined) {
      const { property, what } = violation;
      return { caught: { by: `seed ${seed}`, property, what }, broken, seeds: index + 1 };
    }
    broken.push(focus === undefined ? `seed ${seed}` : `seed ${seed} of ${focus}`);
  }
  return { broken, seeds: chosen.length };
}
