import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let scenario: Scenario;
afterEach(() => scenario.close());

const ofType = (type: string) =>
  scenario.events(ADA).filter(({ attributes }) => attributes["ce-type"] === type);
const added = () => ofType("mailbox.message.added").map(({ json }) => json["messageId"]);
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
      expect(scenario.emulator.countCalls("users.getProfile", ADA)).toBe(0);
    },
  );

  it("backs off when the history and the head contradict each other all the time", async () => {
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

describe("a history of which Gmail refuses the head itself", () => {
  beforeEach(async () => {
    scenario = await startScenario();
    await scenario.connect(ADA);
    for (let mail = 0; mail < 10; mail++) scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.emulator.faults.failNext({ method: "history.list", count: "all", preset: "notFound" });
  });

  it("P12: costs ever fewer calls, and one gap for each head", async () => {
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

  it("P1: delivers the next mail once Gmail lists history again, and starts the next series short", async () => {
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

  it("P1: tells mail that comes while the head is refused, each head's gap once", async () => {
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
