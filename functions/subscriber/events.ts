// Generated from functions/src/domain/event-definitions.ts by `npm run generate`. Do not edit.

/** The data of each type of event. */
export interface EventData {
  "mailbox.message.added": MessageAdded;
  "mailbox.message.deleted": MessageDeleted;
  "mailbox.labels.added": LabelsAdded;
  "mailbox.labels.removed": LabelsRemoved;
  "mailbox.gap": Gap;
  "mailbox.message.existing": MessageExisting;
  "mailbox.snapshot.completed": SnapshotCompleted;
  "mailbox.snapshot.failed": SnapshotFailed;
  "mailbox.connected": Connected;
  "mailbox.reauthorization_required": ReauthorizationRequired;
  "mailbox.unavailable": Unavailable;
  "mailbox.paused": Paused;
  "mailbox.disconnected": Disconnected;
  "mailbox.address_changed": AddressChanged;
  "mailbox.delayed": Delayed;
  "mailbox.caught_up": CaughtUp;
}

/** The types of events that this version knows. */
export const EVENT_TYPES = [
  "mailbox.message.added",
  "mailbox.message.deleted",
  "mailbox.labels.added",
  "mailbox.labels.removed",
  "mailbox.gap",
  "mailbox.message.existing",
  "mailbox.snapshot.completed",
  "mailbox.snapshot.failed",
  "mailbox.connected",
  "mailbox.reauthorization_required",
  "mailbox.unavailable",
  "mailbox.paused",
  "mailbox.disconnected",
  "mailbox.address_changed",
  "mailbox.delayed",
  "mailbox.caught_up",
] as const satisfies readonly (keyof EventData)[];

/** mailbox.message.added: A message is in the mailbox: received, sent, or imported. */
export interface MessageAdded {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /**
   * The position of this change in Gmail's history. An unsigned 64-bit number as decimal digits.
   */
  historyId: string;
  /** Gmail's message id. */
  messageId: string;
  /** Gmail's thread id. Absent where Gmail does not name it. */
  threadId?: string;
  /** The labels that the message had then. Empty where Gmail does not name them. */
  labelIds: string[];
  /** A recovery after a gap found the message: its labels are unknown. */
  recovered?: true;
  /**
   * With `CHANGES_DETAIL=headers`: header fields as Gmail returns them. A field is absent where the
   * message lacks it, or where it has more than 4,096 bytes.
   */
  headers?: {
    from?: string;
    to?: string;
    cc?: string;
    subject?: string;
    date?: string;
    messageId?: string;
    inReplyTo?: string;
    references?: string;
  };
  /** With `headers`: when Gmail received the message. */
  internalDate?: string;
  /** With `headers`: the size of the message in bytes, about. */
  sizeEstimate?: number;
  /** With `headers`, where the granted scope allows it: the beginning of the text. */
  snippet?: string;
  /**
   * With `CHANGES_DETAIL=headers`, in place of `headers`: why they are missing. `late`: Gmail did
   * not answer within two seconds. `throttled`: the share of Gmail's quota was used up. `gone`:
   * Gmail does not find the message yet, or any more. `failed`: any other failure. Later versions
   * may add codes.
   */
  headersMissing?: string;
}

/**
 * mailbox.message.deleted: A message was deleted for ever. (A move to the trash adds the label
 * `TRASH`.)
 */
export interface MessageDeleted {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /**
   * The position of this change in Gmail's history. An unsigned 64-bit number as decimal digits.
   */
  historyId: string;
  /** Gmail's message id. */
  messageId: string;
  /** Gmail's thread id. Absent where Gmail does not name it. */
  threadId?: string;
}

/** mailbox.labels.added: Labels were added to a message. */
export interface LabelsAdded {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /**
   * The position of this change in Gmail's history. An unsigned 64-bit number as decimal digits.
   */
  historyId: string;
  /** Gmail's message id. */
  messageId: string;
  /** Gmail's thread id. Absent where Gmail does not name it. */
  threadId?: string;
  /** The labels that were added. */
  labelIds: string[];
}

/**
 * mailbox.labels.removed: Labels were removed from a message: without `UNREAD` it has been read.
 */
export interface LabelsRemoved {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /**
   * The position of this change in Gmail's history. An unsigned 64-bit number as decimal digits.
   */
  historyId: string;
  /** Gmail's message id. */
  messageId: string;
  /** Gmail's thread id. Absent where Gmail does not name it. */
  threadId?: string;
  /** The labels that were removed. */
  labelIds: string[];
}

/**
 * mailbox.gap: Changes between two positions of the history cannot be published one by one. After
 * an expired or rewound history, the messages since `since` follow as `mailbox.message.added` with
 * `recovered`.
 */
