/**
 * Publishes `firestore.rules` for the default database, over the Firebase Rules API, which gcloud
 * has no command for: `gcloud auth print-access-token | tsx infra/firestore-rules.ts PROJECT`. Rules
 * that are published already are left alone.
 *
 * The token comes on the standard input, so that it stands on no command line. As for gcloud's own
 * calls, `CLOUDSDK_API_ENDPOINT_OVERRIDES_FIREBASERULES` names another address of the API.
 */
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { z } from "zod";

const API =
  process.env["CLOUDSDK_API_ENDPOINT_OVERRIDES_FIREBASERULES"] ??
  "https://firebaserules.googleapis.com/";
const TIMEOUT_MS = 30_000;

const Release = z.object({ rulesetName: z.string() });
const Ruleset = z.object({
  name: z.string(),
  source: z.object({ files: z.array(z.object({ content: z.string().default("") })) }),
});

const [project] = process.argv.slice(2);
if (project === undefined) throw new Error("which project?");
const token = (await text(process.stdin)).trim();
if (token === "") throw new Error("there is no access token on the standard input");
const content = readFileSync(new URL("firestore.rules", import.meta.url), "utf8");
const name = `projects/${project}/releases/cloud.firestore`;

const release = Release.optional().parse(await call("GET", name));
const published = Ruleset.optional().parse(release && (await call("GET", release.rulesetName)));
if (published?.source.files[0]?.content === content) {
  console.log("firestore.rules: published already");
} else {
  const source = { files: [{ name: "firestore.rules", content }] };
  const ruleset = Ruleset.parse(await call("POST", `projects/${project}/rulesets`, { source }));
  const next = { name, rulesetName: ruleset.name };
  if (release === undefined) await call("POST", `projects/${project}/releases`, next);
  else await call("PATCH", name, { release: next });
  console.log("firestore.rules: published");
}

/** `undefined` when there is no such thing. Throws on every other refusal, with Google's reason. */
async function call(method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(new URL(`v1/${path}`, API), {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      // Whose quota it is: the token may be a person's.
      "x-goog-user-project": project ?? "",
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status === 404 && method === "GET") return undefined;
  const answer = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer}`);
  return JSON.parse(answer);
}
