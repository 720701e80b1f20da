import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

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
