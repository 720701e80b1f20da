import type { gmail_v1 } from "googleapis/build/src/apis/gmail/index.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, gmailClient, refresh, refusalOf } from "./application.ts";
import { type GmailEmulator, startGmailEmulator } from "./emulator.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const userId = "me";

/** What real Google was seen to do and its documentation does not say. */
describe("an impolite Google", () => {
  let now: number;
  let emulator: GmailEmulator;
  let ada: gmail_v1.Gmail;
  let bob: gmail_v1.Gmail;
  let start: string;
  let refreshToken: string;

  beforeEach(async () => {
    now = Date.parse("2026-11-20T12:00:00Z");
    emulator = await startGmailEmulator({ now: () => now });
    start = emulator.createAccount({ email: ADA }).historyId;
    emulator.createAccount({ email: BOB });
    const connected = await connect(emulator, ADA);
    refreshToken = connected.refreshToken;
    ada = gmailClient(emulator, connected.accessToken);
    bob = gmailClient(emulator, (await connect(emulator, BOB)).accessToken);
  });
  afterEach(() => emulator.close());

  const history = (params: Partial<gmail_v1.Params$Resource$Users$History$List> = {}) =>
    ada.users.history.list({ userId, startHistoryId: start, ...params });
  const profile = (gmail: gmail_v1.Gmail) => gmail.users.getProfile({ userId });

  it("lists messages in the given order, not by date", async () => {
    const day = 24 * 3_600_000;
    const old = emulator.deliver(ADA, { internalDate: now - 40 * day, listedAt: now });
    const late = emulator.deliver(ADA, { internalDate: now, listedAt: now - day });
    const { data } = await ada.users.messages.list({ userId });
    expect(data.messages?.map(({ id }) => id)).toEqual([old.messageId, late.messageId]);
  });

  it("answers 404 to every start id while the history is lost, the head included", async () => {
    emulator.setHistory(ADA, "lost");
    const { data } = await profile(ada);
    const lost = history({ startHistoryId: String(data.historyId) });
    expect(await refusalOf(lost)).toMatchObject({ status: 404, reason: "notFound" });
    emulator.setHistory(ADA, "kept");
    expect((await history()).status).toBe(200);
  });

  it("rejects one account's calls of one method until that is lifted", async () => {
    emulator.refuse(ADA, { method: "history.list", preset: "callerForbidden" });
    for (let tries = 0; tries < 3; tries++) {
      expect(await refusalOf(history())).toMatchObject({ status: 403, reason: "forbidden" });
    }
    expect((await profile(ada)).status).toBe(200);
    expect((await profile(bob)).status).toBe(200);
    emulator.stopRefusing(ADA, "history.list");
    expect((await history()).status).toBe(200);
  });

  it("rejects a refresh with an unknown code", async () => {
    emulator.refuse(ADA, { method: "token.refresh", preset: "policyEnforced" });
    expect(await refresh(emulator, refreshToken)).toMatchObject({
      status: 400,
      body: { error: "policy_enforced" },
    });
    emulator.stopRefusing(ADA);
    expect((await refresh(emulator, refreshToken)).status).toBe(200);
  });

  it("rejects a label that the mailbox does not have, and accepts one without messages", async () => {
    const listed = () => ada.users.messages.list({ userId, labelIds: ["Label_9"] });
    expect(await refusalOf(listed())).toMatchObject({ status: 400, reason: "invalidArgument" });
    const topicName = "projects/demo-gmail-push/topics/gmail-notifications";
    const requestBody = { topicName, labelIds: ["Label_9"] };
    const watched = ada.users.watch({ userId, requestBody });
    expect(await refusalOf(watched)).toMatchObject({ status: 400, reason: "invalidArgument" });
    emulator.createLabel(ADA, "Label_9");
    expect((await listed()).data).toEqual({ resultSizeEstimate: 0 });
    expect((await ada.users.watch({ userId, requestBody })).status).toBe(200);
  });

  it("omits fields of the messages in history", async () => {
    emulator.omitFromHistory(ADA, ["threadId", "labelIds"]);
    const { messageId: id } = emulator.deliver(ADA);
    emulator.omitFromHistory(ADA, []);
    emulator.deliver(ADA);
    const { data } = await history();
    expect(data.history?.[0]).toMatchObject({ messages: [{ id }], messagesAdded: [{}] });
    expect(data.history?.[0]?.messagesAdded).toEqual([{ message: { id } }]);
    expect(data.history?.[1]?.messagesAdded?.[0]?.message).toHaveProperty("threadId");
  });

  it("uses another spelling in notifications and the profile than in the ID token", async () => {
    emulator.setMailAddress(ADA, "a.da@example.com");
    expect((await profile(ada)).data.emailAddress).toBe("a.da@example.com");
    expect((await ada.users.getProfile({ userId: "a.da@example.com" })).status).toBe(200);
    emulator.renameAddress(ADA, "lovelace@example.com");
    expect((await profile(ada)).data.emailAddress).toBe("lovelace@example.com");
  });

  it("turns a sent draft into a sent message under the same id", async () => {
    const { messageId } = emulator.saveDraft(ADA);
    const { historyId } = emulator.sendDraft(ADA, messageId);
    const { data } = await history();
    expect(data.history?.find(({ id }) => id === historyId)).toMatchObject({
      labelsAdded: [{ message: { id: messageId, labelIds: ["SENT"] }, labelIds: ["SENT"] }],
      labelsRemoved: [{ message: { id: messageId }, labelIds: ["DRAFT"] }],
    });
  });

  it("answers once that the state of the account is invalid", async () => {
    emulator.faults.failNext({ method: "history.list", preset: "accountStateInvalid" });
    expect(await refusalOf(history())).toMatchObject({ status: 401 });
    expect((await history()).status).toBe(200);
  });

  it("expires page tokens", async () => {
    emulator.settings.pageTokenMs = 600_000;
    for (let mails = 0; mails < 3; mails++) emulator.deliver(ADA);
    const { data: records } = await history({ maxResults: 1 });
    const { data: messages } = await ada.users.messages.list({ userId, maxResults: 1 });
    const next = {
      history: () => history({ maxResults: 1, pageToken: String(records.nextPageToken) }),
      messages: () =>
        ada.users.messages.list({ userId, pageToken: String(messages.nextPageToken) }),
    };
    now += 599_000;
    expect((await next.history()).status).toBe(200);
    expect((await next.messages()).status).toBe(200);
    now += 1_000;
    for (const call of [next.history, next.messages]) {
      expect(await refusalOf(call())).toMatchObject({ status: 400, reason: "invalidArgument" });
    }
  });

  it("answers from a replica that has not caught up", async () => {
    const first = emulator.deliver(ADA);
    now += 60_000;
    const second = emulator.deliver(ADA);
    emulator.setReplicaBehind(ADA, 30_000);
    const { data } = await history();
    expect(data.history?.map(({ id }) => id)).toEqual([first.historyId]);
    expect(data.historyId).toBe(first.historyId);
    expect((await profile(ada)).data.historyId).toBe(first.historyId);
    const { data: listed } = await ada.users.messages.list({ userId });
    expect(listed.messages?.map(({ id }) => id)).toEqual([first.messageId]);
    emulator.settings.startAboveHead = "not_found";
    expect(await refusalOf(history({ startHistoryId: second.historyId }))).toMatchObject({
      status: 404,
    });
    emulator.setReplicaBehind(ADA, 0);
    expect((await history()).data.historyId).toBe(second.historyId);
  });
});
