import { createPublicKey, verify } from "node:crypto";
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  authUrl,
  connect,
  gmailClient,
  postToken,
  redeem,
  refresh,
  refusalOf,
} from "./application.ts";
import { DEFAULT_CLIENT, type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import { GMAIL_SCOPES } from "./scopes.ts";

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;

describe("the token endpoint", () => {
  let emulator: GmailEmulator;
  let now: number;

  beforeEach(async () => {
    now = Date.parse("2026-11-20T12:00:00Z");
    emulator = await startGmailEmulator({ now: () => now });
    emulator.createAccount({ email: ADA, name: "Ada", hostedDomain: "example.com" });
  });
  afterEach(() => emulator.close());

  const newCode = async (parameters: Record<string, string | undefined> = {}) => {
    const redirect = await emulator.consent(authUrl(emulator, parameters), { account: ADA });
    return new URL(redirect).searchParams.get("code") ?? "";
  };
  const revoke = (token: string) =>
    fetch(`${emulator.url}/revoke`, { method: "POST", body: new URLSearchParams({ token }) });

  it("accepts a code once, and only for ten minutes", async () => {
    const code = await newCode();
    expect(await redeem(emulator, code)).toMatchObject({
      status: 200,
      body: { token_type: "Bearer", expires_in: 3599 },
    });
    expect(await redeem(emulator, code)).toMatchObject({
      status: 400,
      body: { error: "invalid_grant" },
    });
    const late = await newCode({ prompt: "consent" });
    now += 10 * MINUTE_MS;
    expect(await redeem(emulator, late)).toMatchObject({ body: { error: "invalid_grant" } });
  });

  it("rejects a code with a wrong or missing verifier, or another redirect URI", async () => {
    const code = await newCode();
    expect(await redeem(emulator, code, { code_verifier: "another verifier" })).toEqual({
      status: 400,
      body: { error: "invalid_grant", error_description: "Invalid code verifier." },
    });
    expect(await redeem(emulator, code, { code_verifier: "" })).toEqual({
      status: 400,
      body: { error: "invalid_grant", error_description: "Missing code verifier." },
    });
    expect(await redeem(emulator, code, { redirect_uri: "http://127.0.0.1/" })).toMatchObject({
      status: 400,
      body: { error: "redirect_uri_mismatch" },
    });
  });

  it("rejects a code that it never issued, or issued to another client", async () => {
    expect(await redeem(emulator, "4/nonsense")).toEqual({
      status: 400,
      body: { error: "invalid_grant", error_description: "Malformed auth code." },
    });
    emulator.addClient({ clientId: "other", clientSecret: "other-secret", redirectUris: [] });
    const stolen = { client_id: "other", client_secret: "other-secret" };
    expect(await redeem(emulator, await newCode(), stolen)).toMatchObject({
      status: 400,
      body: { error: "invalid_grant" },
    });
  });

  it("signs ID tokens that verify with its published keys, before and after a rotation", async () => {
    // Fresh keys for each check: none may be known only from before.
    const check = (idToken: string) =>
      jwtVerify(idToken, createRemoteJWKSet(new URL(`${emulator.url}/oauth2/v3/certs`)), {
        issuer: "https://accounts.google.com",
        audience: DEFAULT_CLIENT.clientId,
        currentDate: new Date(now),
      });
    const { idToken } = await connect(emulator, ADA, { nonce: "nonce-1" });
    const { payload } = await check(idToken);
    expect(payload).toMatchObject({
      sub: emulator.account(ADA).sub,
      email: ADA,
      email_verified: true,
      azp: DEFAULT_CLIENT.clientId,
      nonce: "nonce-1",
      hd: "example.com",
    });

    emulator.rotateSigningKey();
    const rotated = await connect(emulator, ADA, { prompt: "consent" });
    await check(idToken);
    await check(rotated.idToken);
    expect(decodeProtectedHeader(rotated.idToken).kid).not.toBe(decodeProtectedHeader(idToken).kid);
  });

  it("serves its keys as PEM, too", async () => {
    const { idToken } = await connect(emulator, ADA);
    const response = await fetch(`${emulator.url}/oauth2/v1/certs`);
    const pems = (await response.json()) as Record<string, string>;
    const pem = pems[decodeProtectedHeader(idToken).kid ?? ""] ?? "";
    const [head, claims, signature = ""] = idToken.split(".");
    const input = Buffer.from(`${head}.${claims}`);
    const bytes = Buffer.from(signature, "base64url");
    expect(verify("RSA-SHA256", input, createPublicKey(pem), bytes)).toBe(true);
  });

  it("issues a refresh token for offline access the first time, then only after consent", async () => {
    expect((await connect(emulator, ADA, { access_type: "online" })).refreshToken).toBe("");
    expect((await connect(emulator, ADA)).refreshToken).not.toBe("");
    const silent = { login_hint: ADA };
    expect((await connect(emulator, ADA, silent)).refreshToken).toBe("");
    expect((await connect(emulator, ADA, { prompt: "consent" })).refreshToken).not.toBe("");
    emulator.revokeAccess(ADA);
    expect((await connect(emulator, ADA, silent)).refreshToken).not.toBe("");
  });

  it("adds earlier scopes only when asked to", async () => {
    await connect(emulator, ADA);
    const scope = `openid ${GMAIL_SCOPES.labels}`;
    const alone = await connect(emulator, ADA, { scope });
    expect(alone.scope).not.toContain(GMAIL_SCOPES.metadata);
    const both = await connect(emulator, ADA, { scope, include_granted_scopes: "true" });
    expect(both.scope).toContain(GMAIL_SCOPES.metadata);
    expect(both.scope).toContain(GMAIL_SCOPES.labels);
  });

  it("refreshes without a new refresh token, unless configured to rotate", async () => {
    const { refreshToken } = await connect(emulator, ADA);
    const plain = await refresh(emulator, refreshToken);
    expect(plain.status).toBe(200);
    expect(plain.body).not.toHaveProperty("refresh_token");

    emulator.settings.refreshTokenRotations = 1;
    const rotated = String((await refresh(emulator, refreshToken)).body["refresh_token"]);
    expect(await refresh(emulator, refreshToken)).toMatchObject({ status: 400 });
    expect((await refresh(emulator, rotated)).body).not.toHaveProperty("refresh_token");
  });

  it("rejects a wrong client, with any token", async () => {
    const { refreshToken } = await connect(emulator, ADA);
    emulator.setClientSecret(DEFAULT_CLIENT.clientId, "rotated in the console");
    expect(await refresh(emulator, refreshToken)).toEqual({
      status: 401,
      body: { error: "invalid_client", error_description: "Unauthorized" },
    });
    emulator.setClientSecret(DEFAULT_CLIENT.clientId, DEFAULT_CLIENT.clientSecret);
    emulator.setClientState(DEFAULT_CLIENT.clientId, "deleted");
    expect(await refresh(emulator, refreshToken)).toMatchObject({
      status: 401,
      body: { error: "deleted_client" },
    });
    emulator.setClientState(DEFAULT_CLIENT.clientId, "disabled");
    expect(await refresh(emulator, refreshToken)).toMatchObject({
      body: { error: "disabled_client" },
    });
    emulator.setClientState(DEFAULT_CLIENT.clientId, "enabled");
    expect(await refresh(emulator, refreshToken)).toMatchObject({ status: 200 });
  });

  it("accepts the client's credentials from the header, too", async () => {
    const { refreshToken } = await connect(emulator, ADA);
    const { clientId, clientSecret } = DEFAULT_CLIENT;
    const basic = Buffer.from(`${clientId}:${clientSecret}`).toString("base64");
    const response = await fetch(`${emulator.url}/token`, {
      method: "POST",
      headers: { authorization: `Basic ${basic}` },
      body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: refreshToken }),
    });
    expect(response.status).toBe(200);
  });

  it("rejects a refresh token of another client, and one that never existed", async () => {
    const { refreshToken } = await connect(emulator, ADA);
    emulator.addClient({ clientId: "other", clientSecret: "other-secret", redirectUris: [] });
    const form = {
      grant_type: "refresh_token",
      refresh_token: refreshToken,
      client_id: "other",
      client_secret: "other-secret",
    };
    expect(await postToken(emulator, form)).toMatchObject({
      status: 401,
      body: { error: "unauthorized_client" },
    });
    expect(await refresh(emulator, "1//nonsense")).toMatchObject({
      status: 400,
      body: { error: "invalid_grant" },
    });
  });

  it.each([
    ["no grant type", {}, "invalid_request"],
    ["another grant type", { grant_type: "password" }, "unsupported_grant_type"],
    ["no secret", { grant_type: "refresh_token", client_secret: "" }, "invalid_request"],
    ["no client", { grant_type: "refresh_token", client_id: "" }, "invalid_request"],
    ["no token", { grant_type: "refresh_token" }, "invalid_request"],
  ])("refuses a request with %s", async (_, form, error) => {
    expect(await postToken(emulator, form)).toMatchObject({ status: 400, body: { error } });
  });

  it("expires the oldest of more than a hundred refresh tokens silently", async () => {
    emulator.settings.refreshTokensMax = 2;
    const prompt = { prompt: "consent" };
    const first = await connect(emulator, ADA, prompt);
    const second = await connect(emulator, ADA, prompt);
    await connect(emulator, ADA, prompt);
    expect(await refresh(emulator, first.refreshToken)).toMatchObject({ status: 400 });
    expect(await refresh(emulator, second.refreshToken)).toMatchObject({ status: 200 });
  });

  it("ends the whole grant when either token is revoked, and accepts no dead token", async () => {
    const one = await connect(emulator, ADA);
    const two = await connect(emulator, ADA, { prompt: "consent" });
    expect((await revoke(one.accessToken)).status).toBe(200);
    expect(emulator.account(ADA).refreshTokens).toEqual([]);
    expect(await refresh(emulator, two.refreshToken)).toMatchObject({ status: 400 });
    const profile = gmailClient(emulator, two.accessToken).users.getProfile({ userId: "me" });
    expect(await refusalOf(profile)).toMatchObject({ status: 401, reason: "authError" });

    const again = await revoke(two.refreshToken);
    expect(again.status).toBe(400);
    expect(await again.json()).toMatchObject({ error: "invalid_token" });
  });

  it("expires the refresh tokens of a client in testing", async () => {
    const clientId = "testing";
    const redirectUris = ["http://127.0.0.1/testing"];
    emulator.addClient({
      clientId,
      clientSecret: "secret",
      redirectUris,
      refreshTokenMs: MINUTE_MS,
    });
    const client = { client_id: clientId, redirect_uri: "http://127.0.0.1/testing" };
    const form = { ...client, client_secret: "secret" };
    const { body } = await redeem(emulator, await newCode(client), form);
    expect(body["refresh_token_expires_in"]).toBe(60);
    const refreshing = {
      ...form,
      grant_type: "refresh_token",
      refresh_token: String(body["refresh_token"]),
    };
    expect((await postToken(emulator, refreshing)).status).toBe(200);
    now += MINUTE_MS;
    expect(await postToken(emulator, refreshing)).toMatchObject({
      body: { error: "invalid_grant" },
    });
  });

  it("lists every secret that it issued, and writes none into its call log or its state", async () => {
    const tokens = await connect(emulator, ADA);
    const code = await newCode();
    const issued = emulator.secretsIssued();
    const { accessToken, refreshToken, idToken } = tokens;
    const secrets = [accessToken, refreshToken, idToken, code, DEFAULT_CLIENT.clientSecret];
    for (const secret of secrets) expect(issued).toContain(secret);
    await refresh(emulator, refreshToken);
    const open = JSON.stringify([emulator.calls, emulator.accounts()]);
    for (const secret of issued) expect(open).not.toContain(secret);
  });

  it("describes itself with Google's issuer and its own URLs", async () => {
    const get = async (path: string): Promise<unknown> =>
      (await fetch(`${emulator.url}/.well-known/${path}`)).json();
    expect(await get("openid-configuration")).toMatchObject({
      issuer: "https://accounts.google.com",
      token_endpoint: `${emulator.url}/token`,
    });
    expect(await get("risc-configuration")).toEqual({
      issuer: "https://accounts.google.com/",
      jwks_uri: `${emulator.url}/oauth2/v3/certs`,
    });
  });
});
