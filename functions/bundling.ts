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
    plugins: [TELEMETRY, spokenDefinitions(SPOKEN)],
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

/**
 * The file that starts the bundle `functions.js` of the same folder. Compiling takes a good part of a
 * cold start, so the build of every deployment (`postinstall`) fills a compile cache in the place
 * where it is used. Without the cache, or with another version of Node, V8 compiles as usual.
 */
export const START = `const { enableCompileCache } = require("node:module");
const { join } = require("node:path");
enableCompileCache?.(join(__dirname, ".compile-cache"));
module.exports = require("./functions.js");
`;
