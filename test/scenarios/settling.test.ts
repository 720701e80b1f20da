import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { notificationData } from "../gmail-emulator/notifications.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { startSecondInstance } from "../support/second-instance.ts";

const ADA = "ada@example.com";
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

let scenario: Scenario;
afterEach(() => scenario.close());

async function start(env: Record<string, string> = {}): Promise<void> {
  scenario = await startScenario({ env });
  await scenario.connect(ADA);
}

const added = () =>
  scenario
    .events(ADA)
    .filter(({ attributes }) => attributes["ce-type"] === "mailbox.message.added")
    .map(({ json }) => json["messageId"]);

/** What Eventarc hands over when Gmail notifies of this id now. */
const notification = (historyId: string) => ({
  data: {
    message: {
      data: notificationData({ emailAddress: ADA, historyId }, "string"),
      messageId: "1",
      publishTime: scenario.clock.now().toISOString(),
    },
  },
});

/** A mail that can be read only so much later than those that follow it. */
function deliverLate(ms: number) {
  scenario.emulator.setIndexLag(ADA, { kind: "delayed", ms });
  const late = scenario.emulator.deliver(ADA);
  scenario.emulator.setIndexLag(ADA, { kind: "none" });
  return late;
}

async function reconcileAfter(ms: number): Promise<void> {
  scenario.clock.advance(ms);
  await scenario.runSchedule("mailboxReconciliation");
}

describe("a position settles by the store's time", () => {
  beforeEach(() => start());

  it.each([-10, -3, 3, 10])(
    "loses no late record where one instance's clock is %i minutes off",
    async (minutes) => {
      const off = startSecondInstance(scenario, { clockOffsetMs: minutes * MINUTE_MS });
      const right = startSecondInstance(scenario, {});
      scenario.emulator.loseNotifications();
      const late = deliverLate(20 * SECOND_MS);
      // The first listing is by one clock, the one that could settle it by the other.
      const [first, second] = minutes < 0 ? [off, right] : [right, off];
      await first.gmailNotification(notification(scenario.emulator.deliver(ADA).historyId));
      scenario.clock.advance(SECOND_MS);
      await second.gmailNotification(notification(scenario.emulator.deliver(ADA).historyId));
      scenario.clock.advance(30 * SECOND_MS);
      await right.gmailNotification(notification(scenario.emulator.deliver(ADA).historyId));
      expect(added()).toContain(late.messageId);
    },
  );

  it("says how complete the stream is by the store's time too", async () => {
    const off = startSecondInstance(scenario, { clockOffsetMs: 10 * MINUTE_MS });
    scenario.emulator.loseNotifications();
    await off.gmailNotification(notification(scenario.emulator.deliver(ADA).historyId));
    const { syncedAt, notifiedAt } = scenario.stored(ADA).sync;
    expect(syncedAt?.getTime()).toBeLessThanOrEqual(scenario.clock.now().getTime());
    expect(notifiedAt).toEqual(syncedAt);
    await reconcileAfter(7 * HOUR_MS);
    expect(scenario.stored(ADA).sync.dueReason).toBe("quiet");
  });
});
