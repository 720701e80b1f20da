import { FailedCall, type Call } from "../domain/failure.ts";
import { type gmail_v1, gmail } from "googleapis/build/src/apis/gmail/index.js";
import type { Clock } from "../domain/clock.ts";
import { type EmailAddress, parseEmailAddress } from "../domain/email-address.ts";
import { type HistoryId, parseHistoryId } from "../domain/history-id.ts";
import type {
  HistoryItem,
  HistoryMessage,
  HistoryPage,
  HistoryRecord,
  MessageListing,
  MessagePage,
} from "../domain/history.ts";
import { DETAILED_HEADERS, type MessageDetail } from "../domain/events.ts";
import { classify } from "./classify.ts";

/** The response of `users.watch`. `expiresAt` is at most 7 days ahead. */
export interface WatchAnswer {
  historyId: HistoryId;
  expiresAt: Date;
}

/** The response of `users.getProfile`, as far as it is used. */
export interface Profile {
  /** The address in notifications of this mailbox. Absent when it cannot be read. */
  emailAddress?: EmailAddress;
  /** The mailbox's current head. */
  historyId: HistoryId;
}

/** The Gmail methods that the receiver uses. Each throws {@link FailedCall} and nothing else. */
export interface Gmail {
  /** `users.history.list`: one page of at most 500 records strictly after `after`, unfiltered. */
  listHistory(accessToken: string, after: HistoryId, pageToken?: string): Promise<HistoryPage>;
  /** `users.getProfile`. */
  getProfile(accessToken: string): Promise<Profile>;
  /**
   * `users.messages.list`: one page of at most `size` messages (Gmail's maximum is 500), newest
   * first, with spam and trash. Without `q`, which Gmail rejects under `gmail.metadata`.
   */
  listMessages(accessToken: string, listing: MessageListing, token?: string): Promise<MessagePage>;
  /** `users.messages.get` with `format=minimal`; returns only `internalDate`. */
  getInternalDate(accessToken: string, messageId: string): Promise<Date>;
  /** `users.messages.get` with `format=minimal`; returns only the labels. */
  getLabelIds(accessToken: string, messageId: string): Promise<readonly string[]>;
  /**
   * `users.messages.get` with `format=metadata`: what the message is about. Fails as `transient` after
   * `timeoutMs`.
   */
  getDetail(accessToken: string, messageId: string, timeoutMs: number): Promise<MessageDetail>;
  /** `users.watch`; Gmail then notifies once, immediately. */
  watch(accessToken: string, topicName: string, labelIds: readonly string[]): Promise<WatchAnswer>;
  /** `users.stop`; notifications may still arrive for some minutes. */
  stop(accessToken: string): Promise<void>;
}

/** Gmail's own maxima. */
const HISTORY_PAGE_SIZE = 500;
const MESSAGES_PAGE_SIZE_MAX = 500;
/** The limit of one call; a run has its own limit. */
const CALL_TIMEOUT_MS = 20_000;
const ME = "me";

/** The part of the googleapis client that is called. */
export type GmailUsers = Pick<
  gmail_v1.Resource$Users,
  "getProfile" | "history" | "messages" | "stop" | "watch"
>;

/**
 * Returns Gmail through the googleapis client, which neither retries, refreshes nor follows
 * redirects.
 */
export function gmailClient(rootUrl: string, clock: Clock): Gmail {
  const { users } = gmail({
    version: "v1",
    rootUrl,
    retry: false,
    timeout: CALL_TIMEOUT_MS,
    // A followed redirect would send the access token to any port and subdomain of the same host.
    redirect: "manual",
  });
  return gmailOf(users, clock);
}

