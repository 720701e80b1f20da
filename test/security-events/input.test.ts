import { createHmac } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";
import { UNLIMITED } from "../local/environment.ts";
import { type OpenSigner, encoded, openSigner } from "./open-signer.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const ISSUER = "https://accounts.google.com/";
const EVENT = "https://schemas.openid.net/secevent/risc/event-type/sessions-revoked";
const CLIENT = DEFAULT_CLIENT.clientId;

interface Given {
  google: OpenSigner;
  /** Claims of a token that is accepted. An `undefined` one is left out. */
  claims: (over?: Record<string, unknown>) => Record<string, unknown>;
  /** Of Ada, in seconds. */
  now: number;
  subject: Record<string, unknown>;
}

interface Sent {
  body: string;
  headers?: Record<string, string>;
}

type Case = readonly [name: string, make: (given: Given) => string | Sent];

/** Only the header is changed: the signature is Google's own over what is sent. */
const withHeader =
  (over: Record<string, unknown>) =>
  ({ google, claims }: Given) =>
    google.compact(over, claims());

/** Signed by Google, with any claims. */
const claim =
  (over: Record<string, unknown>) =>
  ({ google, claims }: Given) =>
    google.sign(claims(over));

const events = (value: unknown) => claim({ events: value });

const withSubject =
  (over: Record<string, unknown>) =>
  ({ google, claims, subject }: Given) =>
    google.sign(claims({ events: { [EVENT]: { subject: { ...subject, ...over } } } }));

const parts = (token: string): [string, string, string] => {
  const [first = "", second = "", third = ""] = token.split(".");
  return [first, second, third];
};

