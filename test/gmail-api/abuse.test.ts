import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { sendRaw, written } from "../abuse/wire.ts";
import { localIdToken } from "../local/id-token.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { AUTHORIZATION, CALLER, call } from "./calls.ts";

/**
 * Goal: no matter what a caller writes into a request, Gmail gets only methods of the list, for the user that
 * the path names, with that user's token; and the caller gets nothing of the receiver's.
 */

const ADA = "ada@example.com";
const MESSAGE = "19a1b2c3d4e5f607";
const BEARER = `authorization: ${AUTHORIZATION.authorization}`;

let scenario: Scenario;
let userId: string;
/** What waits for the time of a request to be over. */
const waiting = new Set<() => void>();

beforeAll(async () => {
  scenario = await startScenario({
    env: { GMAIL_SCOPES: "gmail.modify", GMAIL_API_METHODS: "read,import" },
    after: (_ms, run) => {
      waiting.add(run);
      return () => waiting.delete(run);
    },
  });
  await scenario.connect(ADA);
  await scenario.connect("bob@example.com");
  userId = scenario.stored(ADA).id;
});
afterAll(() => scenario.close());

/** Sends bytes past every client that would normalize them. */
async function raw(requestLine: string, headers: string[] = [], body = "") {
  scenario.emulator.resetCalls();
  scenario.logs.length = 0;
  const lines = [BEARER, ...headers];
  const { status, text } = await sendRaw(scenario.urls.gmailApi, written(requestLine, lines, body));
  return { status, text, calls: scenario.emulator.calls };
}

describe("a path", () => {
  it.each([
    ["dots", "/gmail/v1/users/USER/messages/../../BOB/profile"],
    ["encoded dots", "/gmail/v1/users/USER/messages/%2e%2e/%2e%2e/BOB/profile"],
    ["an encoded slash", `/gmail/v1/users/USER/messages/${MESSAGE}%2fattachments%2fa`],
    ["a slash in the user", "/gmail/v1/users/USER%2f..%2fBOB/profile"],
    ["an encoded twice slash", "/gmail/v1/users/USER/messages/%252e%252e%252fprofile"],
    ["double slashes", "//gmail/v1/users/USER/profile"],
    ["double slashes inside", "/gmail/v1//users/USER/profile"],
    ["a slash at the end", "/gmail/v1/users/USER/profile/"],
    ["a backslash", "/gmail/v1/users/USER\\profile"],
    ["a semicolon", "/gmail/v1/users/USER/profile;a=b"],
    ["upload", "/upload/gmail/v1/users/USER/messages"],
    ["resumable upload", "/resumable/upload/gmail/v1/users/USER/messages"],
    ["batch", "/batch/gmail/v1"],
    ["another API", "/drive/v3/files"],
    ["another version", "/gmail/v2/users/USER/profile"],
    ["history", "/gmail/v1/users/USER/history?startHistoryId=1"],
    ["a custom verb", "/gmail/v1/users/USER/messages:batchGet"],
    ["a delegate", "/gmail/v1/users/USER/settings/delegates"],
    ["a null byte", "/gmail/v1/users/USER/messages/19a1%00"],
    ["a line break", "/gmail/v1/users/USER/messages/19a1%0d%0aHost:%20evil"],
    ["what cannot be decoded", "/gmail/v1/users/USER/messages/%zz"],
    ["the root", "/"],
    ["a star", "*"],
    ["another host", "http://evil.example/gmail/v1/users/USER/profile"],
  ])("with %s calls nothing", async (_, path) => {
    const named = path
      .replace("USER", userId)
      .replace("BOB", scenario.stored("bob@example.com").id);
    const { status, calls } = await raw(`GET ${named}`);
    expect([400, 404, 405]).toContain(status);
    expect(calls).toEqual([]);
  });

  it.each(["me", "Me", "ME%20", "../me", "0", "%00", "nobody@example.com", "a".repeat(300), "@"])(
    "that names %j for a user finds no user",
    async (name) => {
      const { status, calls } = await raw(`GET /gmail/v1/users/${name}/profile`);
      expect([400, 404, 405]).toContain(status);
      expect(calls).toEqual([]);
    },
  );

  it.each([
    ["DELETE", `messages/${MESSAGE}`],
    ["POST", "messages/batchDelete"],
    ["DELETE", `threads/${MESSAGE}`],
    ["DELETE", "drafts/r-1"],
    ["POST", "watch"],
    ["POST", "stop"],
    ["PUT", "messages"],
    ["HEAD", "profile"],
    ["OPTIONS", "profile"],
    ["TRACE", "profile"],
    ["PROPFIND", "profile"],
  ])("with %s %s is not allowed", async (method, path) => {
    const { status, calls } = await raw(`${method} /gmail/v1/users/${userId}/${path}`);
    expect([status, calls]).toEqual([405, []]);
  });

  it("names the allowed HTTP methods", async () => {
    const { headers } = await call(scenario, `/gmail/v1/users/${userId}/messages/${MESSAGE}`, {
      method: "DELETE",
    });
    expect(headers.get("allow")).toBe("GET");
  });
});

