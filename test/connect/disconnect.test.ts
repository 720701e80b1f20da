import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EN } from "../../functions/src/texts/en.ts";
import { type Browser } from "../support/browser.ts";
import { csrfOf } from "../support/flow.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

describe("disconnecting", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario();
  });
  afterEach(() => scenario.close());

  it("stops the watch, revokes at Google, removes the tokens and publishes it", async () => {
    const { browser, page } = await scenario.connect(ADA);
    const response = await browser.post(`${scenario.publicUrl}/disconnect`, { csrf: csrfOf(page) });
    expect(response.status).toBe(200);
    const user = scenario.stored(ADA);
    expect(user).toMatchObject({ status: "disconnected", statusReason: "user_request" });
    expect(user.grant).not.toHaveProperty("refreshToken");
    // Nothing is owed but a look whether the user is to be forgotten, once a week.
    const { dueAt } = user.followUp;
    expect((dueAt?.getTime() ?? 0) - scenario.clock.now().getTime()).toBeGreaterThan(6 * DAY_MS);
    const { refreshTokens, accessTokens } = scenario.emulator.account(ADA);
    expect([...refreshTokens, ...accessTokens]).toEqual([]);
    expect(scenario.emulator.countCalls("users.stop", ADA)).toBe(1);
    expect(scenario.events(ADA).at(-1)?.attributes["ce-id"]).toBe(`${user.id}/disconnected/1`);
  });

  it("is offered to a signed-in person whose grant has ended or whose mailbox is unavailable", async () => {
    for (const end of ["changePassword", "suspend"] as const) {
      const email = `${end.toLowerCase()}@example.com`;
      const { browser } = await scenario.connect(email);
      scenario.emulator[end](email);
      scenario.clock.advance(DAY_MS / 3);
      await scenario.runSchedule("mailboxReconciliation");
      expect(scenario.stored(email).status).not.toBe("active");
      const page = await (await browser.get(`${scenario.publicUrl}/`)).text();
      expect(csrfOf(page)).not.toBe("");
    }
  });

  it("is finished later when Google does not answer", async () => {
    const { browser, page } = await scenario.connect(ADA);
    scenario.emulator.faults.failNext({ method: "revoke", count: 1, status: 503 });
    await browser.post(`${scenario.publicUrl}/disconnect`, { csrf: csrfOf(page) });
    expect(scenario.stored(ADA)).toMatchObject({ status: "disconnected" });
    expect(scenario.emulator.account(ADA).refreshTokens).toHaveLength(1);
    scenario.clock.advance(6 * 60_000);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.emulator.account(ADA).refreshTokens).toEqual([]);
    expect(scenario.stored(ADA).grant).not.toHaveProperty("refreshToken");
    expect(scenario.logged("grant_not_revoked")).toEqual([]);
  });

  it("tells the operator when Google refuses to revoke the grant", async () => {
    const { browser, page } = await scenario.connect(ADA);
    const body = { error: "unsupported_grant_type" };
    scenario.emulator.faults.failNext({ method: "revoke", count: 1, status: 400, body });
    await browser.post(`${scenario.publicUrl}/disconnect`, { csrf: csrfOf(page) });
    const { id, grant } = scenario.stored(ADA);
    expect(grant).not.toHaveProperty("refreshToken");
    expect(scenario.logged("grant_not_revoked")).toMatchObject([{ userId: id }]);
  });
});

describe("disconnecting with DISCONNECT_REVOKES=false", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario({ env: { DISCONNECT_REVOKES: "false" } });
  });
  afterEach(() => scenario.close());

  async function disconnect(browser: Browser): Promise<string> {
    const page = await (await browser.get(`${scenario.publicUrl}/`)).text();
    expect(page).toContain(EN.connected.disconnectLeaves("Mailbox Sync"));
    const form = { csrf: csrfOf(page) };
    const response = await browser.post(`${scenario.publicUrl}/disconnect`, form);
    expect(response.status).toBe(200);
    return response.text();
  }

  function expectLeftAtGoogle(): void {
    expect(scenario.emulator.account(ADA).refreshTokens).toHaveLength(1);
    expect(scenario.emulator.countCalls("revoke")).toBe(0);
  }

  it("stops the watch, deletes the tokens, leaves the grant at Google, and its pages say so", async () => {
    const { browser } = await scenario.connect(ADA);
    expect(await disconnect(browser)).toContain(EN.disconnected.left);
    const user = scenario.stored(ADA);
    expect(user).toMatchObject({ status: "disconnected", statusReason: "user_request" });
    expect(user.grant).not.toHaveProperty("refreshToken");
    expect(user.grant).not.toHaveProperty("accessToken");
    expectLeftAtGoogle();
    expect(scenario.emulator.account(ADA).watches.map(({ active }) => active)).toEqual([false]);
    expect(scenario.events(ADA).at(-1)?.attributes["ce-id"]).toBe(`${user.id}/disconnected/1`);

    await scenario.connect(ADA, { exists: true });
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.events(ADA).at(-1)?.attributes["ce-type"]).toBe("mailbox.message.added");
  });

  it("retries to stop a watch that Gmail did not stop, for a day at most", async () => {
    const { browser } = await scenario.connect(ADA);
    scenario.emulator.faults.failNext({ method: "users.stop", count: "all", status: 503 });
    await disconnect(browser);
    expect(scenario.stored(ADA).grant).toHaveProperty("refreshToken");
    const types = scenario.events(ADA).map(({ attributes }) => attributes["ce-type"]);
    expect(types).toEqual(["mailbox.connected", "mailbox.disconnected"]);

    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.stored(ADA).grant).not.toHaveProperty("refreshToken");
    expect(scenario.logged("watch_not_stopped")).toHaveLength(1);
    expect(scenario.logged("grant_not_revoked")).toEqual([]);
    expectLeftAtGoogle();
  });

  it("stops the watch at the next attempt once Gmail answers", async () => {
    const { browser } = await scenario.connect(ADA);
    scenario.emulator.faults.failNext({ method: "users.stop", count: 3, status: 503 });
    await disconnect(browser);
    expect(scenario.emulator.account(ADA).watches.map(({ active }) => active)).toEqual([true]);
    scenario.clock.advance(6 * 60_000);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.emulator.account(ADA).watches.map(({ active }) => active)).toEqual([false]);
    expect(scenario.stored(ADA).grant).not.toHaveProperty("refreshToken");
    expectLeftAtGoogle();
  });

  it("erases a person who asks for it, and leaves the grant too", async () => {
    const { browser } = await scenario.connect(ADA);
    const asked = await (await browser.get(`${scenario.publicUrl}/erase`)).text();
    expect(asked).toContain("erases our keys to it");
    const erased = await browser.post(`${scenario.publicUrl}/erase`, { csrf: csrfOf(asked) });
    expect(await erased.text()).toContain(EN.erase.done.left);
    expect(scenario.users.dump().users).toEqual([]);
    expectLeftAtGoogle();
  });

  it("does not revoke a refused grant", async () => {
    const untick = ["https://www.googleapis.com/auth/gmail.metadata"];
    expect((await scenario.connect(ADA, { untick })).status).toBe(400);
    expect(scenario.users.dump().users).toEqual([]);
    expectLeftAtGoogle();
  });
});
