import { describe, expect, it } from "vitest";
import { writeFields } from "./firestore-values.ts";
import { judge } from "./judge.ts";
import { UnreadableLine, readRecording } from "./recording.ts";

/** Goal: for each promise that a recording can show, one that keeps it and one that breaks it. */

const ALICE = "1001";
const MINUTE = 60_000;
const START = Date.UTC(2026, 10, 1);

function time(minute: number): string {
  return new Date(START + minute * MINUTE).toISOString();
}

/** One message, as `gcloud pubsub subscriptions pull --format=json` prints it. */
function published(
  minute: number,
  type: string,
  id: string,
  data: Record<string, unknown> = {},
  orderingKey = ALICE,
): object {
  const json = { userId: ALICE, emailAddress: "alice@example.com", ...data };
  return {
    ackId: "…",
    message: {
      data: Buffer.from(JSON.stringify(json)).toString("base64"),
      attributes: { "ce-id": `${ALICE}/${id}`, "ce-type": `mailbox.${type}` },
      publishTime: time(minute),
      orderingKey,
    },
  };
}

function added(minute: number, historyId: number, data: Record<string, unknown> = {}): object {
  const messageId = `m${historyId}`;
  return published(minute, "message.added", `added/${messageId}`, {
    historyId: String(historyId),
    messageId,
    threadId: messageId,
    labelIds: ["INBOX"],
    ...data,
  });
}

function connected(minute: number, generation = 1): object {
  return published(minute, "connected", `connected/${generation}`, { generation });
}

function gap(minute: number, from: number, to: number, reason = "history_expired"): object {
  return published(minute, "gap", `gap/${from}`, {
    fromHistoryId: String(from),
    toHistoryId: String(to),
    since: time(0),
    reason,
  });
}

interface Stored {
  status?: string;
  statusAt?: Date;
  generation?: number;
  refreshToken?: string;
  sync?: Record<string, unknown>;
  announced?: boolean;
}

/** One document, as a query of Firestore's REST API answers it. */
function stored(minute: number, historyId: number, content: Stored = {}): object {
  const { status = "active", statusAt = new Date(START), generation = 1, sync = {} } = content;
  const { refreshToken, announced = true } = content;
  const fields = writeFields({
    status,
    statusAt,
    historyId: String(historyId),
    grant: { generation, refreshToken },
    watch: { failures: 0 },
    sync: { retries: 0, recent: [], ...sync },
    followUp: { failures: 0, ...(announced && { announced: { status, generation } }) },
  });
  const name = `projects/p/databases/gmail-push/documents/users/${ALICE}`;
  return { document: { name, fields }, readTime: time(minute) };
}

/** Gmail's truth: each of these messages came in this minute, and showed at once. */
function gmail(minute: number, ids: readonly number[], state: { oldest?: number } = {}): object {
  const messages = ids.map((id) => ({ id: `m${id}`, threadId: `m${id}`, labelIds: ["INBOX"] }));
  const at = START + minute * MINUTE;
  return {
    gmail: {
      at: time(minute),
      userId: ALICE,
      head: String(ids.at(-1) ?? 100),
      oldest: String(state.oldest ?? 1),
      history: messages.map((message, index) => ({
        id: String(ids[index]),
        epoch: 0,
        at,
        readableAt: at,
        messagesAdded: [message],
        messagesDeleted: [],
        labelsAdded: [],
        labelsRemoved: [],
        omits: [],
      })),
      messages: messages.map((message) => ({ ...message, internalDate: at })),
    },
  };
}

/** What the judge is told of, besides Gmail's truth. */
function incident(minute: number, kind: string): object {
  return { incident: { at: time(minute), userId: ALICE, kind } };
}

const END = { settings: { completeUpTo: time(60) } };

function brokenIn(lines: readonly object[]): string[] {
  const text = lines.map((line) => JSON.stringify(line)).join("\n");
  return judge(readRecording(text)).broken.map(({ property, what }) => `${property} ${what}`);
}

/** Connected at 100, and two messages came. */
const CONNECTED = [
  gmail(0, []),
  stored(0, 100, { announced: false }),
  connected(1),
  stored(2, 100),
  gmail(10, [110, 120]),
];
const TOLD_FIRST = added(11, 110);
const TOLD_LAST = added(12, 120);
const KEPT = [...CONNECTED, TOLD_FIRST, TOLD_LAST, stored(13, 120), END];

