import * as z from "zod";
import { DETAILED_HEADERS, type MailboxEvent } from "./events.ts";
import type { User } from "./user.ts";

/** What subscribers can rely on for one type of event. */
export interface EventDefinition {
  /** `ce-type`. */
  type: string;
  /** What happened, for the documents. */
  meaning: string;
  /** The format of `ce-id`; names in braces are placeholders. */
  id: string;
  /** The JSON data. Later versions may add fields, and never remove or change one. */
  data: z.ZodObject<z.ZodRawShape>;
}

const text = (meaning: string) => z.string().describe(meaning);
const texts = (meaning: string) => z.array(z.string()).describe(meaning);
const count = (meaning: string) => z.int().nonnegative().describe(meaning);
const time = (meaning: string) => z.iso.datetime({ precision: 3 }).describe(meaning);
const historyId = (meaning: string) =>
  z
    .string()
    .regex(/^[0-9]{1,20}$/)
    .describe(`${meaning} An unsigned 64-bit number as decimal digits.`);

const MAILBOX = {
  userId: text("The connected account: Google's `sub`. It never changes."),
  emailAddress: text("The present email address of the account, in lower case."),
};
const MESSAGE = {
  ...MAILBOX,
  historyId: historyId("The position of this change in Gmail's history."),
  messageId: text("Gmail's message id."),
  threadId: text("Gmail's thread id. Absent where Gmail does not name it.").optional(),
};
const header = (name: string) => z.string().describe(`The header field \`${name}\`.`).optional();
const DETAIL = {
  headers: z
    .object(mapValues(DETAILED_HEADERS, header))
    .describe(
      "With `CHANGES_DETAIL=headers`: header fields as Gmail returns them. A field is absent where the message lacks it, or where it has more than 4,096 bytes.",
    )
    .optional(),
  internalDate: time("With `headers`: when Gmail received the message.").optional(),
  sizeEstimate: count("With `headers`: the size of the message in bytes, about.").optional(),
  snippet: text(
    "With `headers`, where the granted scope allows it: the beginning of the text.",
  ).optional(),
  headersMissing: text(
    "With `CHANGES_DETAIL=headers`, in place of `headers`: why they are missing. `late`: Gmail did not answer within two seconds. `throttled`: the share of Gmail's quota was used up. `gone`: Gmail does not find the message yet, or any more. `failed`: any other failure. Later versions may add codes.",
  ).optional(),
};
const STATUS = {
  ...MAILBOX,
  generation: z.int().positive().describe("The number of the grant: one higher for each one."),
};
const SNAPSHOT_ID = text("The snapshot: the same in all of its events.");
const SNAPSHOT_END = {
  ...MAILBOX,
  snapshotId: SNAPSHOT_ID,
  messages: count(
    "How many messages it has published. Messages that were deleted while the receiver repeated a page are not counted.",
  ),
};
const REASON = text("A short stable code that says why. Later versions may add codes.");
const REAUTHORIZE_URL = text(
  "Where the person restores access. Works once, for this account, for 7 days. Treat it as a secret of that person.",
);
const DELAY = {
  ...MAILBOX,
  since: time("Since when the mailbox has been, or had been, incomplete. The same in both events."),
  reason: REASON,
  lagSeconds: count("Seconds since the mailbox was last complete."),
};

/**
 * The definition of every published event, by kind. They encode the events; their JSON Schemas, the
 * subscriber's types and the tables of the documents are generated from them.
 */
