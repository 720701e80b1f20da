import type { IncomingMessage, ServerResponse } from "node:http";
import { type Result, err, ok } from "../domain/result.ts";
import {
  type Log,
  type Loggable,
  describeUnknown,
  parseTraceHeader,
  readTraceparent,
} from "./log.ts";
import { clientOf } from "./rate-limit.ts";
import { isStoreError } from "./store-error.ts";

/** An Express request, as functions-framework and firebase-functions both provide it. */
export interface ExpressRequest extends IncomingMessage {
  /** The path and query after the function's base path. */
  url: string;
  rawBody?: Buffer;
  body?: unknown;
  /** The body was not read: the status by which it is refused, except a message of Pub/Sub. */
  bodyRefusal?: BodyRefusal;
  /** The body is left to the function, which reads it from the request itself. */
  unreadBody?: { bytes?: number };
}

/** Too long, or encoded: the receiver accepts neither. */
export type BodyRefusal = 413 | 415;

/** `client` identifies a client for rate limits ({@link clientOf}). */
export type HttpHandler = (request: Request, log: Log, client: string) => Promise<Response>;

/** Far more than any form, token or notification that the receiver accepts. */
export const BODY_BYTES_MAX = 64 * 1024;

const BODYLESS = new Set(["GET", "HEAD"]);

/** One fixed body for each status: a stranger learns nothing from a rejection. */
const BODIES = {
  400: "bad request",
  403: "forbidden",
  404: "not found",
  405: "method not allowed",
  413: "too large",
  415: "unsupported media type",
  429: "too many requests",
  500: "something went wrong",
  503: "try again later",
} as const;

/** Returns an error response without any detail. */
export function refusal(
  status: keyof typeof BODIES,
  headers: Record<string, string> = {},
): Response {
  const response = new Response(JSON.stringify({ error: BODIES[status] }), { status, headers });
  response.headers.set("content-type", "application/json");
  return response;
}

/**
 * The headers of every response, unless the response sets them: nothing is cached, framed, sniffed
 * or referred, nothing is loaded, and the browser always returns with TLS.
 */
export const HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy":
    "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy":
    "browsing-topics=(), camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), publickey-credentials-get=(), usb=()",
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=31536000; includeSubDomains",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** How a handler is reached, and its log. */
export interface ServeOptions {
  /** The URL that requests are assumed to be for, regardless of their headers. */
  publicUrl: string;
  projectId: string;
  /** The number of load balancers in front of Google's front end. */
  loadBalancers: number;
  log: Log;
}

/**
 * Serves a handler that takes a web request and returns a response. Ignores what a body parser made
 * of the body: the handler gets only the original bytes.
 */
export async function serve<T extends { http: ServeOptions }>(
  request: ExpressRequest,
  response: ServerResponse,
  getServer: () => Promise<T>,
  pick: (server: T) => HttpHandler,
): Promise<void> {
  await send(await answer(request, getServer, pick), response);
}

/** Serves `POST /` of a schedule: 204 when the run succeeded, 500 when it failed. */
export function serveScheduled<T extends { http: ServeOptions }>(
  request: ExpressRequest,
  response: ServerResponse,
  getServer: () => Promise<T>,
  run: (server: T, traceparent: string | undefined) => Promise<void>,
): Promise<void> {
  return serve(request, response, getServer, (server) => async ({ method, url, headers }) => {
    if (!isRootOf(server.http.publicUrl, url)) return refusal(404);
    if (method !== "POST") return refusal(405, { allow: "POST" });
    await run(server, headers.get("traceparent") ?? undefined);
    return new Response(null, { status: 204 });
  });
}

/** A message that Pub/Sub pushed, whatever it is, and the trace that it belongs to. */
export interface Push {
  /** `{ message, subscription }` of a well-formed one. */
  data: unknown;
  traceparent?: string | undefined;
}

/** Thrown to have Pub/Sub deliver a message again. The failure is logged; contains nothing of it. */
export class Redeliver extends Error implements Loggable {
  override name = "Redeliver";
  readonly isLoggable = true;
}

/**
 * Serves a message that Pub/Sub pushes itself, or Eventarc as a CloudEvent (HTTP binding, binary or
 * structured mode): 204 acknowledges it, 500 has it delivered again. So a body that cannot be parsed,
 * or was too long to be read, is a malformed message and not a refused request.
 */
export async function servePush<T extends { http: ServeOptions }>(
  request: ExpressRequest,
  response: ServerResponse,
  getServer: () => Promise<T>,
  run: (server: T, push: Push) => Promise<void>,
): Promise<void> {
  // The rest of a body that was not read may still arrive.
  const closing = request.bodyRefusal !== undefined && { connection: "close" };
  if (request.method !== "POST") return send(refusal(405, { allow: "POST", ...closing }), response);
  let log: Log | undefined;
  try {
    const server = await getServer();
    log = server.http.log;
    await run(server, pushOf(request));
  } catch (error) {
    if (!(error instanceof Redeliver)) logFailed(log, error);
    return send(refusal(500, { ...closing }), response);
  }
  response.writeHead(204).end();
}

