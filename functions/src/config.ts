import { z } from "zod";
import { parseKeyRing } from "./grant/sealing.ts";
import type { Loggable } from "./log.ts";
import type { PublicLimits, Rate } from "./rate-limit.ts";
import { parseEmailAddress } from "./mailbox/email-address.ts";
import { SIGN_IN_SCOPES, canonicalScope } from "./scope.ts";

/**
 * Everything that can be set, read once. All of it comes from environment variables. An empty one
 * counts as not set, and so does `none`: a secret of Secret Manager cannot be empty.
 *
 * | variable                     | default          | what it says                               |
 * | ---------------------------- | ---------------- | ------------------------------------------ |
 * | `GOOGLE_CLOUD_PROJECT`       | required         | the project we run in                      |
 * | `FIRESTORE_DATABASE`         | `(default)`      | the database that keeps the users          |
 * | `GMAIL_TOPIC`                | required         | where Gmail publishes; full name           |
 * | `CHANGES_TOPIC`              | required         | where we publish; short or full name       |
 * | `PUBLIC_URL`                 | required         | of `connect`; https, or http on loopback   |
 * | `OAUTH_CLIENT_ID`            | required         | of the project that owns `GMAIL_TOPIC`     |
 * | `OAUTH_CLIENT_SECRET`        | required         | its secret; not in `securityEvent`         |
 * | `TOKEN_KEYS`                 | required         | the key ring: `grant/sealing.ts`           |
 * | `TOKEN_KEYS_KMS_KEY`         | none             | the KMS key that encrypted `TOKEN_KEYS`    |
 * | `GMAIL_SCOPES`               | `gmail.metadata` | list; beside `openid email`                |
 * | `WATCH_LABEL_IDS`            | all mail         | list; what is watched and published        |
 * | `ALLOWED_DOMAINS`            | all accounts     | list; Workspace domains that may connect   |
 * | `RETURN_TO_URLS`             | none             | list; exact URLs that `return_to` may be   |
 * | `RETURN_TO_SECRET`           | none             | signs `connection`; 32 characters or more  |
 * | `CONNECT_TICKET`             | `optional`       | `required`: people come with a ticket only |
 * | `NOTICE_SMTP_URL`            | none             | smtp:// or smtps://; with `NOTICE_FROM`    |
 * | `NOTICE_FROM`                | none             | the sender of mail to people               |
 * | `APP_NAME`                   | Mailbox Sync     | what people see that they connect to       |
 * | `APP_LOGO_URL`               | none             | https; shown on pages and in mail          |
 * | `SUPPORT_EMAIL`              | none             | whom people can ask                        |
 * | `RISC_CLIENT_IDS`            | none             | list; more clients of this project         |
 * | `DISCONNECT_REVOKES`         | `true`           | `false`: a disconnect leaves the grant     |
 * | `CHANGES_SINK`               | `pubsub`         | `firestore`: changes are written there too |
 * | `PUBLISH_DRAFTS`             | `false`          | `true`: drafts are published too           |
 * | `GMAIL_EMULATOR_HOST`        | none             | loopback host:port in place of Google      |
 * | `KMS_EMULATOR_HOST`          | none             | loopback host:port in place of Cloud KMS   |
 * | `HISTORY_SETTLE_MS`          | 2 minutes        | until a position that was read is settled  |
 * | `RECONCILE_AFTER_MS`         | 6 hours          | until a quiet mailbox is synced            |
 * | `MAILBOX_DELAYED_AFTER_MS`   | 30 minutes       | until a late mailbox is reported           |
 * | `WATCH_RENEW_AFTER_MS`       | 24 hours         | until a watch is renewed                   |
 * | `SYNC_PAGES_MAX`             | 40               | pages of history in one run                |
 * | `SYNC_TIME_MS_MAX`           | 50 seconds       | of one run                                 |
 * | `RENEWAL_CONCURRENCY`        | 8                | watches renewed at a time                  |
 * | `RENEWAL_TIME_MS_MAX`        | 8 minutes        | of one run; one starts every 10            |
 * | `RECONCILIATION_CONCURRENCY` | 8                | mailboxes reconciled at a time             |
 * | `RECONCILIATION_TIME_MS_MAX` | 50 seconds       | of one run; one starts every minute        |
 * | `GMAIL_UNITS_PER_MINUTE`     | 1200000          | the project's Gmail quota, to stay below   |
 * | `PAGES_PER_MINUTE`           | 120              | requests to `connect` of one client        |
 * | `CODE_EXCHANGES_PER_MINUTE`  | 30               | codes of one client that Google is asked   |
 * | `FAILED_EXCHANGES_PER_MINUTE` | 150             | codes of all clients that Google refuses   |
 * | `REFUSED_EVENTS_PER_MINUTE`  | 30               | forged security events of one client       |
 * | `LOAD_BALANCERS`             | 0                | in front of `connect`; see below           |
 * | `FORGET_AFTER_DAYS`          | 90               | after a grant has ended; 0: never          |
 * | `OTEL_EXPORTER_OTLP_ENDPOINT` | none            | https, or http on loopback: a collector    |
 * | `OTEL_EXPORTER_OTLP_HEADERS` | none             | for it: `name=value,...` percent-encoded   |
 * | `OTEL_SERVICE_NAME`          | see below        | what traces and metrics are of             |
 *
 * With `RISC_CLIENT_IDS` a refused grant is not revoked at Google: revoking would also end what the
 * person granted to those clients.
 *
 * Revoking ends everything that the person allowed any OAuth client of the project. With
 * `DISCONNECT_REVOKES=false` the receiver therefore never revokes a grant: it stops the watch, deletes
 * the tokens, and the person can remove the access in their Google Account.
 *
 * The limits per minute hold for each instance, and twice as much may come at once. A client is the
 * address that Google's front end adds to `X-Forwarded-For`; a load balancer in front of it adds one
 * more, so `LOAD_BALANCERS` must count them, or all people count as one client. `connect` must then be
 * reached through the load balancer only, or a client could choose the address that it counts as.
 *
 * Lists are separated by spaces or commas. `OTEL_SERVICE_NAME` is `gmail-push-receiver` unless set.
 * With a collector, the OpenTelemetry SDK itself also reads `OTEL_TRACES_SAMPLER`,
 * `OTEL_TRACES_SAMPLER_ARG` and `OTEL_RESOURCE_ATTRIBUTES`.
 */
