import { EventEmitter, once } from "node:events";
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type Program, startProgram } from "../support/program.ts";
import { type Tap, startTap } from "./tap.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FRAMEWORK = path.join(ROOT, "node_modules/.bin/functions-framework");
const START_MS_MAX = 60_000;

/** What a function calls, by the variable that says where it is. */
const DEPENDENCIES = {
  gmail: "GMAIL_EMULATOR_HOST",
  pubsub: "PUBSUB_EMULATOR_HOST",
  firestore: "FIRESTORE_EMULATOR_HOST",
} as const;
export type Dependency = keyof typeof DEPENDENCIES;

/** One deployed function: the functions-framework's own command in a process of its own. */
export interface FunctionProcess {
  readonly target: string;
  /** Stays the same when the process is started again; connections are cut while there is none. */
  readonly url: string;
  start(): Promise<void>;
  /** `kill -9`; resolves once the process is gone. */
  kill(): Promise<void>;
  /** Resolves when the process next sends something there; also when the time is up. */
  nextSent(to: Dependency, timeoutMs: number): Promise<void>;
  /** What all its lives so far have written. */
  output(): string;
  close(): Promise<void>;
}

export interface FunctionOptions {
  target: string;
  /** The built folder, with `node_modules` next to it or above it. */
  source: string;
  /** For sockets: the framework itself would listen on every interface. */
  folder: string;
  hosts: Readonly<Record<Dependency, string>>;
  env(ownUrl: string): Readonly<Record<string, string>>;
}

export async function createFunctionProcess(options: FunctionOptions): Promise<FunctionProcess> {
  const { target, source, folder, hosts, env } = options;
  const sent = new EventEmitter();
  const taps: Tap[] = [];
  const addresses: Record<string, string> = {};
  for (const [name, variable] of Object.entries(DEPENDENCIES) as [Dependency, string][]) {
    const [host = "", port = ""] = hosts[name].split(":");
    const tap = await startTap(
      () => ({ host, port: Number(port) }),
      () => void sent.emit(name),
    );
    taps.push(tap);
    addresses[variable] = tap.host;
  }

  let lives = 0;
  let socket = path.join(folder, "nobody.sock");
  let program: Program | undefined;
  const outputs: string[] = [];
  const front = await startTap(() => ({ path: socket }));
  taps.push(front);
  const url = `http://${front.host}`;

  async function stop(signal: NodeJS.Signals): Promise<void> {
    const stopping = program;
    program = undefined;
    if (stopping === undefined) return;
    await stopping.stop(signal);
    outputs.push(stopping.output());
  }

  return {
    target,
    url,
    async start() {
      lives += 1;
      // A killed process leaves its socket behind.
      const own = path.join(folder, `${front.host.replace(":", "-")}-${lives}.sock`);
      const started = startProgram({
        command: process.execPath,
        args: [FRAMEWORK, `--target=${target}`, `--source=${source}`, `--port=${own}`],
        env: {
          ...env(url),
          ...addresses,
          NODE_OPTIONS: undefined,
          METADATA_SERVER_DETECTION: "none",
        },
      });
      program = started;
      socket = own;
      // There from the moment that it is listened on: each life has its own.
      await started.until(() => existsSync(own), START_MS_MAX);
    },
    kill: () => stop("SIGKILL"),
    async nextSent(to, timeoutMs) {
      const signal = AbortSignal.timeout(timeoutMs);
      await once(sent, to, { signal }).catch(() => {});
    },
    output: () => [...outputs, program?.output() ?? ""].join("\n"),
    async close() {
      await stop("SIGKILL");
      for (const tap of taps) await tap.close();
    },
  };
}
