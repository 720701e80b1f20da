import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LocalStack, startLocalStack } from "./stack.ts";
import { memoryTopic } from "../support/memory-topic.ts";
import { memoryUsers } from "../support/memory-users.ts";
import { movableClock } from "../support/scenario.ts";

/** Goal: a page of the web neither reads from the servers for development nor has them act. */

let stack: LocalStack;

beforeAll(async () => {
  const clock = movableClock();
  const { publish } = memoryTopic(clock.now);
  stack = await startLocalStack({ users: memoryUsers(), publish, clock });
});
afterAll(() => stack.close());

/** `fetch` sets both headers itself. */
function ask(
  url: string,
  method: string,
  headers: Record<string, string>,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on("error", reject).end();
  });
}

const FOREIGN_HOSTS = ["rebound.example.com", "127.0.0.1.example.com:80", "localhost.example.com"];
const OWN_HOSTS = ["localhost", "127.0.0.1:1", "app.localhost:3000", "[::1]:8080"];
const FOREIGN_ORIGINS = ["https://example.com", "null", "http://localhost.example.com", "x"];

describe("the Gmail emulator", () => {
  it.each([
    "/emulator/state",
    "/o/oauth2/v2/auth",
    "/oauth2/v3/certs",
    "/gmail/v1/users/me/profile",
  ])("shows %s under no name but loopback's", async (path) => {
    const url = `${stack.emulator.url}${path}`;
    for (const host of FOREIGN_HOSTS) expect((await ask(url, "GET", { host })).status).toBe(403);
    for (const host of OWN_HOSTS) expect((await ask(url, "GET", { host })).status).not.toBe(403);
  });

  it.each(["/emulator/reset", "/token", "/o/oauth2/v2/auth"])(
    "does nothing at %s for a page of the web",
    async (path) => {
      for (const origin of FOREIGN_ORIGINS) {
        const { status, text } = await ask(`${stack.emulator.url}${path}`, "POST", { origin });
        expect([status, text]).toEqual([403, '{"error":"only pages on loopback may do this"}']);
      }
    },
  );
});

describe.each(["watchRenewal", "mailboxReconciliation", "gmailNotification"] as const)(
  "%s, as the local stack serves it",
  (name) => {
    it("ignores requests of web pages", async () => {
      for (const origin of FOREIGN_ORIGINS) {
        expect((await ask(stack.urls[name], "POST", { origin })).status).toBe(403);
      }
      for (const host of FOREIGN_HOSTS) {
        expect((await ask(stack.urls[name], "POST", { host })).status).toBe(403);
      }
    });

    it("serves requests of this machine", async () => {
      expect((await ask(stack.urls[name], "POST", {})).status).not.toBe(403);
      const origin = "http://localhost:3000";
      expect((await ask(stack.urls[name], "POST", { origin })).status).not.toBe(403);
    });
  },
);
