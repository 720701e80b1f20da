import { randomBytes } from "node:crypto";
import path from "node:path";
import type { Firestore } from "@google-cloud/firestore";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { keyIdOf } from "../../functions/src/crypto/sealing.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { firestoreUsers } from "../../functions/src/store/users.ts";
import { requiredEnv } from "../local/environment.ts";
import { startLocalStack } from "../local/stack.ts";
import { openBrowser, throughGoogle } from "../support/browser.ts";
import { emulatorForTests, firestoreForTests } from "../support/emulator-for-tests.ts";
import { findInGcloudSdk, javaVersion, launchedEmulator } from "../support/emulator-source.ts";
import { findSecrets } from "../support/find-secrets.ts";
import { dumpDatabase, openDatabase } from "../support/firestore-emulator.ts";
import { runInfra } from "../support/infra-command.ts";
import { memoryTopic } from "../support/memory-topic.ts";
import { movableClock } from "../support/scenario.ts";
import { keyRing, sealWith, tokenKeys } from "../support/test-keys.ts";

const firestore = firestoreForTests();

describe.skipIf(!firestore.isHad)("tokens in Firestore", () => {
  let database: Firestore;
  let env: Record<string, string>;

  beforeEach(() => {
    const projectId = `demo-${randomBytes(6).toString("hex")}`;
    database = openDatabase(firestore, projectId, "gmail-push");
    env = {
      FIRESTORE_DATABASE: "gmail-push",
      ...requiredEnv(projectId),
      TOKEN_KEYS: tokenKeys("b", "a"),
      FIRESTORE_EMULATOR_HOST: firestore.host,
    };
  });
  afterEach(() => database.terminate());

  const nameOf = (index: number) => `user-${String(index).padStart(4, "0")}`;

  /** Users as the receiver stores them, sealed with the key "a". */
  async function seed(count: number): Promise<void> {
    const tokens = sealWith(keyRing("a"));
    const now = new Date();
    const writer = database.bulkWriter();
    for (let index = 0; index < count; index++) {
      const id = nameOf(index) as Parameters<typeof tokens.seal>[0];
      const grant = {
        generation: 1,
        scopes: ["https://www.googleapis.com/auth/gmail.metadata"],
        refreshToken: tokens.seal(id, "refresh_token", `1//0refresh-token-of-${id}`),
        refreshTokenDigests: tokens.digests(`1//0refresh-token-of-${id}`),
        accessToken: tokens.seal(id, "access_token", `ya29.access-token-of-${id}`),
        accessTokenExpiresAt: now,
        grantedAt: now,
      };
      void writer.create(database.doc(`users/${id}`), {
        emailAddress: `${id}@example.com`,
        status: "active",
        statusReason: "authorized",
        statusAt: now,
        grant,
        historyId: "1000",
        watch: { failures: 0, expiresAt: now, renewAt: now },
        sync: { retries: 0, recent: [], dueAt: now, dueReason: "quiet" },
        followUp: { failures: 0 },
      });
    }
    await writer.close();
  }

  const keys = async () => {
    const { docs } = await database.collection("users").get();
    const counts: Record<string, number> = {};
    for (const document of docs) {
      for (const field of ["grant.refreshToken", "grant.accessToken"]) {
        const id = keyIdOf(document.get(field) as string) ?? "none";
        counts[id] = (counts[id] ?? 0) + 1;
      }
    }
    return counts;
  };

  it("T5: a re-sealing that is killed half-way is finished by the next one, and verified", async () => {
    await seed(900);
    const before = await runInfra("keys", ["verify", "--json"], { env });
    expect(before.code).toBe(1);
    expect(JSON.parse(before.stdout)).toMatchObject({ keys: { a: 1800 }, removable: [] });

    // At the first line of progress: the first page is done, the rest is not.
    const isToBeKilled = (stderr: string) => stderr.includes(" users, up to ");
    const killed = await runInfra("keys", ["reseal"], { env, isToBeKilled });
    expect([killed.code, killed.stdout]).toEqual([null, ""]);
    const between = await keys();
    expect(between["a"]).toBeGreaterThan(0);
    expect(between["b"]).toBeGreaterThanOrEqual(400);

    const finished = await runInfra("keys", ["reseal", "--json"], { env });
    expect(finished.code).toBe(0);
    const report = JSON.parse(finished.stdout);
    expect(report).toMatchObject({ unreadable: 0, unfinished: 0, unreadableDocuments: 0 });
    expect(report.resealed + report.already).toBe(900);
    expect(report.already).toBeGreaterThanOrEqual(200);
    expect(await keys()).toEqual({ b: 1800 });
    const again = await runInfra("keys", ["reseal"], { env });
    expect(again.stdout).toBe(
      "resealed 0, already 900, unreadable 0, unfinished 0; changed in the meantime 0\n",
    );
    const after = await runInfra("keys", ["verify", "--json"], { env });
    expect(after.code).toBe(0);
    expect(JSON.parse(after.stdout)).toMatchObject({
      primary: "b",
      keys: { b: 1800 },
      removable: ["a"],
    });
    const without = await runInfra("keys", ["verify"], {
      env: { ...env, TOKEN_KEYS: tokenKeys("b") },
    });
    expect(without.code).toBe(0);
    for (const { stdout, stderr } of [before, killed, finished, again, after, without]) {
      expect(stdout + stderr).not.toMatch(/token-of|v[12]\.[ab]\.|GOCSPX/);
    }
  });

  it("an unreadable document is named, and keeps the old key from being reported unused", async () => {
    await seed(3);
    const damaged = { "grant.refreshToken": "v1.gone.AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA" };
    await database.doc(`users/${nameOf(1)}`).update(damaged);
    await database.doc(`users/${nameOf(2)}`).update({ historyId: "head" });
    const resealed = await runInfra("keys", ["reseal"], { env });
    expect([resealed.code, resealed.stdout]).toEqual([
      1,
      "resealed 1, already 0, unreadable 1, unfinished 0; changed in the meantime 0\n" +
        "user documents not readable: 1\n",
    ]);
    const verified = await runInfra("keys", ["verify"], { env });
    expect([verified.code, verified.stdout]).toEqual([
      1,
      "b (primary): 3 tokens\na: 0 tokens\nunreadable: 1 tokens, 1 user documents\n" +
        "digests to be renewed: 0\nnot clear: an older key is still needed, or it cannot be told\n",
    ]);
    expect(verified.stderr).toContain(`"userId":"${nameOf(1)}"`);
    expect(verified.stderr).toContain(`"userId":"${nameOf(2)}"`);
  });

  it("T6: a dump of the database after 30 connections contains no token, code or secret", async () => {
    const clock = movableClock();
    const users = firestoreUsers(
      database,
      createLog(() => {}),
      clock,
    );
    const { publish } = memoryTopic(clock.now);
    const stack = await startLocalStack({ users, publish, clock });
    try {
      for (let index = 0; index < 30; index++) {
        const account = `${nameOf(index)}@example.com`;
        stack.emulator.createAccount({ email: account });
        const browser = openBrowser();
        const start = await browser.get(`${stack.publicUrl}/start`);
        const { status } = await throughGoogle(stack.emulator, browser, start, { account });
        expect(status).toBe(200);
        stack.emulator.deliver(account, {});
      }
      await stack.emulator.idle();
      const dump = await dumpDatabase(database);
      expect(Object.keys(dump)).toHaveLength(30);
      const secrets = stack.emulator.secretsIssued();
      expect(secrets.length).toBeGreaterThan(90);
      expect(findSecrets(JSON.stringify(dump), secrets)).toEqual([]);
    } finally {
      await stack.close();
    }
  });
});