const REFUSED: Record<string, readonly Case[]> = {
  invalid_request: [
    ["an empty body", () => ""],
    ["white space", () => " \n "],
    ["no JWT", () => "hello"],
    ["JSON", () => ({ body: '{"jti":"1"}', headers: { "content-type": "text/plain" } })],
    [
      "a form",
      ({ google, claims }) => ({
        body: `token=${google.sign(claims())}`,
        headers: { "content-type": "application/x-www-form-urlencoded" },
      }),
    ],
    ["HTML", () => "<html></html>"],
    ["two parts", ({ google, claims }) => parts(google.sign(claims())).slice(0, 2).join(".")],
    ["four parts", ({ google, claims }) => `${google.sign(claims())}.AAAA`],
    ["five parts, as encrypted ones have", () => "a.b.c.d.e"],
    ["an empty header", ({ google, claims }) => google.sign(claims()).replace(/^[^.]+/, "")],
    ["an empty signature", ({ google, claims }) => google.sign(claims()).replace(/[^.]+$/, "")],
    [
      "alg none and no signature",
      ({ claims }) => `${encoded({ alg: "none" })}.${encoded(claims())}.`,
    ],
    ["a quoted token", ({ google, claims }) => `"${google.sign(claims())}"`],
    ["two tokens", ({ google, claims }) => `${google.sign(claims())}\n${google.sign(claims())}`],
    ["padding", ({ google, claims }) => `${google.sign(claims())}=`],
    ["standard base64", ({ google, claims }) => google.sign(claims()).replace("_", "/") + "+/"],
    ["a NUL", ({ google, claims }) => `${google.sign(claims())}\0`],
    ["a BOM inside", ({ google, claims }) => google.sign(claims()).replace(".", ".\ufeff")],
    ["a header that is no JSON", ({ claims }) => `${encoded("{")}.${encoded(claims())}.AAAA`],
    ["a header that is an array", ({ claims }) => `${encoded([])}.${encoded(claims())}.AAAA`],
    ["a header that is null", ({ claims }) => `${encoded("null")}.${encoded(claims())}.AAAA`],
    ["no alg", withHeader({ alg: undefined })],
    ["an alg that is a number", withHeader({ alg: 256 })],
    ["a kid that is a number", withHeader({ kid: 1 })],
    ["a kid that is an object", withHeader({ kid: { id: "google-key-1" } })],
    ["a kid that is null", withHeader({ kid: null })],
    ["the typ of an access token", withHeader({ typ: "at+jwt" })],
    ["the typ of a logout token", withHeader({ typ: "logout+jwt" })],
    ["a typ that is a number", withHeader({ typ: 1 })],
    ["an unknown crit", withHeader({ crit: ["exp"], exp: 1 })],
    ["an empty crit", withHeader({ crit: [] })],
    ["an unencoded payload", withHeader({ crit: ["b64"], b64: false })],
    ["claims that are no JSON", ({ google }) => google.compact({}, "{")],
    ["claims that are an array", ({ google }) => google.compact({}, [])],
    ["claims that are a string", ({ google }) => google.compact({}, '"x"')],
    ["claims that are null", ({ google }) => google.compact({}, "null")],
    ["10 000 brackets", ({ google }) => google.compact({}, "[".repeat(10_000))],
    ["no iat", claim({ iat: undefined })],
    ["an iat that is a string", claim({ iat: "1795000000" })],
    ["a negative iat", claim({ iat: -1 })],
    ["an iat that is zero", claim({ iat: 0 })],
    ["an iat that is null", claim({ iat: null })],
    ["an iat beyond all dates", claim({ iat: 1e300 })],
    [
      "an iat six minutes ahead",
      ({ google, claims, now }) => google.sign(claims({ iat: now + 360 })),
    ],
    [
      "an iat in milliseconds",
      ({ google, claims, now }) => google.sign(claims({ iat: now * 1e3 })),
    ],
    ["no jti", claim({ jti: undefined })],
    ["an empty jti", claim({ jti: "" })],
    ["a jti that is a number", claim({ jti: 7 })],
    ["a jti that is an array", claim({ jti: ["a"] })],
    ["no events", claim({ events: undefined })],
    ["events without any", events({})],
    ["events that are an array", events([EVENT])],
    ["events that are a string", events(EVENT)],
    ["events that are null", events(null)],
    ["an event that is null", events({ [EVENT]: null })],
    ["an event that is a string", events({ [EVENT]: "now" })],
    ["an event that is an array", events({ [EVENT]: [] })],
    [
      "more events than anybody sends",
      events(Object.fromEntries([...Array(21).keys()].map((index) => [`urn:${index}`, {}]))),
    ],
    ["no subject", events({ [EVENT]: {} })],
    ["a subject that is null", events({ [EVENT]: { subject: null } })],
    ["a subject that is a string", events({ [EVENT]: { subject: "1234" } })],
    ["a subject that is an array", events({ [EVENT]: { subject: ["1234"] } })],
    ["a subject without anything", events({ [EVENT]: { subject: {} } })],
    [
      "two events, of which one has no subject",
      ({ google, claims, subject }) => {
        const other = EVENT.replace("sessions", "tokens");
        return google.sign(claims({ events: { [EVENT]: { subject }, [other]: {} } }));
      },
    ],
    [
      "a genuine ID token: the same issuer, audience and key",
      ({ google, now, subject }) =>
        google.sign({
          iss: "https://accounts.google.com",
          aud: CLIENT,
          sub: subject["sub"],
          email: ADA,
          email_verified: true,
          iat: now,
          exp: now + 3_600,
          jti: "id-token",
        }),
    ],
  ],
  invalid_issuer: [
    ["no iss", claim({ iss: undefined })],
    ["an iss that is a number", claim({ iss: 1 })],
    ["an iss that is an array", claim({ iss: [ISSUER] })],
    ["another issuer", claim({ iss: "https://accounts.example.com/" })],
    ["the issuer without its scheme", claim({ iss: "accounts.google.com" })],
    ["the issuer over http", claim({ iss: "http://accounts.google.com/" })],
    ["the issuer in capitals", claim({ iss: "https://Accounts.Google.com/" })],
    ["the issuer with two slashes", claim({ iss: `${ISSUER}/` })],
    ["the issuer and a path", claim({ iss: `${ISSUER}x` })],
    ["the issuer and a port", claim({ iss: "https://accounts.google.com:443/" })],
    ["the issuer and white space", claim({ iss: `${ISSUER} ` })],
    ["a longer host", claim({ iss: "https://accounts.google.com.example.com/" })],
  ],
  invalid_audience: [
    ["no aud", claim({ aud: undefined })],
    ["another client", claim({ aud: "another.apps.googleusercontent.com" })],
    ["an array without us", claim({ aud: ["another.apps.googleusercontent.com"] })],
    ["an empty array", claim({ aud: [] })],
    ["an array in an array", claim({ aud: [[CLIENT]] })],
    ["an object", claim({ aud: { client: CLIENT } })],
    ["null", claim({ aud: null })],
    ["our client in capitals", claim({ aud: CLIENT.toUpperCase() })],
    ["a longer client that ends like ours", claim({ aud: `x${CLIENT}` })],
    ["two clients in one string", claim({ aud: `${CLIENT} another` })],
  ],
  invalid_key: [
    [
      "alg none, with a signature all the same",
      ({ google, claims }) => google.compact({ alg: "none" }, claims()),
    ],
    ["alg NONE", withHeader({ alg: "NONE" })],
    [
      "HS256 with the public key for a secret",
      ({ google, claims }) => {
        const input = `${encoded({ alg: "HS256", kid: google.keyId })}.${encoded(claims())}`;
        const mac = createHmac("sha256", google.publicKey).update(input).digest("base64url");
        return `${input}.${mac}`;
      },
    ],
    ["PS256", withHeader({ alg: "PS256" })],
    ["ES256", withHeader({ alg: "ES256" })],
    ["RS512", withHeader({ alg: "RS512" })],
    ["RS384", withHeader({ alg: "RS384" })],
    ["EdDSA", withHeader({ alg: "EdDSA" })],
    ["rs256 in small letters", withHeader({ alg: "rs256" })],
    ["no kid", withHeader({ kid: undefined })],
    ["an unknown kid", withHeader({ kid: "unknown" })],
    ["an empty kid", withHeader({ kid: "" })],
    ["a kid that is a path", withHeader({ kid: "../../etc/passwd" })],
    ["a kid that is a prototype's", withHeader({ kid: "__proto__" })],
    ["a kid that is SQL", withHeader({ kid: "' OR 1=1 --" })],
    ["a kid of 30 000 characters", withHeader({ kid: "k".repeat(30_000) })],
    [
      "somebody's own key in jwk",
      ({ claims }) => {
        const own = openSigner("own");
        return own.compact({ jwk: own.jwks().keys[0] }, claims());
      },
    ],
    [
      "somebody's own keys behind jku and x5u",
      ({ claims }) => {
        const own = openSigner("own");
        const url = "http://127.0.0.1:9/keys";
        return own.compact({ jku: url, x5u: url, x5c: ["AAAA"] }, claims());
      },
    ],
  ],
  authentication_failed: [
    [
      "the signature of somebody else's key under Google's id",
      ({ google, claims }) => openSigner(google.keyId).sign(claims()),
    ],
    [
      "somebody's own key in jwk, under Google's id",
      ({ google, claims }) => {
        const own = openSigner(google.keyId);
        return own.compact({ jwk: own.jwks().keys[0], jku: "http://127.0.0.1:9/" }, claims());
      },
    ],
    ["a truncated signature", ({ google, claims }) => google.sign(claims()).slice(0, -8)],
    [
      "a signature of one byte",
      ({ google, claims }) => google.sign(claims()).replace(/[^.]+$/, "AA"),
    ],
    [
      "one bit of the signature turned",
      ({ google, claims }) => {
        const [first, second, third] = parts(google.sign(claims()));
        const bytes = Buffer.from(third, "base64url");
        bytes[100] = (bytes[100] ?? 0) ^ 1;
        return [first, second, bytes.toString("base64url")].join(".");
      },
    ],
    [
      "other claims under a genuine signature",
      ({ google, claims }) => {
        const [first, , third] = parts(google.sign(claims()));
        return [first, encoded(claims({ jti: "other" })), third].join(".");
      },
    ],
    [
      "another header over a genuine signature",
      ({ google, claims }) => {
        const [, second, third] = parts(google.sign(claims()));
        return [encoded({ alg: "RS256", kid: google.keyId }), second, third].join(".");
      },
    ],
  ],
};

