import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import { createRecorder } from "../checker/recorder.ts";
import type { SettingsLine } from "../checker/recording.ts";
import type { GmailModel } from "../gmail-emulator/model.ts";
import type { Checks } from "./checks.ts";
import type { Commit } from "./store.ts";

/** Writes down a run of the simulation for `npm run check-recording`. */
export interface RunRecorder {
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
  settings: SettingsLine;
}

/** Writes each line of the recording of one run. */
export function recordRun(
  { now, model, settings }: Parts,
  write: (line: object) => void,
): RunRecorder {
  const recorder = createRecorder({
    now,
    mailboxOf: (userId) => ({ ...model.account(userId), ...model.position(userId) }),
    write,
  });
  const from = new Date(now()).toISOString();
  const documents = new Set<string>();

  return {
    onPublished: recorder.published,

    onCommit({ kind, before, after }) {
      const { id, revision: _, read: __, ...content } = after;
      if (before === undefined && documents.has(id)) recorder.erased(id);
      documents.add(id);
      recorder.stored(id, content, kind);
    },

    follow(checks) {
      const { lostHistory, rewound, edited, onAcknowledged } = checks;
      const followed: Partial<Checks> = {
        lostHistory(sub, isLost) {
          recorder.incident(isLost ? "history_lost" : "history_found", sub);
          lostHistory(sub, isLost);
        },
        rewound(sub) {
          recorder.incident("rewound", sub);
          rewound(sub);
        },
        edited(sub) {
          recorder.incident("edited", sub);
          edited(sub);
        },
        onAcknowledged(notification) {
          recorder.incident("acknowledged", notification.sub, notification.historyId);
          onAcknowledged(notification);
        },
      };
      Object.assign(checks, followed);
    },

    end(completeUpTo) {
      for (const { sub } of model.accounts()) recorder.gmail(sub);
      const until = new Date(completeUpTo).toISOString();
      recorder.settings({ ...settings, from, completeUpTo: until });
    },
  };
}
