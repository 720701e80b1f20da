import type { HistoryTruth, MailboxTruth, PublishedEvent, Written } from "./evidence.ts";
import { writeFields } from "./firestore-values.ts";
import type { IncidentLine, SettingsLine } from "./recording.ts";

/** Writes a run down while it happens, as `recording.ts` reads it. */
export interface Recorder {
  published(event: PublishedEvent): void;
  /** `write` is which call of the store it was; only where every write is recorded. */
  stored(userId: string, content: object, write?: Written["kind"]): void;
  erased(userId: string): void;
  /** What has happened to this mailbox at Gmail since; written by itself before what tells of it. */
  gmail(userId: string): void;
  incident(kind: IncidentLine["kind"], userId: string, historyId?: string): void;
  settings(line: SettingsLine): void;
}

/** A mailbox as it is at Gmail at this moment. */
export interface MailboxAtGmail extends MailboxTruth {
  head: bigint;
  oldest: bigint;
}

/** Where a recording comes from, and where it goes. */
export interface RecorderParts {
  now: () => number;
  /** Answers with `undefined` where nobody knows. */
  mailboxOf: (userId: string) => MailboxAtGmail | undefined;
  write: (line: object) => void;
}

export function createRecorder({ now, mailboxOf, write }: RecorderParts): Recorder {
  const time = () => new Date(now()).toISOString();
  /** By mailbox, what was written of Gmail's truth: of each record, and of the rest. */
  const told = new Map<string, { records: string[]; rest: string }>();
  let serial = 0;

  function gmail(userId: string): void {
    const mailbox = mailboxOf(userId);
    if (mailbox === undefined) return;
    const known = told.get(userId) ?? { records: [], rest: "" };
    const position = { head: String(mailbox.head), oldest: String(mailbox.oldest) };
    const messages = mailbox.messages.map(({ id, threadId, labelIds, internalDate }) => ({
      id,
      threadId,
      labelIds,
      internalDate,
    }));
    const rest = JSON.stringify([position, messages]);
    const history = mailbox.history.map(asTruth).filter((record, index) => {
      const text = JSON.stringify(record);
      const isNew = known.records[index] !== text;
      known.records[index] = text;
      return isNew;
    });
    if (history.length === 0 && known.rest === rest) return;
    told.set(userId, { ...known, rest });
    write({ gmail: { at: time(), userId, ...position, history, messages } });
  }

  return {
    gmail,
    published({ attributes, json, orderingKey }) {
      gmail(String(json["userId"]));
      serial += 1;
      const data = Buffer.from(JSON.stringify(json)).toString("base64");
      const message = { data, attributes, messageId: String(serial), publishTime: time() };
      write({ message: { ...message, orderingKey } });
    },
    stored(userId, content, kind) {
      gmail(userId);
      const document = { name: nameOf(userId), fields: writeFields(content) };
      write({ document, readTime: time(), ...(kind && { write: kind }) });
    },
    erased: (userId) => write({ missing: nameOf(userId), readTime: time() }),
    incident: (kind, userId, historyId) =>
      write({ incident: { at: time(), kind, userId, historyId } }),
    settings: (line) => write({ settings: line }),
  };
}

function nameOf(userId: string): string {
  return `projects/recorded/databases/gmail-push/documents/users/${userId}`;
}

/** Whether a record is listed at the moment is no part of what happened. */
function asTruth({ listed: _, ...record }: HistoryTruth & { listed?: boolean }): HistoryTruth {
  return record;
}
