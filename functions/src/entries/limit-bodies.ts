import { subscribe } from "node:diagnostics_channel";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { After } from "../domain/clock.ts";
import { BODY_BYTES_MAX, type BodyRefusal, type ExpressRequest } from "../platform/http.ts";

/** From the headers of a request to the end of its body; no accepted body takes a second. */
const BODY_MS_MAX = 10_000;

/** Cloud Run's limit for an HTTP/1 server, and so the limit of a body that is left to its function. */
const UNREAD_BYTES_MAX = 32 * 1024 * 1024;

/** Replaces a body that was not read, for `gmailNotification`: a message without data. */
const UNREAD_BODY = '{"message":{}}';

/**
 * Bounds the body of every request before anything parses it, in every HTTP server here.
 * The functions-framework inflates and buffers up to 1 GiB, and it makes its server after it has
 * loaded our entry: Node's diagnostics channel is where we see that server, before its first request.
 */
export function limitBodies(after: After, reading: Reading = "held"): void {
  const limited = new WeakSet<Server>();
  subscribe("http.server.request.start", (message) => {
    const { server } = message as { server: Server };
    if (limited.has(server)) return;
    limited.add(server);
    limitBodiesOf(server, after, reading);
  });
}

/** Whether a body is held until it is complete, then parsed or not, or left to the function, which streams it. */
export type Reading = "held" | "raw" | "left";

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Puts the limits in front of the request handlers of one server:
 *
 * - A body with any `Content-Encoding`, or longer than {@link BODY_BYTES_MAX}, is not read. The
 *   request goes on without it, marked with the status to refuse it by. `gmailNotification` does not
 *   refuse it: every message of Pub/Sub has to be acknowledged, or it is redelivered for ever.
 * - A body that is not there after {@link BODY_MS_MAX} ends its connection, with 408.
 * - Any other body is held until it is complete, then parsed as usual. One that is read `raw` becomes
 *   the request's `rawBody`, and no parser sees it.
 *
 * A body that is `left` to its function may be longer. Only the function reads it, because the headers
 * that a body parser looks for are removed. The function limits its time.
 */
export function limitBodiesOf(server: Server, after: After, reading: Reading = "held"): void {
  const listeners = server.listeners("request") as Listener[];
  const handle: Listener = (request, response) => {
    for (const listener of listeners) listener.call(server, request, response);
  };
  server.removeAllListeners("request");
  server.on("request", (request: IncomingMessage, response: ServerResponse) =>
    limit(request, response, handle, after, reading),
  );
  if (server.listenerCount("checkContinue") > 0) return;
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    // RFC 9110 §10.1.1: a final status in place of 100, so that a refused body is not even sent.
    if (refusalOf(request, reading) === undefined) response.writeContinue();
    limit(request, response, handle, after, reading);
  });
}

function limit(
  request: IncomingMessage,
  response: ServerResponse,
  handle: Listener,
  after: After,
  reading: Reading,
): void {
  const refused = refusalOf(request, reading);
  if (refused !== undefined) {
    endUnread(request, response, after);
    withoutBody(request, refused);
    handle(request, response);
  } else if (hasBody(request)) {
    if (reading === "left") leave(request, response, handle);
    else hold(request, response, handle, after, reading);
  } else {
    handle(request, response);
  }
}

/** Returns why the headers alone reject a body. Node has checked that a length is a number. */
function refusalOf({ headers }: IncomingMessage, reading: Reading): BodyRefusal | undefined {
  if (headers["content-encoding"] !== undefined) return 415;
  const bytesMax = reading === "left" ? UNREAD_BYTES_MAX : BODY_BYTES_MAX;
  return Number(headers["content-length"] ?? 0) > bytesMax ? 413 : undefined;
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/**
 * Waits for the end of a body and counts it on its way: Node's parser pushes each chunk into the
 * request, and the end as `null`. The chunks go on only when all are there.
 */
function hold(
  request: IncomingMessage,
  response: ServerResponse,
  handle: Listener,
  after: After,
  reading: "held" | "raw",
): void {
  const push = request.push.bind(request);
  // One buffer, since a chunk of one byte costs hundreds.
  const body = Buffer.allocUnsafe(Number(request.headers["content-length"] ?? BODY_BYTES_MAX));
  let bytes = 0;
  const inTime = after(BODY_MS_MAX, () => {
    request.push = () => true;
    endConnection(request, response);
  });
  // Node closes a request that is broken off, and a response that was sent.
  for (const each of [request, response]) each.once("close", inTime);

  request.push = (chunk: Buffer | null) => {
    if (chunk !== null && bytes + chunk.length <= BODY_BYTES_MAX) {
      bytes += chunk.copy(body, bytes);
      return true;
    }
    inTime();
    request.push = push;
    if (chunk === null) {
      const whole = body.subarray(0, bytes);
      if (reading === "raw") hide(request, { rawBody: whole });
      else push(whole);
      push(null);
    } else {
      endUnread(request, response, after);
      withoutBody(request, 413);
    }
    handle(request, response);
    return true;
  };
}

/** Hides a body from every parser, and leaves it in the request. */
function leave(request: IncomingMessage, response: ServerResponse, handle: Listener): void {
  const length = request.headers["content-length"];
  hide(request, { unreadBody: length === undefined ? {} : { bytes: Number(length) } });
  handle(request, response);
}

const BODY_HEADERS = ["content-encoding", "content-length", "transfer-encoding"];

function withoutBody(request: IncomingMessage, bodyRefusal: BodyRefusal): void {
  const body: unknown = JSON.parse(UNREAD_BODY);
  hide(request, { bodyRefusal, body, rawBody: Buffer.from(UNREAD_BODY) });
}

/** Removes everything by which a parser would look for a body, and says what there is instead. */
function hide(request: IncomingMessage, instead: Partial<ExpressRequest>): void {
  for (const name of BODY_HEADERS) delete request.headers[name];
  Object.assign(request, instead);
}

/**
 * Throws away what comes of a body. A refusal is sent at once, and ends the connection. An
 * acknowledgement waits for the end of the body: a sender that is still writing may not see it.
 */
function endUnread(request: IncomingMessage, response: ServerResponse, after: After): void {
  const push = request.push.bind(request);
  const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
  const read = new Promise<void>((resolve) => {
    request.push = (chunk: Buffer | null) => {
      if (chunk !== null) return true;
      resolve();
      return push(null);
    };
    const inTime = after(BODY_MS_MAX, resolve);
    for (const each of [request, response]) each.once("close", inTime).once("close", resolve);
  });
  response.end = (...args: unknown[]) => {
    if (response.statusCode >= 400) return end(...args);
    void read.then(() => end(...args));
    return response;
  };
}

function endConnection(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(408, { connection: "close", "content-length": "0" });
  response.end(() => request.destroy());
}
