import { type Call, type Failure } from "../../functions/src/domain/failure.ts";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as fc from "fast-check";
import { Gaxios } from "gaxios";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { classify } from "../../functions/src/google/classify.ts";
import { type GoogleError, googleErrors } from "./google-errors.ts";

/**
 * Goal: what Google answers is taken for what it means, however it was thrown. Method: every
 * recorded answer in each shape in which clients hand it over, one of them a real client against a
 * real server, and then anything at all.
 */

const NOW = new Date("2026-01-01T00:00:00.000Z");
const REASON = /^[A-Za-z0-9_-]{1,64}$/;
const answered = googleErrors.filter(({ status }) => status !== undefined && status >= 300);
const unanswered = googleErrors.filter((recorded) => !answered.includes(recorded));

/** What a recording says that a failure must have; `retryAt` also says that it must have none. */
function recordedOutcome({ kinds: [kind], reason, retryAt }: GoogleError) {
  return {
    kind,
    ...(reason !== undefined && { reason }),
    retryAt: retryAt === undefined ? undefined : new Date(retryAt),
  };
}

function outcome(failure: Failure) {
  return { retryAt: undefined, ...failure };
}

/** A body as the client parsed it. */
function parsed(body: unknown): unknown {
  if (typeof body !== "string") return body;
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

/** The message that gaxios makes of a body. */
function messageOf(body: unknown): string {
  const error = (parsed(body) as { error?: unknown } | undefined)?.error ?? body;
  return typeof error === "string" ? error : String((error as { message?: unknown }).message);
}

function thrown(message: string, members: object): Error {
  return Object.defineProperties(
    new Error(message),
    Object.getOwnPropertyDescriptors({ ...members, message }),
  );
}

/** The same answer, as different clients throw it. */
const shapes: Record<string, (recorded: GoogleError) => unknown> = {
  "an error of gaxios 7": ({ status, headers = {}, body }) =>
    thrown(messageOf(body), {
      code: status,
      status,
      response: { status, data: parsed(body), headers: new Headers(headers) },
      cause: { message: messageOf(body), code: status, status: "Some Text" },
      config: { url: "https://oauth2.googleapis.com/token", data: "refresh_token=1//secret" },
    }),
  "an error of gaxios 6, with plain headers": ({ status, headers, body }) =>
    thrown(messageOf(body), { status, response: { status, data: parsed(body), headers } }),
  "an error with string codes and an unparsed body": ({ status, headers, body }) =>
    thrown(messageOf(body), {
      code: String(status),
      response: {
        headers,
        data: typeof body === "string" ? body : JSON.stringify(body, undefined, 1),
      },
    }),
  "an answer that was not thrown": ({ status, headers = {}, body }) => ({
    status,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]),
    ),
    data: parsed(body),
  }),
  "an answer whose body came in an array": ({ status, headers, body }) =>
    thrown("", {
      response: {
        status,
        headers,
        data: typeof parsed(body) === "string" ? body : JSON.stringify([parsed(body)]),
      },
    }),
};

/** Rows with the name that a title shows. */
function named<T extends { id: string }>(recorded: readonly T[]): (readonly [string, T])[] {
  return recorded.map((each) => [each.id, each]);
}

describe("a recorded response", () => {
  for (const [name, shape] of Object.entries(shapes)) {
    it.each(named(answered))(`%s, as ${name}`, (_, recorded) => {
      const failure = classify(recorded.call, shape(recorded), NOW);
      expect(outcome(failure)).toMatchObject(recordedOutcome(recorded));
    });
  }

  it.each(named(googleErrors.filter((recorded) => recorded.thrown !== undefined)))(
    "%s, as its client throws it",
    (_, recorded) => {
      const error = thrown(recorded.thrown?.message ?? "", recorded.thrown ?? {});
      const failure = classify(recorded.call, error, NOW);
      expect(outcome(failure)).toMatchObject(recordedOutcome(recorded));
    },
  );

  it.each(named(unanswered.filter(({ status }) => status !== undefined)))(
    "%s, passed by itself",
    (_, { call, status, headers, body, kinds }) => {
      expect(classify(call, { status, headers, data: body }, NOW).kind).toBe(kinds[0]);
      expect(classify(call, body, NOW).kind).toBe(kinds[0]);
    },
  );

  it("is recorded 97 times, each with an id of its own", () => {
    expect(new Set(googleErrors.map(({ id }) => id)).size).toBe(97);
  });
});

