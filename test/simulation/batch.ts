import { type Counts, SITUATIONS, addCounts } from "./counters.ts";
import { type Options, type Result, simulate } from "./simulate.ts";

/** What a number of runs came to. */
export interface Batch {
  seeds: number;
  events: number;
  counts: Counts;
  /** The runs in which a promise was broken, without their traces. */
  failed: Pick<Result, "seed" | "parameters" | "violations">[];
}

export function emptyBatch(): Batch {
  return { seeds: 0, events: 0, counts: {}, failed: [] };
}

/** Runs seeds one after the other. With `isOver` it stops early. */
export async function runSeeds(
  seeds: Iterable<number>,
  options: Options = {},
  isOver: (batch: Batch) => boolean = () => false,
): Promise<Batch> {
  const batch = emptyBatch();
  for (const seed of seeds) {
    const { parameters, violations, counts, events } = await simulate(seed, options);
    batch.seeds += 1;
    batch.events += events;
    addCounts(batch.counts, counts);
    if (violations.length > 0) {
      batch.failed.push({ seed, parameters, violations: violations.slice(0, 5) });
    }
    if (isOver(batch)) break;
  }
  return batch;
}

export function addBatch(sum: Batch, { seeds, events, counts, failed }: Batch): void {
  sum.seeds += seeds;
  sum.events += events;
  addCounts(sum.counts, counts);
  sum.failed.push(...failed);
}

/** The first broken promise of each failed run, with the command that shows how it came to that. */
export function brokenIn({ failed }: Batch): string[] {
  return failed.map(
    ({ seed, violations: [first] }) =>
      `npm run simulate -- --seed ${seed}: ${first?.property} ${first?.what}`,
  );
}

/** The situations that never came about: a simulation that lacks one proves nothing about it. */
export function missing({ counts }: Batch): string[] {
  return SITUATIONS.filter((it) => (counts[it] ?? 0) === 0);
}

export function* seedsFrom(first: number, count: number, step = 1): Generator<number> {
  for (let index = 0; index < count; index += step) yield first + index;
}
