/** `npm run keys`: the key ring that tokens are sealed with, from its making to its rotation. */
import { randomBytes } from "node:crypto";
import { text } from "node:stream/consumers";
import { Firestore } from "@google-cloud/firestore";
import { Command, CommanderError } from "commander";
import { ConfigError, isLoopbackHostAndPort, readConfig } from "../../../functions/src/config.ts";
import {
  KeyManagementFailure,
  KeysUnusable,
  RING_CONTEXT,
  cloudKeyManagement,
  decryptRing,
  unwrapKeyRing,
} from "../../../functions/src/google/key-management.ts";
import type { KeyRing } from "../../../functions/src/grant/sealing.ts";
import { tokenSeal } from "../../../functions/src/grant/token-seal.ts";
import { createLog } from "../../../functions/src/log.ts";
import { firestoreUsers } from "../../../functions/src/user-store.ts";
import { parseUserId } from "../../../functions/src/user.ts";
import { Refusal } from "./refusal.ts";
import { type Progress, type ResealServices, reseal } from "./reseal.ts";
import { checkRing, newRing, withNewKey, withPrimary, withoutKey } from "./ring.ts";
import { findKeyUsage } from "./usage.ts";

const HELP = `
A ring goes in on standard input and comes out, whole, on standard output: it is what TOKEN_KEYS
holds, so store it as the next version of that secret and nowhere else. With --kms-key both are
encrypted with that Cloud KMS key, and no key is ever seen in clear.

To replace a key without downtime, deploy after each step that changes the ring:

  1. npm run -s keys -- generate --add --id NEW < $KEYS/ring > $KEYS/next   the new key opens
  2. npm run -s keys -- primary NEW < $KEYS/ring > $KEYS/next               the new key seals
  3. npm run -s keys -- reseal                                  until it says resealed 0
  4. npm run -s keys -- verify                                  exit code 0: no other key is needed
  5. npm run -s keys -- remove OLD < $KEYS/ring > $KEYS/next                7 days after step 2

KEYS=$(mktemp -d) is a folder outside the working tree that only you can read: delete it afterwards.

-s because npm would write a line of its own into the ring.

Links for re-authorization are sealed too, are not stored, and live for 7 days: with step 5 those of
before step 2 die. In a hurry, for a key that is known to others, let them: whoever follows one is
asked to start again.

reseal and verify read the configuration of the functions from the environment.
Exit codes: 0 done, 1 not done or not all of it, 2 wrong usage or configuration.`;

const FAILED = 1;
const WRONG = 2;

const program = new Command("keys")
  .description("The key ring that tokens are sealed with: make, wrap, rotate, verify.")
  .addHelpText("after", HELP)
  .exitOverride();

const KMS_KEY = [
  "--kms-key <name>",
  "ring in and out encrypted with this Cloud KMS key, projects/.../cryptoKeys/...",
] as const;
const ID = ["--id <id>", "id of the new key", new Date().toISOString().slice(0, 10)] as const;

program
  .command("generate")
  .description("make a new ring with one key, or add a key to the ring on standard input")
  .option("--add", "add a key to the ring on standard input; it opens and does not seal yet")
  .option("--primary", "with --add: the new key seals at once; only where one instance runs")
  .option(...ID)
  .option(...KMS_KEY)
  .action(async ({ add = false, primary = false, id, kmsKey }: GenerateOptions) => {
    if (primary && !add) throw new Refusal("--primary goes with --add: the only key is primary");
    const json = add ? withNewKey(await readRing(kmsKey), id, primary) : newRing(id);
    await writeRing(json, kmsKey);
  });

program
  .command("primary")
  .description("make another key of the ring on standard input the one that seals")
  .argument("<id>")
  .option(...KMS_KEY)
  .action(async (id: string, { kmsKey }: RingOptions) =>
    writeRing(withPrimary(await readRing(kmsKey), id), kmsKey),
  );

program
  .command("remove")
  .description("take an older key off the ring on standard input")
  .argument("<id>")
  .option(...KMS_KEY)
  .action(async (id: string, { kmsKey }: RingOptions) =>
    writeRing(withoutKey(await readRing(kmsKey), id), kmsKey),
  );

program
  .command("wrap")
  .description("encrypt the ring on standard input with Cloud KMS; prints base64")
  .requiredOption(...KMS_KEY)
  .action(async ({ kmsKey }: Required<RingOptions>) => writeRing(await readRing(), kmsKey));

program
  .command("reseal")
  .description("re-seal everything stored with the primary key; may be stopped and run again")
  .option("--after <user id>", "begin after this user, as a line of progress named it")
  .option("--json", "print the report as JSON")
  .action(async ({ after, json = false }: { after?: string; json?: boolean }) => {
    const start = after === undefined ? undefined : parseUserId(after);
    if (after !== undefined && start === undefined) throw new Refusal("--after is no user id");
    const { report, unreadableDocuments } = await withStore(async (services) => ({
      report: await reseal(services, start, showProgress),
    }));
    const all = { ...report, unreadableDocuments };
    const { resealed, already, unreadable, unfinished, changedMeanwhile } = report;
    print(json, all, [
      `resealed ${resealed}, already ${already}, unreadable ${unreadable}, ` +
        `unfinished ${unfinished}; changed meanwhile ${changedMeanwhile}`,
      ...(unreadableDocuments > 0 ? [`user documents not readable: ${unreadableDocuments}`] : []),
    ]);
    if (unreadable + unfinished + unreadableDocuments > 0) process.exitCode = FAILED;
  });

