import type { IncomingMessage, Server, ServerResponse } from "node:http";

/**
 * Names of this machine, with any port. `localhost` and what is below it never leave it (RFC 6761
 * §6.3), so that no owner of a domain can have a browser take one of these for theirs.
 */
const LOOPBACK_HOST = /^(127(\.\d{1,3}){3}|([a-z0-9-]+\.)*localhost|\[::1\])(:\d{1,5})?$/i;
const READING = new Set(["GET", "HEAD", "OPTIONS"]);

/** What a browser says of a request: where it goes, and whose page has made it. */
export interface BrowserRequest {
  method: string;
  host: string | undefined;
  origin: string | undefined;
  fetchSite: string | undefined;
}

/**
 * Whether a server for development may serve it. A page of the web reaches such a server in two ways:
 * by a name of its own that resolves to loopback (DNS rebinding), and then it also reads what comes
 * back; or by a form, whose answer it cannot read, but which acts.
 */
export function isFromHere({ method, host, origin, fetchSite }: BrowserRequest): boolean {
  if (host === undefined || !LOOPBACK_HOST.test(host)) return false;
  if (READING.has(method) || origin === undefined) return true;
  // A page without a referrer names no origin, not even to its own server.
  return origin === "null" ? fetchSite === "same-origin" : isLoopbackOrigin(origin);
}

export function isLoopbackOrigin(origin: string): boolean {
  return URL.canParse(origin) && LOOPBACK_HOST.test(new URL(origin).host);
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

/** Puts that check in front of the request handlers of a server. */
export function serveLoopbackOnly(server: Server): void {
  const listeners = server.listeners("request") as Listener[];
  server.removeAllListeners("request");
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const { method = "", headers } = request;
    const { host, origin, "sec-fetch-site": site } = headers;
    const fetchSite = typeof site === "string" ? site : undefined;
    if (isFromHere({ method, host, origin, fetchSite })) {
      for (const listener of listeners) listener.call(server, request, response);
      return;
    }
    response.writeHead(403, { "content-type": "application/json", connection: "close" });
    response.end('{"error":"only pages on loopback may do this"}');
  });
}
