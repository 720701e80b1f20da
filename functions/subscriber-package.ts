import { cp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { ROOT } from "./bundling.ts";
import type { Lockfile } from "./lockfile.ts";
import {
  type Bundling,
  bundleEntries,
  emptied,
  writeDeclarations,
  writePackageFiles,
} from "./npm-package.ts";

const SOURCE = path.join(ROOT, "functions/subscriber");
/** `gmail` needs googleapis, which the subscriber installs. */
const BUNDLING: Omit<Bundling, "format"> = {
  source: SOURCE,
  entries: ["index", "gmail"],
  external: ["googleapis/*"],
  // The package itself, the definitions of the events, and packages of others.
  allowed: /^(functions\/(subscriber|src\/domain)|node_modules)\//,
};

/**
 * Makes the subscriber's package in this folder, ready for `npm pack`: bundles for `import` and
 * `require`, types, schemas, and the licences of what is bundled. It depends on nothing.
 */
export async function buildSubscriber(
  folder: string,
  version: string,
  lockfile: Lockfile,
): Promise<void> {
  await emptied(folder);
  const bundles = [
    await bundleEntries(folder, { ...BUNDLING, format: "esm" }),
    await bundleEntries(folder, { ...BUNDLING, format: "cjs" }),
  ];
  await writeTypes(folder);
  await cp(path.join(SOURCE, "schemas"), path.join(folder, "schemas"), { recursive: true });
  await writePackageFiles(folder, { source: SOURCE, version, bundles, lockfile });
}

/** Declarations, with the endings that each way of importing looks for. */
async function writeTypes(folder: string): Promise<void> {
  writeDeclarations(SOURCE, path.join(folder, "types"));
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