/** Each ends Ada's sessions, so that it shows. */
const ACCEPTED: readonly Case[] = [
  ["what Google sends", ({ google, claims }) => google.sign(claims())],
  ["no typ", withHeader({ typ: undefined })],
  ["typ secevent+jwt", withHeader({ typ: "secevent+jwt" })],
  ["typ with its prefix", withHeader({ typ: "application/SecEvent+JWT" })],
  [
    "a jku that nobody follows, over Google's own signature",
    withHeader({ jku: "http://127.0.0.1:9/" }),
  ],
  ["the issuer without its slash", claim({ iss: "https://accounts.google.com" })],
  ["an audience of several, ours among them", claim({ aud: ["another", CLIENT] })],
  ["another client of the project", claim({ aud: "android.apps.googleusercontent.com" })],
  ["an exp in the past", claim({ exp: 1 })],
  ["an exp that is none", claim({ exp: "never" })],
  [
    "an iat a year ago",
    ({ google, claims, now }) => google.sign(claims({ iat: now - 31_536_000 })),
  ],
  [
    "an iat four minutes ahead",
    ({ google, claims, now }) => google.sign(claims({ iat: now + 240 })),
  ],
  ["an iat with a fraction", ({ google, claims, now }) => google.sign(claims({ iat: now + 0.5 }))],
  ["a toe in the future", ({ google, claims, now }) => google.sign(claims({ toe: now + 1e6 }))],
  ["a toe that is none", claim({ toe: "then" })],
  ["a jti of 10 000 characters", claim({ jti: "j".repeat(10_000) })],
  ["a jti with slashes and dots", claim({ jti: "../users/1" })],
  ["further claims", claim({ txn: "8", sub: "somebody", nbf: 9e9, constructor: {} })],
  [
    "a subject with its issuer lacking the slash",
    withSubject({ iss: "https://accounts.google.com" }),
  ],
  [
    "a subject of ID token claims",
    withSubject({ subject_type: "id_token_claims", email: "x@y.z" }),
  ],
  ["a subject of a sort that has no name", withSubject({ subject_type: undefined })],
  [
    "the event under the other prefix",
    ({ google, claims, subject }) =>
      google.sign(claims({ events: { [EVENT.replace("risc", "oauth")]: { subject } } })),
  ],
  [
    "an unknown event beside it",
    ({ google, claims, subject }) =>
      google.sign(claims({ events: { "urn:something:new": {}, [EVENT]: { subject } } })),
  ],
  ["a line end behind it", ({ google, claims }) => `${google.sign(claims())}\r\n`],
  ...[
    "application/jwt",
    "text/plain",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
  ].map((type): Case => [
    `the content type ${type}`,
    ({ google, claims }) => ({ body: google.sign(claims()), headers: { "content-type": type } }),
  ]),
];

