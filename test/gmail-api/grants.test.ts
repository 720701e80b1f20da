import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { INSTANCES_MAX } from "../../functions/src/google/quota.ts";
import settings from "../../functions/src/entries/functions.json" with { type: "json" };
import { type Scenario, startScenario } from "../support/scenario.ts";
import { call, clientOf } from "./calls.ts";

/**
 * Goal: a call of a subscriber uses the stored grant as the sync does. It refreshes once, confirms a
 * refusal, flags only a user whose own grant has ended, and costs no write while the token is valid.
 */

const ADA = "ada@example.com";
const HOUR_MS = 3_600_000;
const LINK = /"url":"http:\/\/127\.0\.0\.1:\d+\/reauthorize\/[^"]+"/;

let scenario: Scenario;
let userId: string;

async function start(env: Record<string, string> = {}): Promise<void> {
  scenario = await startScenario({ env: { GMAIL_SCOPES: "gmail.readonly", ...env } });
  await scenario.connect(ADA);
  userId = scenario.stored(ADA).id;
}
beforeEach(() => start());
afterEach(() => scenario.close());

const profile = () => call(scenario, `/gmail/v1/users/${userId}/profile`);
const message = (id: string) => call(scenario, `/gmail/v1/users/${userId}/messages/${id}`);

