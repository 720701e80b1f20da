import { parentPort } from "node:worker_threads";
import { type Bound, exploreScenario } from "./explore.ts";
import { SCENARIOS, type Size } from "./explore-scenarios.ts";

/** A scenario that a worker explores, by its place in the list. */
export interface Task {
  scenario: number;
  size: Size;
  bound: Bound;
}

// The product throws thousands of errors, and nobody reads where.
Error.stackTraceLimit = 0;

parentPort?.on("message", async ({ scenario: index, size, bound }: Task) => {
  const scenario = SCENARIOS[index];
  if (scenario === undefined) throw new Error("there is no such scenario");
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
  parentPort?.postMessage(await exploreScenario(scenario, size, bound));
});
