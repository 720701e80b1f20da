import { Readable } from "node:stream";
import type { gmail_v1 } from "googleapis/build/src/apis/gmail/index.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, gmailClient, refusalOf } from "./application.ts";
import { type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import { GMAIL_SCOPES } from "./scopes.ts";

const ADA = "ada@example.com";
const GRACE = "grace@example.com";
const userId = "me";

const lines = (...text: string[]) => text.join("\r\n");
const base64url = (text: string) => Buffer.from(text).toString("base64url");
const decoded = (data: string | null | undefined) =>
  Buffer.from(data ?? "", "base64url").toString();

const NESTED = lines(
  "From: =?UTF-8?Q?Gr=C3=A4ce?= <grace@example.com>",
  "To: ada@example.com",
  "Subject: =?ISO-8859-1?Q?Caf=E9?= =?UTF-8?B?IOKCrA==?=",
  "Message-ID: <nested@example.com>",
  "Received: from b by c",
  "Received: from a",
  " by b",
  'Content-Type: multipart/mixed; boundary="out er"',
  "",
  "A preamble.",
  "--out er",
  "Content-Type: multipart/alternative; boundary=inner",
  "",
  "--inner",
  "Content-Type: text/plain; charset=iso-8859-1",
  "Content-Transfer-Encoding: quoted-printable",
  "",
  "Un caf=E9 =",
  "noir",
  "--inner",
  "Content-Type: text/html",
  "",
  "<b>Un caf&eacute; noir</b>",
  "--inner--",
  "",
  "--out er",
  "Content-Type: application/pdf; name=menu.pdf",
  "Content-Disposition: attachment; filename*=UTF-8''men%C3%BC.pdf",
  "Content-Transfer-Encoding: base64",
  "",
  "JVBE",
  "Ri0=",
  "--out er--",
  "An epilogue.",
);

describe("mail through Google's client", () => {
  let emulator: GmailEmulator;
  let users: gmail_v1.Resource$Users;

  beforeEach(async () => {
    emulator = await startGmailEmulator();
    emulator.createAccount({ email: ADA });
    const scope = `openid email ${GMAIL_SCOPES.full}`;
    ({ users } = gmailClient(emulator, (await connect(emulator, ADA, { scope })).accessToken));
  });
  afterEach(() => emulator.close());

  /** For uploads, this library takes another address from the options of the call alone. */
  const uploading = () => ({ rootUrl: emulator.url });
  const get = async (id: string | null | undefined, format?: string) =>
    (await users.messages.get({ userId, id: id ?? "", ...(format && { format }) })).data;
  const header = ({ payload }: gmail_v1.Schema$Message, name: string) =>
    payload?.headers?.find((each) => each.name === name)?.value;

  describe("MIME", () => {
    it("returns a mail byte by byte as it was inserted", async () => {
      const { data } = await users.messages.insert({
        userId,
        requestBody: { raw: base64url(`Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n${NESTED}`) },
      });
      const raw = decoded((await get(data.id, "raw")).raw);
      expect(raw).toBe(`Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n${NESTED}`);
    });

    it("returns parts within parts, decoded, with the headers of each", async () => {
      const { messageId } = emulator.deliver(ADA, { raw: NESTED });
      const message = await get(messageId);
      expect(header(message, "From")).toBe("Gräce <grace@example.com>");
      expect(header(message, "Subject")).toBe("Café €");
      const received = message.payload?.headers?.filter(({ name }) => name === "Received");
      expect(received?.map(({ value }) => value)).toEqual(["from b by c", "from a by b"]);
      expect(message.payload).toMatchObject({
        mimeType: "multipart/mixed",
        partId: "",
        parts: [
          {
            partId: "0",
            mimeType: "multipart/alternative",
            parts: [
              { partId: "0.0", mimeType: "text/plain", filename: "" },
              { partId: "0.1", mimeType: "text/html", filename: "" },
            ],
          },
          { partId: "1", mimeType: "application/pdf", filename: "menü.pdf", body: { size: 5 } },
        ],
      });
      const [plain] = message.payload?.parts?.[0]?.parts ?? [];
      expect(Buffer.from(plain?.body?.data ?? "", "base64url").toString("latin1")).toBe(
        "Un café noir",
      );
      expect(message.snippet).toBe("Un café noir");
    });

    it("returns a file by the id that the payload names, and no other", async () => {
      const { messageId } = emulator.deliver(ADA, { raw: NESTED });
      const [, file] = (await get(messageId)).payload?.parts ?? [];
      const id = file?.body?.attachmentId ?? "";
      const found = await users.messages.attachments.get({ userId, messageId, id });
      expect(decoded(found.data.data)).toBe("%PDF-");
      const other = users.messages.attachments.get({ userId, messageId, id: "other" });
      expect(await refusalOf(other)).toMatchObject({ status: 400 });
    });

    it("writes what is delivered by its fields as a mail that reads the same", async () => {
      const data = Buffer.from("%PDF-1.7");
      const { messageId } = emulator.deliver(ADA, {
        from: "Jürgen Öztürk-Weiß aus Köln <j@example.com>",
        cc: GRACE,
        subject: "Grüße",
        text: "Äh",
        html: "<p>Äh</p>",
        attachments: [{ filename: "Größe.pdf", mimeType: "application/pdf", data }],
        headers: { "List-Id": "<news.example.com>" },
      });
      const written = decoded((await get(messageId, "raw")).raw);
      expect(written.slice(0, written.indexOf("\r\n\r\n"))).toMatch(/^[\0-\x7F]*$/);
      const copy = await users.messages.insert({
        userId,
        requestBody: { raw: base64url(written) },
      });
      const [first, second] = [await get(messageId), await get(copy.data.id)];
      expect(header(first, "From")).toBe("Jürgen Öztürk-Weiß aus Köln <j@example.com>");
      expect(header(first, "List-Id")).toBe("<news.example.com>");
      const withoutIds = JSON.stringify(second.payload).replaceAll(/"attachmentId":"[^"]*"/g, "");
      expect(withoutIds).toBe(
        JSON.stringify(first.payload).replaceAll(/"attachmentId":"[^"]*"/g, ""),
      );
      expect(first.payload?.parts?.map(({ filename }) => filename)).toEqual(["", "Größe.pdf"]);
    });

    it("takes the snippet from HTML where there is no text, and writes it for a page", async () => {
      const html = "<style>p{}</style><p>Tom &amp;\n <b>Jerry's</b></p>";
      const { messageId } = emulator.deliver(ADA, { html });
      expect((await get(messageId)).snippet).toBe("Tom &amp; Jerry&#39;s");
    });

    it.each([
      "",
      "no header",
      ": \r\n\r\n",
      "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x",
    ])("takes anything for a mail: %j", async (raw) => {
      const { messageId } = emulator.deliver(ADA, { raw });
      expect((await get(messageId)).payload?.mimeType).toMatch(/^(text|multipart)\//);
      expect(header(await get(messageId), "Message-ID")).toContain(messageId);
    });

    it("dates an imported mail by its header, and an inserted one by its arrival", async () => {
      const requestBody = { raw: base64url("Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\n") };
      const imported = await users.messages.import({ userId, requestBody });
      const inserted = await users.messages.insert({ userId, requestBody });
      const sent = String(Date.UTC(2026, 0, 1));
      expect((await get(imported.data.id)).internalDate).toBe(sent);
      expect((await get(inserted.data.id)).internalDate).not.toBe(sent);
      const internalDateSource = "dateHeader";
      const dated = await users.messages.insert({ userId, requestBody, internalDateSource });
      expect((await get(dated.data.id)).internalDate).toBe(sent);
    });
  });

  describe("sending", () => {
    beforeEach(() => {
      emulator.createAccount({ email: GRACE });
      emulator.createAccount({ email: "carol@example.com" });
    });

    const inbox = (email: string) => emulator.account(email).messages;
    const subjects = (email: string) => inbox(email).map(({ subject }) => subject);

    it("reaches everybody in To, Cc and Bcc, without telling of Bcc", async () => {
      const raw = lines(
        "From: ada@example.com",
        "To: Grace <grace@example.com>, nobody@elsewhere.example",
        "Bcc: carol@example.com",
        "Subject: Hello",
        "Message-ID: <hello@example.com>",
        "",
        "Hi",
      );
      const { data } = await users.messages.send({ userId, requestBody: { raw: base64url(raw) } });
      expect(header(await get(data.id), "Bcc")).toBe("carol@example.com");
      for (const email of [GRACE, "carol@example.com"]) {
        expect(subjects(email)).toEqual(["Hello"]);
        const scope = `openid email ${GMAIL_SCOPES.readonly}`;
        const { accessToken } = await connect(emulator, email, { scope });
        const received = await gmailClient(emulator, accessToken).users.messages.get({
          userId,
          id: inbox(email)[0]?.id ?? "",
        });
        expect(header(received.data, "Bcc")).toBeUndefined();
        expect(header(received.data, "Message-ID")).toBe("<hello@example.com>");
      }
    });

    it("puts the person's own address in the place of another's", async () => {
      const raw = base64url("From: grace@example.com\r\nSubject: Not me\r\n\r\n");
      const { data } = await users.messages.send({ userId, requestBody: { raw } });
      expect(header(await get(data.id), "From")).toBe(ADA);
    });

    it("sends a message to oneself as one, which is in the inbox, too", async () => {
      const raw = base64url("To: ada@example.com\r\n\r\n");
      const { data } = await users.messages.send({ userId, requestBody: { raw } });
      expect(data.labelIds).toEqual(["UNREAD", "SENT", "INBOX"]);
      expect(inbox(ADA)).toHaveLength(1);
    });

    it("puts an answer into the thread of what it answers, at both ends", async () => {
      const asked = emulator.send(GRACE, { to: ADA, subject: "Lunch?" });
      const [question] = inbox(ADA);
      const id = header(await get(question?.id), "Message-ID");
      const raw = base64url(`To: ${GRACE}\r\nSubject: Re: Lunch?\r\nIn-Reply-To: ${id}\r\n\r\nYes`);
      const sent = await users.messages.send({ userId, requestBody: { raw } });
      expect(sent.data.threadId).toBe(question?.threadId);
      expect(inbox(GRACE).map(({ threadId }) => threadId)).toEqual([
        asked.threadId,
        asked.threadId,
      ]);
      const thread = await users.threads.get({ userId, id: sent.data.threadId ?? "" });
      expect(thread.data.messages?.map((each) => header(each, "Subject"))).toEqual([
        "Lunch?",
        "Re: Lunch?",
      ]);
    });

    it.each([
      ["a mail alone", undefined],
      ["JSON and a mail", { labelIds: ["STARRED"] }],
    ])("takes an upload: %s", async (_, requestBody) => {
      const body = Readable.from([Buffer.from(NESTED)]);
      const { data } = await users.messages.insert(
        {
          userId,
          ...(requestBody && { requestBody }),
          media: { mimeType: "message/rfc822", body },
        },
        uploading(),
      );
      expect(decoded((await get(data.id, "raw")).raw)).toContain(NESTED);
      expect((await get(data.id)).labelIds).toEqual(requestBody?.labelIds ?? []);
    });
  });

  describe("drafts", () => {
    const message = (subject: string) => ({
      message: { raw: base64url(`To: ${GRACE}\r\nSubject: ${subject}\r\n\r\n`) },
    });

    it("keep their id while they are written, and are gone when they are sent", async () => {
      emulator.createAccount({ email: GRACE });
      const made = await users.drafts.create({ userId, requestBody: message("H") });
      const id = made.data.id ?? "";
      const saved = await users.drafts.update({ userId, id, requestBody: message("Hello") });
      expect(saved.data.id).toBe(id);
      expect(saved.data.message?.id).not.toBe(made.data.message?.id);
      const { data } = await users.drafts.get({ userId, id });
      expect(header(data.message ?? {}, "Subject")).toBe("Hello");
      const sent = await users.drafts.send({ userId, requestBody: { id } });
      expect(sent.data.labelIds).toEqual(["SENT"]);
      expect(emulator.account(GRACE).messages).toMatchObject([{ subject: "Hello" }]);
      expect((await users.drafts.list({ userId })).data.drafts).toBeUndefined();
    });

    it("are listed, too, when the person writes them, and deleted for good", async () => {
      const { messageId } = emulator.saveDraft(ADA, { subject: "By hand" });
      const { data } = await users.drafts.list({ userId });
      expect(data.drafts).toMatchObject([{ message: { id: messageId } }]);
      await users.drafts.delete({ userId, id: data.drafts?.[0]?.id ?? "" });
      expect((await users.drafts.list({ userId })).data.drafts).toBeUndefined();
      expect(emulator.account(ADA).messages).toEqual([]);
    });

    it("can be uploaded", async () => {
      const { data } = await users.drafts.create(
        {
          userId,
          requestBody: {},
          media: { mimeType: "message/rfc822", body: NESTED },
        },
        uploading(),
      );
      expect(decoded((await get(data.message?.id, "raw")).raw)).toContain(NESTED);
    });
  });

  describe("deletion for good", () => {
    it("takes a message, several in one record, or a thread", async () => {
      const alone = emulator.deliver(ADA);
      const [a, b] = [emulator.deliver(ADA), emulator.deliver(ADA)];
      const { threadId } = emulator.deliver(ADA);
      emulator.deliver(ADA, { threadId });
      await users.messages.delete({ userId, id: alone.messageId });
      const ids = [a.messageId, b.messageId, "0000000000000000"];
      await users.messages.batchDelete({ userId, requestBody: { ids } });
      await users.threads.delete({ userId, id: threadId });
      const { history, messages } = emulator.account(ADA);
      expect(messages).toEqual([]);
      const deleted = history.map(({ messagesDeleted }) => messagesDeleted.length);
      expect(deleted.filter((count) => count > 0)).toEqual([1, 2, 2]);
    });

    it("needs the widest scope", async () => {
      const { messageId: id } = emulator.deliver(ADA);
      const scope = `openid email ${GMAIL_SCOPES.modify}`;
      const { accessToken } = await connect(emulator, ADA, { scope });
      const narrow = gmailClient(emulator, accessToken).users.messages;
      expect(await refusalOf(narrow.delete({ userId, id }))).toMatchObject({
        status: 403,
        reason: "insufficientPermissions",
      });
    });
  });

  describe("labels", () => {
    it("are made, renamed, counted and deleted, from the messages as well", async () => {
      const made = await users.labels.create({ userId, requestBody: { name: "Bills" } });
      const id = made.data.id ?? "";
      const { messageId, threadId } = emulator.deliver(ADA, { labelIds: ["INBOX", "UNREAD", id] });
      emulator.deliver(ADA, { threadId, labelIds: [id] });
      await users.labels.patch({ userId, id, requestBody: { name: "Invoices" } });
      expect((await users.labels.get({ userId, id })).data).toMatchObject({
        name: "Invoices",
        type: "user",
        messagesTotal: 2,
        messagesUnread: 1,
        threadsTotal: 1,
        threadsUnread: 1,
      });
      await users.labels.delete({ userId, id });
      expect((await get(messageId)).labelIds).toEqual(["INBOX", "UNREAD"]);
      expect(await refusalOf(users.labels.get({ userId, id }))).toMatchObject({ status: 404 });
    });

    it("have names of their own", async () => {
      await users.labels.create({ userId, requestBody: { name: "Bills" } });
      const other = await users.labels.create({ userId, requestBody: { name: "Letters" } });
      const again = users.labels.create({ userId, requestBody: { name: "bills" } });
      expect(await refusalOf(again)).toMatchObject({ status: 409 });
      const id = other.data.id ?? "";
      const renamed = users.labels.update({ userId, id, requestBody: { name: "Bills" } });
      expect(await refusalOf(renamed)).toMatchObject({ status: 409 });
      await users.labels.update({ userId, id, requestBody: { name: "LETTERS" } });
    });
  });

  describe("calls", () => {
    it("change the labels of messages and threads, many messages in one record", async () => {
      const { messageId: id, threadId } = emulator.deliver(ADA, { labelIds: ["INBOX"] });
      const other = emulator.deliver(ADA, { threadId, labelIds: ["INBOX"] });
      const labelsOf = () => emulator.account(ADA).messages.map(({ labelIds }) => labelIds);
      const requestBody = { addLabelIds: ["STARRED"], removeLabelIds: ["INBOX"] };
      expect((await users.messages.modify({ userId, id, requestBody })).data.labelIds).toEqual([
        "STARRED",
      ]);
      const before = emulator.account(ADA).history.length;
      const ids = [id, other.messageId];
      await users.messages.batchModify({ userId, requestBody: { ids, addLabelIds: ["UNREAD"] } });
      expect(emulator.account(ADA).history).toHaveLength(before + 1);
      await users.messages.trash({ userId, id });
      expect(labelsOf()[0]).toContain("TRASH");
      await users.messages.untrash({ userId, id });
      await users.threads.trash({ userId, id: threadId });
      expect(labelsOf().every((labels) => labels.includes("TRASH"))).toBe(true);
      await users.threads.untrash({ userId, id: threadId });
      const read = { removeLabelIds: ["UNREAD"] };
      await users.threads.modify({ userId, id: threadId, requestBody: read });
      expect(labelsOf()).toEqual([["STARRED"], ["INBOX"]]);
    });
  });

  describe("settings", () => {
    it("are kept, and have no effect", async () => {
      const scope = `openid email ${GMAIL_SCOPES.settingsBasic}`;
      const { accessToken } = await connect(emulator, ADA, { scope });
      const { settings } = gmailClient(emulator, accessToken).users;
      const vacation = { enableAutoReply: true, responseSubject: "Away" };
      await settings.updateVacation({ userId, requestBody: vacation });
      expect((await settings.getVacation({ userId })).data).toMatchObject(vacation);
      await settings.updateImap({ userId, requestBody: { enabled: false } });
      expect((await settings.getImap({ userId })).data.enabled).toBe(false);
      await settings.updatePop({ userId, requestBody: { disposition: "trash" } });
      expect((await settings.getPop({ userId })).data.disposition).toBe("trash");

      const requestBody = { criteria: { from: "bob" }, action: { addLabelIds: ["STARRED"] } };
      const made = await settings.filters.create({ userId, requestBody });
      const id = made.data.id ?? "";
      expect((await settings.filters.get({ userId, id })).data).toMatchObject(requestBody);
      emulator.deliver(ADA, { from: "bob@example.com" });
      expect(emulator.account(ADA).messages[0]?.labelIds).not.toContain("STARRED");
      await settings.filters.delete({ userId, id });
      expect((await settings.filters.list({ userId })).data.filter).toBeUndefined();
    });
  });
});
