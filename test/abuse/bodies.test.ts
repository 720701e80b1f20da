import { once } from "node:events";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { FUNCTIONS, type FunctionName } from "../local/environment.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { sendRaw, written } from "./wire.ts";

/**
 * Goal: no function reads more of a body than it can use, no matter what the headers say; and every
 * delivery of Pub/Sub is acknowledged.
 */

const FORM = "content-type: application/x-www-form-urlencoded";
const JSON_TYPE = "content-type: application/json";
const GZIP = "content-encoding: gzip";
const CHUNKED = "transfer-encoding: chunked";
const LIMIT = 64 * 1024;
const KEEP = "connection: keep-alive";
/** The function that reads bodies as they come, and looks at the caller before it does. */
const limitOf = (name: FunctionName) => (name === "gmailApi" ? 32 * 1024 * 1024 : LIMIT);

let scenario: Scenario;
/** What waits for the time of a body to be over. */
const waiting = new Set<() => void>();

beforeAll(async () => {
  scenario = await startScenario({
    emulator: { push: { kind: "none" } },
    after: (_ms, run) => {
      waiting.add(run);
      return () => waiting.delete(run);
    },
  });
});
afterAll(() => scenario.close());

/** A request without `connection: close`, so that only the receiver can end the connection. */
function kept(requestLine: string, headers: readonly string[], body: string | Buffer = ""): Buffer {
  const lines = [`${requestLine} HTTP/1.1`, "host: 127.0.0.1", KEEP, ...headers];
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), Buffer.from(body)]);
}

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

/** Sends chunks for as long as anybody takes them; resolves to what came back. */
async function sendEndlessly(url: string, head: Buffer, isEnough: () => boolean): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let answer = "";
  socket.on("data", (data: Buffer) => (answer += data.toString("latin1")));
  socket.on("error", () => {});
  socket.write(head);
  const piece = chunk("a".repeat(16_384));
  while (!socket.destroyed && !isEnough()) {
    if (!socket.write(piece)) await once(socket, "drain").catch(() => {});
  }
  socket.destroy();
  return answer;
}

const HTTP_FUNCTIONS = FUNCTIONS.filter((name) => name !== "gmailNotification");