describe("a query", () => {
  it.each([
    "key=AIza",
    "access_token=ya29.a",
    "oauth_token=ya29.a",
    "alt=media",
    "alt=atom",
    "alt=json&alt=media",
    "%61lt=media",
    "callback=evil",
    "uploadType=media",
    "upload_protocol=raw",
    "quotaUser=1",
    "userIp=1.2.3.4",
    "$.xgafv=2",
    "$alt=proto",
    "X-HTTP-Method-Override=POST",
    "a?alt=json",
  ])("with %s is rejected", async (query) => {
    const { status, calls } = await raw(`GET /gmail/v1/users/${userId}/profile?${query}`);
    expect([status, calls]).toEqual([400, []]);
  });

  it("of the receiver's own paths has to be empty", async () => {
    expect((await raw(`GET /users/${userId}?a=b`)).status).toBe(400);
  });
});

describe("headers", () => {
  it.each(["x-http-method-override: DELETE", "x-http-method: POST", "x-method-override: PATCH"])(
    "such as %s are rejected",
    async (header) => {
      const { status, calls } = await raw(`GET /gmail/v1/users/${userId}/profile`, [header]);
      expect([status, calls]).toEqual([400, []]);
    },
  );

  it("that would change what Gmail makes of a request change nothing", async () => {
    const { status, calls } = await raw(`GET /gmail/v1/users/${userId}/profile`, [
      "cookie: SID=1",
      "x-goog-user-project: another",
      "x-goog-api-key: AIza",
      "proxy-authorization: Basic YQ==",
      "x-forwarded-for: 1.2.3.4",
      "x-forwarded-host: evil.example",
      "accept-encoding: gzip",
      "te: trailers",
      "range: bytes=0-1",
    ]);
    expect([status, calls.map(({ account }) => account)]).toEqual([200, [ADA]]);
  });

  it("that end one request and begin another are refused by Node", async () => {
    const { text } = await raw(`GET /gmail/v1/users/${userId}/profile`, [
      "transfer-encoding: chunked",
      "content-length: 4",
    ]);
    expect(text.match(/^HTTP\/1\.1 /gm) ?? []).toHaveLength(1);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });

  it("without an ID token get 401, and no user is looked up", async () => {
    const { reads } = scenario.users.operations;
    for (const authorization of [
      "",
      "Bearer ya29.opaque",
      "Basic YTpi",
      "Bearer a.b.c",
      "Bearer ..",
    ]) {
      const seen = await call(scenario, `/users/${userId}`, { headers: { authorization } });
      expect([seen.status, seen.reason]).toEqual([401, "unauthenticated"]);
    }
    expect(scenario.users.operations.reads).toBe(reads);
  });

  it("that Cloud Run has verified name the caller on record, not the others", async () => {
    scenario.logs.length = 0;
    await call(scenario, `/users/${userId}`, {
      headers: {
        "x-serverless-authorization": `Bearer ${localIdToken(CALLER)}`,
        authorization: `Bearer ${localIdToken("somebody-else@example.com")}`,
      },
    });
    expect(scenario.logged("gmail_api_called")).toMatchObject([
      { caller: CALLER, method: "state" },
    ]);
  });
});

describe("a response", () => {
  it("holds no token, no cookie and nothing of the server", async () => {
    const { text } = await raw(`GET /gmail/v1/users/${userId}/profile`);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toMatch(/^cache-control: no-store\r$/m);
    expect(text).not.toMatch(/set-cookie|x-powered-by|ya29|bearer/i);
    for (const secret of scenario.emulator.secretsIssued()) expect(text).not.toContain(secret);
  });

  it("does not show Gmail's challenge when its token is refused", async () => {
    scenario.emulator.refuse(ADA, { method: "users.getProfile", preset: "invalidCredentials" });
    const { status, headers, reason } = await call(scenario, `/gmail/v1/users/${userId}/profile`);
    expect([status, reason, headers.get("www-authenticate")]).toEqual([503, "backendError", null]);
    scenario.emulator.stopRefusing(ADA);
    expect(scenario.stored(ADA).status).toBe("active");
  });

  it("of another host that Gmail names is not fetched", async () => {
    scenario.emulator.faults.failNext({
      method: "users.getProfile",
      status: 302,
      headers: { location: "http://169.254.169.254/computeMetadata/v1/" },
      body: "",
    });
    const { status, headers } = await call(scenario, `/gmail/v1/users/${userId}/profile`);
    expect([status, headers.get("location")]).toEqual([503, null]);
  });

  it("that does not come in time is given up, and the call to Gmail with it", async () => {
    const hold = scenario.emulator.faults.hold("users.getProfile", { count: 1 });
    const pending = call(scenario, `/gmail/v1/users/${userId}/profile`);
    await hold.arrived;
    for (const run of waiting) run();
    const { status, reason } = await pending;
    expect([status, reason]).toEqual([503, "backendError"]);
    hold.release();
  });

  it("for a client that has gone is on record as cut off", async () => {
    scenario.logs.length = 0;
    const hold = scenario.emulator.faults.hold("users.getProfile", { count: 1 });
    const gone = new AbortController();
    const pending = call(scenario, `/gmail/v1/users/${userId}/profile`, { signal: gone.signal });
    await hold.arrived;
    gone.abort();
    await expect(pending).rejects.toThrow("aborted");
    await vi.waitFor(() =>
      expect(scenario.logged("gmail_api_called")).toMatchObject([{ isComplete: false }]),
    );
    hold.release();
    expect(scenario.logged("request_failed")).toEqual([]);
    expect(scenario.logged("call_failed")).toEqual([]);
  });
});

