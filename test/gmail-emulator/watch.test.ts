import type { gmail_v1 } from "googleapis/build/src/apis/gmail/index.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, gmailClient, refusalOf } from "./application.ts";
import { type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import type { Notification } from "./notifications.ts";

const ADA = "ada@example.com";
const TOPIC = "projects/demo-gmail-push/topics/gmail-notifications";
const OTHER_TOPIC = "projects/demo-gmail-push/topics/other";
const DAY_MS = 24 * 60 * 60_000;

describe("users.watch and users.stop", () => {
  let emulator: GmailEmulator;
  let gmail: gmail_v1.Gmail;
  let now: number;
  let notified: Notification[];

  beforeEach(async () => {
    now = Date.parse("2026-11-20T12:00:00Z");
    notified = [];
    emulator = await startGmailEmulator({
      now: () => now,
      settings: { accessTokenSeconds: 30 * 86_400 },
      topics: [TOPIC, OTHER_TOPIC],
      push: { kind: "callback", deliver: ({ notification }) => void notified.push(notification) },
    });
    emulator.createAccount({ email: ADA });
    gmail = gmailClient(emulator, (await connect(emulator, ADA)).accessToken);
  });
  afterEach(() => emulator.close());

  const watch = (body: gmail_v1.Schema$WatchRequest = {}) =>
    gmail.users.watch({ userId: "me", requestBody: { topicName: TOPIC, ...body } });
  const ids = () => notified.map(({ historyId }) => historyId);

  it("returns the head and an expiry in seven days, and notifies at once", async () => {
    const { historyId } = emulator.deliver(ADA);
    const { data } = await watch();
    expect(data).toEqual({ historyId, expiration: String(now + 7 * DAY_MS) });
    await emulator.idle();
    expect(notified).toMatchObject([{ emailAddress: ADA, historyId, topicName: TOPIC }]);
  });

  it("notifies of each change until it expires, and again once renewed", async () => {
    await watch();
    const { historyId } = emulator.deliver(ADA);
    now += 7 * DAY_MS;
    emulator.deliver(ADA);
    await emulator.idle();
    expect(ids().slice(1)).toEqual([historyId]);
    await watch();
    const later = emulator.deliver(ADA);
    await emulator.idle();
    expect(ids().at(-1)).toBe(later.historyId);
  });

  it("renews with the same topic, and rejects another one until stopped", async () => {
    await watch();
    now += DAY_MS;
    const { data } = await watch();
    expect(data.expiration).toBe(String(now + 7 * DAY_MS));
    expect(await refusalOf(watch({ topicName: OTHER_TOPIC }))).toEqual({
      status: 400,
      reason: "invalidArgument",
      message:
        "Only one user push notification client allowed per developer (call /stop then try again)",
    });
    const stopped = await gmail.users.stop({ userId: "me" });
    expect(stopped.status).toBe(204);
    expect((await watch({ topicName: OTHER_TOPIC })).status).toBe(200);
  });

  it("stops notifying after stop, or after the configured delay", async () => {
    emulator.settings.stopDelayMs = 1000;
    await watch();
    await gmail.users.stop({ userId: "me" });
    expect(emulator.account(ADA).watches).toMatchObject([{ active: false }]);
    const late = emulator.deliver(ADA);
    now += 1000;
    emulator.deliver(ADA);
    await emulator.idle();
    expect(ids().slice(1)).toEqual([late.historyId]);
  });

  it.each([
    ["of another project", "projects/elsewhere/topics/gmail-notifications"],
    ["with a newline at its end", `${TOPIC}\n`],
    ["by its short name", "gmail-notifications"],
  ])("refuses a topic %s", async (_, topicName) => {
    expect(await refusalOf(watch({ topicName }))).toEqual({
      status: 400,
      reason: "invalidArgument",
      message: "Invalid topicName does not match projects/demo-gmail-push/topics/*",
    });
  });

  it("rejects a topic that is missing or closed to Gmail, and keeps the present watch", async () => {
    await watch();
    emulator.setTopicPublishing(TOPIC, "forbidden");
    const forbidden = await refusalOf(watch());
    expect(forbidden).toMatchObject({ status: 403, reason: "forbidden" });
    expect(forbidden.message).toContain("User not authorized to perform this action.");
    emulator.removeTopic(TOPIC);
    const missing = await refusalOf(watch());
    expect(missing).toMatchObject({ status: 404 });
    expect(missing.message).toContain("Resource not found");
    expect(emulator.account(ADA).watches).toMatchObject([{ topicName: TOPIC, active: true }]);
  });

  it("notifies only of included labels, or not of excluded ones", async () => {
    await watch({ labelIds: ["SPAM"], labelFilterBehavior: "INCLUDE" });
    const spam = emulator.deliver(ADA, { labelIds: ["SPAM"] });
    const mail = emulator.deliver(ADA);
    await watch({ labelIds: ["SPAM"], labelFilterBehavior: "EXCLUDE" });
    emulator.deliver(ADA, { labelIds: ["SPAM"] });
    const wanted = emulator.deliver(ADA);
    await emulator.idle();
    expect(ids()).toEqual([expect.any(String), spam.historyId, mail.historyId, wanted.historyId]);
  });

  it("drops more than one notification per second, if configured", async () => {
    await watch();
    emulator.settings.notificationLimit = "one_per_second";
    const first = emulator.deliver(ADA);
    emulator.deliver(ADA);
    now += 1000;
    const third = emulator.deliver(ADA);
    await emulator.idle();
    expect(ids().slice(1)).toEqual([first.historyId, third.historyId]);
  });

  it("can notify of an id above the record, at the head or beyond it", async () => {
    await watch();
    emulator.settings.notificationIdAhead = "with_head";
    const first = emulator.deliver(ADA);
    await emulator.idle();
    const withHead = BigInt(ids().at(-1) ?? 0);
    expect(withHead > BigInt(first.historyId)).toBe(true);
    expect(emulator.account(ADA).historyId).toBe(String(withHead));

    emulator.settings.notificationIdAhead = "past_head";
    const second = emulator.deliver(ADA);
    await emulator.idle();
    const pastHead = BigInt(ids().at(-1) ?? 0);
    expect(emulator.account(ADA).historyId).toBe(second.historyId);
    expect(pastHead > BigInt(second.historyId)).toBe(true);
    expect(BigInt(emulator.deliver(ADA).historyId) > pastHead).toBe(true);
  });

  it("can notify of an unknown address and a meaningless id", async () => {
    emulator.publishNotification({ emailAddress: "nobody@example.com", historyId: "1" });
    await emulator.idle();
    expect(notified).toMatchObject([
      { emailAddress: "nobody@example.com", historyId: "1", topicName: TOPIC },
    ]);
  });

  it("notifies after a revocation, too, unless the watch is configured to end with the grant", async () => {
    await watch();
    emulator.revokeAccess(ADA);
    emulator.deliver(ADA);
    await emulator.idle();
    expect(notified).toHaveLength(2);

    emulator.settings.watchOutlivesGrant = false;
    emulator.revokeAccess(ADA);
    emulator.deliver(ADA);
    await emulator.idle();
    expect(notified).toHaveLength(2);
  });

  it("loses, repeats and reorders notifications if configured", async () => {
    await watch();
    await emulator.idle();
    notified.length = 0;
    emulator.loseNotifications(1);
    emulator.deliver(ADA);
    emulator.duplicateNotifications(1, 2);
    const repeated = emulator.deliver(ADA);
    emulator.holdNotifications();
    const a = emulator.deliver(ADA);
    const b = emulator.deliver(ADA);
    await emulator.idle();
    expect(ids()).toEqual(Array.from({ length: 3 }, () => repeated.historyId));
    emulator.releaseNotifications("reversed");
    await emulator.idle();
    expect(ids().slice(3)).toEqual([b.historyId, a.historyId]);
  });
});