/** Genuine, and about an unknown account: accepted like any other, so that a caller learns nothing. */
const IGNORED: readonly Case[] = [
  ["an unknown account", withSubject({ sub: "999999999999999999999" })],
  ["a sub that is no id", withSubject({ sub: "../1" })],
  ["a sub that is a number", withSubject({ sub: 12 })],
  ["no sub", withSubject({ sub: undefined })],
  ["another issuer's account", withSubject({ iss: "https://accounts.example.com/" })],
  ["no issuer of the account", withSubject({ iss: undefined })],
  ["an address alone", events({ [EVENT]: { subject: { subject_type: "email", email: ADA } } })],
  ["an access token", withSubject({ token_type: "access_token", token_identifier_alg: "prefix" })],
  [
    "a token named in another way",
    withSubject({ token_type: "refresh_token", token_identifier_alg: "md5", token: "x" }),
  ],
  [
    "a hash that is too short",
    withSubject({
      token_type: "refresh_token",
      token_identifier_alg: "hash_base64_sha512_sha512",
      token: "AAAA",
    }),
  ],
  ["an unknown type alone", events({ "urn:something:new": { subject: null } })],
  ["a type below a known one", events({ [`${EVENT}/x`]: {} })],
  ["a type of another host", events({ [EVENT.replace("schemas", "evil")]: {} })],
];