describe("the access token", () => {
  it("costs one read and no write while the stored one is valid", async () => {
    await profile();
    scenario.emulator.resetCalls();
    const before = { ...scenario.users.operations };
    for (let i = 0; i < 3; i++) expect((await profile()).status).toBe(200);
    const { reads, writes } = scenario.users.operations;
    expect([reads - before.reads, writes - before.writes]).toEqual([3, 0]);
    expect(scenario.emulator.calls.map(({ method }) => method)).toEqual(
      Array(3).fill("users.getProfile"),
    );
  });

  it("is refreshed once, and stored once, for all calls that need a new one", async () => {
    scenario.clock.advance(2 * HOUR_MS);
    scenario.emulator.resetCalls();
    const { writes } = scenario.users.operations;
    const all = await Promise.all(Array.from({ length: 8 }, () => profile()));
    expect(all.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(scenario.emulator.countCalls("token.refresh")).toBe(1);
    expect(scenario.users.operations.writes - writes).toBe(1);
    await profile();
    expect(scenario.emulator.countCalls("token.refresh")).toBe(1);
  });

  it("is replaced when Gmail refuses the stored one, and the call is repeated with its body", async () => {
    await scenario.close();
    await start({ GMAIL_SCOPES: "gmail.modify", GMAIL_API_METHODS: "read,modify" });
    const { messageId: id } = scenario.emulator.deliver(ADA, {});
    await scenario.settled();
    scenario.emulator.expireAccessTokens(ADA);
    const requestBody = { addLabelIds: ["STARRED"] };
    const { data } = await clientOf(scenario).messages.modify({ userId, id, requestBody });
    expect(data.labelIds).toContain("STARRED");
    expect(scenario.stored(ADA).status).toBe("active");
  });
});

describe("a grant that has ended", () => {
  it("is found by a call: the user is flagged and subscribers hear of it", async () => {
    expect((await profile()).status).toBe(200);
    scenario.emulator.revokeAccess(ADA);
    const { status, reason, body } = await profile();
    expect([status, reason]).toEqual([409, "reauthorizationRequired"]);
    expect(body).toMatch(LINK);
    expect(scenario.stored(ADA)).toMatchObject({
      status: "reauthorization_required",
      statusReason: "invalid_grant",
    });
    const published = scenario.events(ADA).map(({ attributes }) => attributes["ce-type"]);
    expect(published.at(-1)).toMatch(/mailbox\.reauthorization_required$/);

    scenario.emulator.resetCalls();
    expect((await profile()).status).toBe(409);
    expect(scenario.emulator.calls).toEqual([]);
    const state = JSON.parse((await call(scenario, `/users/${userId}`)).body);
    expect(state).toMatchObject({
      status: "reauthorization_required",
      statusReason: "invalid_grant",
    });
    expect(state.reauthorizeUrl).toContain("/reauthorize/");
  });

  it("flags no user when the person has connected again in the meantime", async () => {
    scenario.emulator.revokeAccess(ADA);
    const hold = scenario.emulator.faults.hold("token.refresh");
    const pending = profile();
    await hold.arrived;
    await scenario.connect(ADA, { exists: true });
    hold.release();
    expect([await pending].map(({ status, reason }) => [status, reason])).toEqual([
      [503, "backendError"],
    ]);
    expect(scenario.stored(ADA).status).toBe("active");
    expect((await profile()).status).toBe(200);
  });

  it.each(["users.getProfile", "token"])(
    "serves no %s for a mailbox that is paused while its grant is refreshed",
    async (what) => {
      await scenario.close();
      await start({ GMAIL_API_METHODS: "read,token" });
      scenario.clock.advance(2 * HOUR_MS);
      scenario.emulator.resetCalls();
      const hold = scenario.emulator.faults.hold("token.refresh", { count: 1 });
      const pending =
        what === "token"
          ? call(scenario, `/users/${userId}/access-token`, { method: "POST" })
          : profile();
      await hold.arrived;
      const { users } = scenario;
      const paused = { status: "paused", statusReason: "operator_request" } as const;
      await users.update(await scenario.read(ADA), paused);
      hold.release();
      const { status, reason } = await pending;
      expect([status, reason]).toEqual([503, "backendError"]);
      expect(scenario.emulator.countCalls("users.getProfile")).toBe(0);
    },
  );

  it("gets an error for a mailbox that Google has disabled", async () => {
    scenario.emulator.setMailService(ADA, "off");
    const { status, reason } = await profile();
    expect([status, reason]).toEqual([403, "mailboxUnavailable"]);
    expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");
    scenario.emulator.resetCalls();
    expect((await profile()).reason).toBe("mailboxUnavailable");
    expect(scenario.emulator.calls).toEqual([]);
  });

  it("is no user any more once the person has disconnected", async () => {
    const { users } = scenario;
    const user = await scenario.read(ADA);
    await users.update(user, { status: "disconnected", statusReason: "user_request" });
    expect((await profile()).reason).toBe("notFound");
    const state = JSON.parse((await call(scenario, `/users/${userId}`)).body);
    expect(state.status).toBe("disconnected");
  });
});

describe("a failure that is not the user's", () => {
  it("flags no user when the OAuth client is wrong, and asks the client to wait", async () => {
    scenario.clock.advance(2 * HOUR_MS);
    scenario.emulator.setClientSecret(scenario.config.oauth.clientId, "another");
    const { status, reason, headers } = await profile();
    expect([status, reason, headers.get("retry-after")]).toEqual([503, "backendError", "60"]);
    expect(scenario.stored(ADA).status).toBe("active");
  });

  it("is neither tried nor reported again and again for a caller that does not wait", async () => {
    scenario.clock.advance(2 * HOUR_MS);
    const { clientId, clientSecret } = scenario.config.oauth;
    scenario.emulator.setClientSecret(clientId, "another");
    scenario.emulator.resetCalls();
    for (let i = 0; i < 5; i++) expect((await profile()).status).toBe(503);
    expect(scenario.logged("misconfigured").length).toBeLessThanOrEqual(2);
    expect(scenario.emulator.countCalls("token.refresh")).toBeLessThan(5);
    scenario.emulator.setClientSecret(clientId, clientSecret);
    scenario.clock.advance(5_000);
    expect((await profile()).status).toBe(200);
  });

  it("rests a minute after three users were refused for the project", async () => {
    const emails = ["bob", "cyd", "dan"].map((name) => `${name}@example.com`);
    for (const email of emails) await scenario.connect(email);
    const ids = [ADA, ...emails].map((email) => scenario.stored(email).id);
    scenario.emulator.setGmailApi("disabled");
    scenario.emulator.resetCalls();
    for (const id of ids) {
      const { status } = await call(scenario, `/gmail/v1/users/${id}/profile`);
      expect(status).toBe(503);
    }
    expect(scenario.emulator.countCalls("users.getProfile")).toBe(3);
    expect(scenario.logged("circuit_open")).toHaveLength(1);
    scenario.emulator.setGmailApi("enabled");
    scenario.clock.advance(61_000);
    const [last = ""] = ids.slice(-1);
    expect((await call(scenario, `/gmail/v1/users/${last}/profile`)).status).toBe(200);
    expect((await profile()).status).toBe(200);
  });

  it("does not rest because requests of subscribers are wrong", async () => {
    const emails = ["bob", "cyd", "dan"].map((name) => `${name}@example.com`);
    for (const email of emails) await scenario.connect(email);
    for (const email of emails) {
      scenario.emulator.refuse(email, { method: "users.getProfile", preset: "callerForbidden" });
      const { id } = scenario.stored(email);
      expect((await call(scenario, `/gmail/v1/users/${id}/profile`)).status).toBe(403);
    }
    expect((await profile()).status).toBe(200);
    expect(scenario.logged("circuit_open")).toEqual([]);
  });

  it("hands on a limit of Gmail with the time to wait", async () => {
    scenario.emulator.faults.failNext({
      method: "users.getProfile",
      preset: "userRateLimitExceeded",
    });
    const { status, reason, headers } = await profile();
    expect([status, reason]).toEqual([403, "rateLimitExceeded"]);
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
  });

  it("hands on an error of Gmail's servers at once", async () => {
    scenario.emulator.faults.failNext({ method: "users.getProfile", preset: "backendError" });
    scenario.emulator.resetCalls();
    expect([await profile()].map(({ status, reason }) => [status, reason])).toEqual([
      [500, "backendError"],
    ]);
    expect(scenario.emulator.countCalls("users.getProfile")).toBe(1);
  });

  it("never sends a mail twice because its answer was lost", async () => {
    await scenario.close();
    await start({ GMAIL_SCOPES: "gmail.modify", GMAIL_API_METHODS: "read,compose" });
    scenario.emulator.faults.dropNext({ method: "messages.send", afterEffect: true });
    const raw = Buffer.from("To: bob@example.com\r\n\r\nHi").toString("base64url");
    const { status } = await call(scenario, `/gmail/v1/users/${userId}/messages/send`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ raw }),
    });
    expect(status).toBe(503);
    expect(scenario.emulator.countCalls("messages.send")).toBe(1);
  });

  it("asks the client to come back when the store does not respond", async () => {
    const { find } = scenario.users;
    const unavailable = Object.assign(new Error("14 UNAVAILABLE: the secret"), { code: 14 });
    scenario.users.find = () => Promise.reject(unavailable);
    const { status, reason, headers, body } = await profile();
    expect([status, reason, headers.get("retry-after")]).toEqual([503, "backendError", "1"]);
    expect(body).not.toContain("secret");
    scenario.users.find = find;
    expect((await profile()).status).toBe(200);
  });
});