const RULES = path.resolve(import.meta.dirname, "../../infra/firestore.rules");
const launcher = findInGcloudSdk("platform/cloud-firestore-emulator/cloud_firestore_emulator");
/** One of our own: an emulator that runs already has no rules. */
const emulator = emulatorForTests(
  launcher === undefined || javaVersion() === 0
    ? { kind: "missing", why: "the gcloud SDK has no Firestore emulator to load rules" }
    : launchedEmulator(launcher, (port) => [
        "start",
        "--host=127.0.0.1",
        `--port=${port}`,
        `--rules=${RULES}`,
      ]),
);

describe.skipIf(!emulator.isHad)("T9: the security rules", () => {
  let documents: string;
  beforeAll(async () => {
    documents = `http://${emulator.host}/v1/projects/demo-rules/databases/(default)/documents`;
    for (const document of PATHS) await request("owner", "PATCH", document);
  });

  const PATHS = [
    "users/1001",
    "users/1001/changes/1001:added:18d",
    "fleet/flagging",
    "securityEvents/jti",
    "anything/else",
  ];
  const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: "1001", user_id: "1001", iss: "https://securetoken.google.com/demo-rules" };
  const CALLERS = {
    nobody: undefined,
    // As the emulator takes it: a person who is signed in to the project, unsigned.
    "the user": `${base64url({ alg: "none" })}.${base64url(claims)}.`,
    owner: "owner",
  };

  async function request(
    caller: keyof typeof CALLERS,
    method: string,
    document: string,
  ): Promise<number> {
    const token = CALLERS[caller];
    const response = await fetch(`${documents}/${document}`, {
      method,
      headers: {
        "content-type": "application/json",
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      ...(method === "PATCH" && { body: '{"fields":{"a":{"stringValue":"b"}}}' }),
    });
    await response.arrayBuffer();
    return response.status;
  }

  it.each(
    (["nobody", "the user"] as const).flatMap((caller) =>
      PATHS.flatMap((document) =>
        ["GET", "PATCH", "DELETE"].map((method) => [caller, method, document] as const),
      ),
    ),
  )("T9: refuse %s: %s %s", async (caller, method, document) => {
    expect(await request(caller, method, document)).toBe(403);
    expect(await request("owner", "GET", document)).toBe(200);
  });

  it.each(["nobody", "the user"] as const)("T9: refuse %s a listing", async (caller) => {
    expect(await request(caller, "GET", "users")).toBe(403);
    expect(await request("owner", "GET", "users")).toBe(200);
  });
});
