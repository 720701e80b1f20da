import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { z } from "zod";
import type { Missing } from "../support/emulator-source.ts";

/** The installed gcloud SDK, and the Python that it runs on. */
export type GcloudSdk = { kind: "found"; root: string; python: string } | Missing;

export interface Verdict {
  /** The command, word by word. */
  words: string[];
  /** `ok`, or what gcloud refused it with before it wanted an account. */
  end: string;
}

export function findGcloudSdk(): GcloudSdk {
  const format = "--format=value(installation.sdk_root,basic.python_location)";
  const { stdout } = spawnSync("gcloud", ["info", format], { encoding: "utf8" });
  const [root, python] = stdout?.trim().split("\t") ?? [];
  return root && python
    ? { kind: "found", root, python }
    : { kind: "missing", why: "there is no gcloud SDK" };
}

const Line = z.object({ words: z.array(z.string()), said: z.string() });
const NOBODY_IS_SIGNED_IN = /You do not currently have an active account selected/;

/**
 * Runs the commands with gcloud's own code up to the point where it wants an account, which it does
 * not get: nothing leaves this machine.
 */
export function tryCommands(
  { root, python }: GcloudSdk & { kind: "found" },
  commands: readonly string[],
): Verdict[] {
  const input = commands.join("\n");
  const script = path.join(import.meta.dirname, "gcloud-commands.py");
  const output = withoutAccount((env) => spawn(python, [script, root], { env, input }));
  return output.stdout
    .trimEnd()
    .split("\n")
    .map((line) => Line.parse(JSON.parse(line)))
    .map(({ words, said }) => ({ words, end: endOf(said) }));
}

/** The same with the real command, started for this one: what `tryCommands` is to agree with. */
export function tryCommand(command: string): string {
  const { stderr } = withoutAccount((env) => spawn("sh", ["-c", command], { env, input: "x" }));
  return endOf(stderr.trim().split("\n")[0] ?? "");
}

function endOf(said: string): string {
  return NOBODY_IS_SIGNED_IN.test(said) ? "ok" : said;
}

function spawn(
  command: string,
  args: string[],
  options: { env: NodeJS.ProcessEnv; input: string },
) {
  return spawnSync(command, args, { encoding: "utf8", timeout: 60_000, ...options });
}

function withoutAccount<T>(run: (env: NodeJS.ProcessEnv) => T): T {
  const config = mkdtempSync(path.join(tmpdir(), "gcloud-config-"));
  try {
    return run({
      ...process.env,
      CLOUDSDK_CONFIG: config,
      CLOUDSDK_CORE_DISABLE_PROMPTS: "1",
      CLOUDSDK_CORE_CHECK_GCE_METADATA: "false",
      CLOUDSDK_CORE_DISABLE_USAGE_REPORTING: "true",
      GOOGLE_APPLICATION_CREDENTIALS: undefined,
    });
  } finally {
    rmSync(config, { recursive: true, force: true });
  }
}
