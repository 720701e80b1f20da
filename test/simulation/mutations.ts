import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { Plugin } from "esbuild";
import pLimit from "p-limit";
import { bundle, withBundles } from "./bundle.ts";
import type { Focus } from "./focus.ts";
import { type Mutation, MUTATIONS } from "./mutation-list.ts";
import type { Caught } from "./mutant.ts";

/*
 * Proves the simulation on changes that are known to be wrong: each is made to the text of the
 * product, and the simulation has to find a seed that shows it. One that survives is a hole.
 */

const HERE = path.dirname(fileURLToPath(import.meta.url));
const PRODUCT = path.resolve(HERE, "../../functions/src");

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "3000" },
    only: { type: "string", default: "" },
  },
});

const chosen = MUTATIONS.filter(({ name }) => name.includes(values.only));
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

type Result =
  | { kind: "caught"; caught: Caught }
  | { kind: "survived" }
  /** The product no longer reads as the mutation expects. */
  | { kind: "not_tried"; why: string };

async function tryOut(mutation: Mutation, outfile: string): Promise<Result> {
  const applied = new Set<string>();
  const wrong: string[] = [];
  await bundle("mutant.ts", outfile, [mutating(mutation, applied, wrong)]);
  const missed = mutation.edits.filter(({ file }) => !applied.has(file));
  const [unapplied] = missed;
  if (unapplied !== undefined) {
    return { kind: "not_tried", why: wrong.at(0) ?? `${unapplied.file} is not in the bundle` };
  }
  const first = await runMutant(outfile, mutation.focus);
  return first === undefined ? { kind: "survived" } : { kind: "caught", caught: first };
}

/** Reads the product's files as the mutation would have them. */
function mutating({ edits }: Mutation, applied: Set<string>, wrong: string[]): Plugin {
  return {
    name: "mutation",
    setup({ onLoad }) {
      onLoad({ filter: /functions[/\\]src[/\\].*\.ts$/ }, async ({ path: source }) => {
        const file = path.relative(PRODUCT, source).split(path.sep).join("/");
        const own = edits.filter((edit) => edit.file === file);
        if (own.length === 0) return undefined;
        let contents = await readFile(source, "utf8");
        for (const { find, replace } of own) {
          const times = contents.split(find).length - 1;
          if (times !== 1) {
            wrong.push(`found ${times} times in ${file}: ${find}`);
            return undefined;
          }
          contents = contents.replace(find, () => replace);
        }
        applied.add(file);
        return { contents, loader: "ts" };
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
