import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** What an operator relies on: recovery, renewal, the guard and the circuit. */
describe("an expired history", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario({ env: { SYNC_PAGES_MAX: "2" } });
    await scenario.connect(ADA);
    scenario.emulator.loseNotifications();
  });
  afterEach(() => scenario.close());

  const added = () =>
    scenario
      .events(ADA)
      .filter(({ attributes }) => attributes["ce-type"] === "mailbox.message.added")
      .map(({ json }) => json["messageId"]);
  const gaps = () =>
    scenario.topic.published.filter(({ attributes }) => attributes["ce-type"] === "mailbox.gap");

  /** Runs the reconciliation until nothing is left unfinished. */
  async function reconcile(): Promise<number> {
    for (let run = 1; run <= 60; run++) {
      await scenario.runSchedule("mailboxReconciliation");
      if (scenario.stored(ADA).sync.dueReason === "quiet") return run;
      scenario.clock.advance(60_000);
    }
    throw new Error("the mailbox is wedged");
  }

  it("P1: is recovered: messages since the last sync are published, oldest first", async () => {
    const missed = [1, 2, 3, 4, 5].map(() => scenario.emulator.deliver(ADA).messageId);
    const cursor = scenario.stored(ADA).historyId;
    scenario.emulator.expireHistory(ADA);
    const head = scenario.emulator.account(ADA).historyId;
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    expect(added()).toEqual(missed);
    expect(gaps().map(({ json }) => [json["fromHistoryId"], json["toHistoryId"]])).toEqual([
      [cursor, head],
    ]);
    const recovered = scenario
      .events(ADA)
      .filter(({ attributes }) => attributes["ce-type"] === "mailbox.message.added");
    expect(recovered.every(({ json }) => json["recovered"] === true)).toBe(true);
    expect(scenario.stored(ADA)).toMatchObject({ historyId: head });
    expect(scenario.stored(ADA).sync).not.toHaveProperty("recovery");
  });

  it("P2: gives a recovered message the id that the history would have given it", async () => {
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    const { id } = scenario.stored(ADA);
    expect(scenario.events(ADA).map(({ attributes }) => attributes["ce-id"])).toContain(
      `${id}/added/${messageId}`,
    );
  });

  it("P1: keeps its bounds when the run that pinned the head died before it published the gap", async () => {
    scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    const head = scenario.emulator.account(ADA).historyId;
    scenario.clock.advance(7 * HOUR_MS);
    const publish = scenario.topic.onPublished;
    scenario.topic.onPublished = () => {
      scenario.topic.onPublished = publish;
      throw new Error("the instance died");
    };
    await scenario.runSchedule("mailboxReconciliation");
    scenario.emulator.deliver(ADA);
    scenario.clock.advance(HOUR_MS);
    await reconcile();
    expect(new Set(gaps().map(({ json }) => json["toHistoryId"]))).toEqual(new Set([head]));
    expect(added()).toHaveLength(2);
  });

  it("is recovered in bounded runs, over many pages, while mail keeps arriving", async () => {
    await scenario.close();
    scenario = await startScenario({ env: { SYNC_PAGES_MAX: "3" } });
    await scenario.connect(ADA);
    scenario.emulator.loseNotifications();
    scenario.emulator.settings.messagePageMax = 4;
    const missed = Array.from({ length: 30 }, () => scenario.emulator.deliver(ADA).messageId);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    const late: string[] = [];
    for (let run = 0; run < 60; run++) {
      await scenario.runSchedule("mailboxReconciliation");
      if (scenario.stored(ADA).sync.dueReason === "quiet") break;
      scenario.clock.advance(60_000);
      if (run < 8) late.push(scenario.emulator.deliver(ADA).messageId);
    }
    expect(scenario.stored(ADA).sync.dueReason).toBe("quiet");
    expect(new Set(added())).toEqual(new Set([...missed, ...late]));
    expect(added().filter((id) => missed.includes(String(id)))).toEqual(missed);
    expect(gaps().length).toBeGreaterThan(0);
  });

  it("finds its page again after much new mail has moved it", async () => {
    scenario.emulator.settings.messagePageMax = 2;
    const missed = Array.from({ length: 6 }, () => scenario.emulator.deliver(ADA).messageId);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    while (scenario.stored(ADA).sync.recovery?.isWalked !== true) {
      await scenario.runSchedule("mailboxReconciliation");
    }
    const late = Array.from({ length: 13 }, () => scenario.emulator.deliver(ADA).messageId);
    await reconcile();
    expect(added()).toEqual([...missed, ...late]);
  });

  it("leaves drafts out of a recovery", async () => {
    scenario.emulator.saveDraft(ADA, { subject: "to" });
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    expect(added()).toEqual([messageId]);
  });

  /** Six messages of before the last sync, five after it, in pages of four. */
  function deliverEleven(): string[] {
    const { emulator, clock } = scenario;
    emulator.settings.messagePageMax = 4;
    const old = clock.now().getTime() - DAY_MS;
    for (let n = 0; n < 6; n++) emulator.deliver(ADA, { internalDate: old });
    const missed = [1, 2, 3, 4, 5].map(() => emulator.deliver(ADA).messageId);
    emulator.expireHistory(ADA);
    clock.advance(7 * HOUR_MS);
    return missed;
  }

  const DATELESS = { method: "messages.get", status: 200, body: { id: "1" } };
  const datelessIds = () =>
    scenario.logged("message_date_unreadable").map(({ messageId }) => messageId);

  it("P11: is recovered even if no message has a readable date", async () => {
    const missed = deliverEleven();
    scenario.emulator.faults.failNext({ ...DATELESS, count: "all" });
    await reconcile();
    // Where it cannot be told what is old, all of it is told.
    expect(added()).toHaveLength(11);
    expect(added().slice(-5)).toEqual(missed);
    expect(new Set(datelessIds()).size).toBe(11);
    expect(scenario.stored(ADA).sync).not.toHaveProperty("recovery");
  });

  it("P11: asks for the next message if the first of a page has no date", async () => {
    const missed = deliverEleven();
    // Each of the tries for the first message that is asked.
    scenario.emulator.faults.failNext({ ...DATELESS, count: 3 });
    await reconcile();
    expect(datelessIds()).toEqual([missed[4]]);
    // The other six were there before the mailbox was connected.
    expect(added()).toEqual(missed);
  });

  it("leaves a draft out that is saved again while its page is being recovered", async () => {
    const { emulator } = scenario;
    const draft = emulator.saveDraft(ADA, { subject: "to" });
    const { messageId } = emulator.deliver(ADA);
    emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    const walked = emulator.faults.hold("messages.list", { count: 1 });
    const reconciled = reconcile();
    await walked.arrived;
    const read = emulator.faults.hold("messages.list", { count: 1, afterEffect: true });
    walked.release();
    await read.arrived;
    emulator.saveDraft(ADA, { subject: "to be", replaces: draft.messageId });
    read.release();
    await reconciled;
    expect(added()).toEqual([messageId]);
  });

  it("leaves a draft out that is begun between two pages of one run", async () => {
    await scenario.close();
    scenario = await startScenario();
    const { emulator } = scenario;
    await scenario.connect(ADA);
    emulator.loseNotifications();
    emulator.settings.messagePageMax = 2;
    const missed = Array.from({ length: 4 }, () => emulator.deliver(ADA).messageId);
    emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    scenario.topic.onPublished = ({ attributes }) => {
      if (attributes["ce-type"] === "mailbox.message.added") emulator.saveDraft(ADA);
    };
    await reconcile();
    expect(added()).toEqual(missed);
  });

  it("treats a head that went backwards the same way", async () => {
    scenario.emulator.deliver(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    const cursor = BigInt(scenario.stored(ADA).historyId);
    scenario.emulator.rewindHead(ADA, String(cursor - 100n));
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    expect(gaps().at(-1)?.json).toMatchObject({ reason: "history_rewound" });
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    expect(added()).toContain(messageId);
  });
});

