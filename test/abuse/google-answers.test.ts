import { FailedCall, type Failure } from "../../functions/src/domain/failure.ts";
import assert from "node:assert/strict";
import { SignJWT, exportJWK, generateKeyPair } from "jose";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Clock } from "../../functions/src/domain/clock.ts";
import { googleEndpoints } from "../../functions/src/google/endpoints.ts";
import { type Gmail, gmailClient } from "../../functions/src/google/gmail.ts";
import { idTokenVerifier } from "../../functions/src/google/id-token.ts";
import { type OAuth, googleOAuth } from "../../functions/src/google/oauth.ts";
import { err } from "../../functions/src/domain/result.ts";
import { parseHistoryId } from "../../functions/src/domain/history-id.ts";
import { UNREADABLE, WRONG_MEMBERS } from "./answer-cases.ts";
import { CANARIES, findSecret } from "./canaries.ts";
import { holdsForAll } from "./entry.ts";
import { type GoogleServer, type RawAnswer, startGoogleServer } from "./google-server.ts";
import { anyJson, oneByteChanged, oneReplaced, rawBytes } from "./inputs.ts";

/**
 * Goal: Google's answers are input like any other. Whatever comes in place of one, through the real
 * clients, is a value that can be worked with and stored, or a classified failure that carries
 * nothing of it; and nobody loses a grant by an answer that does not say so.
 */

const NOW = new Date("2026-11-20T12:00:00.000Z");
/** The last of a Firestore timestamp. */
const LAST_DATE_MS = Date.UTC(9999, 11, 31);
const clock: Clock = { now: () => NOW, sleep: () => Promise.resolve() };
const CLIENT_ID = "client.apps.googleusercontent.com";
const ACCESS_TOKEN = "ya29.a0abuse-access-token";
const REFRESH_TOKEN = "1//0abuse-refresh-token";
const NONCE = "a-nonce";

const { publicKey, privateKey } = await generateKeyPair("RS256");
const KEY = { ...(await exportJWK(publicKey)), kid: "1", alg: "RS256", use: "sig" };
const ID_TOKEN = await new SignJWT({
  sub: "10769150350006150715113082367",
  email: "ada@example.com",
  email_verified: true,
  nonce: NONCE,
})
  .setProtectedHeader({ alg: "RS256", kid: "1" })
  .setIssuer("https://accounts.google.com")
  .setAudience(CLIENT_ID)
  .setIssuedAt(NOW)
  .setExpirationTime(new Date(NOW.getTime() + 3_600_000))
  .sign(privateKey);

let google: GoogleServer;
let answer: RawAnswer = {};
let gmail: Gmail;
let oauth: OAuth;

beforeAll(async () => {
  google = await startGoogleServer(() => answer);
  const endpoints = googleEndpoints(google.host);
  gmail = gmailClient(endpoints.gmail, clock);
  const { clientSecret } = CANARIES;
  oauth = googleOAuth({ clientId: CLIENT_ID, clientSecret }, endpoints, clock);
});
afterAll(() => google.close());

const message = (id: string) => ({ id, threadId: "19aa", labelIds: ["INBOX"] });
const SAMPLES = {
  "history.list": {
    history: [
      { id: "11", messages: [message("19a1")], messagesAdded: [{ message: message("19a1") }] },
      { id: "12", labelsAdded: [{ message: message("19a2"), labelIds: ["STARRED"] }] },
      { id: "13", messagesDeleted: [{ message: { id: "19a3", threadId: "19aa" } }] },
    ],
    nextPageToken: "next",
    historyId: "20",
  },
  "users.getProfile": { emailAddress: "ada@example.com", messagesTotal: 5, historyId: "20" },
  "messages.list": { messages: [message("19a1"), message("19a2")], nextPageToken: "next" },
  "messages.get": {
    ...message("19a1"),
    internalDate: String(NOW.getTime()),
    sizeEstimate: 1_234,
    snippet: "The beginning",
    payload: { headers: [{ name: "From", value: "bob@example.org" }] },
  },
  "users.watch": { historyId: "20", expiration: String(NOW.getTime() + 7 * 24 * 3_600_000) },
  "token.refresh": { access_token: ACCESS_TOKEN, expires_in: 3599, scope: "openid email" },
  "token.code": {
    access_token: ACCESS_TOKEN,
    expires_in: 3599,
    refresh_token: REFRESH_TOKEN,
    scope: "openid email",
    id_token: "a.b.c",
    token_type: "Bearer",
  },
  jwks: { keys: [KEY] },
};
type Method = keyof typeof SAMPLES;
const METHODS = Object.keys(SAMPLES) as Method[];

