import type { ConnectContext } from "./context.ts";
import { type Result, err, ok } from "../domain/result.ts";
import { isWatching } from "../domain/schedule.ts";
import { type AuthorizationWish, isKept } from "./authorization-request.ts";
import { disconnect } from "../grant/disconnect.ts";
import { forget } from "../grant/forget.ts";
import { isAppState, parseReturnTo } from "./return-to.ts";
import { type StartTicket, readTicket } from "./start-ticket.ts";
import { isOwnForm } from "./session.ts";
import { isWeekly } from "../grant/weekly-grant.ts";
import { logFailed, refusal } from "../platform/http.ts";
import type { Log } from "../platform/log.ts";
import {
  connectedPage,
  disconnectedPage,
  erasePage,
  erasedPage,
  errorPage,
  handoverPage,
  landingPage,
  pausedPage,
  reauthorizePage,
} from "./pages/pages.ts";
import { textsFor } from "../texts/languages.ts";
import { type PageError, parsePageError } from "../texts/texts.ts";
import type { User } from "../domain/user.ts";
import { callback } from "./callback.ts";
import {
  type ConnectRequest,
  USED_TICKET,
  isSameOrigin,
  redirect,
  signedIn,
  toGoogle,
  withCookies,
} from "./connect-request.ts";
import { busyPage } from "./limited.ts";
import { cookie, endOldestFlows, sessionCookieName } from "./cookies.ts";

type Route = (request: ConnectRequest, context: ConnectContext) => Promise<Response>;

const ROUTES: readonly [path: RegExp, methods: Readonly<Record<string, Route>>][] = [
  [/^\/$/, { GET: showStatus, HEAD: showStatus }],
  [/^\/start$/, { GET: start, POST: startForApplication }],
  [/^\/callback$/, { GET: callback }],
  [/^\/refused\/([a-z_]+)$/, { GET: showRefused, HEAD: showRefused }],
  [/^\/reauthorize\/([^/]+)$/, { GET: showReauthorize, HEAD: showReauthorize, POST: reauthorize }],
  [/^\/disconnect$/, { POST: endConnection }],
  [/^\/erase$/, { GET: askToErase, HEAD: askToErase, POST: erase }],
];

/**
 * Serves the pages: start page, connect, Google's callback, re-authorize, disconnect. No URL says
 * on whose behalf: only Google says who is in front of the browser. An unexpected failure, such as
 * one of the store, is a page that asks the person to try again.
 */
export async function connect(
  request: Request,
  log: Log,
  client: string,
  context: ConnectContext,
): Promise<Response> {
  const { headers } = request;
  const url = new URL(request.url);
  const base = new URL(context.config.publicUrl).pathname.replace(/\/$/, "");
  const path = url.pathname.slice(base.length) || "/";
  const frame = { ...context.pageLinks, texts: textsFor(headers.get("accept-language")) };
  for (const [pattern, methods] of ROUTES) {
    const match = pattern.exec(path);
    if (match === null) continue;
    // A HEAD must not be handled like a GET: at the callback it would use up the code.
    const route = methods[request.method];
    if (route === undefined) return refusal(405, { allow: Object.keys(methods).join(", ") });
    // The browser sends it again when the person opens the page.
    if (isPrefetch(headers)) return refusal(503);
    if (request.method === "POST" && !isForm(headers)) return refusal(415);
    const form = async () => new URLSearchParams(await request.text());
    try {
      const rest = match[1] ?? "";
      return await route({ url, headers, frame, rest, form, log, client }, context);
    } catch (error) {
      logFailed(log, error);
      // A URL that only accepts POST cannot be opened again.
      const again = methods["GET"] === undefined ? "/" : `${path}${wishOf(url)}`;
      return errorPage("try_later", frame, `${context.config.publicUrl}${again}`);
    }
  }
  return errorPage("not_found", frame);
}

/** A browser that guesses the next page must use nothing up. */
function isPrefetch(headers: Headers): boolean {
  const purposes = ["sec-purpose", "purpose", "x-purpose", "x-moz"].map((it) => headers.get(it));
  return purposes.some((purpose) => /prefetch|prerender|preview/i.test(purpose ?? ""));
}

function isForm(headers: Headers): boolean {
  return /^application\/x-www-form-urlencoded\s*(;|$)/i.test(headers.get("content-type") ?? "");
}

async function showStatus(request: ConnectRequest, context: ConnectContext): Promise<Response> {
  const { frame } = request;
  const { links, clock } = context;
  const signed = await signedIn(request, context);
  if (signed === undefined) return landingPage(frame);
  const { user, session } = signed;
  const { csrf, recoveredChanges } = session;
  switch (user.status) {
    case "active": {
      const { sync, watch } = user;
      const progress = {
        ...(recoveredChanges !== undefined && { recoveredChanges }),
        ...(sync.syncedAt !== undefined && { syncedAt: sync.syncedAt }),
        isCaughtUp: sync.dueReason !== "unfinished" && sync.dueReason !== "throttled",
        isLate: sync.delayedAt !== undefined,
        isWatched: isWatching(watch, clock.now()),
      };
      return connectedPage(user, csrf, progress, frame);
    }
    case "reauthorization_required":
    case "mailbox_unavailable": {
      const link = links.to(user).slice(`${frame.publicUrl}/reauthorize/`.length);
      return reauthorizePage(user, link, { csrf, isWeekly: isWeekly(user) }, frame);
    }
    case "paused":
      return pausedPage(user, csrf, frame);
    case "disconnected":
      return disconnectedPage(frame, true);
  }
}

