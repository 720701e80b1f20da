import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import type { HistoryTruth } from "../checker/evidence.ts";
import { writeFields } from "../checker/firestore-values.ts";
import type { IncidentLine } from "../checker/recording.ts";
import type { GmailModel } from "../gmail-emulator/model.ts";
import type { Checks } from "./checks.ts";
import type { Commit } from "./store.ts";

/** Writes down a run for `npm run check-recording`, as `test/checker/recording.ts` reads it. */
export interface Recorder {
  onPublished(event: PubsubCloudEvent): void;
  onCommit(commit: Commit): void;
  /** From now on the checks' knowledge of the world is written down, too. */
  follow(checks: Checks): void;
  /** Ends the recording: what Gmail showed until then has to be told by now. */
  end(completeUpTo: number): void;
}

interface Parts {
  now: () => number;
  model: GmailModel;
  settings: { settleMs: number; publishesDrafts: boolean; watchedLabels: readonly string[] };
  isReconciled: boolean;
}

/** Writes each line of the recording of one run. */
export function createRecorder(
  { now, model, settings, isReconciled }: Parts,
  write: (line: object) => void,
): Recorder {
  const time = () => new Date(now()).toISOString();
  const from = time();
  /** By mailbox, what was written of Gmail's truth: of each record, and of the rest. */
  const told = new Map<string, { records: string[]; rest: string }>();
  const documents = new Set<string>();
  let serial = 0;

  function note(kind: IncidentLine["kind"], userId: string, historyId?: string): void {
    write({ incident: { at: time(), kind, userId, historyId } });
  }

  /** What the checks would see of Gmail at this moment. */
  function writeGmail(userId: string): void {
    const { history, messages } = model.account(userId);
    const { head, oldest } = model.position(userId);
    const known = told.get(userId) ?? { records: [], rest: "" };
    const rest = JSON.stringify([String(head), String(oldest), messages]);
    const changed = history.map(toTruth).filter((record, index) => {
      const text = JSON.stringify(record);
      const isNew = known.records[index] !== text;
      known.records[index] = text;
      return isNew;
    });
    if (changed.length === 0 && known.rest === rest) return;
    told.set(userId, { ...known, rest });
    const position = { head: String(head), oldest: String(oldest) };
    write({ gmail: { at: time(), userId, ...position, history: changed, messages } });
  }

  return {
    onPublished({ attributes, json, orderingKey }) {
      writeGmail(String(json["userId"]));
      serial += 1;
      const data = Buffer.from(JSON.stringify(json)).toString("base64");
      const message = { data, attributes, messageId: String(serial), publishTime: time() };
      write({ message: { ...message, orderingKey } });
    },

    onCommit({ kind, before, after }) {
      writeGmail(after.id);
      const name = `projects/simulated/databases/gmail-push/documents/users/${after.id}`;
      if (before === undefined && documents.has(after.id)) {
        write({ missing: name, readTime: time() });
      }
      documents.add(after.id);
      const { id: _, revision: __, read: ___, ...content } = after;
      const document = { name, fields: writeFields(content) };
      write({ document, readTime: time(), write: kind });
    },

    follow(checks) {
      const { lostHistory, rewound, edited, onAcknowledged } = checks;
      const followed: Partial<Checks> = {
        lostHistory(sub, isLost) {
          note(isLost ? "history_lost" : "history_found", sub);
          lostHistory(sub, isLost);
        },
        rewound(sub) {
          note("rewound", sub);
          rewound(sub);
        },
        edited(sub) {
          note("edited", sub);
          edited(sub);
        },
        onAcknowledged(notification) {
          note("acknowledged", notification.sub, notification.historyId);
          onAcknowledged(notification);
        },
      };
      Object.assign(checks, followed);
    },

    end(completeUpTo) {
      for (const { sub } of model.accounts()) writeGmail(sub);
      const until = new Date(completeUpTo).toISOString();
      write({ settings: { ...settings, isReconciled, from, completeUpTo: until } });
    },
  };
}

/** Whether a record is listed at the moment is no part of what happened. */
function toTruth({ listed: _, ...record }: HistoryTruth & { listed: boolean }): HistoryTruth {
  return record;
}
