import { randomBytes } from "node:crypto";
import type { PubSub } from "@google-cloud/pubsub";
import type { Firestore } from "@google-cloud/firestore";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { pubsubPublisher } from "../../functions/src/pubsub/publisher.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { firestoreUsers } from "../../functions/src/store/users.ts";
import { PROJECT, makeTokenKeys, requiredEnv } from "../local/environment.ts";
import { type LocalStack, startLocalStack } from "../local/stack.ts";
import { openBrowser, throughGoogle } from "../support/browser.ts";
import { firestoreForTests, pubsubForTests } from "../support/emulator-for-tests.ts";
import { dumpDatabase, openDatabase } from "../support/firestore-emulator.ts";
import { startInfra } from "../support/infra-command.ts";
import { type Subscriber, openPubsub, subscribe } from "../support/pubsub-emulator.ts";
import { movableClock } from "../support/scenario.ts";

const ADA = "ada@example.com";
const TOKEN_KEYS = makeTokenKeys();
const DATABASE = "gmail-push";
const ARRIVAL = { timeout: 20_000, interval: 50 };

const firestore = firestoreForTests();
const pubsubEmulator = pubsubForTests();

/** The operator's program as a process, on a deployment whose store and topic are emulators. */
describe.skipIf(!firestore.isHad || !pubsubEmulator.isHad)("npm run mailboxes", () => {
  let database: Firestore;
  let pubsub: PubSub;
  let subscriber: Subscriber;
  let stack: LocalStack;
  let env: Record<string, string>;
  let id: string;
  /** Everything that the commands have written. */
  const outputs: string[] = [];

  beforeAll(async () => {
    database = openDatabase(firestore, PROJECT, DATABASE);
    pubsub = openPubsub(pubsubEmulator, PROJECT);
    const topic = `mailbox-changes-${randomBytes(4).toString("hex")}`;
    subscriber = await subscribe(pubsub, topic);
    const clock = movableClock();
    const own = { TOKEN_KEYS, CHANGES_TOPIC: topic, CHANGES_SINK: "firestore" };
    stack = await startLocalStack({
      users: firestoreUsers(
        database,
        createLog(() => {}),
        clock,
      ),
      publish: pubsubPublisher(pubsub, topic, clock),
      clock,
      env: own,
    });
    env = {
      ...requiredEnv(PROJECT, stack.publicUrl),
      ...own,
      FIRESTORE_DATABASE: DATABASE,
      GMAIL_EMULATOR_HOST: stack.emulator.host,
      FIRESTORE_EMULATOR_HOST: firestore.host,
      PUBSUB_EMULATOR_HOST: pubsubEmulator.host,
    };
    id = stack.emulator.createAccount({ email: ADA }).sub;
    const browser = openBrowser();
    const toGoogle = await browser.get(`${stack.publicUrl}/start`);
    await throughGoogle(stack.emulator, browser, toGoogle, { account: ADA });
  });
  afterAll(async () => {
    await stack?.close();
    await subscriber?.close();
    await Promise.all([pubsub?.close(), database?.terminate()]);
  });

  function start(args: readonly string[], own = env) {
    const { ended, kill } = startInfra("mailboxes", args, { env: own });
    void ended.then(({ stdout, stderr }) => outputs.push(stdout, stderr));
    return { ended, kill };
  }
  const mailboxes = (...args: string[]) => start(args).ended;

  const received = () =>
    subscriber.received
      .filter(({ orderingKey }) => orderingKey === id)
      .map(({ attributes, json }) => json["messageId"] ?? attributes["ce-type"]);

  it("names every problem of the configuration, and exits with 2", async () => {
    const { code, stdout, stderr } = await start(["list"], { TOKEN_KEYS: "none" }).ended;
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    for (const name of ["GOOGLE_CLOUD_PROJECT", "GMAIL_TOPIC", "PUBLIC_URL", "TOKEN_KEYS"]) {
      expect(stderr).toContain(`  ${name}`);
    }
  });

  it("lists, shows and counts what is stored", async () => {
    const list = await mailboxes("list", "--json");
    expect(list.code).toBe(0);
    expect(list.stdout.split("\n").filter(Boolean)).toHaveLength(1);
    expect(JSON.parse(list.stdout)).toMatchObject({ id, emailAddress: ADA, status: "active" });
    const show = await mailboxes("show", ADA);
    expect(show.stdout).toMatch(/^grant\.refreshToken\.keyId +local$/m);
    expect(show.stdout).toMatch(
      /^every change up to history id \d+ is published; read to its end/m,
    );
    const stats = await mailboxes("stats");
    expect(stats.stdout).toMatch(/^users +1$/m);
    const elsewhere = await mailboxes("--project", "demo-elsewhere", "stats", "--json");
    expect(JSON.parse(elsewhere.stdout)).toMatchObject({ users: 0 });
    expect((await mailboxes("show", "nobody")).code).toBe(1);
  });

  it("syncs unannounced changes to the real topic, and renews the watch", async () => {
    stack.emulator.loseNotifications();
    const { messageId } = stack.emulator.deliver(ADA);
    const sync = await mailboxes("sync", ADA);
    expect(sync).toMatchObject({ code: 0 });
    expect(sync.stdout).toMatch(/^published 1 changes: every change up to/);
    await vi.waitFor(() => expect(received()).toContain(messageId), ARRIVAL);
    const watches = stack.emulator.countCalls("users.watch", ADA);
    expect((await mailboxes("renew", id)).stdout).toMatch(/^Gmail notifies until 2/);
    expect(stack.emulator.countCalls("users.watch", ADA)).toBe(watches + 1);
  });

  it("finishes an erasure that was killed half-way", async () => {
    const kept = database.collection(`users/${id}/changes`);
    const batch = database.bulkWriter();
    for (let index = 0; index < 3_000; index++) {
      void batch.set(kept.doc(`filler:${index}`), { type: "mailbox.message.added" });
    }
    await batch.close();
    const before = (await kept.count().get()).data().count;

    const refused = await mailboxes("forget", ADA);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("--yes");

    const killed = start(["forget", ADA, "--yes"]);
    const left = await vi.waitFor(async () => {
      const { count } = (await kept.count().get()).data();
      expect(count).toBeLessThan(before);
      return count;
    }, ARRIVAL);
    killed.kill();
    await killed.ended;
    expect(left).toBeGreaterThan(0);
    expect((await database.doc(`users/${id}`).get()).exists).toBe(true);

    const finished = await mailboxes("forget", ADA, "--yes");
    expect(finished).toMatchObject({ code: 0 });
    // No id and no address: it keeps the generations of whoever connects again from repeating.
    expect(await dumpDatabase(database)).toEqual({ "fleet/generations": { floor: 1 } });
    expect((await kept.count().get()).data().count).toBe(0);
    const { refreshTokens, watches } = stack.emulator.account(ADA);
    expect(refreshTokens).toEqual([]);
    expect(watches.map(({ active }) => active)).toEqual([false]);
    await vi.waitFor(() => expect(received().at(-1)).toBe("mailbox.disconnected"), ARRIVAL);
    expect((await mailboxes("show", id)).code).toBe(1);
  });

  it("writes no secret", () => {
    const written = outputs.join("\n");
    expect(written).toContain("operator_command_ended");
    const secrets = [...stack.emulator.secretsIssued(), TOKEN_KEYS];
    expect(secrets.length).toBeGreaterThan(3);
    expect(secrets.filter((secret) => written.includes(secret))).toEqual([]);
  });
});
