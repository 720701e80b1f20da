import { spawnSync } from "node:child_process";
import path from "node:path";
import { z } from "zod";
import type { Exchange } from "../cloud-emulator/emulator.ts";
import type { GcloudSdk } from "./gcloud-sdk.ts";

const Line = z.object({ path: z.string(), wrong: z.array(z.string()) });

/**
 * Requests that none of the API clients knows which gcloud brings, and answers with fields that they
 * do not know: what an emulator of ours must not teach us.
 */
export function findMisuse(
  { root, python }: GcloudSdk & { kind: "found" },
  exchanges: readonly Exchange[],
): z.infer<typeof Line>[] {
  const { stdout, stderr } = spawnSync(
    python,
    [path.join(import.meta.dirname, "gcloud-apis.py"), root],
    {
      input: exchanges.map((each) => JSON.stringify(each)).join("\n"),
      encoding: "utf8",
      timeout: 60_000,
    },
  );
  const lines = stdout.trimEnd().split("\n");
  if (lines.length !== exchanges.length) throw new Error(`gcloud-apis.py stopped: ${stderr}`);
  return lines.map((line) => Line.parse(JSON.parse(line))).filter(({ wrong }) => wrong.length > 0);
}