/** Parses a push: a CloudEvent in structured mode has a `specversion`, and what Pub/Sub sent as its data. */
function pushOf(request: ExpressRequest): Push {
  const body = parseBody(request);
  const event = typeof body === "object" && body !== null && "specversion" in body ? body : {};
  const data = "data" in event ? event.data : body;
  const inHeader = header(request, "traceparent") || header(request, "ce-traceparent");
  return { data, traceparent: inHeader || readTraceparent(event) };
}

function parseBody({ rawBody }: ExpressRequest): unknown {
  try {
    return JSON.parse(String(rawBody));
  } catch {
    return undefined;
  }
}

/**
 * Thrown when a scheduled run has failed and the failure is logged. Contains nothing of the cause.
 */
export class RunFailed extends Error implements Loggable {
  override name = "RunFailed";
  readonly isLoggable = true;
}

/**
 * Runs a schedule for a tool that answers HTTP itself, and that logs the message of anything thrown
 * here: so it throws only {@link RunFailed}.
 */
export async function runScheduled<T extends { http: ServeOptions }>(
  getServer: () => Promise<T>,
  run: (server: T) => Promise<void>,
): Promise<void> {
  let log: Log | undefined;
  try {
    const server = await getServer();
    log = server.http.log;
    await run(server);
  } catch (error) {
    logFailed(log, error);
    throw new RunFailed("the run failed; the log says why");
  }
}

/** Returns whether a URL is the function's own, which is `publicUrl`, and not one below it. */
export function isRootOf(publicUrl: string, url: string): boolean {
  return new URL(url).pathname === new URL(`${publicUrl}/`).pathname;
}

async function answer<T extends { http: ServeOptions }>(
  request: ExpressRequest,
  getServer: () => Promise<T>,
  pick: (server: T) => HttpHandler,
): Promise<Response> {
  // The rest of the body may still arrive: it would be read unless the connection ends.
  if (request.bodyRefusal !== undefined)
    return refusal(request.bodyRefusal, { connection: "close" });
  let log: Log | undefined;
  try {
    const server = await getServer();
    const { publicUrl, projectId, loadBalancers } = server.http;
    log = server.http.log.with(parseTraceHeader(header(request, "traceparent"), projectId));
    const web = toWebRequest(request, publicUrl);
    if (!web.ok) return web.error;
    const forwardedFor = header(request, "x-forwarded-for");
    const client = clientOf(forwardedFor, request.socket.remoteAddress, loadBalancers);
    return await pick(server)(web.value, log, client);
  } catch (error) {
    logFailed(log, error);
    return refusal(500);
  }
}

/**
 * Logs an unexpected failure of a request, and names the store only when the store failed. `log` is
 * `undefined` if the startup failed, which has already alerted.
 */
export function logFailed(log: Log | undefined, error: unknown): void {
  const cause = isStoreError(error) ? "the store did not answer" : "an unexpected error";
  log?.error("request_failed", `a request failed: ${cause}`, { error: describeUnknown(error) });
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function toWebRequest(request: ExpressRequest, publicUrl: string): Result<Request, Response> {
  const method = request.method ?? "GET";
  const { rawBody } = request;
  if (rawBody !== undefined && rawBody.length > BODY_BYTES_MAX) return err(refusal(413));
  // Only the path and the query: an absolute or a protocol-relative form names another host.
  const path = `/${request.url.replace(/^[/\\]+/, "")}`;
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined) headers.append(name, each);
    }
  }
  const hasBody = !BODYLESS.has(method) && rawBody !== undefined && rawBody.length > 0;
  try {
    const url = new URL(`${publicUrl}${path}`);
    // Dots that lead out of the base path: no page of the receiver is there.
    if (!url.href.startsWith(`${publicUrl}/`)) return err(refusal(404));
    const body = hasBody ? { body: new Uint8Array(rawBody) } : {};
    return ok(new Request(url, { method, headers, ...body }));
  } catch {
    return err(refusal(400));
  }
}

async function send(from: Response, response: ServerResponse): Promise<void> {
  const cookies = from.headers.getSetCookie();
  from.headers.delete("set-cookie");
  const body = Buffer.from(await from.arrayBuffer());
  // Express names itself, if the tool that serves the function allows it.
  response.removeHeader("x-powered-by");
  response.writeHead(from.status, {
    ...HEADERS,
    ...Object.fromEntries(from.headers),
    ...(cookies.length > 0 && { "set-cookie": cookies }),
    // RFC 9110 §8.6: never with a 204.
    ...(from.status !== 204 && { "content-length": String(body.length) }),
  });
  response.end(body);
}
