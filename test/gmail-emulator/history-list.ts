import { type Answer, ok } from "./answer.ts";
import { invalidArgument, notFound } from "./errors.ts";
import type { Google } from "./google.ts";
import { parseHistoryId } from "./ids.ts";
import {
  type HistoryItem,
  type HistoryRecord,
  type HistoryType,
  isSeen,
  type Mailbox,
  type Omitted,
  seenHead,
} from "./mailbox.ts";

const RESULTS_DEFAULT = 100;
const RESULTS_MAX = 500;

const HISTORY_TYPES: readonly HistoryType[] = [
  "messageAdded",
  "messageDeleted",
  "labelAdded",
  "labelRemoved",
];

/** Gmail `users.history.list`: the readable records after `startHistoryId`, one page of them. */
export function listHistory(google: Google, mailbox: Mailbox, query: URLSearchParams): Answer {
  const start = parseHistoryId(query.get("startHistoryId"));
  if (start === undefined) return invalidArgument("Missing/invalid parameter: startHistoryId");
  const wanted = readMaxResults(query.get("maxResults"), RESULTS_DEFAULT, RESULTS_MAX);
  if (wanted === undefined) return invalidArgument("Invalid value for maxResults");
  const token = readPageToken(google, query.get("pageToken"));
  if (token === undefined) return invalidArgument("Invalid pageToken");
  if (token.after !== undefined && google.settings.pageTokenRefusals > 0) {
    google.settings.pageTokenRefusals -= 1;
    return invalidArgument("Invalid pageToken");
  }
  const types = query.getAll("historyTypes");
  if (types.some((type) => !isHistoryType(type))) return invalidArgument("Invalid historyTypes");

  const head = seenHead(google, mailbox);
  if (mailbox.isHistoryLost || start < mailbox.floor) return notFound();
  if (start > head && google.settings.startAboveHead === "not_found") return notFound();

  const historyId = String(head);
  const after = token.after ?? start;
  if (token.empties < google.settings.emptyHistoryPages) {
    return ok({ nextPageToken: pageToken(google, after, token.empties + 1), historyId });
  }

  const labelId = query.get("labelId");
  const pageMax = Math.min(wanted, google.settings.historyPageMax);
  // One more than the page holds tells whether there is another page.
  const found = findRecords(google, mailbox, after, { types, labelId, max: pageMax + 1 });
  const page = found.slice(0, pageMax);
  const last = page.at(-1);
  return ok({
    ...(page.length > 0 && { history: page.map(({ json }) => json) }),
    ...(last !== undefined &&
      page.length < found.length && { nextPageToken: pageToken(google, last.id, 0) }),
    historyId,
  });
}

interface Listed {
  id: bigint;
  json: Record<string, unknown>;
}

function findRecords(
  google: Google,
  mailbox: Mailbox,
  after: bigint,
  wanted: { types: readonly string[]; labelId: string | null; max: number },
): Listed[] {
  const { history, epoch, floor } = mailbox;
  // Ids rise within an epoch, so that reading from the end stays quick in a long history.
  const before = history.findLastIndex(
    ({ id, epoch: other }) => other !== epoch || id <= after || id <= floor,
  );
  const found: Listed[] = [];
  for (const record of history.slice(before + 1)) {
    if (found.length === wanted.max) break;
    if (!isSeen(google, mailbox, record)) continue;
    const json = toJson(record, wanted.types, wanted.labelId);
    if (json !== undefined) found.push({ id: record.id, json });
  }
  return found;
}

function isHistoryType(type: string): boolean {
  return HISTORY_TYPES.some((known) => known === type);
}

/** `undefined` for what Gmail refuses; more than it allows is cut, not refused. */
export function readMaxResults(
  text: string | null,
  standard: number,
  max: number,
): number | undefined {
  if (text === null) return standard;
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0) return undefined;
  return Math.min(Number(text), max);
}

interface PageToken {
  after?: bigint;
  /** Empty pages given since the last full one. */
  empties: number;
}

const pageToken = ({ now }: Google, after: bigint, empties: number) =>
  Buffer.from(`h${after}.${empties}.${now()}`).toString("base64url");

function readPageToken(google: Google, text: string | null): PageToken | undefined {
  if (text === null) return { empties: 0 };
  const [, digits, empties, issuedAt] =
    /^h(\d{1,20})\.(\d{1,4})\.(\d{1,15})$/.exec(Buffer.from(text, "base64url").toString()) ?? [];
  const after = parseHistoryId(digits);
  if (after === undefined || isOutlived(google, Number(issuedAt))) return undefined;
  return { after, empties: Number(empties) };
}

/** Whether a page token of then works no more. */
export function isOutlived({ now, settings: { pageTokenMs } }: Google, issuedAt: number): boolean {
  return pageTokenMs > 0 && now() >= issuedAt + pageTokenMs;
}

function toJson(
  record: HistoryRecord,
  types: readonly string[],
  labelId: string | null,
): Record<string, unknown> | undefined {
  const { id, raw } = record;
  if (raw !== undefined) return { id: String(id), ...raw };

  const items = record.items.filter(
    (item) =>
      (types.length === 0 || types.includes(item.kind)) &&
      (labelId === null || carries(item, labelId)),
  );
  if (items.length === 0) return undefined;

  const { omits } = record;
  const messages = new Map(items.map(({ message }) => [message.id, message]));
  const json: Record<string, unknown> = {
    id: String(id),
    messages: [...messages.values()].map((message) => ({
      id: message.id,
      ...(!omits.includes("threadId") && { threadId: message.threadId }),
    })),
  };
  for (const kind of HISTORY_TYPES) {
    const typed = items.filter((item) => item.kind === kind);
    if (typed.length > 0) json[FIELD_OF_TYPE[kind]] = typed.map((item) => itemToJson(item, omits));
  }
  return json;
}

const FIELD_OF_TYPE: Record<HistoryType, string> = {
  messageAdded: "messagesAdded",
  messageDeleted: "messagesDeleted",
  labelAdded: "labelsAdded",
  labelRemoved: "labelsRemoved",
};

function itemToJson(item: HistoryItem, omits: readonly Omitted[]): Record<string, unknown> {
  const { id, threadId, labelIds } = item.message;
  const message = {
    id,
    ...(!omits.includes("threadId") && { threadId }),
    ...(!omits.includes("labelIds") && { labelIds }),
  };
  return "labelIds" in item ? { message, labelIds: item.labelIds } : { message };
}

function carries(item: HistoryItem, labelId: string): boolean {
  if (item.message.labelIds.includes(labelId)) return true;
  return "labelIds" in item && item.labelIds.includes(labelId);
}
