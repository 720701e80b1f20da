import assert from "node:assert/strict";
import { inspect } from "node:util";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import settings from "../../functions/src/entries/functions.json" with { type: "json" };
import { ConfigError, readConfig } from "../../functions/src/config/config.ts";

/**
 * Goal: a wrong environment is told at once, variable by variable, and without what it holds, since
 * half of it is secret and all of it ends up in a log.
 */

const KEY = Buffer.alloc(32, 3).toString("base64");
const TOKEN_KEYS = JSON.stringify({ primary: "2026-11", keys: { "2026-11": KEY } });

type Env = Record<string, string | undefined>;

const required = {
  GOOGLE_CLOUD_PROJECT: "demo-project",
  GMAIL_TOPIC: "projects/demo-project/topics/gmail-notifications",
  CHANGES_TOPIC: "mailbox-changes",
  PUBLIC_URL: "https://connect.example.com",
  OAUTH_CLIENT_ID: "123-abc.apps.googleusercontent.com",
  OAUTH_CLIENT_SECRET: "GOCSPX-secret",
  TOKEN_KEYS,
};

const full = {
  ...required,
  FIRESTORE_DATABASE: "gmail-push",
  TOKEN_KEYS: "CiQAb64+/w==",
  TOKEN_KEYS_KMS_KEY: "projects/demo-project/locations/global/keyRings/ring/cryptoKeys/key",
  GMAIL_SCOPES: "gmail.readonly",
  WATCH_LABEL_IDS: "INBOX",
  ALLOWED_DOMAINS: "Example.com corp.example example.COM",
  RETURN_TO_URLS: "https://app.example.com/done?a=1",
  RETURN_TO_SECRET: "s".repeat(32),
  CONNECT_TICKET: "required",
  NOTICE_SMTP_URL: "smtps://user:password@mail.example.com:465",
  NOTICE_FROM: "Mail sync <sync@example.com>",
  APP_NAME: "Mail <sync> & more",
  APP_LOGO_URL: "https://app.example.com/logo.svg",
  SUPPORT_EMAIL: "help@example.com",
  RISC_CLIENT_IDS: "456-def.apps.googleusercontent.com 123-abc.apps.googleusercontent.com",
  DISCONNECT_REVOKES: "false",
  CHANGES_SINK: "firestore",
  PUBLISH_DRAFTS: "true",
  SNAPSHOT_DAYS: "90",
  SNAPSHOT_QUOTA_PERCENT: "10",
  CHANGES_DETAIL: "headers",
  GMAIL_EMULATOR_HOST: "127.0.0.1:9000",
  KMS_EMULATOR_HOST: "127.0.0.1:9001",
  HISTORY_SETTLE_MS: "0",
  RECONCILE_AFTER_MS: "60000",
  MAILBOX_DELAYED_AFTER_MS: "120000",
  WATCH_RENEW_AFTER_MS: "3600000",
  SYNC_PAGES_MAX: "7",
  SYNC_TIME_MS_MAX: "9000",
  RENEWAL_CONCURRENCY: "3",
  RENEWAL_TIME_MS_MAX: "120000",
  RECONCILIATION_CONCURRENCY: "4",
  RECONCILIATION_TIME_MS_MAX: "30000",
  GMAIL_UNITS_PER_MINUTE: "600000",
  GMAIL_API_METHODS: "import, modify read",
  PAGES_PER_MINUTE: "60",
  CODE_EXCHANGES_PER_MINUTE: "20",
  FAILED_EXCHANGES_PER_MINUTE: "100",
  REFUSED_EVENTS_PER_MINUTE: "10",
  LOAD_BALANCERS: "1",
  FORGET_AFTER_DAYS: "0",
  OTEL_EXPORTER_OTLP_ENDPOINT: "https://collector.example.com/otlp/",
  OTEL_EXPORTER_OTLP_HEADERS: "X-Api-Key=a%2Cb%20c==, tenant=acme",
  OTEL_SERVICE_NAME: "mail changes",
};

function errorOf(env: Env): ConfigError {
  try {
    readConfig(env);
  } catch (error) {
    assert(error instanceof ConfigError);
    return error;
  }
  return assert.fail("nothing was thrown");
}

