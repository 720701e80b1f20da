import { createRemoteJWKSet, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, gmailClient, refresh, refusalOf } from "./application.ts";
import { DEFAULT_CLIENT, type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import type { AccountTruth } from "./truth.ts";

const ADA = "ada@example.com";

describe("the control API", () => {
  let emulator: GmailEmulator;

  beforeEach(async () => {
    emulator = await startGmailEmulator();
  });
  afterEach(() => emulator.close());

  const post = async (path: string, body: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`${emulator.url}/emulator/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as Record<string, unknown>;
    return { status: response.status, answer, headers: response.headers };
  };

  it("performs people's actions, and returns the result", async () => {
    const created = await post("create-account", { email: ADA, name: "Ada" });
    expect(created).toMatchObject({ status: 200, answer: { email: ADA, messages: [] } });
    const { answer: delivered } = await post("deliver", { account: ADA, subject: "Hello" });
    const { messageId } = delivered;
    await post("star", { account: ADA, messageIds: messageId });
    await post("mark-read", { account: ADA, messageIds: [messageId] });
    const response = await fetch(`${emulator.url}/emulator/accounts/${ADA}`);
    const truth = (await response.json()) as AccountTruth;
    expect(truth.messages).toMatchObject([
      { id: messageId, subject: "Hello", labelIds: ["INBOX", "STARRED"] },
    ]);
    expect(truth.history).toHaveLength(3);
  });

  it("ends grants as the methods do", async () => {
    emulator.createAccount({ email: ADA });
    const { refreshToken } = await connect(emulator, ADA);
    expect((await post("change-password", { account: ADA })).status).toBe(200);
    expect((await refresh(emulator, refreshToken)).status).toBe(400);
  });

  it("sets faults, settings and the push target", async () => {
    emulator.createAccount({ email: ADA });
    const gmail = gmailClient(emulator, (await connect(emulator, ADA)).accessToken);
    await post("faults/fail-next", { method: "users.getProfile", preset: "domainPolicy" });
    const profile = gmail.users.getProfile({ userId: "me" });
    expect(await refusalOf(profile)).toMatchObject({ status: 403, reason: "domainPolicy" });
    await post("settings", { historyPageMax: 2, notificationHistoryId: "string" });
    expect(emulator.settings).toMatchObject({ historyPageMax: 2, emptyHistoryPages: 0 });
    expect(await post("set-push", { kind: "push", url: "http://127.0.0.1:1/" })).toMatchObject({
      status: 200,
    });
  });

  it("holds a call until it is released", async () => {
    const { answer } = await post("faults/hold", { method: "discovery" });
    const discovery = fetch(`${emulator.url}/.well-known/risc-configuration`);
    const first = await Promise.race([discovery, post("idle", {})]);
    expect(first).not.toBeInstanceOf(Response);
    await post("faults/release", { holdId: answer["holdId"] });
    expect((await discovery).status).toBe(200);
  });

  it("says what is wrong with an action, and does nothing", async () => {
    expect(await post("deliver", { account: ADA })).toMatchObject({
      status: 409,
      answer: { error: `no account has the address ${ADA}` },
    });
    expect((await post("deliver", { to: ADA })).status).toBe(400);
    expect((await post("settings", { historyPageMax: 0 })).status).toBe(400);
    expect((await post("settings", { noSuchSetting: 1 })).status).toBe(400);
    expect((await post("faults/fail-next", { method: "token", preset: "nonsense" })).status).toBe(
      400,
    );
    expect(emulator.settings.historyPageMax).toBe(500);
  });

  it("delivers no mail with a time that is no date", async () => {
    emulator.createAccount({ email: ADA });
    for (const time of [-1, 8.64e15 + 1]) {
      for (const field of ["internalDate", "listedAt"]) {
        expect((await post("deliver", { account: ADA, [field]: time })).status).toBe(400);
      }
    }
    expect(emulator.account(ADA).messages).toEqual([]);
  });

  it("accepts commands from pages on loopback, and from no page of the web", async () => {
    const local = await post("create-account", { email: ADA }, { origin: "http://localhost:3000" });
    expect(local.status).toBe(200);
    expect(local.headers.get("access-control-allow-origin")).toBe("http://localhost:3000");
    const web = await post("delete-account", { account: ADA }, { origin: "https://evil.example" });
    expect(web.status).toBe(403);
    expect(emulator.account(ADA).standing).toBe("active");
  });

  it("returns its whole state without a secret", async () => {
    emulator.createAccount({ email: ADA });
    await connect(emulator, ADA);
    const response = await fetch(`${emulator.url}/emulator/state`);
    const state = await response.text();
    expect(JSON.parse(state)).toMatchObject({
      accounts: [{ email: ADA, refreshTokens: [{ clientId: DEFAULT_CLIENT.clientId }] }],
      push: { pending: 0 },
    });
    for (const secret of emulator.secretsIssued()) expect(state).not.toContain(secret);
  });

  it("signs security events that verify with the published keys", async () => {
    const { sub } = emulator.createAccount({ email: ADA });
    const { answer } = await post("security-event", {
      type: "risc/event-type/account-disabled",
      audience: DEFAULT_CLIENT.clientId,
      account: ADA,
      detail: { reason: "hijacking" },
    });
    const keys = createRemoteJWKSet(new URL(`${emulator.url}/oauth2/v3/certs`));
    const { payload } = await jwtVerify(String(answer["token"]), keys, {
      issuer: "https://accounts.google.com/",
      audience: DEFAULT_CLIENT.clientId,
    });
    expect(payload["events"]).toEqual({
      "https://schemas.openid.net/secevent/risc/event-type/account-disabled": {
        subject: { subject_type: "iss-sub", iss: "https://accounts.google.com/", sub },
        reason: "hijacking",
      },
    });
    expect(payload).not.toHaveProperty("exp");
  });
});
