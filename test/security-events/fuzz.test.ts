import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { SignJWT, exportJWK, exportSPKI, generateKeyPair } from "jose";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findSecret } from "../abuse/canaries.ts";
import { holdsForAll } from "../abuse/entry.ts";
import { oneByteChanged, oneReplaced, rawBytes } from "../abuse/inputs.ts";
import { type PlainRequest, expectSafe, send } from "../abuse/request.ts";
import { type Subject, startSubject } from "../abuse/subject.ts";

/**
 * Goal: only what Google has signed, for this client, about what it may speak of, has an effect;
 * everything else is refused in one way, and tells nobody why.
 */

const ADA = "ada@example.com";
const STATUSES = [202, 400, 404, 405, 413, 503];
const TYPES = "https://schemas.openid.net/secevent/";
const VERIFICATION = `${TYPES}risc/event-type/verification`;
const REVOKED = `${TYPES}oauth/event-type/tokens-revoked`;
const JWT = { "content-type": "application/secevent+jwt" };

const google = await generateKeyPair("RS256", { extractable: true });
const stranger = await generateKeyPair("RS256");
const JWKS = {
  keys: [{ ...(await exportJWK(google.publicKey)), kid: "1", alg: "RS256", use: "sig" }],
};
const PUBLIC_PEM = await exportSPKI(google.publicKey);

let subject: Subject;
let ada: string;
let clientId: string;

beforeAll(async () => {
  subject = await startSubject();
  await subject.connect(ADA);
  ada = subject.stored(ADA).id;
  clientId = subject.config.oauth.clientId;
  subject.clock.advance(60_000);
  subject.emulator.faults.failNext({ method: "certs", status: 200, body: JWKS, count: "all" });
  subject.takeLogs();
});
afterAll(() => subject.close());

type Claims = Record<string, unknown>;

function claims(over: Claims = {}): Claims {
  return {
    iss: "https://accounts.google.com/",
    aud: clientId,
    iat: Math.floor(subject.clock.now().getTime() / 1_000),
    jti: randomUUID(),
    events: { [VERIFICATION]: { state: "abc" } },
    ...over,
  };
}

function revoked(sub: string, iss = "https://accounts.google.com/"): Claims {
  return { events: { [REVOKED]: { subject: { subject_type: "iss-sub", iss, sub } } } };
}