const START = parseHistoryId("10");

/** Makes the call; what comes back has its shape, and could be stored as it is. */
async function ask(method: Method): Promise<void> {
  if (START === undefined) throw new Error("no history id");
  switch (method) {
    case "history.list": {
      const { head, records } = await gmail.listHistory(ACCESS_TOKEN, START);
      for (const id of [head, ...records.map(({ historyId }) => historyId)]) {
        expect(parseHistoryId(id)).toBe(id);
      }
      for (const { items } of records) for (const item of items) expectMessage(item.message);
      return;
    }
    case "users.getProfile":
      return expect((await gmail.getProfile(ACCESS_TOKEN)).historyId).toMatch(/^[1-9]\d{0,19}$/);
    case "messages.list":
      return (await gmail.listMessages(ACCESS_TOKEN, {})).messages.forEach(expectMessage);
    case "messages.get": {
      expectDate(await gmail.getInternalDate(ACCESS_TOKEN, "19a1"));
      const {
        headers,
        internalDate,
        sizeEstimate = 0,
      } = await gmail.getDetail(ACCESS_TOKEN, "19a1", 5_000);
      expectDate(internalDate);
      expect(Number.isSafeInteger(sizeEstimate) && sizeEstimate >= 0).toBe(true);
      for (const value of Object.values(headers)) {
        expect(typeof value).toBe("string");
        expect(Buffer.byteLength(value)).toBeLessThanOrEqual(4_096);
      }
      return;
    }
    case "users.watch": {
      const { historyId, expiresAt } = await gmail.watch(ACCESS_TOKEN, "projects/p/topics/t", []);
      expect(parseHistoryId(historyId)).toBe(historyId);
      return expectDate(expiresAt);
    }
    case "token.refresh":
      return expectTokens(await oauth.refresh(REFRESH_TOKEN));
    case "token.code":
      return expectTokens(await oauth.exchangeCode("4/0Acode", "verifier", "https://a.example/"));
    case "jwks": {
      // Its keys are kept, so each answer is asked for by a new one.
      const verify = idTokenVerifier(CLIENT_ID, googleEndpoints(google.host), clock);
      const verified = await verify(ID_TOKEN, { requested: NONCE });
      return expect([undefined, "refused", "unavailable"]).toContain(
        verified.ok ? undefined : verified.error.kind,
      );
    }
  }
}

function expectMessage({
  id,
  threadId = "none",
  labelIds = [],
}: {
  id: string;
  threadId?: string;
  labelIds?: readonly string[];
}): void {
  for (const text of [id, threadId]) expect(text).toMatch(/^[\w-]{1,100}$/);
  for (const label of labelIds) expect(label).toBeTypeOf("string");
}

/** A date that a database takes, and that no comparison passes over in silence. */
function expectDate(date: Date): void {
  expect(Math.abs(date.getTime())).toBeLessThan(LAST_DATE_MS);
}

function expectTokens(tokens: Awaited<ReturnType<OAuth["refresh"]>>): void {
  const { accessToken, refreshToken = "x", expiresAt, scopes } = tokens;
  // What a header can carry (RFC 6749, appendix A.12), and what a document has room for.
  for (const token of [accessToken, refreshToken]) expect(token).toMatch(/^[\x20-\x7e]{1,4096}$/);
  expectDate(expiresAt);
  expect(scopes.join(" ").length).toBeLessThan(20_000);
}

async function check(method: Method, raw: RawAnswer): Promise<Failure | undefined> {
  answer = raw;
  try {
    await ask(method);
    return undefined;
  } catch (error) {
    if (!(error instanceof FailedCall)) throw error;
    const { failure, message: text, stack } = error;
    assert.equal(findSecret(`${text} ${stack} ${JSON.stringify(failure)}`), undefined);
    return failure;
  } finally {
    google.take();
  }
}

const json = (content: unknown): RawAnswer => ({ body: JSON.stringify(content) ?? "" });

