import type { gmail_v1 } from "googleapis/build/src/apis/gmail/index.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, gmailClient, refresh, refusalOf, type Tokens } from "./application.ts";
import { type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import { PRESET_NAMES } from "./presets.ts";

const ADA = "ada@example.com";
const GRACE = "grace@example.com";
const TOPIC = "projects/demo-gmail-push/topics/gmail-notifications";

describe("faults", () => {
  let emulator: GmailEmulator;
  let tokens: Tokens;
  let gmail: gmail_v1.Gmail;
  const userId = "me";

  beforeEach(async () => {
    emulator = await startGmailEmulator();
    emulator.createAccount({ email: ADA });
    emulator.createAccount({ email: GRACE });
    tokens = await connect(emulator, ADA);
    gmail = gmailClient(emulator, tokens.accessToken);
  });
  afterEach(() => emulator.close());

  const profile = () => gmail.users.getProfile({ userId });
  const watch = () => gmail.users.watch({ userId, requestBody: { topicName: TOPIC } });
  const watches = () => emulator.account(ADA).watches.length;

  it("fail the given number of calls of one method", async () => {
    emulator.faults.failNext({ method: "users.getProfile", count: 2, preset: "unavailable" });
    expect((await gmail.users.messages.list({ userId })).status).toBe(200);
    expect(await refusalOf(profile())).toMatchObject({ status: 503 });
    expect(await refusalOf(profile())).toMatchObject({ status: 503 });
    expect((await profile()).status).toBe(200);
  });

  it("fail the calls of one account and of no other", async () => {
    const grace = gmailClient(emulator, (await connect(emulator, GRACE)).accessToken);
    emulator.faults.failNext({ method: "gmail", account: GRACE, count: "all", status: 500 });
    expect((await profile()).status).toBe(200);
    await expect(grace.users.getProfile({ userId })).rejects.toMatchObject({ status: 500 });
    emulator.faults.clear();
    expect((await grace.users.getProfile({ userId })).status).toBe(200);
  });

  it("answer with any status, body and headers", async () => {
    emulator.faults.failNext({
      method: "token",
      status: 429,
      body: "<html>slow down</html>",
      headers: { "retry-after": "7" },
    });
    const response = await fetch(`${emulator.url}/token`, { method: "POST" });
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("7");
    expect(await response.text()).toBe("<html>slow down</html>");
  });

  it("fail before the effect, or after it", async () => {
    emulator.faults.failNext({ method: "users.watch", preset: "backendError" });
    await refusalOf(watch());
    expect(watches()).toBe(0);
    emulator.faults.failNext({ method: "users.watch", preset: "backendError", afterEffect: true });
    await refusalOf(watch());
    expect(watches()).toBe(1);
  });

  it("cut the connection before the effect, or after it", async () => {
    emulator.faults.dropNext({ method: "users.watch" });
    await expect(watch()).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(watches()).toBe(0);
    emulator.faults.dropNext({ method: "users.watch", afterEffect: true });
    await expect(watch()).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(watches()).toBe(1);
    expect(emulator.calls.slice(-2).map(({ status }) => status)).toEqual([0, 0]);
    expect((await profile()).status).toBe(200);
  });

  it("hold a call until it is released", async () => {
    const hold = emulator.faults.hold("token.refresh");
    const order: string[] = [];
    const answered = refresh(emulator, tokens.refreshToken).then((answer) => {
      order.push("answered");
      return answer;
    });
    await hold.arrived;
    emulator.changePassword(ADA);
    order.push("password changed");
    hold.release();
    expect(await answered).toMatchObject({ status: 400 });
    expect(order).toEqual(["password changed", "answered"]);
    expect((await profile().catch(() => undefined))?.status).toBeUndefined();
  });

  it("hold a response after its effect", async () => {
    const hold = emulator.faults.hold("users.watch", { afterEffect: true });
    const answered = watch();
    await hold.arrived;
    expect(watches()).toBe(1);
    hold.release();
    expect((await answered).status).toBe(200);
  });

  it("release held calls when the emulator closes", async () => {
    const hold = emulator.faults.hold("users.getProfile");
    const outcome = profile().then(
      () => "answered",
      () => "cut",
    );
    await hold.arrived;
    await emulator.close();
    expect(["answered", "cut"]).toContain(await outcome);
    emulator = await startGmailEmulator();
  });

  it("delay a response by the given time", async () => {
    emulator.faults.delayNext({ method: "users.getProfile", ms: 60 });
    const before = performance.now();
    await profile();
    expect(performance.now() - before).toBeGreaterThan(55);
  });

  it("delay a call and then fail it, if both are set", async () => {
    emulator.faults.delayNext({ method: "gmail", ms: 1 });
    emulator.faults.failNext({ method: "users.getProfile", preset: "notFound" });
    expect(await refusalOf(profile())).toMatchObject({ status: 404 });
    expect((await profile()).status).toBe(200);
  });

  it.each(PRESET_NAMES)("know the preset %s", async (preset) => {
    emulator.faults.failNext({ method: "discovery", preset });
    const response = await fetch(`${emulator.url}/.well-known/risc-configuration`);
    const body = await response.text();
    expect(body).not.toContain("jwks_uri");
    const expected = /(\d{3})$/.exec(preset)?.[1];
    expect(response.status).toBe(expected === undefined ? response.status : Number(expected));
    expect(response.ok).toBe(expected === "200");
  });
});
