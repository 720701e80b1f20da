import { auth, gmail } from "googleapis/build/src/apis/gmail/index.js";
import { SignJWT, importPKCS8 } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, gmailClient, refusalOf } from "./application.ts";
import { type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import { GMAIL_SCOPES } from "./scopes.ts";

const ADA = "ada@example.com";
const ROBOT = "robot@demo-gmail-push.iam.gserviceaccount.com";
const GOOGLE_TOKEN_URL = "https://oauth2.googleapis.com/token";
const { readonly, settingsBasic, settingsSharing } = GMAIL_SCOPES;

describe("a service account", () => {
  let emulator: GmailEmulator;
  let key: ReturnType<GmailEmulator["createServiceAccount"]>;

  beforeEach(async () => {
    emulator = await startGmailEmulator();
    emulator.createAccount({ email: ADA });
    key = emulator.createServiceAccount(ROBOT);
  });
  afterEach(() => emulator.close());

  /** The unmodified library, whose calls of Google's token endpoint go to the emulator. */
  function clientOf(subject: string, ...scopes: string[]) {
    const { client_email: email, private_key: privateKey } = key;
    const jwt = new auth.JWT({ email, key: privateKey, scopes, subject });
    jwt.transporter.interceptors.request.add({
      resolved: (request) => {
        if (request.url.href === GOOGLE_TOKEN_URL) request.url = new URL(key.token_uri);
        return Promise.resolve(request);
      },
    });
    return gmail({ version: "v1", auth: jwt, rootUrl: emulator.url, retry: false });
  }

  const profile = (subject: string, ...scopes: string[]) =>
    clientOf(subject, ...scopes).users.getProfile({ userId: "me" });

  it("acts for every person of a domain that delegates to it, with those scopes", async () => {
    emulator.delegateDomain(ROBOT, "example.com", [readonly]);
    emulator.createAccount({ email: "grace@example.com" });
    for (const email of [ADA, "grace@example.com"]) {
      const { data } = await profile(email, readonly);
      expect(data.emailAddress).toBe(email);
    }
    expect(emulator.calls.map(({ method, account }) => `${method} ${account}`)).toEqual([
      `token.assertion ${ADA}`,
      `users.getProfile ${ADA}`,
      "token.assertion grace@example.com",
      "users.getProfile grace@example.com",
    ]);
  });

  it("is refused what the domain has not delegated", async () => {
    await expect(profile(ADA, readonly)).rejects.toThrow("unauthorized_client");
    emulator.delegateDomain(ROBOT, "example.com", [readonly]);
    await expect(profile(ADA, readonly, settingsBasic)).rejects.toThrow("unauthorized_client");
    emulator.createAccount({ email: "eve@elsewhere.example" });
    await expect(profile("eve@elsewhere.example", readonly)).rejects.toThrow("unauthorized_client");
    await expect(profile("nobody@example.com", readonly)).rejects.toThrow(
      "Invalid email or User ID",
    );
  });

  it("changes the settings that a person's own grant cannot change", async () => {
    const scope = `openid email ${settingsSharing} ${settingsBasic}`;
    const person = gmailClient(emulator, (await connect(emulator, ADA, { scope })).accessToken);
    const added = { userId: "me", requestBody: { sendAsEmail: "sales@example.com" } };
    expect(await refusalOf(person.users.settings.sendAs.create(added))).toMatchObject({
      status: 403,
    });
    emulator.delegateDomain(ROBOT, "example.com", [settingsSharing]);
    await clientOf(ADA, settingsSharing).users.settings.sendAs.create(added);
    const { data } = await person.users.settings.sendAs.list({ userId: "me" });
    expect(data.sendAs?.map(({ sendAsEmail }) => sendAsEmail)).toEqual([ADA, "sales@example.com"]);
  });

  describe("has to sign as the token endpoint asks", () => {
    beforeEach(() => emulator.delegateDomain(ROBOT, "example.com", [readonly]));

    async function redeem(claims: Record<string, unknown>, signer = key): Promise<unknown> {
      const issuedAt = Math.floor(Date.now() / 1_000);
      const assertion = await new SignJWT({
        iss: ROBOT,
        sub: ADA,
        scope: readonly,
        aud: GOOGLE_TOKEN_URL,
        iat: issuedAt,
        exp: issuedAt + 3_600,
        ...claims,
      })
        .setProtectedHeader({ alg: "RS256" })
        .sign(await importPKCS8(signer.private_key, "RS256"));
      const response = await fetch(key.token_uri, {
        method: "POST",
        body: new URLSearchParams({
          grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
          assertion,
        }),
      });
      const body = (await response.json()) as Record<string, unknown>;
      return body["error_description"] ?? body["token_type"];
    }

    it("accepts an assertion for an hour, with the emulator's own address, too", async () => {
      expect(await redeem({})).toBe("Bearer");
      expect(await redeem({ aud: key.token_uri })).toBe("Bearer");
    });

    it.each([
      ["another issuer", { iss: "other@example.com" }, "Invalid grant: account not found"],
      ["another audience", { aud: "https://example.com/token" }, /audience/],
      ["more than an hour", { exp: Math.floor(Date.now() / 1_000) + 7_200 }, /short-lived/],
      ["a time long past", { iat: 1_000, exp: 4_600 }, /short-lived/],
      ["no scope", { scope: "" }, /Invalid OAuth scope/],
      ["nobody to act for", { sub: undefined }, "Invalid email or User ID"],
    ])("refuses %s", async (_, claims, problem) => {
      expect(await redeem(claims)).toMatch(problem);
    });

    it("refuses another account's signature", async () => {
      const other = emulator.createServiceAccount("other@example.com");
      expect(await redeem({}, other)).toBe("Invalid JWT Signature.");
    });
  });

  it("keeps its key and what was delegated to it in a saved state", async () => {
    emulator.delegateDomain(ROBOT, "example.com", [readonly]);
    const state = emulator.save();
    await emulator.close();
    emulator = await startGmailEmulator();
    emulator.load(state);
    key = { ...key, token_uri: `${emulator.url}/token` };
    expect((await profile(ADA, readonly)).data.emailAddress).toBe(ADA);
  });
});
