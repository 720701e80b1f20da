/** The severities of Cloud Logging's `LogSeverity` that this project uses. */
export type Severity = "DEBUG" | "INFO" | "WARNING" | "ERROR" | "CRITICAL";

/** What operators, alerts and the documentation know about an event of the log. */
export type LogEvent = (AlarmingEvent | QuietEvent) & {
  /** The chart of the dashboard that counts the event. From WARNING on, every event is counted. */
  readonly chart?: "connection" | "sync";
  /** Anonymous callers can cause the event as often as they like, so its records are sampled. */
  readonly isFromStrangers?: true;
};

/** An event from WARNING on. A section of its name in `infra/docs/runbook.md` explains it. */
interface AlarmingEvent {
  /** Every severity that the event is logged with, the most severe first. */
  readonly severities: readonly ["CRITICAL" | "ERROR" | "WARNING", ...Severity[]];
  /** An alert from this severity on, with a note. Every event at CRITICAL raises an alert. */
  readonly alert?: { readonly from: Severity; readonly note: string };
  readonly meaning?: never;
}

/** An event that no operator has to act on. */
interface QuietEvent {
  readonly severities: readonly ["INFO" | "DEBUG", ...("INFO" | "DEBUG")[]];
  /** What happened and what follows, for `infra/docs/logs-and-metrics.md`. */
  readonly meaning: string;
  readonly alert?: never;
}

/**
 * Every event that is logged, by its stable name. A name or a severity that is missing here does
 * not compile. `npm run generate` writes the documentation and the input of Terraform from it.
 */
