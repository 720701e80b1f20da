import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { createLocalJWKSet, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { gmail } from "../../functions/subscriber/gmail.ts";
import { type Site, startSite } from "../browser/site.ts";
import { type GmailEmulator, startGmailEmulator } from "../gmail-emulator/emulator.ts";
import { LOCAL_ACCOUNT } from "../gmail-emulator/metadata-server.ts";

const SUBSCRIBER = path.resolve(import.meta.dirname, "../../functions/subscriber/gmail.ts");
/** A program that loads Google's library takes its time on a busy machine. */
const PROGRAM_TIMEOUT_MS = 120_000;
const MESSAGE = { id: "18b", labelIds: ["INBOX"], snippet: "Hello" };

describe("gmail", () => {
  let api: Site;
  let asked: { path: string; token: string }[];
  beforeEach(async () => {
    asked = [];
    api = await startSite();
    api.answer = (request) => {
      const { pathname, search } = new URL(request.url);
      const token = (request.headers.get("authorization") ?? "").replace("Bearer ", "");
      asked.push({ path: `${pathname}${search}`, token });
      return Response.json(MESSAGE);
    };
  });
  afterEach(() => api.close());

  it("calls Gmail's own paths for the user, with the ID token that is given", async () => {
    let tokens = 0;
    const idToken = () => Promise.resolve(`token-${(tokens += 1)}`);
    const { users } = await gmail("108", { url: api.origin, idToken });
    const { data } = await users.messages.get({ id: "18b", format: "full" });
    expect(data).toEqual(MESSAGE);
    await users.messages.list({ q: "is:unread", maxResults: 5 });
    await users.labels.list({ userId: "207" });
    expect(asked).toEqual([
      { path: "/gmail/v1/users/108/messages/18b?format=full", token: "token-1" },
      { path: "/gmail/v1/users/108/messages?q=is%3Aunread&maxResults=5", token: "token-1" },
      { path: "/gmail/v1/users/207/labels", token: "token-1" },
    ]);
  });

  it("takes the address with and without a slash at its end", async () => {
    const idToken = () => Promise.resolve("token");
    const { users } = await gmail("108", { url: `${api.origin}/`, idToken });
    await users.getProfile();
    expect(asked[0]?.path).toBe("/gmail/v1/users/108/profile");
  });

  describe("on Google's machines", () => {
    let google: GmailEmulator;
    let home: string;
    beforeEach(async () => {
      google = await startGmailEmulator();
      home = mkdtempSync(path.join(tmpdir(), "home-"));
    });
    afterEach(async () => {
      await google.close();
      rmSync(home, { recursive: true });
    });

    it(
      "has the metadata server make an ID token for the address",
      async () => {
        const program = `
        import { gmail } from ${JSON.stringify(SUBSCRIBER)};
        const { users } = await gmail("108", { url: ${JSON.stringify(api.origin)} });
        const { data } = await users.messages.get({ id: "18b" });
        console.log(data.snippet);
      `;
        const args = ["--import", "tsx", "--input-type", "module", "--eval", program];
        const { PATH } = process.env;
        const env = { PATH, HOME: home, GCE_METADATA_HOST: google.host };
        const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
        const output = text(child.stdout);
        expect(await once(child, "exit")).toEqual([0, null]);
        expect(await output).toBe("Hello\n");
        const keys = createLocalJWKSet(google.jwks() as Parameters<typeof createLocalJWKSet>[0]);
        const { payload } = await jwtVerify(asked[0]?.token ?? "", keys, { audience: api.origin });
        expect(payload).toMatchObject({ email: LOCAL_ACCOUNT, email_verified: true });
      },
      PROGRAM_TIMEOUT_MS,
    );
  });
});