describe.each(HTTP_FUNCTIONS)("%s", (name: FunctionName) => {
  it.each(["POST", "GET", "HEAD", "PUT"])("refuses %s with an encoded body", async (method) => {
    const head = [GZIP, "content-length: 1000000"];
    const { status, text } = await sendRaw(scenario.urls[name], kept(`${method} /`, head));
    expect([status, text]).toEqual([415, expect.stringMatching(/^connection: close\r$/im)]);
  });

  it("rejects an encoded body that is sent in chunks", async () => {
    const body = chunk(gzipSync("a=b").toString("latin1"));
    const request = kept("POST /", [GZIP, CHUNKED, FORM], Buffer.from(body, "latin1"));
    expect((await sendRaw(scenario.urls[name], request)).status).toBe(415);
  });

  it("rejects a body that is declared too long before any of it arrives", async () => {
    const head = [`content-length: ${limitOf(name) + 1}`, FORM];
    const { status, text } = await sendRaw(scenario.urls[name], kept("POST /", head));
    expect([status, text]).toEqual([413, expect.stringMatching(/^connection: close\r$/im)]);
  });

  it("rejects it instead of answering 100 Continue", async () => {
    const head = [`content-length: ${limitOf(name) + 1}`, "expect: 100-continue"];
    const { text } = await sendRaw(scenario.urls[name], kept("POST /", head));
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("ends the connection of a client that sends chunks without end", async () => {
    const answer = await sendEndlessly(
      scenario.urls[name],
      kept("POST /", [CHUNKED, FORM]),
      () => false,
    );
    // The answer itself can be lost when the connection is reset.
    const status = name === "gmailApi" ? 401 : 413;
    expect(answer === "" || answer.startsWith(`HTTP/1.1 ${status} `)).toBe(true);
  });
});

describe("the pages", () => {
  it("accept a form of the maximum size, declared or in chunks", async () => {
    const form = `csrf=${"a".repeat(LIMIT - 5)}`;
    const { connect: url } = scenario.urls;
    // Read to its end, and then refused because the browser has no session.
    const declared = written("POST /disconnect", [FORM], form);
    const chunked = written("POST /disconnect", [FORM, CHUNKED], `${chunk(form)}0\r\n\r\n`);
    const tooLong = written("POST /disconnect", [FORM, CHUNKED], `${chunk(`${form}a`)}0\r\n\r\n`);
    const [one, other, third] = [declared, chunked, tooLong].map((bytes) => sendRaw(url, bytes));
    expect((await one)?.status).toBe(400);
    expect((await other)?.status).toBe(400);
    expect((await third)?.status).toBe(413);
  });

  it("answer 100 Continue for a body that is not too long", async () => {
    const head = [FORM, "expect: 100-continue", "connection: close"];
    const request = written("POST /disconnect", head, "csrf=a");
    const { text } = await sendRaw(scenario.publicUrl, request);
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 400 /);
  });

  it("answer pipelined requests in order", async () => {
    const first = kept("POST /disconnect", [FORM, "content-length: 6"], "csrf=a");
    const { text } = await sendRaw(
      scenario.publicUrl,
      Buffer.concat([first, written("GET /nowhere")]),
    );
    expect(text.match(/HTTP\/1\.1 \d{3}/g)).toEqual(["HTTP/1.1 400", "HTTP/1.1 404"]);
  });

  it("treat nothing after a rejected body as a request", async () => {
    const first = kept("POST /disconnect", [FORM, `content-length: ${LIMIT * 2}`]);
    const { text } = await sendRaw(
      scenario.publicUrl,
      Buffer.concat([first, written("GET /nowhere")]),
    );
    expect(text.match(/HTTP\/1\.1 \d{3}/g)).toEqual(["HTTP/1.1 413"]);
  });

  it("close the connection when a body does not end in time", async () => {
    await vi.waitFor(() => expect(waiting.size).toBe(0));
    const request = kept("POST /disconnect", [FORM, "content-length: 6"], "csrf");
    const answer = sendRaw(scenario.publicUrl, request);
    await vi.waitFor(() => expect(waiting.size).toBe(1));
    for (const run of waiting) run();
    const { status, text } = await answer;
    expect([status, text]).toEqual([408, expect.stringMatching(/^connection: close\r$/im)]);
    await vi.waitFor(() => expect(waiting.size).toBe(0));
  });
});

describe("gmailNotification acknowledges", () => {
  const HEAD = [
    "ce-id: 1",
    "ce-source: //pubsub.googleapis.com/a",
    "ce-specversion: 1.0",
    "ce-type: google.cloud.pubsub.topic.v1.messagePublished",
    JSON_TYPE,
  ];
  /** The largest message that Pub/Sub takes, as it is delivered. */
  const largest = JSON.stringify({
    message: { data: Buffer.alloc(10_000_000).toString("base64"), messageId: "1" },
    subscription: "projects/a/subscriptions/s",
  });

  it.each<[string, string[], () => string | Buffer]>([
    ["the largest message of Pub/Sub, by Eventarc", HEAD, () => largest],
    ["the largest message of Pub/Sub, pushed by itself", [JSON_TYPE], () => largest],
    [
      "the largest message of Pub/Sub, in chunks",
      [...HEAD, CHUNKED],
      () => `${chunk(largest)}0\r\n\r\n`,
    ],
    ["an encoded message, as Pub/Sub sends none", [...HEAD, GZIP], () => gzipSync(largest)],
  ])("%s", async (_, head, body) => {
    const before = scenario.logged("notification_malformed").length;
    const { gmailNotification } = scenario.urls;
    const { status } = await sendRaw(gmailNotification, written("POST /", head, body()));
    expect(status).toBe(204);
    expect(scenario.logged("notification_malformed")).toHaveLength(before + 1);
  });
});

it("gmailNotification ends the connection of another method whose body it did not read", async () => {
  const request = kept("PUT /", [GZIP, "content-length: 1000000"]);
  const { status, text } = await sendRaw(scenario.urls.gmailNotification, request);
  expect([status, text]).toEqual([405, expect.stringMatching(/^connection: close\r$/im)]);
});
