import { parentPort, workerData } from "node:worker_threads";
import { type Batch, runSeeds, seedsFrom } from "./batch.ts";
import { FOCUS, type Focus } from "./focus.ts";
import { familyOf } from "./parameters.ts";
import { REGRESSIONS } from "./regressions.ts";

/** The first seed that showed a mutation. */
export interface Caught {
  seed: number;
  /** The workload it was run with; absent where the seed alone decides. */
  focus: Focus | undefined;
  property: string;
  what: string;
}

/** Runs seeds on whatever product it was bundled with, until a promise is broken. */
const { seeds, focus } = workerData as { seeds: number; focus: Focus | undefined };
const isOver = (batch: Batch) => batch.failed.length > 0;
const tried = [...seedsFrom(0, seeds), ...REGRESSIONS.map(({ seed }) => seed)];
const chosen = focus === undefined ? tried : tried.filter((it) => familyOf(it) === "reconciled");
const adjust = focus === undefined ? {} : { adjust: FOCUS[focus] };
const { failed } = await runSeeds(chosen, adjust, isOver);
const [first] = failed;
const [violation] = first?.violations ?? [];
const caught: Caught | undefined =
  first === undefined || violation === undefined
    ? undefined
    : { seed: first.seed, focus, property: violation.property, what: violation.what };
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
parentPort?.postMessage(caught);