export const EVENT_DEFINITIONS = {
  added: {
    type: "mailbox.message.added",
    meaning: "A message is in the mailbox: received, sent, or imported.",
    id: "{userId}/added/{messageId}",
    data: z.object({
      ...MESSAGE,
      labelIds: texts(
        "The labels that the message had then. Empty where Gmail does not name them.",
      ),
      recovered: z
        .literal(true)
        .describe("A recovery after a gap found the message: its labels are unknown.")
        .optional(),
      ...DETAIL,
    }),
  },
  deleted: {
    type: "mailbox.message.deleted",
    meaning: "A message was deleted for ever. (A move to the trash adds the label `TRASH`.)",
    id: "{userId}/{historyId}/deleted/{messageId}",
    data: z.object(MESSAGE),
  },
  "labels.added": {
    type: "mailbox.labels.added",
    meaning: "Labels were added to a message.",
    id: "{userId}/{historyId}/labels.added/{messageId}",
    data: z.object({ ...MESSAGE, labelIds: texts("The labels that were added.") }),
  },
  "labels.removed": {
    type: "mailbox.labels.removed",
    meaning: "Labels were removed from a message: without `UNREAD` it has been read.",
    id: "{userId}/{historyId}/labels.removed/{messageId}",
    data: z.object({ ...MESSAGE, labelIds: texts("The labels that were removed.") }),
  },
  gap: {
    type: "mailbox.gap",
    meaning:
      "Changes between two positions of the history cannot be published one by one. After an expired or rewound history, the messages since `since` follow as `mailbox.message.added` with `recovered`.",
    id: "{userId}/gap/{fromHistoryId}, {userId}/gap/{fromHistoryId}/{since in milliseconds}, {userId}/{toHistoryId}/gap or {userId}/{toHistoryId}/unseen",
    data: z.object({
      ...MAILBOX,
      fromHistoryId: historyId("The last position before the gap."),
      toHistoryId: historyId("The last position within the gap."),
      since: time("Everything that happened until then has been published."),
      reason: text(
        "`history_expired`: Gmail no longer keeps the history. `history_rewound`: Gmail's history begins again at a lower position. `unreadable_record`: Gmail sent a record that cannot be read. `notified_unseen`: Gmail notified of a position that its history never showed. Later versions may add codes.",
      ),
      incomplete: texts(
        "What the recovery cannot find: `deletions`, `labels`, and `imports` (messages that were imported with an old date).",
      ).optional(),
    }),
  },
  existing: {
    type: "mailbox.message.existing",
    meaning:
      "A snapshot found a message that is already in the mailbox. It is not new: nothing has happened to it.",
    id: "{userId}/existing/{snapshotId}/{messageId}",
    data: z.object({
      ...MESSAGE,
      historyId: historyId(
        "The position of the stream when the snapshot was requested: everything later is in the stream.",
      ),
      labelIds: texts("Empty: Gmail's lists do not name labels."),
      snapshotId: SNAPSHOT_ID,
    }),
  },
  snapshot_completed: {
    type: "mailbox.snapshot.completed",
    meaning: "A snapshot has published every message.",
    id: "{userId}/snapshot_completed/{snapshotId}",
    data: z.object({
      ...SNAPSHOT_END,
      upToHistoryId: historyId(
        "The position of the stream when the snapshot was requested. Its messages and all later changes together are the mailbox.",
      ),
    }),
  },
  snapshot_failed: {
    type: "mailbox.snapshot.failed",
    meaning:
      "Google refused to list the mailbox for three days, so the receiver has given a snapshot up: older messages are missing. The operator can request another one.",
    id: "{userId}/snapshot_failed/{snapshotId}",
    data: z.object({
      ...SNAPSHOT_END,
      upToHistoryId: historyId("The position of the stream when the snapshot was requested."),
      reason: REASON,
    }),
  },
  connected: {
    type: "mailbox.connected",
    meaning:
      "A person allowed access, an unavailable mailbox is back, or the operator resumed a paused one. Changes follow.",
    id: "{userId}/connected/{generation}, and /2, /3, ... when it is back under the same grant",
    data: z.object({
      ...STATUS,
      recoveredChanges: count(
        "How many missed changes were published since access ended. Absent where not known.",
      ).optional(),
    }),
  },
  reauthorization_required: {
    type: "mailbox.reauthorization_required",
    meaning: "The grant has ended. No changes follow until the person allows access again.",
    id: "{userId}/reauthorization_required/{generation}",
    data: z.object({ ...STATUS, reason: REASON, reauthorizeUrl: REAUTHORIZE_URL }),
  },
  unavailable: {
    type: "mailbox.unavailable",
    meaning:
      "The grant is alive, and Google refuses the mailbox: disabled, suspended, or without Gmail. The receiver tries again once a day, after a week once a week.",
    id: "{userId}/unavailable/{generation}, and /2, /3, ... when it happens again",
    data: z.object({ ...STATUS, reason: REASON, reauthorizeUrl: REAUTHORIZE_URL }),
  },
  paused: {
    type: "mailbox.paused",
    meaning:
      "The operator paused the mailbox. The grant is kept, and no changes follow until the operator resumes it: then all that were missed, and `mailbox.connected`.",
    id: "{userId}/paused/{generation}, and /2, /3, ... when it is paused again",
    data: z.object({ ...STATUS, reason: REASON }),
  },
  disconnected: {
    type: "mailbox.disconnected",
    meaning:
      "The connection has ended and the grant is gone. Nothing follows unless the person connects again.",
    id: "{userId}/disconnected/{generation}",
    data: z.object({ ...STATUS, reason: REASON }),
  },
  address_changed: {
    type: "mailbox.address_changed",
    meaning: "Google renamed the account. `userId` stays.",
    id: "{userId}/address_changed/{a name of this change}",
    data: z.object({ ...MAILBOX, previousEmailAddress: text("The address until now.") }),
  },
  delayed: {
    type: "mailbox.delayed",
    meaning: "For half an hour now, more may have happened in the mailbox than was published.",
    id: "{userId}/delayed/{since in milliseconds}",
    data: z.object(DELAY),
  },
  caught_up: {
    type: "mailbox.caught_up",
    meaning: "A delay is over: everything is published.",
    id: "{userId}/caught_up/{since in milliseconds}",
    data: z.object(DELAY),
  },
} satisfies Record<MailboxEvent["kind"], EventDefinition>;

/** The version of all schemas: a change that could break a subscriber raises it. */
const SCHEMA_VERSION = 1;

/** Returns the name of a schema for `ce-dataschema`: an identifier, which is not a page. */
export function schemaId(type: string): string {
  return `urn:gmail-push-receiver:event:${type}:${SCHEMA_VERSION}`;
}

/** Returns the data of an event: the fields of its definition, and no others. */
export function eventData(
  { id, emailAddress }: Pick<User, "id" | "emailAddress">,
  event: MailboxEvent,
): Record<string, unknown> {
  const known: Record<string, unknown> = { userId: id, emailAddress, ...event };
  const data: Record<string, unknown> = {};
  for (const field of Object.keys(EVENT_DEFINITIONS[event.kind].data.shape)) {
    const value = known[field];
    if (value !== undefined) data[field] = value instanceof Date ? value.toISOString() : value;
  }
  return data;
}

function mapValues<Key extends string, Value>(
  names: Readonly<Record<Key, string>>,
  make: (name: string) => Value,
): Record<Key, Value> {
  const entries = Object.entries<string>(names).map(([key, name]) => [key, make(name)]);
  return Object.fromEntries(entries) as Record<Key, Value>;
}
