import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { SignJWT, exportJWK, generateKeyPair } from "jose";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { findSecret } from "../abuse/canaries.ts";
import { holdsForAll } from "../abuse/entry.ts";
import { oneByteChanged, oneReplaced, rawBytes } from "../abuse/inputs.ts";
import { type PlainRequest, expectSafe, send } from "../abuse/request.ts";
import { type Subject, startSubject } from "../abuse/subject.ts";

/**
 * Goal: only what Google has signed, for this client, about what it may speak of, has an effect;
 * everything else is refused in one way, which does not say why.
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

function post(body: string | Buffer): PlainRequest {
  return { method: "POST", url: "/", headers: JWT, body: Buffer.from(body) };
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

/** None of them is about Ada's present grant. */
const ACCEPTED: readonly (() => Promise<string>)[] = [
  () => sign(claims()),
  () => sign(claims({ aud: ["somebody", clientId], exp: 1 }), { typ: "JWT" }),
  () => sign(claims(revoked("1"))),
  () => sign(claims({ iat: 1_600_000_000, ...revoked(ada) })),
];

/** Each would end Ada's grant if its one fault were overlooked. */
const REFUSED: readonly (() => Promise<string>)[] = [
  () => sign(claims(revoked(ada)), {}, stranger.privateKey),
  () => sign(claims(revoked(ada)), { kid: "2" }),
  () => sign(claims({ aud: "somebody", ...revoked(ada) })),
  () => sign(claims({ iss: "https://evil.example.com/", ...revoked(ada) })),
];

describe("a security event of any kind", () => {
  const shown = fc.constantFrom(...[...REFUSED, ...ACCEPTED].map(once));
  holdsForAll<() => Promise<PlainRequest>>(
    {
      valid: fc.constantFrom(...ACCEPTED).map((make) => async () => post(await make())),
      oneFieldReplaced: fc.gen().map((gen) => async () => post(await sign(replacedIn(gen)))),
      oneByteChanged: fc.tuple(shown, fc.gen()).map(([make, gen]) => async () => {
        const token = Buffer.from(await make());
        return post(gen(() => oneByteChanged(token)));
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