export interface Config {
  readonly projectId: string;
  readonly firestore: { readonly databaseId: string };
  /** Without a slash at its end. */
  readonly publicUrl: string;
  /** The secret is empty in a function that asks Google for no token. */
  readonly oauth: { readonly clientId: string; readonly clientSecret: string };
  /** The key ring as JSON or, when `kmsKey` is set, that JSON encrypted with it, in base64. */
  readonly sealing: {
    readonly tokenKeys: string;
    readonly kmsKey?: string;
    readonly kmsEmulatorHost?: string;
  };
  readonly gmail: {
    readonly topic: string;
    /** Full URLs, without the OpenID scopes. At least one of them allows a watch. */
    readonly scopes: readonly string[];
    /** Empty: all mail. */
    readonly watchLabelIds: readonly string[];
    readonly unitsPerMinute: number;
    readonly emulatorHost?: string;
  };
  readonly changes: {
    /** The full name. */
    readonly topic: string;
    readonly sink: "pubsub" | "firestore";
    readonly publishDrafts: boolean;
  };
  /** Lower case. Empty: every Google account may connect. */
  readonly allowedDomains: readonly string[];
  readonly returnTo: {
    readonly urls: readonly string[];
    readonly secret?: string;
    readonly isTicketRequired: boolean;
  };
  /** Without it nobody is written to. */
  readonly notices?: {
    readonly smtpUrl: string;
    readonly from: string;
    /** How we greet the mail server (RFC 5321 §4.1.1.1): the host of `PUBLIC_URL`. */
    readonly ehloName?: string;
  };
  /** What people see of whoever runs this. */
  readonly app: {
    readonly name: string;
    readonly logoUrl?: string;
    readonly supportEmail?: string;
  };
  /** The OAuth clients that a security event may be for: ours, and others of the same project. */
  readonly risc: { readonly clientIds: readonly string[] };
  /** Whether the receiver revokes a grant at Google that it no longer uses. */
  readonly disconnectRevokes: boolean;
  readonly sync: {
    readonly settleMs: number;
    readonly reconcileAfterMs: number;
    readonly delayedAfterMs: number;
    readonly pagesMax: number;
    readonly timeMsMax: number;
  };
  readonly renewal: {
    readonly afterMs: number;
    readonly concurrency: number;
    readonly timeMsMax: number;
  };
  readonly reconciliation: { readonly concurrency: number; readonly timeMsMax: number };
  /** Of one client, `failedExchanges` of all; for each instance. */
  readonly limits: Readonly<Record<keyof PublicLimits, Rate>>;
  readonly loadBalancers: number;
  /** How long what is kept of a person outlives their grant; 0: for ever. */
  readonly forgetAfterDays: number;
  /** Without it nothing is traced or measured. */
  readonly telemetry?: TelemetryConfig;
}