describe("what the person granted", () => {
  it("is checked before Gmail is called", async () => {
    await scenario.close();
    await start({ GMAIL_SCOPES: "gmail.metadata", GMAIL_API_METHODS: "read,modify" });
    scenario.emulator.resetCalls();
    const { status, reason, body } = await call(
      scenario,
      `/gmail/v1/users/${userId}/messages/19a1/attachments/a`,
    );
    expect([status, reason]).toEqual([403, "insufficientPermissions"]);
    expect(body).toContain("gmail.readonly");
    expect(scenario.emulator.calls).toEqual([]);
    expect(scenario.stored(ADA).status).toBe("active");
  });

  it("is left to Gmail where the method is open and the format is not", async () => {
    await scenario.close();
    await start({ GMAIL_SCOPES: "gmail.metadata" });
    const { messageId } = scenario.emulator.deliver(ADA, {});
    const full = await message(`${messageId}?format=full`);
    expect([full.status, full.body]).toEqual([403, expect.stringContaining("Metadata scope")]);
    expect((await message(`${messageId}?format=metadata`)).status).toBe(200);
    expect(scenario.stored(ADA).status).toBe("active");
    expect(scenario.logged("misconfigured")).toEqual([]);
  });

  it("does not matter for a group that the operator does not allow", async () => {
    scenario.emulator.resetCalls();
    const paths: [method: string, path: string, group: string][] = [
      ["POST", `/gmail/v1/users/${userId}/messages/19a1/modify`, "modify"],
      ["POST", `/gmail/v1/users/${userId}/messages/send`, "compose"],
      ["POST", `/gmail/v1/users/${userId}/messages/import`, "import"],
      ["PUT", `/gmail/v1/users/${userId}/settings/vacation`, "settings"],
      ["POST", `/users/${userId}/access-token`, "token"],
    ];
    for (const [method, path, group] of paths) {
      const seen = await call(scenario, path, { method });
      expect([seen.status, seen.reason]).toEqual([405, "methodNotAllowed"]);
      expect(seen.body).toContain(`group ${group}`);
    }
    expect(scenario.emulator.calls).toEqual([]);
  });
});

