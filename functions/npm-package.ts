import { spawnSync } from "node:child_process";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { type Metafile, build } from "esbuild";
import { ROOT } from "./bundling.ts";
import type { Lockfile } from "./lockfile.ts";
import { noticesOf, thirdParties } from "./third-party.ts";

/** Bundles of an npm package, and what they may hold. */
export interface Bundling {
  /** Where the entries are. */
  source: string;
  /** File names without `.ts`. */
  entries: readonly string[];
  /** `esm` for `import`, `cjs` for `require`. */
  format: "esm" | "cjs";
  /** What the user of the package installs. */
  external?: string[];
  /** The files that may be bundled, relative to the project. */
  allowed: RegExp;
}

/** Bundles each entry into this folder, for Node 20. Throws for a file that is not allowed. */
export async function bundleEntries(folder: string, bundling: Bundling): Promise<Metafile> {
  const { source, entries, format, external = [], allowed } = bundling;
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: entries.map((entry) => path.join(source, `${entry}.ts`)),
    outdir: folder,
    outExtension: { ".js": format === "esm" ? ".js" : ".cjs" },
    bundle: true,
    // What two entries share is in one file, so that it is loaded once.
    splitting: format === "esm",
    chunkNames: "shared-[hash]",
    platform: "node",
    target: "node20",
    format,
    external,
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  const stray = Object.keys(metafile.inputs).filter((input) => !allowed.test(input));
  if (stray.length > 0) throw new Error(`not for this package: ${stray.join(", ")}`);
  return metafile;
}

/** Writes the declarations of a TypeScript project to this folder. */
export function writeDeclarations(project: string, folder: string): void {
  const { status, stdout } = spawnSync(
    process.execPath,
    [path.join(ROOT, "node_modules/typescript/bin/tsc"), "--project", project, "--outDir", folder],
    { cwd: ROOT, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`tsc: ${stdout}`);
}

/** Makes an empty folder. */
export async function emptied(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
}

/** Writes what every package has: its manifest with this version, README and licences. */
export async function writePackageFiles(
  folder: string,
  {
    source,
    version,
    bundles,
    lockfile,
  }: { source: string; version: string; bundles: readonly Metafile[]; lockfile: Lockfile },
): Promise<void> {
  await cp(path.join(source, "README.md"), path.join(folder, "README.md"));
  await cp(path.join(ROOT, "LICENSE"), path.join(folder, "LICENSE"));
  const manifest = JSON.parse(await readFile(path.join(source, "package.json"), "utf8"));
  const write = (file: string, text: string) => writeFile(path.join(folder, file), text);
  await write("package.json", `${JSON.stringify({ ...manifest, version }, undefined, 2)}\n`);
  await write("THIRD-PARTY-NOTICES.txt", noticesOf(thirdParties(bundles, [], lockfile), ROOT));
}
