import { createLocalJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import { LOCAL_ACCOUNT } from "./metadata-server.ts";

const IDENTITY = "/computeMetadata/v1/instance/service-accounts/default/identity";
const FLAVOR = { "metadata-flavor": "Google" };

describe("the metadata server", () => {
  let emulator: GmailEmulator;
  beforeAll(async () => {
    emulator = await startGmailEmulator();
  });
  afterAll(() => emulator.close());

  const ask = (path: string, headers: Record<string, string> = FLAVOR) =>
    fetch(`${emulator.url}${path}`, { headers });

  it("signs an ID token for the audience with Google's key", async () => {
    const response = await ask(`${IDENTITY}?audience=https://gmailapi.example`);
    expect(response.headers.get("metadata-flavor")).toBe("Google");
    const keys = createLocalJWKSet(emulator.jwks() as Parameters<typeof createLocalJWKSet>[0]);
    const { payload } = await jwtVerify(await response.text(), keys, {
      audience: "https://gmailapi.example",
      issuer: "https://accounts.google.com",
    });
    expect(payload).toMatchObject({ email: LOCAL_ACCOUNT, email_verified: true });
  });

  it("answers nothing without the header that a browser does not send", async () => {
    for (const path of ["/computeMetadata/v1/instance", `${IDENTITY}?audience=a`]) {
      expect((await ask(path, {})).status).toBe(403);
    }
    expect((await ask("/computeMetadata/v1/instance")).status).toBe(200);
  });

  it("signs nothing without an audience", async () => {
    expect((await ask(IDENTITY)).status).toBe(400);
  });
});
