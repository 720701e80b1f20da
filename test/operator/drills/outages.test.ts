import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runCommand } from "../operator-cli.ts";
import { type Scenario, startScenario } from "../../support/scenario.ts";

/**
 * Goal: what the runbook (`infra/docs/runbook.md`) says about an outage is what happens: no user is
 * flagged meanwhile, and once the named thing is fixed everything arrives by itself.
 */

const EMAILS = ["ada", "bob", "cyd"].map((name) => `${name}@example.com`);
const [ADA = ""] = EMAILS;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

let scenario: Scenario;
beforeEach(async () => {
  // Renewals that fail are tried again at one time for all, so that the circuit sees all of them.
  scenario = await startScenario({ random: () => 0.5 });
  for (const email of EMAILS) await scenario.connect(email);
});
afterEach(() => scenario.close());

const deliverToAll = () => EMAILS.map((email) => scenario.emulator.deliver(email).messageId);
const arrived = (email: string) =>
  scenario.events(email).flatMap(({ json }) => json["messageId"] ?? []);
const firstArrived = () => EMAILS.map((email) => arrived(email)[0]);
const statuses = () => new Set(scenario.users.dump().users.map(({ status }) => status));

/** Hours in which the schedules run, a few times each. */
async function pass(hours: number): Promise<void> {
  for (let quarter = 0; quarter < hours * 4; quarter++) {
    scenario.clock.advance(15 * MINUTE_MS);
    await scenario.runSchedule("watchRenewal");
    await scenario.runSchedule("mailboxReconciliation");
  }
}

describe("the Gmail topic", () => {
  it("deleted: mailboxes are read without it, and it works again once it is created again", async () => {
    const { topic } = scenario.config.gmail;
    scenario.emulator.removeTopic(topic);
    const missed = deliverToAll();
    await pass(26);
    expect(firstArrived()).toEqual(missed);
    expect(scenario.logged("push_missed").length).toBeGreaterThan(0);
    expect(scenario.logged("circuit_open")[0]).toMatchObject({
      call: "users.watch",
      reason: "notFound",
    });
    expect(statuses()).toEqual(new Set(["active"]));

    // Created again, but Gmail may not publish to it yet: the operator still has to fix that.
    scenario.emulator.setTopicPublishing(topic, "forbidden");
    await pass(2);
    expect(scenario.logged("circuit_open").at(-1)).toMatchObject({ reason: "forbidden" });
    scenario.emulator.setTopicPublishing(topic, "allowed");
    await pass(2);
    const now = scenario.clock.now().getTime();
    for (const { watch } of scenario.users.dump().users) {
      expect(watch.failures).toBe(0);
      expect(Number(watch.expiresAt)).toBeGreaterThan(now + 6 * DAY_MS);
    }
    const next = deliverToAll();
    await scenario.settled();
    expect(EMAILS.map((email) => arrived(email).at(-1))).toEqual(next);
  });
});

describe("the OAuth client", () => {
  it.each(["deleted", "disabled"] as const)(
    "%s: alerts, flags no user, and continues once it is restored",
    async (state) => {
      const { clientId } = scenario.config.oauth;
      scenario.emulator.setClientState(clientId, state);
      const missed = deliverToAll();
      await pass(12);
      expect(EMAILS.flatMap(arrived).length).toBeLessThanOrEqual(EMAILS.length);
      const reasons = scenario.logged("misconfigured").map(({ reason }) => reason);
      expect(new Set(reasons)).toEqual(new Set([`${state}_client`]));
      expect(scenario.logged("user_flagged")).toEqual([]);
      const late = deliverToAll();

      scenario.emulator.setClientState(clientId, "enabled");
      await pass(2);
      expect(EMAILS.map((email) => arrived(email))).toEqual(
        EMAILS.map((_, index) => [missed[index], late[index]]),
      );
      expect(statuses()).toEqual(new Set(["active"]));
    },
  );
});

