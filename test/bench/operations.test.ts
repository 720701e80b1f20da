import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const HOUR_MS = 3_600_000;
const NOTHING = { reads: 0, writes: 0, gmail: 0, tokens: 0, events: 0 };

/** What each case costs: documents as Firestore bills them, calls as Google counts them. */
describe("the operations of", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario();
    await scenario.connect(ADA);
  });
  afterEach(() => scenario.close());

  async function costOf(act: () => unknown): Promise<typeof NOTHING> {
    const { users, emulator, topic } = scenario;
    await scenario.settled();
    const { reads, writes } = users.operations;
    const events = topic.published.length;
    emulator.resetCalls();
    await act();
    await scenario.settled();
    return {
      reads: users.operations.reads - reads,
      writes: users.operations.writes - writes,
      gmail: emulator.countCalls("gmail"),
      tokens: emulator.countCalls("token"),
      events: topic.published.length - events,
    };
  }

  it("a productive notification: one read, one write, one listing", async () => {
    const cost = await costOf(() => scenario.emulator.deliver(ADA));
    expect(cost).toEqual({ ...NOTHING, reads: 1, writes: 1, gmail: 1, events: 1 });
    expect(scenario.emulator.countCalls("history.list")).toBe(1);
  });

  it("one with an expired access token: also a refresh, and no extra write", async () => {
    scenario.clock.advance(2 * HOUR_MS);
    const cost = await costOf(() => scenario.emulator.deliver(ADA));
    expect(cost).toEqual({ ...NOTHING, reads: 1, writes: 1, gmail: 1, tokens: 1, events: 1 });
  });

  it("a repeated notification: one read", async () => {
    scenario.emulator.redeliverNext(1);
    const cost = await costOf(() => scenario.emulator.deliver(ADA));
    expect(cost).toEqual({ ...NOTHING, reads: 2, writes: 1, gmail: 1, events: 1 });
  });

  it("a page of known records: nothing", async () => {
    const { emulator } = scenario;
    emulator.setPush({ kind: "none" });
    for (let count = 0; count < 600; count++) emulator.deliver(ADA);
    emulator.setPush({ kind: "push", url: scenario.urls.gmailNotification });
    await costOf(() => emulator.deliver(ADA));
    // 500 of them are not settled, and a page holds no more: what is new is on the next.
    const cost = await costOf(() => emulator.deliver(ADA));
    expect(cost).toEqual({ ...NOTHING, reads: 1, writes: 1, gmail: 2, events: 1 });
  });

  it("the re-check of a notification ahead of its records: one read, one write, one listing", async () => {
    scenario.emulator.settings.notificationIdAhead = "past_head";
    const cost = await costOf(() => scenario.emulator.deliver(ADA));
    expect(cost).toEqual({ ...NOTHING, reads: 1, writes: 1, gmail: 1, events: 1 });
    expect(scenario.stored(ADA).sync.dueReason).toBe("lag");
    scenario.clock.advance(61_000);
    const recheck = await costOf(() => scenario.runSchedule("mailboxReconciliation"));
    // No mailbox is incomplete and nothing else is owed: Firestore bills each empty list as a read.
    expect(recheck).toEqual({ ...NOTHING, reads: 3, writes: 1, gmail: 1 });
  });

  it("a renewal: one read, one write, one watch, one profile", async () => {
    scenario.emulator.setPush({ kind: "none" });
    scenario.clock.advance(25 * HOUR_MS);
    const cost = await costOf(() => scenario.runSchedule("watchRenewal"));
    expect(cost).toEqual({ ...NOTHING, reads: 1, writes: 1, gmail: 2, tokens: 1 });
    expect(scenario.emulator.countCalls("users.watch")).toBe(1);
    expect(scenario.emulator.countCalls("users.getProfile")).toBe(1);
  });

  it("a flagged user: one read for each notification that still arrives, and nothing else", async () => {
    scenario.emulator.changePassword(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");

    const cost = await costOf(() => scenario.emulator.deliver(ADA));
    expect(cost).toEqual({ ...NOTHING, reads: 1 });
    scenario.clock.advance(25 * HOUR_MS);
    const schedules = await costOf(async () => {
      await scenario.runSchedule("watchRenewal");
      await scenario.runSchedule("mailboxReconciliation");
    });
    expect({ gmail: schedules.gmail, tokens: schedules.tokens }).toEqual({ gmail: 0, tokens: 0 });
  });
});