export const LOG_EVENTS = {
  config_invalid: {
    severities: ["CRITICAL"],
    alert: {
      from: "CRITICAL",
      note: "A function does nothing because its environment variables are not valid. The field `problems` names each of them.",
    },
  },
  token_keys_invalid: {
    severities: ["CRITICAL"],
    alert: {
      from: "CRITICAL",
      note: "A function does nothing because TOKEN_KEYS is not a key ring, or Cloud KMS does not decrypt it. See the fields `problems` and `reason`.",
    },
  },
  misconfigured: {
    severities: ["CRITICAL"],
    alert: {
      from: "CRITICAL",
      note: "Google rejected our OAuth client, project or topic; the field `reason` says which. No user is flagged. Mailboxes catch up by themselves once you have fixed the configuration.",
    },
  },
  circuit_open: {
    severities: ["CRITICAL"],
    alert: {
      from: "CRITICAL",
      note: "Google rejected our configuration for three users with no success in between. Each instance pauses the call for a minute at a time.",
    },
  },
  fleet_guard: {
    severities: ["CRITICAL", "WARNING"],
    alert: {
      from: "CRITICAL",
      note: "Many grants failed at once and no refresh succeeds. The receiver's own configuration may be wrong, so no more users are flagged. Has the OAuth client, its secret or TOKEN_KEYS been changed?",
    },
  },
  mailbox_delayed: {
    severities: ["CRITICAL"],
    alert: {
      from: "CRITICAL",
      note: "A mailbox has been incomplete for MAILBOX_DELAYED_AFTER_MS (30 minutes by default), and subscribers know. If it is one mailbox, Google rejects its calls, and after a day it becomes unavailable. If there are many, look for a cause on our side.",
    },
  },
  grant_of_another_client: {
    severities: ["CRITICAL"],
    alert: {
      from: "CRITICAL",
      note: "Stored grants belong to another OAuth client than the configured one. No user is flagged, and their mailboxes wait. Has OAUTH_CLIENT_ID been changed?",
    },
  },
  token_decrypt_failed: {
    severities: ["CRITICAL"],
    alert: {
      from: "CRITICAL",
      note: "None of our keys decrypts a stored token. Is a key missing from TOKEN_KEYS?",
    },
  },
  renewal_misconfigured: {
    severities: ["CRITICAL"],
    alert: {
      from: "CRITICAL",
      note: "Watches cannot be renewed because Google rejects our configuration. A watch ends seven days after its last renewal.",
    },
  },
  authorization_failed: {
    severities: ["CRITICAL", "WARNING"],
    alert: { from: "CRITICAL", note: "A person could not connect because of our configuration." },
    isFromStrangers: true,
  },
  sync_crashed: {
    severities: ["CRITICAL"],
  },
  notification_crashed: {
    severities: ["CRITICAL"],
  },
  notice_misconfigured: {
    severities: ["CRITICAL"],
  },

  history_gap: {
    severities: ["ERROR"],
    alert: {
      from: "ERROR",
      note: "Gmail no longer has the history after a cursor. The gap was published and is recovered. Many gaps mean that mailboxes are not read often enough.",
    },
  },
  push_missed: {
    severities: ["ERROR"],
    alert: {
      from: "ERROR",
      note: "Mailboxes change and Gmail sends no notifications. Does Gmail still have permission to publish to the topic gmail-notifications, and does the subscription still exist?",
    },
  },
  snapshot_failed: {
    severities: ["ERROR"],
    alert: {
      from: "ERROR",
      note: "Google refused the calls of a snapshot for three days, and it was given up. Subscribers know. Request another one when the cause is gone.",
    },
  },
  label_left_out: {
    severities: ["ERROR"],
  },
  history_head_refused: {
    severities: ["ERROR"],
  },
  history_record_unreadable: {
    severities: ["ERROR"],
  },
  message_date_unreadable: {
    severities: ["ERROR"],
  },
  notification_malformed: {
    severities: ["ERROR"],
  },
  user_document_invalid: {
    severities: ["ERROR"],
  },
  user_repaired: {
    severities: ["ERROR"],
  },
  bad_request: {
    severities: ["ERROR"],
  },
  notification_failed: {
    severities: ["ERROR"],
  },
  request_failed: {
    severities: ["ERROR"],
    isFromStrangers: true,
  },
  due_user_failed: {
    severities: ["ERROR"],
  },
  notice_abandoned: {
    severities: ["ERROR"],
  },
  grant_not_revoked: {
    severities: ["ERROR"],
  },
  refresh_token_not_saved: {
    severities: ["ERROR"],
  },
  security_event_failed: {
    severities: ["ERROR"],
    isFromStrangers: true,
  },
  library_error: {
    severities: ["ERROR"],
    isFromStrangers: true,
  },

  watch_lapsed: {
    severities: ["WARNING"],
    alert: {
      from: "WARNING",
      note: "A watch expired before it was renewed. The mailbox is polled every few minutes until then.",
    },
  },
  rate_limited: {
    severities: ["WARNING"],
  },
  call_failed: {
    severities: ["WARNING"],
  },
  call_suppressed: {
    severities: ["WARNING"],
  },
  announcement_failed: {
    severities: ["WARNING"],
  },
  announcement_not_recorded: {
    severities: ["WARNING"],
  },
  id_token_rejected: {
    severities: ["WARNING"],
  },
  callback_without_cookie: {
    severities: ["WARNING"],
    isFromStrangers: true,
  },
  due_date_absurd: {
    severities: ["WARNING"],
  },
  oauth_testing_mode_suspected: {
    severities: ["WARNING"],
  },
  notice_failed: {
    severities: ["WARNING"],
  },
  notice_refused: {
    severities: ["WARNING"],
  },
  notice_not_recorded: {
    severities: ["WARNING"],
  },
  disconnect_unfinished: {
    severities: ["WARNING"],
  },
  watch_not_stopped: {
    severities: ["WARNING"],
  },
  telemetry_export_failed: {
    severities: ["WARNING"],
  },
  security_event_refused: {
    severities: ["WARNING"],
    isFromStrangers: true,
  },
  security_event_retry: {
    severities: ["WARNING"],
    isFromStrangers: true,
  },
  client_limited: {
    severities: ["WARNING"],
    isFromStrangers: true,
  },
  library_warning: {
    severities: ["WARNING"],
    isFromStrangers: true,
  },

  instance_started: {
    severities: ["INFO"],
    meaning:
      "An instance is ready. `heapLimitMib` is what V8 allows its heap in all. `compileCache` is `used`, or the start took longer: `absent` after an update of Node, until you deploy again, or `rejected` by V8, with other flags.",
  },
  user_connected: {
    severities: ["INFO"],
    meaning: "A person allowed access, for the first time or again.",
    chart: "connection",
  },
  user_flagged: {
    severities: ["INFO"],
    meaning: "Background work for a user is suspended; `status` and `reason` say why.",
    chart: "connection",
  },
  user_disconnected: {
    severities: ["INFO"],
    meaning: "A connection was ended by its owner, by an operator or by Google.",
    chart: "connection",
  },
  snapshot_completed: {
    severities: ["INFO"],
    meaning: "The mail that was already in a mailbox is published.",
  },
  user_paused: {
    severities: ["INFO"],
    meaning: "An operator paused a mailbox.",
    chart: "connection",
  },
  user_resumed: {
    severities: ["INFO"],
    meaning: "An operator resumed a paused mailbox.",
    chart: "connection",
  },
  mailbox_restored: {
    severities: ["INFO"],
    meaning: "A mailbox that was unavailable can be read again.",
    chart: "connection",
  },
  email_reassigned: {
    severities: ["INFO"],
    meaning:
      "An email address now belongs to another Google account. The connection of the previous account has ended.",
  },
  authorization_refused: {
    severities: ["INFO"],
    meaning: "A person did not get connected: they declined, or something was missing or invalid.",
    isFromStrangers: true,
  },
  ticket_refused: {
    severities: ["INFO"],
    meaning: "A start ticket was rejected; `reason` says why.",
    isFromStrangers: true,
  },
  user_erasing: {
    severities: ["INFO"],
    meaning: "A person asked for the erasure of their data; `outcome` says how far it got.",
  },
  user_erased: {
    severities: ["INFO"],
    meaning: "Everything that was stored about a user has been erased.",
  },
  notice_sent: { severities: ["INFO"], meaning: "A reminder was sent." },
  security_event_received: {
    severities: ["INFO"],
    meaning: "Google sent a security event; the record says whom it concerns and what was done.",
  },
  security_event_repeated: {
    severities: ["INFO"],
    meaning: "Google sent a security event again. Nothing was done.",
  },
  history_recovered: {
    severities: ["INFO"],
    meaning: "The recovery of an expired history is complete.",
  },
  mailbox_synced: {
    severities: ["INFO", "DEBUG"],
    meaning: "How a sync of one mailbox ended. DEBUG: there was nothing to do.",
    chart: "sync",
  },
  gmail_api_called: {
    severities: ["INFO"],
    meaning:
      "A subscriber called `gmailApi`: the audit record. `caller` is the service account, `method` Gmail's method, with `userId`, `messageId`, `status` and `bytes` of the response. `isComplete: false`: the response broke off.",
  },
  watches_renewed: {
    severities: ["INFO", "DEBUG"],
    meaning: "How a renewal run ended. DEBUG: no watch was due.",
  },
  mailboxes_reconciled: {
    severities: ["INFO", "DEBUG"],
    meaning: "How a reconciliation run ended. DEBUG: no mailbox was due.",
  },
  operator_command: {
    severities: ["INFO"],
    meaning:
      "`npm run mailboxes` is about to run a command; the record says which, and who runs it.",
  },
  operator_command_ended: {
    severities: ["INFO"],
    meaning: "A command of `npm run mailboxes` has ended; `outcome` says how.",
  },
} as const satisfies Readonly<Record<string, LogEvent>>;

/** The name of a log event. */
export type EventName = keyof typeof LOG_EVENTS;

/** The names of the events that may be logged with the severity `S`. */
export type EventAt<S extends Severity> = {
  [Name in EventName]: S extends (typeof LOG_EVENTS)[Name]["severities"][number] ? Name : never;
}[EventName];
