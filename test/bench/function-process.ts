import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, type RequestOptions, request } from "node:http";
import { connect } from "node:net";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "../support/program.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FRAMEWORK = path.join(
  ROOT,
  "node_modules/@google-cloud/functions-framework/build/src/main.js",
);
const LOOPBACK_ONLY = path.join(ROOT, "test/support/listen-on-loopback.cjs");
const PROBE = path.join(ROOT, "test/bench/probe.cjs");

/** Less than Node's server keeps an idle connection: else a request could meet its end. */
const IDLE_MS = 4_000;

/** Of everybody's start alike. */
const POLL_MS = 2;

/** As V8 limits itself where a function has 512 MiB; on a larger machine it lets garbage lie. */
export const HEAP = "--max-old-space-size=256";

/** What is measured: a folder that the functions-framework serves. */
export interface Source {
  folder: string;
  target: string;
  signatureType: "http" | "cloudevent";
}

export interface Usage {
  cpuMs: number;
  peakBytes: number;
}

/** One function in a process of its own, as the buildpack of Cloud Functions starts it. */
export interface FunctionProcess {
  pid: number;
  /** Of loopback. */
  port: number;
  /** From the start of the process to its listening. */
  readyMs: number;
  /** From the start of the process until now. */
  ageMs(): number;
  /** Resolves to the status once the answer has come. */
  get(pathname: string): Promise<number>;
  /** Resolves to the status once the answer has come. */
  post(body: string, headers?: Record<string, string>): Promise<number>;
  usage(): Promise<Usage>;
  /** The end of what it has written. */
  output(): string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export async function startFunction(
  { folder, target, signatureType }: Source,
  env: Readonly<Record<string, string>>,
): Promise<FunctionProcess> {
  const port = await freePort();
  const startedAt = performance.now();
  const child = spawn(
    process.execPath,
    [
      HEAP,
      `--require=${LOOPBACK_ONLY}`,
      `--require=${PROBE}`,
      FRAMEWORK,
      `--source=${path.resolve(ROOT, folder)}`,
      `--target=${target}`,
      `--signature-type=${signatureType}`,
      `--port=${port}`,
    ],
    {
      env: {
        PATH: process.env["PATH"],
        NODE_ENV: "production",
        METADATA_SERVER_DETECTION: "none",
        FUNCTION_TARGET: target,
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    },
  );
  const output = outputOf(child);
  await listening(child, port, output);
  const readyMs = performance.now() - startedAt;
  const agent = new Agent({ keepAlive: true, timeout: IDLE_MS });

  async function send(options: RequestOptions, body?: string): Promise<number> {
    const sent = request({ host: "127.0.0.1", port, agent, ...options });
    sent.end(body);
    const [response] = await once(sent, "response");
    response.resume();
    await once(response, "end");
    return response.statusCode;
  }

  return {
    pid: child.pid ?? 0,
    port,
    readyMs,
    ageMs: () => performance.now() - startedAt,
    get: (pathname) => send({ path: pathname }),
    post: (body, headers = {}) =>
      send({ method: "POST", headers: { "content-type": "application/json", ...headers } }, body),
    async usage() {
      child.send("usage");
      const [{ cpu, peakBytes }] = await once(child, "message");
      return { cpuMs: (cpu.user + cpu.system) / 1000, peakBytes };
    },
    output,
    async stop(signal: NodeJS.Signals = "SIGKILL") {
      agent.destroy();
      const ended = once(child, "exit");
      child.kill(signal);
      await ended;
    },
  };
}

/** Reads what it writes, so that it never waits for a reader. */
function outputOf(child: ChildProcess): () => string {
  let output = "";
  const read = (text: string) => {
    output = (output + text).slice(-4_000);
  };
  child.stdout?.setEncoding("utf8").on("data", read);
  child.stderr?.setEncoding("utf8").on("data", read);
  return () => output;
}

/** Nothing tells of it from outside but the port. */
async function listening(child: ChildProcess, port: number, output: () => string): Promise<void> {
  while (!(await isOpen(port))) {
    if (child.exitCode !== null) throw new Error(`it ended\n${output()}`);
    await pause(POLL_MS);
  }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
