import { type Answer, ok } from "./answer.ts";
import { invalidArgument, metadataScopeForbids, notFound } from "./errors.ts";
import type { Google } from "./google.ts";
import { isOutlived, readMaxResults } from "./history-list.ts";
import { isReadable, isSeen, type Mailbox, type Message } from "./mailbox.ts";
import type { MethodCall } from "./methods.ts";
import { isLimitedToMetadata } from "./scopes.ts";

const RESULTS_DEFAULT = 100;
const RESULTS_MAX = 500;
const SNIPPET_MAX = 200;

export const SYSTEM_LABELS = [
  "INBOX",
  "UNREAD",
  "STARRED",
  "IMPORTANT",
  "SENT",
  "DRAFT",
  "TRASH",
  "SPAM",
  "CHAT",
  "CATEGORY_PERSONAL",
  "CATEGORY_SOCIAL",
  "CATEGORY_PROMOTIONS",
  "CATEGORY_UPDATES",
  "CATEGORY_FORUMS",
];

export function isSystemLabel(labelId: string): boolean {
  return SYSTEM_LABELS.includes(labelId);
}

/** Gmail `users.messages.list`: newest first, without spam and trash unless asked for. */
export function listMessages(
  google: Google,
  mailbox: Mailbox,
  scopes: ReadonlySet<string>,
  query: URLSearchParams,
): Answer {
  const search = query.get("q");
  if (search !== null && isLimitedToMetadata(scopes)) {
    return metadataScopeForbids("does not support 'q' parameter");
  }
  const times = readSearch(search);
  if (times === undefined) return invalidArgument("The emulator searches by after: and before:");
  const asked = readMaxResults(query.get("maxResults"), RESULTS_DEFAULT, RESULTS_MAX);
  if (asked === undefined) return invalidArgument("Invalid value for maxResults");
  const wanted = Math.min(asked, google.settings.messagePageMax);
  const position = readPosition(google, query.get("pageToken"));
  if (position === "invalid") return invalidArgument("Invalid pageToken");

  const labelIds = query.getAll("labelIds");
  const unknown = labelIds.find((label) => !hasLabel(mailbox, label));
  if (unknown !== undefined && google.settings.unknownLabel === "refused") {
    return invalidArgument(`Invalid label: ${unknown}`);
  }
  const hidden = query.get("includeSpamTrash") === "true" ? [] : ["SPAM", "TRASH"];
  const found = [...mailbox.messages.values()]
    .filter(
      (message) =>
        isSeen(google, mailbox, message.added) &&
        labelIds.every((label) => message.labelIds.includes(label)) &&
        !hidden.some((label) => message.labelIds.includes(label) && !labelIds.includes(label)) &&
        message.internalDate >= times.after &&
        message.internalDate < times.before &&
        (position === undefined || compareNewestFirst(position, message) < 0),
    )
    .toSorted(compareNewestFirst);
  const page = found.slice(0, wanted);
  const last = page.at(-1);
  return ok({
    ...(page.length > 0 && { messages: page.map(({ id, threadId }) => ({ id, threadId })) }),
    ...(last !== undefined &&
      page.length < found.length && { nextPageToken: pageToken(google, last) }),
    resultSizeEstimate: found.length,
  });
}

/** Whether the mailbox knows a label: one of Gmail's own, or one that was made here. */
export function hasLabel({ userLabels }: Mailbox, labelId: string): boolean {
  return isSystemLabel(labelId) || userLabels.has(labelId);
}

interface Position {
  listedAt: number;
  serial: number;
}

function compareNewestFirst(a: Position, b: Position): number {
  return b.listedAt - a.listedAt || b.serial - a.serial;
}

const pageToken = ({ now, settings }: Google, { listedAt, serial }: Position) => {
  const token = Buffer.from(`m${listedAt}.${serial}.${now()}`).toString("base64url");
  return token.padEnd(settings.pageTokenCharactersMin, ".");
};

function readPosition(google: Google, text: string | null): Position | undefined | "invalid" {
  if (text === null) return undefined;
  const [, listedAt, serial, issuedAt] =
    /^m(\d{1,15})\.(\d{1,9})\.(\d{1,15})$/.exec(
      Buffer.from(text.replace(/\.+$/, ""), "base64url").toString(),
    ) ?? [];
  if (listedAt === undefined || serial === undefined) return "invalid";
  if (isOutlived(google, Number(issuedAt))) return "invalid";
  return { listedAt: Number(listedAt), serial: Number(serial) };
}

