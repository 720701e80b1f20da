import { type DocumentData, Timestamp, type Firestore } from "@google-cloud/firestore";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLog } from "../../../functions/src/platform/log.ts";
import { firestoreUsers } from "../../../functions/src/store/users.ts";
import { type LocalStack, startLocalStack } from "../../local/stack.ts";
import { type Browser, openBrowser, throughGoogle } from "../../support/browser.ts";
import { firestoreForTests } from "../../support/emulator-for-tests.ts";
import { openDatabase } from "../../support/firestore-emulator.ts";
import { type MemoryTopic, memoryTopic } from "../../support/memory-topic.ts";
import { inTimeOf } from "../../support/read-times.ts";
import { type MovableClock, movableClock } from "../../support/scenario.ts";

/**
 * Goal: user documents that are put back as they once were lose nothing. Everything since then is
 * told again under the same ids, or is named as a gap; no mailbox of a person who has left is read.
 */

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const HOUR_MS = 3_600_000;
const firestore = firestoreForTests();

describe.skipIf(!firestore.isHad)("documents restored to an earlier state", () => {
  let database: Firestore;
  let clock: MovableClock;
  let topic: MemoryTopic;
  let stack: LocalStack;

  beforeEach(async () => {
    database = openDatabase(firestore);
    clock = movableClock();
    topic = memoryTopic(clock.now);
    const log = createLog(() => {});
    const users = inTimeOf(firestoreUsers(database, log, clock), clock);
    stack = await startLocalStack({ users, publish: topic.publish, clock });
  });
  afterEach(async () => {
    await stack.close();
    await database.terminate();
  });

  async function connect(account: string): Promise<Browser> {
    if (stack.emulator.findAccount(account) === undefined) {
      stack.emulator.createAccount({ email: account });
    }
    const browser = openBrowser();
    const start = await browser.get(`${stack.publicUrl}/start`);
    const { status } = await throughGoogle(stack.emulator, browser, start, { account });
    expect(status).toBe(200);
    await stack.emulator.idle();
    return browser;
  }

  /** What an export holds, and what an import does with it. */
  async function exported(): Promise<Map<string, DocumentData>> {
    const { docs } = await database.collection("users").get();
    return new Map(docs.map((document) => [document.ref.path, document.data()]));
  }
  async function imported(documents: ReadonlyMap<string, DocumentData>): Promise<void> {
    for (const [path, data] of documents) await database.doc(path).set(data);
  }

  const read = async (account: string): Promise<DocumentData> => {
    const { docs } = await database.collection("users").where("emailAddress", "==", account).get();
    return docs[0]?.data() ?? {};
  };
  const about = (account: string) =>
    topic.published.filter(({ json }) => json["emailAddress"] === account);
  const idsOf = (events: typeof topic.published) =>
    events.map(({ attributes }) => attributes["ce-id"]);

  /** A message that arrives, is starred and is deleted, each told by itself. */
  async function live(account: string): Promise<void> {
    const { messageId } = stack.emulator.deliver(account);
    stack.emulator.deliver(account);
    stack.emulator.star(account, messageId);
    stack.emulator.deleteMessage(account, messageId);
    await stack.emulator.idle();
    clock.advance(10 * 60_000);
  }
  async function reconcile(): Promise<void> {
    for (let hour = 0; hour < 8; hour++) {
      clock.advance(HOUR_MS);
      expect(await stack.runSchedule("mailboxReconciliation")).toBe(204);
      expect(await stack.runSchedule("watchRenewal")).toBe(204);
      await stack.emulator.idle();
    }
  }

  it("an old cursor: every change since then is published again, in order and under the same id", async () => {
    await connect(ADA);
    await live(ADA);
    const backup = await exported();
    const before = topic.published.length;
    await live(ADA);
    await live(ADA);
    const since = idsOf(topic.published.slice(before));
    expect(since).toHaveLength(8);

    const restoredAt = topic.published.length;
    await imported(backup);
    const lost = stack.emulator.deliver(ADA);
    await reconcile();
    const again = idsOf(topic.published.slice(restoredAt));
    expect(again.slice(-9)).toEqual([...since, expect.stringContaining(lost.messageId)]);
    // What was not settled at the time of the backup may be told again as well, and nothing else.
    const known = new Set(idsOf(topic.published.slice(0, restoredAt)));
    expect(again.filter((id) => !known.has(id))).toEqual([expect.stringContaining(lost.messageId)]);
    expect(BigInt((await read(ADA))["historyId"])).toBe(
      BigInt(stack.emulator.account(ADA).historyId),
    );
  });

  it("an expired cursor: a gap names the range, and its messages are published again under the same ids", async () => {
    await connect(ADA);
    await live(ADA);
    const backup = await exported();
    const kept = stack.emulator.deliver(ADA);
    await stack.emulator.idle();
    const [told] = idsOf(about(ADA)).slice(-1);
    clock.advance(HOUR_MS);
    stack.emulator.expireHistory(ADA);

    const restoredAt = topic.published.length;
    await imported(backup);
    await reconcile();
    const again = topic.published.slice(restoredAt);
    expect(again[0]?.attributes["ce-type"]).toBe("mailbox.gap");
    expect(again[0]?.json).toMatchObject({
      fromHistoryId: [...backup.values()][0]?.["historyId"],
      reason: "history_expired",
    });
    expect(told).toContain(kept.messageId);
    expect(idsOf(again)).toContain(told);
  });

  it("a person who has left since then: nothing of theirs is read, and they are not active again", async () => {
    await connect(ADA);
    const browser = await connect(BOB);
    const backup = await exported();
    const page = await (await browser.get(`${stack.publicUrl}/`)).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
    await browser.post(`${stack.publicUrl}/disconnect`, { csrf });
    expect((await read(BOB))["status"]).toBe("disconnected");
    stack.emulator.deliver(BOB);

    await imported(backup);
    expect((await read(BOB))["status"]).toBe("active");
    await reconcile();
    expect(await read(BOB)).toMatchObject({ status: "reauthorization_required" });
    expect(about(BOB).filter(({ json }) => "messageId" in json)).toEqual([]);
    expect((await read(ADA))["status"]).toBe("active");
  });

  it("a grant that is newer than the backup: flagged if the old one ended, and one click resumes", async () => {
    await connect(ADA);
    const backup = await exported();
    stack.emulator.changePassword(ADA);
    await connect(ADA);
    const { messageId } = stack.emulator.deliver(ADA);
    await stack.emulator.idle();

    await imported(backup);
    await reconcile();
    expect((await read(ADA))["status"]).toBe("reauthorization_required");
    await connect(ADA);
    expect(await read(ADA)).toMatchObject({ status: "active" });
    const ids = idsOf(topic.published).filter((id) => id?.endsWith(`/added/${messageId}`));
    expect(ids.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(1);
  });
});

describe.skipIf(!firestore.isHad)("a deployment rolled back", () => {
  it("reads what a newer version has added to the documents, and continues", async () => {
    const database = openDatabase(firestore);
    const clock = movableClock();
    const topic = memoryTopic(clock.now);
    const lines: string[] = [];
    const users = firestoreUsers(
      database,
      createLog((line) => void lines.push(line)),
      clock,
    );
    const stack = await startLocalStack({ users, publish: topic.publish, clock });
    try {
      stack.emulator.createAccount({ email: ADA });
      const browser = openBrowser();
      const start = await browser.get(`${stack.publicUrl}/start`);
      await throughGoogle(stack.emulator, browser, start, { account: ADA });
      const { docs } = await database.collection("users").get();
      const newer = { seenBy: "a newer deploy", "sync.score": 7, ranAt: Timestamp.now() };
      await docs[0]?.ref.update(newer);
      const { messageId } = stack.emulator.deliver(ADA);
      await stack.emulator.idle();
      expect(topic.published.at(-1)?.json["messageId"]).toBe(messageId);
      expect(lines).toEqual([]);
    } finally {
      await stack.close();
      await database.terminate();
    }
  });
});
