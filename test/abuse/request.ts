import assert from "node:assert/strict";
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { Writable } from "node:stream";
import { getFunction } from "@google-cloud/functions-framework/testing";
import { findSecret } from "./canaries.ts";

/** A request as Node's parser and the functions-framework hand it to a function. */
export interface PlainRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: Buffer;
}

export interface PlainAnswer {
  status: number;
  headers: Headers;
  /** As they stand on the wire, the status line among them. */
  head: string;
  body: string;
}

type Served = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Calls a registered HTTP function with Node's own request and response, without a connection. */
export async function send(name: string, plain: PlainRequest): Promise<PlainAnswer> {
  const { method, url, headers, body } = plain;
  const socket = new Socket();
  const request = Object.assign(new IncomingMessage(socket), { method, url, headers });
  const rawBody = body === undefined || body.length === 0 ? {} : { rawBody: body };
  const response = new ServerResponse(request);
  const chunks: Buffer[] = [];
  const wire = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  response.assignSocket(wire as Socket);
  await (getFunction(name) as unknown as Served)(Object.assign(request, rawBody), response);
  socket.destroy();
  return parseAnswer(Buffer.concat(chunks).toString("latin1"), method);
}

/** Pushes JSON or bytes to `gmailNotification`: 204 acknowledges them, 500 has them delivered again. */
export async function push(data: unknown): Promise<204 | 500> {
  const body = data instanceof Uint8Array ? data : (JSON.stringify(data) ?? "");
  const pushed = { method: "POST", url: "/", headers: {}, body: Buffer.from(body) };
  const answer = await send("gmailNotification", pushed);
  expectSafe(answer, [204, 500]);
  return answer.status as 204 | 500;
}

/** Reads a response off the wire: bytes beyond its length would belong to another response. */
function parseAnswer(text: string, method: string): PlainAnswer {
  const end = text.indexOf("\r\n\r\n");
  const head = text.slice(0, end);
  const body = text.slice(end + 4);
  const [statusLine = "", ...lines] = head.split("\r\n");
  const headers = new Headers();
  for (const line of lines) {
    const [name = "", ...value] = line.split(": ");
    headers.append(name, value.join(": "));
  }
  const status = Number(statusLine.split(" ")[1]);
  const length = headers.get("content-length");
  // RFC 9110 §8.6: none with a 204; to a HEAD, that of the body which a GET would bring.
  if (status === 204) assert.equal(length, null);
  else if (method !== "HEAD") assert.equal(length, String(body.length));
  return { status, headers, head, body };
}

/** The one body of each status that is not a page. */
const BODIES: Readonly<Record<number, string>> = {
  400: '{"error":"bad request"}',
  403: '{"error":"forbidden"}',
  404: '{"error":"not found"}',
  405: '{"error":"method not allowed"}',
  413: '{"error":"too large"}',
  415: '{"error":"unsupported media type"}',
  500: '{"error":"something went wrong"}',
  503: '{"error":"try again later"}',
};

/**
 * What holds for every response to the outside, no matter what was asked: a status of the entry, its fixed body
 * or a page, the headers that keep it from being cached or sniffed, and no secret.
 */
export function expectSafe(answer: PlainAnswer, statuses: readonly number[]): void {
  const { status, headers, head, body } = answer;
  // Some forty thousand times: `assert`, since an `expect` costs more than the request itself.
  assert(statuses.includes(status), `status ${status}`);
  assert.equal(findSecret(head), undefined);
  assert.equal(findSecret(body), undefined);
  if (status === 204) return assert.equal(body, "");
  assert.equal(headers.get("cache-control"), "no-store");
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  const isPage = headers.get("content-type") === "text/html; charset=utf-8";
  if (isPage) {
    assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'; /);
    assert.equal(headers.get("referrer-policy"), "no-referrer");
    assert(!body.includes("<script"), body);
  } else if (status === 303) {
    assert.equal(body, "");
  } else {
    assert.equal(headers.get("content-type"), "application/json");
    // A HEAD has no body.
    assert(body === BODIES[status] || body === "", body);
  }
}

/** What Node's HTTP parser lets through of a text: it refuses the rest before anybody sees it. */
export const asHeader = (text: string) => text.replace(/[^\t\x20-\x7e\x80-\xff]/g, "").trim();
export const asTarget = (text: string) => text.replace(/[^\x21-\x7e\x80-\xff]/g, "") || "/";
