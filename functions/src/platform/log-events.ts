/** The severities of Cloud Logging's `LogSeverity` that this project uses. */
export type Severity = "DEBUG" | "INFO" | "WARNING" | "ERROR" | "CRITICAL";

/** What operators, alerts and the documentation know about an event of the log. */
export interface LogEvent {
  /** Every severity that the event is logged with, the most severe first. */
  readonly severities: readonly Severity[];
  /** What happened and what follows, for `infra/docs/logs-and-metrics.md`. */
  readonly meaning: string;
  /** An alert policy of its own. Every other event at CRITICAL shares one policy. */
  readonly alert?: { readonly from: Severity; readonly note: string };
  /** Anonymous callers can cause the event as often as they like, so its records are sampled. */
  readonly isFromStrangers?: true;
  /** The chart of the dashboard that counts the event. From WARNING on, every event is counted. */
  readonly chart?: "connection" | "sync";
}

/**
 * Every event that is logged, by its stable name. A name or a severity that is missing here does
 * not compile. `npm run generate` writes the documentation and the input of Terraform from it. Every
 * event from WARNING on has a section of its own name in `infra/docs/runbook.md`.
 */
export const LOG_EVENTS = {
  config_invalid: {
    severities: ["CRITICAL"],
    meaning:
      "The environment variables are not valid, so the function does nothing. `problems` names each of them.",
    alert: {
      from: "CRITICAL",
      note: "A function does nothing because its environment variables are not valid. The field `problems` names each of them.",
    },
  },
  token_keys_invalid: {
    severities: ["CRITICAL"],
    meaning:
      "`TOKEN_KEYS` is not a key ring, or Cloud KMS does not decrypt it. The function does nothing.",
    alert: {
      from: "CRITICAL",
      note: "A function does nothing because TOKEN_KEYS is not a key ring, or Cloud KMS does not decrypt it. See the fields `problems` and `reason`.",
    },
  },
  misconfigured: {
    severities: ["CRITICAL"],
    meaning: "Google rejected our OAuth client, project or topic. No user is flagged.",
    alert: {
      from: "CRITICAL",
      note: "Google rejected our OAuth client, project or topic; the field `reason` says which. No user is flagged. Mailboxes catch up by themselves once you have fixed the configuration.",
    },
  },
  circuit_open: {
    severities: ["CRITICAL"],
    meaning:
      "Google rejected our configuration for three users with no success in between. This instance pauses the call for a minute.",
    alert: {
      from: "CRITICAL",
      note: "Google rejected our configuration for three users with no success in between. Each instance pauses the call for a minute at a time.",
    },
  },
  fleet_guard: {
    severities: ["CRITICAL", "WARNING"],
    meaning:
      "Many grants failed at once and no refresh succeeds, so no more users are flagged. WARNING: Google still accepts our OAuth client.",
    alert: {
      from: "CRITICAL",
      note: "Many grants failed at once and no refresh succeeds. The receiver's own configuration may be wrong, so no more users are flagged. Has the OAuth client, its secret or TOKEN_KEYS been changed?",
    },
  },
  mailbox_delayed: {
    severities: ["CRITICAL"],
    meaning:
      "A mailbox has been incomplete for `MAILBOX_DELAYED_AFTER_MS`. `mailbox.delayed` was published, once.",
    alert: {
      from: "CRITICAL",
      note: "A mailbox has been incomplete for MAILBOX_DELAYED_AFTER_MS (30 minutes by default), and subscribers know. If it is one mailbox, Google rejects its calls, and after a day it becomes unavailable. If there are many, look for a cause on our side.",
    },
  },
  grant_of_another_client: {
    severities: ["CRITICAL"],
    meaning:
      "A stored grant belongs to another OAuth client than the configured one. No user is flagged.",
    alert: {
      from: "CRITICAL",
      note: "Stored grants belong to another OAuth client than the configured one. No user is flagged, and their mailboxes wait. Has OAUTH_CLIENT_ID been changed?",
    },
  },
  token_decrypt_failed: {
    severities: ["CRITICAL"],
    meaning:
      "None of our keys decrypts a stored token. The mailbox waits; its user is not flagged.",
    alert: {
      from: "CRITICAL",
      note: "None of our keys decrypts a stored token. Is a key missing from TOKEN_KEYS?",
    },
  },
  renewal_misconfigured: {
    severities: ["CRITICAL"],
    meaning: "A renewal run ended early because Google rejects our configuration.",
    alert: {
      from: "CRITICAL",
      note: "Watches cannot be renewed because Google rejects our configuration. A watch ends seven days after its last renewal.",
    },
  },
  authorization_failed: {
    severities: ["CRITICAL", "WARNING"],
    meaning:
      "A person could not connect. CRITICAL: because of our configuration. WARNING: because of a temporary failure.",
    alert: { from: "CRITICAL", note: "A person could not connect because of our configuration." },
    isFromStrangers: true,
  },
  sync_crashed: {
    severities: ["CRITICAL"],
    meaning:
      "A sync failed because of an error in the receiver's own code. The mailbox is retried, each time after a longer pause.",
  },
  notification_crashed: {
    severities: ["CRITICAL"],
    meaning:
      "A notification failed because of an error in the receiver's own code. It is acknowledged; the reconciliation reads the mailbox.",
  },
  notice_misconfigured: {
    severities: ["CRITICAL"],
    meaning:
      "The mail server rejects our login, sender or TLS, or has accepted no mail for an hour. No reminders go out.",
  },

  history_gap: {
    severities: ["ERROR"],
    meaning:
      "Gmail no longer has the history after a cursor, or never listed a change that it notified us of. `mailbox.gap` was published, and what can be recovered is recovered.",
    alert: {
      from: "ERROR",
      note: "Gmail no longer has the history after a cursor. The gap was published and is recovered. Many gaps mean that mailboxes are not read often enough.",
    },
  },
  push_missed: {
    severities: ["ERROR"],
    meaning:
      "A mailbox changed and no notification arrived. The watch is renewed in case it is dead.",
    alert: {
      from: "ERROR",
      note: "Mailboxes change and Gmail sends no notifications. Does Gmail still have permission to publish to the topic gmail-notifications, and does the subscription still exist?",
    },
  },
  label_left_out: {
    severities: ["ERROR"],
    meaning: "Gmail rejects the list of a watched label, so a recovery leaves that label out.",
  },
  history_head_refused: {
    severities: ["ERROR"],
    meaning:
      "Gmail answers 404 even for the current head of a history. The next try follows after a longer pause.",
  },
  history_record_unreadable: {
    severities: ["ERROR"],
    meaning: "A history record does not have the documented shape. It is published as a gap.",
  },
  message_date_unreadable: {
    severities: ["ERROR"],
    meaning: "Gmail returned a message without a valid date.",
  },
  notification_malformed: {
    severities: ["ERROR"],
    meaning:
      "A notification does not have the documented shape. It is dropped: a retry cannot help.",
  },
  user_document_invalid: {
    severities: ["ERROR"],
    meaning: "A stored user document does not have its shape. No work is done for that user.",
  },
  user_repaired: {
    severities: ["ERROR"],
    meaning:
      "Parts of a stored user document could not be read. Defaults replaced them, and the work is repeated.",
  },
  bad_request: {
    severities: ["ERROR"],
    meaning: "Google rejected a request as invalid. The mailbox is retried later.",
  },
  notification_failed: {
    severities: ["ERROR"],
    meaning: "A notification failed, usually because of the store. Pub/Sub redelivers it.",
  },
  request_failed: {
    severities: ["ERROR"],
    meaning: "A request failed unexpectedly, usually because of the store.",
    isFromStrangers: true,
  },
  due_user_failed: {
    severities: ["ERROR"],
    meaning: "The work for one user of a scheduled run failed. A later run retries it.",
  },
  notice_abandoned: {
    severities: ["ERROR"],
    meaning: "A reminder could not be sent for days. It is not retried.",
  },
  grant_not_revoked: {
    severities: ["ERROR"],
    meaning: "A grant that the receiver no longer uses could not be revoked at Google.",
  },
  refresh_token_not_saved: {
    severities: ["ERROR"],
    meaning:
      "Google issued a new refresh token, and it could not be stored. The next refresh uses the old one.",
  },
  security_event_failed: {
    severities: ["ERROR"],
    meaning: "The store failed during a security event. The response was 503, so Google retries.",
    isFromStrangers: true,
  },
  library_error: {
    severities: ["ERROR"],
    meaning: "A library printed an error. Its message and bodies are left out.",
    isFromStrangers: true,
  },

  watch_lapsed: {
    severities: ["WARNING"],
    meaning:
      "A watch expired before it was renewed. The mailbox is polled every few minutes until then.",
    alert: {
      from: "WARNING",
      note: "A watch expired before it was renewed. The mailbox is polled every few minutes until then.",
    },
  },
  rate_limited: {
    severities: ["WARNING"],
    meaning: "Google asked us to slow down. The mailbox is retried later.",
  },
  call_failed: {
    severities: ["WARNING"],
    meaning: "A call to Google failed. It is retried later.",
  },
  call_suppressed: {
    severities: ["WARNING"],
    meaning:
      "A call was not made because an open circuit or the fleet guard suppresses it. It is made later.",
  },
  announcement_failed: {
    severities: ["WARNING"],
    meaning:
      "The new status or email address of a user could not be published. It is retried later.",
  },
  announcement_not_recorded: {
    severities: ["WARNING"],
    meaning:
      "A status or email address was published, but the document was not updated. It may be published again, with the same `ce-id`.",
  },
  id_token_rejected: {
    severities: ["WARNING"],
    meaning: "An ID token did not pass verification, so the person was not connected.",
  },
  callback_without_cookie: {
    severities: ["WARNING"],
    meaning:
      "A browser came back from Google without any cookie. Many of them mean that a proxy in front of `connect` drops cookies.",
    isFromStrangers: true,
  },
  due_date_absurd: {
    severities: ["WARNING"],
    meaning:
      "A due date was further ahead than any that the receiver writes, so a wrong clock wrote it. The user was served immediately.",
  },
  oauth_testing_mode_suspected: {
    severities: ["WARNING"],
    meaning:
      "A grant ended after seven days. All grants do while the OAuth consent screen is in testing: publish it.",
  },
  notice_failed: {
    severities: ["WARNING"],
    meaning: "A reminder could not be sent. It is retried later.",
  },
  notice_refused: {
    severities: ["WARNING"],
    meaning: "The mail server permanently rejects an email address. It gets no more reminders.",
  },
  notice_not_recorded: {
    severities: ["WARNING"],
    meaning: "A reminder was sent, but the document was not updated. It may be sent again.",
  },
  disconnect_unfinished: {
    severities: ["WARNING"],
    meaning:
      "The tokens of a disconnected user could not be deleted yet. The reconciliation retries.",
  },
  watch_not_stopped: {
    severities: ["WARNING"],
    meaning:
      "Gmail sends notifications for a paused mailbox, or with `DISCONNECT_REVOKES=false` for a disconnected one, until its watch expires.",
  },
  telemetry_export_failed: {
    severities: ["WARNING"],
    meaning: "The collector of traces and metrics fails, so they are lost.",
  },
  security_event_refused: {
    severities: ["WARNING"],
    meaning: "A security event token was rejected; the record says why.",
    isFromStrangers: true,
  },
  security_event_retry: {
    severities: ["WARNING"],
    meaning: "Google's signing keys could not be fetched. The response was 503, so Google retries.",
    isFromStrangers: true,
  },
  client_limited: {
    severities: ["WARNING"],
    meaning: "A client sent more requests than one may, and was asked to wait.",
    isFromStrangers: true,
  },
  library_warning: {
    severities: ["WARNING"],
    meaning: "A library printed a warning. Its message and bodies are left out.",
    isFromStrangers: true,
  },

  instance_started: {
    severities: ["INFO"],
    meaning: "An instance is ready. `heapLimitMib` is what V8 allows its heap in all.",
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
