import type { ConnectContext } from "./context.ts";
import { type HttpHandler, refusal } from "../platform/http.ts";
import { textsFor } from "../texts/languages.ts";
import { type PageFrame } from "./pages/page.ts";
import { errorPage } from "./pages/pages.ts";

/** When a limited client may retry, in seconds: a part of its bucket is full by then. */
const RETRY_AFTER = "30";

/** Puts the limit of one client in front of the pages, before anything is traced or read. */
export function limitedPages(
  handle: HttpHandler,
  { publicLimits: { pages }, pageLinks }: ConnectContext,
): HttpHandler {
  return async (request, log, client) => {
    if (pages.take(client)) return handle(request, log, client);
    log.warn(
      "client_limited",
      "a client requested more pages than the limit; asked it to wait",
      {},
    );
    const texts = textsFor(request.headers.get("accept-language"));
    return busyPage({ ...pageLinks, texts }, request.url);
  };
}

/** Returns the page that asks a person to wait (RFC 6585 §4). `retry` is where they try again. */
export function busyPage(frame: PageFrame, retry?: string): Response {
  const response = errorPage("busy", frame, retry);
  response.headers.set("retry-after", RETRY_AFTER);
  return response;
}

/**
 * Answers 429 to a client with too many rejected security events. An event that Google signed is
 * accepted from every client, because a proxy can make Google and a stranger look like one client.
 */
export function limitedEvents(
  handle: HttpHandler,
  { publicLimits: { refusedEvents } }: ConnectContext,
): HttpHandler {
  return async (request, log, client) => {
    const response = await handle(request, log, client);
    const isRefused = response.status >= 400 && response.status < 500;
    if (!isRefused || refusedEvents.take(client)) return response;
    log.warn(
      "client_limited",
      "a client sent too many invalid security events; asked it to wait",
      {},
    );
    return refusal(429, { "retry-after": RETRY_AFTER });
  };
}
