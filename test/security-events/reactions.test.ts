import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PublishFailure } from "../../functions/src/domain/events.ts";
import type { Grant } from "../../functions/src/domain/user.ts";
import { pause } from "../../functions/src/grant/pause.ts";
import { resume } from "../../functions/src/mailbox/resume.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";
import type { SecurityEvent } from "../gmail-emulator/security-event.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** What Google does with a token, and what an outsider then sees. */
describe("a security event", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario();
    await scenario.connect(ADA);
    // Well after the grant, so that nobody can take an event of now for one about an earlier grant.
    scenario.clock.advance(HOUR_MS);
  });
  afterEach(() => scenario.close());

  const signed = (event: Partial<SecurityEvent>) =>
    scenario.emulator.securityEvent({
      type: "risc/event-type/sessions-revoked",
      audience: DEFAULT_CLIENT.clientId,
      account: ADA,
      ...event,
    });

  const post = async (token: string, headers: Record<string, string> = {}) =>
    fetch(scenario.urls.securityEvent, {
      method: "POST",
      body: token,
      headers: { "content-type": "application/secevent+jwt", ...headers },
    });

  async function send(event: Partial<SecurityEvent>): Promise<void> {
    const response = await post(signed(event));
    expect(response.status).toBe(202);
    expect(await response.text()).toBe("");
  }

  const types = (email = ADA) =>
    scenario.events(email).map(({ attributes }) => attributes["ce-type"]);

  function refreshTokenOf(email: string): string {
    const token = scenario.emulator
      .secretsIssued()
      .filter((secret) => secret.startsWith("1//"))
      .findLast((secret) => scenario.emulator.ownerOf(secret) === email);
    if (token === undefined) throw new Error(`${email} has no refresh token`);
    return token;
  }

  describe("sessions-revoked", () => {
    it("ends the browser sessions and does not change the mailbox", async () => {
      const before = scenario.stored(ADA);
      await send({ type: "risc/event-type/sessions-revoked" });
      const { signedOutAt, revision: _, ...after } = scenario.stored(ADA);
      const { revision: __, ...expected } = before;
      expect(after).toEqual(expected);
      expect(Math.abs(Number(signedOutAt) - scenario.clock.now().getTime())).toBeLessThan(10_000);
    });

    it("that arrives late ends the sessions of its time, and none that began since", async () => {
      const at = scenario.clock.now().getTime();
      scenario.clock.advance(5 * HOUR_MS);
      await send({ at });
      const signedOutAt = Number(scenario.stored(ADA).signedOutAt);
      expect(signedOutAt).toBeGreaterThanOrEqual(at);
      expect(signedOutAt).toBeLessThan(at + 2 * MINUTE_MS);
    });

    it("that arrives after a later one undoes nothing", async () => {
      const at = scenario.clock.now().getTime();
      scenario.clock.advance(HOUR_MS);
      await send({});
      const latest = scenario.stored(ADA).signedOutAt;
      await send({ at });
      expect(scenario.stored(ADA).signedOutAt).toEqual(latest);
    });
  });

  describe.each(["oauth/event-type/tokens-revoked", "risc/event-type/tokens-revoked"])(
    "%s",
    (type) => {
      it("flags the user, ends the sessions and publishes that, without a call to Google", async () => {
        scenario.emulator.resetCalls();
        await send({ type });
        const user = scenario.stored(ADA);
        expect(user).toMatchObject({
          status: "reauthorization_required",
          statusReason: "tokens_revoked",
        });
        expect(user.signedOutAt).toBeInstanceOf(Date);
        expect(user.grant).not.toHaveProperty("refreshToken");
        expect(user.grant).not.toHaveProperty("accessToken");
        expect(user.grant).not.toHaveProperty("refreshTokenDigests");
        expect(user.watch).not.toHaveProperty("renewAt");
        expect(user.sync).not.toHaveProperty("dueAt");
        expect(types()).toEqual(["mailbox.connected", "mailbox.reauthorization_required"]);
        expect(scenario.emulator.countCalls("token")).toBe(0);
        expect(scenario.emulator.countCalls("gmail")).toBe(0);
      });
    },
  );

  it("deletes the tokens of a paused user, who is flagged when the mailbox is resumed", async () => {
    const log = createLog(() => {});
    const context = await scenario.operator({ log }).getContext();
    await pause(await scenario.read(ADA), "operator_request", context);
    await send({ type: "oauth/event-type/token-revoked" });
    await send({ type: "risc/event-type/account-disabled" });
    expect(scenario.stored(ADA).grant).toHaveProperty("refreshToken");
    expect(scenario.stored(ADA).sync).not.toHaveProperty("dueAt");

    await send({ type: "oauth/event-type/tokens-revoked" });
    const user = scenario.stored(ADA);
    expect(user.status).toBe("paused");
    for (const token of ["refreshToken", "accessToken", "refreshTokenDigests"]) {
      expect(user.grant).not.toHaveProperty(token);
    }
    expect(types().at(-1)).toBe("mailbox.paused");

    await resume(await scenario.read(ADA), context);
    expect(scenario.stored(ADA)).toMatchObject({
      status: "reauthorization_required",
      statusReason: "tokens_revoked",
    });
    expect(types().at(-1)).toBe("mailbox.reauthorization_required");
  });

  it("resumes after a re-authorization, with everything that was missed", async () => {
    await send({ type: "oauth/event-type/tokens-revoked" });
    scenario.emulator.changePassword(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(types()).not.toContain("mailbox.message.added");

    await scenario.connect(ADA, { exists: true });
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
    expect(types()).toContain("mailbox.message.added");
  });

  describe("token-revoked", () => {
    it.each(["prefix", "hash"] as const)("flags whose refresh token it names by %s", async (by) => {
      await scenario.connect(BOB);
      scenario.clock.advance(HOUR_MS);
      const refreshToken = { token: refreshTokenOf(ADA), namedBy: by };
      await send({ type: "oauth/event-type/token-revoked", refreshToken });
      expect(scenario.stored(ADA)).toMatchObject({
        status: "reauthorization_required",
        statusReason: "token_revoked",
      });
      expect(scenario.stored(BOB).status).toBe("active");
      // Nothing says that somebody else was at the browser.
      expect(scenario.stored(ADA)).not.toHaveProperty("signedOutAt");
    });

    it("that names a replaced token flags no user", async () => {
      const refreshToken = { token: refreshTokenOf(ADA), namedBy: "hash" } as const;
      scenario.emulator.changePassword(ADA);
      await scenario.connect(ADA, { exists: true });
      scenario.clock.advance(HOUR_MS);
      await send({ type: "oauth/event-type/token-revoked", refreshToken });
      expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
      expect(scenario.logged("security_event_received")).toMatchObject([{ userIds: [], did: [] }]);
    });

    it("that matches the tokens of two users affects neither", async () => {
      await scenario.connect(BOB);
      scenario.clock.advance(HOUR_MS);
      const { refreshTokenDigests } = scenario.stored(ADA).grant;
      const bob = scenario.stored(BOB);
      const grant: Grant = { ...bob.grant, ...(refreshTokenDigests && { refreshTokenDigests }) };
      await scenario.users.update(bob, { grant });
      const refreshToken = { token: refreshTokenOf(ADA), namedBy: "prefix" } as const;
      await send({ type: "oauth/event-type/token-revoked", refreshToken });
      expect(scenario.stored(ADA).status).toBe("active");
      expect(scenario.stored(BOB).status).toBe("active");
    });

    it("that names an account and no token lets a refresh decide", async () => {
      await send({ type: "oauth/event-type/token-revoked" });
      expect(scenario.stored(ADA)).toMatchObject({
        status: "active",
        sync: { dueReason: "unfinished" },
      });
    });
  });

  describe("about an earlier grant", () => {
    /** The grant of now is a minute younger than the event, as happens with a late delivery. */
    async function replaceGrant(): Promise<number> {
      const at = scenario.clock.now().getTime();
      scenario.clock.advance(10 * MINUTE_MS);
      scenario.emulator.changePassword(ADA);
      await scenario.connect(ADA, { exists: true });
      scenario.clock.advance(HOUR_MS);
      return at;
    }

    it("flags no user; the mailbox is read, and stays connected", async () => {
      const at = await replaceGrant();
      await send({ type: "oauth/event-type/tokens-revoked", at });
      expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
      expect(scenario.logged("security_event_received")).toMatchObject([
        { did: ["sessions_ended", "left_to_refresh"] },
      ]);
      await scenario.runSchedule("mailboxReconciliation");
      expect(scenario.stored(ADA).status).toBe("active");
      expect(types()).not.toContain("mailbox.unavailable");
      expect(types().filter((type) => type === "mailbox.reauthorization_required")).toEqual([]);
    });

    it("or within a minute of this one: Google's response to the refresh decides", async () => {
      await replaceGrant();
      const grantedAt = scenario.stored(ADA).grant.grantedAt.getTime();
      scenario.emulator.changePassword(ADA);
      await send({ type: "oauth/event-type/tokens-revoked", at: grantedAt + 10_000 });
      expect(scenario.stored(ADA).status).toBe("active");
      await scenario.runSchedule("mailboxReconciliation");
      expect(scenario.stored(ADA)).toMatchObject({
        status: "reauthorization_required",
        statusReason: "invalid_grant",
      });
    });

    it("is recognized by the time that it names, if that differs from the signing time", async () => {
      const at = await replaceGrant();
      const claims = {
        iss: "https://accounts.google.com/",
        aud: DEFAULT_CLIENT.clientId,
        iat: Math.floor(scenario.clock.now().getTime() / 1_000),
        toe: Math.floor(at / 1_000),
        jti: "late",
        events: {
          "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked": {
            subject: {
              subject_type: "iss-sub",
              iss: "https://accounts.google.com/",
              sub: scenario.stored(ADA).id,
            },
          },
        },
      };
      expect((await post(scenario.emulator.sign(claims))).status).toBe(202);
      expect(scenario.stored(ADA).status).toBe("active");
    });
  });

  describe("account-disabled", () => {
    it("makes the mailbox unavailable, keeps the grant and ends the sessions", async () => {
      await send({ type: "risc/event-type/account-disabled", detail: { reason: "hijacking" } });
      const user = scenario.stored(ADA);
      expect(user).toMatchObject({
        status: "mailbox_unavailable",
        statusReason: "account_disabled",
        grant: { refreshToken: expect.any(String) },
      });
      expect(user.signedOutAt).toBeInstanceOf(Date);
      expect(types()).toEqual(["mailbox.connected", "mailbox.unavailable"]);
      expect(scenario.logged("security_event_received")).toMatchObject([{ reason: "hijacking" }]);
    });

    it("ends with account-enabled: what was missed arrives, and no person had to act", async () => {
      await send({ type: "risc/event-type/account-disabled" });
      scenario.emulator.deliver(ADA);
      await scenario.settled();
      scenario.clock.advance(MINUTE_MS);
      await send({ type: "risc/event-type/account-enabled" });
      expect(await scenario.runSchedule("mailboxReconciliation")).toBe(204);
      expect(scenario.stored(ADA)).toMatchObject({
        status: "active",
        statusReason: "available_again",
        grant: { generation: 1 },
      });
      await scenario.runSchedule("mailboxReconciliation");
      expect(types()).toContain("mailbox.message.added");
    });

    it("P2: is published a second time, even if the first is recorded late", async () => {
      const { users, topic } = scenario;
      const { find } = users;
      let goOn = () => {};
      const hasGoneOn = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      topic.onPublished = () => {
        topic.onPublished = () => {};
        users.find = async (id) => {
          users.find = find;
          await hasGoneOn;
          return find(id);
        };
      };
      const first = send({ type: "risc/event-type/account-disabled" });
      await expect.poll(() => users.find).toBe(find);
      await expect.poll(() => types()).toContain("mailbox.unavailable");
      // It is announced again by the reconciliation, and probed by the next one.
      for (let looks = 0; looks < 2; looks++) {
        await send({ type: "risc/event-type/account-enabled" });
        await scenario.runSchedule("mailboxReconciliation");
      }
      expect(scenario.stored(ADA).status).toBe("active");
      topic.failure = new PublishFailure("transient", "unavailable");
      await send({ type: "risc/event-type/account-disabled" });
      expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");
      goOn();
      await first;
      topic.failure = undefined;
      scenario.clock.advance(5 * MINUTE_MS);
      await scenario.runSchedule("mailboxReconciliation");
      const { id } = scenario.stored(ADA);
      expect(scenario.events(ADA).at(-1)?.attributes["ce-id"]).toBe(`${id}/unavailable/1/2`);
    });

    it("is probed at account-enabled, also if that arrives before the status is published", async () => {
      const { topic } = scenario;
      const next = async () => {
        scenario.clock.advance(MINUTE_MS);
        await scenario.runSchedule("mailboxReconciliation");
      };
      topic.failure = new PublishFailure("transient", "unavailable");
      await send({ type: "risc/event-type/account-disabled" });
      await send({ type: "risc/event-type/account-enabled" });
      // The topic still takes nothing: what is owed is put off.
      await next();
      expect(types()).toEqual(["mailbox.connected"]);
      topic.failure = undefined;
      await next();
      expect(types()).toEqual(["mailbox.connected", "mailbox.unavailable"]);
      await next();
      expect(scenario.stored(ADA)).toMatchObject({
        status: "active",
        statusReason: "available_again",
      });
    });

    it("is probed at account-enabled, also if that arrives while the status is published", async () => {
      const { topic, users } = scenario;
      const { find } = users;
      topic.onPublished = () => {
        topic.onPublished = () => {};
        users.find = async (id) => {
          users.find = find;
          await send({ type: "risc/event-type/account-enabled" });
          return find(id);
        };
      };
      await send({ type: "risc/event-type/account-disabled" });
      expect(types()).toEqual(["mailbox.connected", "mailbox.unavailable"]);
      await scenario.runSchedule("mailboxReconciliation");
      expect(scenario.stored(ADA).status).toBe("active");
    });

    it("is probed a day later, and no sooner, without account-enabled", async () => {
      scenario.emulator.suspend(ADA);
      await send({ type: "risc/event-type/account-disabled" });
      scenario.emulator.resetCalls();
      for (let hour = 0; hour < 23; hour++) {
        scenario.clock.advance(HOUR_MS);
        await scenario.runSchedule("mailboxReconciliation");
      }
      expect(scenario.emulator.countCalls(undefined, ADA)).toBe(0);
      scenario.clock.advance(2 * HOUR_MS);
      await scenario.runSchedule("mailboxReconciliation");
      expect(scenario.emulator.countCalls("users.getProfile", ADA)).toBe(1);
    });

    it("that arrives late, when it may be over, lets Google's response decide", async () => {
      const at = scenario.clock.now().getTime();
      scenario.clock.advance(11 * MINUTE_MS);
      await send({ type: "risc/event-type/account-enabled" });
      await send({ type: "risc/event-type/account-disabled", at });
      expect(await scenario.runSchedule("mailboxReconciliation")).toBe(204);
      expect(scenario.stored(ADA).status).toBe("active");

      scenario.emulator.suspend(ADA);
      await send({ type: "risc/event-type/account-disabled", at });
      await scenario.runSchedule("mailboxReconciliation");
      expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");
    });

    it("changes nothing for a person who has to re-authorize anyway", async () => {
      await send({ type: "oauth/event-type/tokens-revoked" });
      await send({ type: "risc/event-type/account-disabled" });
      expect(scenario.stored(ADA).statusReason).toBe("tokens_revoked");
    });

    it("is superseded by tokens-revoked, after which nothing is probed", async () => {
      await send({ type: "risc/event-type/account-disabled" });
      scenario.clock.advance(MINUTE_MS);
      await send({ type: "oauth/event-type/tokens-revoked" });
      expect(scenario.stored(ADA).status).toBe("reauthorization_required");
      scenario.emulator.resetCalls();
      scenario.clock.advance(2 * DAY_MS);
      await scenario.runSchedule("mailboxReconciliation");
      await send({ type: "risc/event-type/account-enabled" });
      await scenario.runSchedule("mailboxReconciliation");
      expect(scenario.emulator.countCalls("token")).toBe(0);
      expect(scenario.emulator.countCalls("gmail")).toBe(0);
    });
  });

  it("account-purged ends everything and keeps the cursor, should the account be restored", async () => {
    const { historyId } = scenario.stored(ADA);
    await send({ type: "risc/event-type/account-purged" });
    expect(scenario.stored(ADA)).toMatchObject({
      status: "reauthorization_required",
      statusReason: "account_purged",
      historyId,
    });
    expect(scenario.stored(ADA).grant).not.toHaveProperty("refreshToken");
  });

  it.each([
    "risc/event-type/account-credential-change-required",
    "risc/event-type/account-enabled",
    "risc/event-type/something-new",
  ])("%s changes nothing for an active user, and is logged", async (type) => {
    const before = scenario.users.dump();
    await send({ type });
    expect(scenario.users.dump()).toEqual(before);
    expect(scenario.logged("security_event_received")).toHaveLength(1);
  });

  it("verification logs the given state, without control characters", async () => {
    const { account: _, ...nobody } = { account: ADA };
    const token = scenario.emulator.securityEvent({
      ...nobody,
      type: "risc/event-type/verification",
      audience: DEFAULT_CLIENT.clientId,
      detail: { state: `asked at noon\u001b[2J\n${"x".repeat(500)}` },
    });
    expect((await post(token)).status).toBe(202);
    const [record] = scenario.logged("security_event_received");
    expect(record).toMatchObject({ events: ["verification"], severity: "INFO" });
    expect(record?.["state"]).toMatch(/^asked at noon\?\[2J\?x{100,}$/);
    expect(String(record?.["state"]).length).toBeLessThanOrEqual(200);
  });

  it("about an unknown account is accepted like any other", async () => {
    scenario.emulator.createAccount({ email: BOB });
    const before = scenario.users.dump();
    await send({ account: BOB, type: "oauth/event-type/tokens-revoked" });
    expect(scenario.users.dump()).toEqual(before);
  });

  it("with several events has the effect of each", async () => {
    await scenario.connect(BOB);
    scenario.clock.advance(HOUR_MS);
    const subject = (email: string) => ({
      subject: {
        subject_type: "id_token_claims",
        iss: "https://accounts.google.com",
        sub: scenario.stored(email).id,
        email: "somebody-else@example.com",
      },
    });
    const token = scenario.emulator.sign({
      iss: "https://accounts.google.com",
      aud: ["another-client", DEFAULT_CLIENT.clientId],
      iat: Math.floor(scenario.clock.now().getTime() / 1_000),
      jti: "two",
      events: {
        "https://schemas.openid.net/secevent/risc/event-type/account-disabled": subject(ADA),
        "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked": subject(BOB),
      },
    });
    expect((await post(token)).status).toBe(202);
    expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");
    expect(scenario.stored(BOB).status).toBe("reauthorization_required");
  });

  describe("delivered more than once", () => {
    it("acts once, and is recorded for a month under a name that reveals nothing", async () => {
      const token = signed({ type: "oauth/event-type/tokens-revoked", jti: "the-jti" });
      expect((await post(token)).status).toBe(202);
      const expireAt = Object.values(scenario.seenEvents.dump()).map((noted) => noted.expireAt);
      expect(expireAt).toHaveLength(1);
      expect(Number(expireAt[0]) - scenario.clock.now().getTime()).toBeGreaterThan(29 * DAY_MS);
      expect(JSON.stringify(scenario.seenEvents.dump())).not.toContain("the-jti");

      scenario.emulator.changePassword(ADA);
      await scenario.connect(ADA, { exists: true });
      const before = scenario.users.dump();
      expect((await post(token)).status).toBe(202);
      expect(scenario.users.dump()).toEqual(before);
      expect(scenario.logged("security_event_repeated")).toHaveLength(1);
    });

    it("at once publishes under one id", async () => {
      const token = signed({ type: "oauth/event-type/tokens-revoked" });
      const responses = await Promise.all([1, 2, 3, 4].map(() => post(token)));
      expect(responses.map(({ status }) => status)).toEqual([202, 202, 202, 202]);
      expect(types()).toEqual(["mailbox.connected", "mailbox.reauthorization_required"]);
      expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    });

    it("is repeated if it could not be recorded, and changes nothing more", async () => {
      const { seenEvents } = scenario;
      const add = seenEvents.add;
      seenEvents.add = () => Promise.reject(new Error("the store is down"));
      const token = signed({ type: "oauth/event-type/tokens-revoked" });
      expect((await post(token)).status).toBe(503);
      expect(scenario.stored(ADA).status).toBe("reauthorization_required");
      const before = scenario.users.dump();

      seenEvents.add = add;
      expect((await post(token)).status).toBe(202);
      expect(scenario.users.dump()).toEqual(before);
      expect(types().filter((type) => type === "mailbox.reauthorization_required")).toHaveLength(1);
    });
  });

  describe("that cannot be processed now", () => {
    it("is retried by Google when the store does not answer, and nothing is recorded", async () => {
      const { users } = scenario;
      const find = users.find;
      users.find = () => Promise.reject(new Error("the store is down"));
      const token = signed({ type: "oauth/event-type/tokens-revoked" });
      const response = await post(token);
      expect(response.status).toBe(503);
      expect(await response.json()).toEqual({ error: "try again later" });
      expect(scenario.seenEvents.dump()).toEqual({});

      users.find = find;
      expect((await post(token)).status).toBe(202);
      expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    });

    it("is accepted when the topic is unavailable; the reconciliation publishes it", async () => {
      scenario.topic.failure = new PublishFailure("transient", "unavailable");
      await send({ type: "oauth/event-type/tokens-revoked" });
      expect(types()).toEqual(["mailbox.connected"]);
      scenario.topic.failure = undefined;
      scenario.clock.advance(5 * MINUTE_MS);
      await scenario.runSchedule("mailboxReconciliation");
      expect(types()).toEqual(["mailbox.connected", "mailbox.reauthorization_required"]);
    });
  });

  it("for so many users that it looks like a mistake stops flagging, and lets a refresh decide", async () => {
    const crowd = Array.from({ length: 24 }, (_, index) => `person${index}@example.com`);
    for (const email of crowd) await scenario.connect(email);
    scenario.clock.advance(HOUR_MS);
    // No refresh succeeds: nothing shows that the grants of others live.
    scenario.emulator.faults.failNext({
      method: "token.refresh",
      count: "all",
      preset: "unavailable",
    });
    for (const account of crowd) await send({ type: "oauth/event-type/tokens-revoked", account });
    const statuses = crowd.map((email) => scenario.stored(email).status);
    expect(statuses.filter((status) => status === "reauthorization_required")).toHaveLength(20);
    expect(statuses.filter((status) => status === "active")).toHaveLength(4);
    expect(scenario.logged("fleet_guard")).toHaveLength(1);
    scenario.emulator.faults.clear();
    const left = crowd.slice(20);
    const now = scenario.clock.now();
    for (const email of left) {
      const { dueAt = new Date(Number.NaN) } = scenario.stored(email).sync;
      expect(dueAt.getTime()).toBeLessThanOrEqual(now.getTime());
    }
    // One of them was a mistake indeed: their tokens work, and so does their mail.
    const [mistaken = "", ...ended] = left;
    for (const email of ended) scenario.emulator.changePassword(email);
    scenario.clock.advance(11 * MINUTE_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.stored(mistaken).status).toBe("active");
    for (const email of ended) {
      expect(scenario.stored(email).statusReason).toBe("invalid_grant");
    }
  });

  it("leaves no secret in the store or the log", async () => {
    const tokens = ["prefix", "hash"].map((by) =>
      signed({
        type: "oauth/event-type/token-revoked",
        refreshToken: { token: refreshTokenOf(ADA), namedBy: by as "prefix" | "hash" },
      }),
    );
    for (const token of tokens) await post(token);
    await post(`${tokens[0]}x`);
    const shown = `${JSON.stringify([scenario.users.dump(), scenario.seenEvents.dump()])}${scenario.logs.join("")}`;
    const secrets = [...scenario.emulator.secretsIssued(), refreshTokenOf(ADA).slice(0, 16)];
    for (const secret of [...secrets, ...tokens]) expect(shown).not.toContain(secret);
  });
});
