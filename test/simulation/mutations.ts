import { once } from "node:events";
import { availableParallelism } from "node:os";
import path from "node:path";
import { readOptions } from "../support/options.ts";
import { Worker } from "node:worker_threads";
import type { Plugin } from "esbuild";
import { type Place, applyEdits, resolveEdits } from "./anchors.ts";
import { bundle, withBundles } from "./bundle.ts";
import { SIZES } from "./explore-scenarios.ts";
import { type Mutation, MUTATIONS } from "./mutation-list.ts";
import type { Trial, Tried } from "./mutant-trial.ts";
import { PRODUCT, readProduct } from "./product.ts";

/*
 * Proves the simulation on changes that are known to be wrong: each is made to the text of the
 * product, and the simulation has to find a seed that shows it, and that breaks no promise without
 * the change. One that survives is a hole.
 */

const USAGE = `npm run simulate:mutations -- [options]
  --seeds N     runs that each change is tried on, at most (1000)
  --only NAME   changes whose name contains this; may be repeated
  --explore N   explores small worlds of size N instead of running seeds
  --seconds N   how long each small world is explored, at most (20)`;

const { values } = readOptions(USAGE, {
  options: {
    seeds: { type: "string", default: "1000" },
    only: { type: "string", multiple: true, default: [""] },
    explore: { type: "string" },
    seconds: { type: "string", default: "20" },
  },
});

type Result =
  | ({ kind: "tried" } & Tried)
  /** The product no longer reads as the mutation expects. */
  | { kind: "not_tried"; why: string };

const NAME_CHARACTERS = 76;
const LINE_CHARACTERS = 230;

const size = values.explore === undefined ? undefined : SIZES[Number(values.explore)];
const explored = size && { size, secondsMax: Number(values.seconds) };
if (values.explore !== undefined && explored === undefined) {
  console.error(USAGE);
  process.exit(2);
}
const startedAt = performance.now();
const product = readProduct();
const chosen = MUTATIONS.filter(({ name }) => values.only.some((part) => name.includes(part)));
const edits = chosen.flatMap((mutation) => mutation.edits);
const resolved = new Map(resolveEdits(product, edits).map((it, index) => [edits[index], it]));
const all = await withBundles(tryAll);
const caught = all.filter((it) => it.kind === "tried" && it.caught !== undefined).length;
const broken = new Set(all.flatMap((it) => (it.kind === "tried" ? it.broken : [])));
if (broken.size > 0) {
  const runs = [...broken].join(", ");
  console.log(`broke a promise without any change, and were not counted: ${runs}`);
}
const seconds = (performance.now() - startedAt) / 1_000;
console.log(`${caught} of ${all.length} mutations caught in ${seconds.toFixed(0)} s`);
process.exitCode = caught === all.length && all.length > 0 ? 0 : 1;

/** Tries the mutations on every core, each as soon as a worker is free. */
async function tryAll(folder: string): Promise<Result[]> {
  const inFolder = (name: string) => path.join(folder, `${name}.mjs`);
  await bundle("mutant.ts", inFolder("product"));
  await bundle("mutant-trial.ts", inFolder("trial"));
  const waiting = chosen.entries();
  const results: Result[] = [];
  const work = async () => {
    const worker = new Worker(inFolder("trial"));
    try {
      for (const [index, mutation] of waiting) {
        const files = { mutant: inFolder(String(index)), product: inFolder("product") };
        const result = await tryOut(mutation, files, worker);
        results.push(result);
        print(mutation, result);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return results;
}

async function tryOut(
  { edits: own, focus }: Mutation,
  files: Pick<Trial, "mutant" | "product">,
  worker: Worker,
): Promise<Result> {
  const places: Place[] = [];
  for (const edit of own) {
    const place = resolved.get(edit);
    if (place?.kind !== "found") return { kind: "not_tried", why: place?.why ?? edit.within };
    places.push(place);
  }
  const applied = new Set<string>();
  await bundle("mutant.ts", files.mutant, [mutating(places, applied)]);
  const missed = places.find(({ file }) => !applied.has(file));
  if (missed !== undefined) {
    return { kind: "not_tried", why: `${missed.file} is not in the bundle` };
  }
  const trial: Trial = { ...files, seeds: Number(values.seeds), focus, explored };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port, not a window
  worker.postMessage(trial);
  const [tried] = (await once(worker, "message")) as [Tried];
  return { kind: "tried", ...tried };
}

/** Reads the product's files as the mutation would have them. */
function mutating(places: readonly Place[], applied: Set<string>): Plugin {
  return {
    name: "mutation",
    setup({ onLoad }) {
      onLoad({ filter: /functions[/\\]src[/\\].*\.ts$/ }, ({ path: source }) => {
        const file = path.relative(PRODUCT, source).split(path.sep).join("/");
        const own = places.filter((place) => place.file === file);
        const text = product[file];
        if (own.length === 0 || text === undefined) return undefined;
        applied.add(file);
        return { contents: applyEdits(text, own), loader: "ts" };
      });
    },
  };
}

function print({ name, focus }: Mutation, result: Result): void {
  const line = `${name.padEnd(NAME_CHARACTERS)} ${describe(result, focus)}`;
  console.log(line.slice(0, LINE_CHARACTERS));
}

function describe(result: Result, focus: Mutation["focus"]): string {
  if (result.kind === "not_tried") return `NOT TRIED: ${result.why}`;
  const runs =
    explored === undefined
      ? `${result.seeds} runs${focus === undefined ? "" : ` of ${focus}`}`
      : "explored";
  if (result.caught === undefined) return `SURVIVED ${runs}`;
  const { by, property, what } = result.caught;
  return `${by}, ${runs}, ${property}: ${what}`;
}
