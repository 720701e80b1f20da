import type { User, UserId } from "./user.ts";
import type { EmailAddress } from "./email-address.ts";
import type { HistoryId } from "./history-id.ts";

/** One published fact about one message. */
export type Change =
  | {
      kind: "added";
      historyId: HistoryId;
      messageId: string;
      /** Absent where Gmail did not name it. */
      threadId?: string;
      labelIds: readonly string[];
      recovered?: true;
    }
  | { kind: "deleted"; historyId: HistoryId; messageId: string; threadId?: string }
  | {
      kind: "labels.added" | "labels.removed";
      historyId: HistoryId;
      messageId: string;
      threadId?: string;
      /** The labels that changed. */
      labelIds: readonly string[];
    };

/** History that cannot be told change by change. */
export interface Gap {
  kind: "gap";
  fromHistoryId: HistoryId;
  toHistoryId: HistoryId;
  since: Date;
  reason: "history_expired" | "history_rewound" | "unreadable_record" | "notified_unseen";
  /** What a recovery cannot find: Gmail lists the messages that there are, by their dates. */
  incomplete?: readonly ("deletions" | "labels" | "imports")[];
}

/** What happened to the connection itself. */
export type LifecycleEvent =
  | { kind: "connected"; generation: number; episode?: number; recoveredChanges?: number }
  | { kind: "reauthorization_required"; generation: number; reason: string; reauthorizeUrl: string }
  | {
      kind: "unavailable";
      generation: number;
      episode?: number;
      reason: string;
      reauthorizeUrl: string;
    }
  | { kind: "disconnected"; generation: number; reason: string }
  | {
      kind: "address_changed";
      previousEmailAddress: EmailAddress;
      /** Names this change, and no other one of the user. */
      changeId: string;
    };

/** The stream of a mailbox is late, or is complete again. */
export interface DelayEvent {
  kind: "delayed" | "caught_up";
  /** Since when the mailbox has been, or had been, incomplete: part of the id. */
  since: Date;
  reason: string;
  /** How long ago the stream was complete last. */
  lagSeconds: number;
}

export type MailboxEvent = Change | Gap | LifecycleEvent | DelayEvent;

/**
 * The id of an event: the same change has the same id however often it is published. A message is
 * added once in its life, so that id is the same whether history or a recovery told of it.
 */
export function eventId(userId: UserId, event: MailboxEvent): string {
  switch (event.kind) {
    case "added":
      return `${userId}/added/${event.messageId}`;
    case "deleted":
    case "labels.added":
    case "labels.removed":
      return `${userId}/${event.historyId}/${event.kind}/${event.messageId}`;
    case "gap":
      // An expiry can begin where an unreadable record was told before: another gap, another id.
      if (event.reason === "unreadable_record") return `${userId}/${event.toHistoryId}/gap`;
      if (event.reason === "notified_unseen") return `${userId}/${event.toHistoryId}/unseen`;
      // After a rewind the cursor can come to the same id for a second time.
      if (event.reason === "history_rewound") {
        return `${userId}/gap/${event.fromHistoryId}/${event.since.getTime()}`;
      }
      return `${userId}/gap/${event.fromHistoryId}`;
    case "connected":
    case "unavailable": {
      // A mailbox can come back and be gone again under one grant: another fact, another id.
      const episode = event.episode === undefined ? "" : `/${event.episode}`;
      return `${userId}/${event.kind}/${event.generation}${episode}`;
    }
    case "reauthorization_required":
    case "disconnected":
      return `${userId}/${event.kind}/${event.generation}`;
    case "address_changed":
      return `${userId}/${event.kind}/${event.changeId}`;
    case "delayed":
    case "caught_up":
      return `${userId}/${event.kind}/${event.since.getTime()}`;
  }
}

/** What every event says of its user. */
export type EventUser = Pick<User, "id" | "emailAddress" | "tags">;

/**
 * Publishes in the given order on the user's ordering key and resolves once every event is
 * accepted. Rejects with a {@link PublishFailure} otherwise; some may have been accepted by then.
 * `traceparent` is the span that publishes, for subscribers to go on from.
 */
export type Publish = (
  user: EventUser,
  events: readonly MailboxEvent[],
  traceparent?: string,
) => Promise<void>;

/** The topic did not take the events. */
export class PublishFailure extends Error {
  override name = "PublishFailure";
  readonly kind: "misconfigured" | "transient";
  readonly reason: string;

  constructor(kind: "misconfigured" | "transient", reason: string) {
    super(`publishing failed: ${reason}`);
    this.kind = kind;
    this.reason = reason;
  }
}
