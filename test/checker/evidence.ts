/*
 * What the checker judges: events of the topic, stored documents, and, where somebody knows it, what
 * has happened at Gmail. The types are its own: it shares no code with the receiver.
 */

/** One event on the topic, as Pub/Sub carries a CloudEvent in binary mode. */
export interface PublishedEvent {
  attributes: Readonly<Record<string, string>>;
  json: Readonly<Record<string, unknown>>;
  orderingKey: string;
}

/** What the checker reads of a stored document. */
export interface StoredUser {
  id: string;
  status: string;
  statusAt: Date;
  historyId: string;
  connectedAt?: Date;
  grant: { generation: number; refreshToken?: unknown; accessToken?: unknown };
  watch: { renewAt?: Date };
  sync: {
    dueAt?: Date;
    behindSince?: Date;
    delayedAt?: Date;
    recovery?: { fromHistoryId: string; toHistoryId: string };
  };
  followUp: { announced?: { status: string; generation: number }; episode?: number };
}

/** A document as it was, and as it is now. */
export interface Written {
  /** Absent where nobody saw the writes: then there may have been any number of them. */
  kind?: "update" | "authorize" | "create";
  /** Absent for a document that is new, or seen for the first time. */
  before: StoredUser | undefined;
  after: StoredUser;
}

/** A message, as far as it identifies itself. */
export interface MessageTruth {
  id: string;
  threadId: string;
  labelIds: readonly string[];
}

/** One record of Gmail's history as it happened, listed or not. */
export interface HistoryTruth {
  id: string;
  /** How often the head had been rewound by then. */
  epoch: number;
  at: number;
  /** Absent while the index holds it back. */
  readableAt?: number;
  messagesAdded: readonly MessageTruth[];
  messagesDeleted: readonly MessageTruth[];
  labelsAdded: readonly { message: MessageTruth; labelIds: readonly string[] }[];
  labelsRemoved: readonly { message: MessageTruth; labelIds: readonly string[] }[];
  /** What its messages lack where they are listed. */
  omits: readonly string[];
  /** Present: what cannot be read of it. */
  raw?: unknown;
}

/** What is true of a mailbox. */
export interface MailboxTruth {
  history: readonly HistoryTruth[];
  messages: readonly (MessageTruth & { internalDate: number })[];
}

/** Gmail as it is at this moment. */
export interface GmailTruth {
  account(sub: string): MailboxTruth;
  position(sub: string): { head: bigint; oldest: bigint };
}

/** What the checker has seen, and how often: a check that never had anything to judge proves little. */
export type Seen =
  | "repeated publication"
  | "gap published"
  | "gap after a rewind"
  | "gap of a notified id that never showed"
  | "recovered message published"
  | "address change told"
  | "late record that nothing told of in time";

/** Where the checks tell of what they find. */
export interface Court {
  now(): number;
  count(seen: Seen): void;
  /** Notes that a promise was broken. */
  violate(property: string, what: string): void;
}
