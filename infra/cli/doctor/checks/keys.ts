import { z } from "zod";
import { keyIdOf, parseKeyRing } from "../../../../functions/src/crypto/sealing.ts";
import { type Deployment, accountsOf, lastPart } from "../deployment.ts";
import { readUsers } from "../documents.ts";
import {
  type Problem,
  type Verdict,
  Unchecked,
  failed,
  gcloud,
  passed,
  unlessAny,
} from "../verdict.ts";
import { readPolicy, withoutRight } from "../iam.ts";

const CryptoKey = z.object({
  purpose: z.string(),
  primary: z.object({ name: z.string(), state: z.string() }).optional(),
});
const Decrypted = z.object({ plaintext: z.string() });
const VIEWER = "roles/cloudkms.viewer";
/**
 * Enough users to find a key that was removed too early; `npm run keys -- verify` reads every user.
 */
const SAMPLE_USERS = 200;

/**
 * Checks that the key that encrypts `TOKEN_KEYS` is enabled, and that every function may decrypt
 * with it.
 */
export async function kmsKey(it: Deployment): Promise<Verdict> {
  const { sealing } = await it.config();
  const name = sealing.kmsKey;
  if (name === undefined) return passed("TOKEN_KEYS is not wrapped");
  const found = await it.cloud.ask({ api: "cloudkms", path: name, shape: CryptoKey, role: VIEWER });
  const { id, ring, location, projectId } = partsOf(name);
  const place = [`--keyring=${ring}`, `--location=${location}`];
  if (found === undefined) {
    return failed(
      `there is no key ${name}`,
      `name the right one in TOKEN_KEYS_KMS_KEY, then: ${await it.redeploy()}`,
    );
  }
  if (found.purpose !== "ENCRYPT_DECRYPT") {
    return failed(
      `${id} is for ${found.purpose}`,
      `wrap TOKEN_KEYS with another key, then: ${await it.redeploy()}`,
    );
  }
  const problems: Problem[] = [];
  const { name: version = "", state = "missing" } = found.primary ?? {};
  if (state !== "ENABLED") {
    const verb = state === "DESTROY_SCHEDULED" ? "restore" : "enable";
    const words = ["kms", "keys", "versions", verb, lastPart(version) || "1", `--key=${id}`];
    const fix = gcloud(projectId, ...words, ...place);
    problems.push({ what: `the primary version of ${id} is ${state}`, fix });
  }
  const own = await readPolicy(it.cloud, "cloudkms", name, "roles/cloudkms.admin");
  const lacking = await withoutRight("decrypt", await accountsOf(it), own, it.projectPolicy);
  for (const account of lacking) {
    const member = `--member=serviceAccount:${account}`;
    const role = "--role=roles/cloudkms.cryptoKeyDecrypter";
    const fix = gcloud(
      projectId,
      "kms",
      "keys",
      "add-iam-policy-binding",
      id,
      ...place,
      member,
      role,
    );
    problems.push({ what: `${account} may not decrypt with ${id}`, fix });
  }
  return unlessAny(problems, name);
}

/**
 * Checks that `TOKEN_KEYS` can be decrypted, and that its keys are those of the stored tokens. No
 * token is decrypted: a sealed value names its key.
 */
export async function tokenKeys(it: Deployment): Promise<Verdict> {
  const { sealing } = await it.configWith("TOKEN_KEYS");
  const json =
    sealing.kmsKey === undefined || it.kind === "local"
      ? sealing.tokenKeys
      : await unwrap(it, sealing.kmsKey, sealing.tokenKeys);
  const wrap = `put the right ring into the secret (npm run -s keys -- --help), then: ${await it.redeploy()}`;
  if (json === undefined) return failed("Cloud KMS does not open TOKEN_KEYS", wrap);
  const parsed = parseKeyRing(json);
  if (!parsed.ok) {
    const problems = parsed.error.map((what) => ({ what: `TOKEN_KEYS: ${what}`, fix: wrap }));
    return unlessAny(problems, "");
  }
  const ring = parsed.value;
  const fields = ["grant.refreshToken", "grant.accessToken"];
  const users = await readUsers(it, { fields, limit: SAMPLE_USERS });
  const used = users
    .flatMap((read) => fields.map((field) => read(field)))
    .filter((value) => value !== undefined)
    .map((value) => keyIdOf(value) ?? "(unreadable)");
  const unknown = [...new Set(used)].filter((id) => !ring.keys.has(id));
  if (unknown.length > 0) {
    return failed(
      `stored tokens need keys that TOKEN_KEYS has not: ${unknown.join(", ")}`,
      "npm run -s keys -- verify, and put the missing keys back on the ring",
    );
  }
  return passed(
    `${ring.keys.size} on the ring, ${ring.primary} seals; ${users.length} users looked at`,
  );
}

/** Calls `cryptoKeys.decrypt`; returns `undefined` when this key did not encrypt the value. */
async function unwrap(it: Deployment, key: string, wrapped: string): Promise<string | undefined> {
  const question = {
    api: "cloudkms",
    path: `${key}:decrypt`,
    shape: Decrypted,
    role: "roles/cloudkms.cryptoKeyDecrypter",
    body: { ciphertext: wrapped },
  } as const;
  try {
    const answer = await it.cloud.ask(question);
    return answer && Buffer.from(answer.plaintext, "base64").toString("utf8");
  } catch (error) {
    if (error instanceof Unchecked && error.status === 400) return undefined;
    throw error;
  }
}

function partsOf(name: string) {
  const [, projectId = "", , location = "", , ring = "", , id = ""] = name.split("/");
  return { projectId, location, ring, id };
}
