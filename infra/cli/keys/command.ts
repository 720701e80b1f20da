import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import {
  RING_CONTEXT,
  cloudKeyManagement,
  decryptRing,
} from "../../../functions/src/google/key-management.ts";
import type { KeyRing } from "../../../functions/src/crypto/sealing.ts";
import { tokenSeal } from "../../../functions/src/crypto/token-seal.ts";
import { parseUserId } from "../../../functions/src/domain/user.ts";
import type { Progress } from "../all-users.ts";
import { EXIT, usageError } from "../errors.ts";
import { withOperator } from "../operator.ts";
import { type Session, printResult, readLoopbackHost } from "../session.ts";
import { type Where, whereOptions } from "../where.ts";
import { type ResealServices, reseal } from "./reseal.ts";
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

Links for re-authorization are sealed, too, are not stored, and live for 7 days: step 5 ends those
from before step 2. If others know the old key, do not wait: people who follow such a link are asked
to start again.

reseal and verify read the settings of the functions as mailboxes does: those deployed in --project,
or the environment.`;

/** Defines `gmail-push keys`: the key ring that seals tokens, from its creation to its rotation. */
export function defineKeys(keys: Command, session: Session): void {
  const { terminal, env, endWith } = session;
  whereOptions(keys, env).addHelpText("after", HELP);

  const KMS_KEY = [
    "--kms-key <name>",
    "ring in and out encrypted with this Cloud KMS key, projects/.../cryptoKeys/...",
  ] as const;
  const today = new Date().toISOString().slice(0, 10);

  keys
    .command("generate")
    .description("make a new ring with one key, or add a key to the ring on standard input")
    .option("--add", "add a key to the ring on standard input; it opens and does not seal yet")
    .option("--primary", "with --add: the new key seals at once; only where one instance runs")
    .option("--id <id>", "id of the new key", today)
    .option(...KMS_KEY)
    .action(async ({ add = false, primary = false, id, kmsKey }: GenerateOptions) => {
      if (primary && !add) throw usageError("--primary goes with --add: the only key is primary");
      await writeRing(add ? withNewKey(await readRing(kmsKey), id, primary) : newRing(id), kmsKey);
    });

  keys
    .command("primary")
    .description("make another key of the ring on standard input the one that seals")
    .argument("<id>")
    .option(...KMS_KEY)
    .action(async (id: string, { kmsKey }: RingOptions) =>
      writeRing(withPrimary(await readRing(kmsKey), id), kmsKey),
    );

  keys
    .command("remove")
    .description("take an older key off the ring on standard input")
    .argument("<id>")
    .option(...KMS_KEY)
    .action(async (id: string, { kmsKey }: RingOptions) =>
      writeRing(withoutKey(await readRing(kmsKey), id), kmsKey),
    );

  keys
    .command("wrap")
    .description("encrypt the ring on standard input with Cloud KMS; prints base64")
    .requiredOption(...KMS_KEY)
    .action(async ({ kmsKey }: Required<RingOptions>) => writeRing(await readRing(), kmsKey));

  keys
    .command("reseal")
    .description("re-seal everything stored with the primary key; may be stopped and run again")
    .option("--after <user id>", "begin after this user, as a line of progress named it")
    .action(async ({ after }: { after?: string }) => {
      const start = after === undefined ? undefined : parseUserId(after);
      if (after !== undefined && start === undefined) throw usageError("--after is not a user id");
      const report = await withKeys((services) => reseal(services, start, showProgress));
      const { resealed, already, unreadable, unfinished, changedMeanwhile } = report;
      const { unreadableDocuments } = report;
      await printResult(session, report, [
        `resealed ${resealed}, already ${already}, unreadable ${unreadable}, ` +
          `unfinished ${unfinished}; changed in the meantime ${changedMeanwhile}`,
        ...(unreadableDocuments > 0 ? [`user documents not readable: ${unreadableDocuments}`] : []),
      ]);
      if (unreadable + unfinished + unreadableDocuments > 0) endWith(EXIT.failed);
    });

  keys
    .command("verify")
    .description("say which keys the stored tokens need; exit code 0: only the primary one")
    .action(() =>
      withKeys(async (services) => {
        const { ring, primary } = services;
        const usage = await findKeyUsage(services, showProgress);
        const { unreadable, outdatedDigests, unreadableDocuments } = usage;
        const inUse = [...usage.keys.keys()].filter((id) => id !== primary);
        const isClear = inUse.length + unreadable + outdatedDigests + unreadableDocuments === 0;
        const removable = isClear ? [...ring.keys.keys()].filter((id) => id !== primary) : [];
        await printResult(
          session,
          { primary, ...usage, keys: Object.fromEntries(usage.keys), removable },
          [
            ...[...ring.keys.keys()].map(
              (id) =>
                `${id}${id === primary ? " (primary)" : ""}: ${usage.keys.get(id) ?? 0} tokens`,
            ),
            `unreadable: ${unreadable} tokens, ${unreadableDocuments} user documents`,
            `digests to be renewed: ${outdatedDigests}`,
            isClear
              ? `nothing stored needs a key other than ${primary}`
              : "not clear: an older key is still needed, or it cannot be told",
          ],
        );
        if (!isClear) endWith(EXIT.failed);
      }),
    );

  async function readRing(kmsKey?: string): Promise<string> {
    const given = (await terminal.readInput("the key ring")).trim();
    return kmsKey === undefined ? given : decryptRing(kmsKey, given, keyManagement());
  }

  async function writeRing(json: string, kmsKey?: string): Promise<void> {
    checkRing(json);
    await terminal.print(kmsKey === undefined ? json : await wrapped(json, kmsKey));
  }

  async function wrapped(json: string, kmsKey: string): Promise<string> {
    const ring = await keyManagement().encrypt(kmsKey, Buffer.from(json), RING_CONTEXT);
    return ring.toString("base64");
  }

  function keyManagement() {
    return cloudKeyManagement(readLoopbackHost(env, "KMS_EMULATOR_HOST"));
  }

  /** Runs `work` with the users and the keys of the functions. */
  function withKeys<T>(work: (services: ResealServices & { ring: KeyRing }) => Promise<T>) {
    return withOperator(
      session,
      async ({ users, log, getKeyRing }) => {
        const ring = await getKeyRing();
        return work({
          users,
          ring,
          primary: ring.primary,
          tokens: tokenSeal(ring, randomBytes, log),
        });
      },
      keys.opts<Where>(),
    );
  }

  function showProgress({ users, upTo }: Progress): void {
    terminal.note(`${users} users, up to ${upTo}`);
  }
}

interface RingOptions {
  kmsKey?: string;
}

interface GenerateOptions extends RingOptions {
  add?: boolean;
  primary?: boolean;
  id: string;
}
