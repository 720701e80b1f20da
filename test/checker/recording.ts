import * as z from "zod";
import type {
  HistoryTruth,
  MailboxTruth,
  PublishedEvent,
  StoredUser,
  Written,
} from "./evidence.ts";
import { readFields } from "./firestore-values.ts";

/*
 * A recording is a file of JSON Lines. Two of its kinds of line are Google's own: what a pull of the
 * subscription answers, and what a query of the documents answers. The others only a program can
 * write that emulates Gmail: it knows what has happened there.
 */

/** One line, in the order in which things happened. */
export type Entry = { at: number } & (
  | { kind: "published"; event: PublishedEvent; messageId: string | undefined }
  | { kind: "stored"; user: StoredUser; write: Written["kind"] }
  | { kind: "erased"; userId: string }
  | { kind: "gmail"; truth: GmailLine }
  | { kind: "incident"; incident: IncidentLine }
);

/** A recording that has been read. */
export interface Recording {
  settings: Settings;
  entries: readonly Entry[];
}

export type GmailLine = MailboxTruth & { userId: string; head: bigint; oldest: bigint };
export type IncidentLine = z.infer<typeof INCIDENT>;
export type Settings = z.infer<typeof SETTINGS>;
/** The settings as a recording has them. */
export type SettingsLine = z.input<typeof SETTINGS>;

/** A line that is none of the kinds, or a known kind whose content cannot be read. */
export class UnreadableLine extends Error {}

const instant = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const historyId = z.string().regex(/^[0-9]{1,20}$/);

const MESSAGE = z.object({
  message: z.object({
    data: z.string(),
    attributes: z.record(z.string(), z.string()),
    messageId: z.string().optional(),
    publishTime: instant,
    orderingKey: z.string().default(""),
  }),
});

const DOCUMENT = z.object({
  document: z.object({ name: z.string(), fields: z.record(z.string(), z.unknown()) }),
  readTime: instant,
  /** Which call of the store wrote it; only where each write is a line. */
  write: z.enum(["update", "authorize", "create"]).optional(),
});

const MISSING = z.object({ missing: z.string(), readTime: instant });

const STORED_USER = z.object({
  status: z.string(),
  statusAt: z.date(),
  historyId,
  grant: z.object({
    generation: z.int(),
    refreshToken: z.unknown().exactOptional(),
    accessToken: z.unknown().exactOptional(),
  }),
  watch: z.object({ renewAt: z.date().exactOptional() }).default({}),
  sync: z
    .object({
      dueAt: z.date().exactOptional(),
      behindSince: z.date().exactOptional(),
      delayedAt: z.date().exactOptional(),
      recovery: z.object({ fromHistoryId: historyId, toHistoryId: historyId }).exactOptional(),
    })
    .default({}),
  followUp: z
    .object({
      announced: z.object({ status: z.string(), generation: z.int() }).exactOptional(),
      episode: z.int().exactOptional(),
    })
    .default({}),
});

const MESSAGE_TRUTH = z.object({
  id: z.string(),
  threadId: z.string(),
  labelIds: z.array(z.string()),
});
const LABELS_TRUTH = z.object({ message: MESSAGE_TRUTH, labelIds: z.array(z.string()) });
const HISTORY_TRUTH = z.object({
  id: historyId,
  epoch: z.int(),
  at: z.number(),
  readableAt: z.number().exactOptional(),
  messagesAdded: z.array(MESSAGE_TRUTH),
  messagesDeleted: z.array(MESSAGE_TRUTH),
  labelsAdded: z.array(LABELS_TRUTH),
  labelsRemoved: z.array(LABELS_TRUTH),
  omits: z.array(z.string()),
  raw: z.unknown().exactOptional(),
}) satisfies z.ZodType<HistoryTruth>;

const GMAIL = z.object({
  gmail: z.object({
    at: instant,
    userId: z.string(),
    head: historyId.transform(BigInt),
    oldest: historyId.transform(BigInt),
    /** The records that are new since the last such line, or that show at another time. */
    history: z.array(HISTORY_TRUTH),
    messages: z.array(MESSAGE_TRUTH.extend({ internalDate: z.number() })),
  }),
});

const INCIDENT = z.object({
  at: instant,
  userId: z.string(),
  /** What the judge must know to judge rightly: each has a method of the same meaning. */
  kind: z.enum(["history_lost", "history_found", "rewound", "edited", "acknowledged"]),
  historyId: historyId.optional(),
});

const SETTINGS = z.object({
  /** What was published before is not in the recording. By default, the time of its first event. */
  from: instant.optional(),
  /** `HISTORY_SETTLE_MS` of the deployment. */
  settleMs: z.number().default(600_000),
  /** `PUBLISH_DRAFTS` and `WATCH_LABEL_IDS` of the deployment. */
  publishesDrafts: z.boolean().default(false),
  watchedLabels: z.array(z.string()).readonly().default([]),
  /** Whether `mailboxReconciliation` ran. */
  isReconciled: z.boolean().default(true),
  /** What Gmail showed until then must be told at the end; only where the recording has Gmail's truth. */
  completeUpTo: instant.optional(),
});

/** Reads the lines of a recording; throws an {@link UnreadableLine} that names the first bad one. */
export function readRecording(text: string): Recording {
  let settings: Settings = SETTINGS.parse({});
  const entries: Entry[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    try {
      const value: unknown = JSON.parse(line);
      const own = z.object({ settings: SETTINGS }).safeParse(value);
      if (own.success) settings = own.data.settings;
      else entries.push(...readEntry(value));
    } catch (error) {
      const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
      throw new UnreadableLine(`line ${index + 1}: ${why}`, { cause: error });
    }
  }
  // What happened in one instant stays in the order of the lines.
  return { settings, entries: entries.toSorted((a, b) => a.at - b.at) };
}

function readEntry(value: unknown): Entry[] {
  const names = new Set(Object.keys(z.record(z.string(), z.unknown()).parse(value)));
  if (names.has("message")) return [readMessage(value)];
  if (names.has("document")) return readDocument(value);
  if (names.has("missing")) {
    const { missing, readTime } = MISSING.parse(value);
    const userId = userIdOf(missing);
    return userId === undefined ? [] : [{ kind: "erased", at: readTime, userId }];
  }
  if (names.has("gmail")) {
    const { at, ...truth } = GMAIL.parse(value).gmail;
    return [{ kind: "gmail", at, truth }];
  }
  if (names.has("incident")) {
    const { incident } = z.object({ incident: INCIDENT }).parse(value);
    return [{ kind: "incident", at: incident.at, incident }];
  }
  // A query without results answers with the time alone.
  if (names.has("readTime")) return [];
  throw new UnreadableLine("none of message, document, missing, gmail, incident, settings");
}

function readMessage(value: unknown): Entry {
  const { data, attributes, messageId, publishTime, orderingKey } = MESSAGE.parse(value).message;
  const json = z
    .record(z.string(), z.unknown())
    .parse(JSON.parse(Buffer.from(data, "base64").toString()));
  const event = { attributes, json, orderingKey };
  return { kind: "published", at: publishTime, event, messageId };
}

/** Documents of other collections are none of the checker's business. */
function readDocument(value: unknown): Entry[] {
  const { document, readTime, write } = DOCUMENT.parse(value);
  const id = userIdOf(document.name);
  if (id === undefined) return [];
  const user: StoredUser = { ...STORED_USER.parse(readFields(document.fields)), id };
  return [{ kind: "stored", at: readTime, user, write }];
}

function userIdOf(name: string): string | undefined {
  return /\/documents\/users\/([^/]+)$/.exec(name)?.[1];
}