/** Gmail's search by epoch seconds is all that is understood; `undefined` for anything else. */
function readSearch(search: string | null): { after: number; before: number } | undefined {
  const times = { after: 0, before: Number.POSITIVE_INFINITY };
  for (const term of (search ?? "").split(" ").filter((text) => text !== "")) {
    const [, name, seconds] = /^(after|before):(\d{1,12})$/.exec(term) ?? [];
    if (name !== "after" && name !== "before") return undefined;
    times[name] = Number(seconds) * 1000;
  }
  return times;
}

const FORMATS = ["minimal", "metadata", "full", "raw"];

/** Gmail `users.messages.get`. */
export function getMessage(
  google: Google,
  mailbox: Mailbox,
  scopes: ReadonlySet<string>,
  id: string,
  query: URLSearchParams,
): Answer {
  const format = (query.get("format") ?? "full").toLowerCase();
  if (!FORMATS.includes(format)) return invalidArgument("Invalid value for format");
  const limited = isLimitedToMetadata(scopes);
  if (limited && (format === "full" || format === "raw")) {
    return metadataScopeForbids(`doesn't allow format ${format.toUpperCase()}`);
  }
  if (!/^[0-9a-f]{1,16}$/.test(id)) return invalidArgument("Invalid id value");
  const message = mailbox.messages.get(id);
  if (message === undefined || !isReadable(google, message.added)) return notFound();

  return ok({
    id,
    threadId: message.threadId,
    labelIds: message.labelIds,
    ...(!limited && { snippet: message.text.slice(0, SNIPPET_MAX) }),
    sizeEstimate: rawMail(message).length,
    historyId: String(message.historyId),
    internalDate: String(message.internalDate),
    ...(format === "raw" && { raw: Buffer.from(rawMail(message)).toString("base64url") }),
    ...(format === "metadata" && { payload: headersOnly(message, query) }),
    ...(format === "full" && { payload: wholePayload(message) }),
  });
}

function headerList(message: Message): { name: string; value: string }[] {
  return Object.entries(message.headers).map(([name, value]) => ({ name, value }));
}

function headersOnly(message: Message, query: URLSearchParams): Record<string, unknown> {
  const wanted = query.getAll("metadataHeaders").map((name) => name.toLowerCase());
  const headers = headerList(message).filter(
    ({ name }) => wanted.length === 0 || wanted.includes(name.toLowerCase()),
  );
  return { mimeType: "text/plain", headers };
}

function wholePayload(message: Message): Record<string, unknown> {
  const headers = headerList(message);
  const data = Buffer.from(message.text);
  const body = { size: data.length, data: data.toString("base64url") };
  const text = { mimeType: "text/plain", filename: "", body };
  if (message.attachments.length === 0) return { ...text, partId: "", headers };
  const files = message.attachments.map(({ filename, mimeType, data: file }, index) => ({
    partId: String(index + 1),
    mimeType,
    filename,
    headers: [],
    body: { attachmentId: attachmentId(message.id, index), size: file.length },
  }));
  const parts = [{ ...text, partId: "0", headers: [] }, ...files];
  return {
    partId: "",
    mimeType: "multipart/mixed",
    filename: "",
    headers,
    body: { size: 0 },
    parts,
  };
}

function attachmentId(messageId: string, index: number): string {
  return Buffer.from(`attachment ${index} of ${messageId}`).toString("base64url");
}

/** Gmail `users.messages.attachments.get`. */
export function getAttachment({ google, account, token, ids }: MethodCall): Answer {
  const [messageId = "", id = ""] = ids;
  if (isLimitedToMetadata(token.scopes)) return metadataScopeForbids("doesn't allow attachments");
  const message = account.mailbox.messages.get(messageId);
  if (message === undefined || !isReadable(google, message.added)) return notFound();
  const attachment = message.attachments.find((_, index) => attachmentId(messageId, index) === id);
  if (attachment === undefined) return invalidArgument("Invalid attachment token");
  const { data } = attachment;
  return ok({ size: data.length, data: data.toString("base64url") });
}

function rawMail(message: Message): string {
  const head = headerList(message).map(({ name, value }) => `${name}: ${value}`);
  return [...head, "", message.text].join("\r\n");
}