/** Parses the client's responses, and classifies everything that it throws. */
export function gmailOf(users: GmailUsers, clock: Clock): Gmail {
  const as = (accessToken: string) => ({ headers: { authorization: `Bearer ${accessToken}` } });

  async function classified<T>(call: Call, request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      if (error instanceof FailedCall) throw error;
      throw new FailedCall(call, classify(call, error, clock.now()));
    }
  }

  return {
    listHistory: (accessToken, after, pageToken) =>
      classified("history.list", async () => {
        const { data } = await users.history.list(
          {
            userId: ME,
            startHistoryId: after,
            maxResults: HISTORY_PAGE_SIZE,
            ...(pageToken !== undefined && { pageToken }),
          },
          as(accessToken),
        );
        return toHistoryPage(data);
      }),

    getProfile: (accessToken) =>
      classified("users.getProfile", async () => {
        const { data } = await users.getProfile({ userId: ME }, as(accessToken));
        const historyId = readHistoryId("users.getProfile", data.historyId);
        const emailAddress = parseEmailAddress(data.emailAddress);
        return { historyId, ...(emailAddress !== undefined && { emailAddress }) };
      }),

    listMessages: (accessToken, { labelId, size = MESSAGES_PAGE_SIZE_MAX }, token) =>
      classified("messages.list", async () => {
        const { data } = await users.messages.list(
          {
            userId: ME,
            maxResults: size,
            includeSpamTrash: true,
            ...(labelId !== undefined && { labelIds: [labelId] }),
            ...(token !== undefined && { pageToken: token }),
          },
          as(accessToken),
        );
        return toMessagePage(data);
      }),

    getInternalDate: (accessToken, messageId) =>
      classified("messages.get", async () => {
        const { data } = await users.messages.get(
          { userId: ME, id: messageId, format: "minimal" },
          as(accessToken),
        );
        return toInternalDate(data);
      }),

    getLabelIds: (accessToken, messageId) =>
      classified("messages.get", async () => {
        const { data } = await users.messages.get(
          { userId: ME, id: messageId, format: "minimal" },
          as(accessToken),
        );
        // Otherwise a broken response would look like a message without labels, and publish a
        // draft.
        if (!isPlainObject(data) || data.id !== messageId) throw malformed("messages.get");
        return toStrings(data?.labelIds) ?? [];
      }),

    getDetail: (accessToken, messageId, timeoutMs) =>
      classified("messages.get", async () => {
        const { data } = await users.messages.get(
          {
            userId: ME,
            id: messageId,
            format: "metadata",
            metadataHeaders: Object.values(DETAILED_HEADERS),
          },
          { ...as(accessToken), timeout: timeoutMs },
        );
        if (!isPlainObject(data) || data.id !== messageId) throw malformed("messages.get");
        return toDetail(data);
      }),

    watch: (accessToken, topicName, labelIds) =>
      classified("users.watch", async () => {
        const filter =
          labelIds.length === 0 ? {} : { labelIds: [...labelIds], labelFilterBehavior: "include" };
        const requestBody = { topicName, ...filter };
        const { data } = await users.watch({ userId: ME, requestBody }, as(accessToken));
        return {
          historyId: readHistoryId("users.watch", data.historyId),
          expiresAt: readDate("users.watch", data.expiration),
        };
      }),

    stop: (accessToken) =>
      classified("users.stop", async () => {
        await users.stop({ userId: ME }, as(accessToken));
      }),
  };
}

/** Google's responses are checked like any input: an invalid one counts as no response. */
function malformed(call: Call): FailedCall {
  return new FailedCall(call, { kind: "transient", reason: "malformed_answer" });
}

function readHistoryId(call: Call, value: unknown): HistoryId {
  const historyId = parseHistoryId(value);
  if (historyId === undefined) throw malformed(call);
  return historyId;
}

/**
 * Epoch milliseconds: an int64 in decimal, of which 14 digits are a date that can be stored. A
 * missing date is an error: as 1970 it would end a recovery at once.
 */
function readDate(call: Call, value: unknown): Date {
  const isDecimal = typeof value === "string" || typeof value === "number";
  if (!isDecimal || !/^-?\d{1,14}$/.test(String(value))) throw malformed(call);
  return new Date(Number(value));
}

function toMessagePage(data: gmail_v1.Schema$ListMessagesResponse): MessagePage {
  // Otherwise a broken response would look like an empty mailbox, and end a recovery at once. A
  // response of another type than JSON is a `Blob`.
  if (!isPlainObject(data)) throw malformed("messages.list");
  const { messages = [], nextPageToken } = data;
  if (!Array.isArray(messages)) throw malformed("messages.list");
  return {
    messages: messages.map(toMessage).filter((message) => message !== undefined),
    ...(typeof nextPageToken === "string" && nextPageToken !== "" && { nextPageToken }),
  };
}

function isPlainObject(value: unknown): boolean {
  return Object.prototype.toString.call(value) === "[object Object]";
}

function toInternalDate(data: gmail_v1.Schema$Message): Date {
  return readDate("messages.get", data?.internalDate);
}

/** Longer fields are left out: lists of a thousand addresses would not fit into an event. */
const HEADER_BYTES_MAX = 4_096;
/** Gmail's snippets have about 200. */
const SNIPPET_CHARACTERS_MAX = 1_000;

