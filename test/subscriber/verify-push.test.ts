import { type JWTPayload, SignJWT, exportJWK, generateKeyPair } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { verifyPush } from "../../functions/subscriber/verify-push.ts";
import { type Site, startSite } from "../browser/site.ts";

const AUDIENCE = "https://helpdesk.example.com/changes";
const ACCOUNT = "pubsub-push@my-project.iam.gserviceaccount.com";
const NOW = new Date("2026-11-20T12:00:00.000Z");
const HOUR_S = 3_600;

let site: Site;
let google: CryptoKeyPair;
let stranger: CryptoKeyPair;
let fetched: number;
let paths = 0;
let certsUrl: string;

type CryptoKeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

beforeAll(async () => {
  site = await startSite();
  [google, stranger] = [await generateKeyPair("RS256"), await generateKeyPair("RS256")];
});
afterAll(() => site.close());
beforeEach(async () => {
  fetched = 0;
  paths += 1;
  // Keys are kept by address: each test has one of its own.
  certsUrl = `${site.origin}/certs/${paths}`;
  const key = { ...(await exportJWK(google.publicKey)), kid: "1", alg: "RS256", use: "sig" };
  site.answer = () => {
    fetched += 1;
    return Response.json({ keys: [key] });
  };
});

const claims = (own: JWTPayload = {}): JWTPayload => ({
  iss: "https://accounts.google.com",
  aud: AUDIENCE,
  azp: "1234567890",
  sub: "1234567890",
  email: ACCOUNT,
  email_verified: true,
  iat: NOW.getTime() / 1_000,
  exp: NOW.getTime() / 1_000 + HOUR_S,
  ...own,
});

const sign = (payload: JWTPayload, key = google.privateKey, kid = "1") =>
  new SignJWT(payload).setProtectedHeader({ alg: "RS256", kid, typ: "JWT" }).sign(key);

const verify = (headers: Parameters<typeof verifyPush>[0]["headers"], now = NOW) =>
  verifyPush({ headers }, { audience: AUDIENCE, serviceAccount: ACCOUNT, certsUrl, now });

const bearer = async (payload: JWTPayload) => ({ authorization: `Bearer ${await sign(payload)}` });

describe("verifyPush", () => {
  it("takes a token that Google signed for this subscription, in any kind of request", async () => {
    const { authorization } = await bearer(claims());
    expect(await verify({ authorization })).toEqual({ kind: "verified" });
    expect(await verify({ Authorization: authorization })).toEqual({ kind: "verified" });
    expect(await verify(new Headers({ authorization }))).toEqual({ kind: "verified" });
  });

  it("fetches the keys once for many requests", async () => {
    const headers = await bearer(claims());
    for (let request = 0; request < 20; request += 1) await verify(headers);
    expect(fetched).toBe(1);
  });

  it.each([
    ["of another audience", { aud: "https://other.example.com" }],
    ["without an audience", { aud: undefined }],
    ["of another service account", { email: "other@my-project.iam.gserviceaccount.com" }],
    ["that names no account", { email: undefined }],
    ["whose account is not verified", { email_verified: false }],
    ["whose account is verified in words only", { email_verified: "true" }],
    ["of another issuer", { iss: "https://accounts.example.com" }],
    ["that has expired", { exp: NOW.getTime() / 1_000 - 60 }],
    ["that never expires", { exp: undefined }],
    ["that is not valid yet", { nbf: NOW.getTime() / 1_000 + 600 }],
  ])("refuses a token %s", async (_, own) => {
    const payload = Object.fromEntries(
      Object.entries(claims(own as JWTPayload)).filter(([, value]) => value !== undefined),
    );
    expect((await verify(await bearer(payload))).kind).toBe("refused");
  });

  it("rejects a token that another key signed, with any key id", async () => {
    for (const kid of ["1", "2"]) {
      const token = await sign(claims(), stranger.privateKey, kid);
      expect((await verify({ authorization: `Bearer ${token}` })).kind).toBe("refused");
    }
  });

  it("refuses what is no signed token at all", async () => {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const unsigned = `${encode({ alg: "none" })}.${encode(claims())}.`;
    for (const authorization of ["", "Basic YTpi", "Bearer ", "Bearer x", `Bearer ${unsigned}`]) {
      expect((await verify({ authorization })).kind).toBe("refused");
    }
    expect((await verify({})).kind).toBe("refused");
    expect(fetched).toBe(0);
  });

  it("does not blame the request when the keys cannot be fetched", async () => {
    site.answer = () => new Response("no", { status: 500 });
    const headers = await bearer(claims());
    expect(await verify(headers)).toMatchObject({ kind: "unavailable" });
    site.answer = () => new Response("no keys");
    expect(await verify(headers)).toMatchObject({ kind: "unavailable" });
  });
});
