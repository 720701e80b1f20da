import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import { createCursorChecks } from "../checker/cursors.ts";
import { createDocumentChecks } from "../checker/documents.ts";
import type { Court } from "../checker/evidence.ts";
import type { Rules } from "../checker/ledger.ts";
import { type Ledgers, createLedgers } from "../checker/ledgers.ts";
import { type StatusChecks, createStatusChecks } from "../checker/statuses.ts";
import { createStreamChecks } from "../checker/stream.ts";
import type { Notification } from "../gmail-emulator/notifications.ts";
import type { SimulatedGoogle } from "./google.ts";
import { type GrantChecks, createGrantChecks } from "./grant-checks.ts";
import type { Parameters } from "./parameters.ts";
import type { Commit } from "./store.ts";
import type { World } from "./world.ts";

/** Looks at everything that is published, stored or asked of Google, as it happens. */
export interface Checks
  extends
    Ledgers,
    Pick<GrantChecks, "onCall" | "onLogged" | "troubled">,
    Pick<StatusChecks, "announcementOf"> {
  onPublished(event: PubsubCloudEvent): void;
  onAcknowledged(notification: Notification): void;
  /** From now on no start id of this mailbox is found, or they are again. */
  lostHistory(sub: string, isLost: boolean): void;
  /** An operator has changed the document: what it says of its mailbox may be of another time. */
  edited(sub: string): void;
  /** The document cannot be read, so that nothing can be told of its mailbox. */
  unreachable(sub: string, isUnreachable: boolean): void;
  /** The head has gone back. */
  rewound(sub: string): void;
  onCommit(commit: Commit): void;
}

/** What is watched where labels are. Not every mailbox has the second one. */
export const WATCHED_LABELS = ["INBOX", "Label_1"];

export function createChecks(world: World, google: SimulatedGoogle): Checks {
  const { scheduler, parameters, count, violate } = world;
  const court: Court = { now: scheduler.now, count, violate };
  const { model } = google;
  const ledgers = createLedgers(model.history, rulesOf(parameters));
  const grants = createGrantChecks(world, google);
  const statuses = createStatusChecks(court);
  const documents = createDocumentChecks(court, ledgers);
  const cursors = createCursorChecks(court, model, ledgers, parameters.settleMs);
  const { isAnnouncement } = statuses;
  const stream = createStreamChecks(court, ledgers, { gmail: model, isAnnouncement });
  return Object.assign(ledgers, {
    onAcknowledged({ sub, historyId }: Notification) {
      if (sub !== "") ledgers.current(sub).acknowledged.add(historyId);
    },
    lostHistory: stream.lostHistory,
    rewound: cursors.rewound,
    edited: (sub: string) => {
      const ledger = ledgers.current(sub);
      ledger.isEdited = true;
      // What the document says is still to come may come again.
      ledgers.onRecords(sub, ledger.records.length);
    },
    unreachable: (sub: string, isUnreachable: boolean) => {
      ledgers.current(sub).isUnreachable = isUnreachable;
    },
    onPublished(event: PubsubCloudEvent) {
      stream.onPublished(event);
      documents.onPublished(event);
    },
    onCall: grants.onCall,
    onLogged: grants.onLogged,
    troubled: grants.troubled,
    announcementOf: statuses.announcementOf,
    onCommit(commit: Commit) {
      grants.onCommit(commit);
      statuses.onWritten(commit);
      documents.onWritten(commit);
      cursors.onWritten(commit);
    },
  } satisfies Omit<Checks, keyof Ledgers>);
}

/** What is published, as the parameters have the deployment configured. */
export function rulesOf({ rude }: Pick<Parameters, "rude">): Rules {
  return {
    publishesDrafts: rude.has("published drafts"),
    watchedLabels: rude.has("watched labels") ? WATCHED_LABELS : [],
  };
}
