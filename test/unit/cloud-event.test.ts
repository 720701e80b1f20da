import { describe, expect, it } from "vitest";
import type { EmailAddress } from "../../functions/src/domain/email-address.ts";
import type { HistoryId } from "../../functions/src/domain/history-id.ts";
import type { UserId } from "../../functions/src/domain/user.ts";
import { toCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";

const NOW = new Date("2026-11-20T12:00:00.123Z");
const ADA = { id: "108" as UserId, emailAddress: "ada@example.com" as EmailAddress };
const MESSAGE = { historyId: "1001" as HistoryId, messageId: "18b" };

/** The attributes of an event that are no part of the CloudEvent. */
function filterable(...given: Parameters<typeof toCloudEvent>): Record<string, string> {
  const { attributes } = toCloudEvent(...given);
  return Object.fromEntries(
    Object.entries(attributes).filter(([name]) => /^(label|tag)-/.test(name)),
  );
}

const withLabels = (kind: "added" | "labels.removed", labelIds: string[]) =>
  filterable(ADA, { kind, ...MESSAGE, labelIds }, NOW);

describe("the attributes for filters", () => {
  it("name each of Gmail's own labels, and no label that the person made", () => {
    const labels = ["INBOX", "Label_7", "CATEGORY_PERSONAL", "UNREAD", "label_x", "IN BOX"];
    expect(withLabels("added", labels)).toEqual({
      "label-INBOX": "1",
      "label-CATEGORY_PERSONAL": "1",
      "label-UNREAD": "1",
    });
    expect(withLabels("labels.removed", ["INBOX"])).toEqual({ "label-INBOX": "1" });
  });

  it("stay within Pub/Sub's limits, with any number of labels", () => {
    const many = Array.from({ length: 60 }, (_, index) => "A".repeat(index + 1));
    expect(Object.keys(withLabels("added", many))).toHaveLength(20);
    // One attribute with a longer name, and Pub/Sub refuses every event of the request.
    expect(withLabels("added", ["A".repeat(300), "INBOX"])).toEqual({ "label-INBOX": "1" });
  });

  it("name the tags of the connection in every type of event", () => {
    const tags = { team: "blue", plan: "", constructor: "é" };
    const expected = { "tag-team": "blue", "tag-plan": "", "tag-constructor": "é" };
    const user = { ...ADA, tags };
    expect(filterable(user, { kind: "connected", generation: 1 }, NOW)).toEqual(expected);
    expect(filterable(user, { kind: "deleted", ...MESSAGE }, NOW)).toEqual(expected);
    expect(filterable(ADA, { kind: "deleted", ...MESSAGE }, NOW)).toEqual({});
  });
});
