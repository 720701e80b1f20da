// Builds one small folder for each deploy tool under functions/dist, or under the folder given as an
// argument: a bundle, a second one for telemetry, their source maps, the file that starts them, the
// rehearsal that makes the start faster and a package.json. The functions-framework keeps its functions in a module-level map, so the copy that
// registers them must be the copy that serves them: it is the one package that is never bundled.
// infra/docs/scale.md has the measurements behind each step that makes the start faster.
//
// Each folder also has a package-lock.json, so that the deployment installs the packages that were
// tested; the licences of everything deployed; and a CycloneDX bill of materials.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import type { Metafile } from "esbuild";
import { ROOT, START, bundle, makeStart } from "./bundling.ts";
import { buildEmulator } from "./emulator-package.ts";
import { LEFT_OUT, type LeftOut } from "./left-out.ts";
import { type Lockfile, lockfileFor } from "./lockfile.ts";
import { buildSubscriber } from "./subscriber-package.ts";
import { billOf, noticesOf, thirdParties } from "./third-party.ts";

const dist = path.resolve(readFolder() ?? path.join(ROOT, "functions/dist"));
const readJson = (file: string) => JSON.parse(readFileSync(path.join(ROOT, file), "utf8"));
const { version, dependencies } = readJson("package.json");
const lockfile = readJson("package-lock.json") as Lockfile;

/** Ends the program after `--help`, and at anything but one folder. */
function readFolder(): string | undefined {
  const usage = "Usage: npm run build [-- FOLDER]   (functions/dist unless a folder is given)";
  try {
    const { values, positionals } = parseArgs({
      options: { help: { type: "boolean" } },
      allowPositionals: true,
    });
    if (values.help === true) {
      console.log(usage);
      process.exit(0);
    }
    if (positionals.length <= 1) return positionals[0];
  } catch {
    // An unknown option.
  }
  console.error(usage);
  process.exit(2);
}

interface Tool {
  /** Packages that are not bundled, but installed where it is deployed. */
  external: string[];
  /** Packages that only have to be in the manifest. */
  named: string[];
}

const TOOLS: Record<string, Tool> = {
  gcloud: { external: ["@google-cloud/functions-framework"], named: [] },
  // The CLI looks for both names in the manifest; the bundle itself needs neither.
  firebase: { external: [], named: ["firebase-admin", "firebase-functions"] },
};

async function make(
  entry: string,
  outfile: string,
  external: string[],
  leftOut: readonly LeftOut[] = [],
): Promise<Metafile> {
  const metafile = await bundle(`functions/src/${entry}`, outfile, external, leftOut);
  const { inputs, outputs } = metafile;
  const stray = Object.keys(inputs).filter(
    (input) => !/^(functions\/src|node_modules)\//.test(input),
  );
  if (stray.length > 0) throw new Error(`not deployable: ${stray.join(", ")}`);
  const name = path.relative(ROOT, outfile);
  console.log(`${name}: ${((outputs[name]?.bytes ?? 0) / 1e6).toFixed(1)} MB`);
  return metafile;
}

for (const [tool, { external, named }] of Object.entries(TOOLS)) {
  const folder = path.join(dist, tool);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const bundles = [
    await make(`entries/${tool}.ts`, path.join(folder, "functions.js"), external, LEFT_OUT),
    await make("platform/telemetry/otlp.ts", path.join(folder, "telemetry.js"), []),
  ];
  await makeStart(folder);

  const pick = (names: string[]) =>
    Object.fromEntries(names.map((name) => [name, dependencies[name]]));
  const manifest = {
    name: `gmail-push-receiver-${tool}`,
    version,
    private: true,
    type: "commonjs",
    main: START,
    engines: { node: "24" },
    // Google's build runs it in every way of deploying. The Firebase CLI turns all other scripts off. The
    // heap is that of every deployment: the V8 of Node 20 rejects what was compiled with another.
    scripts: { postinstall: "node --max-old-space-size=256 rehearsal.js" },
    dependencies: pick(external),
    devDependencies: pick(named),
  };
  const write = (file: string, content: string | object) =>
    writeFile(
      path.join(folder, file),
      typeof content === "string" ? content : `${JSON.stringify(content, null, 2)}\n`,
    );
  const deployed = thirdParties(bundles, external, lockfile);
  await write("package.json", manifest);
  await write("package-lock.json", lockfileFor(manifest, lockfile));
  await write("THIRD-PARTY-NOTICES.txt", noticesOf(deployed, ROOT));
  await write("sbom.cdx.json", billOf(manifest, deployed));
}

await buildSubscriber(path.join(dist, "subscriber"), version, lockfile);
await buildEmulator(path.join(dist, "gmail-emulator"), version, lockfile);