const WITHOUT_TRUTH = KEPT.filter((line) => !("gmail" in line));

describe("judge", () => {
  it("finds nothing in a recording that keeps every promise", () => {
    expect(brokenIn(KEPT)).toEqual([]);
    expect(brokenIn(WITHOUT_TRUTH)).toEqual([]);
  });

  it("takes a message that Pub/Sub delivered twice for one", () => {
    const line = {
      message: { ...(added(11, 110) as { message: object }).message, messageId: "7" },
    };
    const { events } = judge(
      readRecording([line, line].map((each) => JSON.stringify(each)).join("\n")),
    );
    expect(events).toBe(1);
  });

  it("judges by the times of the lines, not by their places", () => {
    expect(brokenIn(WITHOUT_TRUTH.toReversed())).toEqual([]);
  });

  it.each<[promise: string, what: string, lines: object[]]>([
    ["P1", "120 of 1001 is neither published nor in a gap", [...CONNECTED, TOLD_FIRST, END]],
    ["P1", "a gap from 100, which Gmail still knows", [...CONNECTED, gap(11, 100, 120)]],
    [
      "P1",
      "a gap up to 130, above the head",
      [...CONNECTED, gmail(10, [125], { oldest: 105 }), gap(11, 100, 130)],
    ],
    ["P2", "a gap from 120 to 50 is of history_expired", [...KEPT, gap(14, 120, 50)]],
    ["P2", "added/m999 never happened", [...KEPT, added(14, 999)]],
    ["P2", "added/m110 tells", [...CONNECTED, added(11, 110, { threadId: "another" })]],
    ["P3", "120 is published before 110", [...CONNECTED, added(11, 120), added(12, 110)]],
    ["P4", "the cursor 120 of 1001 has passed 120", KEPT.filter((line) => line !== TOLD_LAST)],
    ["P7", "connected/2 announces what never was", [...KEPT, connected(14, 2)]],
  ])("finds by Gmail's truth that %s is broken: %s", (promise, what, lines) => {
    const broken = brokenIn(lines);
    expect(broken.some((each) => each.startsWith(`${promise} `) && each.includes(what))).toBe(true);
  });

  const recovery = { recovery: { fromHistoryId: "120", toHistoryId: "500" } };
  const since = new Date(START + 20 * MINUTE);
  const delayedAt = new Date(START + 50 * MINUTE);
  const lapsed = { status: "reauthorization_required", statusAt: since };

  it.each<[promise: string, what: string, lines: object[]]>([
    [
      "P1",
      "has recovered from 120 to 500, and no gap was published",
      [stored(20, 120, { sync: recovery }), stored(30, 500)],
    ],
    ["P2", "and then", [added(14, 120, { threadId: "another" })]],
    [
      "P3",
      "is on the ordering key 1002",
      [published(14, "disconnected", "disconnected/1", {}, "1002")],
    ],
    [
      "P3",
      "is on the ordering key 1001",
      [published(14, "message.existing", "existing/1/m1", { snapshotId: "1" })],
    ],
    ["P4", "is published after the cursor 120 has passed it", [added(14, 115)]],
    ["P4", "goes back from 120 to 110", [stored(14, 110)]],
    ["P7", "is noted as published, and was not", [stored(21, 120, lapsed)]],
    ["P7", "is missing", [stored(20, 120, { ...lapsed, announced: false }), added(200, 130)]],
    [
      "P7",
      "is paused and due",
      [stored(20, 120, { status: "paused", announced: false, sync: { dueAt: since } })],
    ],
    [
      "P7",
      "holds tokens",
      [stored(20, 120, { ...lapsed, announced: false, refreshToken: "v2.sealed" })],
    ],
    [
      "P7",
      "is active again without anybody's doing",
      [stored(20, 120, { ...lapsed, announced: false }), stored(21, 120)],
    ],
    [
      "P8",
      "from generation 2 to 1",
      [connected(14, 2), stored(15, 120, { generation: 2 }), stored(16, 120)],
    ],
    [
      "P9",
      "contains ya29.",
      [published(14, "disconnected", "disconnected/1", { reason: "ya29.a0Af" })],
    ],
    [
      "P13",
      "is noted as published, and was not",
      [stored(51, 120, { sync: { behindSince: since, delayedAt } })],
    ],
    [
      "P13",
      "is incomplete since",
      [stored(51, 120, { sync: { behindSince: since } }), added(300, 130)],
    ],
  ])("finds in events and documents that %s is broken: %s", (promise, what, lines) => {
    const broken = brokenIn([...WITHOUT_TRUTH, ...lines]);
    expect(broken).toHaveLength(1);
    expect(broken[0]).toContain(`${promise} `);
    expect(broken[0]).toContain(what);
  });

  it.each<[what: string, lines: object[]]>([
    [
      "a recovery that told its gap",
      [stored(20, 120, { sync: recovery }), gap(21, 120, 500), stored(30, 500)],
    ],
    ["a repeated event", [added(14, 120)]],
    [
      "a repeated event with details that were missing before",
      [added(14, 120, { headersMissing: "late" })],
    ],
    [
      "a cursor that a rewind sets back",
      [gap(20, 120, 50, "history_rewound"), stored(21, 50), added(22, 60)],
    ],
    [
      "a delay that was told",
      [
        published(50, "delayed", `delayed/${since.getTime()}`, {
          since: since.toISOString(),
          lagSeconds: 1800,
          reason: "lag",
        }),
        stored(51, 120, { sync: { behindSince: since, delayedAt } }),
      ],
    ],
    [
      "a person who is back after some time",
      [
        stored(20, 120, { ...lapsed, announced: false }),
        connected(21, 3),
        stored(22, 120, { generation: 3 }),
      ],
    ],
    [
      "a user who was erased and comes back",
      [
        { missing: `projects/p/databases/d/documents/users/${ALICE}`, readTime: time(20) },
        connected(21, 2),
        stored(22, 7, { generation: 2 }),
      ],
    ],
  ])("accepts %s", (_, lines) => {
    expect(brokenIn([...WITHOUT_TRUTH, ...lines])).toEqual([]);
  });

  it("allows what an older document repeats, and what it reads after all", () => {
    const lines = [
      ...CONNECTED,
      incident(10, "history_lost"),
      gap(11, 100, 120),
      incident(12, "history_found"),
      gmail(13, [130]),
      added(14, 130),
    ];
    // The same document as before the gap: it publishes the gap again, and what was in it.
    const restored = [incident(20, "edited"), gap(80, 100, 120), added(81, 110), added(82, 120)];
    const end = [stored(83, 130), END];
    expect(brokenIn([...lines, ...restored, ...end])).toEqual([]);
    expect(brokenIn([...lines, ...restored.slice(1), ...end])).toEqual([
      "P1 a gap from 100, which Gmail still knows (1)",
      "P3 1001: 130 is published before 110",
    ]);
  });

  it("expects no event from before the recording", () => {
    expect(brokenIn([stored(0, 100), added(11, 110), stored(12, 120)])).toEqual([]);
  });

  it("says what a recording cannot show", () => {
    const unjudged = (lines: object[]) =>
      judge(readRecording(lines.map((line) => JSON.stringify(line)).join("\n"))).unjudged;
    expect(unjudged(KEPT).join("\n")).not.toContain("P4");
    expect(unjudged(WITHOUT_TRUTH).join("\n")).toContain("only Gmail knows its history");
    expect(unjudged([added(11, 110), stored(12, 120)]).join("\n")).toContain("read only once");
    expect(unjudged([added(11, 110)]).join("\n")).toContain("has no documents");
  });
});

describe("readRecording", () => {
  it.each([
    ["no JSON", "{"],
    ["an unknown kind", '{"messages": []}'],
    [
      "an event without JSON data",
      JSON.stringify({ message: { data: "!", attributes: {}, publishTime: time(0) } }),
    ],
    [
      "a document without a cursor",
      JSON.stringify({ document: { name: "a/documents/users/1", fields: {} }, readTime: time(0) }),
    ],
  ])("names the line with %s", (_, line) => {
    expect(() => readRecording(`${JSON.stringify(END)}\n${line}`)).toThrow(UnreadableLine);
    expect(() => readRecording(`${JSON.stringify(END)}\n${line}`)).toThrow(/^line 2: /);
  });

  it("passes over documents of other collections, and queries without an answer", () => {
    const name = "projects/p/databases/d/documents/users/1/changes/1:added:m1";
    const lines = [{ document: { name, fields: {} }, readTime: time(0) }, { readTime: time(0) }];
    const text = lines.map((line) => JSON.stringify(line)).join("\n");
    expect(readRecording(text).entries).toEqual([]);
  });
});