describe("renewal", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario();
  });
  afterEach(() => scenario.close());

  it("takes a mailbox over from another of our topics: stop once, watch once", async () => {
    await scenario.connect(ADA);
    scenario.emulator.resetCalls();
    scenario.emulator.faults.failNext({
      method: "users.watch",
      count: 1,
      preset: "otherPushClientActive",
    });
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("watchRenewal");
    expect(
      scenario.emulator.calls
        .map(({ method }) => method)
        .filter((method) => method.startsWith("users.")),
    ).toEqual(["users.watch", "users.stop", "users.watch", "users.getProfile"]);
    expect(scenario.stored(ADA).watch.failures).toBe(0);
  });

  it("backs off, and retries before the watch expires", async () => {
    await scenario.connect(ADA);
    const { expiresAt } = scenario.stored(ADA).watch;
    scenario.emulator.faults.failNext({ method: "users.watch", count: 1_000, status: 503 });
    const tries: number[] = [];
    for (let hour = 0; hour < 8 * 24; hour++) {
      scenario.clock.advance(HOUR_MS);
      await scenario.runSchedule("watchRenewal");
      tries.push(Number(scenario.stored(ADA).watch.renewAt));
    }
    const lastBefore = Math.max(...tries.filter((at) => at < Number(expiresAt)));
    expect(Number(expiresAt) - lastBefore).toBeLessThan(2 * HOUR_MS);
    expect(scenario.stored(ADA)).toMatchObject({ status: "active" });
    expect(scenario.logged("watch_lapsed").length).toBeGreaterThan(0);
    scenario.emulator.faults.clear();
    scenario.clock.advance(2 * HOUR_MS);
    await scenario.runSchedule("watchRenewal");
    expect(scenario.stored(ADA).watch.failures).toBe(0);
  });

  it("tries a watch that Gmail keeps rejecting once per turn, and retries a first failure at once", async () => {
    await scenario.connect(ADA);
    await scenario.connect("bob@example.com");
    const { faults } = scenario.emulator;
    faults.failNext({ method: "users.watch", account: ADA, count: "all", status: 503 });
    faults.failNext({
      method: "users.watch",
      account: "bob@example.com",
      count: 2,
      status: 503,
    });
    scenario.clock.advance(DAY_MS);
    scenario.emulator.resetCalls();
    await scenario.runSchedule("watchRenewal");
    expect(scenario.emulator.countCalls("users.watch", ADA)).toBe(3);
    expect(scenario.stored("bob@example.com").watch.failures).toBe(0);

    for (let minutes = 10; minutes <= 60; minutes += 10) {
      scenario.clock.advance(10 * MINUTE_MS);
      await scenario.runSchedule("watchRenewal");
    }
    const { failures } = scenario.stored(ADA).watch;
    expect(failures).toBeGreaterThan(3);
    expect(scenario.emulator.countCalls("users.watch", ADA)).toBe(3 + failures - 1);
    expect(scenario.emulator.countCalls("users.watch", ADA)).toBeLessThanOrEqual(9);
  });

  it("ends a run early, with one alert, when Google rejects the configuration", async () => {
    const emails = Array.from({ length: 30 }, (_, index) => `user${index}@example.com`);
    for (const email of emails) await scenario.connect(email);
    scenario.emulator.removeTopic(scenario.config.gmail.topic);
    scenario.clock.advance(DAY_MS);
    scenario.emulator.resetCalls();
    await scenario.runSchedule("watchRenewal");
    expect(scenario.emulator.countCalls("users.watch")).toBeLessThan(20);
    expect(scenario.logged("renewal_misconfigured")).toHaveLength(1);
    expect(scenario.logged("misconfigured")).toMatchObject([{ reason: "notFound" }]);
    expect(scenario.users.dump().users.every(({ status }) => status === "active")).toBe(true);
  });

  it("logs in each run why watches are rejected, once for each reason", async () => {
    // Fewer refusals in all than the circuit needs to open, which has an alert of its own.
    const emails = ["user0@example.com", "user1@example.com"];
    for (const email of emails) await scenario.connect(email);
    const ids = emails.map((email) => scenario.stored(email).id);
    const { topic } = scenario.config.gmail;
    scenario.emulator.setTopicPublishing(topic, "forbidden");
    for (const hours of [24, 2]) {
      scenario.clock.advance(hours * HOUR_MS);
      const before = scenario.logged("misconfigured").length;
      await scenario.runSchedule("watchRenewal");
      const told = scenario.logged("misconfigured").slice(before);
      expect(told).toMatchObject([{ severity: "CRITICAL", reason: "forbidden" }]);
      expect(ids).toContain(told[0]?.["userId"]);
    }
    expect(scenario.logged("circuit_open")).toEqual([]);

    scenario.emulator.setTopicPublishing(topic, "allowed");
    scenario.emulator.faults.failNext({
      method: "users.watch",
      count: 2,
      preset: "invalidPageToken",
    });
    scenario.clock.advance(2 * HOUR_MS);
    await scenario.runSchedule("watchRenewal");
    const refused = { severity: "ERROR", reason: "invalidArgument" };
    expect(scenario.logged("bad_request")).toMatchObject([refused]);
  });

  it("reconciles a mailbox whose watch has lapsed every few minutes", async () => {
    await scenario.connect(ADA);
    scenario.emulator.setTopicPublishing(scenario.config.gmail.topic, "forbidden");
    scenario.clock.advance(8 * DAY_MS);
    await scenario.runSchedule("mailboxReconciliation");
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.clock.advance(5 * 60_000);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.events(ADA).at(-1)?.json["messageId"]).toBe(messageId);
  });

  it("renews a watch that has stopped notifying", async () => {
    await scenario.connect(ADA);
    scenario.emulator.loseNotifications();
    scenario.emulator.deliver(ADA);
    scenario.clock.advance(6 * HOUR_MS);
    scenario.emulator.resetCalls();
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.logged("push_missed")).toHaveLength(1);
    await scenario.runSchedule("watchRenewal");
    expect(scenario.emulator.countCalls("users.watch", ADA)).toBe(1);
  });
});

describe("our own mistakes", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario();
  });
  afterEach(() => scenario.close());

  it("pause calls for a minute once three users were rejected", async () => {
    const emails = Array.from({ length: 12 }, (_, index) => `user${index}@example.com`);
    for (const email of emails) await scenario.connect(email);
    scenario.clock.advance(2 * HOUR_MS);
    const { clientId, clientSecret } = scenario.config.oauth;
    scenario.emulator.setClientSecret(clientId, "GOCSPX-another");
    scenario.emulator.resetCalls();
    for (const email of emails) {
      scenario.emulator.deliver(email);
      await scenario.settled();
    }
    expect(scenario.emulator.countCalls("token.refresh")).toBe(3);
    expect(scenario.logged("circuit_open")).toHaveLength(1);
    scenario.emulator.setClientSecret(clientId, clientSecret);
    scenario.clock.advance(20 * 60_000);
    await scenario.runSchedule("mailboxReconciliation");
    for (const email of emails) {
      expect(scenario.events(email).at(-1)?.attributes["ce-type"]).toBe("mailbox.message.added");
    }
  });
});
