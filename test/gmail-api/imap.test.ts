import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { authUrl, redeem } from "../gmail-emulator/application.ts";
import { GMAIL_SCOPES } from "../gmail-emulator/scopes.ts";
import { type Emulator, isHad, startEmulator } from "../support/emulator-source.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { call } from "./calls.ts";
import { findImapServer } from "./imap-server.ts";

/**
 * Goal: an access token of the group `token` signs in to an IMAP server, as the subscribers need who
 * read mail over IMAP. The server is Dovecot, the client the one of Python's standard library.
 */

const ADA = "ada@example.com";
const BOB = "bob@example.com";

/** Signs in with XOAUTH2 (Gmail, "IMAP, POP, and SMTP"), adds a message and reads it. */
const CLIENT = `
import imaplib, sys
host, user, token = sys.argv[1:]
name, port = host.split(":")
client = imaplib.IMAP4(name, int(port))
try:
    client.authenticate("XOAUTH2", lambda _: f"user={user}\\x01auth=Bearer {token}\\x01\\x01".encode())
except imaplib.IMAP4.error as error:
    print("rejected:", error)
else:
    client.append("INBOX", None, None, b"Subject: Help\\r\\n\\r\\nIt broke.")
    client.select("INBOX", readonly=True)
    _, found = client.fetch("1", "(BODY[HEADER.FIELDS (SUBJECT)])")
    print(found[0][1].decode().strip())
client.shutdown()
`;

let scenario: Scenario;
const server = findImapServer(() => `${scenario.emulator.url}/tokeninfo`);

describe.skipIf(!isHad(server))("an IMAP server", () => {
  let imap: Emulator;
  beforeAll(async () => {
    const env = { GMAIL_SCOPES: "mail.google.com", GMAIL_API_METHODS: "read,token" };
    scenario = await startScenario({ env });
    await scenario.connect(ADA);
    imap = await startEmulator(server);
  });
  afterAll(async () => {
    await imap?.stop();
    await scenario.close();
  });

  async function fetchToken(email: string): Promise<string> {
    const path = `/users/${scenario.stored(email).id}/access-token`;
    return JSON.parse((await call(scenario, path, { method: "POST" })).body).accessToken;
  }
  async function signIn(user: string, token: string): Promise<string> {
    const args = ["-c", CLIENT, imap.host, user, token];
    return (await promisify(execFile)("python3", args)).stdout.trim();
  }
  const REJECTED = "rejected: [AUTHENTICATIONFAILED] Authentication failed.";

  it("lets a subscriber sign in, and read mail, with a token that gmailApi hands out", async () => {
    expect(await signIn(ADA, await fetchToken(ADA))).toBe("Subject: Help");
  });

  it("accepts the token for the person's own address only", async () => {
    await scenario.connect(BOB);
    expect(await signIn(BOB, await fetchToken(ADA))).toBe(REJECTED);
  });

  it("accepts a new token when the one before has expired", async () => {
    const old = await fetchToken(ADA);
    scenario.emulator.expireAccessTokens(ADA);
    expect(await signIn(ADA, old)).toBe(REJECTED);
    scenario.clock.advance(3_600_000);
    expect(await signIn(ADA, await fetchToken(ADA))).toBe("Subject: Help");
  });

  it("rejects a token without the scope for IMAP", async () => {
    const { emulator, publicUrl } = scenario;
    const redirect_uri = `${publicUrl}/callback`;
    const scope = `openid email ${GMAIL_SCOPES.modify}`;
    const url = await emulator.consent(authUrl(emulator, { scope, redirect_uri }), {
      account: ADA,
    });
    const code = new URL(url).searchParams.get("code") ?? "";
    const { body } = await redeem(emulator, code, { redirect_uri });
    expect(body).toMatchObject({ scope: expect.not.stringContaining(GMAIL_SCOPES.full) });
    expect(await signIn(ADA, String(body["access_token"]))).toBe(REJECTED);
  });
});