function toDetail(data: gmail_v1.Schema$Message): MessageDetail {
  const { payload, sizeEstimate, snippet } = data;
  const fields = Array.isArray(payload?.headers) ? payload.headers : [];
  const valueOf = (wanted: string): string | undefined => {
    const isWanted = (name: unknown) =>
      typeof name === "string" && name.toLowerCase() === wanted.toLowerCase();
    const value: unknown = fields.find((field) => isWanted(field?.name))?.value;
    const isShort = typeof value === "string" && Buffer.byteLength(value) <= HEADER_BYTES_MAX;
    return isShort ? value : undefined;
  };
  const headers = Object.entries(DETAILED_HEADERS)
    .map(([key, name]) => [key, valueOf(name)] as const)
    .filter(([, value]) => value !== undefined);
  const isSized = Number.isSafeInteger(sizeEstimate) && Number(sizeEstimate) >= 0;
  const hasSnippet = typeof snippet === "string" && snippet !== "";
  return {
    headers: Object.fromEntries(headers),
    internalDate: toInternalDate(data),
    ...(isSized && { sizeEstimate: Number(sizeEstimate) }),
    ...(hasSnippet && { snippet: snippet.slice(0, SNIPPET_CHARACTERS_MAX) }),
  };
}

function toHistoryPage(data: gmail_v1.Schema$ListHistoryResponse): HistoryPage {
  const head = readHistoryId("history.list", data?.historyId);
  const { history = [], nextPageToken } = data;
  if (!Array.isArray(history)) throw malformed("history.list");
  return {
    records: toRecords(history, head),
    ...(typeof nextPageToken === "string" && nextPageToken !== "" && { nextPageToken }),
    head,
  };
}

/**
 * A record without a valid id takes the position of the next one: its content is published as a
 * gap.
 */
function toRecords(history: gmail_v1.Schema$History[], head: HistoryId): HistoryRecord[] {
  const records: HistoryRecord[] = [];
  let next = head;
  for (const record of history.toReversed()) {
    const historyId = parseHistoryId(record?.id);
    const { items, unreadable } = toItems(record);
    next = historyId ?? next;
    records.push({ historyId: next, items, unreadable: unreadable || historyId === undefined });
  }
  return records.toReversed();
}

/**
 * Returns the typed arrays of a record. `messages`, which repeats them, is ignored: a record with
 * only that has no changes.
 */
function toItems(record: gmail_v1.Schema$History | null | undefined): {
  items: HistoryItem[];
  unreadable: boolean;
} {
  const items: HistoryItem[] = [];
  let unreadable = typeof record !== "object" || record === null;
  const each = <T>(list: T[] | null | undefined, toItem: (entry: T) => HistoryItem | undefined) => {
    if (list !== undefined && list !== null && !Array.isArray(list)) unreadable = true;
    for (const entry of Array.isArray(list) ? list : []) {
      const item = toItem(entry);
      if (item === undefined) unreadable = true;
      else items.push(item);
    }
  };
  const message =
    (kind: "added" | "deleted") =>
    (entry: { message?: gmail_v1.Schema$Message } | null): HistoryItem | undefined => {
      const read = toMessage(entry?.message);
      return read && { kind, message: read };
    };
  const labels =
    (kind: "labels.added" | "labels.removed") =>
    (
      entry: { message?: gmail_v1.Schema$Message; labelIds?: string[] | null } | null,
    ): HistoryItem | undefined => {
      const read = toMessage(entry?.message);
      const labelIds = toStrings(entry?.labelIds);
      return read && labelIds && { kind, message: read, labelIds };
    };
  each(record?.messagesAdded, message("added"));
  each(record?.labelsAdded, labels("labels.added"));
  each(record?.labelsRemoved, labels("labels.removed"));
  each(record?.messagesDeleted, message("deleted"));
  return { items, unreadable };
}

function toMessage(
  message: gmail_v1.Schema$Message | null | undefined,
): HistoryMessage | undefined {
  const { id, threadId, labelIds } = message ?? {};
  // Nothing can be published about a message without its id; everything else can be missing.
  if (!isId(id)) return undefined;
  const labels = toStrings(labelIds);
  return {
    id,
    ...(isId(threadId) && { threadId }),
    ...(labels !== undefined && { labelIds: labels }),
  };
}

/** Message and thread ids are hexadecimal; here they only have to be safe inside an event's id. */
function isId(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z0-9_-]{1,100}$/.test(value);
}

function toStrings(value: unknown): string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.every((entry) => typeof entry === "string") ? value : undefined;
}