program
  .command("verify")
  .description("say which keys the stored tokens need; exit code 0: only the primary one")
  .option("--json", "print the report as JSON")
  .action(async ({ json = false }: { json?: boolean }) => {
    const { usage, primary, ring, unreadableDocuments } = await withStore(async (services) => ({
      usage: await findKeyUsage(services, showProgress),
      primary: services.primary,
      ring: services.ring,
    }));
    const inUse = [...usage.keys.keys()].filter((id) => id !== primary);
    const isClear =
      inUse.length + usage.unreadable + usage.outdatedDigests + unreadableDocuments === 0;
    const removable = isClear ? [...ring.keys.keys()].filter((id) => id !== primary) : [];
    print(
      json,
      { primary, ...usage, keys: Object.fromEntries(usage.keys), unreadableDocuments, removable },
      [
        ...[...ring.keys.keys()].map(
          (id) => `${id}${id === primary ? " (primary)" : ""}: ${usage.keys.get(id) ?? 0} tokens`,
        ),
        `unreadable: ${usage.unreadable} tokens, ${unreadableDocuments} user documents`,
        `digests to be renewed: ${usage.outdatedDigests}`,
        isClear
          ? `nothing stored needs a key other than ${primary}`
          : "not clear: an older key is still needed, or it cannot be told",
      ],
    );
    if (!isClear) process.exitCode = FAILED;
  });

interface RingOptions {
  kmsKey?: string;
}

interface GenerateOptions extends RingOptions {
  add?: boolean;
  primary?: boolean;
  id: string;
}

async function readRing(kmsKey?: string): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write("the key ring, then Ctrl-D:\n");
  const given = (await text(process.stdin)).trim();
  if (kmsKey === undefined) return given;
  return decryptRing(kmsKey, given, keyManagement());
}

async function writeRing(json: string, kmsKey?: string): Promise<void> {
  checkRing(json);
  const ring =
    kmsKey === undefined
      ? json
      : (await keyManagement().encrypt(kmsKey, Buffer.from(json), RING_CONTEXT)).toString("base64");
  process.stdout.write(`${ring}\n`);
}

function keyManagement() {
  const host = process.env["KMS_EMULATOR_HOST"] || undefined;
  if (host !== undefined && !isLoopbackHostAndPort(host)) {
    throw new Refusal("KMS_EMULATOR_HOST must be host:port on loopback");
  }
  return cloudKeyManagement(host);
}

/** Does work on the users that the functions work on; what they would log goes to standard error. */
async function withStore<T>(
  act: (services: ResealServices & { ring: KeyRing }) => Promise<T>,
): Promise<T & { unreadableDocuments: number }> {
  const unreadable = new Set<string>();
  const log = createLog((line) => {
    process.stderr.write(`${line}\n`);
    const { event, userId } = JSON.parse(line) as { event: string; userId?: string };
    if (event === "user_document_invalid" && userId !== undefined) unreadable.add(userId);
  });
  const { env } = process;
  const GOOGLE_CLOUD_PROJECT = env["GOOGLE_CLOUD_PROJECT"] || env["GCLOUD_PROJECT"];
  const { projectId, firestore, sealing } = readConfig({ ...env, GOOGLE_CLOUD_PROJECT });
  const ring = await unwrapKeyRing(sealing, cloudKeyManagement(sealing.kmsEmulatorHost), log);
  const tokens = tokenSeal(ring, randomBytes, log);
  const database = new Firestore({ projectId, databaseId: firestore.databaseId });
  try {
    const users = firestoreUsers(database, log, { now: () => new Date() });
    const done = await act({ users, tokens, primary: ring.primary, ring });
    return { ...done, unreadableDocuments: unreadable.size };
  } finally {
    await database.terminate();
  }
}

function showProgress({ users, upTo }: Progress): void {
  process.stderr.write(`${users} users, up to ${upTo}\n`);
}

function print(isJson: boolean, report: object, lines: readonly string[]): void {
  process.stdout.write(isJson ? `${JSON.stringify(report)}\n` : `${lines.join("\n")}\n`);
}

/** What a person can read and mend is told in words; the rest keeps its stack. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG;
  if (error instanceof ConfigError) {
    process.stderr.write(["the configuration is not usable:", ...error.problems, ""].join("\n"));
    return WRONG;
  }
  const isTold = error instanceof Refusal;
  if (isTold) process.stderr.write(`${error.message}\n`);
  if (isTold) return WRONG;
  if (error instanceof KeyManagementFailure) process.stderr.write(`${error.message}\n`);
  else if (!(error instanceof KeysUnusable)) throw error;
  return FAILED;
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