/**
 * Handles a start. A person from the receiver's own page goes straight to Google. An application
 * that wants the result is named first, on a page with one button, because anyone can write such a
 * link.
 */
async function start(request: ConnectRequest, context: ConnectContext): Promise<Response> {
  const { url, headers } = request;
  const asked = await readStart(url.searchParams, context);
  if (!asked.ok) return refusedStart(asked.error, request);
  const { wish, ticket } = asked.value;
  const application = wish.returnTo ?? ticket?.issuer;
  if (application !== undefined) {
    return handoverPage(new URL(application).origin, wishOf(url), request.frame);
  }
  // Google asks nothing of a person with a living grant. A link on another site must not get that
  // far, and a browser that does not say where the person comes from may come from anywhere.
  const isOwnLink = headers.get("sec-fetch-site") === "same-origin";
  const signed = isOwnLink ? await signedIn(request, context) : undefined;
  const isRefreshTokenHeld = signed?.user.status === "active";
  return beginAt({ ...wish, isRefreshTokenHeld }, request, context);
}

/** Handles the button of {@link handoverPage}. Google asks for consent, and names the account. */
async function startForApplication(
  request: ConnectRequest,
  context: ConnectContext,
): Promise<Response> {
  const { url } = request;
  if (!isSameOrigin(request, context)) return errorPage("forbidden", request.frame);
  const asked = await readStart(url.searchParams, context);
  if (!asked.ok) return refusedStart(asked.error, request);
  const { wish, ticket } = asked.value;
  if (ticket !== undefined) {
    const { callbackClaims, randomToken } = context;
    const isFirst = await callbackClaims.claim(ticket.id, randomToken(), ticket.expireAt);
    if (!isFirst) return refusedStart({ error: "ticket_refused", reason: "used" }, request);
  }
  return beginAt(wish, request, context);
}

function refusedStart({ error, reason }: RefusedStart, { frame, log }: ConnectRequest): Response {
  if (error === "ticket_refused") log.info("ticket_refused", "rejected a start ticket", { reason });
  return errorPage(error, frame);
}

function beginAt(
  wish: AuthorizationWish,
  { headers }: ConnectRequest,
  context: ConnectContext,
): Response {
  const { to, cookies } = toGoogle(wish, context);
  const ended = endOldestFlows(headers, context.config.publicUrl, cookies);
  return redirect({ to, cookies: [...ended, ...cookies] });
}

interface Start {
  wish: AuthorizationWish;
  ticket?: StartTicket;
}

interface RefusedStart {
  error: PageError;
  reason: string;
}

/** Reads what the application wants: everything in a ticket, or each parameter once. */
async function readStart(
  params: URLSearchParams,
  context: ConnectContext,
): Promise<Result<Start, RefusedStart>> {
  const { urls, isTicketRequired } = context.config.returnTo;
  const [wanted, appStates, tickets] = WISHES.map((name) => params.getAll(name));
  const refusedTicket = (reason: string) => err({ error: "ticket_refused", reason } as const);
  const [compact, ...more] = tickets ?? [];
  if (compact === undefined) {
    const plain = readPlainStart(wanted ?? [], appStates ?? [], urls);
    if (plain === undefined) return err({ error: "return_refused", reason: "query" });
    return isTicketRequired ? refusedTicket("missing") : ok({ wish: plain });
  }
  // Changing another person's link must not add to what the application signed.
  if (more.length > 0 || wanted?.length !== 0 || appStates?.length !== 0) {
    return refusedTicket("query");
  }
  const check = await readTicket(compact, context);
  if (!check.ok) return refusedTicket(check.error);
  const ticket = check.value;
  const { returnTo, appState, appSub, tags } = ticket;
  const wish = { returnTo, appState, appSub, tags };
  return isKept(wish) ? ok({ wish, ticket }) : refusedTicket("too_long");
}

function readPlainStart(
  wanted: readonly string[],
  appStates: readonly string[],
  urls: readonly string[],
): AuthorizationWish | undefined {
  if (wanted.length > 1 || appStates.length > 1 || !appStates.every(isAppState)) return undefined;
  const [returnTo] = wanted.map((each) => parseReturnTo(each, urls));
  if (wanted.length > 0 && returnTo === undefined) return undefined;
  return { returnTo, appState: appStates[0] };
}

/** The parameters of `/start`. */
const WISHES = ["return_to", "app_state", "ticket"] as const;