function sign(content: Claims, header: object = {}, key = google.privateKey): Promise<string> {
  return new SignJWT(content)
    .setProtectedHeader({ alg: "RS256", kid: "1", typ: "secevent+jwt", ...header })
    .sign(key);
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

function post(body: string | Buffer, over: Partial<PlainRequest> = {}): PlainRequest {
  return { method: "POST", url: "/", headers: JWT, body: Buffer.from(body), ...over };
}

/** RFC 8935 §2.4: the codes, and the one text that has been seen beside each. */
const CODES = [
  "invalid_request",
  "invalid_key",
  "invalid_issuer",
  "invalid_audience",
  "authentication_failed",
];
const descriptions = new Map<string, string>();

function checkRefusal(body: string): void {
  const { err = "", description = "", ...more } = JSON.parse(body) as Record<string, string>;
  expect(CODES).toContain(err);
  expect(description).toBe(descriptions.get(err) ?? description);
  descriptions.set(err, description);
  expect(more).toEqual({});
}

async function check(request: PlainRequest): Promise<number> {
  const effects = subject.watch();
  const { status, grant, historyId } = subject.stored(ADA);
  const answer = await send("securityEvent", request);
  const { writes, published } = effects();
  expect(STATUSES).toContain(answer.status);
  if (answer.status === 400) checkRefusal(answer.body);
  else if (answer.status === 202) assert.equal(answer.body, "");
  else expectSafe(answer, STATUSES);
  expect(findSecret(answer.head + answer.body)).toBeUndefined();
  assert(answer.status === 202 || writes + published === 0);
  // Whatever is accepted here is not about Ada, or is older than her grant.
  expect(subject.stored(ADA)).toMatchObject({ status, grant, historyId });
  const failed = ["request_failed", "security_event_failed"];
  expect(subject.takeLogs().filter(({ event }) => failed.includes(String(event)))).toEqual([]);
  return answer.status;
}

const ACCEPTED: readonly [string, () => Promise<string>][] = [
  ["a verification", () => sign(claims())],
  ["an issuer without its slash", () => sign(claims({ iss: "https://accounts.google.com" }))],
  ["the type JWT", () => sign(claims(), { typ: "JWT" })],
  ["an end that has passed", () => sign(claims({ exp: 1 }))],
  ["several audiences", () => sign(claims({ aud: ["somebody", clientId] }))],
  ["somebody we do not know", () => sign(claims(revoked("1")))],
  ["what is older than the grant", () => sign(claims({ iat: 1_600_000_000, ...revoked(ada) }))],
];

const REFUSED: readonly [string, () => Promise<string>][] = [
  ["nothing", async () => ""],
  ["a text", async () => "hello"],
  ["two parts", async () => (await sign(claims(revoked(ada)))).split(".").slice(0, 2).join(".")],
  ["four parts", async () => `${await sign(claims(revoked(ada)))}.a`],
  ["five parts", async () => `${await sign(claims(revoked(ada)))}.a.b`],
  ["no signature", async () => (await sign(claims(revoked(ada)))).replace(/[^.]*$/, "")],
  ["a signature that is cut", async () => (await sign(claims(revoked(ada)))).slice(0, -8)],
  ["no algorithm", async () => `${part({ alg: "none" })}.${part(claims(revoked(ada)))}.`],
  ["no algorithm, in capitals", async () => `${part({ alg: "NONE" })}.${part(claims())}.`],
  [
    "a signature made with the public key",
    async () => {
      const input = `${part({ alg: "HS256", kid: "1" })}.${part(claims(revoked(ada)))}`;
      return `${input}.${createHmac("sha256", PUBLIC_PEM).update(input).digest("base64url")}`;
    },
  ],
  ["a stranger's key under Google's id", () => sign(claims(revoked(ada)), {}, stranger.privateKey)],
  ["an unknown key", () => sign(claims(revoked(ada)), { kid: "2" })],
  ["a path for a key", () => sign(claims(revoked(ada)), { kid: "../../etc/passwd" })],
  [
    "a key that it brings along",
    async () =>
      sign(claims(revoked(ada)), { jwk: await exportJWK(stranger.publicKey) }, stranger.privateKey),
  ],
  [
    "a key set that it names",
    () =>
      sign(
        claims(revoked(ada)),
        { jku: "https://evil.example.com/", kid: "2" },
        stranger.privateKey,
      ),
  ],
  [
    "an extension that is critical",
    async () => {
      const [, payload, signature] = (await sign(claims(revoked(ada)))).split(".");
      return `${part({ alg: "RS256", kid: "1", crit: ["x"], x: 1 })}.${payload}.${signature}`;
    },
  ],
  ["another audience", () => sign(claims({ aud: "somebody", ...revoked(ada) }))],
  ["other audiences", () => sign(claims({ aud: ["somebody", "else"], ...revoked(ada) }))],
  ["no audience", () => sign(claims({ aud: undefined, ...revoked(ada) }))],
  ["an audience that ends like ours", () => sign(claims({ aud: `x${clientId}`, ...revoked(ada) }))],
  ["another issuer", () => sign(claims({ iss: "https://evil.example.com/", ...revoked(ada) }))],
  ["an issuer with two slashes", () => sign(claims({ iss: "https://accounts.google.com//" }))],
  ["an issuer without a scheme", () => sign(claims({ iss: "accounts.google.com" }))],
  ["no issuer", () => sign(claims({ iss: undefined, ...revoked(ada) }))],
  ["no events", () => sign(claims({ events: undefined }))],
  ["a list of events", () => sign(claims({ events: [REVOKED] }))],
  ["events that are a text", () => sign(claims({ events: REVOKED }))],
];

describe("a security event", () => {
  it.each(ACCEPTED)("with %s is accepted", async (_, make) => {
    expect(await check(post(await make()))).toBe(202);
  });

  it.each(REFUSED)("with %s is rejected", async (_, make) => {
    expect(await check(post(await make()))).toBe(400);
  });

  it.each<[string, number, Partial<PlainRequest>]>([
    ["a GET", 405, { method: "GET" }],
    ["a HEAD", 405, { method: "HEAD" }],
    ["a PUT", 405, { method: "PUT" }],
    ["another path", 404, { url: "/events" }],
    ["1 MB", 413, { body: Buffer.alloc(1_048_576, "a") }],
    ["one byte too many", 413, { body: Buffer.alloc(65_537, "a") }],
  ])("as %s is answered %d", async (_, status, over) => {
    expect(await check(post(await sign(claims()), over))).toBe(status);
  });

  describe("of any kind", () => {
    const shown = fc.constantFrom(...[...REFUSED, ...ACCEPTED].map(([, make]) => once(make)));
    holdsForAll<() => Promise<PlainRequest>>(
      {
        valid: fc.constantFrom(...ACCEPTED).map(
          ([, make]) =>
            async () =>
              post(await make()),
        ),
        oneFieldReplaced: fc.gen().map((gen) => async () => post(await sign(replacedIn(gen)))),
        oneByteChanged: fc.tuple(shown, fc.gen()).map(([make, gen]) => async () => {
          const token = Buffer.from(await make());
          return post(token.length === 0 ? token : gen(() => oneByteChanged(token)));
        }),
        rawBytes: rawBytes.map((bytes) => () => Promise.resolve(post(bytes))),
      },
      async (make, kind) => {
        const status = await check(await make());
        assert(kind !== "valid" || status === 202);
        assert(kind !== "rawBytes" || status === 400);
      },
    );
  });

  it("is retried while Google's keys are not available", async () => {
    // The last test: the functions are registered anew, for this receiver.
    const apart = await startSubject();
    apart.emulator.faults.failNext({ method: "certs", status: 503, count: "all" });
    const answer = await send("securityEvent", post(await sign(claims())));
    expect(answer.status).toBe(503);
    await apart.close();
  });
});

/** The same token each time: signing is dear, and what is changed afterwards needs no new one. */
function once(make: () => Promise<string>): () => Promise<string> {
  let made: Promise<string> | undefined;
  return () => (made ??= make());
}

/** Signed by Google, and still not one of its events: one claim is any value. */
function replacedIn(gen: fc.GeneratorValue): Claims {
  const content = gen(() => oneReplaced(claims(revoked("1"))));
  return typeof content === "object" && content !== null && !Array.isArray(content)
    ? (content as Claims)
    : claims({ events: content });
}
