import * as format from "./formats.ts";
import type { Format } from "./formats.ts";

/** One environment variable: everything that the code and the documentation know about it. */
export interface Variable<T> {
  readonly name: string;
  readonly format: Format<T>;
  /** What it means, as sentences for the documentation and for the Firebase CLI. */
  readonly meaning: string;
  readonly isRequired: boolean;
  /** The text that is used when the variable is not set. */
  readonly default?: string;
}

function required<T>(name: string, it: Format<T>, meaning: string): Variable<T> {
  return { name, format: it, meaning, isRequired: true };
}

function optional<T>(name: string, it: Format<T>, meaning: string): Variable<T | undefined> {
  return { name, format: it, meaning, isRequired: false };
}

/** Returns a variable with a default, which is parsed like any other text. */
function preset<T>(name: string, text: string, it: Format<T>, meaning: string): Variable<T> {
  return { name, format: it, meaning, isRequired: false, default: text };
}

function perMinute(name: string, fallback: number, meaning: string) {
  return { perMinute: preset(name, String(fallback), format.number(1, 1_000_000), meaning) };
}

const HOUR_MS = 3_600_000;

/**
 * Every environment variable that the receiver reads, in the shape of the configuration. The
 * documentation, the parameters of the Firebase CLI and the operator's programs read it, too. Which
 * of them are secrets, and which functions get those, is in `entries/functions.json`.
 */
