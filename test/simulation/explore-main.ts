import { once } from "node:events";
import { availableParallelism } from "node:os";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { readOptions } from "../support/options.ts";
import { bundle, withBundles } from "./bundle.ts";
import type { Exploration } from "./explore.ts";
import { SCENARIOS, SIZES, type Size, isOfSize } from "./explore-scenarios.ts";
import type { Task } from "./explore-worker.ts";

const USAGE = `npm run explore -- [options]   everything that can happen in small worlds, in every order
  --size N         how much happens in them (0)
${SIZES.map((each, index) => `                   ${index}: ${describe(each)}`).join("\n")}
  --only NAME      scenarios whose name contains this
  --seconds N      for each scenario, at most (no limit)

Ends with 1 if a promise is broken. Without --seconds, everything was tried.`;

const { values } = readOptions(USAGE, {
  options: {
    size: { type: "string", default: "0" },
    only: { type: "string", default: "" },
    seconds: { type: "string", default: "Infinity" },
  },
});

const size = SIZES[Number(values.size)];
const secondsMax = Number(values.seconds);
const tasks = [...SCENARIOS.entries()].flatMap(([scenario, each]): Task[] => {
  if (size === undefined || !isOfSize(each, size) || !each.name.includes(values.only)) return [];
  return [{ scenario, size, bound: { secondsMax } }];
});
if (size === undefined || tasks.length === 0 || Number.isNaN(secondsMax)) {
  console.error(USAGE);
  process.exit(2);
}
const startedAt = performance.now();
const all = await withBundles(exploreAll);
const sum = (count: (each: Exploration) => number) =>
  all.map(count).reduce((total, each) => total + each, 0);
console.log(
  `${sum(({ states }) => states)} states, ${sum(({ transitions }) => transitions)} transitions, ` +
    `${sum(({ ends }) => ends)} ends in ${((performance.now() - startedAt) / 1_000).toFixed(0)} s: ` +
    describe(size),
);
const isKept = all.every(({ counterexample }) => counterexample === undefined);
process.exitCode = isKept ? 0 : 1;

function describe({ instances, records, blows }: Size): string {
  return `${instances} instances, ${records} records, ${blows} ${blows === 1 ? "blow" : "blows"}`;
}

/** Explores on every core, each scenario as soon as a worker is free. */
async function exploreAll(folder: string): Promise<Exploration[]> {
  const file = path.join(folder, "explore.mjs");
  await bundle("explore-worker.ts", file);
  const waiting = tasks.values();
  const results: Exploration[] = [];
  const work = async () => {
    const worker = new Worker(file);
    try {
      for (const task of waiting) {
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
        worker.postMessage(task);
        const [result] = (await once(worker, "message")) as [Exploration];
        results.push(result);
        print(result);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return results;
}

function print(result: Exploration): void {
  const { scenario, states, transitions, ends, seconds, isComplete, counterexample } = result;
  const columns = [states, transitions, ends].map((count) => String(count).padStart(8)).join("");
  const note = isComplete ? "" : counterexample === undefined ? "  NOT COMPLETE" : "  BROKEN";
  console.log(`${scenario.padEnd(54)}${columns}${seconds.toFixed(1).padStart(8)} s${note}`);
  if (counterexample === undefined) return;
  for (const [index, { options, chosen: taken }] of counterexample.steps.entries()) {
    console.log(`${String(index + 1).padStart(4)}  ${options[taken]}`);
  }
  console.log(`      ${counterexample.violation?.property}: ${counterexample.violation?.what}`);
}