describe("a recorded response, thrown by gaxios itself", () => {
  let server: Server;
  let origin: string;

  beforeAll(async () => {
    server = createServer((request, response) => {
      const recorded = answered.find(({ id }) => request.url === `/${id}`);
      const body = recorded?.body;
      const type = { "content-type": "application/json; charset=UTF-8" };
      request.resume();
      response.writeHead(recorded?.status ?? 500, { ...type, ...recorded?.headers });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  const request = (path: string, more: object = {}) =>
    new Gaxios()
      .request({
        url: origin + path,
        method: "POST",
        retry: false,
        noProxy: ["127.0.0.1"],
        ...more,
      })
      .then(
        () => expect.fail("nothing was thrown"),
        (error: unknown) => error,
      );

  it.each(named(answered))("%s", async (_, recorded) => {
    for (const responseType of ["json", "unknown"]) {
      const error = await request(`/${recorded.id}`, { responseType });
      const failure = classify(recorded.call, error, NOW);
      expect(outcome(failure)).toMatchObject(recordedOutcome(recorded));
    }
  });

  it("is a timeout when the signal says so", async () => {
    const waiting = createServer(() => undefined).listen(0, "127.0.0.1");
    await new Promise((resolve) => waiting.once("listening", resolve));
    const url = `http://127.0.0.1:${(waiting.address() as AddressInfo).port}`;
    const errors = [
      await request("", { url, signal: AbortSignal.timeout(20) }),
      await request("", { url, timeout: 20 }),
      await fetch(url, { signal: AbortSignal.timeout(20) }).catch((error: unknown) => error),
    ];
    waiting.close();
    waiting.closeAllConnections();
    for (const error of errors) {
      const timeout = { kind: "transient", reason: "timeout" };
      expect(classify("history.list", error, NOW)).toEqual(timeout);
    }
  });

  it("is a network failure when the port is closed", async () => {
    const closed = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => closed.once("listening", resolve));
    const url = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`;
    await new Promise((resolve) => closed.close(resolve));
    const errors = [await request("", { url }), await fetch(url).catch((error: unknown) => error)];
    for (const error of errors) {
      const network = { kind: "transient", reason: "network" };
      expect(classify("token.refresh", error, NOW)).toEqual(network);
    }
  });

  it.each([
    ["before it answers", ""],
    ["within a header", "HTTP/1.1 200 OK\r\ncontent-le"],
    ["within the body", `HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"historyId":`],
    ["within a refusal", `HTTP/1.1 400 Bad Request\r\ncontent-length: 99\r\n\r\n{"error":"inv`],
    ["after what is no HTTP", "220 mail.example.com ESMTP\r\n"],
  ])("is transient when the server closes the connection %s", async (_, sent) => {
    const closing = createServer().listen(0, "127.0.0.1");
    closing.on("connection", (socket) => {
      socket.removeAllListeners("data");
      socket.once("data", () => socket.end(sent));
    });
    await new Promise((resolve) => closing.once("listening", resolve));
    const url = `http://127.0.0.1:${(closing.address() as AddressInfo).port}`;
    const errors = [
      await request("", { url }),
      await request("", { url, fetchImplementation: fetch }),
    ];
    closing.close();
    for (const error of errors) {
      expect(classify("token.refresh", error, NOW)).toEqual({
        kind: "transient",
        reason: "network",
      });
    }
  });
});

const answer = (status: number, data: unknown, headers: object = {}) => ({
  response: { status, data, headers },
});
const apiError = (code: number, reason: string, message = "", status?: string) =>
  answer(code, { error: { code, message, status, errors: [{ message, reason }] } });
const details = (code: number, reason: string) =>
  answer(code, { error: { code, message: "", details: [{ reason }] } });
const oauth = (code: number, error: string, error_description?: string, error_subtype?: string) =>
  answer(code, { error, error_description, error_subtype });

const sendingFailed = (why: string) =>
  `Error sending test message to Cloud PubSub projects/p/topics/t : ${why}`;
const limited = (retryAfter?: string, message = "", reason = "rateLimitExceeded") => {
  const headers = retryAfter === undefined ? {} : { "retry-after": retryAfter };
  const data = { error: { code: 429, message, errors: [{ reason, message }] } };
  const failure = classify("history.list", answer(429, data, headers), NOW);
  return failure.kind === "rate_limited" ? failure : expect.fail(failure.kind);
};

describe("the token endpoint", () => {
  const refreshed: [string, unknown, Failure][] = [
    [
      "asks for a session of the administrator's policy",
      oauth(400, "invalid_grant", "reauth related error (invalid_rapt)", "invalid_rapt"),
      { kind: "reauthorize", reason: "invalid_rapt" },
    ],
    [
      "says so in the subtype alone",
      oauth(400, "invalid_grant", "Bad Request", "rapt_required"),
      { kind: "reauthorize", reason: "invalid_rapt" },
    ],
    [
      "says so in a message that the library made of the body",
      new Error(
        JSON.stringify({
          error: "invalid_grant",
          error_description: "reauth related error (rapt_required)",
        }),
      ),
      { kind: "reauthorize", reason: "invalid_rapt" },
    ],
    [
      "was stopped by an administrator",
      oauth(400, "admin_policy_enforced"),
      { kind: "reauthorize", reason: "admin_policy_enforced" },
    ],
    ...[
      "deleted_client",
      "disabled_client",
      "restricted_client",
      "redirect_uri_mismatch",
      "use_dpop_nonce",
      "invalid_dpop_proof",
    ].map((code): [string, unknown, Failure] => [
      `answers ${code}`,
      oauth(400, code),
      { kind: "misconfigured", reason: code },
    ]),
    ...["internal_failure", "server_error", "temporarily_unavailable"].map(
      (code): [string, unknown, Failure] => [
        `answers ${code}, even with a status that blames us`,
        oauth(400, code),
        { kind: "transient", reason: code },
      ],
    ),
    ...["policy_enforced", "consent_required", "user_disabled", "invalid_token", "a_new_code"].map(
      (code): [string, unknown, Failure] => [
        `answers ${code}, which is not one of ours`,
        oauth(403, code),
        { kind: "reauthorize", reason: code },
      ],
    ),
    [
      "is denied access, and no client is named",
      oauth(403, "access_denied", "The user denied access"),
      { kind: "reauthorize", reason: "access_denied" },
    ],
    [
      "answers invalid_scope",
      oauth(400, "invalid_scope"),
      { kind: "bad_request", reason: "invalid_scope" },
    ],
    [
      "throws its body as a string",
      '{"error":"invalid_grant"}',
      { kind: "reauthorize", reason: "invalid_grant" },
    ],
    [
      "throws a body that names its code beside the error's own members",
      Object.assign(new Error("refused"), { status: 400, error: "invalid_grant" }),
      { kind: "reauthorize", reason: "invalid_grant" },
    ],
    [
      "answers invalid_grant about a service account that does not exist",
      oauth(400, "invalid_grant", "Invalid grant: account not found"),
      { kind: "misconfigured", reason: "invalid_grant" },
    ],
    [
      "answers unsupported_grant_type",
      oauth(400, "unsupported_grant_type"),
      { kind: "bad_request", reason: "unsupported_grant_type" },
    ],
    [
      "limits the rate",
      oauth(403, "rate_limit_exceeded"),
      { kind: "rate_limited", reason: "rate_limit_exceeded", daily: false },
    ],
    [
      "answers 503 with a code that would otherwise end a grant",
      oauth(503, "invalid_grant"),
      { kind: "transient", reason: "invalid_grant" },
    ],
    ["answers 400 without a body", answer(400, ""), { kind: "transient", reason: "http_400" }],
    ["answers 401 with {}", answer(401, {}), { kind: "transient", reason: "http_401" }],
    [
      "answers with prose for a code",
      oauth(400, "the grant 1//0secret is invalid"),
      { kind: "transient", reason: "http_400" },
    ],
    [
      "gives way to a message that only looks like a code",
      new Error("socket_hang_up"),
      { kind: "transient", reason: "socket_hang_up" },
    ],
  ];
  it.each(refreshed)("on a refresh %s", (_, error, failure) => {
    expect(classify("token.refresh", error, NOW)).toEqual(failure);
  });

  it("never ends a grant because of a code", () => {
    for (const description of ["Malformed auth code.", "Bad Request", undefined]) {
      expect(classify("token.code", oauth(400, "invalid_grant", description), NOW)).toEqual({
        kind: "bad_request",
        reason: "invalid_grant",
      });
    }
  });

  it("has nothing left to revoke once a token is unknown", () => {
    const unknown = oauth(400, "invalid_token", "Token expired or revoked");
    expect(classify("token.revoke", unknown, NOW)).toEqual({ kind: "gone", reason: "gone" });
    expect(classify("token.revoke", oauth(400, "invalid_grant"), NOW)).toEqual({
      kind: "gone",
      reason: "gone",
    });
    expect(classify("token.revoke", answer(503, ""), NOW).kind).toBe("transient");
  });
});

describe("Gmail", () => {
  const cases: [string, Call, unknown, Failure][] = [
    [
      "may not publish to the topic",
      "users.watch",
      apiError(403, "forbidden", sendingFailed("User not authorized to perform this action.")),
      { kind: "misconfigured", reason: "forbidden" },
    ],
    [
      "does not find the topic",
      "users.watch",
      apiError(404, "notFound", sendingFailed("Resource not found (resource=t).")),
      { kind: "misconfigured", reason: "notFound" },
    ],
    [
      "got no credentials",
      "history.list",
      apiError(401, "required", "Login Required"),
      { kind: "bad_request", reason: "required" },
    ],
    [
      "got no credentials, in the new words",
      "history.list",
      details(401, "CREDENTIALS_MISSING"),
      { kind: "bad_request", reason: "CREDENTIALS_MISSING" },
    ],
    [
      "sits behind a page that asks for a login",
      "history.list",
      answer(401, "<html>Sign in to the network</html>"),
      { kind: "transient", reason: "html" },
    ],
    [
      "finds the account disabled",
      "history.list",
      details(401, "ACCOUNT_STATE_INVALID"),
      { kind: "mailbox_unavailable", reason: "account_disabled" },
    ],
    [
      "finds the account deleted, in the old words",
      "history.list",
      apiError(403, "accountDeleted"),
      { kind: "mailbox_unavailable", reason: "account_disabled" },
    ],
    [
      "tells a missing scope in prose only",
      "users.watch",
      answer(403, {
        error: { code: 403, message: "Request had insufficient authentication scopes." },
      }),
      { kind: "reauthorize", reason: "insufficient_scope" },
    ],
    [
      "finds the account disabled, in the old words",
      "history.list",
      apiError(403, "accountDisabled"),
      { kind: "mailbox_unavailable", reason: "account_disabled" },
    ],
    [
      "finds the account unverified",
      "history.list",
      apiError(403, "accountUnverified"),
      { kind: "mailbox_unavailable", reason: "account_disabled" },
    ],
    [
      "finds the account blocked by its administrator",
      "history.list",
      details(403, "USER_BLOCKED_BY_ADMIN"),
      { kind: "mailbox_unavailable", reason: "domain_policy" },
    ],
    [
      "says only in the list of errors that there is no mail",
      "history.list",
      answer(400, { error: { code: 400, errors: [{ message: "Mail service not enabled" }] } }),
      { kind: "mailbox_unavailable", reason: "mail_service_not_enabled" },
    ],
    [
      "got no credentials and gives no reason",
      "history.list",
      answer(401, { error: { code: 401, message: "Login Required" } }),
      { kind: "bad_request", reason: "http_401" },
    ],
    [
      "got no credentials and says so in its reason alone",
      "history.list",
      apiError(401, "required"),
      { kind: "bad_request", reason: "required" },
    ],
    [
      "tells a missing scope in its reason alone",
      "users.watch",
      apiError(403, "insufficientPermissions"),
      { kind: "reauthorize", reason: "insufficient_scope" },
    ],
    [
      "tells a missing scope in its details alone",
      "users.watch",
      details(403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
      { kind: "reauthorize", reason: "insufficient_scope" },
    ],
    [
      "tells a missing scope in a header alone",
      "users.watch",
      answer(403, {}, { "WWW-Authenticate": 'Bearer realm="x", error="insufficient_scope"' }),
      { kind: "reauthorize", reason: "insufficient_scope" },
    ],
    [
      "speaks of a topic, but not about a watch",
      "messages.list",
      apiError(400, "invalidArgument", "Invalid topicName"),
      { kind: "bad_request", reason: "invalidArgument" },
    ],
    [
      "names a label that the mailbox does not have",
      "messages.list",
      apiError(400, "invalidArgument", "Invalid label: Label_9"),
      { kind: "bad_request", reason: "invalid_label" },
    ],
    [
      "speaks of a quota where there is none",
      "history.list",
      answer(404, "Quota exceeded, or not found"),
      { kind: "bad_request", reason: "http_404" },
    ],
    [
      "speaks of a quota in passing",
      "history.list",
      apiError(403, "forbidden", "Not allowed to use this quota project"),
      { kind: "misconfigured", reason: "forbidden" },
    ],
    [
      "refuses in prose that names no quota",
      "history.list",
      answer(403, "Go away"),
      { kind: "refused", reason: "http_403" },
    ],
    [
      "refuses one mailbox without a telling reason",
      "history.list",
      apiError(403, "forbidden", "The caller does not have permission", "PERMISSION_DENIED"),
      { kind: "refused", reason: "forbidden" },
    ],
    ...["accessNotConfigured", "SERVICE_DISABLED", "CONSUMER_SUSPENDED"].map(
      (code): [string, Call, unknown, Failure] => [
        `refuses the project with ${code}`,
        "history.list",
        details(403, code),
        { kind: "misconfigured", reason: code },
      ],
    ),
    [
      "sits behind a front end that says 404 in prose",
      "history.list",
      answer(404, "no such host"),
      { kind: "bad_request", reason: "http_404" },
    ],
    [
      "sits behind a front end whose page an old client made its message",
      "history.list",
      Object.assign(new Error("<html>404</html>"), { code: 404 }),
      { kind: "bad_request", reason: "html" },
    ],
    [
      "sits behind a front end whose page begins with a line break",
      "history.list",
      answer(404, "\n<html></html>"),
      { kind: "bad_request", reason: "html" },
    ],
    [
      "gives a reason of 64 letters",
      "history.list",
      apiError(400, "a".repeat(64)),
      { kind: "bad_request", reason: "a".repeat(64) },
    ],
    [
      "gives a reason that is longer",
      "history.list",
      apiError(400, "a".repeat(65)),
      { kind: "bad_request", reason: "http_400" },
    ],
    [
      "sends a page with a 500",
      "history.list",
      answer(500, "<html></html>"),
      { kind: "transient", reason: "http_500" },
    ],
    [
      "sends white space",
      "history.list",
      answer(400, " \r\n"),
      { kind: "transient", reason: "http_400" },
    ],
    [
      "sends null for an error",
      "history.list",
      answer(400, { error: null }),
      { kind: "bad_request", reason: "http_400" },
    ],
    [
      "sends null in a list",
      "history.list",
      answer(400, [null]),
      { kind: "bad_request", reason: "http_400" },
    ],
    [
      "sends a number for a body",
      "history.list",
      answer(400, "5"),
      { kind: "transient", reason: "http_400" },
    ],
    [
      "answers within an answer that says 200",
      "messages.get",
      answer(200, { error: { code: 404, errors: [{ reason: "notFound" }] } }),
      { kind: "gone", reason: "gone" },
    ],
    [
      "answers within a batch, of which this is a part",
      "messages.get",
      { error: { code: 404, errors: [{ reason: "notFound" }] } },
      { kind: "gone", reason: "gone" },
    ],
    [
      "sends another code in the body than in the status, which counts",
      "history.list",
      answer(503, { error: { code: 404, errors: [{ reason: "notFound" }] } }),
      { kind: "transient", reason: "notFound" },
    ],
    [
      "is reached through a client that has no use for headers",
      "history.list",
      { response: { status: 404, data: { error: { code: 404 } }, headers: { get: "x" } } },
      { kind: "history_expired", reason: "history_expired" },
    ],
    [
      "has a precondition in its status alone",
      "history.list",
      answer(400, { error: { code: 400, message: "", status: "FAILED_PRECONDITION" } }),
      { kind: "transient", reason: "FAILED_PRECONDITION" },
    ],
    [
      "has a precondition in the old words",
      "history.list",
      apiError(400, "failedPrecondition"),
      { kind: "transient", reason: "failedPrecondition" },
    ],
    [
      "has a precondition that may pass",
      "history.list",
      apiError(400, "failedPrecondition", "Precondition check failed.", "FAILED_PRECONDITION"),
      { kind: "transient", reason: "failedPrecondition" },
    ],
    [
      "is not asked for a profile there",
      "users.getProfile",
      apiError(404, "notFound", "Requested entity was not found."),
      { kind: "bad_request", reason: "notFound" },
    ],
    [
      "has no mail for the account, whatever is asked",
      "history.list",
      apiError(400, "failedPrecondition", "Mail service not enabled"),
      { kind: "mailbox_unavailable", reason: "mail_service_not_enabled" },
    ],
    [
      "has another client's watch only on a watch",
      "history.list",
      apiError(400, "invalidArgument", "Only one user push notification client allowed"),
      { kind: "bad_request", reason: "invalidArgument" },
    ],
    [
      "never ends a grant by itself",
      "history.list",
      oauth(400, "invalid_grant"),
      { kind: "bad_request", reason: "invalid_grant" },
    ],
    [
      "never ends a grant by a message",
      "history.list",
      new Error("invalid_grant"),
      { kind: "transient", reason: "invalid_grant" },
    ],
    [
      "gave up a conflict of its own",
      "users.watch",
      apiError(409, "aborted", "", "ABORTED"),
      { kind: "transient", reason: "aborted" },
    ],
    [
      "was out of time",
      "history.list",
      apiError(499, "cancelled"),
      { kind: "transient", reason: "cancelled" },
    ],
  ];
  it.each(cases)("%s (%s)", (_, call, error, failure) => {
    expect(classify(call, error, NOW)).toEqual(failure);
  });

  it("classifies a failed request for keys as temporary", () => {
    for (const status of [400, 401, 403, 404, 500]) {
      expect(classify("jwks", answer(status, ""), NOW).kind).toBe("transient");
      expect(classify("risc.configuration", answer(status, {}), NOW).kind).toBe("transient");
    }
  });
});

describe("the time to retry", () => {
  const AT_NOON = "2026-01-01T12:00:00.000Z";

  it("is read from a header, in seconds or as a date", () => {
    expect(limited(" 90 ").retryAt).toEqual(new Date("2026-01-01T00:01:30.000Z"));
    expect(limited("0").retryAt).toEqual(NOW);
    expect(limited("Thu, 01 Jan 2026 12:00:00 GMT").retryAt).toEqual(new Date(AT_NOON));
  });

  it("is read from the text", () => {
    expect(limited(undefined, `User-rate limit exceeded.  Retry after ${AT_NOON}`).retryAt).toEqual(
      new Date(AT_NOON),
    );
  });

  it("is the later one if header and text differ", () => {
    expect(limited("5", `Retry after ${AT_NOON}`).retryAt).toEqual(new Date(AT_NOON));
    expect(limited("86400", `Retry after ${AT_NOON}`).retryAt).toEqual(
      new Date("2026-01-02T00:00:00.000Z"),
    );
  });

  it.each(["", "soon", "-1", "1e3", "1.5", "99999999999", "Infinity", "2026-01-01", "12, 13"])(
    "is absent when the header says %j",
    (retryAfter) => {
      expect(limited(retryAfter)).not.toHaveProperty("retryAt");
    },
  );

  it.each(["2026-13-45T99:99:99.000Z", "tomorrow", "2026-01-01"])(
    "is absent when the text says %j",
    (time) => {
      expect(limited(undefined, `Retry after ${time}`)).not.toHaveProperty("retryAt");
    },
  );

  it("is tomorrow for daily limits", () => {
    expect(limited().daily).toBe(false);
    expect(limited(undefined, "", "dailyLimitExceeded").daily).toBe(true);
    expect(limited(undefined, "Quota exceeded for 'Queries per day'").daily).toBe(true);
  });
});

describe("any input", () => {
  const CALLS: Record<Call, true> = {
    "token.refresh": true,
    "token.code": true,
    "token.revoke": true,
    "users.watch": true,
    "users.stop": true,
    "users.getProfile": true,
    "history.list": true,
    "messages.list": true,
    "messages.get": true,
    "gmail.api": true,
    jwks: true,
    "risc.configuration": true,
  };
  const calls = fc.constantFrom(...(Object.keys(CALLS) as Call[]));
  const KINDS: Record<Failure["kind"], true> = {
    reauthorize: true,
    unauthenticated: true,
    mailbox_unavailable: true,
    misconfigured: true,
    refused: true,
    rate_limited: true,
    transient: true,
    history_expired: true,
    gone: true,
    conflict: true,
    bad_request: true,
  };

  function isSound(failure: Failure): boolean {
    const { kind, reason, retryAt } = { retryAt: NOW, ...failure };
    return kind in KINDS && REASON.test(reason) && !Number.isNaN(retryAt.getTime());
  }

  /** An error with the members that clients give theirs, and anything in each of them. */
  const value = fc.anything({
    maxDepth: 3,
    withBigInt: true,
    withDate: true,
    withNullPrototype: true,
  });
  const word = fc.oneof(
    value,
    fc.constantFrom("invalid_grant", "admin_policy_enforced", "rateLimitExceeded", "notFound"),
    fc.constantFrom("<html>", '{"error":"invalid_grant"}', "Retry after 2026-01-01T00:00:00Z"),
    fc.constantFrom("Mail service not enabled", "ETIMEDOUT", "429", ""),
    fc.integer({ min: 90, max: 610 }),
  );
  const body = fc.oneof(
    word,
    fc.record(
      {
        error: fc.oneof(
          word,
          fc.record(
            {
              code: word,
              status: word,
              message: word,
              errors: fc.oneof(word, fc.array(fc.record({ reason: word, message: word }))),
              details: fc.oneof(word, fc.array(fc.record({ reason: word }))),
            },
            { requiredKeys: [] },
          ),
        ),
        error_description: word,
        error_subtype: word,
      },
      { requiredKeys: [] },
    ),
  );
  const error = fc.record(
    {
      name: word,
      message: word,
      code: word,
      type: word,
      status: word,
      cause: word,
      error: word,
      errors: word,
      response: fc.oneof(
        value,
        fc.record(
          {
            status: word,
            data: body,
            headers: fc.oneof(value, fc.record({ "retry-after": word, "www-authenticate": word })),
          },
          { requiredKeys: [] },
        ),
      ),
    },
    { requiredKeys: [] },
  );

  it("is classified without throwing, by a short code", () => {
    fc.assert(
      fc.property(calls, fc.oneof(value, body, error), (call, input) => {
        expect(classify(call, input, NOW)).toSatisfy(isSound);
      }),
      { numRuns: 10_000 },
    );
  });

  it("ends a grant only because of the token endpoint or a missing scope", () => {
    fc.assert(
      fc.property(calls, fc.oneof(value, body, error), (call, input) => {
        const failure = classify(call, input, NOW);
        if (failure.kind !== "reauthorize") return;
        const isRefusal = failure.reason === "insufficient_scope" && !call.startsWith("token.");
        expect(
          isRefusal || call === "token.refresh" || failure.reason === "admin_policy_enforced",
        ).toBe(true);
      }),
      { numRuns: 10_000 },
    );
  });

  it("may throw when it is inspected, and may be circular", () => {
    const circle: Record<string, unknown> = { message: "fetch failed" };
    circle["cause"] = circle;
    circle["response"] = circle;
    const hostile = new Proxy(new Error("x"), {
      get: () => {
        throw new Error("1//refresh-token");
      },
    });
    const getter = Object.defineProperty(new Error("x"), "response", {
      get: () => {
        throw new TypeError("no");
      },
    });
    const unreadable = { kind: "transient", reason: "unreadable" };
    expect(classify("token.refresh", hostile, NOW)).toEqual(unreadable);
    expect(classify("token.refresh", getter, NOW)).toEqual(unreadable);
    const endless: object = new Proxy(() => undefined, { get: () => endless });
    for (const input of [circle, hostile, getter, endless, null, undefined, 0, 5n, Symbol("x")]) {
      expect(classify("token.refresh", input, NOW).kind).toBe("transient");
    }
  });

  it("never repeats what looks like a token", () => {
    const secrets = [
      "1//0gHdR4vK1exampleRefreshToken",
      "ya29.a0AfexampleAccessToken",
      "4/0AeanS0example-code",
      "GOCSPX-1example_secret2",
      "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    ];
    for (const secret of secrets) {
      const bodies = [
        { error: secret, error_description: secret, error_subtype: secret },
        { error: { code: 400, status: secret, message: secret, errors: [{ reason: secret }] } },
        { error: { code: 400, details: [{ reason: secret }] } },
        secret,
      ];
      for (const data of bodies) {
        for (const call of Object.keys(CALLS) as Call[]) {
          const failure = classify(call, Object.assign(new Error(secret), answer(400, data)), NOW);
          expect(JSON.stringify(failure)).not.toContain(secret);
        }
      }
    }
  });
});
