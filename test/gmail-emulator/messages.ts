import { type Answer, ok } from "./answer.ts";
import { rawOf } from "./content.ts";
import { invalidArgument, metadataScopeForbids, notFound } from "./errors.ts";
import type { Google } from "./google.ts";
import { isOutlived, readMaxResults } from "./history-list.ts";
import { isReadable, isSeen, type Mailbox } from "./mailbox.ts";
import type { MethodCall } from "./methods.ts";
import { attachmentOf, headersOnly, snippetOf, wholePayload } from "./payload.ts";
import { isLimitedToMetadata } from "./scopes.ts";
import { type Search, UnknownSearch, readSearch } from "./search.ts";

const RESULTS_DEFAULT = 100;
const RESULTS_MAX = 500;

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
  const found = trySearch(google, mailbox, search ?? "");
  if (found instanceof UnknownSearch) return invalidArgument(found.message);
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
  const isAll = query.get("includeSpamTrash") === "true" || found.includesHidden;
  const hidden = isAll ? [] : ["SPAM", "TRASH"];
  const listed = [...mailbox.messages.values()]
    .filter(
      (message) =>
        isSeen(google, mailbox, message.added) &&
        labelIds.every((label) => message.labelIds.includes(label)) &&
        !hidden.some((label) => message.labelIds.includes(label) && !labelIds.includes(label)) &&
        found.matches(message) &&
        (position === undefined || compareNewestFirst(position, message) < 0),
    )
    .toSorted(compareNewestFirst);
  const page = listed.slice(0, wanted);
  const last = page.at(-1);
  return ok({
    ...(page.length > 0 && { messages: page.map(({ id, threadId }) => ({ id, threadId })) }),
    ...(last !== undefined &&
      page.length < listed.length && { nextPageToken: pageToken(google, last) }),
    resultSizeEstimate: listed.length,
  });
}

function trySearch(google: Google, mailbox: Mailbox, query: string): Search | UnknownSearch {
  try {
    return readSearch(google, mailbox, query);
  } catch (error) {
    if (error instanceof UnknownSearch) return error;
    throw error;
  }
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

  const raw = rawOf(message.content);
  return ok({
    id,
    threadId: message.threadId,
    labelIds: message.labelIds,
    ...(!limited && { snippet: snippetOf(message) }),
    sizeEstimate: raw.length,
    historyId: String(message.historyId),
    internalDate: String(message.internalDate),
    ...(format === "raw" && { raw: raw.toString("base64url") }),
    ...(format === "metadata" && {
      payload: headersOnly(message, query.getAll("metadataHeaders")),
    }),
    ...(format === "full" && { payload: wholePayload(message) }),
  });
}

/** Gmail `users.messages.attachments.get`. */
export function getAttachment({ google, account, token, ids }: MethodCall): Answer {
  const [messageId = "", id = ""] = ids;
  if (isLimitedToMetadata(token.scopes)) return metadataScopeForbids("doesn't allow attachments");
  const message = account.mailbox.messages.get(messageId);
  if (message === undefined || !isReadable(google, message.added)) return notFound();
  const data = attachmentOf(message, id);
  if (data === undefined) return invalidArgument("Invalid attachment token");
  return ok({ size: data.length, data: data.toString("base64url") });
}