describe("a message that Gmail does not show yet", () => {
  it("is asked for again for a few seconds", async () => {
    const { messageId } = scenario.emulator.deliver(ADA, {});
    await scenario.settled();
    const fault = { method: "messages.get", preset: "notFound", count: 2 } as const;
    scenario.emulator.faults.failNext(fault);
    expect((await message(messageId)).status).toBe(200);
    expect(scenario.emulator.countCalls("messages.get")).toBe(3);
  });

  it("is not asked for again for a person who has connected again in the meantime", async () => {
    const { messageId } = scenario.emulator.deliver(ADA, {});
    await scenario.settled();
    const body = { error: { code: 404, message: "", errors: [{ reason: "accountDeleted" }] } };
    scenario.emulator.faults.failNext({ method: "messages.get", status: 404, body });
    const hold = scenario.emulator.faults.hold("messages.get", { count: 1 });
    const pending = message(messageId);
    await hold.arrived;
    await scenario.connect(ADA, { exists: true });
    hold.release();
    const { status, reason } = await pending;
    expect([status, reason]).toEqual([503, "backendError"]);
    expect(scenario.emulator.countCalls("messages.get")).toBe(1);
  });

  it("is missing for good in the end", async () => {
    scenario.emulator.deliver(ADA, {});
    await scenario.settled();
    const { status, reason } = await message("19a1");
    expect([status, reason]).toEqual([404, "notFound"]);
    expect(scenario.emulator.countCalls("messages.get")).toBe(3);
  });

  it("is asked for once in a mailbox where nothing has happened", async () => {
    scenario.clock.advance(10 * 60_000);
    expect((await message("19a1")).status).toBe(404);
    expect(scenario.emulator.countCalls("messages.get")).toBe(1);
  });
});

describe("Gmail's quota", () => {
  it("is kept for each user, and other users do not wait", async () => {
    await scenario.connect("bob@example.com");
    const { id: bob } = scenario.stored("bob@example.com");
    const { messageId } = scenario.emulator.deliver(ADA, {});
    const seen = await Promise.all(Array.from({ length: 200 }, () => message(messageId)));
    const throttled = seen.filter(({ status }) => status === 429);
    // 1,800 units at once are 90 messages; three more each second.
    expect(seen.length - throttled.length).toBeGreaterThanOrEqual(90);
    expect(throttled.length).toBeGreaterThan(0);
    expect(throttled[0]?.reason).toBe("rateLimitExceeded");
    expect(throttled[0]?.headers.get("retry-after")).toBe("1");
    expect((await call(scenario, `/gmail/v1/users/${bob}/profile`)).status).toBe(200);
    scenario.clock.advance(1_000);
    expect((await message(messageId)).status).toBe(200);
  });

  it("is shared by as many instances as there can be", () => {
    expect(settings.gmailApi.maxInstances).toBe(INSTANCES_MAX);
  });
});
