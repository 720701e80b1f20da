import type { gmail_v1 } from "googleapis/build/src/apis/gmail/index.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, gmailClient, refusalOf } from "./application.ts";
import { type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import { GMAIL_SCOPES } from "./scopes.ts";

/** Goal: `q` finds what Gmail's search finds, as its help page describes the operators. */

const ADA = "ada@example.com";
const userId = "me";
const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 20, 12);

let emulator: GmailEmulator;
let users: gmail_v1.Resource$Users;
/** Subjects by message id. */
const subjects = new Map<string, string>();

beforeAll(async () => {
  emulator = await startGmailEmulator({ now: () => NOW });
  emulator.createAccount({ email: ADA });
  const scope = `openid email ${GMAIL_SCOPES.modify}`;
  ({ users } = gmailClient(emulator, (await connect(emulator, ADA, { scope })).accessToken));
  const { data: label } = await users.labels.create({
    userId,
    requestBody: { name: "Big Clients/North" },
  });
  const mails: [days: number, mail: Parameters<GmailEmulator["deliver"]>[1]][] = [
    [1, { from: "Bob Stone <bob@example.org>", subject: "Lunch plans", text: "Soup or salad?" }],
    [2, { from: "carol@example.org", subject: "Lunch menu", cc: "team@example.com" }],
    [3, { subject: "Plans for lunch", labelIds: ["STARRED", "IMPORTANT"] }],
    [
      10,
      {
        subject: "Contract",
        labelIds: ["INBOX", label.id ?? ""],
        attachments: [
          { filename: "offer.pdf", mimeType: "application/pdf", data: Buffer.alloc(5_000) },
        ],
      },
    ],
    [
      40,
      { subject: "Old", labelIds: ["CATEGORY_PROMOTIONS"], headers: { "Message-ID": "<old@x>" } },
    ],
    [400, { subject: "Ancient", bcc: "hidden@example.com" }],
    [1, { subject: "Gone", labelIds: ["TRASH"] }],
    [1, { subject: "Junk", labelIds: ["SPAM"] }],
  ];
  for (const [days, mail] of mails) {
    const internalDate = NOW - days * DAY_MS;
    subjects.set(emulator.deliver(ADA, { ...mail, internalDate }).messageId, mail?.subject ?? "");
  }
});
afterAll(() => emulator.close());

async function find(q: string): Promise<string[]> {
  const { data } = await users.messages.list({ userId, q });
  return (data.messages ?? []).map(({ id }) => subjects.get(id ?? "") ?? "?");
}

const VISIBLE = ["Lunch plans", "Lunch menu", "Plans for lunch", "Contract", "Old", "Ancient"];
const without = (...hidden: string[]) => VISIBLE.filter((subject) => !hidden.includes(subject));

describe("a search", () => {
  it.each([
    ["", VISIBLE],
    ["lunch", ["Lunch plans", "Lunch menu", "Plans for lunch"]],
    ["lun", []],
    ["LUNCH plans", ["Lunch plans", "Plans for lunch"]],
    ['"lunch plans"', ["Lunch plans"]],
    ["soup", ["Lunch plans"]],
    ["from:bob", ["Lunch plans"]],
    ["from:bob@example.org", ["Lunch plans"]],
    ['from:"Bob Stone"', ["Lunch plans"]],
    ["from:(bob OR carol)", ["Lunch plans", "Lunch menu"]],
    ["from:{bob carol}", ["Lunch plans", "Lunch menu"]],
    ["to:ada cc:team", ["Lunch menu"]],
    ["bcc:hidden", ["Ancient"]],
    ["subject:lunch -subject:menu", ["Lunch plans", "Plans for lunch"]],
    ["subject:(lunch plans)", ["Lunch plans", "Plans for lunch"]],
    ["-lunch", ["Contract", "Old", "Ancient"]],
    ["-{lunch contract}", ["Old", "Ancient"]],
    ["menu OR contract", ["Lunch menu", "Contract"]],
    ["lunch menu OR soup", ["Lunch plans", "Lunch menu"]],
    ["(lunch menu) OR contract", ["Lunch menu", "Contract"]],
    ["lunch AND menu", ["Lunch menu"]],
    ["in:inbox", without("Plans for lunch", "Old")],
    ["in:trash", ["Gone"]],
    ["in:spam", ["Junk"]],
    ["in:anywhere newer_than:1d", ["Junk", "Gone", "Lunch plans"]],
    ["label:big-clients-north", ["Contract"]],
    ["label:Big-Clients-South", []],
    ["is:unread subject:lunch", ["Lunch plans", "Lunch menu"]],
    ["is:read", ["Plans for lunch", "Contract", "Old"]],
    ["is:starred is:important", ["Plans for lunch"]],
    ["category:promotions", ["Old"]],
    ["has:attachment", ["Contract"]],
    ["has:userlabels", ["Contract"]],
    ["filename:pdf", ["Contract"]],
    ["filename:offer.pdf", ["Contract"]],
    ["larger:5K", ["Contract"]],
    ["smaller:5K", without("Contract")],
    ["rfc822msgid:<old@x>", ["Old"]],
    ["rfc822msgid:old@x", ["Old"]],
    ["newer_than:2d", ["Lunch plans", "Lunch menu"]],
    ["older_than:1m", ["Old", "Ancient"]],
    ["older_than:1y", ["Ancient"]],
    ["after:2026/11/18", ["Lunch plans", "Lunch menu"]],
    ["before:2026/11/18 after:11/1/2026", ["Plans for lunch", "Contract"]],
    ["before:2026-11-01", ["Old", "Ancient"]],
    [`after:${(NOW - 2 * DAY_MS) / 1_000}`, ["Lunch plans", "Lunch menu"]],
    [`before:${(NOW - 2 * DAY_MS) / 1_000}`, without("Lunch plans", "Lunch menu")],
  ])("finds by %j what Gmail finds: %j", async (q, found) => {
    expect(await find(q)).toEqual(found);
  });

  it("takes a day to begin at midnight in California", async () => {
    const edge = Date.UTC(2026, 10, 18, 8);
    const { messageId } = emulator.deliver(ADA, { subject: "Edge", internalDate: edge });
    const earlier = emulator.deliver(ADA, { subject: "Edge", internalDate: edge - 1 }).messageId;
    const ids = async (q: string) =>
      (await users.messages.list({ userId, q })).data.messages?.map(({ id }) => id) ?? [];
    expect(await ids("subject:edge after:2026/11/18")).toEqual([messageId]);
    expect(await ids("subject:edge before:2026/11/18")).toEqual([earlier]);
    emulator.deleteMessage(ADA, [messageId, earlier]);
  });

  it.each([
    ["near:lunch", "'near:'"],
    ["has:drive", "'has:drive'"],
    ["after:yesterday", "'after:yesterday'"],
    ["older_than:3w", "'older_than:3w'"],
    ["lunch)", "')'"],
  ])("is refused rather than misread: %j", async (q, part) => {
    const refusal = await refusalOf(users.messages.list({ userId, q }));
    expect(refusal).toMatchObject({ status: 400, message: expect.stringContaining(part) });
  });

  it("works for threads, too", async () => {
    const { data } = await users.threads.list({ userId, q: "from:bob" });
    expect(data.threads).toHaveLength(1);
  });
});
