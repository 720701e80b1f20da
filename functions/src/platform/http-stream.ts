import type { ServerResponse } from "node:http";
import { Readable, Transform } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { callbackify } from "node:util";
import type { After } from "../domain/clock.ts";
import {
  type BodyRefusal,
  type ExpressRequest,
  HEADERS,
  type ServeOptions,
  logFailed,
  refusal,
} from "./http.ts";
import { type Log, parseTraceHeader } from "./log.ts";

/** A request whose body is read as it arrives. */
export interface StreamRequest {
  method: string;
  /** The path and the query exactly as they came (RFC 9112 §3.2). */
  target: string;
  headers: ExpressRequest["headers"];
  /** Absent without a body. `bytes` is the declared length. */
  body?: { stream: Readable; bytes?: number };
  /** The body is not read: the status of the rejection. */
  bodyRefusal?: BodyRefusal;
  /** Aborts when the client disconnects, or when the time is up. */
  signal: AbortSignal;
}

/** How the response to a request ended. */
export interface StreamEnd {
  bytes: number;
  /** The client has all of it. */
  isComplete: boolean;
}

/** A response whose body is written as it arrives. */
export interface StreamResponse {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: string | Buffer | Readable;
  /**
   * Called once the last byte of the body is on its way, or the response breaks off. The response
   * ends only when this resolves: an instance may be frozen after that.
   */
  beforeEnd?(end: StreamEnd): Promise<void>;
  /** Called once the response has been sent, or cannot be. */
  onEnd?(end: StreamEnd): void;
}

/** Answers a request, and streams both bodies. */
export type StreamHandler = (request: StreamRequest, log: Log) => Promise<StreamResponse>;

/** How long one request and its response may take, and how long the response may be. */
export interface StreamLimits {
  timeMsMax: number;
  bytesMax: number;
}

/**
 * Serves a handler of streams. Nothing is held: a slow reader slows down what is read for it. A
 * response that breaks off, or is longer than the limit, ends its connection, so that no client takes
 * a part for the whole.
 */
export async function serveStream<T extends { http: ServeOptions }>(
  request: ExpressRequest,
  response: ServerResponse,
  getServer: () => Promise<T>,
  pick: (server: T) => { handle: StreamHandler; limits: StreamLimits },
  after: After,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  let log: Log | undefined;
  try {
    const server = await getServer();
    const { projectId } = server.http;
    const traceparent = request.headers["traceparent"];
    log = server.http.log.with(
      parseTraceHeader(typeof traceparent === "string" ? traceparent : undefined, projectId),
    );
    const { handle, limits } = pick(server);
    const inTime = after(limits.timeMsMax, () => gone.abort());
    try {
      const answered = await handle(toStreamRequest(request, gone.signal), log);
      await send(answered, request, response, limits.bytesMax, gone.signal);
    } finally {
      inTime();
    }
  } catch (error) {
    logFailed(log, error);
    if (response.headersSent) return void response.destroy();
    const failed = refusal(500);
    writeHead(response, 500, { "content-type": "application/json", connection: "close" });
    response.end(await failed.text());
  }
}

function toStreamRequest(request: ExpressRequest, signal: AbortSignal): StreamRequest {
  const { method = "GET", url, headers, rawBody, unreadBody, bodyRefusal } = request;
  const base = { method, target: url, headers, signal };
  if (bodyRefusal !== undefined) return { ...base, bodyRefusal };
  if (unreadBody !== undefined) return { ...base, body: { stream: request, ...unreadBody } };
  if (rawBody === undefined || rawBody.length === 0) return base;
  return { ...base, body: { stream: Readable.from([rawBody]), bytes: rawBody.length } };
}

async function send(
  { status, headers, body, beforeEnd, onEnd }: StreamResponse,
  request: ExpressRequest,
  response: ServerResponse,
  bytesMax: number,
  signal: AbortSignal,
): Promise<void> {
  let bytes = 0;
  let isComplete = false;
  let isEnding = false;
  const ending = async (isWholeBody: boolean) => {
    if (isEnding) return;
    isEnding = true;
    await beforeEnd?.({ bytes, isComplete: isWholeBody });
  };
  const { unreadBody, bodyRefusal } = request;
  const isUnread =
    bodyRefusal !== undefined || (unreadBody !== undefined && !request.readableEnded);
  try {
    const isWhole = typeof body === "string" || Buffer.isBuffer(body);
    writeHead(response, status, {
      ...headers,
      ...(isWhole && status !== 204 && { "content-length": String(Buffer.byteLength(body)) }),
      // The rest of a body that was not read may still be on its way.
      ...(isUnread && { connection: "close" }),
    });
    if (isWhole) {
      bytes = Buffer.byteLength(body);
      await ending(true);
      // Node takes the response for a client that has gone, and sends nothing.
      if (response.destroyed) return;
      await finished(response.end(body), { readable: false });
    } else {
      const counted = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          bytes += chunk.length;
          done(bytes > bytesMax ? new RangeError("the response is too long") : null, chunk);
        },
        flush: callbackify(() => ending(true)),
      });
      await pipeline(body, counted, response, { signal });
    }
    isComplete = true;
  } catch {
    // The client is gone, Gmail broke off, or a limit is reached: `onEnd` says so.
    response.destroy();
    await ending(false);
  } finally {
    onEnd?.({ bytes, isComplete });
  }
}

function writeHead(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
): void {
  response.removeHeader("x-powered-by");
  response.writeHead(status, { ...HEADERS, ...headers });
}
