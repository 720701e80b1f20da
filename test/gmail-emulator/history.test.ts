import type { gmail_v1 } from "googleapis/build/src/apis/gmail/index.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, gmailClient, refusalOf } from "./application.ts";
import { type GmailEmulator, startGmailEmulator } from "./emulator.ts";

const ADA = "ada@example.com";

describe("users.history.list", () => {
  let emulator: GmailEmulator;
  let gmail: gmail_v1.Gmail;
  let start: string;

  beforeEach(async () => {
    emulator = await startGmailEmulator();
    start = emulator.createAccount({ email: ADA }).historyId;
    gmail = gmailClient(emulator, (await connect(emulator, ADA)).accessToken);
  });
  afterEach(() => emulator.close());

  const list = async (params: Partial<gmail_v1.Params$Resource$Users$History$List> = {}) =>
    (await gmail.users.history.list({ userId: "me", startHistoryId: start, ...params })).data;

  it("returns the records after the cursor, ordered by id, with ids above 2^53", async () => {
    const first = emulator.deliver(ADA);
    const second = emulator.deliver(ADA);
    const { history, historyId } = await list();
    expect(history?.map(({ id }) => id)).toEqual([first.historyId, second.historyId]);
    expect(historyId).toBe(second.historyId);
    expect(BigInt(start) > 2n ** 53n).toBe(true);
    const rest = await list({ startHistoryId: first.historyId });
    expect(rest.history?.map(({ id }) => id)).toEqual([second.historyId]);
  });

  it("omits `history` when nothing has happened", async () => {
    expect(await list()).toEqual({ historyId: start });
  });

  it("names each message in the typed list and again in `messages`", async () => {
    const { messageId: id, threadId } = emulator.deliver(ADA, { labelIds: ["INBOX"] });
    const { history } = await list();
    expect(history).toEqual([
      {
        id: expect.any(String),
        messages: [{ id, threadId }],
        messagesAdded: [{ message: { id, threadId, labelIds: ["INBOX"] } }],
      },
    ]);
  });

  it("returns which labels changed, and all labels after the change", async () => {
    const { messageId } = emulator.deliver(ADA);
    const { historyId } = emulator.trash(ADA, messageId);
    const { history } = await list();
    const record = history?.find(({ id }) => id === historyId);
    expect(record?.labelsAdded).toMatchObject([{ labelIds: ["TRASH"] }]);
    expect(record?.labelsRemoved).toMatchObject([
      { labelIds: ["INBOX"], message: { id: messageId, labelIds: ["UNREAD", "TRASH"] } },
    ]);
  });

  it("writes no record for a change that changes nothing", async () => {
    const { messageId, historyId } = emulator.deliver(ADA);
    expect(emulator.addLabels(ADA, messageId, ["INBOX"])).toEqual({ historyId });
    expect((await list()).history).toHaveLength(1);
  });

  it("replaces the message of a draft at each autosave", async () => {
    const draft = emulator.saveDraft(ADA);
    const saved = emulator.saveDraft(ADA, { replaces: draft.messageId });
    const { history = [] } = await list();
    const added = history.flatMap(({ messagesAdded = [] }) => messagesAdded);
    const deleted = history.flatMap(({ messagesDeleted = [] }) => messagesDeleted);
    expect(added.map(({ message }) => message?.id)).toEqual([draft.messageId, saved.messageId]);
    expect(deleted).toMatchObject([{ message: { id: draft.messageId, labelIds: ["DRAFT"] } }]);
    expect(saved.threadId).toBe(draft.threadId);
  });

  it("pages by `maxResults` and its own smaller limit, without loss or repetition", async () => {
    const ids = Array.from({ length: 7 }, () => emulator.deliver(ADA).historyId);
    emulator.settings.historyPageMax = 3;
    const pages: string[][] = [];
    let pageToken: string | null | undefined;
    do {
      const page: gmail_v1.Schema$ListHistoryResponse = await list({
        maxResults: 5,
        ...(pageToken && { pageToken }),
      });
      pages.push(page.history?.map(({ id }) => String(id)) ?? []);
      pageToken = page.nextPageToken;
    } while (pageToken && pages.length < 10);
    expect(pages.map(({ length }) => length)).toEqual([3, 3, 1]);
    expect(pages.flat()).toEqual(ids);
  });

  it("can return empty pages with a token before the records", async () => {
    emulator.deliver(ADA);
    emulator.settings.emptyHistoryPages = 1;
    const empty = await list();
    expect(empty.history).toBeUndefined();
    const page = await list({ pageToken: String(empty.nextPageToken) });
    expect(page.history).toHaveLength(1);
    expect(page.nextPageToken).toBeUndefined();
  });

  it("filters by type of change and by label", async () => {
    const { messageId } = emulator.deliver(ADA);
    emulator.star(ADA, messageId);
    emulator.deliver(ADA, { labelIds: ["SPAM"] });
    const starred = await list({ historyTypes: ["labelAdded"] });
    expect(starred.history).toHaveLength(1);
    expect(starred.history?.[0]?.messagesAdded).toBeUndefined();
    const spam = await list({ labelId: "SPAM" });
    expect(spam.history).toHaveLength(1);
  });

  it("answers 404 below the oldest record it keeps, and not at it", async () => {
    const { historyId } = emulator.deliver(ADA);
    emulator.deliver(ADA);
    emulator.expireHistory(ADA, historyId);
    expect(await refusalOf(list())).toMatchObject({ status: 404, reason: "notFound" });
    expect((await list({ startHistoryId: historyId })).history).toHaveLength(1);
  });

  it("rejects a missing or invalid start, and an unknown page token", async () => {
    const missing = gmail.users.history.list({ userId: "me" });
    expect(await refusalOf(missing)).toMatchObject({ status: 400, reason: "invalidArgument" });
    for (const startHistoryId of ["now", "-1", "99999999999999999999", "1.5"]) {
      expect(await refusalOf(list({ startHistoryId }))).toMatchObject({ status: 400 });
    }
    expect(await refusalOf(list({ pageToken: "next" }))).toMatchObject({ status: 400 });
  });

  it("rejects a valid page token if configured, but never a first page", async () => {
    emulator.deliver(ADA);
    emulator.deliver(ADA);
    emulator.settings.pageTokenRefusals = 1;
    const pageToken = String((await list({ maxResults: 1 })).nextPageToken);
    const refused = await refusalOf(list({ pageToken }));
    expect(refused).toMatchObject({ status: 400, reason: "invalidArgument" });
    expect((await list({ pageToken })).history).toHaveLength(1);
  });

  it("moves the head at once but shows held records only when revealed, in any order", async () => {
    emulator.setIndexLag(ADA, { kind: "held" });
    const first = emulator.deliver(ADA);
    const second = emulator.deliver(ADA);
    expect(await list()).toEqual({ historyId: second.historyId });
    const unseen = await gmail.users.messages.list({ userId: "me" });
    expect(unseen.data.messages).toBeUndefined();
    emulator.reveal(ADA, second.historyId);
    expect((await list()).history?.map(({ id }) => id)).toEqual([second.historyId]);
    expect(
      await refusalOf(
        gmail.users.messages.get({ userId: "me", id: first.messageId, format: "minimal" }),
      ),
    ).toMatchObject({ status: 404 });
    emulator.revealAll();
    expect((await list()).history).toHaveLength(2);
  });

  it("has a head below the cursor after a rewind, and lists nothing from before", async () => {
    const { historyId: cursor } = emulator.deliver(ADA);
    emulator.rewindHead(ADA, "1000");
    const after = await list({ startHistoryId: cursor });
    expect(after).toEqual({ historyId: "1000" });
    emulator.deliver(ADA);
    expect((await list({ startHistoryId: "1000" })).history).toHaveLength(1);
    expect(emulator.account(ADA).history.map(({ listed }) => listed)).toEqual([false, true]);
  });

  it("lists a raw record unchanged", async () => {
    emulator.appendRawRecord(ADA, { messagesAdded: [{ message: null }], surprise: true });
    expect((await list()).history).toMatchObject([{ surprise: true }]);
  });
});
