import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PublishFailure } from "../../functions/src/domain/events.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { begin, cookieHeader } from "../support/flow.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { startSecondInstance } from "../support/second-instance.ts";

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let scenario: Scenario;
afterEach(() => scenario.close());

const ofType = (type: string) => scenario.events(ADA, type);
const added = () => scenario.added(ADA);
const gaps = () =>
  scenario.topic.published.filter(({ attributes }) => attributes["ce-type"] === "mailbox.gap");

/** Runs the reconciliation once a minute. */
async function reconcileFor(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += MINUTE_MS) {
    scenario.clock.advance(MINUTE_MS);
    await scenario.runSchedule("mailboxReconciliation");
  }
}

describe("a history that only seems to have expired", () => {
  beforeEach(async () => {
    scenario = await startScenario();
    await scenario.connect(ADA);
  });

  /** A label change and a deletion, which no recovery can find. */
  function starAndDelete(): void {
    const kept = scenario.emulator.deliver(ADA);
    const gone = scenario.emulator.deliver(ADA);
    scenario.emulator.star(ADA, kept.messageId);
    scenario.emulator.deleteMessage(ADA, gone.messageId);
  }

  const told = () => ({
    gaps: gaps().length,
    added: ofType("mailbox.message.added").length,
    starred: ofType("mailbox.labels.added").length,
    deleted: ofType("mailbox.message.deleted").length,
  });
  const EVERYTHING = { gaps: 0, added: 2, starred: 1, deleted: 1 };

  it("publishes label changes and deletions after one stray 404", async () => {
    scenario.emulator.loseNotifications();
    starAndDelete();
    scenario.emulator.faults.failNext({ method: "history.list", preset: "notFound" });
    scenario.clock.advance(7 * HOUR_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(told()).toEqual(EVERYTHING);
  });

  it("publishes no gap when one response comes from a server that is behind", async () => {
    scenario.emulator.loseNotifications();
    starAndDelete();
    const behind = { historyId: String(BigInt(scenario.stored(ADA).historyId) - 1n) };
    scenario.emulator.faults.failNext({ method: "history.list", status: 200, body: behind });
    scenario.clock.advance(7 * HOUR_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(told()).toEqual(EVERYTHING);
  });

  it("asks for the head twice before it believes that the head went back", async () => {
    scenario.emulator.loseNotifications();
    starAndDelete();
    const behind = { historyId: String(BigInt(scenario.stored(ADA).historyId) - 1n) };
    scenario.emulator.faults.failNext({ method: "history.list", status: 200, body: behind });
    scenario.emulator.faults.failNext({ method: "users.getProfile", status: 200, body: behind });
    scenario.clock.advance(7 * HOUR_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(told()).toEqual(EVERYTHING);
  });

  it.each(["notFound", "invalidPageToken"] as const)(
    "lists from the first page again when a page token is refused: %s",
    async (preset) => {
      scenario.emulator.settings.historyPageMax = 2;
      scenario.emulator.loseNotifications();
      starAndDelete();
      scenario.clock.advance(7 * HOUR_MS);
      const firstPage = scenario.emulator.faults.hold("history.list", { count: 1 });
      const reconciled = scenario.runSchedule("mailboxReconciliation");
      await firstPage.arrived;
      // The call that waits has met its fate: this is for the second page.
      scenario.emulator.faults.failNext({ method: "history.list", preset });
      firstPage.release();
      await reconciled;
      expect(told()).toEqual(EVERYTHING);
    },
  );

  it("backs off while the history and the head contradict each other", async () => {
    scenario.clock.advance(7 * HOUR_MS);
    const behind = { historyId: String(BigInt(scenario.stored(ADA).historyId) - 1n) };
    const stale = { method: "history.list", status: 200, body: behind };
    scenario.emulator.faults.failNext({ ...stale, count: "all" });
    scenario.emulator.resetCalls();
    await reconcileFor(2 * HOUR_MS);
    expect(gaps()).toEqual([]);
    expect(scenario.emulator.calls.length).toBeLessThan(150);
    scenario.emulator.faults.clear();
    scenario.emulator.loseNotifications();
    starAndDelete();
    await reconcileFor(30 * MINUTE_MS);
    expect(told()).toEqual(EVERYTHING);
  });
});

describe("a history whose head Gmail rejects", () => {
  beforeEach(async () => {
    scenario = await startScenario();
    await scenario.connect(ADA);
    for (let mail = 0; mail < 10; mail++) scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.emulator.faults.failNext({ method: "history.list", count: "all", preset: "notFound" });
  });

  it("P12: costs fewer and fewer calls, and one gap for each head", async () => {
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const costs: { calls: number; published: number }[] = [];
    for (let hour = 0; hour < 12; hour++) {
      scenario.emulator.resetCalls();
      const before = scenario.topic.published.length;
      await reconcileFor(HOUR_MS);
      const published = scenario.topic.published.length - before;
      costs.push({ calls: scenario.emulator.calls.length, published });
    }
    expect(costs[0]?.calls).toBeLessThan(40);
    expect(costs[0]?.published).toBeLessThan(40);
    const rest = costs.slice(1);
    expect(rest.reduce((sum, { calls }) => sum + calls, 0)).toBeLessThan(60);
    // Nothing has happened since: there is nothing to tell.
    expect(rest.every(({ published }) => published === 0)).toBe(true);
    expect(gaps()).toHaveLength(1);
    expect(scenario.logged("history_head_refused").length).toBeGreaterThan(2);
    expect(scenario.logged("history_head_refused").length).toBeLessThan(8);
  });

  it("publishes the delay within two minutes of the limit, although no run of its own is due", async () => {
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await reconcileFor(20 * MINUTE_MS);
    const { dueAt } = scenario.stored(ADA).sync;
    expect(dueAt?.getTime()).toBeGreaterThan(scenario.clock.now().getTime() + 30 * MINUTE_MS);
    await reconcileFor(12 * MINUTE_MS);
    expect(ofType("mailbox.delayed")).toHaveLength(1);
  });

  it("P12: pauses before the next recovery although mail has arrived since the last one began", async () => {
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const begunAt = scenario.clock.now().getTime();
    const minutesSince = () => (scenario.clock.now().getTime() - begunAt) / MINUTE_MS;
    expect(scenario.stored(ADA).sync.recovery).toBeDefined();
    // Another head: without the pause its gap would be told at once.
    const next = scenario.emulator.deliver(ADA);
    await scenario.settled();
    while (minutesSince() < 14) await reconcileFor(MINUTE_MS);
    expect(scenario.stored(ADA).sync).toMatchObject({
      dueReason: "throttled",
      recoveries: { count: 1 },
    });
    expect(gaps()).toHaveLength(1);
    while (minutesSince() < 25) await reconcileFor(MINUTE_MS);
    expect(gaps()).toHaveLength(2);
    expect(added()).toContain(next.messageId);
  });

  it("publishes the delay while recoveries pause, without a call, once the topic accepts it", async () => {
    const delays = () => ofType("mailbox.delayed");
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await reconcileFor(20 * MINUTE_MS);
    scenario.topic.failure = new PublishFailure("transient", "unavailable");
    await reconcileFor(30 * MINUTE_MS);
    scenario.topic.failure = undefined;
    const { dueAt, dueReason } = scenario.stored(ADA).sync;
    expect(dueReason).toBe("throttled");
    expect(dueAt?.getTime()).toBeGreaterThan(scenario.clock.now().getTime() + 20 * MINUTE_MS);
    expect(delays()).toEqual([]);

    scenario.emulator.resetCalls();
    await reconcileFor(2 * MINUTE_MS);
    expect(delays().map(({ json }) => json["reason"])).toEqual(["history_refused"]);
    expect(scenario.emulator.calls).toEqual([]);
    expect(scenario.stored(ADA).sync).toMatchObject({ dueAt, dueReason });
    await reconcileFor(10 * HOUR_MS);
    expect(delays()).toHaveLength(1);
  });

  it("acknowledges notifications without a call while it waits", async () => {
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await reconcileFor(5 * MINUTE_MS);
    scenario.emulator.resetCalls();
    for (let mail = 0; mail < 5; mail++) scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.emulator.calls).toEqual([]);
    expect(scenario.emulator.pushCounters().refused).toBe(0);
  });

  it("P1: delivers the next mail once Gmail lists history again, and starts the next series with short pauses", async () => {
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await reconcileFor(12 * HOUR_MS);
    const { messageId } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(added()).not.toContain(messageId);
    scenario.emulator.faults.clear();
    await reconcileFor(6 * HOUR_MS + MINUTE_MS);
    expect(added()).toContain(messageId);
    expect(scenario.stored(ADA).sync).not.toHaveProperty("recoveries");
    const next = scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(added().at(-1)).toBe(next.messageId);
  });

  it("P1: publishes mail that arrives while the head is rejected, and each head's gap once", async () => {
    const told: number[] = [];
    const sent: string[] = [];
    for (let round = 0; round < 6; round++) {
      sent.push(scenario.emulator.deliver(ADA).messageId);
      await scenario.settled();
      await reconcileFor(HOUR_MS);
      told.push(new Set(added()).size);
    }
    await reconcileFor(6 * HOUR_MS);
    expect(added()).toEqual(expect.arrayContaining(sent));
    const ids = gaps().map(({ attributes }) => attributes["ce-id"]);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeLessThan(6);
  });
});

describe("the gap of an expired history", () => {
  it("names what the recovery cannot find", async () => {
    scenario = await startScenario();
    await scenario.connect(ADA);
    scenario.emulator.loseNotifications();
    scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    await reconcileFor(7 * HOUR_MS);
    expect(gaps().map(({ json }) => json["incomplete"])).toEqual([
      ["deletions", "labels", "imports"],
    ]);
  });
});

/** Runs the reconciliation once a minute until nothing is left to do; resolves to the runs. */
async function recover(runsMax = 60): Promise<number> {
  for (let run = 1; run <= runsMax; run++) {
    await scenario.runSchedule("mailboxReconciliation");
    if (scenario.stored(ADA).sync.dueReason === "quiet") return run;
    scenario.clock.advance(MINUTE_MS);
  }
  throw new Error("the recovery does not end");
}

describe("the recovery of an expired history", () => {
  const DAY_MS = 24 * HOUR_MS;
  async function start(env: Record<string, string> = {}): Promise<void> {
    scenario = await startScenario({ env });
    await scenario.connect(ADA);
    scenario.emulator.loseNotifications();
  }
  const ago = (ms: number) => scenario.clock.now().getTime() - ms;
  /** As {@link start}, but no message of the test is near the connection. */
  async function startDaysAgo(): Promise<void> {
    await start();
    scenario.clock.advance(3 * DAY_MS);
    await recover();
    scenario.emulator.settings.messagePageMax = 3;
  }

  it("P1: finds a message behind an old one where Gmail lists them out of order", async () => {
    await start();
    scenario.emulator.settings.messagePageMax = 3;
    const now = ago(0);
    const behind = scenario.emulator.deliver(ADA, { listedAt: now - 4_000 });
    scenario.emulator.deliver(ADA, { internalDate: now - 40 * DAY_MS, listedAt: now - 3_000 });
    const before = [2_000, 1_000].map(
      (ms) => scenario.emulator.deliver(ADA, { listedAt: now - ms }).messageId,
    );
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await recover();
    expect(added()).toEqual(expect.arrayContaining([behind.messageId, ...before]));
  });

  it("P1: continues over pages that each contain an old message", async () => {
    await startDaysAgo();
    const now = ago(0);
    const sent: string[] = [];
    for (let nth = 0; nth < 12; nth++) {
      const isImported = nth > 2 && nth % 3 === 1;
      const internalDate = isImported ? now - 400 * DAY_MS : now;
      sent.push(scenario.emulator.deliver(ADA, { internalDate, listedAt: now + nth }).messageId);
    }
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await recover();
    expect(added()).toEqual(sent);
  });

  it("P1: continues after a whole page of old messages", async () => {
    await startDaysAgo();
    const now = ago(0);
    const sent: string[] = [];
    for (let nth = 0; nth < 9; nth++) {
      const isImported = nth >= 3 && nth < 6;
      const internalDate = isImported ? now - 400 * DAY_MS : now;
      const listedAt = now + nth;
      sent.push(scenario.emulator.deliver(ADA, { internalDate, listedAt }).messageId);
    }
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await recover();
    expect(added()).toEqual(sent);
  });

  it("stops after two whole pages from before the last sync, and publishes none of them again", async () => {
    await start();
    scenario.emulator.settings.messagePageMax = 3;
    for (let day = 0; day < 30; day++) scenario.emulator.deliver(ADA);
    scenario.emulator.loseNotifications(0);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const before = scenario.topic.published.length;
    scenario.clock.advance(3 * DAY_MS);
    await recover();
    scenario.emulator.loseNotifications();
    scenario.clock.advance(3 * DAY_MS);
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    scenario.emulator.resetCalls();
    await recover();
    const published = scenario.topic.published.slice(before).map(({ json }) => json["messageId"]);
    // The gap, the message, and the two that share its page.
    expect(published).toHaveLength(4);
    expect(published.at(-1)).toBe(messageId);
    expect(scenario.emulator.countCalls("messages.list", ADA)).toBeLessThan(12);
  });

  it("P1: scans once more for a message that the index showed after the scan had begun", async () => {
    await start();
    scenario.emulator.deliver(ADA);
    scenario.clock.advance(HOUR_MS);
    scenario.emulator.setIndexLag(ADA, { kind: "delayed", ms: 90_000 });
    const late = scenario.emulator.deliver(ADA);
    scenario.emulator.setIndexLag(ADA, { kind: "none" });
    scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(6 * HOUR_MS - 60_000);
    scenario.emulator.setIndexLag(ADA, { kind: "delayed", ms: 90_000 });
    const last = scenario.emulator.deliver(ADA);
    scenario.emulator.setIndexLag(ADA, { kind: "none" });
    scenario.emulator.expireHistory(ADA);
    await recover();
    expect(added()).toEqual(expect.arrayContaining([late.messageId, last.messageId]));
    expect(new Set(added()).size).toBe(4);
  });

  it("P1: finds a message that the index showed late among hundreds that arrived after it", async () => {
    await start();
    scenario.emulator.deliver(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    scenario.emulator.setIndexLag(ADA, { kind: "delayed", ms: 90_000 });
    const late = scenario.emulator.deliver(ADA);
    scenario.emulator.setIndexLag(ADA, { kind: "none" });
    for (let nth = 0; nth < 620; nth++) scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    await recover();
    expect(added()).toContain(late.messageId);
    expect(new Set(added()).size).toBe(622);
  });

  it("P2: publishes the same under the same ids when the second pass is repeated after a crash", async () => {
    await start();
    scenario.emulator.setIndexLag(ADA, { kind: "delayed", ms: 90_000 });
    const late = scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    // Notified before its message shows.
    scenario.emulator.setIndexLag(ADA, { kind: "held" });
    const hidden = scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    await scenario.runSchedule("mailboxReconciliation");
    scenario.emulator.revealAll();
    const { update } = scenario.users;
    let failures = 1;
    scenario.users.update = (user, patch, changes) => {
      const isEnd = patch.historyId !== undefined;
      if (!isEnd || failures-- <= 0) return update(user, patch, changes);
      return Promise.reject(new Error("the instance died before the cursor was written"));
    };
    await recover();
    expect(failures).toBeLessThan(1);
    expect(added()).toEqual([late.messageId, hidden.messageId]);
    const ids = scenario.topic.published
      .filter(({ json }) => json["messageId"] === hidden.messageId)
      .map(({ attributes }) => attributes["ce-id"]);
    expect(ids.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(1);
  });

  it("P1: publishes a message that a lagging server omits when it should be published", async () => {
    await start({ SYNC_PAGES_MAX: "1" });
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.stored(ADA).sync.recovery?.isWalked).toBe(true);
    scenario.emulator.setReplicaBehind(ADA, 8 * HOUR_MS);
    await scenario.runSchedule("mailboxReconciliation");
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.stored(ADA).sync.recovery?.isTold).toBe(true);
    scenario.emulator.setReplicaBehind(ADA, 0);
    await recover();
    expect(added()).toEqual([messageId]);
  });

  it("makes no call for notifications while the second pass waits", async () => {
    await start();
    scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.stored(ADA).sync.recovery?.isTold).toBe(true);
    scenario.emulator.resetCalls();
    scenario.emulator.loseNotifications(0);
    const during = scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.emulator.calls).toEqual([]);
    await recover();
    expect(added()).toContain(during.messageId);
  });

  it("P1: reaches back to the first connection if no listing ever completed, under any grant", async () => {
    scenario = await startScenario();
    scenario.emulator.createAccount({ email: ADA });
    scenario.topic.failure = new PublishFailure("misconfigured", "permission_denied");
    const listing = scenario.emulator.faults.hold("history.list");
    const connecting = scenario.connect(ADA, { exists: true });
    await listing.arrived;
    const sent = [scenario.emulator.deliver(ADA).messageId];
    listing.release();
    await connecting;
    for (let day = 0; day < 8; day++) {
      scenario.clock.advance(DAY_MS);
      sent.push(scenario.emulator.deliver(ADA).messageId);
      await scenario.settled();
    }
    scenario.emulator.changePassword(ADA);
    scenario.clock.advance(2 * HOUR_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    scenario.emulator.expireHistory(ADA);
    scenario.emulator.settings.messagePageMax = 3;
    scenario.topic.failure = undefined;
    await scenario.connect(ADA, { exists: true });
    await recover();
    expect(new Set(added())).toEqual(new Set(sent));
  });

  it("publishes nothing from before the mailbox was connected", async () => {
    scenario = await startScenario();
    const { emulator } = scenario;
    emulator.createAccount({ email: ADA });
    for (let nth = 0; nth < 25; nth++) {
      emulator.deliver(ADA, { internalDate: ago((25 - nth) * MINUTE_MS) });
    }
    await scenario.connect(ADA, { exists: true });
    emulator.loseNotifications();
    const sent = Array.from({ length: 5 }, () => emulator.deliver(ADA).messageId);
    emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await recover();
    expect(added()).toEqual(sent);
  });

  it.each([
    ["on one small page", { older: 25, messagePageMax: 100, among: 15 }],
    ["three small pages further", { older: 25, messagePageMax: 3, among: 15 }],
    ["on a page where not every date is requested", { older: 90, messagePageMax: 100, among: 15 }],
    [
      "among more mail than may be dated in a minute",
      { older: 450, messagePageMax: 500, among: 300 },
    ],
  ])("P1: finds new mail listed far after mail from before the connection, %s", async (_, at) => {
    scenario = await startScenario();
    const { emulator } = scenario;
    emulator.createAccount({ email: ADA });
    for (let nth = 0; nth < at.older; nth++) {
      emulator.deliver(ADA, { internalDate: ago((at.older - nth) * MINUTE_MS) });
    }
    await scenario.connect(ADA, { exists: true });
    emulator.loseNotifications();
    emulator.settings.messagePageMax = at.messagePageMax;
    const sent = [40, 20].map(
      (seconds) =>
        emulator.deliver(ADA, { listedAt: ago(at.among * MINUTE_MS - seconds * 1_000) }).messageId,
    );
    emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await recover();
    expect(new Set(added())).toEqual(new Set(sent));
  });

  it("publishes what came just after a connection through an instance whose clock is ahead", async () => {
    scenario = await startScenario();
    const { emulator } = scenario;
    emulator.createAccount({ email: ADA });
    const { browser, back } = await begin(scenario, ADA);
    const ahead = startSecondInstance(scenario, { clockOffsetMs: 9 * MINUTE_MS });
    const callback = new Request(back, { headers: { cookie: cookieHeader(browser) } });
    await ahead.connect(
      callback,
      createLog(() => {}),
      "127.0.0.1",
    );
    emulator.loseNotifications();
    const { messageId } = emulator.deliver(ADA);
    emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await recover();
    expect(added()).toEqual([messageId]);
  });

  it("keeps the time of the first connection through another authorization", async () => {
    await start();
    const first = scenario.stored(ADA).connectedAt;
    scenario.clock.advance(DAY_MS);
    await scenario.connect(ADA, { exists: true });
    expect(scenario.stored(ADA)).toMatchObject({ connectedAt: first, grant: { generation: 2 } });
  });

  it.each([
    ["page tokens that live for an hour", { pageTokenMs: 60 * MINUTE_MS }],
    ["page tokens of four kilobytes", { pageTokenCharactersMin: 4_000 }],
  ])(
    "P11: ends with %s, and tells each page about once",
    async (_, settings) => {
      await start({ SYNC_PAGES_MAX: "1" });
      const pages = 90;
      Object.assign(scenario.emulator.settings, { messagePageMax: 2, ...settings });
      const sent: string[] = [];
      for (let nth = 0; nth < 2 * pages; nth++) sent.push(scenario.emulator.deliver(ADA).messageId);
      scenario.emulator.expireHistory(ADA);
      scenario.clock.advance(7 * HOUR_MS);
      const { update } = scenario.users;
      let bytesMax = 0;
      scenario.users.update = (user, patch, changes) => {
        bytesMax = Math.max(bytesMax, JSON.stringify(patch).length);
        return update(user, patch, changes);
      };
      await recover(1_500);
      expect(added()).toEqual(sent);
      expect(scenario.topic.published.length).toBeLessThan(1.5 * sent.length);
      expect(bytesMax).toBeLessThan(250_000);
      expect(gaps()).toHaveLength(1);
    },
    120_000,
  );

  it("P11: leaves out a watched label that the mailbox does not have", async () => {
    await start({ WATCH_LABEL_IDS: "INBOX,Label_9" });
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await recover();
    expect(added()).toEqual([messageId]);
    expect(scenario.logged("label_left_out").map(({ labelId }) => labelId)).toContain("Label_9");
    scenario.emulator.loseNotifications(0);
    const next = scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(added()).toEqual([messageId, next.messageId]);
  });

  it("P11: leaves out a watched label whose list is rejected again and again", async () => {
    await start({ WATCH_LABEL_IDS: "STARRED,INBOX" });
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    scenario.emulator.faults.failNext({
      method: "messages.list",
      count: 4,
      preset: "invalidArgument",
    });
    await recover();
    expect(added()).toEqual([messageId]);
    expect(scenario.logged("label_left_out")).toMatchObject([{ labelId: "STARRED" }]);
  });

  it.each(["backendError", "callerForbidden"] as const)(
    "P11: goes on when nothing of one message can ever be read: %s",
    async (preset) => {
      await start();
      const { messageId } = scenario.emulator.deliver(ADA);
      scenario.emulator.expireHistory(ADA);
      scenario.clock.advance(7 * HOUR_MS);
      scenario.emulator.faults.failNext({ method: "messages.get", count: "all", preset });
      await recover(120);
      expect(added()).toEqual([messageId]);
    },
  );

  it("keeps what the history has stored about a message in the Firestore sink", async () => {
    await start({ CHANGES_SINK: "firestore" });
    scenario.emulator.loseNotifications(0);
    const { messageId } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.emulator.loseNotifications();
    const { id } = scenario.stored(ADA);
    const kept = () => scenario.users.dump().changes[id] ?? [];
    const before = kept().find(({ data }) => data["messageId"] === messageId);
    scenario.clock.advance(10 * MINUTE_MS);
    const missed = scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await recover();
    expect(before?.data["labelIds"]).toContain("INBOX");
    expect(kept().find(({ data }) => data["messageId"] === messageId)).toEqual(before);
    expect(kept().map(({ data }) => data["messageId"])).toContain(missed.messageId);
    expect(kept().map(({ type }) => type)).toContain("mailbox.gap");
  });
});

describe("a watched label that a mailbox does not have", () => {
  it("leaves no mailbox without a watch", async () => {
    scenario = await startScenario({ env: { WATCH_LABEL_IDS: "INBOX,Label_9" } });
    await scenario.connect(ADA);
    expect(scenario.stored(ADA).watch.expiresAt).toBeDefined();
    const { messageId } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(added()).toEqual([messageId]);
    scenario.emulator.send(ADA, {});
    scenario.clock.advance(24 * HOUR_MS);
    await scenario.runSchedule("watchRenewal");
    expect(scenario.stored(ADA).watch).toMatchObject({ failures: 0 });
    expect(added()).toEqual([messageId]);
  });
});

describe("a cursor that Gmail rejects with 400 instead of 404", () => {
  const REFUSED = { method: "history.list", preset: "invalidArgument" } as const;
  beforeEach(async () => {
    scenario = await startScenario();
    await scenario.connect(ADA);
    scenario.emulator.loseNotifications();
  });

  it("P1: has expired when the rejections last for minutes", async () => {
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.emulator.faults.failNext({ ...REFUSED, count: "all" });
    scenario.clock.advance(7 * HOUR_MS);
    await reconcileFor(20 * MINUTE_MS);
    expect(gaps()).toHaveLength(1);
    expect(added()).toEqual([messageId]);
    scenario.emulator.faults.clear();
    await reconcileFor(2 * HOUR_MS);
    const next = scenario.emulator.deliver(ADA);
    await reconcileFor(7 * HOUR_MS);
    expect(added()).toEqual([messageId, next.messageId]);
    expect(gaps()).toHaveLength(1);
    expect(scenario.stored(ADA).sync).not.toHaveProperty("cursorRefusals");
  });

  it("P12: costs less and less while that lasts for days", async () => {
    scenario.emulator.faults.failNext({ ...REFUSED, count: "all" });
    scenario.clock.advance(7 * HOUR_MS);
    scenario.emulator.resetCalls();
    await reconcileFor(12 * HOUR_MS);
    expect(scenario.emulator.calls.length).toBeLessThan(120);
    expect(gaps()).toEqual([]);
  });

  it("has not expired when the rejections are stray ones, each between other failures", async () => {
    const kept = scenario.emulator.deliver(ADA);
    scenario.emulator.star(ADA, kept.messageId);
    scenario.clock.advance(7 * HOUR_MS);
    for (let stray = 0; stray < 4; stray++) {
      scenario.emulator.faults.clear();
      scenario.emulator.faults.failNext({ ...REFUSED, count: 1 });
      scenario.emulator.faults.failNext({ ...REFUSED, preset: "backendError", count: "all" });
      await reconcileFor(5 * MINUTE_MS);
      expect(gaps()).toEqual([]);
    }
    scenario.emulator.faults.clear();
    await reconcileFor(HOUR_MS);
    expect(gaps()).toEqual([]);
    expect(ofType("mailbox.labels.added")).toHaveLength(1);
  });

  it("has not expired after a few rejections within a minute", async () => {
    const kept = scenario.emulator.deliver(ADA);
    scenario.emulator.star(ADA, kept.messageId);
    scenario.emulator.faults.failNext({ ...REFUSED, count: 3 });
    scenario.clock.advance(7 * HOUR_MS);
    for (let run = 0; run < 4; run++) {
      await scenario.runSchedule("mailboxReconciliation");
      scenario.clock.advance(MINUTE_MS / 2);
    }
    scenario.emulator.faults.clear();
    await reconcileFor(HOUR_MS);
    expect(gaps()).toEqual([]);
    expect(ofType("mailbox.labels.added")).toHaveLength(1);
  });
});
