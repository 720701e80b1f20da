import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { readOptions } from "../support/options.ts";
import { type Batch, missing } from "./batch.ts";
import { SITUATIONS } from "./counters.ts";
import { runInParallel } from "./parallel.ts";
import { simulate } from "./simulate.ts";

/** Below this number of runs a rare situation may be missing by chance. */
const COUNTED_FROM = 2_000;
const TRACE_LINES = 200;

const USAGE = `npm run simulate -- --seeds N [--from N]   many runs, and how often each situation came about
npm run simulate -- --seed N               one run, and everything that happened in it
  --record FILE                            and its recording, for npm run check-recording`;

const { values } = readOptions(USAGE, {
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "0" },
    record: { type: "string" },
  },
});

if (values.seed !== undefined) await replay(Number(values.seed));
else await runMany(Number(values.from), Number(values.seeds));

async function replay(seed: number): Promise<void> {
  const recording: object[] = [];
  const { parameters, violations, trace, traceHash } = await simulate(seed, {
    isTraced: true,
    record: (line) => void recording.push(line),
  });
  if (values.record !== undefined) {
    writeFileSync(values.record, recording.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }
  console.log(JSON.stringify(parameters, setsAsLists, 2));
  for (const line of trace) console.log(line);
  console.log(`seed ${seed}: ${trace.length} lines, hash ${traceHash.toString(16)}`);
  for (const { property, what } of violations) console.log(`${property}: ${what}`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}

async function runMany(first: number, count: number): Promise<void> {
  const startedAt = performance.now();
  const batch = await runInParallel(first, count, ({ seeds, failed }) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${seeds} seeds, ${failed.length} failed `);
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  if (process.stderr.isTTY) process.stderr.write("\r");
  printCounts(batch);
  console.log(
    `${batch.seeds} seeds in ${seconds.toFixed(1)} s (${(batch.seeds / seconds).toFixed(0)}/s), ` +
      `${batch.events} events, ${batch.failed.length} seeds with a broken promise`,
  );
  const absent = count >= COUNTED_FROM ? missing(batch) : [];
  for (const situation of absent) console.log(`never came about: ${situation}`);
  await explain(batch);
  process.exitCode = batch.failed.length + absent.length === 0 ? 0 : 1;
}

function printCounts({ counts }: Batch): void {
  for (const situation of SITUATIONS) {
    console.log(`${String(counts[situation] ?? 0).padStart(9)}  ${situation}`);
  }
}

/** Every broken promise by its seed, and the end of what led to the first one. */
async function explain({ failed }: Batch): Promise<void> {
  const [first] = failed;
  if (first === undefined) return;
  const byProperty = new Map<string, number[]>();
  for (const { seed, violations } of failed) {
    for (const property of new Set(violations.map((it) => it.property))) {
      byProperty.set(property, [...(byProperty.get(property) ?? []), seed]);
    }
  }
  console.log(`\ncommit ${commit()}`);
  for (const [property, seeds] of byProperty) console.log(`${property}: seeds ${seeds.join(" ")}`);

  const { trace } = await simulate(first.seed, { isTraced: true });
  const end = trace.findIndex((line) => line.includes(" VIOLATION "));
  console.log(`\nseed ${first.seed}\n${JSON.stringify(first.parameters, setsAsLists)}`);
  for (const line of trace.slice(Math.max(0, end - TRACE_LINES), end + 1)) console.log(line);
  for (const { property, what } of first.violations) console.log(`${property}: ${what}`);
}

function setsAsLists(_: string, value: unknown): unknown {
  return value instanceof Set ? [...value] : value;
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}