/** A value in the shapes that variables have, so that it gets as far as it can. */
const dressed = (text: string) =>
  fc.constantFrom(
    text,
    `${text}\n`,
    ` ${text}`,
    `https://user:${text}@example.com/${text}?${text}`,
    `{"primary":"${text}","keys":{"${text}":"${text}"}}`,
    `projects/${text}/topics/${text}`,
    `smtp:${text}`,
    `"${text}`,
    `${text}<${text}>`,
  );

describe("a configuration", () => {
  it("needs only the required variables and has a default for the rest", () => {
    expect(readConfig({ ...required, UNRELATED: "x" })).toEqual({
      projectId: "demo-project",
      firestore: { databaseId: "(default)" },
      publicUrl: "https://connect.example.com",
      oauth: {
        clientId: "123-abc.apps.googleusercontent.com",
        clientSecret: "GOCSPX-secret",
      },
      sealing: { tokenKeys: TOKEN_KEYS },
      gmail: {
        topic: "projects/demo-project/topics/gmail-notifications",
        scopes: ["https://www.googleapis.com/auth/gmail.metadata"],
        watchLabelIds: [],
        unitsPerMinute: 1_200_000,
        apiMethods: ["read"],
      },
      changes: {
        topic: "projects/demo-project/topics/mailbox-changes",
        sink: "pubsub",
        isDetailed: false,
        publishDrafts: false,
      },
      snapshot: { days: 0, quotaPercent: 5 },
      allowedDomains: [],
      returnTo: { urls: [], isTicketRequired: false },
      app: { name: "Mailbox Sync" },
      risc: { clientIds: ["123-abc.apps.googleusercontent.com"] },
      disconnectRevokes: true,
      sync: {
        settleMs: 120_000,
        reconcileAfterMs: 21_600_000,
        delayedAfterMs: 1_800_000,
        pagesMax: 40,
        timeMsMax: 50_000,
      },
      renewal: { afterMs: 86_400_000, concurrency: 8, timeMsMax: 480_000 },
      reconciliation: { concurrency: 8, timeMsMax: 50_000 },
      limits: {
        pages: { perMinute: 120 },
        exchanges: { perMinute: 30 },
        failedExchanges: { perMinute: 150 },
        refusedEvents: { perMinute: 30 },
      },
      loadBalancers: 0,
      forgetAfterDays: 90,
    });
  });

  it("contains every variable", () => {
    expect(readConfig(full)).toEqual({
      projectId: "demo-project",
      firestore: { databaseId: "gmail-push" },
      publicUrl: "https://connect.example.com",
      oauth: {
        clientId: "123-abc.apps.googleusercontent.com",
        clientSecret: "GOCSPX-secret",
      },
      sealing: {
        tokenKeys: "CiQAb64+/w==",
        kmsKey: "projects/demo-project/locations/global/keyRings/ring/cryptoKeys/key",
        kmsEmulatorHost: "127.0.0.1:9001",
      },
      gmail: {
        topic: "projects/demo-project/topics/gmail-notifications",
        scopes: ["https://www.googleapis.com/auth/gmail.readonly"],
        watchLabelIds: ["INBOX"],
        unitsPerMinute: 600_000,
        apiMethods: ["read", "modify", "import"],
        emulatorHost: "127.0.0.1:9000",
      },
      changes: {
        topic: "projects/demo-project/topics/mailbox-changes",
        sink: "firestore",
        isDetailed: true,
        publishDrafts: true,
      },
      snapshot: { days: 90, quotaPercent: 10 },
      allowedDomains: ["example.com", "corp.example"],
      returnTo: {
        urls: ["https://app.example.com/done?a=1"],
        secret: "s".repeat(32),
        isTicketRequired: true,
      },
      notices: {
        ehloName: "connect.example.com",
        smtpUrl: "smtps://user:password@mail.example.com:465",
        from: "Mail sync <sync@example.com>",
      },
      app: {
        name: "Mail <sync> & more",
        logoUrl: "https://app.example.com/logo.svg",
        supportEmail: "help@example.com",
      },
      risc: {
        clientIds: ["123-abc.apps.googleusercontent.com", "456-def.apps.googleusercontent.com"],
      },
      disconnectRevokes: false,
      sync: {
        settleMs: 0,
        reconcileAfterMs: 60_000,
        delayedAfterMs: 120_000,
        pagesMax: 7,
        timeMsMax: 9_000,
      },
      renewal: { afterMs: 3_600_000, concurrency: 3, timeMsMax: 120_000 },
      reconciliation: { concurrency: 4, timeMsMax: 30_000 },
      limits: {
        pages: { perMinute: 60 },
        exchanges: { perMinute: 20 },
        failedExchanges: { perMinute: 100 },
        refusedEvents: { perMinute: 10 },
      },
      loadBalancers: 1,
      forgetAfterDays: 0,
      telemetry: {
        endpoint: "https://collector.example.com/otlp",
        headers: { "x-api-key": "a,b c==", tenant: "acme" },
        serviceName: "mail changes",
      },
    });
  });

  it.each(["http://localhost:4318", "http://127.0.0.1:4318"])(
    "may have a collector next to it, without headers: %s",
    (endpoint) => {
      const { telemetry } = readConfig({ ...required, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
      expect(telemetry).toEqual({ endpoint, headers: {}, serviceName: "gmail-push-receiver" });
    },
  );

  it("is without telemetry as long as there is no collector", () => {
    const { OTEL_EXPORTER_OTLP_ENDPOINT: _, ...rest } = full;
    expect(readConfig(rest)).not.toHaveProperty("telemetry");
  });

  it.each(["", "none"])("takes a variable that is %j for one that is not set", (nothing) => {
    const unset = Object.fromEntries(Object.keys(full).map((name) => [name, nothing]));
    expect(readConfig({ ...unset, ...required })).toEqual(readConfig(required));
    expect(errorOf(unset).problems).toHaveLength(Object.keys(required).length);
    const half = { ...unset, ...required, NOTICE_FROM: "sync@example.com" };
    expect(errorOf(half).problems).toEqual(["NOTICE_SMTP_URL is not set, NOTICE_FROM is"]);
  });

  it.each([
    ["https://example.com/", "https://example.com"],
    ["https://example.com/connect/", "https://example.com/connect"],
    ["https://EXAMPLE.com:443/a/b//", "https://example.com/a/b"],
    ["http://localhost:8080", "http://localhost:8080"],
    ["http://127.0.0.1:8080/connect", "http://127.0.0.1:8080/connect"],
    ["http://[::1]:8080/", "http://[::1]:8080"],
  ])("has %j as its public URL, without a slash at the end", (PUBLIC_URL, publicUrl) => {
    expect(readConfig({ ...required, PUBLIC_URL }).publicUrl).toBe(publicUrl);
  });

  it.each([
    ["gmail.readonly", ["https://www.googleapis.com/auth/gmail.readonly"]],
    ["https://mail.google.com/", ["https://mail.google.com/"]],
    ["mail.google.com", ["https://mail.google.com/"]],
    [
      "openid email, gmail.modify,https://www.googleapis.com/auth/gmail.metadata\n gmail.send",
      [
        "https://www.googleapis.com/auth/gmail.modify",
        "https://www.googleapis.com/auth/gmail.metadata",
        "https://www.googleapis.com/auth/gmail.send",
      ],
    ],
  ])("asks for full scopes, each once, given %j", (GMAIL_SCOPES, scopes) => {
    expect(readConfig({ ...required, GMAIL_SCOPES }).gmail.scopes).toEqual(scopes);
    const twice = `${GMAIL_SCOPES} ${GMAIL_SCOPES}`;
    expect(readConfig({ ...required, GMAIL_SCOPES: twice }).gmail.scopes).toEqual(scopes);
  });

  it("splits lists at commas and spaces, and completes topic names", () => {
    const { gmail, returnTo, changes } = readConfig({
      ...required,
      CHANGES_TOPIC: "projects/other-project/topics/changes",
      WATCH_LABEL_IDS: "INBOX, Label_12 CATEGORY_PERSONAL,",
      RETURN_TO_URLS: "https://app.example.com/,http://localhost:3000/done",
    });
    expect(gmail.watchLabelIds).toEqual(["INBOX", "Label_12", "CATEGORY_PERSONAL"]);
    expect(returnTo.urls).toEqual(["https://app.example.com/", "http://localhost:3000/done"]);
    expect(changes.topic).toBe("projects/other-project/topics/changes");
  });

  it("keeps a scope that is not Gmail's", () => {
    const { gmail } = readConfig({ ...required, GMAIL_SCOPES: "profile gmail.metadata" });
    expect(gmail.scopes).toEqual([
      "https://www.googleapis.com/auth/userinfo.profile",
      "https://www.googleapis.com/auth/gmail.metadata",
    ]);
  });

  it("accepts its defaults as values", () => {
    const named = { CHANGES_SINK: "pubsub", PUBLISH_DRAFTS: "false", DISCONNECT_REVOKES: "true" };
    expect(readConfig({ ...required, ...named })).toEqual(readConfig(required));
  });

  it.each([
    ["HISTORY_SETTLE_MS", 0, 3_600_000],
    ["RECONCILE_AFTER_MS", 1_000, 604_800_000],
    ["MAILBOX_DELAYED_AFTER_MS", 60_000, 86_400_000],
    ["WATCH_RENEW_AFTER_MS", 1_000, 518_400_000],
    ["SYNC_PAGES_MAX", 1, 1_000],
    ["SYNC_TIME_MS_MAX", 1_000, 530_000],
    ["RENEWAL_CONCURRENCY", 1, 100],
    ["RENEWAL_TIME_MS_MAX", 1_000, 1_790_000],
    ["RECONCILIATION_CONCURRENCY", 1, 100],
    ["RECONCILIATION_TIME_MS_MAX", 1_000, 1_790_000],
    ["GMAIL_UNITS_PER_MINUTE", 100, 1_000_000_000],
    ["PAGES_PER_MINUTE", 1, 1_000_000],
    ["CODE_EXCHANGES_PER_MINUTE", 1, 1_000_000],
    ["FAILED_EXCHANGES_PER_MINUTE", 1, 1_000_000],
    ["REFUSED_EVENTS_PER_MINUTE", 1, 1_000_000],
    ["LOAD_BALANCERS", 0, 5],
  ])("has %s from %d to %d", (name, min, max) => {
    for (const value of [min, max]) {
      expect(() => readConfig({ ...required, [name]: String(value) })).not.toThrow();
    }
    for (const value of [min - 1, max + 1]) {
      expect(errorOf({ ...required, [name]: String(value) }).problems).toEqual([
        `${name} must be a whole number from ${min} to ${max}`,
      ]);
    }
  });

  it.each(["localhost:9000", "127.0.0.1:1", "127.1.2.3:65535", "[::1]:9000"])(
    "may be sent to an emulator on loopback: %s",
    (host) => {
      const emulators = { GMAIL_EMULATOR_HOST: host, KMS_EMULATOR_HOST: host };
      const { gmail, sealing } = readConfig({ ...required, ...emulators });
      expect([gmail.emulatorHost, sealing.kmsEmulatorHost]).toEqual([host, host]);
    },
  );
});

describe("a configuration error", () => {
  const wrong: Record<string, string[]> = {
    GOOGLE_CLOUD_PROJECT: ["Demo", "a", "demo project", "demo-project\n", "projects/demo-project"],
    GMAIL_TOPIC: [
      "gmail-notifications",
      "projects/demo-project/topics/gmail-notifications\n",
      " projects/demo-project/topics/gmail-notifications",
      "projects/demo-project/topics/goog-x",
      "projects/demo-project/topics/x",
      "projects/demo-project/subscriptions/gmail",
      "//pubsub.googleapis.com/projects/demo-project/topics/gmail",
    ],
    CHANGES_TOPIC: ["a/b", "topics/changes", "changes ", "goog", "ch anges"],
    PUBLIC_URL: [
      "example.com",
      "http://example.com",
      "http://localhost.example.com",
      "http://127.0.0.1.example.com",
      "ftp://example.com",
      "https://example.com?x=1",
      "https://example.com/?",
      "https://example.com/#",
      "https://user@example.com",
      "https://:password@example.com",
      "https://",
      "https://example.com/a b",
      "https://example.com/\t",
      "javascript:alert(1)",
    ],
    OAUTH_CLIENT_ID: ["a b", "a\n", "\u00fc"],
    OAUTH_CLIENT_SECRET: ["a b", "secret\n", "x".repeat(513)],
    TOKEN_KEYS: ["not json at all", KEY, `{"primary":"b","keys":{"a":"${KEY}"}}`],
    TOKEN_KEYS_KMS_KEY: ["key", "projects/p/locations/global/keyRings/r/cryptoKeys/k/versions/1"],
    GMAIL_SCOPES: [
      "gmail.send",
      "openid email",
      ",",
      "gmail.readonly https://evil.example.com/auth",
      "https://www.googleapis.com/auth/gmail.labels",
      "GMAIL.READONLY",
    ],
    GMAIL_API_METHODS: ["everything", "read;modify", "Read"],
    WATCH_LABEL_IDS: ["INBOX/a", "a;b", "é"],
    ALLOWED_DOMAINS: [
      "example",
      "*.example.com",
      "@example.com",
      "-a.example",
      "a..example",
      "ü.example",
      "example.com/",
    ],
    RETURN_TO_URLS: [
      "https://app.example.com",
      "http://app.example.com/",
      "https://*.example.com/",
      "app.example.com/",
      "null",
      "/done",
      "https://user@app.example.com/",
      "https://:password@app.example.com/",
      "HTTPS://app.example.com/",
      "https://app.example.com:443/",
      "https://app.example.com/a/../b",
      "https://app.example.com/done#top",
      "https://app.example.com/done#",
      "https://app.example.com/\\done",
      "https://app.example.com/done?connection=1",
      `https://app.example.com/${"a".repeat(200)}`,
      "javascript:alert(1)",
      "blob:https://app.example.com/1",
    ],
    RETURN_TO_SECRET: ["s".repeat(31), `${"s".repeat(40)}\n`],
    CONNECT_TICKET: ["yes", "REQUIRED", "required "],
    NOTICE_SMTP_URL: [
      "mail.example.com",
      "https://mail.example.com",
      "smtp://",
      "smtp://mail.example.com/path",
      "smtp://mail.example.com?requireTLS=false",
      "smtp://mail.example.com#",
      "smtp://user:pass%word@mail.example.com",
      "smtp://user:%ff@mail.example.com",
      "smtp://user name@mail.example.com",
    ],
    NOTICE_FROM: ["sync", "Sync <sync>", "a@b.example\r\nBcc: c@d.example", "Sync a@b.example"],
    APP_NAME: ["x".repeat(61), "a\r\nBcc: b@c.example", "a\u0007b", " name"],
    APP_LOGO_URL: ["http://app.example.com/logo.png", "data:image/png;base64,AA==", "logo.png"],
    SUPPORT_EMAIL: ["help", "Help <help@example.com>", "help@example.com\n"],
    RISC_CLIENT_IDS: ["\u00fc", "a.apps.example.com b\u0007"],
    OTEL_EXPORTER_OTLP_ENDPOINT: [
      "collector.example.com:4318",
      "http://collector.example.com:4318",
      "https://key@collector.example.com",
      "https://collector.example.com?key=1",
      "grpc://collector.example.com",
    ],
    OTEL_EXPORTER_OTLP_HEADERS: [
      "key",
      "key=a b",
      "k y=a",
      "=a",
      "key=a,",
      "key=%",
      "key=%ff",
      "key=a%0d%0ahost:b",
      "key=\u00fc",
    ],
    OTEL_SERVICE_NAME: ["x".repeat(256), "a\nb", " a"],
    CHANGES_SINK: ["kafka", "PUBSUB", "pubsub "],
    DISCONNECT_REVOKES: ["no", "0", "FALSE", "false "],
    PUBLISH_DRAFTS: ["yes", "1", "TRUE"],
    SNAPSHOT_DAYS: ["-1", "36501", "90d"],
    SNAPSHOT_QUOTA_PERCENT: ["0", "51", "5%"],
    CHANGES_DETAIL: ["header", "full", "true"],
    GMAIL_EMULATOR_HOST: [
      "gmail.googleapis.com:443",
      "0.0.0.0:9000",
      "127.0.0.1",
      "127.0.0.1:0",
      "127.0.0.1:65536",
      "127.0.0.999:80",
      "127.0.0.1.example.com:80",
      "localhost.example.com:80",
      "localhost:80/path",
      "http://localhost:80",
      "10.0.0.1:80",
      "user@localhost:80",
      "localhost:9000\n",
    ],
    KMS_EMULATOR_HOST: [
      "cloudkms.googleapis.com:443",
      "0.0.0.0:9001",
      "127.0.0.1",
      "127.0.0.1.example.com:80",
      "http://localhost:80",
      "user@localhost:80",
    ],
    HISTORY_SETTLE_MS: ["-1", "1.5", "1e3", "0x10", "two", "3600001", "NaN", "Infinity"],
    RECONCILE_AFTER_MS: ["0", "604800001"],
    MAILBOX_DELAYED_AFTER_MS: ["59999", "86400001"],
    WATCH_RENEW_AFTER_MS: ["999", "518400001"],
    FORGET_AFTER_DAYS: ["-1", "90d", "3651"],
    FIRESTORE_DATABASE: ["-users", "Users", "us", "users-", "(other)"],
    SYNC_PAGES_MAX: ["0", "1001"],
    SYNC_TIME_MS_MAX: ["0", "540000"],
    RENEWAL_CONCURRENCY: ["0", "101", "8.0"],
    RENEWAL_TIME_MS_MAX: ["0", "1800000"],
    RECONCILIATION_CONCURRENCY: ["0", "101"],
    RECONCILIATION_TIME_MS_MAX: ["0", "1800000"],
    GMAIL_UNITS_PER_MINUTE: ["99", "1000000001"],
    PAGES_PER_MINUTE: ["0"],
    CODE_EXCHANGES_PER_MINUTE: ["0"],
    FAILED_EXCHANGES_PER_MINUTE: ["0"],
    REFUSED_EVENTS_PER_MINUTE: ["0"],
    LOAD_BALANCERS: ["-1", "6"],
  };
  const names = Object.keys(wrong);

  it("is tested with a wrong value of every variable", () => {
    expect(names.toSorted()).toEqual(Object.keys(full).toSorted());
  });

  it.each(names.flatMap((name) => (wrong[name] ?? []).map((value) => [name, value] as const)))(
    "names %s, and nothing else, for %j",
    (name, value) => {
      // A ring that is wrong in itself is judged only when no KMS key has it encrypted.
      const base = name === "TOKEN_KEYS" ? required : full;
      const { problems } = errorOf({ ...base, [name]: value });
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(new RegExp(`^${name}\\b`));
    },
  );

  it("names every required variable that is missing", () => {
    const expected = Object.keys(required).map((name) => `${name} is not set`);
    const missing = (env: Env) => errorOf(env).problems.toSorted();
    expect(missing({})).toEqual(expected.toSorted());
    expect(missing(Object.fromEntries(names.map((name) => [name, ""])))).toEqual(
      expected.toSorted(),
    );
  });

  it("does not occur with the secrets that each function receives", () => {
    const all = Object.values(settings).flatMap(({ secrets }) => secrets);
    for (const [name, { secrets }] of Object.entries(settings)) {
      const withheld = all.filter((secret) => !secrets.includes(secret));
      const given = Object.entries({ ...full, FUNCTION_TARGET: name }).filter(
        ([variable]) => !withheld.includes(variable),
      );
      expect(() => readConfig(Object.fromEntries(given))).not.toThrow();
    }
    expect(settings.securityEvent.secrets).not.toContain("OAUTH_CLIENT_SECRET");
    expect(settings.securityEvent.secrets).not.toContain("RETURN_TO_SECRET");
  });

  it("does not require the client secret in a function that requests no token", () => {
    const { OAUTH_CLIENT_SECRET: _, ...withheld } = required;
    const of = (FUNCTION_TARGET: string) => ({ ...withheld, FUNCTION_TARGET });
    expect(readConfig(of("securityEvent")).oauth.clientSecret).toBe("");
    for (const other of ["connect", "gmailNotification", "watchRenewal", ""]) {
      expect(errorOf(of(other)).problems).toEqual(["OAUTH_CLIENT_SECRET is not set"]);
    }
  });

  it("rejects required tickets that no application could sign", () => {
    expect(errorOf({ ...required, CONNECT_TICKET: "required" }).problems).toEqual([
      "RETURN_TO_URLS is not set, CONNECT_TICKET is required",
    ]);
  });

  it("rejects required tickets that connect could not verify, and in no other function", () => {
    const { RETURN_TO_SECRET: _, ...withheld } = full;
    const of = (FUNCTION_TARGET: string) => ({ ...withheld, FUNCTION_TARGET });
    for (const secret of [undefined, "", "none"]) {
      const env = { ...of("connect"), RETURN_TO_SECRET: secret };
      expect(errorOf(env).problems).toEqual([
        "RETURN_TO_SECRET is not set, CONNECT_TICKET is required",
      ]);
      expect(readConfig({ ...env, CONNECT_TICKET: "optional" }).returnTo.secret).toBeUndefined();
    }
    for (const other of ["gmailNotification", "watchRenewal", "mailboxReconciliation"]) {
      expect(readConfig(of(other)).returnTo.isTicketRequired).toBe(true);
    }
  });

  it("rejects RETURN_TO_ORIGINS, and says what replaces it", () => {
    const RETURN_TO_ORIGINS = "https://app.example.com";
    expect(errorOf({ ...full, RETURN_TO_ORIGINS }).problems).toEqual([
      "RETURN_TO_ORIGINS is not read any more: set RETURN_TO_URLS to the exact URLs that return_to may be",
    ]);
    expect(() => readConfig({ ...full, RETURN_TO_ORIGINS: "none" })).not.toThrow();
  });

  it("names all problems at once, in its message, too", () => {
    const env = Object.fromEntries(names.map((name) => [name, wrong[name]?.[0]]));
    const { problems, message } = errorOf(env);
    expect(problems.map((problem) => /^\w+/.exec(problem)?.[0]).toSorted()).toEqual(
      names.toSorted(),
    );
    for (const problem of problems) expect(message).toContain(problem);
  });

  it("lists the valid choices", () => {
    const choices = { CHANGES_SINK: "kafka", PUBLISH_DRAFTS: "yes" };
    expect(errorOf({ ...required, ...choices }).problems).toEqual([
      "CHANGES_SINK must be pubsub or firestore",
      "PUBLISH_DRAFTS must be true or false",
    ]);
  });

  it("names white space as the problem, since it is invisible", () => {
    const GMAIL_TOPIC = `${required.GMAIL_TOPIC}\n`;
    expect(errorOf({ ...required, GMAIL_TOPIC }).problems).toEqual([
      "GMAIL_TOPIC has white space at its start or end",
    ]);
  });

  it("names variables that are only valid together", () => {
    const { NOTICE_SMTP_URL, NOTICE_FROM } = full;
    expect(errorOf({ ...required, NOTICE_SMTP_URL }).problems).toEqual([
      "NOTICE_FROM is not set, NOTICE_SMTP_URL is",
    ]);
    expect(errorOf({ ...required, NOTICE_FROM }).problems).toEqual([
      "NOTICE_SMTP_URL is not set, NOTICE_FROM is",
    ]);
    for (const CHANGES_TOPIC of ["gmail-notifications", required.GMAIL_TOPIC]) {
      expect(errorOf({ ...required, CHANGES_TOPIC }).problems).toEqual([
        "CHANGES_TOPIC must be another topic than GMAIL_TOPIC",
      ]);
    }
    const plainKeys = errorOf({ ...full, TOKEN_KEYS });
    expect(plainKeys.problems).toEqual([
      "TOKEN_KEYS must be base64, because TOKEN_KEYS_KMS_KEY is set",
    ]);
  });

  it("never contains the value of a variable", () => {
    const canary = fc.stringMatching(/^[a-z0-9]{12}$/).map((text) => `CANARY${text}`);
    const cases = canary.chain((text) =>
      fc.tuple(
        fc.constant(text),
        fc.dictionary(fc.constantFrom(...names), dressed(text), { minKeys: 1 }),
      ),
    );
    fc.assert(
      fc.property(cases, ([text, values]) => {
        // What is wrong besides makes sure that there is an error.
        const error = errorOf({ ...full, ...values, HISTORY_SETTLE_MS: `x${text}` });
        const printed = [error.message, error.stack, inspect(error, { depth: 10 })].join();
        expect(printed).toContain("HISTORY_SETTLE_MS");
        expect(printed).not.toContain(text);
      }),
      { numRuns: 5_000 },
    );
  });

  it("is the only error, for any environment", () => {
    const value = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.webUrl(),
      fc.json(),
      fc.constantFrom(...Object.values(full)),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), value), (env) => {
        const { problems } = errorOf({ ...env, PUBLISH_DRAFTS: "perhaps" });
        for (const problem of problems) expect(problem).toMatch(/^[A-Z_]+\b/);
      }),
      { numRuns: 5_000 },
    );
  });
});