/** Where traces and metrics go: a collector of OpenTelemetry's OTLP over HTTP. */
export interface TelemetryConfig {
  /** Without a slash at its end; `/v1/traces` and `/v1/metrics` are below it. */
  readonly endpoint: string;
  /** Often secret: keys of whoever keeps them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly serviceName: string;
}

/** What is wrong with the environment, all of it: variables by name, never what they hold. */
export class ConfigError extends Error implements Loggable {
  override name = "ConfigError";
  readonly isLoggable = true;
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the configuration is not usable: ${problems.join("; ")}`);
    this.problems = problems;
  }
}

/** Reads the configuration. Throws one {@link ConfigError} that names every problem. */
export function readConfig(from: Readonly<Record<string, string | undefined>>): Config {
  const env = Object.fromEntries(
    VARIABLE_NAMES.map((name) => [name, isNothing(from[name]) ? undefined : from[name]]),
  );
  const read = Variables.safeParse(env);
  const problems = [
    ...(read.error?.issues ?? []).map(({ path, message }) => `${path.join(".")} ${message}`),
    ...findContradictions(env, from["FUNCTION_TARGET"]),
  ];
  if (read.data === undefined || problems.length > 0) throw new ConfigError(problems);
  return arrange(read.data);
}

function isNothing(value: string | undefined): boolean {
  return value === "" || value === "none";
}

const HOUR_MS = 3_600_000;
const PROJECT = "(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,61}[a-z0-9]";
const TOPIC_ID = "(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}";
/** What is pending is kept in a cookie, which has little room. */
const RETURN_TO_URL_CHARS_MAX = 200;
const NAMES = {
  project: new RegExp(`^${PROJECT}$`),
  database: /^(?:\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$/,
  topic: new RegExp(`^projects/${PROJECT}/topics/${TOPIC_ID}$`),
  shortOrFullTopic: new RegExp(`^(?:projects/${PROJECT}/topics/)?${TOPIC_ID}$`),
  kmsKey: new RegExp(
    `^projects/${PROJECT}/locations/[a-z0-9-]+/keyRings/[\\w-]{1,63}/cryptoKeys/[\\w-]{1,63}$`,
  ),
};

/** The scopes that `users.watch` and `users.history.list` accept; any one of them will do. */
const WATCH_SCOPES = new Set([
  "https://www.googleapis.com/auth/gmail.metadata",
  "https://www.googleapis.com/auth/gmail.readonly",
  "https://www.googleapis.com/auth/gmail.modify",
  "https://mail.google.com/",
]);
const OPENID_SCOPES: ReadonlySet<string> = new Set(SIGN_IN_SCOPES);

const Variables = z.object({
  GOOGLE_CLOUD_PROJECT: text("a project id", (value) => NAMES.project.test(value)),
  FIRESTORE_DATABASE: text("the id of a Firestore database, or (default)", (value) =>
    NAMES.database.test(value),
  ).default("(default)"),
  GMAIL_TOPIC: text("a full topic name, projects/PROJECT/topics/TOPIC", (value) =>
    NAMES.topic.test(value),
  ),
  CHANGES_TOPIC: text("a topic name, TOPIC or projects/PROJECT/topics/TOPIC", (value) =>
    NAMES.shortOrFullTopic.test(value),
  ),
  PUBLIC_URL: text(
    "an https URL (http on loopback only) without user, query or fragment",
    isPublicUrl,
  ).transform(withoutSlash),
  OAUTH_CLIENT_ID: text("an OAuth client id", isVisibleAscii),
  // Required but for a function that asks Google for no token: see findContradictions.
  OAUTH_CLIENT_SECRET: text("an OAuth client secret", isVisibleAscii).optional(),
  // Its content depends on TOKEN_KEYS_KMS_KEY: see findContradictions.
  TOKEN_KEYS: z.string("is not set"),
  TOKEN_KEYS_KMS_KEY: text(
    "a Cloud KMS key, projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY",
    (value) => NAMES.kmsKey.test(value),
  ).optional(),
  GMAIL_SCOPES: list(
    "Gmail scopes, one of which allows users.watch",
    isScopes,
    "gmail.metadata",
  ).transform((scopes) =>
    [...new Set(scopes.map(fullScope))].filter((scope) => !OPENID_SCOPES.has(scope)),
  ),
  WATCH_LABEL_IDS: list("label ids", (ids) => ids.every((id) => /^[\w-]{1,225}$/.test(id))),
  ALLOWED_DOMAINS: list("domains, such as example.com", (domains) =>
    domains.every(isDomain),
  ).transform((domains) => [...new Set(domains.map((domain) => domain.toLowerCase()))]),
  RETURN_TO_URLS: list(
    `exact https URLs (http on loopback only), each with its path, as the URL parser writes it, without user, fragment or a connection parameter, at most ${RETURN_TO_URL_CHARS_MAX} characters`,
    (urls) => urls.every(isReturnToUrl),
  ),
  // An origin let any path through, so it must not be read as a URL by accident.
  RETURN_TO_ORIGINS: z
    .undefined("is not read any more: set RETURN_TO_URLS to the exact URLs that return_to may be")
    .optional(),
  RETURN_TO_SECRET: text("32 characters or more", (value) => value.length >= 32).optional(),
  CONNECT_TICKET: z
    .enum(["required", "optional"], "must be required or optional")
    .default("optional"),
  NOTICE_SMTP_URL: text(
    "an smtp:// or smtps:// URL of a host, with a user and password at most",
    isSmtpUrl,
  ).optional(),
  NOTICE_FROM: text("an address, or a name and an address in <>", isSender).optional(),
  // Shown to people and put into mail headers.
  APP_NAME: text("1 to 60 characters on one line", (value) => /^\P{C}{1,60}$/u.test(value)).default(
    "Mailbox Sync",
  ),
  APP_LOGO_URL: text(
    "an https URL (http on loopback only) without user, query or fragment",
    isPublicUrl,
  ).optional(),
  SUPPORT_EMAIL: text("an address", (value) => parseEmailAddress(value) !== undefined).optional(),
  RISC_CLIENT_IDS: list("OAuth client ids", (ids) => ids.every(isVisibleAscii)),
  DISCONNECT_REVOKES: z.enum(["true", "false"], "must be true or false").default("true"),
  CHANGES_SINK: z.enum(["pubsub", "firestore"], "must be pubsub or firestore").default("pubsub"),
  PUBLISH_DRAFTS: z.enum(["true", "false"], "must be true or false").default("false"),
  GMAIL_EMULATOR_HOST: text("host:port on loopback", isLoopbackHostAndPort).optional(),
  KMS_EMULATOR_HOST: text("host:port on loopback", isLoopbackHostAndPort).optional(),
  HISTORY_SETTLE_MS: number(0, HOUR_MS, 120_000),
  RECONCILE_AFTER_MS: number(1_000, 7 * 24 * HOUR_MS, 6 * HOUR_MS),
  MAILBOX_DELAYED_AFTER_MS: number(60_000, 24 * HOUR_MS, HOUR_MS / 2),
  // Gmail ends a watch after 7 days.
  WATCH_RENEW_AFTER_MS: number(1_000, 6 * 24 * HOUR_MS, 24 * HOUR_MS),
  SYNC_PAGES_MAX: number(1, 1_000, 40),
  // 540 s is the longest that a function with an event trigger may run, 1800 s a scheduled one.
  SYNC_TIME_MS_MAX: number(1_000, 530_000, 50_000),
  RENEWAL_CONCURRENCY: number(1, 100, 8),
  RENEWAL_TIME_MS_MAX: number(1_000, 1_790_000, 480_000),
  RECONCILIATION_CONCURRENCY: number(1, 100, 8),
  RECONCILIATION_TIME_MS_MAX: number(1_000, 1_790_000, 50_000),
  // One watch is 100 units.
  GMAIL_UNITS_PER_MINUTE: number(100, 1_000_000_000, 1_200_000),
  PAGES_PER_MINUTE: number(1, 1_000_000, 120),
  CODE_EXCHANGES_PER_MINUTE: number(1, 1_000_000, 30),
  FAILED_EXCHANGES_PER_MINUTE: number(1, 1_000_000, 150),
  REFUSED_EVENTS_PER_MINUTE: number(1, 1_000_000, 30),
  LOAD_BALANCERS: number(0, 5, 0),
  FORGET_AFTER_DAYS: number(0, 3_650, 90),
  OTEL_EXPORTER_OTLP_ENDPOINT: text(
    "an https URL (http on loopback only) without user, query or fragment",
    isPublicUrl,
  )
    .transform(withoutSlash)
    .optional(),
  OTEL_EXPORTER_OTLP_HEADERS: text(
    "a list of name=value, the values percent-encoded",
    (value) => parseHeaders(value) !== undefined,
  ).optional(),
  OTEL_SERVICE_NAME: text("1 to 255 characters on one line", (value) =>
    /^\P{C}{1,255}$/u.test(value),
  ).default("gmail-push-receiver"),
});

/** The names of all variables that {@link readConfig} reads. */
export const VARIABLE_NAMES: readonly string[] = Object.keys(Variables.shape);

function text(what: string, check: (value: string) => boolean) {
  return z
    .string("is not set")
    .refine((value) => value === value.trim(), {
      error: "has white space at its start or end",
      abort: true,
    })
    .refine(check, `must be ${what}`);
}

function list(what: string, check: (items: string[]) => boolean, fallback = "") {
  return z
    .string()
    .default(fallback)
    .transform((value) => value.split(/[\s,]+/).filter((item) => item !== ""))
    .refine(check, `must be a list of ${what}`);
}

function number(min: number, max: number, fallback: number) {
  return z
    .string()
    .default(String(fallback))
    .refine(
      (value) => /^\d{1,15}$/.test(value) && Number(value) >= min && Number(value) <= max,
      `must be a whole number from ${min} to ${max}`,
    )
    .transform(Number);
}

/** What no variable shows by itself. Checked on the raw text, so that it is told with the rest. */
function findContradictions(
  env: Readonly<Record<string, string | undefined>>,
  functionName: string | undefined,
): string[] {
  const problems: string[] = [];
  if (!env["OAUTH_CLIENT_SECRET"] && functionName !== "securityEvent") {
    problems.push("OAUTH_CLIENT_SECRET is not set");
  }
  const { TOKEN_KEYS, TOKEN_KEYS_KMS_KEY, NOTICE_SMTP_URL, NOTICE_FROM } = env;
  if (TOKEN_KEYS && TOKEN_KEYS_KMS_KEY) {
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(TOKEN_KEYS)) {
      problems.push("TOKEN_KEYS must be base64, because TOKEN_KEYS_KMS_KEY is set");
    }
  } else if (TOKEN_KEYS) {
    const keyRing = parseKeyRing(TOKEN_KEYS);
    if (keyRing.kind === "unusable") {
      problems.push(...keyRing.problems.map((problem) => `TOKEN_KEYS: ${problem}`));
    }
  }
  if (NOTICE_SMTP_URL && !NOTICE_FROM) problems.push("NOTICE_FROM is not set, NOTICE_SMTP_URL is");
  if (NOTICE_FROM && !NOTICE_SMTP_URL) problems.push("NOTICE_SMTP_URL is not set, NOTICE_FROM is");
  // The issuer of a ticket is an origin of these URLs.
  if (env["CONNECT_TICKET"] === "required" && !env["RETURN_TO_URLS"]) {
    problems.push("RETURN_TO_URLS is not set, CONNECT_TICKET is required");
  }
  // Only `connect` is given the secret that tickets are verified with.
  const isConnect = functionName === "connect";
  if (env["CONNECT_TICKET"] === "required" && isConnect && !env["RETURN_TO_SECRET"]) {
    problems.push("RETURN_TO_SECRET is not set, CONNECT_TICKET is required");
  }
  const { GMAIL_TOPIC, CHANGES_TOPIC, GOOGLE_CLOUD_PROJECT } = env;
  if (GMAIL_TOPIC && CHANGES_TOPIC) {
    // Each change would come back as a notification.
    const isSame = fullTopic(CHANGES_TOPIC, GOOGLE_CLOUD_PROJECT ?? "") === GMAIL_TOPIC;
    if (isSame) problems.push("CHANGES_TOPIC must be another topic than GMAIL_TOPIC");
  }
  return problems;
}

function arrange(read: z.infer<typeof Variables>): Config {
  const { TOKEN_KEYS_KMS_KEY, KMS_EMULATOR_HOST, RETURN_TO_SECRET, GMAIL_EMULATOR_HOST } = read;
  const { NOTICE_SMTP_URL: smtpUrl, NOTICE_FROM: from } = read;
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers = "" } = read;
  const { APP_LOGO_URL: logoUrl, SUPPORT_EMAIL: supportEmail } = read;
  return {
    projectId: read.GOOGLE_CLOUD_PROJECT,
    firestore: { databaseId: read.FIRESTORE_DATABASE },
    publicUrl: read.PUBLIC_URL,
    oauth: { clientId: read.OAUTH_CLIENT_ID, clientSecret: read.OAUTH_CLIENT_SECRET ?? "" },
    sealing: {
      tokenKeys: read.TOKEN_KEYS,
      ...(TOKEN_KEYS_KMS_KEY !== undefined && { kmsKey: TOKEN_KEYS_KMS_KEY }),
      ...(KMS_EMULATOR_HOST !== undefined && { kmsEmulatorHost: KMS_EMULATOR_HOST }),
    },
    gmail: {
      topic: read.GMAIL_TOPIC,
      scopes: read.GMAIL_SCOPES,
      watchLabelIds: read.WATCH_LABEL_IDS,
      unitsPerMinute: read.GMAIL_UNITS_PER_MINUTE,
      ...(GMAIL_EMULATOR_HOST !== undefined && { emulatorHost: GMAIL_EMULATOR_HOST }),
    },
    changes: {
      topic: fullTopic(read.CHANGES_TOPIC, read.GOOGLE_CLOUD_PROJECT),
      sink: read.CHANGES_SINK,
      publishDrafts: read.PUBLISH_DRAFTS === "true",
    },
    allowedDomains: read.ALLOWED_DOMAINS,
    returnTo: {
      urls: read.RETURN_TO_URLS,
      isTicketRequired: read.CONNECT_TICKET === "required",
      ...(RETURN_TO_SECRET !== undefined && { secret: RETURN_TO_SECRET }),
    },
    ...(smtpUrl !== undefined &&
      from !== undefined && { notices: { smtpUrl, from, ...ehloNameOf(read.PUBLIC_URL) } }),
    app: {
      name: read.APP_NAME,
      ...(logoUrl !== undefined && { logoUrl }),
      ...(supportEmail !== undefined && { supportEmail }),
    },
    risc: { clientIds: [...new Set([read.OAUTH_CLIENT_ID, ...read.RISC_CLIENT_IDS])] },
    disconnectRevokes: read.DISCONNECT_REVOKES === "true",
    sync: {
      settleMs: read.HISTORY_SETTLE_MS,
      reconcileAfterMs: read.RECONCILE_AFTER_MS,
      delayedAfterMs: read.MAILBOX_DELAYED_AFTER_MS,
      pagesMax: read.SYNC_PAGES_MAX,
      timeMsMax: read.SYNC_TIME_MS_MAX,
    },
    renewal: {
      afterMs: read.WATCH_RENEW_AFTER_MS,
      concurrency: read.RENEWAL_CONCURRENCY,
      timeMsMax: read.RENEWAL_TIME_MS_MAX,
    },
    reconciliation: {
      concurrency: read.RECONCILIATION_CONCURRENCY,
      timeMsMax: read.RECONCILIATION_TIME_MS_MAX,
    },
    limits: {
      pages: { perMinute: read.PAGES_PER_MINUTE },
      exchanges: { perMinute: read.CODE_EXCHANGES_PER_MINUTE },
      failedExchanges: { perMinute: read.FAILED_EXCHANGES_PER_MINUTE },
      refusedEvents: { perMinute: read.REFUSED_EVENTS_PER_MINUTE },
    },
    loadBalancers: read.LOAD_BALANCERS,
    forgetAfterDays: read.FORGET_AFTER_DAYS,
    ...(endpoint !== undefined && {
      telemetry: {
        endpoint,
        headers: parseHeaders(headers) ?? {},
        serviceName: read.OTEL_SERVICE_NAME,
      },
    }),
  };
}

/** As the OTLP exporter specifies headers in environment variables: W3C Baggage, percent-encoded. */
function parseHeaders(value: string): Record<string, string> | undefined {
  const headers: Record<string, string> = {};
  for (const pair of value.split(",")) {
    const [, name, encoded = ""] = /^([\w-]+)=([\x21-\x7e]*)$/.exec(pair.trim()) ?? [];
    if (name === undefined || !isDecodable(encoded)) return undefined;
    headers[name.toLowerCase()] = decodeURIComponent(encoded);
  }
  return Object.values(headers).every((decoded) => /^[\x20-\x7e]*$/.test(decoded))
    ? headers
    : undefined;
}

function withoutSlash(url: string): string {
  return new URL(url).href.replace(/\/+$/, "");
}

function fullTopic(name: string, projectId: string): string {
  return name.includes("/") ? name : `projects/${projectId}/topics/${name}`;
}

function fullScope(name: string): string {
  const scope = canonicalScope(name);
  if (scope.startsWith("https://") || scope === "openid") return scope;
  return name === "mail.google.com"
    ? "https://mail.google.com/"
    : `https://www.googleapis.com/auth/${name}`;
}

function isScopes(names: string[]): boolean {
  const scopes = names.map(fullScope);
  return (
    scopes.some((scope) => WATCH_SCOPES.has(scope)) &&
    scopes.every(
      (scope) =>
        OPENID_SCOPES.has(scope) ||
        WATCH_SCOPES.has(scope) ||
        /^https:\/\/www\.googleapis\.com\/auth\/[a-z0-9._-]+$/.test(scope),
    )
  );
}

function isVisibleAscii(value: string): boolean {
  return /^[\x21-\x7e]{1,512}$/.test(value);
}

function isPublicUrl(value: string): boolean {
  const url = parseUrl(value);
  if (url === undefined || /[?#\s\\]/.test(value)) return false;
  return isHttpsOrLoopback(url) && url.username === "" && url.password === "";
}

function isDomain(value: string): boolean {
  const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
  return value.length <= 253 && new RegExp(`^${label}(?:\\.${label})+$`, "i").test(value);
}

function isReturnToUrl(value: string): boolean {
  const url = parseUrl(value);
  if (url === undefined || value.length > RETURN_TO_URL_CHARS_MAX) return false;
  const { href, username, password, searchParams } = url;
  if (href !== value || /[#\\]/.test(value) || searchParams.has("connection")) return false;
  return isHttpsOrLoopback(url) && username === "" && password === "";
}

function isHttpsOrLoopback({ protocol, hostname }: URL): boolean {
  if (protocol === "http:") return isLoopback(hostname);
  // A URL may have `*` for a host; nothing here means "any".
  return protocol === "https:" && !hostname.includes("*");
}

/** Whether a URL's host is this machine, where nobody listens in on what is not encrypted. */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}

/** A host with a name of its own; relays refuse `localhost`, and an address would need brackets. */
function ehloNameOf(publicUrl: string): { ehloName?: string } {
  const name = new URL(publicUrl).hostname.replace(/\.$/, "");
  return /\.[a-z][a-z0-9-]*$/.test(name) ? { ehloName: name } : {};
}

/** What a `..._EMULATOR_HOST` may hold: an emulator elsewhere would be sent what Google is sent. */
export function isLoopbackHostAndPort(value: string): boolean {
  const [, host = "", port = ""] = /^(.+):(\d{1,5})$/.exec(value) ?? [];
  // What is too large for a port or for a part of an address is no URL.
  return isLoopback(host) && Number(port) > 0 && parseUrl(`http://${value}`) !== undefined;
}

function isSmtpUrl(value: string): boolean {
  const url = parseUrl(value);
  if (url === undefined || /[?#\s\\]/.test(value)) return false;
  const { protocol, hostname, pathname, username, password } = url;
  const isServer = /^smtps?:$/.test(protocol) && hostname !== "" && /^\/?$/.test(pathname);
  return isServer && isDecodable(username) && isDecodable(password);
}

function isDecodable(part: string): boolean {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

function isSender(value: string): boolean {
  const address = /^[^<>\p{Cc}]*<([^<>]+)>$/u.exec(value)?.[1] ?? value;
  return parseEmailAddress(address) !== undefined;
}

function parseUrl(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined;
}