describe("an error of Gmail that repeats the request", () => {
  it.each(["Mail service not enabled", "Active session is invalid"])(
    "says nothing about the mailbox: %s",
    async (label) => {
      const query = new URLSearchParams({ labelIds: label });
      const { status, body } = await call(scenario, `/gmail/v1/users/${userId}/messages?${query}`);
      expect([status, body]).toEqual([400, expect.stringContaining(`Invalid label: ${label}`)]);
      expect(scenario.stored(ADA).status).toBe("active");
    },
  );
});

describe("a request body", () => {
  const insert = () => `/gmail/v1/users/${userId}/messages`;
  const JSON_TYPE = { "content-type": "application/json" };
  const mailOf = (bytes: number) =>
    JSON.stringify({ raw: Buffer.alloc(bytes, "a b\r\n\r\n").toString("base64url") });

  it("of several megabytes goes through, with its length declared or in chunks", async () => {
    const body = mailOf(5 * 1024 * 1024);
    const declared = await call(scenario, insert(), { method: "POST", headers: JSON_TYPE, body });
    expect(declared.status).toBe(200);
    const chunked = await call(scenario, insert(), streamed(new Blob([body]).stream()));
    expect(chunked.status).toBe(200);
  });

  it("that was passed on is not kept to repeat the call: the client does that", async () => {
    await scenario.settled();
    scenario.emulator.expireAccessTokens(ADA);
    const body = mailOf(2 * 1024 * 1024);
    const init = { method: "POST", headers: JSON_TYPE, body };
    const first = await call(scenario, insert(), init);
    expect([first.status, first.reason]).toEqual([503, "backendError"]);
    expect((await call(scenario, insert(), init)).status).toBe(200);
  });

  it.each(["GET", "DELETE"])("of a %s request is rejected", async (method) => {
    await scenario.settled();
    const path = `/gmail/v1/users/${userId}/messages/${MESSAGE}`;
    const { status, calls } = await raw(`${method} ${path}`, ["content-length: 2"], "{}");
    expect([status, calls]).toEqual([400, []]);
  });

  it.each([
    "multipart/related; boundary=a",
    "message/rfc822",
    "application/x-www-form-urlencoded",
    "application/json-seq",
    "",
  ])("of the type %j is rejected", async (type) => {
    const headers = ["content-length: 2", ...(type === "" ? [] : [`content-type: ${type}`])];
    const { status, calls } = await raw(`POST ${insert()}`, headers, "{}");
    expect([status, calls]).toEqual([415, []]);
  });

  it("that comes too slowly ends with the time of its request", async () => {
    const { reads } = scenario.users.operations;
    const sent = raw(`POST ${insert()}`, ["content-length: 9", "content-type: application/json"]);
    // The body is awaited once the user has been read.
    await vi.waitFor(() => expect(scenario.users.operations.reads).toBe(reads + 1));
    for (const run of waiting) run();
    const { status, calls } = await sent;
    expect([status, calls]).toEqual([400, []]);
    expect(scenario.logged("gmail_api_called")).toMatchObject([{ status: 400 }]);
    expect(scenario.logged("request_failed")).toEqual([]);
  });

  it("that breaks off is no failure of the receiver", async () => {
    scenario.logs.length = 0;
    const { reads } = scenario.users.operations;
    const { hostname, port } = new URL(scenario.urls.gmailApi);
    const socket = connect(Number(port), hostname);
    socket.write(
      written(
        `POST ${insert()}`,
        [BEARER, "content-length: 9", "content-type: application/json"],
        "{",
      ),
    );
    await vi.waitFor(() => expect(scenario.users.operations.reads).toBe(reads + 1));
    socket.destroy();
    await vi.waitFor(() => expect(scenario.logged("gmail_api_called")).toHaveLength(1));
    expect(scenario.logged("request_failed")).toEqual([]);
  });

  it("without an end is cut off", async () => {
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(Buffer.alloc(1024 * 1024, "a")),
    });
    // The connection can be reset before the client has read the response.
    const status = await call(scenario, insert(), streamed(endless)).then(
      (seen) => seen.status,
      () => 503,
    );
    expect(status).toBe(503);
  });

  function streamed(body: ReadableStream) {
    return { method: "POST", headers: JSON_TYPE, body, duplex: "half" as const };
  }
});
