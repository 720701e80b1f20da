import { auth, gmail } from "googleapis/build/src/apis/gmail/index.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { REDIRECT_URI } from "./application.ts";
import { DEFAULT_CLIENT, type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import { GMAIL_SCOPES } from "./scopes.ts";

const ADA = "ada@example.com";

/** Google's own client library, told nothing but other addresses. */
describe("the client library against the emulator", () => {
  let emulator: GmailEmulator;
  let client: InstanceType<typeof auth.OAuth2>;

  beforeEach(async () => {
    emulator = await startGmailEmulator();
    emulator.createAccount({ email: ADA });
    const { clientId, clientSecret } = DEFAULT_CLIENT;
    client = new auth.OAuth2({
      clientId,
      clientSecret,
      redirectUri: REDIRECT_URI,
      endpoints: {
        oauth2AuthBaseUrl: `${emulator.url}/o/oauth2/v2/auth`,
        oauth2TokenUrl: `${emulator.url}/token`,
        oauth2RevokeUrl: `${emulator.url}/revoke`,
        oauth2FederatedSignonPemCertsUrl: `${emulator.url}/oauth2/v1/certs`,
        oauth2FederatedSignonJwkCertsUrl: `${emulator.url}/oauth2/v3/certs`,
      },
    });
  });
  afterEach(() => emulator.close());

  const authorize = async () => {
    const { codeVerifier, codeChallenge = "" } = await client.generateCodeVerifierAsync();
    const url = new URL(
      client.generateAuthUrl({
        access_type: "offline",
        scope: ["openid", "email", GMAIL_SCOPES.metadata],
        code_challenge: codeChallenge,
      }),
    );
    url.searchParams.set("code_challenge_method", "S256");
    const redirect = new URL(await emulator.consent(url.href, { account: ADA }));
    const code = redirect.searchParams.get("code") ?? "";
    const { tokens } = await client.getToken({ code, codeVerifier });
    client.setCredentials(tokens);
    return tokens;
  };

  it("gets tokens and verifies the ID token", async () => {
    const { id_token: idToken } = await authorize();
    const audience = DEFAULT_CLIENT.clientId;
    const ticket = await client.verifyIdToken({ idToken: idToken ?? "", audience });
    expect(ticket.getPayload()).toMatchObject({ email: ADA, sub: emulator.account(ADA).sub });
  });

  it("refreshes an expired access token, then reads the mailbox", async () => {
    const { refresh_token: refreshToken } = await authorize();
    emulator.resetCalls();
    client.setCredentials({ refresh_token: refreshToken ?? null });
    const mailbox = gmail({ version: "v1", auth: client, rootUrl: emulator.url });
    const { data } = await mailbox.users.getProfile({ userId: "me" });
    expect(data.emailAddress).toBe(ADA);
    expect(emulator.calls.map(({ method }) => method)).toEqual([
      "token.refresh",
      "users.getProfile",
    ]);
  });

  it("revokes with the token in the URL, as this library does", async () => {
    const { access_token: accessToken } = await authorize();
    await client.revokeToken(accessToken ?? "");
    expect(emulator.account(ADA).refreshTokens).toEqual([]);
  });
});
