import { jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FROM_OUR_PAGE, openBrowser, throughGoogle } from "../support/browser.ts";
import { startFlow } from "../support/flow.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";

describe("connecting a mailbox", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario();
  });
  afterEach(() => scenario.close());

  it("stores the user under Google's sub, watched and due, with the cursor from the watch", async () => {
    const { status, page } = await scenario.connect(ADA);
    expect(status).toBe(200);
    expect(page).toContain(ADA);
    const truth = scenario.emulator.account(ADA);
    const user = scenario.stored(ADA);
    expect(user).toMatchObject({
      id: truth.sub,
      emailAddress: ADA,
      status: "active",
      historyId: truth.historyId,
      grant: { generation: 1 },
      watch: { failures: 0, expiresAt: new Date(truth.watches[0]?.expiration ?? 0) },
    });
    expect(user.watch.renewAt).toBeInstanceOf(Date);
    expect(user.sync.dueReason).toBe("quiet");
    expect(scenario.events(ADA).map(({ attributes }) => attributes["ce-id"])).toEqual([
      `${truth.sub}/connected/1`,
    ]);
    expect(user.followUp).toEqual({ announced: { status: "active", generation: 1 }, failures: 0 });
  });

  it.each([
    "gmail.metadata profile",
    "https://www.googleapis.com/auth/userinfo.profile gmail.modify",
  ])("connects with any name of a scope in the configuration: %s", async (scopes) => {
    const other = await startScenario({ env: { GMAIL_SCOPES: scopes } });
    try {
      expect((await other.connect(ADA)).status).toBe(200);
      // A refused grant of such scopes is ours, and ended at Google.
      const refused = await other.connect(BOB, {
        untick: other.config.gmail.scopes.filter((scope) => scope.includes("gmail.")),
      });
      expect(refused.page).toContain("One permission is missing");
      expect(other.emulator.countCalls("revoke", BOB)).toBe(1);
    } finally {
      await other.close();
    }
  });

  it("keeps the grant when the watch fails because of our configuration, and says that changes follow", async () => {
    const topic = scenario.config.gmail.topic;
    scenario.emulator.setTopicPublishing(topic, "forbidden");
    const { status, page } = await scenario.connect(ADA);
    expect(status).toBe(200);
    expect(page).toContain("start to arrive shortly");
    expect(scenario.stored(ADA)).toMatchObject({
      status: "active",
      historyId: scenario.emulator.account(ADA).historyId,
    });

    scenario.emulator.setTopicPublishing(topic, "allowed");
    scenario.clock.advance(60_000);
    expect(await scenario.runSchedule("watchRenewal")).toBe(204);
    expect(scenario.emulator.account(ADA).watches).toHaveLength(1);
  });

  it("does not use the watch of an earlier grant when the new one fails", async () => {
    await scenario.connect(ADA);
    scenario.emulator.setTopicPublishing(scenario.config.gmail.topic, "forbidden");
    const { page } = await scenario.connect(ADA, { exists: true });
    expect(page).toContain("start to arrive shortly");
    expect(scenario.stored(ADA).watch).toEqual({ renewAt: expect.any(Date), failures: 0 });
  });

  it("does not connect an account without a mailbox", async () => {
    scenario.emulator.createAccount({ email: ADA });
    scenario.emulator.setMailService(ADA, "off");
    const { status, page } = await scenario.connect(ADA, { exists: true });
    expect(status).toBe(400);
    expect(page).toContain("has no Gmail mailbox");
    expect(scenario.users.dump().users).toEqual([]);
  });

  it("updates the user when the same account connects again, and keeps the cursor", async () => {
    await scenario.connect(ADA);
    const before = await scenario.read(ADA);
    scenario.emulator.loseNotifications();
    scenario.emulator.deliver(ADA);
    const { page } = await scenario.connect(ADA, { exists: true });
    expect(page).toContain("is connected");
    expect(scenario.users.dump().users).toHaveLength(1);
    expect(scenario.stored(ADA).grant.generation).toBe(2);
    expect(scenario.stored(ADA).historyId).toBe(before.historyId);
    expect(scenario.events(ADA).map(({ attributes }) => attributes["ce-type"])).toEqual([
      "mailbox.connected",
      "mailbox.message.added",
      "mailbox.connected",
    ]);
  });

  it("keeps the stored refresh token when Google sends none, and asks for consent when that one is dead", async () => {
    const { browser } = await scenario.connect(ADA);
    const held = scenario.stored(ADA).grant.refreshTokenDigests;
    // The same browser is still signed in: Google is not asked for consent, and sends no new token.
    await scenario.connect(ADA, { exists: true, browser });
    expect(scenario.stored(ADA).grant).toMatchObject({
      generation: 2,
      refreshTokenDigests: held,
    });
    expect(scenario.emulator.account(ADA).refreshTokens).toHaveLength(1);

    scenario.emulator.changePassword(ADA);
    const start = await browser.get(`${scenario.publicUrl}/start`, FROM_OUR_PAGE);
    const asked = await throughGoogle(scenario.emulator, browser, start, { account: ADA });
    const again = asked.headers.get("location") ?? "";
    expect(new URL(again).searchParams.get("prompt")).toBe("consent");
    const done = await throughGoogle(scenario.emulator, browser, asked, { account: ADA });
    expect(done.status).toBe(200);
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 3 } });
    expect(scenario.stored(ADA).grant.refreshTokenDigests).not.toEqual(held);
  });

  it("stores a refresh token that Google rotates at a sign-in, even if the sign-in is refused", async () => {
    const { browser } = await scenario.connect(ADA);
    const held = scenario.stored(ADA).grant.refreshTokenDigests;
    scenario.emulator.settings.refreshTokenRotations = 1;
    scenario.emulator.faults.failNext({
      method: "users.watch",
      count: 1,
      preset: "mailServiceNotEnabled",
    });
    const { status } = await scenario.connect(ADA, { exists: true, browser });
    expect(status).toBe(400);
    const { grant } = scenario.stored(ADA);
    expect(grant.generation).toBe(1);
    expect(grant.refreshTokenDigests).not.toEqual(held);

    scenario.clock.advance(2 * 3_600_000);
    const { messageId } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.stored(ADA).status).toBe("active");
    expect(scenario.events(ADA).at(-1)?.json["messageId"]).toBe(messageId);
  });

  it("follows an account whose address has changed: same user, same cursor, new address", async () => {
    await scenario.connect(ADA);
    const { id, historyId } = scenario.stored(ADA);
    scenario.emulator.renameAddress(ADA, BOB);
    await scenario.connect(BOB, { exists: true });
    expect(scenario.users.dump().users).toHaveLength(1);
    expect(scenario.stored(BOB)).toMatchObject({ id, historyId, grant: { generation: 2 } });
    const { messageId } = scenario.emulator.deliver(BOB);
    await scenario.settled();
    expect(scenario.events(BOB).at(-1)?.json["messageId"]).toBe(messageId);
  });

  it("tells the application whose mailbox it is, in a token for that application only", async () => {
    await scenario.close();
    const secret = "an application and this receiver share it";
    const returnTo = "https://app.example/done?a=1";
    const env = { RETURN_TO_URLS: returnTo, RETURN_TO_SECRET: secret };
    scenario = await startScenario({ env });
    scenario.emulator.createAccount({ email: ADA });
    const browser = openBrowser();
    const query = new URLSearchParams({
      return_to: returnTo,
      app_state: "s1",
    });
    const start = await startFlow(browser, `${scenario.publicUrl}/start?${query}`);
    const response = await throughGoogle(scenario.emulator, browser, start, { account: ADA });
    expect(response.status).toBe(303);
    const back = new URL(response.headers.get("location") ?? "");
    expect(`${back.origin}${back.pathname}`).toBe("https://app.example/done");
    expect(back.searchParams.get("a")).toBe("1");
    const { payload } = await jwtVerify(
      back.searchParams.get("connection") ?? "",
      new TextEncoder().encode(secret),
      { algorithms: ["HS256"], typ: "connection+jwt", currentDate: scenario.clock.now() },
    );
    expect(payload).toEqual({
      iss: scenario.publicUrl,
      aud: returnTo,
      jti: expect.stringMatching(/^[\w-]{43}$/),
      iat: expect.any(Number),
      exp: expect.any(Number),
      sub: scenario.stored(ADA).id,
      email: ADA,
      app_state: "s1",
    });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(300);
  });
});
