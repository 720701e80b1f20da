// Makes one small folder for each deploy tool under functions/dist, or under the folder that is named:
// a bundle, a second one for telemetry, their source maps and a package.json. The functions-framework
// keeps its functions in a module-level map, so the copy that we register with has to be the copy that
// serves: it is the one package that is never bundled.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import path from "node:path";
import { build } from "esbuild";

const root = path.resolve(fileURLToPath(import.meta.url), "../..");
const dist = path.resolve(process.argv[2] ?? path.join(root, "functions/dist"));
const { version, dependencies } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));

const TOOLS = {
  gcloud: { external: ["@google-cloud/functions-framework"], named: [] },
  // The CLI looks for both names in the manifest; the bundle itself needs neither.
  firebase: { external: [], named: ["firebase-admin", "firebase-functions"] },
};

// First of all, before whoever serves it makes its Express application: else that answers a body that
// it cannot read with a page that holds a stack trace, and the framework an error with its message.
// CommonJS inside an ES module still calls require and __dirname.
const BANNER = [
  'process.env.NODE_ENV = "production";',
  'import { createRequire as __createRequire } from "node:module";',
  'import { fileURLToPath as __fileURLToPath } from "node:url";',
  "const require = __createRequire(import.meta.url);",
  "const __filename = __fileURLToPath(import.meta.url);",
  'const __dirname = __fileURLToPath(new URL(".", import.meta.url));',
].join("\n");

// Bundled in, what is loaded only where a collector is configured would cost every cold start.
const TELEMETRY = {
  name: "telemetry",
  setup({ onResolve }) {
    onResolve({ filter: /\/otlp\.ts$/ }, ({ kind }) =>
      kind === "dynamic-import" ? { path: "./telemetry.js", external: true } : undefined,
    );
  },
};

async function bundle(entry, outfile, external) {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [`functions/src/${entry}`],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    external,
    plugins: [TELEMETRY],
    banner: { js: BANNER },
    minifySyntax: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  const stray = Object.keys(metafile.inputs).filter(
    (input) => !/^(functions\/src|node_modules)\//.test(input),
  );
  if (stray.length > 0) throw new Error(`not deployable: ${stray.join(", ")}`);
  const { bytes } = Object.values(metafile.outputs).find(({ entryPoint }) => entryPoint);
  console.log(`${path.relative(root, outfile)}: ${(bytes / 1e6).toFixed(1)} MB`);
}

for (const [tool, { external, named }] of Object.entries(TOOLS)) {
  const folder = path.join(dist, tool);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await bundle(`entries/${tool}.ts`, path.join(folder, "index.js"), external);
  await bundle("telemetry/otlp.ts", path.join(folder, "telemetry.js"), []);

  const pick = (names) => Object.fromEntries(names.map((name) => [name, dependencies[name]]));
  const manifest = {
    name: `gmail-push-receiver-${tool}`,
    version,
    private: true,
    type: "module",
    main: "index.js",
    engines: { node: "24" },
    dependencies: pick(external),
    devDependencies: pick(named),
  };
  await writeFile(path.join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}
