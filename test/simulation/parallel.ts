import { availableParallelism } from "node:os";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { type Batch, addBatch, emptyBatch } from "./batch.ts";
import { bundle, withBundles } from "./bundle.ts";
import type { Share } from "./share.ts";

/** Runs seeds on every core; each takes every n-th, so that all have the same to do. */
export async function runInParallel(
  first: number,
  count: number,
  onPart: (sum: Batch) => void = () => {},
): Promise<Batch> {
  const sum = emptyBatch();
  const threads = Math.max(1, Math.min(availableParallelism(), count));
  await withBundles(async (folder) => {
    const file = path.join(folder, "share.mjs");
    await bundle("share.ts", file);
    await Promise.all(
      Array.from({ length: threads }, (_, index) =>
        runShare(file, { first: first + index, count: count - index, step: threads }, (part) => {
          addBatch(sum, part);
          onPart(sum);
        }),
      ),
    );
  });
  return sum;
}

function runShare(file: string, share: Share, onPart: (part: Batch) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(file, { workerData: share });
    worker.on("message", (part: Batch) => onPart(part));
    worker.on("error", reject);
    worker.on("exit", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`a worker ended with ${code}`));
    });
  });
}
