import { flag } from "../../functions/src/grant/flagging.ts";
import { jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLog } from "../../functions/src/platform/log.ts";
import { TEXTS } from "../../functions/src/texts/pages.ts";
import type { User } from "../../functions/src/domain/user.ts";
import { type Browser, FROM_OUR_PAGE, openBrowser, throughGoogle } from "../support/browser.ts";
import { startFlow } from "../support/flow.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { startSecondInstance } from "../support/second-instance.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

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
  ])("connects whatever name the configuration has for a scope: %s", async (scopes) => {
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

  it("asks Google for the narrowest scopes, offline, with PKCE, state and nonce", async () => {
    const response = await openBrowser().get(`${scenario.publicUrl}/start`);
    const { searchParams } = new URL(response.headers.get("location") ?? "");
    expect(Object.fromEntries(searchParams)).toEqual({
      client_id: scenario.config.oauth.clientId,
      redirect_uri: `${scenario.publicUrl}/callback`,
      response_type: "code",
      scope: "openid email https://www.googleapis.com/auth/gmail.metadata",
      access_type: "offline",
      prompt: "consent",
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: "S256",
    });
  });

  it("stores nothing when a box is unticked, and revokes the grant at Google", async () => {
    const { status, page } = await scenario.connect(ADA, {
      untick: ["https://www.googleapis.com/auth/gmail.metadata"],
    });
    expect(status).toBe(400);
    expect(page).toContain("One permission is missing");
    expect(scenario.users.dump().users).toEqual([]);
    expect(scenario.emulator.account(ADA).refreshTokens).toEqual([]);
  });

  it("says so when the person declines", async () => {
    scenario.emulator.createAccount({ email: ADA });
    const browser = openBrowser();
    const start = await browser.get(`${scenario.publicUrl}/start`);
    const response = await throughGoogle(scenario.emulator, browser, start, {
      account: ADA,
      decline: true,
    });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("You didn&#39;t allow access");
    expect(scenario.emulator.countCalls("token.code")).toBe(0);
  });

  it("refuses a callback in another browser, with another state, or from another issuer", async () => {
    scenario.emulator.createAccount({ email: ADA });
    const browser = openBrowser();
    const start = await browser.get(`${scenario.publicUrl}/start`);
    const back = await scenario.emulator.consent(start.headers.get("location") ?? "", {
      account: ADA,
    });
    const altered = (change: (params: URLSearchParams) => void) => {
      const url = new URL(back);
      change(url.searchParams);
      return url.href;
    };
    const state = new URL(back).searchParams.get("state") ?? "";
    const flipped = `${state.slice(0, -1)}${state.endsWith("A") ? "B" : "A"}`;
    const refused = [
      await openBrowser().get(back),
      await browser.get(altered((params) => params.set("state", flipped))),
      await browser.get(altered((params) => params.delete("state"))),
      await browser.get(altered((params) => params.set("iss", "https://evil.example"))),
      await browser.get(altered((params) => params.append("code", "another"))),
    ];
    expect(refused.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400]);
    expect(scenario.emulator.countCalls("token.code")).toBe(0);
    expect(scenario.users.dump().users).toEqual([]);
    const cookie = [...browser.cookies].map((pair) => pair.join("=")).join("; ");
    const head = await fetch(back, { method: "HEAD", headers: { cookie } });
    expect(head.status).toBe(405);
    // What was refused burnt nothing: the real answer still works, once.
    expect((await browser.get(back)).status).toBe(200);
    expect((await browser.get(back)).status).toBe(409);
    expect(scenario.emulator.countCalls("token.code")).toBe(1);
  });

  it("refuses a callback that comes after ten minutes", async () => {
    scenario.emulator.createAccount({ email: ADA });
    const browser = openBrowser();
    const start = await browser.get(`${scenario.publicUrl}/start`);
    const back = await scenario.emulator.consent(start.headers.get("location") ?? "", {
      account: ADA,
    });
    scenario.clock.advance(10 * 60_000);
    expect((await browser.get(back)).status).toBe(400);
    expect(scenario.emulator.countCalls("token.code")).toBe(0);
  });

  it("refuses an ID token that answers another authorization", async () => {
    scenario.emulator.createAccount({ email: ADA });
    const browser = openBrowser();
    const start = await browser.get(`${scenario.publicUrl}/start`);
    const url = new URL(start.headers.get("location") ?? "");
    url.searchParams.set("nonce", "a".repeat(43));
    const back = await scenario.emulator.consent(url.href, { account: ADA });
    const response = await browser.get(back);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("verify your account");
    expect(scenario.users.dump().users).toEqual([]);
  });

  it("rejects a code that needs another person's verifier", async () => {
    scenario.emulator.createAccount({ email: ADA });
    const browser = openBrowser();
    const start = await browser.get(`${scenario.publicUrl}/start`);
    const url = new URL(start.headers.get("location") ?? "");
    url.searchParams.set("code_challenge", "b".repeat(43));
    const back = await scenario.emulator.consent(url.href, { account: ADA });
    expect((await browser.get(back)).status).toBe(400);
    expect(scenario.users.dump().users).toEqual([]);
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

  it("sends the person back to the application only where it is allowed", async () => {
    const refused = await openBrowser().get(
      `${scenario.publicUrl}/start?return_to=https://evil.example/`,
    );
    expect(refused.status).toBe(400);
    expect(refused.headers.get("location")).toBeNull();
  });
});

describe("a revoked grant", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario();
  });
  afterEach(() => scenario.close());

  /** The link that subscribers were given. */
  const linkOf = (email: string) => {
    const event = scenario
      .events(email)
      .find(({ attributes }) => attributes["ce-type"] === "mailbox.reauthorization_required");
    return String(event?.json["reauthorizeUrl"]);
  };

  async function reauthorize(email: string, as = email, link = linkOf(email)) {
    const browser = openBrowser();
    expect((await browser.get(link)).status).toBe(200);
    const started = await browser.post(link, {});
    const response = await throughGoogle(scenario.emulator, browser, started, { account: as });
    return {
      asked: new URL(started.headers.get("location") ?? "").searchParams,
      status: response.status,
      page: await response.text(),
    };
  }

  it("P7: flags exactly that user, publishes it once, and costs nothing any more", async () => {
    await scenario.connect(ADA);
    await scenario.connect(BOB);
    scenario.emulator.changePassword(ADA);
    scenario.emulator.resetCalls();
    scenario.emulator.deliver(ADA);
    scenario.emulator.deliver(BOB);
    await scenario.settled();

    const user = scenario.stored(ADA);
    expect(user).toMatchObject({
      status: "reauthorization_required",
      statusReason: "invalid_grant",
      followUp: { announced: { status: "reauthorization_required", generation: 1 } },
    });
    expect(user.grant).not.toHaveProperty("refreshToken");
    expect(user.grant).not.toHaveProperty("accessToken");
    expect(user.watch).not.toHaveProperty("renewAt");
    expect(user.sync).not.toHaveProperty("dueAt");
    expect(scenario.stored(BOB).status).toBe("active");
    expect(scenario.events(ADA).map(({ attributes }) => attributes["ce-id"])).toEqual([
      `${user.id}/connected/1`,
      `${user.id}/reauthorization_required/1`,
    ]);

    scenario.emulator.resetCalls();
    for (let day = 0; day < 9; day++) {
      scenario.emulator.deliver(ADA);
      await scenario.settled();
      scenario.clock.advance(DAY_MS);
      expect(await scenario.runSchedule("watchRenewal")).toBe(204);
      expect(await scenario.runSchedule("mailboxReconciliation")).toBe(204);
    }
    expect(scenario.emulator.countCalls(undefined, ADA)).toBe(0);
    const announced = scenario.topic.published.filter(
      ({ attributes }) => attributes["ce-id"] === `${user.id}/reauthorization_required/1`,
    );
    expect(announced).toHaveLength(1);
  });

  it("P8: is renewed in one click, resumes from the kept cursor and says what it recovered", async () => {
    await scenario.connect(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.emulator.changePassword(ADA);
    const missed = [1, 2, 3].map(() => scenario.emulator.deliver(ADA));
    await scenario.settled();
    scenario.clock.advance(3 * DAY_MS);

    const { asked, status, page } = await reauthorize(ADA);
    expect(asked.get("login_hint")).toBe(scenario.stored(ADA).id);
    expect(status).toBe(200);
    expect(page).toContain("We delivered the 3 changes you missed.");
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
    const events = scenario.events(ADA);
    expect(
      events.slice(-4).map(({ attributes, json }) => json["messageId"] ?? attributes["ce-id"]),
    ).toEqual([
      ...missed.map(({ messageId }) => messageId),
      `${scenario.stored(ADA).id}/connected/2`,
    ]);
    expect(events.at(-1)?.json).toMatchObject({ generation: 2, recoveredChanges: 3 });
  });

  it("lets a link work once, for one account, for seven days", async () => {
    await scenario.connect(ADA);
    scenario.emulator.createAccount({ email: BOB });
    scenario.emulator.revokeAccess(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const link = linkOf(ADA);

    const wrong = await reauthorize(ADA, BOB);
    expect(wrong.status).toBe(403);
    expect(wrong.page).toContain("different Google account");
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    expect(scenario.emulator.account(BOB).refreshTokens).toEqual([]);

    scenario.clock.advance(7 * DAY_MS + 1);
    expect((await openBrowser().get(link)).status).toBe(410);
    scenario.clock.advance(-8 * DAY_MS);
    expect((await reauthorize(ADA)).status).toBe(200);
    expect((await openBrowser().get(link)).status).toBe(410);
    expect((await openBrowser().get(`${link.slice(0, -2)}AA`)).status).toBe(410);
  });

  it("requests every scope that was granted, also those no longer configured", async () => {
    const labels = "https://www.googleapis.com/auth/gmail.labels";
    await scenario.close();
    const env = { GMAIL_SCOPES: "gmail.readonly gmail.labels" };
    scenario = await startScenario({ env });
    await scenario.connect(ADA);
    const stored = scenario.stored(ADA);
    expect(stored.grant.scopes).toContain(labels);
    // An extra scope that an earlier configuration had asked for.
    const extra = "https://www.googleapis.com/auth/gmail.settings.basic";
    const grant = { ...stored.grant, scopes: [...stored.grant.scopes, extra] };
    expect(await scenario.users.update(stored, { grant })).toBe("written");
    scenario.emulator.revokeAccess(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const { asked, status } = await reauthorize(ADA);
    expect(status).toBe(200);
    expect(asked.get("scope")?.split(" ")).toEqual(
      expect.arrayContaining(["openid", "email", labels, extra]),
    );
    expect(scenario.stored(ADA).grant.scopes).toEqual(expect.arrayContaining([labels, extra]));
  });

  it("does not end the live grant of a person who opens another person's link", async () => {
    await scenario.connect(ADA);
    await scenario.connect(BOB);
    scenario.emulator.changePassword(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect((await reauthorize(ADA, BOB)).status).toBe(403);
    scenario.emulator.deliver(BOB);
    await scenario.settled();
    expect(scenario.stored(BOB).status).toBe("active");
    expect(scenario.events(BOB).at(-1)?.attributes["ce-type"]).toBe("mailbox.message.added");
  });

  it("P6: a wrong client secret flags none of 50 users", async () => {
    const emails = Array.from({ length: 50 }, (_, index) => `user${index}@example.com`);
    for (const email of emails) await scenario.connect(email);
    scenario.clock.advance(2 * 3_600_000);
    const { clientId, clientSecret } = scenario.config.oauth;
    scenario.emulator.setClientSecret(clientId, "GOCSPX-rotated-by-somebody");
    for (const email of emails) scenario.emulator.deliver(email);
    await scenario.settled();
    await scenario.runSchedule("mailboxReconciliation");

    const users = scenario.users.dump().users;
    expect(new Set(users.map(({ status }) => status))).toEqual(new Set(["active"]));
    expect(users.every(({ sync }) => sync.dueAt !== undefined)).toBe(true);
    expect(scenario.logged("misconfigured").length).toBeGreaterThan(0);

    scenario.emulator.setClientSecret(clientId, clientSecret);
    scenario.clock.advance(20 * 60_000);
    await scenario.runSchedule("mailboxReconciliation");
    for (const email of emails) {
      expect(scenario.events(email).at(-1)?.attributes["ce-type"]).toBe("mailbox.message.added");
    }
  });

  it("P6: a missing topic permission, a disabled API and server errors flag no user", async () => {
    await scenario.connect(ADA);
    const faults = [
      () => scenario.emulator.setGmailApi("disabled"),
      () => scenario.emulator.setGmailApi("enabled"),
      () => scenario.emulator.setTopicPublishing(scenario.config.gmail.topic, "forbidden"),
    ];
    for (const fault of faults) {
      fault();
      scenario.clock.advance(2 * DAY_MS);
      scenario.emulator.deliver(ADA);
      await scenario.settled();
      await scenario.runSchedule("watchRenewal");
      await scenario.runSchedule("mailboxReconciliation");
      expect(scenario.stored(ADA).status).toBe("active");
    }
  });

  it("P7: a late failure of an old grant never flags a newer one", async () => {
    await scenario.connect(ADA);
    scenario.clock.advance(2 * 3_600_000);
    scenario.emulator.changePassword(ADA);
    const held = scenario.emulator.faults.hold("token.refresh");
    scenario.emulator.deliver(ADA);
    await held.arrived;
    // While the old grant's refresh is under way, the person connects again.
    const browser = openBrowser();
    const start = await browser.get(`${scenario.publicUrl}/start`);
    const to = start.headers.get("location") ?? "";
    const connecting = browser.get(await scenario.emulator.consent(to, { account: ADA }));
    const stored = async () => {
      for (;;) {
        if (scenario.stored(ADA).grant.generation === 2) return;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    await stored();
    held.release();
    expect((await connecting).status).toBe(200);
    await scenario.settled();
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
    expect(scenario.events(ADA).map(({ attributes }) => attributes["ce-type"])).toEqual([
      "mailbox.connected",
      "mailbox.message.added",
      "mailbox.connected",
    ]);
  });

  it("flags an unavailable mailbox with its own status, probes it slowly, and resumes", async () => {
    await scenario.connect(ADA);
    scenario.emulator.setMailService(ADA, "off");
    scenario.emulator.deliver(ADA);
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("watchRenewal");
    expect(scenario.stored(ADA)).toMatchObject({
      status: "mailbox_unavailable",
      statusReason: "mail_service_not_enabled",
    });
    scenario.emulator.resetCalls();
    scenario.clock.advance(DAY_MS / 2);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.emulator.countCalls(undefined, ADA)).toBe(0);
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.emulator.countCalls("users.getProfile", ADA)).toBe(1);
    expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");

    scenario.emulator.setMailService(ADA, "on");
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("mailboxReconciliation");
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.stored(ADA).status).toBe("active");
    expect(scenario.events(ADA).map(({ attributes }) => attributes["ce-type"])).toContain(
      "mailbox.message.added",
    );
  });

  describe("a late failure, after the mailbox was unavailable and came back under the same grant", () => {
    let before: User;
    beforeEach(async () => {
      await scenario.connect(ADA);
      before = await scenario.read(ADA);
    });

    async function goAndComeBack(): Promise<void> {
      scenario.emulator.setMailService(ADA, "off");
      scenario.clock.advance(DAY_MS);
      await scenario.runSchedule("watchRenewal");
      expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");
      scenario.emulator.setMailService(ADA, "on");
      scenario.clock.advance(DAY_MS);
      await scenario.runSchedule("mailboxReconciliation");
      expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 1 } });
    }

    it("does not make the mailbox unavailable again", async () => {
      scenario.emulator.loseNotifications();
      const slow = startSecondInstance(scenario, {});
      scenario.emulator.setMailService(ADA, "off");
      const { messageId } = scenario.emulator.deliver(ADA);
      const held = scenario.emulator.faults.hold("history.list", { afterEffect: true, count: 1 });
      const notified = slow.notify(ADA);
      await held.arrived;
      await goAndComeBack();
      held.release();
      await notified;
      expect(scenario.stored(ADA).status).toBe("active");
      expect(slow.logged("mailbox_synced")).toMatchObject([{ outcome: "caught_up" }]);
      scenario.clock.advance(3 * MINUTE_MS);
      await scenario.runSchedule("mailboxReconciliation");
      const told = scenario.events(ADA).filter(({ json }) => json["messageId"] === messageId);
      expect(told).toHaveLength(1);
    });

    it("ends the grant if the grant failed: the token is still the rejected one", async () => {
      await goAndComeBack();
      const context = await scenario.operator({ log: createLog(() => {}) }).getContext();
      const failure = { kind: "reauthorize", reason: "invalid_grant" } as const;
      expect(await flag(before, failure, context)).toMatchObject({ kind: "flagged" });
      expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    });
  });

  it("P2: publishes each time that a mailbox goes and comes back, under an id of its own", async () => {
    await scenario.connect(ADA);
    const { id } = scenario.stored(ADA);
    const lifecycle = () =>
      scenario.topic.published
        .map(({ attributes }) => attributes["ce-id"]?.replace(`${id}/`, ""))
        .filter((eventId) => /^(connected|unavailable)/.test(eventId ?? ""));
    const goes = async () => {
      scenario.emulator.setMailService(ADA, "off");
      scenario.clock.advance(DAY_MS);
      await scenario.runSchedule("watchRenewal");
      expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");
    };
    const comesBack = async () => {
      scenario.emulator.setMailService(ADA, "on");
      scenario.clock.advance(DAY_MS);
      await scenario.runSchedule("mailboxReconciliation");
      scenario.clock.advance(3 * MINUTE_MS);
      await scenario.runSchedule("mailboxReconciliation");
      expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 1 } });
    };
    await goes();
    await comesBack();
    // Whoever tells of the second time dies before it is noted: it is told again under that id.
    const { onPublished } = scenario.topic;
    scenario.topic.onPublished = () => {
      scenario.topic.onPublished = onPublished;
      throw new Error("the instance died");
    };
    await goes();
    scenario.clock.advance(3 * MINUTE_MS);
    await scenario.runSchedule("mailboxReconciliation");
    await comesBack();
    expect(lifecycle()).toEqual([
      "connected/1",
      "unavailable/1",
      "connected/1/2",
      "unavailable/1/2",
      "unavailable/1/2",
      "connected/1/3",
    ]);
    scenario.emulator.changePassword(ADA);
    await scenario.connect(ADA, { exists: true });
    expect(lifecycle().at(-1)).toBe("connected/2");
  });
});