export const VARIABLES = {
  projectId: required(
    "GOOGLE_CLOUD_PROJECT",
    format.projectId,
    "The project that the receiver runs in.",
  ),
  firestore: {
    databaseId: preset(
      "FIRESTORE_DATABASE",
      "(default)",
      format.databaseId,
      "The Firestore database that stores the users.",
    ),
  },
  gmail: {
    topic: required(
      "GMAIL_TOPIC",
      format.fullTopicName,
      "The topic that Gmail publishes notifications to. The function listens to no other topic.",
    ),
    scopes: preset(
      "GMAIL_SCOPES",
      "gmail.metadata",
      format.scopes,
      "The Gmail scopes that people are asked for, in addition to `openid email`.",
    ),
    watchLabelIds: preset(
      "WATCH_LABEL_IDS",
      "",
      format.labelIds,
      "The labels that are watched and published. Empty: all mail.",
    ),
    unitsPerMinute: preset(
      "GMAIL_UNITS_PER_MINUTE",
      "1200000",
      // One users.watch costs 100 units.
      format.number(100, 1_000_000_000),
      "The project's Gmail quota. Renewals use at most half of it.",
    ),
    apiMethods: preset(
      "GMAIL_API_METHODS",
      "read",
      format.methodGroups,
      "The groups of Gmail methods that `gmailApi` passes on. Each group other than `read` also needs a scope in GMAIL_SCOPES; `token` hands out access tokens.",
    ),
    emulatorHost: optional(
      "GMAIL_EMULATOR_HOST",
      format.emulatorHost,
      "For development: an emulator that takes the place of Google.",
    ),
  },
  changes: {
    topic: required("CHANGES_TOPIC", format.topicName, "The topic that changes are published to."),
    sink: preset(
      "CHANGES_SINK",
      "pubsub",
      format.sink,
      "`firestore`: changes are also written to Firestore, in the same write as the cursor.",
    ),
    isDetailed: preset(
      "CHANGES_DETAIL",
      "none",
      format.either("headers", "none"),
      "`headers`: added messages carry their sender, subject and other header fields, at 20 units of Gmail's quota each.",
    ),
    publishDrafts: preset(
      "PUBLISH_DRAFTS",
      "false",
      format.either("true", "false"),
      "`true`: changes of drafts are published, too.",
    ),
  },
  snapshot: {
    days: preset(
      "SNAPSHOT_DAYS",
      "0",
      format.number(0, 36_500),
      "When a mailbox is connected, the mail of so many days before is published as `mailbox.message.existing`. 0: none.",
    ),
    quotaPercent: preset(
      "SNAPSHOT_QUOTA_PERCENT",
      "5",
      format.number(1, 50),
      "The part of GMAIL_UNITS_PER_MINUTE that snapshots of all mailboxes together may use.",
    ),
  },
  publicUrl: required(
    "PUBLIC_URL",
    format.baseUrl,
    "The URL at which people reach `connect`: of a host that serves nothing else.",
  ),
  oauth: {
    clientId: required(
      "OAUTH_CLIENT_ID",
      format.credential("an OAuth client id"),
      "The OAuth client (web application) of the project that owns `GMAIL_TOPIC`, with PUBLIC_URL/callback as redirect URI.",
    ),
    clientSecret: optional(
      "OAUTH_CLIENT_SECRET",
      format.credential("an OAuth client secret"),
      "The secret of the OAuth client. Required in every function that refreshes tokens: all but `securityEvent`.",
    ),
  },
  sealing: {
    tokenKeys: required(
      "TOKEN_KEYS",
      format.keyRing,
      'The key ring that encrypts tokens, such as {"primary":"a","keys":{"a":"<`openssl rand -base64 32`>"}}.',
    ),
    kmsKey: optional(
      "TOKEN_KEYS_KMS_KEY",
      format.kmsKeyName,
      "The Cloud KMS key that `TOKEN_KEYS` is encrypted with. If set, `TOKEN_KEYS` is base64.",
    ),
    kmsEmulatorHost: optional(
      "KMS_EMULATOR_HOST",
      format.emulatorHost,
      "For development: an emulator that takes the place of Cloud KMS.",
    ),
  },
  allowedDomains: preset(
    "ALLOWED_DOMAINS",
    "",
    format.domains,
    "The Workspace domains whose accounts may connect. Empty: every Google account may.",
  ),
  returnTo: {
    urls: preset(
      "RETURN_TO_URLS",
      "",
      format.returnToUrls,
      "The exact URLs that `return_to` of `/start` may be, with path and query.",
    ),
    secret: optional(
      "RETURN_TO_SECRET",
      format.text("32 characters or more", (value) => value.length >= 32),
      "Signs what the application at RETURN_TO_URLS receives: 32 characters or more, shared with it.",
    ),
    isTicketRequired: preset(
      "CONNECT_TICKET",
      "optional",
      format.either("required", "optional"),
      "`required`: only people whom the application sends with a signed ticket may connect.",
    ),
  },
  notices: {
    smtpUrl: optional(
      "NOTICE_SMTP_URL",
      format.smtpUrl,
      "The mail server for reminders to people: smtps://USER:PASSWORD@HOST, or smtp:// with STARTTLS.",
    ),
    from: optional(
      "NOTICE_FROM",
      format.sender,
      "The sender of reminders. Required with `NOTICE_SMTP_URL`.",
    ),
  },
  app: {
    name: preset(
      "APP_NAME",
      "Mailbox Sync",
      format.oneLine(60),
      "The name of your service on pages and in mails.",
    ),
    logoUrl: optional("APP_LOGO_URL", format.publicUrl, "Your logo on pages and in mails."),
    supportEmail: optional(
      "SUPPORT_EMAIL",
      format.emailAddress,
      "The email address at which people can ask for help.",
    ),
  },
  risc: {
    clientIds: preset(
      "RISC_CLIENT_IDS",
      "",
      format.clientIds,
      "Further OAuth clients of the project that security events may be for. If set, an unused grant is not revoked at Google, because that would also end what the person granted to these clients.",
    ),
  },
  disconnectRevokes: preset(
    "DISCONNECT_REVOKES",
    "true",
    format.either("true", "false"),
    "`false`: a disconnect stops the watch and deletes the tokens, and leaves the grant at Google. Revoking ends everything that the person granted to any OAuth client of the project.",
  ),
  sync: {
    settleMs: preset(
      "HISTORY_SETTLE_MS",
      "120000",
      format.number(0, HOUR_MS),
      "How long a position that was read is read again, because Gmail shows some records late.",
    ),
    reconcileAfterMs: preset(
      "RECONCILE_AFTER_MS",
      "21600000",
      format.number(1_000, 7 * 24 * HOUR_MS),
      "After how long without a notification a mailbox is polled.",
    ),
    delayedAfterMs: preset(
      "MAILBOX_DELAYED_AFTER_MS",
      "1800000",
      format.number(60_000, 24 * HOUR_MS),
      "After how long an incomplete mailbox is reported with `mailbox.delayed`.",
    ),
    pagesMax: preset(
      "SYNC_PAGES_MAX",
      "40",
      format.number(1, 1_000),
      "How many pages of history with something new one sync reads.",
    ),
    // A function with an event trigger may run for 540 s, a scheduled one for 1800 s.
    timeMsMax: preset(
      "SYNC_TIME_MS_MAX",
      "50000",
      format.number(1_000, 530_000),
      "How long one sync may take.",
    ),
  },
  renewal: {
    // Gmail ends a watch after 7 days.
    afterMs: preset(
      "WATCH_RENEW_AFTER_MS",
      "86400000",
      format.number(1_000, 6 * 24 * HOUR_MS),
      "After how long a watch is renewed. Gmail ends it after 7 days.",
    ),
    concurrency: preset(
      "RENEWAL_CONCURRENCY",
      "8",
      format.number(1, 100),
      "How many watches one run renews at a time.",
    ),
    timeMsMax: preset(
      "RENEWAL_TIME_MS_MAX",
      "480000",
      format.number(1_000, 1_790_000),
      "How long one run may take. A run starts every 10 minutes.",
    ),
  },
  reconciliation: {
    concurrency: preset(
      "RECONCILIATION_CONCURRENCY",
      "8",
      format.number(1, 100),
      "How many mailboxes one run reads at a time.",
    ),
    timeMsMax: preset(
      "RECONCILIATION_TIME_MS_MAX",
      "50000",
      format.number(1_000, 1_790_000),
      "How long one run may take. A run starts every minute.",
    ),
  },
  limits: {
    pages: perMinute(
      "PAGES_PER_MINUTE",
      120,
      "How many requests to `connect` one client may make.",
    ),
    exchanges: perMinute(
      "CODE_EXCHANGES_PER_MINUTE",
      30,
      "How many authorization codes of one client are exchanged at Google.",
    ),
    failedExchanges: perMinute(
      "FAILED_EXCHANGES_PER_MINUTE",
      150,
      "How many authorization codes of all clients together Google may reject.",
    ),
    refusedEvents: perMinute(
      "REFUSED_EVENTS_PER_MINUTE",
      30,
      "How many invalid security events one client may send.",
    ),
  },
  loadBalancers: preset(
    "LOAD_BALANCERS",
    "0",
    format.number(0, 5),
    "How many load balancers are in front of `connect`. Each adds an address to `X-Forwarded-For`. If the number is too small, all people count as one client.",
  ),
  forgetAfterDays: preset(
    "FORGET_AFTER_DAYS",
    "90",
    format.number(0, 3_650),
    "How many days after the end of a grant everything about the user is erased. 0: never.",
  ),
  telemetry: {
    endpoint: optional(
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      format.baseUrl,
      "A collector of traces and metrics (OTLP over HTTP).",
    ),
    headers: optional(
      "OTEL_EXPORTER_OTLP_HEADERS",
      format.headers,
      "Headers that the collector needs, such as a key: `name=value,...`, the values percent-encoded.",
    ),
    serviceName: preset(
      "OTEL_SERVICE_NAME",
      "gmail-push-receiver",
      format.oneLine(255),
      "The name of the service in traces and metrics.",
    ),
  },
} as const;

/** The values of a part of {@link VARIABLES}. */
export type Values<T> =
  T extends Variable<infer V>
    ? V
    : { readonly [K in keyof T as undefined extends Values<T[K]> ? never : K]: Values<T[K]> } & {
        readonly [K in keyof T as undefined extends Values<T[K]> ? K : never]?: Exclude<
          Values<T[K]>,
          undefined
        >;
      };

/** Every variable, in the order of the documentation. */
export const ALL_VARIABLES: readonly Variable<unknown>[] = variablesIn(VARIABLES);

/** The names of all variables. */
export const VARIABLE_NAMES: readonly string[] = ALL_VARIABLES.map(({ name }) => name);

function variablesIn(part: object): Variable<unknown>[] {
  return isVariable(part) ? [part] : Object.values(part).flatMap(variablesIn);
}

/** Returns whether a part of {@link VARIABLES} is one variable, not a group of them. */
export function isVariable(part: object): part is Variable<unknown> {
  return "format" in part;
}
