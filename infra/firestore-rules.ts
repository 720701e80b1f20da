/**
 * Publishes `firestore.rules` for a database, over the Firebase Rules API, which gcloud has no command
 * for: `gcloud auth print-access-token | tsx infra/firestore-rules.ts PROJECT DATABASE [--adopt]`.
 *
 * It touches only a database of the receiver's own: one with our rules, or one that is empty and has no
 * rules. Every other database belongs to another application, so it stops with exit code 1 and changes
 * nothing; with `--adopt` it replaces the rules. `deploy.sh` runs it before it changes any index.
 *
 * The token comes on the standard input, so that it stands on no command line. As in gcloud's own
 * calls, `CLOUDSDK_API_ENDPOINT_OVERRIDES_FIREBASERULES` and `..._FIRESTORE` name other endpoints.
 */
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { z } from "zod";

const { env } = process;
const RULES_API =
  env["CLOUDSDK_API_ENDPOINT_OVERRIDES_FIREBASERULES"] ?? "https://firebaserules.googleapis.com/";
const FIRESTORE_API =
  env["CLOUDSDK_API_ENDPOINT_OVERRIDES_FIRESTORE"] ?? "https://firestore.googleapis.com/";
const TIMEOUT_MS = 30_000;
const DEFAULT_DATABASE = "(default)";
/** A comment in every version of the receiver's rules; Firebase's own locked rules lack it. */
const MARK = "// Only the receiver itself reads and writes";

const Release = z.object({ rulesetName: z.string() });
const Ruleset = z.object({
  name: z.string(),
  source: z.object({ files: z.array(z.object({ content: z.string().default("") })) }),
});
const Collections = z.object({ collectionIds: z.array(z.string()).default([]) });

const args = process.argv.slice(2).filter((arg) => arg !== "--adopt");
const isAdopted = process.argv.includes("--adopt");
const [project, database = DEFAULT_DATABASE] = args;
if (project === undefined) throw new Error("which project?");
const token = (await text(process.stdin)).trim();
if (token === "") throw new Error("there is no access token on the standard input");
const content = readFileSync(new URL("firestore.rules", import.meta.url), "utf8");
const release = database === DEFAULT_DATABASE ? "cloud.firestore" : `cloud.firestore/${database}`;
const name = `projects/${project}/releases/${release}`;

const released = Release.optional().parse(await call("GET", RULES_API, name));
const ruleset = Ruleset.optional().parse(
  released && (await call("GET", RULES_API, released.rulesetName)),
);
const published = ruleset?.source.files[0]?.content;
const owner = isAdopted ? undefined : await findOtherOwner();
if (owner !== undefined) {
  process.stderr.write(
    `The database ${database} is not the receiver's own: ${owner}. Its rules and indexes were not changed.
Name another database in FIRESTORE_DATABASE; it is created if it does not exist. If this one belongs
to the receiver after all, publish the receiver's rules there, which replaces the present ones:
  gcloud auth print-access-token | npx tsx infra/firestore-rules.ts ${project} '${database}' --adopt
`,
  );
  process.exitCode = 1;
} else if (published === content) {
  console.log("firestore.rules: published already");
} else {
  const source = { files: [{ name: "firestore.rules", content }] };
  const rulesets = `projects/${project}/rulesets`;
  const made = Ruleset.parse(await call("POST", RULES_API, rulesets, { source }));
  const next = { name, rulesetName: made.name };
  if (released === undefined) {
    await call("POST", RULES_API, `projects/${project}/releases`, next);
  } else await call("PATCH", RULES_API, name, { release: next });
  console.log("firestore.rules: published");
}

/**
 * Returns why the database belongs to another application; `undefined` if it is the receiver's or
 * unused.
 */
async function findOtherOwner(): Promise<string | undefined> {
  if (published !== undefined) {
    return published.includes(MARK) ? undefined : "its rules are not the receiver's";
  }
  const path = `projects/${project}/databases/${database}/documents:listCollectionIds`;
  const { collectionIds } = Collections.parse(
    await call("POST", FIRESTORE_API, path, { pageSize: 1 }),
  );
  return collectionIds.length > 0 ? "it has documents, and no rules of the receiver's" : undefined;
}

/** Returns `undefined` for 404. Throws on every other error, with Google's reason. */
async function call(method: string, api: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(new URL(`v1/${path}`, api), {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      // The quota to use: the token may be a person's.
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
