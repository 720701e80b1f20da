import type { gmail_v1 } from "googleapis/build/src/apis/gmail/index.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, gmailClient, refusalOf } from "./application.ts";
import { type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import { GMAIL_SCOPES } from "./scopes.ts";

const ADA = "ada@example.com";
const READONLY = `openid email ${GMAIL_SCOPES.readonly}`;

describe("messages, labels and profile", () => {
  let emulator: GmailEmulator;
  let limited: gmail_v1.Gmail;
  let gmail: gmail_v1.Gmail;
  const userId = "me";

  beforeEach(async () => {
    emulator = await startGmailEmulator();
    emulator.createAccount({ email: ADA });
    gmail = gmailClient(emulator, (await connect(emulator, ADA, { scope: READONLY })).accessToken);
    limited = gmailClient(emulator, (await connect(emulator, ADA)).accessToken);
  });
  afterEach(() => emulator.close());

  const count = async (query: gmail_v1.Params$Resource$Users$Messages$List) =>
    (await limited.users.messages.list({ userId, ...query })).data.messages?.length ?? 0;
  const get = (id: string) => limited.users.messages.get({ userId, id, format: "minimal" });

  it("lists messages by arrival, newest first, page by page", async () => {
    const dates = [3000, 1000, 2000, 2000];
    const sent = dates.map((internalDate) => emulator.deliver(ADA, { internalDate }).messageId);
    const first = await limited.users.messages.list({ userId, maxResults: 3 });
    emulator.deliver(ADA);
    const pageToken = String(first.data.nextPageToken);
    const second = await limited.users.messages.list({ userId, maxResults: 3, pageToken });
    const listed = [first, second].flatMap(({ data }) => data.messages?.map(({ id }) => id));
    expect(listed).toEqual([sent[0], sent[3], sent[2], sent[1]]);
    expect(second.data.nextPageToken).toBeUndefined();
  });

  it("omits `messages` from an empty mailbox's list", async () => {
    const { data } = await limited.users.messages.list({ userId });
    expect(data).toEqual({ resultSizeEstimate: 0 });
  });

  it("hides spam and trash unless they are asked for", async () => {
    const { messageId } = emulator.deliver(ADA);
    emulator.trash(ADA, messageId);
    expect(await count({})).toBe(0);
    expect(await count({ includeSpamTrash: true })).toBe(1);
    expect(await count({ labelIds: ["TRASH"] })).toBe(1);
    expect(await count({ includeSpamTrash: true, labelIds: ["INBOX"] })).toBe(0);
  });

  it("rejects a search under the metadata scope, even together with a wider one", async () => {
    const scope = `${READONLY} ${GMAIL_SCOPES.metadata}`;
    const both = gmailClient(emulator, (await connect(emulator, ADA, { scope })).accessToken);
    for (const client of [limited, both]) {
      expect(await refusalOf(client.users.messages.list({ userId, q: "after:0" }))).toEqual({
        status: 403,
        reason: "forbidden",
        message: "Metadata scope does not support 'q' parameter",
      });
    }
    emulator.deliver(ADA, { internalDate: 5_000 });
    const newer = await gmail.users.messages.list({ userId, q: "after:6" });
    expect(newer.data.messages).toBeUndefined();
    const found = await gmail.users.messages.list({ userId, q: "after:5" });
    expect(found.data.messages).toHaveLength(1);
  });

  it("returns metadata but no content under the metadata scope", async () => {
    const { messageId: id, historyId } = emulator.deliver(ADA, {
      subject: "Hello",
      text: "the content",
      internalDate: 1_700_000_000_000,
    });
    const minimal = await get(id);
    expect(minimal.data).toMatchObject({ id, historyId, internalDate: "1700000000000" });
    expect(minimal.data.labelIds).toEqual(["UNREAD", "INBOX"]);
    expect(minimal.data).not.toHaveProperty("payload");
    expect(minimal.data).not.toHaveProperty("snippet");
    const metadata = await limited.users.messages.get({
      userId,
      id,
      format: "metadata",
      metadataHeaders: ["subject"],
    });
    expect(metadata.data.payload?.headers).toEqual([{ name: "Subject", value: "Hello" }]);
    for (const format of ["full", "raw", undefined]) {
      const call = limited.users.messages.get({ userId, id, ...(format && { format }) });
      const refusal = await refusalOf(call);
      expect(refusal).toMatchObject({ status: 403, reason: "forbidden" });
      expect(refusal.message).toContain("Metadata scope doesn't allow format");
    }
  });

  it("returns content under a wider scope", async () => {
    const { messageId: id } = emulator.deliver(ADA, { text: "the content" });
    const { data } = await gmail.users.messages.get({ userId, id });
    expect(data.snippet).toBe("the content");
    const body = Buffer.from(data.payload?.body?.data ?? "", "base64url");
    expect(body.toString()).toBe("the content");
    const raw = await gmail.users.messages.get({ userId, id, format: "raw" });
    expect(Buffer.from(raw.data.raw ?? "", "base64url").toString()).toContain(
      "\r\n\r\nthe content",
    );
  });

  it("returns with a message the id of the last record about it", async () => {
    const { messageId } = emulator.deliver(ADA);
    emulator.deliver(ADA);
    const { historyId } = emulator.star(ADA, messageId);
    emulator.deliver(ADA);
    expect((await get(messageId)).data.historyId).toBe(historyId);
  });

  it("answers 404 for a message that was deleted or never existed", async () => {
    const { messageId: id } = emulator.deliver(ADA);
    emulator.deleteMessage(ADA, id);
    expect(await refusalOf(get(id))).toMatchObject({ status: 404, reason: "notFound" });
    expect(await refusalOf(get("no such message"))).toMatchObject({ status: 400 });
  });

  it("returns the profile with the head, and the labels with those that a person made", async () => {
    const { messageId } = emulator.deliver(ADA);
    const { historyId } = emulator.addLabels(ADA, messageId, ["Receipts"]);
    const { data } = await limited.users.getProfile({ userId });
    expect(data).toEqual({ emailAddress: ADA, messagesTotal: 1, threadsTotal: 1, historyId });
    const labels = await gmail.users.labels.list({ userId });
    expect(labels.data.labels).toContainEqual({ id: "Receipts", name: "Receipts", type: "user" });
    expect(labels.data.labels?.some(({ id }) => id === "INBOX")).toBe(true);
  });

  it("delivers what one account sends to another, and to itself as one message", async () => {
    emulator.createAccount({ email: "grace@example.com" });
    emulator.send(ADA, { to: "grace@example.com", subject: "Hello" });
    const labels = (address: string) => emulator.account(address).messages.map((m) => m.labelIds);
    expect(labels(ADA)).toEqual([["SENT"]]);
    expect(labels("grace@example.com")).toEqual([["UNREAD", "INBOX"]]);
    emulator.send(ADA, { to: ADA });
    expect(labels(ADA)).toEqual([["SENT"], ["UNREAD", "SENT", "INBOX"]]);
  });
});
