import assert from "node:assert/strict";
import { inspect } from "node:util";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { findSecret } from "./canaries.ts";
import { fieldReplaced } from "./connect-requests.ts";
import { anyJson } from "./inputs.ts";
import { EVENTS, PAGES } from "./served-cases.ts";
import { type Subject, startSubject } from "./subject.ts";
import { type WireAnswer, sendRaw, written } from "./wire.ts";

/**
 * Goal: over real connections too, where Node and the functions-framework answer before we are
 * asked, a stranger sees no stack, no version and no secret, and nothing happens.
 */

const BODY_CHARACTERS_MAX = 5_000;

let subject: Subject;
/** Where Express and the framework tell what they could not read. */
const printed = vi.spyOn(console, "error").mockImplementation(() => {});

beforeAll(async () => {
  // As the buildpack of Cloud Functions sets it: without it Express shows a stack to the client.
  process.env["NODE_ENV"] = "production";
  subject = await startSubject({ RETURN_TO_URLS: "https://app.example.com/done" });
  await subject.connect("ada@example.com");
  subject.takeLogs();
});
afterAll(async () => {
  assert.equal(findSecret(inspect(printed.mock.calls, { depth: 5 })), undefined);
  await subject.close();
});

async function check(name: keyof Subject["urls"], bytes: Buffer): Promise<WireAnswer> {
  const effects = subject.watch();
  const answer = await sendRaw(subject.urls[name], bytes);
  expect(effects()).toEqual({ writes: 0, published: 0, calls: [] });
  expect(findSecret(answer.text)).toBeUndefined();
  const { publicUrl } = subject;
  const [location = ""] = /(?<=^location: ).*/im.exec(answer.text) ?? [];
  const isOwn = location.startsWith(publicUrl);
  assert(!isOwn || location === `${publicUrl}/refused/session_lost`, location);
  expect(answer.text).not.toMatch(/node_modules|\.ts:\d|\.js:\d|x-powered-by|express/i);
  expect(subject.takeLogs().filter(({ event }) => event === "request_failed")).toEqual([]);
  return answer;
}

describe("over a connection", () => {
  it.each(PAGES)("the pages answer %s with %d", async (_, status, bytes) => {
    expect((await check("connect", bytes)).status).toBe(status);
  });

  it.each(EVENTS)("answers an event %s with %d", async (_, status, bytes) => {
    expect((await check("gmailNotification", bytes)).status).toBe(status);
  });

  it("the pages answer 500 generated requests", async () => {
    const path = fc.constantFrom("/", "/start", "/callback?state=a&code=b", "/reauthorize/a");
    const header = fc.tuple(fc.stringMatching(/^[a-z-]{1,20}$/), fc.string({ maxLength: 200 }));
    const body = fc.oneof(
      anyJson.map((one) => JSON.stringify(one)),
      fc.string(),
    );
    const request = fc.tuple(path, fieldReplaced, header, body);
    await fc.assert(
      fc.asyncProperty(request, async ([url, change, [name, value], content]) => {
        const made = change({ method: "GET", url, headers: {} });
        // What is still to come is waited for: that has tests of its own.
        const sent = Buffer.byteLength(content.slice(0, BODY_CHARACTERS_MAX));
        fc.pre(!(Number(made.headers["content-length"]) > sent));
        const headers = Object.entries({ ...made.headers, [`x-${name}`]: value });
        const lines = headers.map(([one, text]) => `${one}: ${text}`);
        const bytes = written(
          `${made.method} ${made.url}`,
          lines,
          content.slice(0, BODY_CHARACTERS_MAX),
        );
        const { status } = await check("connect", bytes);
        expect([0, 200, 303, 400, 404, 405, 410, 413, 415, 431]).toContain(status);
      }),
      { numRuns: 500 },
    );
  });
});