describe("the region", () => {
  it("down for a day: nothing is lost, and everything arrives within minutes of the return", async () => {
    scenario.emulator.setPush({ kind: "none" });
    const missed: Record<string, string[]> = {};
    for (let hour = 0; hour < 24; hour++) {
      for (const email of EMAILS) {
        (missed[email] ??= []).push(scenario.emulator.deliver(email).messageId);
      }
      scenario.clock.advance(HOUR_MS);
    }
    scenario.emulator.setPush({ kind: "push", url: scenario.urls.gmailNotification });
    await scenario.runSchedule("mailboxReconciliation");
    await scenario.runSchedule("watchRenewal");
    for (const email of EMAILS) expect(arrived(email)).toEqual(missed[email]);
    expect(scenario.logged("history_gap")).toEqual([]);
  });

  it("down for longer than Gmail keeps history: a gap names the range, and the mail is recovered", async () => {
    scenario.emulator.setPush({ kind: "none" });
    const missed = deliverToAll();
    for (const email of EMAILS) scenario.emulator.expireHistory(email);
    scenario.clock.advance(9 * DAY_MS);
    scenario.emulator.setPush({ kind: "push", url: scenario.urls.gmailNotification });
    await pass(1);
    for (const [index, email] of EMAILS.entries()) {
      const types = scenario.events(email).map(({ attributes }) => attributes["ce-type"]);
      expect(types).toEqual(["mailbox.connected", "mailbox.gap", "mailbox.message.added"]);
      expect(arrived(email)).toEqual([missed[index]]);
      expect(Number(scenario.stored(email).watch.expiresAt)).toBeGreaterThan(
        Number(scenario.clock.now()),
      );
    }
    expect(scenario.logged("watch_lapsed").length).toBe(EMAILS.length);
  });
});

describe("the Gmail quota", () => {
  it("too small: mailboxes wait, no user is flagged, and everything is read once it is raised", async () => {
    scenario.emulator.settings.quota = { unitsPerUserMinute: 6_000, unitsPerProjectMinute: 2 };
    const delivered = deliverToAll();
    await scenario.settled();
    expect(EMAILS.flatMap(arrived)).toHaveLength(1);
    expect(scenario.logged("rate_limited").length).toBeGreaterThan(0);
    expect(statuses()).toEqual(new Set(["active"]));
    scenario.emulator.settings.quota = { unitsPerUserMinute: 6_000, unitsPerProjectMinute: 6_000 };
    scenario.clock.advance(2 * MINUTE_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(firstArrived()).toEqual(delivered);
  });
});

describe("one noisy mailbox", () => {
  it("delays no other mailbox, and is read in bounded runs", async () => {
    scenario.emulator.holdNotifications();
    const flood = Array.from({ length: 300 }, () => scenario.emulator.deliver(ADA).messageId);
    const others = EMAILS.slice(1).map((email) => scenario.emulator.deliver(email).messageId);
    scenario.emulator.resetCalls();
    scenario.emulator.releaseNotifications("in_order");
    await scenario.settled();
    expect(arrived(ADA)).toEqual(flood);
    expect(EMAILS.slice(1).map((email) => arrived(email)[0])).toEqual(others);
    // All of them tell of one and the same history: it is read a few times, not three hundred.
    expect(scenario.emulator.countCalls("history.list", ADA)).toBeLessThan(50);
  });
});

describe("one mailbox that is stuck", () => {
  const operate = (...args: string[]) => runCommand((log) => scenario.operator({ log }), args);

  it("is listed as overdue, and one command brings it up to date", async () => {
    scenario.emulator.loseNotifications();
    const { messageId } = scenario.emulator.deliver(ADA);
    expect((await operate("--json", "list", "--overdue")).lines).toEqual([]);
    // The schedules do not run.
    scenario.clock.advance(7 * HOUR_MS);
    const overdue = (await operate("--json", "list", "--overdue")).lines;
    expect(overdue).toHaveLength(EMAILS.length);
    expect((await operate("show", ADA)).code).toBe(0);
    expect((await operate("sync", ADA)).code).toBe(0);
    expect(arrived(ADA)).toEqual([messageId]);
    expect((await operate("renew", ADA)).code).toBe(0);
    expect(scenario.stored(ADA).watch.failures).toBe(0);
  });
});
