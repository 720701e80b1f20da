import { mkdir, mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type Plugin, build } from "esbuild";

const HERE = path.dirname(fileURLToPath(import.meta.url));
/** Below the packages that a bundle imports. */
const CACHE = path.resolve(HERE, "../../node_modules/.cache");

/** Calls `use` with a folder for bundles, which is removed afterwards. */
export async function withBundles<T>(use: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(path.join(CACHE, "simulation-"));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What is sealed is opened from memory: the product's own tests open it for real. */
const quickSealing: Plugin = {
  name: "quick-sealing",
  setup({ onResolve }) {
    onResolve({ filter: /[/]sealing\.ts$/ }, ({ importer }) => {
      if (importer.startsWith(HERE)) return undefined;
      return { path: path.join(HERE, "quick-sealing.ts") };
    });
  },
};

/**
 * Bundles a file of this folder, for a worker: it starts at once, and runs faster than through the
 * loader, which gives each closure its name when it is made.
 */
export async function bundle(
  entry: string,
  outfile: string,
  plugins: Plugin[] = [],
): Promise<void> {
  await build({
    entryPoints: [path.join(HERE, entry)],
    outfile,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    logLevel: "error",
    plugins: [quickSealing, ...plugins],
  });
}
