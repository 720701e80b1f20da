import assert from "node:assert/strict";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { byteChanged, fieldReplaced } from "./connect-requests.ts";
import { holdsForAll } from "./entry.ts";
import { rawBytes } from "./inputs.ts";
import { type PlainRequest, asHeader, asTarget, expectSafe, send } from "./request.ts";
import { type Subject, startSubject } from "./subject.ts";

/**
 * Goal: the functions of the schedules do their one job at `POST /` and nothing at any other
 * request, no matter what it says, and a run that failed is answered so that it is repeated.
 */

const NAMES = ["watchRenewal", "mailboxReconciliation"] as const;
const STATUSES = [204, 400, 404, 405, 413];
/** As Cloud Scheduler sends it. */
const POST: PlainRequest = {
  method: "POST",
  url: "/",
  headers: { "content-type": "application/octet-stream", "user-agent": "Google-Cloud-Scheduler" },
};

let subject: Subject;

beforeAll(async () => {
  subject = await startSubject();
  await subject.connect("ada@example.com");
  await subject.runSchedule("mailboxReconciliation");
  subject.takeLogs();
});
afterAll(() => subject.close());

async function check(name: string, request: PlainRequest): Promise<number> {
  const { reads } = subject.users.operations;
  const effects = subject.watch();
  const answer = await send(name, request);
  expectSafe(answer, STATUSES);
  // No user is due: a run costs its queries, and everything else costs nothing.
  expect(effects()).toEqual({ writes: 0, published: 0, calls: [] });
  const isRun = subject.users.operations.reads > reads;
  expect(isRun).toBe(answer.status === 204);
  assert(!isRun || request.method === "POST");
  const due = name === "watchRenewal" ? "watches_renewed" : "mailboxes_reconciled";
  expect(subject.takeLogs().map(({ event }) => event)).toEqual(isRun ? [due] : []);
  return answer.status;
}

const CASES: readonly [string, number, Partial<PlainRequest>][] = [
  ["the schedule's own", 204, {}],
  ["one with a body that says otherwise", 204, { body: Buffer.from('{"user":"*","force":true}') }],
  ["one with a query", 204, { url: "/?user=ada@example.com&limit=1000000" }],
  ["one without a path", 204, { url: "" }],
  ["one with an unreadable trace", 204, { headers: { traceparent: "00-x", host: "evil.example" } }],
  ["a GET", 405, { method: "GET" }],
  ["a HEAD", 405, { method: "HEAD" }],
  ["a PUT", 405, { method: "PUT" }],
  ["an OPTIONS", 405, { method: "OPTIONS" }],
  ["a TRACE", 400, { method: "TRACE" }],
  [
    "a GET that claims to be a POST",
    405,
    { method: "GET", headers: { "x-http-method-override": "POST" } },
  ],
  ["another path", 404, { url: "/run" }],
  ["another path, encoded", 404, { url: "/%2e%2e%2f" }],
  ["an absolute address", 404, { url: "http://evil.example.com/" }],
  ["the other function's name", 404, { url: "/connect" }],
  ["a GET of another path", 404, { method: "GET", url: "/run" }],
  ["1 MB", 413, { body: Buffer.alloc(1_048_576) }],
  ["one byte too many", 413, { body: Buffer.alloc(65_537) }],
];

describe.each(NAMES)("%s", (name) => {
  it.each(CASES)("answers %s with %d", async (_, status, request) => {
    expect(await check(name, { ...POST, ...request })).toBe(status);
  });

  it.each([
    ["the store does not answer", { code: 14 }, "the store did not answer", "Error (14)"],
    ["our own code fails", {}, "an unexpected error", "Error"],
  ])("answers 500, and runs again, when %s", async (_, own, cause, error) => {
    const { listDue } = subject.users;
    const failure = Object.assign(new Error("ya29.a0ofsomebody00000"), own);
    subject.users.listDue = () => Promise.reject(failure);
    const answer = await send(name, POST);
    subject.users.listDue = listDue;
    expectSafe(answer, [500]);
    expect(subject.takeLogs()).toMatchObject([
      { event: "request_failed", message: `a request failed: ${cause}`, error },
    ]);
    expect(await check(name, POST)).toBe(204);
  });

  it("tolerates a run that overlaps another", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(name, POST)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));
    subject.takeLogs();
  });
});

describe("a request to either", () => {
  const name = fc.constantFrom(...NAMES);
  const valid = fc
    .record({ query: fc.dictionary(fc.string(), fc.string()), body: rawBytes })
    .map(({ query, body }) => {
      const url = `/?${new URLSearchParams(query).toString()}`;
      return { ...POST, url, body };
    });
  const difference = fc.integer({ min: 1, max: 255 });

  holdsForAll<[string, PlainRequest]>(
    {
      valid: fc.tuple(name, valid),
      oneFieldReplaced: fc.tuple(
        name,
        fc.tuple(valid, fieldReplaced).map(([request, change]) => change(request)),
      ),
      oneByteChanged: fc.tuple(
        name,
        fc
          .tuple(valid, fc.nat(), difference)
          .map(([request, at, by]) => byteChanged(request, at, by)),
      ),
      rawBytes: fc.tuple(
        name,
        fc.tuple(fc.constantFrom("GET", "POST"), rawBytes, rawBytes, rawBytes).map((parts) => {
          const [method, url, header, body] = parts;
          const headers = { "content-type": asHeader(header.toString("latin1")) };
          return { method, url: asTarget(url.toString("latin1")), headers, body };
        }),
      ),
    },
    async ([its, request], kind) => {
      const status = await check(its, request);
      assert(kind !== "valid" || status === 204);
    },
  );
});
