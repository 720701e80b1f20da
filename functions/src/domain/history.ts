import type { Change, Gap } from "./events.ts";
import type { HistoryId } from "./history-id.ts";

/** A message in a history record; Gmail omits the labels of some. */
export interface HistoryMessage {
  id: string;
  threadId?: string;
  labelIds?: readonly string[];
}

/** One change in a history record. */
export type HistoryItem = { kind: "added" | "deleted"; message: HistoryMessage } | LabelItem;

interface LabelItem {
  kind: "labels.added" | "labels.removed";
  message: HistoryMessage;
  labelIds: readonly string[];
}

/** One record of Gmail's history: the typed arrays of `users.history.list`, in one list. */
export interface HistoryRecord {
  historyId: HistoryId;
  items: readonly HistoryItem[];
  /**
   * A part of it could not be read. It is published as a gap, because skipping it would hide a
   * loss.
   */
  unreadable: boolean;
}

/** One page of `users.history.list`. */
export interface HistoryPage {
  records: readonly HistoryRecord[];
  nextPageToken?: string;
  /** The mailbox's current head, which can be ahead of the readable records. */
  head: HistoryId;
}

/** What `users.messages.list` lists. */
export interface MessageListing {
  /** Only messages with this label; absent: all messages. */
  labelId?: string | undefined;
  /** The maximum number of messages of a page; absent: Gmail's own. */
  size?: number;
}

/** One page of `users.messages.list`, newest first. */
export interface MessagePage {
  messages: readonly HistoryMessage[];
  nextPageToken?: string;
}

/**
 * Which changes are published. The receiver filters itself, so an empty response means no changes.
 */
export interface ChangeFilter {
  publishDrafts: boolean;
  /** Empty: all labels. */
  labelIds: readonly string[];
}

/**
 * Returns the changes of one record in a stable order, one for each (kind, message). A part that
 * could not be read becomes a gap from `after`, the position before this record, up to it.
 */
export function toChanges(
  record: HistoryRecord,
  after: HistoryId,
  since: Date,
  filter: ChangeFilter,
): (Change | Gap)[] {
  const { historyId } = record;
  const changes = new Map<string, Change>();
  const items = filter.publishDrafts ? record.items : withSentDrafts(record.items);
  for (const item of items) {
    if (!isPublished(item, filter)) continue;
    const key = `${item.kind}/${item.message.id}`;
    changes.set(key, merge(changes.get(key), toChange(historyId, item)));
  }
  const readable = [...changes.values()];
  if (!record.unreadable) return readable;
  const reason = "unreadable_record";
  return [
    ...readable,
    { kind: "gap", fromHistoryId: after, toHistoryId: historyId, since, reason },
  ];
}

/**
 * Returns how many changes of a record Gmail should have announced. If only some labels are
 * watched, those of messages that are known to have one of them.
 */
export function countWatched({ items }: HistoryRecord, filter: ChangeFilter): number {
  const { labelIds } = filter;
  const isWatched = ({ message }: HistoryItem) =>
    labelIds.length === 0 || labelIds.some((label) => message.labelIds?.includes(label) === true);
  return items.filter((item) => isPublished(item, filter) && isWatched(item)).length;
}

/**
 * Adds a message that was left out as a draft once it is no draft any more, before its label
 * changes: subscribers do not know it yet.
 */
function withSentDrafts(items: readonly HistoryItem[]): readonly HistoryItem[] {
  const isSent = (item: HistoryItem): item is LabelItem =>
    item.kind === "labels.removed" && item.labelIds.includes("DRAFT");
  const sent = items.filter(isSent).map((item) => ({ ...item, message: withoutDraft(item) }));
  if (sent.length === 0) return items;
  const added = sent.map(({ message }): HistoryItem => ({ kind: "added", message }));
  return [...added, ...items.filter((item) => !isSent(item)), ...sent];
}

/** The labels that Gmail lists with a change can be those from before it. */
function withoutDraft({ message }: LabelItem): HistoryMessage {
  const { labelIds } = message;
  if (labelIds === undefined) return message;
  return { ...message, labelIds: labelIds.filter((label) => label !== "DRAFT") };
}

function toChange(historyId: HistoryId, item: HistoryItem): Change {
  const { id: messageId, threadId, labelIds = [] } = item.message;
  const message = { historyId, messageId, ...(threadId !== undefined && { threadId }) };
  switch (item.kind) {
    case "added":
      return { kind: "added", ...message, labelIds };
    case "deleted":
      return { kind: "deleted", ...message };
    case "labels.added":
    case "labels.removed":
      return { kind: item.kind, ...message, labelIds: item.labelIds };
  }
}

/** Two items of one kind for one message in one record share an id, so they become one change. */
function merge(earlier: Change | undefined, change: Change): Change {
  if (earlier === undefined || change.kind === "deleted" || earlier.kind === "deleted") {
    return change;
  }
  return { ...change, labelIds: [...new Set([...earlier.labelIds, ...change.labelIds])] };
}

function isPublished(item: HistoryItem, { publishDrafts, labelIds }: ChangeFilter): boolean {
  const carried = item.message.labelIds;
  if (!publishDrafts && carried?.includes("DRAFT") === true) return false;
  if (labelIds.length === 0) return true;
  const changed = "labelIds" in item ? item.labelIds : [];
  // Without labels it could belong to a watched message: better published than lost.
  if (carried === undefined && changed.length === 0) return true;
  return labelIds.some((label) => carried?.includes(label) === true || changed.includes(label));
}
