import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";

const ROOT = path.resolve(import.meta.dirname, "../..");

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface InfraOptions {
  /** Standard input. */
  input?: string;
  /** All of the environment but for the path. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Called with all of standard error so far; kills the process when it says so. */
  isToBeKilled?: (stderr: string) => boolean;
}

/** A command of `gmail-push` as a process of its own, as `npm run NAME -- ...args` runs it. */
export function startInfra(
  name: "costs" | "doctor" | "keys" | "mailboxes" | "risc",
  args: readonly string[],
  { input = "", env = {}, isToBeKilled = () => false }: InfraOptions = {},
): { ended: Promise<Finished>; kill(): void } {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", "infra/cli/gmail-push.ts", name, ...args],
    {
      cwd: ROOT,
      env: { PATH: process.env["PATH"], METADATA_SERVER_DETECTION: "none", ...env },
      stdio: ["pipe", "pipe", "pipe"],
    },
  );
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    if (isToBeKilled(stderr)) child.kill("SIGKILL");
  });
  // A command that reads no input may end before it is written.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const ended = once(child, "close").then(([code]) => ({
    code: code as number | null,
    stdout,
    stderr,
  }));
  return { ended, kill: () => void child.kill("SIGKILL") };
}

/** The same, to its end. */
export function runInfra(...args: Parameters<typeof startInfra>): Promise<Finished> {
  return startInfra(...args).ended;
}
