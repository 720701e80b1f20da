import * as http from "node:http";
import * as https from "node:https";
import type { Readable } from "node:stream";
import type { Clock } from "../domain/clock.ts";
import { FailedCall, type Failure } from "../domain/failure.ts";
import { type Result, err, ok } from "../domain/result.ts";
import { ReceiverError } from "../platform/log.ts";
import { classify } from "./classify.ts";

/** A subscriber's request, without anything that identifies the sender. */
export interface PassedRequest {
  method: string;
  /** Below `/gmail/v1/users/me/`, with the query. */
  path: string;
  /** JSON. */
  body?: Buffer | { stream: Readable; bytes?: number };
  /** Ends the call, and the stream of its response. */
  signal: AbortSignal;
}

/** A successful response of Gmail. The body has to be read or destroyed. */
export interface PassedResponse {
  status: number;
  contentType?: string;
  body: Readable;
}

/** An error response of Gmail. */
export interface PassedError {
  failure: Failure;
  status: number;
  contentType?: string;
  retryAfter?: string;
  body: Buffer;
}

/**
 * Calls Gmail as it was called itself. Throws {@link FailedCall} if no complete response came. Neither
 * redirects are followed nor are failures retried.
 */
export type PassThrough = (
  accessToken: string,
  request: PassedRequest,
) => Promise<Result<PassedResponse, PassedError>>;

/** After this long without a byte in either direction, the call has failed. */
const IDLE_MS_MAX = 30_000;
/** An error of Gmail has some hundred bytes; a longer body is not one. */
const ERROR_BYTES_MAX = 256 * 1024;
const SOCKETS_MAX = 100;

/** Returns Gmail over Node's own client, which passes a response on as a stream. */
export function gmailPassThrough(rootUrl: string, clock: Pick<Clock, "now">): PassThrough {
  const { request } = rootUrl.startsWith("https:") ? https : http;
  const { Agent } = rootUrl.startsWith("https:") ? https : http;
  const kept = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  const fresh = new Agent({ keepAlive: false, maxSockets: SOCKETS_MAX });
  const base = new URL("gmail/v1/users/me/", rootUrl);

  return async (accessToken, { method, path, body, signal }) => {
    const headers: http.OutgoingHttpHeaders = {
      authorization: `Bearer ${accessToken}`,
      accept: "application/json",
      // The bytes are counted and handed on as they are.
      "accept-encoding": "identity",
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(lengthOf(body) !== undefined && { "content-length": lengthOf(body) }),
    };
    const call = (agent: http.Agent) => {
      const options = { method, headers, agent, signal, timeout: IDLE_MS_MAX };
      const sent = request(new URL(`${base.href}${path}`), options);
      sent.on("timeout", () => sent.destroy(timedOut()));
      return send(sent, body);
    };
    try {
      const response = method === "GET" ? await read(call, kept, fresh) : await call(fresh);
      return await toResponse(response, clock.now());
    } catch (error) {
      throw new FailedCall("gmail.api", classify("gmail.api", error, clock.now()));
    }
  };
}

/**
 * Reads over a connection that was kept, which costs no handshake. While an instance sleeps, Gmail can
 * close such a connection unnoticed: then it is read once more over a new one. A change is never sent
 * over a kept connection, because the receiver could not tell whether Gmail made it.
 */
async function read(
  call: (agent: http.Agent) => Promise<http.IncomingMessage>,
  kept: http.Agent,
  fresh: http.Agent,
): Promise<http.IncomingMessage> {
  try {
    return await call(kept);
  } catch (error) {
    if (!(error instanceof StaleConnection)) throw error;
    return call(fresh);
  }
}

/** Nothing came over a connection that was kept from an earlier call. */
class StaleConnection extends ReceiverError {
  override name = "StaleConnection";
}

function lengthOf(body: PassedRequest["body"]): number | undefined {
  if (body === undefined) return 0;
  return Buffer.isBuffer(body) ? body.length : body.bytes;
}

function timedOut(): Error {
  return new DOMException("Gmail sent nothing in time", "TimeoutError");
}

function send(
  sent: http.ClientRequest,
  body: PassedRequest["body"],
): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.once("response", resolve);
    // Errors can follow one another; without a listener the second would be uncaught.
    sent.on("error", (error: NodeJS.ErrnoException) => {
      const isStale = sent.reusedSocket && error.code === "ECONNRESET";
      reject(isStale ? new StaleConnection("Gmail closed a connection") : error);
    });
    if (body === undefined || Buffer.isBuffer(body)) {
      sent.end(body);
      return;
    }
    body.stream.once("error", (error) => sent.destroy(error));
    body.stream.pipe(sent);
  });
}

async function toResponse(
  response: http.IncomingMessage,
  now: Date,
): Promise<Result<PassedResponse, PassedError>> {
  const { statusCode: status = 502, headers } = response;
  const contentType = headers["content-type"];
  const type = contentType === undefined ? {} : { contentType };
  if (status >= 200 && status < 300) return ok({ status, ...type, body: response });
  const body = await readError(response);
  const failure = classify("gmail.api", { status, headers, data: body.toString() }, now);
  const retryAfter = headers["retry-after"];
  const again = retryAfter === undefined ? {} : { retryAfter };
  return err({ failure, status, ...type, ...again, body });
}

/** Reads at most {@link ERROR_BYTES_MAX} of a body. The rest ends with its connection. */
async function readError(response: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > ERROR_BYTES_MAX) break;
  }
  return Buffer.concat(chunks).subarray(0, ERROR_BYTES_MAX);
}
