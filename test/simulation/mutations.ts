import { availableParallelism } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { Plugin } from "esbuild";
import pLimit from "p-limit";
import { type Place, applyEdits, resolveEdits } from "./anchors.ts";
import { bundle, withBundles } from "./bundle.ts";
import type { Focus } from "./focus.ts";
import { type Mutation, MUTATIONS } from "./mutation-list.ts";
import type { Caught } from "./mutant.ts";
import { PRODUCT, readProduct } from "./product.ts";

/*
 * Proves the simulation on changes that are known to be wrong: each is made to the text of the
 * product, and the simulation has to find a seed that shows it. One that survives is a hole.
 */

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "3000" },
    only: { type: "string", default: "" },
  },
});

type Result =
  | { kind: "caught"; caught: Caught }
  | { kind: "survived" }
  /** The product no longer reads as the mutation expects. */
  | { kind: "not_tried"; why: string };

const product = readProduct();
const chosen = MUTATIONS.filter(({ name }) => name.includes(values.only));
const edits = chosen.flatMap((mutation) => mutation.edits);
const resolved = new Map(resolveEdits(product, edits).map((it, index) => [edits[index], it]));
const limit = pLimit(availableParallelism());
const results = await withBundles((folder) =>
  Promise.all(
    chosen.map((mutation, index) =>
      limit(() => report(mutation, path.join(folder, `${index}.mjs`))),
    ),
  ),
);
const caught = results.filter(({ kind }) => kind === "caught").length;
console.log(`${caught} of ${results.length} mutations caught`);
process.exitCode = caught === results.length ? 0 : 1;

async function report(mutation: Mutation, outfile: string): Promise<Result> {
  const result = await tryOut(mutation, outfile);
  const found =
    result.kind === "caught"
      ? `seed ${result.caught.seed}${result.caught.focus === undefined ? "" : ` (${result.caught.focus})`}, ${result.caught.property}: ${result.caught.what}`
      : result.kind === "survived"
        ? "SURVIVED"
        : `NOT TRIED: ${result.why}`;
  console.log(`${mutation.name.padEnd(76)} ${found.slice(0, 150)}`);
  return result;
}

async function tryOut({ edits: own, focus }: Mutation, outfile: string): Promise<Result> {
  const places: Place[] = [];
  for (const edit of own) {
    const place = resolved.get(edit);
    if (place?.kind !== "found") return { kind: "not_tried", why: place?.why ?? edit.within };
    places.push(place);
  }
  const applied = new Set<string>();
  await bundle("mutant.ts", outfile, [mutating(places, applied)]);
  const missed = places.find(({ file }) => !applied.has(file));
  if (missed !== undefined) {
    return { kind: "not_tried", why: `${missed.file} is not in the bundle` };
  }
  const first = await runMutant(outfile, focus);
  return first === undefined ? { kind: "survived" } : { kind: "caught", caught: first };
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

function runMutant(file: string, focus: Focus | undefined): Promise<Caught | undefined> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(file, { workerData: { seeds: Number(values.seeds), focus } });
    worker.on("message", resolve);
    worker.on("error", reject);
  });
}
