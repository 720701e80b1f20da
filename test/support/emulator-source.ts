import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { answers, freePort, startProgram } from "./program.ts";

/** An emulator on loopback. */
export interface Emulator {
  /** `127.0.0.1:PORT`. */
  host: string;
  output(): string;
  /** Stops what `start` has started; an emulator that ran before keeps running. */
  stop(): Promise<void>;
}

export type EmulatorSource = { kind: "found"; start(): Promise<Emulator> } | Missing;

/** Something that tests or programs need, which this machine does not have. */
export interface Missing {
  kind: "missing";
  why: string;
}

const START_MS_MAX = 60_000;
/** How a line begins that says why tests are skipped; they are listed once more after all tests. */
export const SKIPPED = "skipped: ";

/** An emulator that is running already and named in the environment. */
export function runningEmulator(host: string): EmulatorSource {
  const emulator = { host, output: () => "", stop: () => Promise.resolve() };
  return { kind: "found", start: () => Promise.resolve(emulator) };
}

/** An emulator that a launcher of the gcloud SDK starts. */
export function launchedEmulator(
  command: string,
  args: (port: number) => readonly string[],
): EmulatorSource {
  return {
    kind: "found",
    async start() {
      const port = await freePort();
      const host = `127.0.0.1:${port}`;
      const program = startProgram({ command, args: args(port) });
      try {
        await program.until(() => answers(`http://${host}/`), START_MS_MAX);
      } catch (error) {
        await program.stop();
        throw error;
      }
      return { host, output: program.output, stop: () => program.stop() };
    },
  };
}

export function startEmulator(source: EmulatorSource): Promise<Emulator> {
  if (source.kind === "missing") throw new Error(source.why);
  return source.start();
}

/**
 * Returns whether the tests that need a program can run. If not, they are skipped with the reason; in
 * CI that would be an unseen hole in the tests, so it throws.
 */
export function isHad<Found extends { kind: "found" }>(source: Found | Missing): source is Found {
  if (source.kind === "found") return true;
  if (process.env["CI"]) throw new Error(source.why);
  console.warn(`${SKIPPED}${source.why}`);
  return false;
}

/** A file of the installed gcloud SDK, if both are there. */
export function findInGcloudSdk(file: string): string | undefined {
  const info = ["info", "--format=value(installation.sdk_root)"];
  const { stdout } = spawnSync("gcloud", info, { encoding: "utf8" });
  const found = path.join(stdout?.trim() || "/nowhere", file);
  return existsSync(found) ? found : undefined;
}

/** The major version of the `java` on the path; 0 when there is none. */
export function javaVersion(): number {
  const { stderr } = spawnSync("java", ["-version"], { encoding: "utf8" });
  return Number(/version "(\d+)/.exec(stderr ?? "")?.[1] ?? 0);
}