describe("an answer of Google's", () => {
  it.each(METHODS)("to %s is read when it is complete", async (method) => {
    expect(await check(method, json(SAMPLES[method]))).toBeUndefined();
  });

  // A key set is not a call that fails: it leaves the person's token unverified for the moment.
  describe.each(METHODS.filter((one) => one !== "jwks"))("to %s", (method) => {
    it.each(UNREADABLE)("that is %s is %s", async (name, kind, raw) => {
      // An empty mailbox is listed as an object without messages: this is one, as JSON.
      const isEmptyList = method === "messages.list" && /^an (empty )?object\b/.test(name);
      const failure = await check(method, raw);
      expect(failure?.kind).toBe(isEmptyList ? undefined : kind);
    });
  });

  const members = WRONG_MEMBERS.flatMap(([method, name, values]) =>
    values.map((value) => {
      const shown = JSON.stringify(value)?.slice(0, 40) ?? "undefined";
      return [method as Method, name, shown, value] as const;
    }),
  );
  it.each(members)("to %s with the %s %s is retried", async (method, name, _, value) => {
    const failure = await check(method, json({ ...SAMPLES[method], [name]: value }));
    expect(failure).toEqual({ kind: "transient", reason: "malformed_answer" });
  });

  it("about a token's lifetime is trusted for a day at most", async () => {
    for (const expires_in of [86_401, 1e15, 1e308]) {
      answer = json({ ...SAMPLES["token.refresh"], expires_in });
      const { expiresAt } = await oauth.refresh(REFRESH_TOKEN);
      expect(expiresAt.getTime() - NOW.getTime()).toBe(24 * 3_600_000);
    }
  });

  it.each([301, 302, 303, 307, 308])(
    "that redirects elsewhere, %d, is not followed",
    async (status) => {
      const elsewhere = await startGoogleServer(() => json(SAMPLES["token.code"]));
      for (const method of METHODS) {
        const location = `${elsewhere.url}/`;
        const failure = await check(method, { status, headers: { location } });
        expect(failure?.kind).toBe(method === "jwks" ? undefined : "transient");
      }
      expect(elsewhere.take()).toEqual([]);
      await elsewhere.close();
    },
  );

  it.each([
    ["nothing", json({})],
    ["no keys", json({ keys: null })],
    ["keys that are none", json({ keys: [null, 5] })],
    ["a page", { headers: { "content-type": "text/html" }, body: "<html>" }],
    ["503", { status: 503 }],
  ])("with keys that is %s leaves an ID token unverified for now", async (_, raw) => {
    answer = raw;
    const verify = idTokenVerifier(CLIENT_ID, googleEndpoints(google.host), clock);
    expect(await verify(ID_TOKEN, { requested: NONCE })).toEqual(err({ kind: "unavailable" }));
  });

  it.each([
    ["no key", []],
    ["another key id", [{ ...KEY, kid: "2" }]],
    ["a key for encryption", [{ ...KEY, use: "enc" }]],
    ["a secret under the key's id", [{ kty: "oct", k: "YQ", kid: "1", alg: "HS256" }]],
    ["a key of another kind", [{ kty: "EC", crv: "P-256", x: "YQ", y: "YQ", kid: "1" }]],
    ["another key under its id", [{ ...KEY, n: `${KEY.n?.slice(0, -4)}AAAA` }]],
    ["two keys under one id", [KEY, { ...KEY, n: `${KEY.n?.slice(0, -4)}AAAA` }]],
  ])("with %s verifies nothing", async (_, keys) => {
    answer = json({ keys });
    const verify = idTokenVerifier(CLIENT_ID, googleEndpoints(google.host), clock);
    const verified = await verify(ID_TOKEN, { requested: NONCE });
    expect(verified).toMatchObject({ error: { kind: "refused" } });
  });

  describe("of any kind", () => {
    const method = fc.constantFrom(...METHODS);
    const status = fc.constantFrom(200, 200, 200, 201, 204, 400, 401, 403, 404, 429, 500, 503);
    const type = fc.constantFrom("application/json", "text/html", "text/plain", "x", "");
    const flags = new Set<Failure["kind"]>(["reauthorize", "mailbox_unavailable"]);

    holdsForAll<[Method, RawAnswer]>(
      {
        valid: method.map((one) => [one, json(SAMPLES[one])]),
        oneFieldReplaced: method.chain((one) =>
          fc.tuple(fc.constant(one), oneReplaced(SAMPLES[one]).map(json)),
        ),
        oneByteChanged: method.chain((one) =>
          fc.tuple(
            fc.constant(one),
            oneByteChanged(Buffer.from(JSON.stringify(SAMPLES[one]))).map((body) => ({ body })),
          ),
        ),
        rawBytes: fc.tuple(
          method,
          fc.record({
            status,
            headers: type.map((one) => ({ "content-type": one })),
            body: fc.oneof(
              rawBytes,
              anyJson.map((one) => JSON.stringify(one)),
            ),
          }),
        ),
      },
      async ([its, raw]) => {
        const failure = await check(its, raw);
        // No answer of these says that a grant has ended.
        assert(failure === undefined || !flags.has(failure.kind));
      },
    );
  });
});
