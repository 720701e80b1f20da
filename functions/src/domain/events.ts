import type { User, UserId } from "./user.ts";
import type { EmailAddress } from "./email-address.ts";
import type { HistoryId } from "./history-id.ts";

/** The header fields of a message that an event can contain, each as Gmail returns it. */
export const DETAILED_HEADERS = {
  from: "From",
  to: "To",
  cc: "Cc",
  subject: "Subject",
  date: "Date",
  messageId: "Message-ID",
  inReplyTo: "In-Reply-To",
  references: "References",
} as const;

/** What a message is about, without its text. */
export interface MessageDetail {
  headers: Readonly<Partial<Record<keyof typeof DETAILED_HEADERS, string>>>;
  /** When Gmail received the message. */
  internalDate: Date;
  /** Bytes. */
  sizeEstimate?: number;
  /** Absent where the granted scope does not allow it. */
  snippet?: string;
}

/** Why an event lacks the detail that is configured. */
export type MissingDetail = "late" | "throttled" | "gone" | "failed";

/** A message is in the mailbox. */
export interface AddedMessage extends Partial<MessageDetail> {
  kind: "added";
  historyId: HistoryId;
  messageId: string;
  /** Absent if Gmail did not name it. */
  threadId?: string;
  labelIds: readonly string[];
  recovered?: true;
  headersMissing?: MissingDetail;
}

/** One published fact about one message. */
export type Change =
  | AddedMessage
  | { kind: "deleted"; historyId: HistoryId; messageId: string; threadId?: string }
  | {
      kind: "labels.added" | "labels.removed";
      historyId: HistoryId;
      messageId: string;
      threadId?: string;
      /** The labels that changed. */
      labelIds: readonly string[];
    };

/** A message that was in the mailbox before its stream began, or before a snapshot was requested. */
export interface Existing {
  kind: "existing";
  snapshotId: string;
  /** The position of the stream when the snapshot was requested. */
  historyId: HistoryId;
  messageId: string;
  threadId?: string;
  labelIds: readonly string[];
}

/** Every message of a snapshot has been published. */
export interface SnapshotCompleted {
  kind: "snapshot_completed";
  snapshotId: string;
  messages: number;
  upToHistoryId: HistoryId;
}

/** A snapshot was given up: a part of its messages has not been published. */
export interface SnapshotFailed {
  kind: "snapshot_failed";
  snapshotId: string;
  messages: number;
  upToHistoryId: HistoryId;
  reason: string;
}

/** A part of the history that cannot be published change by change. */
export interface Gap {
  kind: "gap";
  fromHistoryId: HistoryId;
  toHistoryId: HistoryId;
  since: Date;
  reason: "history_expired" | "history_rewound" | "unreadable_record" | "notified_unseen";
  /** What the recovery cannot find: Gmail lists only existing messages, by date. */
  incomplete?: readonly ("deletions" | "labels" | "imports")[];
}

/** A change of the connection itself. */
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
  | { kind: "paused"; generation: number; episode?: number; reason: string }
  | { kind: "disconnected"; generation: number; reason: string }
  | {
      kind: "address_changed";
      previousEmailAddress: EmailAddress;
      /** A unique name of this change among the user's changes. */
      changeId: string;
    };

/** The stream of a mailbox is late, or is complete again. */
export interface DelayEvent {
  kind: "delayed" | "caught_up";
  /** Since when the mailbox has been, or had been, incomplete: part of the id. */
  since: Date;
  reason: string;
  /** Seconds since the stream was last complete. */
  lagSeconds: number;
}

/** Every published event. */
export type MailboxEvent =
  | Change
  | Gap
  | Existing
  | SnapshotCompleted
  | SnapshotFailed
  | LifecycleEvent
  | DelayEvent;

/**
 * Returns the id of an event: the same change always has the same id. A message is added once in
 * its life, so that id is the same from the history and from a recovery.
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
      // An expiry can begin where an unreadable record was published before: another gap, another
      // id.
      if (event.reason === "unreadable_record") return `${userId}/${event.toHistoryId}/gap`;
      if (event.reason === "notified_unseen") return `${userId}/${event.toHistoryId}/unseen`;
      // After a rewind the cursor can come to the same id for a second time.
      if (event.reason === "history_rewound") {
        return `${userId}/gap/${event.fromHistoryId}/${event.since.getTime()}`;
      }
      return `${userId}/gap/${event.fromHistoryId}`;
    case "connected":
    case "unavailable":
    case "paused": {
      // A mailbox can come back and end again under one grant: another fact, another id.
      const episode = event.episode === undefined ? "" : `/${event.episode}`;
      return `${userId}/${event.kind}/${event.generation}${episode}`;
    }
    case "reauthorization_required":
    case "disconnected":
      return `${userId}/${event.kind}/${event.generation}`;
    case "existing":
      return `${userId}/existing/${event.snapshotId}/${event.messageId}`;
    case "snapshot_completed":
    case "snapshot_failed":
      return `${userId}/${event.kind}/${event.snapshotId}`;
    case "address_changed":
      return `${userId}/${event.kind}/${event.changeId}`;
    case "delayed":
    case "caught_up":
      return `${userId}/${event.kind}/${event.since.getTime()}`;
  }
}

/** The parts of a user that every event contains. */
export type EventUser = Pick<User, "id" | "emailAddress" | "tags">;

/**
 * Publishes events in the given order on the user's ordering key and resolves once every event is
 * accepted. Otherwise it rejects with a {@link PublishFailure}; some may have been accepted by
 * then. `traceparent` is the span that publishes, which subscribers can continue.
 */
export type Publish = (
  user: EventUser,
  events: readonly MailboxEvent[],
  traceparent?: string,
) => Promise<void>;

/** Thrown when the topic did not accept the events. */
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
