import path from "node:path";
import { type Metafile, type Plugin, build } from "esbuild";
import { spokenDefinitions } from "./definitions.ts";

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

// First of all, before whoever serves it makes its Express application: else that answers a body that
// it cannot read with a page that holds a stack trace, and the framework an error with its message.
const BANNER = 'process.env.NODE_ENV = "production";';

// Bundled in, what is loaded only where a collector is configured would cost every cold start.
const TELEMETRY: Plugin = {
  name: "telemetry",
  setup({ onResolve }) {
    onResolve({ filter: /\/otlp\.ts$/ }, ({ kind }) =>
      kind === "dynamic-import" ? { path: "./telemetry.js", external: true } : undefined,
    );
  },
};

/** Makes one file, and its source map, of a module and all that it imports but `external`. */
export async function bundle(
  entry: string,
  outfile: string,
  external: string[],
): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    // The Functions emulator requires it, without waiting for anything.
    format: "cjs",
    external,
    plugins: [TELEMETRY, spokenDefinitions(SPOKEN)],
    banner: { js: BANNER },
    minifySyntax: true,
    // Names stay: shorter ones are no faster, and a stack trace that nobody has mapped is readable.
    minifyWhitespace: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  return metafile;
}

/**
 * What starts the bundle `functions.js` beside it. Compiling takes a good part of a cold start: the
 * cache is made where it is used, by the build that is a part of every deployment (`postinstall`).
 * Without it, or with another Node, all is compiled as ever.
 */
export const START = `const { enableCompileCache } = require("node:module");
const { join } = require("node:path");
enableCompileCache?.(join(__dirname, ".compile-cache"));
module.exports = require("./functions.js");
`;