export interface Gap {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /** The last position before the gap. An unsigned 64-bit number as decimal digits. */
  fromHistoryId: string;
  /** The last position within the gap. An unsigned 64-bit number as decimal digits. */
  toHistoryId: string;
  /** Everything that happened until then has been published. */
  since: string;
  /**
   * `history_expired`: Gmail no longer keeps the history. `history_rewound`: Gmail's history begins
   * again at a lower position. `unreadable_record`: Gmail sent a record that cannot be read.
   * `notified_unseen`: Gmail notified of a position that its history never showed. Later versions
   * may add codes.
   */
  reason: string;
  /**
   * What the recovery cannot find: `deletions`, `labels`, and `imports` (messages that were
   * imported with an old date).
   */
  incomplete?: string[];
}

/**
 * mailbox.message.existing: A snapshot found a message that is already in the mailbox. It is not
 * new: nothing has happened to it.
 */
export interface MessageExisting {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /**
   * The position of the stream when the snapshot was requested: everything later is in the stream.
   * An unsigned 64-bit number as decimal digits.
   */
  historyId: string;
  /** Gmail's message id. */
  messageId: string;
  /** Gmail's thread id. Absent where Gmail does not name it. */
  threadId?: string;
  /** Empty: Gmail's lists do not name labels. */
  labelIds: string[];
  /** The snapshot: the same in all of its events. */
  snapshotId: string;
}

/** mailbox.snapshot.completed: A snapshot has published every message. */
export interface SnapshotCompleted {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /** The snapshot: the same in all of its events. */
  snapshotId: string;
  /**
   * How many messages it has published. Messages that were deleted while the receiver repeated a
   * page are not counted.
   */
  messages: number;
  /**
   * The position of the stream when the snapshot was requested. Its messages and all later changes
   * together are the mailbox. An unsigned 64-bit number as decimal digits.
   */
  upToHistoryId: string;
}

/**
 * mailbox.snapshot.failed: Google refused to list the mailbox for three days, so the receiver has
 * given a snapshot up: older messages are missing. The operator can request another one.
 */
export interface SnapshotFailed {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /** The snapshot: the same in all of its events. */
  snapshotId: string;
  /**
   * How many messages it has published. Messages that were deleted while the receiver repeated a
   * page are not counted.
   */
  messages: number;
  /**
   * The position of the stream when the snapshot was requested. An unsigned 64-bit number as
   * decimal digits.
   */
  upToHistoryId: string;
  /** A short stable code that says why. Later versions may add codes. */
  reason: string;
}

/**
 * mailbox.connected: A person allowed access, an unavailable mailbox is back, or the operator
 * resumed a paused one. Changes follow.
 */
export interface Connected {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /** The number of the grant: one higher for each one. */
  generation: number;
  /** How many missed changes were published since access ended. Absent where not known. */
  recoveredChanges?: number;
}

/**
 * mailbox.reauthorization_required: The grant has ended. No changes follow until the person allows
 * access again.
 */
export interface ReauthorizationRequired {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /** The number of the grant: one higher for each one. */
  generation: number;
  /** A short stable code that says why. Later versions may add codes. */
  reason: string;
  /**
   * Where the person restores access. Works once, for this account, for 7 days. Treat it as a
   * secret of that person.
   */
  reauthorizeUrl: string;
}

/**
 * mailbox.unavailable: The grant is alive, and Google refuses the mailbox: disabled, suspended, or
 * without Gmail. The receiver tries again once a day, after a week once a week.
 */
export interface Unavailable {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /** The number of the grant: one higher for each one. */
  generation: number;
  /** A short stable code that says why. Later versions may add codes. */
  reason: string;
  /**
   * Where the person restores access. Works once, for this account, for 7 days. Treat it as a
   * secret of that person.
   */
  reauthorizeUrl: string;
}

/**
 * mailbox.paused: The operator paused the mailbox. The grant is kept, and no changes follow until
 * the operator resumes it: then all that were missed, and `mailbox.connected`.
 */
export interface Paused {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /** The number of the grant: one higher for each one. */
  generation: number;
  /** A short stable code that says why. Later versions may add codes. */
  reason: string;
}

/**
 * mailbox.disconnected: The connection has ended and the grant is gone. Nothing follows unless the
 * person connects again.
 */
export interface Disconnected {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /** The number of the grant: one higher for each one. */
  generation: number;
  /** A short stable code that says why. Later versions may add codes. */
  reason: string;
}

/** mailbox.address_changed: Google renamed the account. `userId` stays. */
export interface AddressChanged {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /** The address until now. */
  previousEmailAddress: string;
}

/**
 * mailbox.delayed: For half an hour now, more may have happened in the mailbox than was published.
 */
export interface Delayed {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /** Since when the mailbox has been, or had been, incomplete. The same in both events. */
  since: string;
  /** A short stable code that says why. Later versions may add codes. */
  reason: string;
  /** Seconds since the mailbox was last complete. */
  lagSeconds: number;
}

/** mailbox.caught_up: A delay is over: everything is published. */
export interface CaughtUp {
  /** The connected account: Google's `sub`. It never changes. */
  userId: string;
  /** The present email address of the account, in lower case. */
  emailAddress: string;
  /** Since when the mailbox has been, or had been, incomplete. The same in both events. */
  since: string;
  /** A short stable code that says why. Later versions may add codes. */
  reason: string;
  /** Seconds since the mailbox was last complete. */
  lagSeconds: number;
}
