import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import type { Notification } from "../gmail-emulator/notifications.ts";
import { createCursorChecks } from "./cursor-checks.ts";
import type { SimulatedGoogle } from "./google.ts";
import { type GrantChecks, createGrantChecks } from "./grant-checks.ts";
import { type Ledgers, createLedgers } from "./ledgers.ts";
import type { Commit } from "./store.ts";
import { createStreamChecks } from "./stream-checks.ts";
import type { World } from "./world.ts";

/** Looks at everything that is published, stored or asked of Google, as it happens. */
export interface Checks
  extends Ledgers, Pick<GrantChecks, "onCall" | "onLogged" | "troubled" | "announcementOf"> {
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

export function createChecks(world: World, google: SimulatedGoogle): Checks {
  const ledgers = createLedgers(google, world.parameters);
  const grants = createGrantChecks(world, google);
  const cursors = createCursorChecks(world, google, ledgers);
  const stream = createStreamChecks(world, google, ledgers, grants.isAnnouncement);
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
    onPublished: stream.onPublished,
    onCall: grants.onCall,
    onLogged: grants.onLogged,
    troubled: grants.troubled,
    announcementOf: grants.announcementOf,
    onCommit(commit: Commit) {
      grants.onCommit(commit);
      cursors.onCommit(commit);
    },
  } satisfies Omit<Checks, keyof Ledgers>);
}
