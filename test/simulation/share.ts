import { parentPort, workerData } from "node:worker_threads";
import { runSeeds, seedsFrom } from "./batch.ts";

/** The seeds that one worker runs: each `step`-th of `count` from the first. */
export interface Share {
  first: number;
  count: number;
  step: number;
}

/** Messages of a worker: a part of its share at a time, so that progress can be shown. */
const PART = 100;

// The product throws thousands of errors in each run, and nobody reads where.
Error.stackTraceLimit = 0;

const { first, count, step } = workerData as Share;
const seeds = [...seedsFrom(first, count, step)];
for (let from = 0; from < seeds.length; from += PART) {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
  parentPort?.postMessage(await runSeeds(seeds.slice(from, from + PART)));
}
