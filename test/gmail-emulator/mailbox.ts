import type { Content } from "./content.ts";
import type { Google } from "./google.ts";
import { idStep } from "./ids.ts";
import type { Header } from "./mime.ts";

/** A message as history names it. */
export interface MessageRef {
  readonly id: string;
  readonly threadId: string;
  /** After the change; before it, for a deleted message. */
  readonly labelIds: readonly string[];
}

/** The kinds are Gmail's `historyTypes`. */
export type HistoryItem =
  | { readonly kind: "messageAdded" | "messageDeleted"; readonly message: MessageRef }
  | {
      readonly kind: "labelAdded" | "labelRemoved";
      readonly message: MessageRef;
      /** The labels that changed. */
      readonly labelIds: readonly string[];
    };

export type HistoryType = HistoryItem["kind"];

export interface HistoryRecord {
  readonly id: bigint;
  readonly at: number;
  /** Counts the rewinds of the head: records of an earlier epoch are never listed again. */
  readonly epoch: number;
  readonly items: readonly HistoryItem[];
  /** When the index shows it: `Infinity` while it is held back. */
  readableAt: number;
  /** What its messages lack when they are listed. */
  readonly omits: readonly Omitted[];
  /** Listed as it is in place of what the items would give. */
  readonly raw?: Record<string, unknown>;
}

/** Fields of a message that history can leave out. */
export type Omitted = "threadId" | "labelIds";

export interface Message {
  readonly id: string;
  readonly threadId: string;
  /** Breaks ties between messages of one instant. */
  readonly serial: number;
  readonly internalDate: number;
  /** Where it stands in `messages.list`: as if it were of this date. */
  readonly listedAt: number;
  readonly headers: readonly Header[];
  readonly text: string;
  readonly content: Content;
  /** The record that added it: both become readable together. */
  readonly added: HistoryRecord;
  labelIds: string[];
  historyId: bigint;
}

/** A file in a message. */
export interface Attachment {
  readonly filename: string;
  readonly mimeType: string;
  readonly data: Buffer;
}

/** How long a new record stays unreadable after push and head have moved. */
export type IndexLag = { kind: "none" } | { kind: "delayed"; ms: number } | { kind: "held" };

/** The mail of one account. Nothing is ever removed from `history`: it is the truth. */
export interface Mailbox {
  /** What `getProfile`, `watch` and an empty listing tell. */
  head: bigint;
  /** The highest id given to anything, records and notifications alike. */
  allocated: bigint;
  /** Where history begins: an older `startHistoryId` is not found. */
  floor: bigint;
  epoch: number;
  readonly history: HistoryRecord[];
  readonly messages: Map<string, Message>;
  /** The labels that were made, by id, with what was said of each. */
  readonly userLabels: Map<string, Record<string, unknown>>;
  lag: IndexLag;
  /** What records written from now on lack. */
  omits: readonly Omitted[];
  /** Every `startHistoryId` is not found, the head itself included. */
  isHistoryLost: boolean;
  /** Reads come from a replica that is so far behind. */
  behindMs: number;
  /** Where the head has been since its last rewind, for such a replica. */
  heads: { at: number; head: bigint }[];
}

/** Beyond 2^53, where a JavaScript number can no longer tell neighbours apart. */
const FIRST_HISTORY_ID = 2n ** 53n;

export function createMailbox(google: Google, historyId?: bigint): Mailbox {
  const start = historyId ?? FIRST_HISTORY_ID + idStep(google.random, 1e6);
  return {
    head: start,
    allocated: start,
    floor: start,
    epoch: 0,
    history: [],
    messages: new Map(),
    userLabels: new Map(),
    lag: { kind: "none" },
    omits: [],
    isHistoryLost: false,
    behindMs: 0,
    heads: [{ at: google.now(), head: start }],
  };
}

export function nextHistoryId(google: Google, mailbox: Mailbox): bigint {
  mailbox.allocated += idStep(google.random, google.settings.historyIdStepMax);
  return mailbox.allocated;
}

/** Writes one record. The head moves at once; the index may lag behind. */
export function appendRecord(
  google: Google,
  mailbox: Mailbox,
  items: readonly HistoryItem[],
  raw?: Record<string, unknown>,
): HistoryRecord {
  const at = google.now();
  const record: HistoryRecord = {
    id: nextHistoryId(google, mailbox),
    at,
    epoch: mailbox.epoch,
    items,
    readableAt: readableAt(mailbox.lag, at),
    omits: mailbox.omits,
    ...(raw !== undefined && { raw }),
  };
  moveHead(google, mailbox, record.id);
  mailbox.history.push(record);
  for (const { message } of items) {
    const present = mailbox.messages.get(message.id);
    if (present !== undefined) present.historyId = record.id;
  }
  return record;
}

function readableAt(lag: IndexLag, at: number): number {
  switch (lag.kind) {
    case "none":
      return at;
    case "delayed":
      return at + lag.ms;
    case "held":
      return Number.POSITIVE_INFINITY;
  }
}

export function moveHead({ now }: Google, mailbox: Mailbox, head: bigint): void {
  mailbox.head = head;
  mailbox.heads.push({ at: now(), head });
}

/** The head as reads see it: of a moment ago where their replica is behind. */
export function seenHead({ now }: Google, { head, heads, behindMs }: Mailbox): bigint {
  if (behindMs === 0) return head;
  const seenAt = now() - behindMs;
  return (heads.findLast(({ at }) => at <= seenAt) ?? heads[0])?.head ?? head;
}

export function isReadable(google: Google, record: HistoryRecord): boolean {
  return record.readableAt <= google.now();
}

/** Whether reads show the record: those of a replica that is behind show it later. */
export function isSeen({ now }: Google, { behindMs }: Mailbox, record: HistoryRecord): boolean {
  return record.readableAt <= now() - behindMs;
}

/** Shows what the index holds back: one record, or all of them. */
export function revealRecords(google: Google, mailbox: Mailbox, historyId?: bigint): void {
  const now = google.now();
  for (const record of mailbox.history) {
    if (record.readableAt <= now) continue;
    if (historyId === undefined || record.id === historyId) record.readableAt = now;
  }
}

/** Gmail no longer keeps records up to this id, or up to the head. */
export function expireHistory(mailbox: Mailbox, upTo: bigint = mailbox.head): void {
  if (upTo > mailbox.floor) mailbox.floor = upTo;
}

/** The mailbox counts on from a lower id, as was seen in the field; its earlier records are gone. */
export function rewindHead({ now }: Google, mailbox: Mailbox, to: bigint): void {
  mailbox.epoch += 1;
  mailbox.head = to;
  mailbox.heads = [{ at: now(), head: to }];
  mailbox.allocated = to;
  if (mailbox.floor > to) mailbox.floor = to;
}

export function refOf(message: Message): MessageRef {
  return { id: message.id, threadId: message.threadId, labelIds: [...message.labelIds] };
}