/** Returns only our own parameters of a query: nothing else is shown again. */
function wishOf({ searchParams }: URL): string {
  const wish = [...searchParams].filter(([name]) => (WISHES as readonly string[]).includes(name));
  return wish.length === 0 ? "" : `?${new URLSearchParams(wish)}`;
}

/** A retry cannot help: it has been done, or the request was not the receiver's. */
const FINAL: ReadonlySet<PageError> = new Set([
  "already_done",
  "link_expired",
  "return_refused",
  "ticket_refused",
  "not_found",
  "forbidden",
]);

/** Shows the page of a refused callback. It says nothing but what its URL says. */
function showRefused(
  { url, rest, frame }: ConnectRequest,
  context: ConnectContext,
): Promise<Response> {
  const error = parsePageError(rest) ?? "not_found";
  if (url.searchParams.get("ticket") === USED_TICKET) {
    // Only the application can make another ticket.
    const wanted = parseReturnTo(
      url.searchParams.get("return_to") ?? "",
      context.config.returnTo.urls,
    );
    return Promise.resolve(errorPage(error, frame, wanted, frame.texts.back));
  }
  const retry = FINAL.has(error) ? undefined : `${frame.publicUrl}/start${wishOf(url)}`;
  if (error === "busy") return Promise.resolve(busyPage(frame, retry));
  return Promise.resolve(errorPage(error, frame, retry));
}

async function showReauthorize(
  { rest: link, url, frame }: ConnectRequest,
  context: ConnectContext,
): Promise<Response> {
  const user = await linkedUser(link, context);
  if (user === undefined) return errorPage("link_expired", frame);
  const refused = parsePageError(url.searchParams.get("refused") ?? "");
  return reauthorizePage(user, link, { refused, isWeekly: isWeekly(user) }, frame);
}

async function reauthorize(request: ConnectRequest, context: ConnectContext): Promise<Response> {
  if (!isSameOrigin(request, context)) return errorPage("forbidden", request.frame);
  const user = await linkedUser(request.rest, context);
  if (user === undefined) return errorPage("link_expired", request.frame);
  const wish = {
    userId: user.id,
    link: request.rest,
    // Google accepts its `sub`, too. The email address would tell anyone with the link whose it is.
    loginHint: user.id,
    grantedScopes: user.grant.scopes,
  };
  return beginAt(wish, request, context);
}

/** Returns the user of a link, as long as the grant that it renews is the one that failed. */
async function linkedUser(link: string, context: ConnectContext): Promise<User | undefined> {
  const linked = context.links.read(link);
  const user = linked && (await context.users.find(linked.userId));
  if (user === undefined || user.grant.generation !== linked?.generation) return undefined;
  const { status } = user;
  return status === "reauthorization_required" || status === "mailbox_unavailable"
    ? user
    : undefined;
}

async function endConnection(request: ConnectRequest, context: ConnectContext): Promise<Response> {
  const { frame } = request;
  const sender = await readSender(request, context);
  if (!sender.ok) return sender.error;
  const ended = await disconnect(sender.value, "user_request", context);
  if (ended.kind === "superseded") return errorPage("session_lost", frame);
  const name = sessionCookieName(frame.publicUrl);
  return withCookies(disconnectedPage(frame), [cookie(name, "", 0)]);
}

/**
 * Returns the signed-in person who sent one of the receiver's own forms, or the page that refuses
 * the form.
 */
async function readSender(
  request: ConnectRequest,
  context: ConnectContext,
): Promise<Result<User, Response>> {
  const { frame } = request;
  if (!isSameOrigin(request, context)) return err(errorPage("forbidden", frame));
  const signed = await signedIn(request, context);
  if (signed === undefined) return err(errorPage("session_lost", frame));
  const { user, session } = signed;
  const isOwn = isOwnForm(session, (await request.form()).get("csrf"));
  return isOwn ? ok(user) : err(errorPage("forbidden", frame));
}

async function askToErase(request: ConnectRequest, context: ConnectContext): Promise<Response> {
  const signed = await signedIn(request, context);
  if (signed === undefined) return errorPage("session_lost", request.frame);
  return erasePage(signed.user, signed.session.csrf, request.frame);
}

/** Erases the person's data; what waits for Google or the topic follows by itself. */
async function erase(request: ConnectRequest, context: ConnectContext): Promise<Response> {
  const { frame } = request;
  const sender = await readSender(request, context);
  if (!sender.ok) return sender.error;
  const outcome = await forget(sender.value, context);
  request.log.info("user_erasing", "a person asked for the erasure of their data", {
    userId: sender.value.id,
    outcome: outcome.kind,
  });
  switch (outcome.kind) {
    case "forgotten":
    case "not_revoked":
    case "not_announced":
    case "contended": {
      const name = sessionCookieName(frame.publicUrl);
      const erased = erasedPage(outcome.kind === "forgotten", frame);
      return withCookies(erased, [cookie(name, "", 0)]);
    }
    case "connected_again":
      return errorPage("session_lost", frame);
    case "unreadable":
      return errorPage("try_later", frame);
  }
}
