import type { gmail_v1 } from "googleapis/build/src/apis/gmail/index.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, gmailClient, refresh, refusalOf, type Tokens } from "./application.ts";
import { type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import { GMAIL_SCOPES } from "./scopes.ts";

const ADA = "ada@example.com";
const GRACE = "grace@example.com";

describe("what ends or limits a grant", () => {
  let emulator: GmailEmulator;
  let tokens: Tokens;
  let gmail: gmail_v1.Gmail;
  let now: number;
  const userId = "me";

  beforeEach(async () => {
    now = Date.parse("2026-11-20T12:00:00Z");
    emulator = await startGmailEmulator({ now: () => now });
    emulator.createAccount({ email: ADA });
    emulator.createAccount({ email: GRACE });
    tokens = await connect(emulator, ADA);
    gmail = gmailClient(emulator, tokens.accessToken);
  });
  afterEach(() => emulator.close());

  const profile = () => gmail.users.getProfile({ userId });
  const expectRevoked = async ({ refreshToken }: Tokens) => {
    expect(await refresh(emulator, refreshToken)).toEqual({
      status: 400,
      body: { error: "invalid_grant", error_description: "Token has been expired or revoked." },
    });
  };

  it("ends only Gmail's refresh and access tokens when the password changes", async () => {
    const calendar = "openid https://www.googleapis.com/auth/calendar.readonly";
    const other = await connect(emulator, ADA, { scope: calendar, prompt: "consent" });
    const grace = await connect(emulator, GRACE);
    emulator.changePassword(ADA);
    await expectRevoked(tokens);
    expect(await refusalOf(profile())).toMatchObject({ status: 401, reason: "authError" });
    expect((await refresh(emulator, other.refreshToken)).status).toBe(200);
    expect((await refresh(emulator, grace.refreshToken)).status).toBe(200);
  });

  it("ends every token of the project when the person removes its access", async () => {
    const again = await connect(emulator, ADA, { prompt: "consent" });
    emulator.revokeAccess(ADA);
    await expectRevoked(tokens);
    await expectRevoked(again);
    expect(await refusalOf(profile())).toMatchObject({ status: 401 });
  });

  it("rejects a refresh while the administrator blocks the application", async () => {
    emulator.enforceAdminPolicy(ADA);
    expect(await refresh(emulator, tokens.refreshToken)).toMatchObject({
      status: 400,
      body: { error: "admin_policy_enforced" },
    });
    emulator.enforceAdminPolicy(ADA, false);
    expect((await refresh(emulator, tokens.refreshToken)).status).toBe(200);
  });

  it("has no mail service while it is off or the account is suspended", async () => {
    const off = {
      status: 400,
      reason: "failedPrecondition",
      message: "Mail service not enabled",
    };
    emulator.setMailService(ADA, "off");
    expect(await refusalOf(profile())).toEqual(off);
    emulator.setMailService(ADA, "on");
    expect((await profile()).status).toBe(200);
    emulator.suspend(ADA);
    expect(await refusalOf(profile())).toEqual(off);
    emulator.reinstate(ADA);
    expect((await profile()).status).toBe(200);
  });

  it("ends all tokens of a deleted account", async () => {
    emulator.deleteAccount(ADA);
    expect(await refresh(emulator, tokens.refreshToken)).toEqual({
      status: 400,
      body: { error: "invalid_grant", error_description: "Account has been deleted" },
    });
    expect(await refusalOf(profile())).toMatchObject({ status: 401 });
  });

  it("rejects an access token after its expiry, or earlier if configured", async () => {
    now += 3_599_000;
    expect(await refusalOf(profile())).toMatchObject({ status: 401, reason: "authError" });
    const { body } = await refresh(emulator, tokens.refreshToken);
    gmail = gmailClient(emulator, String(body["access_token"]));
    expect((await profile()).status).toBe(200);
    emulator.expireAccessTokens(ADA);
    expect(await refusalOf(profile())).toMatchObject({ status: 401 });
    expect((await refresh(emulator, tokens.refreshToken)).status).toBe(200);
  });

  it("asks for credentials when there are none", async () => {
    const response = await fetch(`${emulator.url}/gmail/v1/users/me/profile`);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { errors: [{ reason: "required" }] } });
  });

  it("rejects a token without the scope, in Google's newer format", async () => {
    const { accessToken } = await connect(emulator, GRACE, { scope: "openid email" });
    const response = await fetch(`${emulator.url}/gmail/v1/users/me/history?startHistoryId=1`, {
      headers: { authorization: `Bearer ${accessToken}` },
    });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({
      error: {
        status: "PERMISSION_DENIED",
        errors: [{ reason: "insufficientPermissions" }],
        details: [{ reason: "ACCESS_TOKEN_SCOPE_INSUFFICIENT" }],
      },
    });
    const labels = await connect(emulator, GRACE, { scope: `openid ${GMAIL_SCOPES.labels}` });
    const labelled = gmailClient(emulator, labels.accessToken);
    expect((await labelled.users.labels.list({ userId })).status).toBe(200);
    expect(await refusalOf(labelled.users.getProfile({ userId }))).toMatchObject({ status: 403 });
  });

  it("accepts a token for its own mailbox only", async () => {
    expect((await gmail.users.getProfile({ userId: "Ada@Example.com" })).status).toBe(200);
    expect(await refusalOf(gmail.users.getProfile({ userId: GRACE }))).toMatchObject({
      status: 403,
      message: `Delegation denied for ${ADA}`,
    });
  });

  it("rejects every call while the project's Gmail API is disabled", async () => {
    emulator.setGmailApi("disabled");
    expect(await refusalOf(profile())).toMatchObject({
      status: 403,
      reason: "accessNotConfigured",
    });
    emulator.setGmailApi("enabled");
    expect((await profile()).status).toBe(200);
  });

  it("rejects a user over the quota until the time that it names", async () => {
    emulator.settings.quota = { unitsPerUserMinute: 2, unitsPerProjectMinute: 3 };
    const grace = gmailClient(emulator, (await connect(emulator, GRACE)).accessToken);
    await profile();
    await profile();
    const refusal = await refusalOf(profile());
    expect(refusal).toMatchObject({ status: 403, reason: "rateLimitExceeded" });
    const retryAt = /Retry after (\S+)$/.exec(refusal.message)?.[1] ?? "";
    expect(Date.parse(retryAt)).toBe(now + 60_000);

    await grace.users.getProfile({ userId });
    expect(await refusalOf(grace.users.getProfile({ userId }))).toMatchObject({
      status: 403,
      reason: "rateLimitExceeded",
    });
    now = Date.parse(retryAt);
    expect((await profile()).status).toBe(200);
  });

  it("keeps tokens and mail when an address changes", async () => {
    emulator.deliver(ADA);
    emulator.renameAddress(ADA, "lovelace@example.com");
    const { data } = await profile();
    expect(data).toMatchObject({ emailAddress: "lovelace@example.com", messagesTotal: 1 });
    expect(emulator.findAccount(ADA)).toBeUndefined();
    expect(() => emulator.renameAddress(GRACE, "Lovelace@example.com")).toThrow("taken");
  });

  it("gives a moved address to a new account, and leaves the old one its tokens", async () => {
    const { sub } = emulator.account(ADA);
    const moved = emulator.moveAddress(ADA, { formerAddress: "old-ada@example.com" });
    expect(moved.sub).not.toBe(sub);
    expect(emulator.account(ADA).sub).toBe(moved.sub);
    const { data } = await profile();
    expect(data.emailAddress).toBe("old-ada@example.com");
  });

  it("counts the calls by method, group and account", async () => {
    emulator.resetCalls();
    await profile();
    await refresh(emulator, tokens.refreshToken);
    await refusalOf(gmail.users.history.list({ userId }));
    expect(emulator.calls.map(({ method, status }) => `${method} ${status}`)).toEqual([
      "users.getProfile 200",
      "token.refresh 200",
      "history.list 400",
    ]);
    expect(emulator.countCalls()).toBe(3);
    expect(emulator.countCalls("gmail", ADA)).toBe(2);
    expect(emulator.countCalls("token")).toBe(1);
    expect(emulator.countCalls("token", GRACE)).toBe(0);

    emulator.changePassword(ADA);
    await refusalOf(profile());
    expect(emulator.countCalls("gmail", ADA)).toBe(3);
  });
});
