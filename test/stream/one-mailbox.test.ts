import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Preset } from "../gmail-emulator/presets.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

/** What one mailbox that fails means for the others, for its subscribers and for the operator. */

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

let scenario: Scenario;

beforeEach(async () => {
  scenario = await startScenario();
  await scenario.connect(ADA);
  await scenario.connect(BOB);
});
afterEach(() => scenario.close());

/** Time passes; both schedules run this often, and so that access tokens are fresh throughout. */
async function pass(ms: number, everyMs: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += everyMs) {
    scenario.clock.advance(everyMs);
    await scenario.runSchedule("mailboxReconciliation");
    await scenario.runSchedule("watchRenewal");
    await scenario.settled();
  }
}

function fail(method: string, preset: Preset, account?: string): void {
  scenario.emulator.faults.failNext({
    method,
    preset,
    count: "all",
    ...(account !== undefined && { account }),
  });
}

const types = (email: string) =>
  scenario.events(email).map(({ attributes }) => attributes["ce-type"]?.replace("mailbox.", ""));
const eventOf = (email: string, type: string) => scenario.events(email, `mailbox.${type}`)[0];
const added = (email: string) => scenario.added(email);

describe("a mailbox that Google rejects", () => {
  it.each([
    ["history.list", "accessNotConfigured"],
    ["history.list", "callerForbidden"],
    ["token.refresh", "unauthorizedClient"],
  ] as const)("delays no other mailbox when %s answers %s", async (method, preset) => {
    scenario.clock.advance(2 * HOUR_MS);
    fail(method, preset, ADA);
    for (let mail = 0; mail < 8; mail++) {
      scenario.emulator.deliver(ADA);
      await scenario.settled();
    }
    const { messageId } = scenario.emulator.deliver(BOB);
    await scenario.settled();
    expect(added(BOB)).toEqual([messageId]);
    expect(scenario.logged("circuit_open")).toEqual([]);
  });

  it.each(["callerForbidden", "preconditionFailed", "backendError"] as const)(
    "is told of after half an hour and ends after a day when Gmail answers %s",
    async (preset) => {
      fail("gmail", preset, ADA);
      scenario.emulator.deliver(ADA);
      await scenario.settled();
      await pass(25 * MINUTE_MS, 5 * MINUTE_MS);
      expect(types(ADA)).toEqual(["connected"]);
      await pass(15 * MINUTE_MS, 5 * MINUTE_MS);
      expect(types(ADA)).toEqual(["connected", "delayed"]);
      expect(scenario.logged("mailbox_delayed")).toMatchObject([{ severity: "CRITICAL" }]);

      await pass(2 * DAY_MS, HOUR_MS);
      expect(types(ADA)).toEqual(["connected", "delayed", "unavailable"]);
      expect(scenario.logged("mailbox_delayed")).toHaveLength(1);
      const { status, grant, sync } = scenario.stored(ADA);
      expect(status).toBe("mailbox_unavailable");
      expect(grant.refreshToken).toBeDefined();
      expect(sync).not.toHaveProperty("failure");
      expect(sync).not.toHaveProperty("behindSince");
      expect(scenario.stored(BOB).status).toBe("active");
    },
  );

  it("is called less and less often, also while mail arrives", async () => {
    fail("gmail", "callerForbidden", ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await pass(2 * HOUR_MS, MINUTE_MS);
    scenario.emulator.resetCalls();
    for (let minute = 0; minute < 4 * 60; minute++) {
      scenario.emulator.deliver(ADA);
      await scenario.settled();
      await pass(MINUTE_MS, MINUTE_MS);
    }
    expect(scenario.emulator.countCalls("history.list", ADA)).toBeLessThan(4 * 8);
    const refused = scenario
      .logged("call_failed")
      .filter(({ reason }) => reason === "forbidden").length;
    expect(refused).toBeLessThan(60);
  });

  it("continues where it stopped, and publishes that, once Gmail answers again", async () => {
    fail("gmail", "callerForbidden", ADA);
    const sent = [scenario.emulator.deliver(ADA).messageId];
    await scenario.settled();
    await pass(2 * HOUR_MS, 10 * MINUTE_MS);
    sent.push(scenario.emulator.deliver(ADA).messageId);
    await scenario.settled();
    scenario.emulator.faults.clear();
    await pass(HOUR_MS, 5 * MINUTE_MS);
    expect(added(ADA)).toEqual(sent);
    expect(types(ADA)).toEqual([
      "connected",
      "delayed",
      "message.added",
      "message.added",
      "caught_up",
    ]);
    const { id, sync } = scenario.stored(ADA);
    expect(sync).not.toHaveProperty("failure");
    expect(sync).not.toHaveProperty("behindSince");
    expect(sync).not.toHaveProperty("delayedAt");
    const delayed = eventOf(ADA, "delayed");
    const since = Date.parse(String(delayed?.json["since"]));
    expect(delayed?.attributes["ce-id"]).toBe(`${id}/delayed/${since}`);
    expect(delayed?.json["reason"]).toBe("forbidden");
    const caughtUp = eventOf(ADA, "caught_up");
    expect(caughtUp?.attributes["ce-id"]).toBe(`${id}/caught_up/${since}`);
    expect(caughtUp?.json["lagSeconds"]).toBeGreaterThan(2 * 3_600);
  });

  it("publishes that it caught up although the record of the delay was lost", async () => {
    const update = scenario.users.update.bind(scenario.users);
    scenario.users.update = (user, patch, ...more) =>
      patch.sync?.delayedAt === undefined
        ? update(user, patch, ...more)
        : Promise.reject(Object.assign(new Error("the store is away"), { code: 14 }));
    fail("gmail", "callerForbidden", ADA);
    const { messageId } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    for (let minute = 0; minute < 40 && eventOf(ADA, "delayed") === undefined; minute++) {
      await pass(MINUTE_MS, MINUTE_MS);
    }
    scenario.emulator.faults.clear();
    // A turn that threw is tried again within an hour.
    await pass(HOUR_MS, MINUTE_MS);
    expect(scenario.stored(ADA).sync).not.toHaveProperty("behindSince");
    expect(added(ADA)).toEqual([messageId]);
    const since = eventOf(ADA, "delayed")?.json["since"];
    expect(since).toBeDefined();
    expect(types(ADA).at(-1)).toBe("caught_up");
    expect(eventOf(ADA, "caught_up")?.json["since"]).toBe(since);
  });

  it("publishes no delay when it catches up early enough", async () => {
    fail("gmail", "callerForbidden", ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await pass(10 * MINUTE_MS, MINUTE_MS);
    scenario.emulator.faults.clear();
    await pass(15 * MINUTE_MS, MINUTE_MS);
    expect(scenario.stored(ADA).sync).not.toHaveProperty("behindSince");
    expect(types(ADA)).toEqual(["connected", "message.added"]);
  });

  it("comes back once a probe finds its history readable, and not before", async () => {
    fail("history.list", "callerForbidden", ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await pass(4 * DAY_MS, HOUR_MS);
    expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");
    expect(types(ADA).filter((type) => type === "unavailable")).toHaveLength(1);
    scenario.emulator.faults.clear();
    await pass(2 * DAY_MS, HOUR_MS);
    expect(scenario.stored(ADA).status).toBe("active");
    expect(added(ADA)).toHaveLength(1);
  });

  it.each(["callerForbidden", "backendError"] as const)(
    "does not come back while its expired history cannot be recovered: messages.list answers %s",
    async (preset) => {
      scenario.emulator.loseNotifications();
      const { messageId } = scenario.emulator.deliver(ADA);
      scenario.emulator.expireHistory(ADA);
      fail("messages.list", preset, ADA);
      await pass(6 * DAY_MS, 2 * HOUR_MS);
      expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");
      expect(types(ADA)).toEqual(["connected", "gap", "delayed", "unavailable"]);
      scenario.emulator.faults.clear();
      await pass(2 * DAY_MS, 2 * HOUR_MS);
      expect(scenario.stored(ADA).status).toBe("active");
      expect(added(ADA)).toEqual([messageId]);
    },
  );

  it("is probed without an alert, however many of them are unavailable", async () => {
    const refused = [ADA, "cyd@example.com", "dan@example.com", "eve@example.com"];
    const healthy = ["fay@example.com", "gil@example.com", "hal@example.com", "ida@example.com"];
    for (const email of [...refused.slice(1), ...healthy]) await scenario.connect(email);
    for (const email of refused) {
      fail("gmail", "callerForbidden", email);
      scenario.emulator.deliver(email);
    }
    await scenario.settled();
    await pass(4 * DAY_MS, 2 * HOUR_MS);
    for (const email of refused) expect(scenario.stored(email).status).toBe("mailbox_unavailable");
    const before = scenario.logged("circuit_open").length;
    scenario.emulator.resetCalls();
    await pass(3 * DAY_MS, 2 * HOUR_MS);
    expect(scenario.emulator.countCalls("users.getProfile", ADA)).toBeGreaterThan(1);
    expect(scenario.logged("circuit_open")).toHaveLength(before);
  });

  it("stays active while no other mailbox succeeds", async () => {
    fail("gmail", "backendError");
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await pass(4 * DAY_MS, 3 * HOUR_MS);
    expect(scenario.logged("user_flagged")).toEqual([]);
    expect(types(ADA)).toEqual(["connected", "delayed"]);
    scenario.emulator.faults.clear();
    await pass(3 * HOUR_MS, HOUR_MS);
    expect(types(ADA).at(-1)).toBe("caught_up");
  });

  it("becomes unavailable after three days if it is alone in its project", async () => {
    await scenario.close();
    scenario = await startScenario();
    await scenario.connect(ADA);
    fail("gmail", "callerForbidden", ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await pass(2 * DAY_MS, HOUR_MS);
    expect(scenario.stored(ADA).status).toBe("active");
    await pass(DAY_MS + 3 * HOUR_MS, HOUR_MS);
    expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");
  });
});

describe("a failure of the operator's configuration", () => {
  it.each([
    ["accessNotConfigured", "gmail"],
    ["invalidClient", "token.refresh"],
  ] as const)("flags no user in days of %s, and reports every mailbox", async (preset, method) => {
    fail(method, preset);
    for (const email of [ADA, BOB]) {
      scenario.emulator.expireAccessTokens(email);
      scenario.emulator.deliver(email);
    }
    await scenario.settled();
    await pass(4 * DAY_MS, 3 * HOUR_MS);
    expect(scenario.logged("user_flagged")).toEqual([]);
    for (const email of [ADA, BOB]) expect(types(email)).toEqual(["connected", "delayed"]);
  });

  it("flags no user even if no other mailbox is connected", async () => {
    await scenario.close();
    scenario = await startScenario();
    await scenario.connect(ADA);
    fail("gmail", "accessNotConfigured");
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await pass(4 * DAY_MS, 3 * HOUR_MS);
    expect(scenario.stored(ADA).status).toBe("active");
    expect(types(ADA)).toEqual(["connected", "delayed"]);
  });
});

describe("a rejection by the token endpoint", () => {
  it.each(["policyEnforced", "consentRequired", "userDisabled"] as const)(
    "that names no fault of ours ends the grant at once: %s",
    async (preset) => {
      scenario.emulator.expireAccessTokens(ADA);
      fail("token.refresh", preset, ADA);
      scenario.emulator.deliver(ADA);
      await scenario.settled();
      const { status, statusReason } = scenario.stored(ADA);
      expect(status).toBe("reauthorization_required");
      expect(statusReason.replaceAll("_", "")).toBe(preset.toLowerCase());
      expect(types(ADA)).toEqual(["connected", "reauthorization_required"]);
    },
  );

  it("of our client for one user raises no alert, and ends after a day", async () => {
    scenario.emulator.expireAccessTokens(ADA);
    fail("token.refresh", "unauthorizedClient", ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await pass(2 * DAY_MS, HOUR_MS);
    expect(scenario.logged("misconfigured")).toEqual([]);
    expect(scenario.stored(ADA)).toMatchObject({
      status: "mailbox_unavailable",
      statusReason: "unauthorized_client",
    });
  });
});

describe("a fresh access token that Gmail rejects", () => {
  it("ends no grant within seconds", async () => {
    scenario.emulator.faults.failNext({
      method: "history.list",
      count: 3,
      preset: "invalidCredentials",
    });
    const { messageId } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.stored(ADA)).toMatchObject({ status: "active" });
    await pass(5 * MINUTE_MS, MINUTE_MS);
    expect(added(ADA)).toEqual([messageId]);
  });

  it.each([
    ["invalidCredentials", ["reauthorization_required", "invalid_credentials"]],
    ["accountStateInvalid", ["mailbox_unavailable", "account_disabled"]],
  ] as const)("ends the connection once it has lasted an hour: %s", async (preset, ended) => {
    fail("gmail", preset, ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await pass(50 * MINUTE_MS, 5 * MINUTE_MS);
    expect(scenario.stored(ADA).status).toBe("active");
    await pass(40 * MINUTE_MS, 5 * MINUTE_MS);
    const { status, statusReason } = scenario.stored(ADA);
    expect([status, statusReason]).toEqual(ended);
  });

  it("ends no grant while it happens to every user", async () => {
    fail("gmail", "invalidCredentials");
    for (const email of [ADA, BOB]) scenario.emulator.deliver(email);
    await scenario.settled();
    await pass(12 * HOUR_MS, 30 * MINUTE_MS);
    expect(scenario.logged("user_flagged")).toEqual([]);
  });

  it.each(["accountStateInvalid", "mailServiceNotEnabled", "domainPolicy"] as const)(
    "or of the mailbox, given once amid good answers, ends nothing: %s",
    async (preset) => {
      scenario.emulator.faults.failNext({ method: "history.list", count: 1, preset });
      const { messageId } = scenario.emulator.deliver(ADA);
      await scenario.settled();
      expect(scenario.stored(ADA).status).toBe("active");
      expect(added(ADA)).toEqual([messageId]);
    },
  );
});
