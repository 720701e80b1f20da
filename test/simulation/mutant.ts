import { parentPort, workerData } from "node:worker_threads";
import { runSeeds, seedsFrom } from "./batch.ts";

/** The first seed that showed a mutation. */
export interface Caught {
  seed: number;
  property: string;
  what: string;
}

/** Runs seeds on whatever product it was bundled with, until a promise is broken. */
const { seeds } = workerData as { seeds: number };
const { failed } = await runSeeds(seedsFrom(0, seeds), {}, (batch) => batch.failed.length > 0);
const [first] = failed;
const [violation] = first?.violations ?? [];
const caught: Caught | undefined =
  first === undefined || violation === undefined
    ? undefined
    : { seed: first.seed, property: violation.property, what: violation.what };
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
parentPort?.postMessage(caught);