describe("disconnecting", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario();
  });
  afterEach(() => scenario.close());

  const csrfOf = (page: string) => /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";

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

  it("needs the session, its token and the receiver's own page", async () => {
    const { browser, page } = await scenario.connect(ADA);
    const url = `${scenario.publicUrl}/disconnect`;
    const csrf = csrfOf(page);
    expect((await openBrowser().post(url, { csrf })).status).toBe(400);
    expect((await browser.post(url, {})).status).toBe(403);
    expect((await browser.post(url, { csrf }, "https://evil.example")).status).toBe(403);
    expect((await browser.get(url)).status).toBe(405);
    expect(scenario.stored(ADA).status).toBe("active");
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
  });
});

describe("disconnecting with DISCONNECT_REVOKES=false", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario({ env: { DISCONNECT_REVOKES: "false" } });
  });
  afterEach(() => scenario.close());

  const csrfOf = (page: string) => /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";

  async function disconnect(browser: Browser): Promise<string> {
    const page = await (await browser.get(`${scenario.publicUrl}/`)).text();
    expect(page).toContain(TEXTS.connected.disconnectLeaves("Mailbox Sync"));
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
    expect(await disconnect(browser)).toContain(TEXTS.disconnected.left);
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
    expect(await erased.text()).toContain(TEXTS.erase.done.left);
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
