import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { ROOT } from "./bundling.ts";
import type { Lockfile } from "./lockfile.ts";
import { bundleEntries, emptied, writeDeclarations, writePackageFiles } from "./npm-package.ts";

const SOURCE = path.join(ROOT, "test/gmail-emulator");
const PROGRAM = "main";

/**
 * Makes the package of the Gmail emulator in this folder, ready for `npm pack`: the program, the
 * module for tests, types, and the licences of what is bundled. It depends on nothing.
 */
export async function buildEmulator(
  folder: string,
  version: string,
  lockfile: Lockfile,
): Promise<void> {
  await emptied(folder);
  const bundle = await bundleEntries(folder, {
    source: SOURCE,
    entries: ["index", PROGRAM],
    format: "esm",
    allowed: /^(test\/(gmail-emulator|support)|node_modules)\//,
  });
  const program = path.join(folder, `${PROGRAM}.js`);
  await writeFile(program, `#!/usr/bin/env node\n${await readFile(program, "utf8")}`);
  await chmod(program, 0o755);
  await writeTypes(folder);
  await writePackageFiles(folder, { source: SOURCE, version, bundles: [bundle], lockfile });
}

/** The declarations that `index.d.ts` reaches, all in the package's one folder. */
async function writeTypes(folder: string): Promise<void> {
  const types = path.join(folder, "types");
  writeDeclarations(SOURCE, types);
  const made = path.join(types, "gmail-emulator");
  const wanted = new Set(["index.d.ts"]);
  for (const file of wanted) {
    const text = await readFile(path.join(made, file), "utf8");
    for (const [, name] of text.matchAll(/"\.\/([\w-]+)\.ts"/g)) wanted.add(`${name}.d.ts`);
    await writeFile(path.join(folder, file), text.replaceAll(/("\.\/[\w-]+)\.ts"/g, `$1.js"`));
  }
  await rm(types, { recursive: true });
}
