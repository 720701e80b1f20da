import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { type Metafile, type Plugin, build } from "esbuild";
import { spokenDefinitions } from "./definitions.ts";
import { type LeftOut, leaveOut } from "./left-out.ts";

/** The project: what is bundled is named from here. */
export const ROOT = path.resolve(import.meta.dirname, "..");

/** What the functions call; KMS where TOKEN_KEYS_KMS_KEY is set. */
const SPOKEN = [
  "google.firestore.v1.Firestore",
  "google.pubsub.v1.Publisher",
  "google.cloud.kms.v1.KeyManagementService",
  // Opened by those clients for themselves, or when they are closed.
  "google.cloud.location.Locations",
  "google.iam.v1.IAMPolicy",
  "google.longrunning.Operations",
];

// Set before the framework creates its Express application. Otherwise Express answers an unreadable
// body with a page that contains a stack trace, and the framework answers an error with its message.
const BANNER = 'process.env.NODE_ENV = "production";';

// The OpenTelemetry SDK is loaded only with a collector; in the bundle, it would slow every cold start.
const TELEMETRY: Plugin = {
  name: "telemetry",
  setup({ onResolve }) {
    onResolve({ filter: /\/otlp\.ts$/ }, ({ kind }) =>
      kind === "dynamic-import" ? { path: "./telemetry.js", external: true } : undefined,
    );
  },
};

/** Bundles a module and its imports, except `external`, into one file with a source map. */
export async function bundle(
  entry: string,
  outfile: string,
  external: string[],
  leftOut: readonly LeftOut[] = [],
): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    // The Functions emulator loads the file with `require` and awaits nothing.
    format: "cjs",
    external,
    plugins: [TELEMETRY, spokenDefinitions(SPOKEN), leaveOut(leftOut)],
    banner: { js: BANNER },
    minifySyntax: true,
    // Names stay: shorter ones are no faster, and stack traces stay readable without the source map.
    minifyWhitespace: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  return metafile;
}

/** Where a deployment keeps what V8 has compiled: a by-product of this machine, never deployed itself. */
const CACHE_FOLDER = ".compile-cache";

/** Named so that the functions-framework does not search for the package that the file belongs to. */
export const START = "index.cjs";

/** What Node puts before every module. */
const HEAD = "(function (exports, require, module, __filename, __dirname) {";

/**
 * Makes the bundle `functions.js` of a folder into what V8 compiles, so that no start copies it, and writes
 * what starts it, and the rehearsal that makes it start faster.
 */
export async function makeStart(folder: string): Promise<void> {
  const file = path.join(folder, "functions.js");
  const wrapped = `${HEAD}${await readFile(file, "utf8")}\n})`;
  await writeFile(file, wrapped);
  await writeFile(path.join(folder, START), startOf(wrapped));
  await bundle("functions/rehearsal.ts", path.join(folder, "rehearsal.js"), []);
}

/**
 * Returns the file that starts a bundle. Compiling takes a good part of a cold start, so the build of every
 * deployment rehearses a few calls where the functions will run (`rehearsal.ts`), and this file then keeps
 * what V8 has compiled. That includes the functions that V8 compiles on their first call, which Node's own
 * compile cache leaves out. Without such a cache, or with one of another version of Node or with other flags,
 * V8 compiles as usual. The name has a hash of the bundle because V8 compares only its length.
 */
function startOf(wrapped: string): string {
  // esbuild escapes other characters, but not in a tagged template.
  if (/[^\0-\x7f]/.test(wrapped)) throw new Error("functions.js is not ASCII");
  const hash = createHash("sha256").update(wrapped).digest("hex").slice(0, 16);
  return `const { mkdirSync, readFileSync, renameSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { Script, constants } = require("node:vm");

const filename = join(__dirname, "functions.js");
const folder = join(__dirname, "${CACHE_FOLDER}");
const cache = join(folder, \`\${process.version}-\${process.arch}-${hash}\`);

function readCache() {
  try {
    return readFileSync(cache);
  } catch {
    return undefined;
  }
}

function writeCache() {
  mkdirSync(folder, { recursive: true });
  writeFileSync(\`\${cache}.new\`, script.createCachedData());
  renameSync(\`\${cache}.new\`, cache);
}

const cachedData = readCache();
// The bundle is ASCII: nothing has to be decoded. Its source map does not count the wrapper.
const script = new Script(readFileSync(filename, "latin1"), {
  filename,
  columnOffset: ${-HEAD.length},
  cachedData,
  importModuleDynamically: constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER,
});
// For the log record of the start.
globalThis.compileCache = cachedData === undefined ? "absent" : script.cachedDataRejected ? "rejected" : "used";
script.runInThisContext().call(exports, exports, require, module, filename, __dirname);
if (require.main?.filename === join(__dirname, "rehearsal.js")) process.once("exit", writeCache);
`;
}
