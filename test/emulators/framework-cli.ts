import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import settings from "../../functions/src/entries/functions.json" with { type: "json" };
import type { FunctionName } from "../local/environment.ts";
import type { Missing } from "../support/emulator-source.ts";
import { type Program, answers, freePort, startProgram } from "../support/program.ts";

/** A built function as the functions-framework's own command serves it. */
export interface ServedFunction {
  url: string;
  output: Program["output"];
  /** The log records that it has written, of one event or all. */
  records(event?: string): Record<string, unknown>[];
  stop(): Promise<void>;
}

export interface ServeOptions {
  /** The Node to run it on; see {@link findNode}. */
  node: string;
  source: string;
  target: FunctionName;
  env: Readonly<Record<string, string | undefined>>;
  /** A free one unless said. */
  port?: number;
}

const BIN = "../../node_modules/@google-cloud/functions-framework/build/src/main.js";
const FRAMEWORK = fileURLToPath(new URL(BIN, import.meta.url));
const LOOPBACK_ONLY = fileURLToPath(new URL("../support/listen-on-loopback.cjs", import.meta.url));
const START_MS_MAX = 60_000;

/** One function in a process of its own, as the buildpack of Cloud Functions starts it. */
export async function serveFunction(options: ServeOptions): Promise<ServedFunction> {
  const { node, source, target, env, port = await freePort() } = options;
  const program = startProgram({
    command: node,
    args: [
      `--require=${LOOPBACK_ONLY}`,
      FRAMEWORK,
      `--source=${source}`,
      `--target=${target}`,
      `--signature-type=${settings[target].trigger === "topic" ? "cloudevent" : "http"}`,
      `--port=${port}`,
    ],
    env: {
      METADATA_SERVER_DETECTION: "none",
      NODE_ENV: undefined,
      FUNCTION_TARGET: target,
      ...env,
      ...withheld(target),
    },
  });
  const url = `http://127.0.0.1:${port}`;
  try {
    // The framework answers this path itself, without the function.
    await program.until(() => answers(`${url}/robots.txt`), START_MS_MAX);
  } catch (error) {
    await program.stop();
    throw error;
  }
  const records = (event?: string) =>
    program
      .output()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line): Record<string, unknown> => JSON.parse(line))
      .filter((record) => event === undefined || record["event"] === event);
  return { url, output: program.output, records, stop: () => program.stop() };
}

/** The secrets of other functions. */
function withheld(target: FunctionName): Record<string, undefined> {
  const own: readonly string[] = settings[target].secrets;
  const all = Object.values(settings).flatMap(({ secrets }) => secrets);
  const others = all.filter((secret) => !own.includes(secret));
  return Object.fromEntries(others.map((secret) => [secret, undefined]));
}

export type NodeSource = { kind: "found"; path: string } | Missing;

const DOWNLOAD_MS_MAX = 180_000;

/** A Node of this major version: the one that we run on, or the `node` package of the registry. */
export function findNode(major: number): NodeSource {
  if (process.versions.node.startsWith(`${major}.`)) {
    return { kind: "found", path: process.execPath };
  }
  const { stdout } = spawnSync(
    "npx",
    ["--yes", `--package=node@${major}`, "node", "-p", "process.version + process.execPath"],
    { encoding: "utf8", timeout: DOWNLOAD_MS_MAX },
  );
  // While another process installs the package, npx can come upon the Node of the machine.
  const path = new RegExp(`^v${major}\\.[\\d.]+(/.+)$`).exec(stdout?.trim() ?? "")?.[1];
  return path
    ? { kind: "found", path }
    : { kind: "missing", why: `there is no Node ${major}, and npx cannot bring one` };
}