describe("what is sent to securityEvent (E4)", () => {
  const google = openSigner();
  let scenario: Scenario;
  let given: Given;
  let serial = 0;

  beforeAll(async () => {
    scenario = await startScenario({
      emulator: { signer: google },
      env: { ...UNLIMITED, RISC_CLIENT_IDS: "android.apps.googleusercontent.com" },
    });
    await scenario.connect(ADA);
    scenario.clock.advance(HOUR_MS);
    // The keys are there, as they are in an instance that has received something.
    await post("warm", google.sign(given0().claims({ jti: "warm" })));
  });
  // Each case in a minute of its own: of more refusals a minute only the number is logged.
  beforeEach(() => scenario.clock.advance(MINUTE_MS));
  afterAll(() => scenario.close());

  function given0(): Given {
    const now = Math.floor(scenario.clock.now().getTime() / 1_000);
    const { id: sub } = scenario.stored(ADA);
    const subject = { subject_type: "iss-sub", iss: ISSUER, sub };
    const claims = (over: Record<string, unknown> = {}) => ({
      iss: ISSUER,
      aud: CLIENT,
      iat: now,
      jti: `jti-${serial}`,
      events: { [EVENT]: { subject } },
      ...over,
    });
    return { google, claims, now, subject };
  }

  beforeEach(async () => {
    serial += 1;
    scenario.clock.advance(2_000);
    const user = scenario.stored(ADA);
    await scenario.users.update(user, { signedOutAt: new Date(0) });
    scenario.logs.splice(0);
    given = given0();
  });

  async function post(path: string, body: string, headers?: Record<string, string>) {
    const response = await fetch(`${scenario.urls.securityEvent}/?${path}`, {
      method: "POST",
      body,
      headers: { "content-type": "application/secevent+jwt", ...headers },
    });
    return { response, text: await response.text() };
  }

  const sendCase = (make: Case[1]) => {
    const sent = make(given);
    const { body, headers } = typeof sent === "string" ? { body: sent, headers: {} } : sent;
    return post("", body, headers);
  };

  const stored = () => ({ users: scenario.users.dump(), seen: scenario.seenEvents.dump() });

  const refusals = Object.entries(REFUSED).flatMap(([err, cases]) =>
    cases.map(([name, make]) => [err, name, make] as const),
  );

  it("is tried in more than a hundred ways", () => {
    const cases = refusals.length + ACCEPTED.length + IGNORED.length;
    expect(cases).toBeGreaterThanOrEqual(110);
  });

  it.each(refusals)("is answered 400 %s: %s", async (err, _, make) => {
    const before = stored();
    const { writes } = scenario.users.operations;
    const { response, text } = await sendCase(make);
    expect(response.status).toBe(400);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("content-language")).toBe("en");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(JSON.parse(text)).toEqual({ err, description: expect.stringMatching(/^[a-z ']+$/) });
    // Nothing is written, not even what was refused.
    expect(stored()).toEqual(before);
    expect(scenario.users.operations.writes).toBe(writes);
    expect(scenario.logged("security_event_refused")).toHaveLength(1);
    expect(scenario.logs.join().length).toBeLessThan(1_000);
  });

  it.each(ACCEPTED)("is answered 202 and done: %s", async (_, make) => {
    const { response, text } = await sendCase(make);
    expect([response.status, text]).toEqual([202, ""]);
    expect(Number(scenario.stored(ADA).signedOutAt)).toBeGreaterThan(0);
    expect(scenario.logged("security_event_received")).toMatchObject([
      { did: ["sessions_ended"], userIds: [scenario.stored(ADA).id] },
    ]);
  });

  it.each(IGNORED)("is answered 202 and affects no user: %s", async (_, make) => {
    const before = scenario.users.dump();
    const { response, text } = await sendCase(make);
    expect([response.status, text]).toEqual([202, ""]);
    expect(scenario.users.dump()).toEqual(before);
    expect(scenario.logged("security_event_received")).toMatchObject([{ did: [], userIds: [] }]);
  });

  it("is answered 413 when it is larger than any token", async () => {
    const before = stored();
    const { response } = await sendCase(withHeader({ kid: "k".repeat(1_000_000) }));
    expect(response.status).toBe(413);
    expect(stored()).toEqual(before);
  });

  it("is answered 405 to another method, and 404 at another path", async () => {
    const at = async (path: string, method: string) => {
      const response = await fetch(`${scenario.urls.securityEvent}${path}`, { method });
      return [response.status, response.headers.get("allow")];
    };
    for (const method of ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      expect(await at("/", method)).toEqual([405, "POST"]);
    }
    expect(await at("/events", "POST")).toEqual([404, null]);
    expect(await at("/events", "GET")).toEqual([404, null]);
    expect(await at("//", "POST")).toEqual([400, null]);
  });
});

describe("Google's keys", () => {
  const google = openSigner();
  let scenario: Scenario;

  beforeEach(async () => {
    scenario = await startScenario({ emulator: { signer: google }, env: UNLIMITED });
    await scenario.connect(ADA);
    scenario.clock.advance(HOUR_MS);
    scenario.emulator.resetCalls();
  });
  afterEach(() => scenario.close());

  const good = () =>
    scenario.emulator.securityEvent({
      type: "risc/event-type/sessions-revoked",
      audience: CLIENT,
      account: ADA,
    });

  const post = async (body: string): Promise<number> => {
    const response = await fetch(scenario.urls.securityEvent, {
      method: "POST",
      body,
      headers: { "content-type": "application/secevent+jwt" },
    });
    await response.text();
    return response.status;
  };

  const fetches = () => ({
    discovery: scenario.emulator.countCalls("discovery"),
    certs: scenario.emulator.countCalls("certs"),
  });

  it("are fetched once while 2 000 tokens with made-up key ids arrive, and good ones still pass", async () => {
    const before = scenario.users.dump();
    const claims = JSON.parse(Buffer.from(parts(good())[1], "base64url").toString()) as Record<
      string,
      unknown
    >;
    const statuses = new Map<number, number>();
    for (let batch = 0; batch < 50; batch++) {
      const bodies = Array.from({ length: 40 }, (_, index) => {
        const header = encoded({ alg: "RS256", kid: `made-up-${batch}-${index}` });
        return `${header}.${encoded({ ...claims, jti: `${batch}-${index}` })}.${"A".repeat(342)}`;
      });
      for (const status of await Promise.all(bodies.map(post))) {
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    }
    expect([...statuses]).toEqual([[400, 2_000]]);
    expect(fetches()).toEqual({ discovery: 1, certs: 1 });
    expect(scenario.users.dump()).toEqual(before);
    expect(scenario.seenEvents.dump()).toEqual({});

    expect(await post(good())).toBe(202);
    expect(fetches()).toEqual({ discovery: 1, certs: 1 });
  }, 60_000);

  it("are not fetched for a token with another issuer or audience", async () => {
    expect(await post(good())).toBe(202);
    scenario.clock.advance(10 * HOUR_MS);
    scenario.emulator.resetCalls();
    expect(await post(google.sign({ iss: ISSUER, aud: "another", jti: "1" }))).toBe(400);
    expect(await post(google.sign({ iss: "https://example.com", aud: CLIENT, jti: "1" }))).toBe(
      400,
    );
    expect(fetches().certs).toBe(0);
  });

  it("that are new are found a minute after the last fetch, with one more", async () => {
    expect(await post(good())).toBe(202);
    scenario.emulator.rotateSigningKey();
    scenario.clock.advance(50_000);
    expect(await post(good())).toBe(400);
    expect(fetches().certs).toBe(1);
    scenario.clock.advance(15_000);
    expect(await Promise.all([post(good()), post(good()), post(good())])).toEqual([202, 202, 202]);
    expect(fetches()).toEqual({ discovery: 1, certs: 2 });
  });

  it("are cached for an hour, and then fetched again", async () => {
    expect(await post(good())).toBe(202);
    scenario.clock.advance(HOUR_MS - 1_000);
    expect(await post(good())).toBe(202);
    expect(fetches().certs).toBe(1);
    scenario.clock.advance(2_000);
    expect(await post(good())).toBe(202);
    expect(fetches()).toEqual({ discovery: 2, certs: 2 });
  });

  it.each(["discovery", "certs"] as const)(
    "that cannot be had (%s) are asked for every few seconds only, and so is the event",
    async (method) => {
      const token = good();
      scenario.emulator.faults.failNext({ method, status: 503, count: "all" });
      expect(await Promise.all([...Array(20)].map(() => post(token)))).toEqual(Array(20).fill(503));
      expect(await post(token)).toBe(503);
      expect(fetches()[method]).toBe(1);
      expect(scenario.seenEvents.dump()).toEqual({});
      // The others of that minute are counted, and not logged one by one.
      expect(scenario.logged("security_event_retry")).toHaveLength(10);

      scenario.emulator.faults.clear();
      scenario.clock.advance(6_000);
      expect(await post(token)).toBe(202);
    },
  );

  it("that are invalid count as unavailable", async () => {
    const bodies = ["<html>", { keys: "none" }, { keys: [{ kty: 1 }] }, null];
    for (const body of bodies) {
      scenario.emulator.faults.failNext({ method: "certs", status: 200, body });
      expect(await post(good())).toBe(503);
      scenario.clock.advance(6_000);
    }
    scenario.emulator.faults.failNext({
      method: "discovery",
      status: 200,
      body: { issuer: ISSUER, jwks_uri: "file:///etc/passwd" },
    });
    scenario.clock.advance(25 * HOUR_MS);
    expect(await post(good())).toBe(503);
    scenario.clock.advance(6_000);
    expect(await post(good())).toBe(202);
  });

  it("in the cache are used while Google does not answer", async () => {
    expect(await post(good())).toBe(202);
    scenario.emulator.faults.failNext({ method: "*", status: 503, count: "all" });
    scenario.clock.advance(HOUR_MS / 2);
    expect(await post(good())).toBe(202);
    // An id that is not among them could be new: that is for later.
    expect(await post(google.compact({ kid: "new" }, claimsOf(good())))).toBe(503);
    expect(await post(good())).toBe(202);
  });

  const claimsOf = (token: string): unknown =>
    JSON.parse(Buffer.from(parts(token)[1], "base64url").toString());
});
