import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * Ways in which receivers of Gmail's pushes are known to lose mail, each set up as it happened.
 * What is looked at is the same every time: did the subscriber get everything, or a gap's bounds?
 */
describe("losses known from other receivers", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario();
    await scenario.connect(ADA);
    scenario.emulator.resetCalls();
  });
  afterEach(() => scenario.close());

  const ofType = (type: string) => scenario.events(ADA, type);
  const added = () => scenario.added(ADA);
  const deliver = (count: number) =>
    Array.from({ length: count }, () => scenario.emulator.deliver(ADA).messageId);

  it("G1: an expired cursor is not silently set to the notified id", async () => {
    const from = scenario.stored(ADA).historyId;
    scenario.emulator.loseNotifications();
    const missed = deliver(3);
    scenario.emulator.expireHistory(ADA);
    const head = scenario.emulator.account(ADA).historyId;
    scenario.emulator.loseNotifications(0);
    const [last] = deliver(1);
    await scenario.settled();
    expect(
      ofType("mailbox.gap").map(({ json }) => [json["fromHistoryId"], json["toHistoryId"]]),
    ).toEqual([[from, expect.any(String)]]);
    expect(BigInt(String(ofType("mailbox.gap")[0]?.json["toHistoryId"]))).toBeGreaterThanOrEqual(
      BigInt(head),
    );
    expect(new Set(added())).toEqual(new Set([...missed, last]));
  });

  it("G2: a record that cannot be handled is neither skipped nor blocks the mailbox", async () => {
    scenario.emulator.loseNotifications();
    const [before] = deliver(1);
    const { historyId: id } = scenario.emulator.appendRawRecord(ADA, { labelsAdded: "poison" });
    const [after] = deliver(1);
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(added()).toEqual([before, after]);
    expect(ofType("mailbox.gap").map(({ json }) => json["toHistoryId"])).toEqual([id]);
    expect(scenario.stored(ADA).sync.dueReason).toBe("quiet");
  });

  it("G3: neither an error nor a throttled mailbox is acknowledged and forgotten", async () => {
    for (const preset of ["backendError", "tooManyConcurrent", "userRateLimitExceeded"] as const) {
      scenario.emulator.faults.failNext({ method: "history.list", count: 3, preset });
      const [messageId] = deliver(1);
      await scenario.settled();
      scenario.emulator.faults.clear();
      await scenario.reconcileAfter(2 * HOUR_MS);
      expect(added()).toContain(messageId);
    }
  });

  it("G3, G10: a backlog of 3 500 changes is read to the last page", async () => {
    scenario.emulator.loseNotifications();
    const missed = deliver(3_500);
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(added()).toEqual(missed);
    expect(scenario.emulator.countCalls("history.list", ADA)).toBe(7);
  });

  it("G4: a page with a token and without history is not the end", async () => {
    scenario.emulator.settings.emptyHistoryPages = 2;
    const sent = deliver(2);
    await scenario.settled();
    expect(added()).toEqual(sent);
  });

  it("G5: a head that goes backwards is a gap, not a loop", async () => {
    deliver(1);
    for (let round = 0; round < 3; round++) await scenario.reconcileAfter(7 * HOUR_MS);
    const cursor = BigInt(scenario.stored(ADA).historyId);
    scenario.emulator.rewindHead(ADA, String(cursor - 1_000n));
    scenario.emulator.resetCalls();
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(ofType("mailbox.gap")).toHaveLength(1);
    expect(scenario.emulator.calls.length).toBeLessThan(20);
    const [messageId] = deliver(1);
    await scenario.settled();
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(added()).toContain(messageId);
  });

  it("G6: an empty list right after a notification does not mean that nothing changed", async () => {
    scenario.emulator.setIndexLag(ADA, { kind: "delayed", ms: 3_000 });
    const sent = deliver(1);
    await scenario.settled();
    expect(added()).toEqual(sent);
  });

  it("G7: every kind of change in a record counts, and an id above 2^53 loses no digit", async () => {
    const [messageId = ""] = deliver(1);
    await scenario.settled();
    scenario.emulator.trash(ADA, messageId);
    await scenario.settled();
    expect(ofType("mailbox.labels.added")).toHaveLength(1);
    expect(ofType("mailbox.labels.removed")).toHaveLength(1);
    const ids = scenario.emulator.account(ADA).history.map(({ id }) => id);
    expect(ids.every((id) => BigInt(id) > 2n ** 53n)).toBe(true);
    expect(ids).toContain(ofType("mailbox.labels.added")[0]?.json["historyId"]);
  });

  it("G8: a message that cannot be fetched blocks nothing", async () => {
    scenario.emulator.loseNotifications();
    const missed = deliver(3);
    scenario.emulator.expireHistory(ADA);
    scenario.emulator.faults.failNext({ method: "messages.get", count: 1, preset: "notFound" });
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(added()).toEqual(missed);
  });

  it("G9: a second watch on another topic does not fail for ever", async () => {
    await scenario.close();
    // The same project and account were first watched by another deployment.
    scenario = await startScenario();
    await scenario.connect(ADA);
    scenario.emulator.faults.failNext({
      method: "users.watch",
      count: 1,
      preset: "otherPushClientActive",
    });
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("watchRenewal");
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("watchRenewal");
    expect(scenario.stored(ADA).watch.failures).toBe(0);
    expect(scenario.emulator.countCalls("users.stop", ADA)).toBe(1);
    const sent = deliver(1);
    await scenario.settled();
    expect(added()).toEqual(sent);
  });

  it("G10: neither a renewal nor a re-authorization restarts at the present", async () => {
    scenario.emulator.loseNotifications();
    const missed = deliver(2);
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("watchRenewal");
    expect(added()).toEqual(missed);

    scenario.emulator.changePassword(ADA);
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("watchRenewal");
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    const more = deliver(3);
    await scenario.connect(ADA, { exists: true });
    expect(added()).toEqual([...missed, ...more]);
  });
});
