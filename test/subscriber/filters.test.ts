import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { EmailAddress } from "../../functions/src/domain/email-address.ts";
import type { MailboxEvent } from "../../functions/src/domain/events.ts";
import type { HistoryId } from "../../functions/src/domain/history-id.ts";
import type { UserId } from "../../functions/src/domain/user.ts";
import { toCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import { parseFilter } from "./subscription-filter.ts";

/**
 * Goal: the filters in the subscriber's document let through what it says. The Pub/Sub emulator
 * takes any filter and delivers every message all the same, so an evaluator of Pub/Sub's documented
 * grammar reads the attributes here.
 */

const PAGE = path.resolve(import.meta.dirname, "../../functions/docs/events.md");
const NOW = new Date("2026-11-20T12:00:00.123Z");
const MESSAGE = { historyId: "1001" as HistoryId, messageId: "18b" };
/** The most that Pub/Sub takes. */
const FILTER_BYTES_MAX = 256;

/** The `--message-filter` of each example, by the name of its subscription. */
const FILTERS = new Map(
  [
    ...readFileSync(PAGE, "utf8").matchAll(
      /subscriptions create (\S+) [^']*--message-filter='([^']*)'/g,
    ),
  ].map(([, name = "", filter = ""]) => [name, filter]),
);

const user = (id: string, customer: string) => ({
  id: id as UserId,
  emailAddress: `user${id}@example.com` as EmailAddress,
  tags: { customer },
});

const EVENTS: MailboxEvent[] = [
  { kind: "connected", generation: 1 },
  { kind: "added", ...MESSAGE, labelIds: ["INBOX", "UNREAD"] },
  { kind: "added", ...MESSAGE, messageId: "18c", labelIds: ["SENT"] },
  { kind: "labels.removed", ...MESSAGE, labelIds: ["INBOX"] },
  { kind: "deleted", ...MESSAGE },
  { kind: "disconnected", generation: 1, reason: "user_request" },
];

/** The ids of the events, of two mailboxes, that a filter lets through. */
function passing(filter: string): string[] {
  const lets = parseFilter(filter);
  return [user("1", "acme"), user("2", "globex")].flatMap((of) =>
    EVENTS.map((event) => toCloudEvent(of, event, NOW).attributes)
      .filter((attributes) => lets(attributes))
      .map((attributes) => attributes["ce-id"] ?? ""),
  );
}

describe("the documented filter", () => {
  it.each([
    ["inbox", ["1/added/18b", "2/added/18b"]],
    [
      "acme",
      [
        "1/connected/1",
        "1/added/18b",
        "1/added/18c",
        "1/1001/labels.removed/18b",
        "1/1001/deleted/18b",
        "1/disconnected/1",
      ],
    ],
    ["connections", ["1/connected/1", "1/disconnected/1", "2/connected/1", "2/disconnected/1"]],
  ])("%s lets through what it is for, and nothing else", (name, ids) => {
    expect(passing(FILTERS.get(name) ?? "")).toEqual(ids);
  });

  it("for archived messages finds them", () => {
    const [, filter = ""] =
      /`(attributes:[^`]*)` finds messages that were\s+archived/.exec(readFileSync(PAGE, "utf8")) ??
      [];
    expect(passing(filter)).toEqual(["1/1001/labels.removed/18b", "2/1001/labels.removed/18b"]);
  });

  it("is within Pub/Sub's length limit, and is tested here", () => {
    expect([...FILTERS.keys()]).toEqual(["inbox", "acme", "connections"]);
    for (const filter of FILTERS.values()) {
      expect(Buffer.byteLength(filter)).toBeLessThanOrEqual(FILTER_BYTES_MAX);
    }
  });

  it.each(['attributes."a" = b', "", 'attributes:"a" AND', "a:b", 'attributes."a" = "b" "c"'])(
    "would be refused if it were %j",
    (filter) => {
      expect(() => parseFilter(filter)).toThrow(SyntaxError);
    },
  );
});
