import { spawnSync } from "node:child_process";
import { cp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { type Metafile, build } from "esbuild";
import { ROOT } from "./bundling.ts";
import type { Lockfile } from "./lockfile.ts";
import { noticesOf, thirdParties } from "./third-party.ts";

const SOURCE = path.join(ROOT, "functions/subscriber");
/** Each is an entry of the package. `gmail` needs googleapis, which the subscriber installs. */
const ENTRIES = ["index", "gmail"];
const PEERS = ["googleapis/*"];
/** What may be bundled: the package itself, the definitions of the events, and packages of others. */
const BUNDLED = /^(functions\/(subscriber|src\/domain)|node_modules)\//;

/**
 * Makes the subscriber's package in this folder, ready for `npm pack`: bundles for `import` and
 * `require`, types, schemas, and the licences of what is bundled. It depends on nothing.
 */
export async function buildSubscriber(
  folder: string,
  version: string,
  lockfile: Lockfile,
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const bundles = [await bundleAs("esm", ".js", folder), await bundleAs("cjs", ".cjs", folder)];
  await writeTypes(folder);
  await cp(path.join(SOURCE, "schemas"), path.join(folder, "schemas"), { recursive: true });
  await cp(path.join(SOURCE, "README.md"), path.join(folder, "README.md"));
  await cp(path.join(ROOT, "LICENSE"), path.join(folder, "LICENSE"));
  const manifest = JSON.parse(await readFile(path.join(SOURCE, "package.json"), "utf8"));
  const write = (file: string, text: string) => writeFile(path.join(folder, file), text);
  await write("package.json", `${JSON.stringify({ ...manifest, version }, undefined, 2)}\n`);
  await write("THIRD-PARTY-NOTICES.txt", noticesOf(thirdParties(bundles, [], lockfile), ROOT));
}

async function bundleAs(
  format: "esm" | "cjs",
  extension: string,
  folder: string,
): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: ENTRIES.map((entry) => path.join(SOURCE, `${entry}.ts`)),
    outdir: folder,
    outExtension: { ".js": extension },
    bundle: true,
    platform: "node",
    target: "node20",
    format,
    external: PEERS,
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  const stray = Object.keys(metafile.inputs).filter((input) => !BUNDLED.test(input));
  if (stray.length > 0) throw new Error(`not for subscribers: ${stray.join(", ")}`);
  return metafile;
}

/** Declarations, with the endings that each way of importing looks for. */
async function writeTypes(folder: string): Promise<void> {
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      path.join(ROOT, "node_modules/typescript/bin/tsc"),
      "--project",
      SOURCE,
      "--outDir",
      path.join(folder, "types"),
    ],
    { cwd: ROOT, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`tsc: ${stdout}`);
  const made = path.join(folder, "types/subscriber");
  for (const file of await readdir(made)) {
    if (!file.endsWith(".d.ts")) continue;
    const text = await readFile(path.join(made, file), "utf8");
    const name = file.slice(0, -".d.ts".length);
    const endingIn = (ending: string) =>
      text.replaceAll(/(from "\.\/[\w-]+)\.ts"/g, `$1${ending}"`);
    await writeFile(path.join(folder, `${name}.d.ts`), endingIn(".js"));
    await writeFile(path.join(folder, `${name}.d.cts`), endingIn(".cjs"));
  }
  await rm(path.join(folder, "types"), { recursive: true });
}
