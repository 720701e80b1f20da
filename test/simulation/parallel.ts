import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { type Batch, addBatch, emptyBatch, runSeeds, seedsFrom } from "./batch.ts";

interface Share {
  first: number;
  count: number;
  step: number;
}

/** Messages of a worker: a part of its share at a time, so that progress can be shown. */
const PART = 100;

/** Runs seeds on every core; each takes every n-th, so that all have the same to do. */
export async function runInParallel(
  first: number,
  count: number,
  onPart: (sum: Batch) => void = () => {},
): Promise<Batch> {
  const sum = emptyBatch();
  const threads = Math.max(1, Math.min(availableParallelism(), count));
  await Promise.all(
    Array.from({ length: threads }, (_, index) =>
      runShare({ first: first + index, count: count - index, step: threads }, (part) => {
        addBatch(sum, part);
        onPart(sum);
      }),
    ),
  );
  return sum;
}

function runShare(share: Share, onPart: (part: Batch) => void): Promise<void> {
  const source = fileURLToPath(import.meta.url);
  // A worker has no loader for TypeScript of its own; from a bundle it starts as it is.
  const start = source.endsWith(".ts")
    ? `import("tsx/esm/api").then(({ register }) => { register(); return import(${JSON.stringify(source)}); });`
    : `import(${JSON.stringify(source)});`;
  return new Promise((resolve, reject) => {
    const worker = new Worker(start, { eval: true, workerData: share });
    worker.on("message", (part: Batch) => onPart(part));
    worker.on("error", reject);
    worker.on("exit", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`a worker ended with ${code}`));
    });
  });
}

async function work({ first, count, step }: Share): Promise<void> {
  const seeds = [...seedsFrom(first, count, step)];
  for (let from = 0; from < seeds.length; from += PART) {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
    parentPort?.postMessage(await runSeeds(seeds.slice(from, from + PART)));
  }
}

if (!isMainThread && parentPort !== null) await work(workerData as Share);
