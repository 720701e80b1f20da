import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";

const ROOT = path.resolve(import.meta.dirname, "../..");

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface KeysOptions {
  /** Standard input. */
  input?: string;
  env?: Readonly<Record<string, string | undefined>>;
  /** Called with all of standard error so far; kills the process when it says so. */
  isToBeKilled?: (stderr: string) => boolean;
}

/** `npm run keys -- ...` as a process of its own, to its end. */
export async function runKeys(
  args: readonly string[],
  { input = "", env = {}, isToBeKilled = () => false }: KeysOptions = {},
): Promise<Finished> {
  const child = spawn(process.execPath, ["--import", "tsx", "infra/keys.ts", ...args], {
    cwd: ROOT,
    env: { PATH: process.env["PATH"], METADATA_SERVER_DETECTION: "none", ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
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
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}
