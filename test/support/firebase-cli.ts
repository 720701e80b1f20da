import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { Emulator, EmulatorSource } from "./emulator-source.ts";
import { freePort, guardGroup, startProgram } from "./program.ts";

/** The emulators of the Firebase CLI that are started by name here. */
export type FirebaseEmulator = "functions" | "pubsub" | "firestore";

export interface FirebaseEmulatorsOptions {
  /** Becomes the project: `firebase.json` and the CLI's logs are written there. */
  folder: string;
  projectId: string;
  /** By name, the ports on loopback. */
  ports: Partial<Record<FirebaseEmulator, number>>;
  /** The rest of `firebase.json`, without `emulators`. */
  config?: Record<string, unknown>;
  env?: Readonly<Record<string, string | undefined>>;
  onOutput?: (text: string) => void;
}

export interface FirebaseEmulators {
  /** What the CLI shows, the functions' own log lines among it. */
  output(): string;
  /** The CLI's debug log, which it removes when it ends. */
  debugLog(): Promise<string>;
  stop(): Promise<void>;
}

const FIREBASE = fileURLToPath(new URL("../../node_modules/.bin/firebase", import.meta.url));
const START_MS_MAX = 120_000;
/**
 * For a process of the Functions emulator to load its function. After 30 s, its default, it drops the
 * request, and a message of Pub/Sub with it: it acknowledges each before anything has served it.
 */
const LOAD_SECONDS_MAX = 110;
/** The CLI also runs these, without being asked. */
const ALWAYS_STARTED = ["hub", "logging", "eventarc", "tasks"];

export async function startFirebaseEmulators(
  options: FirebaseEmulatorsOptions,
): Promise<FirebaseEmulators> {
  const { folder, projectId, ports, config = {}, env = {}, onOutput } = options;
  const all: Record<string, number> = { ...ports };
  for (const name of ALWAYS_STARTED) all[name] = await freePort();
  const listening = Object.entries(all).map(([name, port]) => [name, { host: "127.0.0.1", port }]);
  const emulators = { ...Object.fromEntries(listening), ui: { enabled: false } };
  const file = path.join(folder, "firebase.json");
  await writeFile(file, JSON.stringify({ ...config, emulators }, null, 2));

  const only = Object.keys(ports).join(",");
  const program = startProgram({
    command: FIREBASE,
    args: ["emulators:start", "--only", only, "--project", projectId, "--config", file],
    cwd: folder,
    // The CLI asks nobody on the network what is new, or whether this machine is Google's.
    env: {
      CI: "true",
      npm_config_offline: "true",
      METADATA_SERVER_DETECTION: "none",
      FUNCTIONS_DISCOVERY_TIMEOUT: String(LOAD_SECONDS_MAX),
      ...env,
    },
    ...(onOutput !== undefined && { onOutput }),
  });
  /** The emulators' own processes. Each leads a group, which the end of the CLI's does not end. */
  const guards = new Map<number, { dismiss(): void }>();
  const isReady = async () => {
    for (const pid of await runningPids(`http://127.0.0.1:${all["hub"]}/emulators`)) {
      if (!guards.has(pid)) guards.set(pid, guardGroup(pid));
    }
    return program.output().includes("All emulators ready");
  };
  const stop = async () => {
    // When an emulator of its own does not end in time, the CLI kills every Pub/Sub emulator on the
    // machine, whoever started it. One that has ended already gives it no reason to.
    for (const pid of guards.keys()) kill(pid);
    await program.stop("SIGINT");
    for (const guard of guards.values()) guard.dismiss();
    guards.clear();
  };
  try {
    await program.until(isReady, START_MS_MAX);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    output: program.output,
    debugLog: () => readFile(path.join(folder, "firebase-debug.log"), "utf8"),
    stop,
  };
}

const RUNNING = z.record(z.string(), z.object({ pid: z.int().positive().optional() }));

/** The processes that the CLI has started for its emulators so far, as its hub names them. */
async function runningPids(hubUrl: string): Promise<number[]> {
  const answer = await fetch(hubUrl).catch(() => undefined);
  if (answer === undefined) return [];
  const running = RUNNING.parse(await answer.json());
  return Object.values(running).flatMap(({ pid }) => pid ?? []);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** One emulator alone, run by the CLI, which downloads it if need be. */
export function firebaseEmulator(name: "pubsub" | "firestore"): EmulatorSource {
  return {
    kind: "found",
    async start(): Promise<Emulator> {
      const folder = await mkdtemp(path.join(tmpdir(), `${name}-emulator-`));
      const port = await freePort();
      const discard = () => rm(folder, { recursive: true, force: true });
      try {
        const ports = { [name]: port };
        const started = await startFirebaseEmulators({ folder, projectId: "demo-emulator", ports });
        const stop = async () => {
          await started.stop();
          await discard();
        };
        return { host: `127.0.0.1:${port}`, output: started.output, stop };
      } catch (error) {
        await discard();
        throw error;
      }
    },
  };
}
