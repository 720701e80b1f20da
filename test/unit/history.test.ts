import { describe, expect, it } from "vitest";
import type { HistoryId } from "../../functions/src/domain/history-id.ts";
import {
  type ChangeFilter,
  type HistoryItem,
  type HistoryRecord,
  toChanges,
} from "../../functions/src/domain/history.ts";

const id = (value: number) => String(value) as HistoryId;
const SINCE = new Date(0);
const ALL: ChangeFilter = { publishDrafts: false, labelIds: [] };
const record = (...items: HistoryItem[]): HistoryRecord => ({
  historyId: id(7),
  items,
  unreadable: false,
});
const message = (messageId: string, labelIds?: string[]) => ({
  id: messageId,
  threadId: `t${messageId}`,
  ...(labelIds !== undefined && { labelIds }),
});
const changes = (of: HistoryRecord, filter = ALL) => toChanges(of, id(3), SINCE, filter);

describe("toChanges", () => {
  it("makes one change of records that share an id, with all labels", () => {
    const of = record(
      { kind: "labels.added", message: message("a"), labelIds: ["STARRED"] },
      { kind: "labels.added", message: message("a"), labelIds: ["IMPORTANT", "STARRED"] },
      { kind: "labels.removed", message: message("a"), labelIds: ["UNREAD"] },
    );
    expect(changes(of)).toEqual([
      {
        kind: "labels.added",
        historyId: "7",
        messageId: "a",
        threadId: "ta",
        labelIds: ["STARRED", "IMPORTANT"],
      },
      {
        kind: "labels.removed",
        historyId: "7",
        messageId: "a",
        threadId: "ta",
        labelIds: ["UNREAD"],
      },
    ]);
  });

  it("leaves out changes of drafts, unless configured", () => {
    const of = record(
      { kind: "added", message: message("a", ["DRAFT"]) },
      { kind: "deleted", message: message("b", ["DRAFT"]) },
    );
    expect(changes(of)).toEqual([]);
    expect(changes(of, { publishDrafts: true, labelIds: [] })).toHaveLength(2);
  });

  it("keeps only the watched labels, and what may have them", () => {
    const filter = { publishDrafts: false, labelIds: ["INBOX"] };
    const of = record(
      { kind: "added", message: message("in", ["INBOX"]) },
      { kind: "added", message: message("out", ["SENT"]) },
      { kind: "labels.removed", message: message("archived", []), labelIds: ["INBOX"] },
      { kind: "labels.added", message: message("starred", ["SENT"]), labelIds: ["STARRED"] },
      { kind: "deleted", message: message("unknown") },
    );
    expect(changes(of, filter).map((each) => "messageId" in each && each.messageId)).toEqual([
      "in",
      "archived",
      "unknown",
    ]);
  });

  it("publishes an unreadable record as a gap, after its readable part", () => {
    const of = {
      ...record({ kind: "added", message: message("a", ["INBOX"]) }),
      unreadable: true,
    };
    expect(changes(of)).toMatchObject([
      { kind: "added", messageId: "a" },
      { kind: "gap", fromHistoryId: "3", toHistoryId: "7", reason: "unreadable_record" },
    ]);
  });
});
