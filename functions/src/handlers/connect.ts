import {
  type AuthorizationServices,
  type Authorization,
  completeAuthorization,
} from "../grant/authorization.ts";
import {
  AUTHORIZATION_AGE_MS_MAX,
  type AuthorizationRequestServices,
  type AuthorizationWish,
  flowIdOf,
  readPending,
  requestAuthorization,
} from "../grant/authorization-request.ts";
import { type DisconnectServices, disconnect } from "../grant/disconnect.ts";
import { APP_STATE_CHARS_MAX, parseReturnTo, returnUrl } from "../grant/return-to.ts";
import {
  SESSION_AGE_MS_MAX,
  type Session,
  isOwnForm,
  readSession,
  startSession,
} from "../grant/session.ts";
import { GOOGLE_ISSUER } from "../google/endpoints.ts";
import { refusal } from "../http.ts";
import type { Log } from "../log.ts";
import { pageHeaders } from "../pages/page.ts";
import {
  type PageLinks,
  connectedPage,
  disconnectedPage,
  errorPage,
  landingPage,
  reauthorizePage,
} from "../pages/pages.ts";
import type { PageError } from "../pages/texts.ts";
import type { User } from "../user.ts";

export interface ConnectServices
  extends AuthorizationServices, AuthorizationRequestServices, DisconnectServices {
  pageLinks: PageLinks;
  returnTo: { origins: readonly string[]; secret?: string };
}

type Route = (request: ConnectRequest, services: ConnectServices) => Promise<Response>;

interface ConnectRequest {
  url: URL;
  headers: Headers;
  /** What follows `/reauthorize/`. */
  link: string;
  form(): Promise<URLSearchParams>;
  log: Log;
}

const ROUTES: readonly [path: RegExp, methods: Readonly<Record<string, Route>>][] = [
  [/^\/$/, { GET: showStatus, HEAD: showStatus }],
  [/^\/start$/, { GET: start }],
  [/^\/callback$/, { GET: callback }],
  [/^\/reauthorize\/([^/]+)$/, { GET: showReauthorize, POST: reauthorize }],
  [/^\/disconnect$/, { POST: endConnection }],
];

/**
 * The pages: what this is, connect, Google's callback, re-authorize, disconnect. Nothing in an
 * address says on whose behalf: that is what Google says of the person in front of the browser.
 */
export async function connect(
  request: Request,
  log: Log,
  services: ConnectServices,
): Promise<Response> {
  const url = new URL(request.url);
  const base = new URL(services.pageLinks.publicUrl).pathname.replace(/\/$/, "");
  const path = url.pathname.slice(base.length) || "/";
  for (const [pattern, methods] of ROUTES) {
    const match = pattern.exec(path);
    if (match === null) continue;
    // A HEAD is not answered like a GET: at the callback it would use up the code.
    const route = methods[request.method];
    if (route === undefined) {
      return refusal(405, { allow: Object.keys(methods).join(", ") });
    }
    const { headers } = request;
    const form = async () => new URLSearchParams(await request.text());
    return route({ url, headers, link: match[1] ?? "", form, log }, services);
  }
  return errorPage("not_found", services.pageLinks);
}

async function showStatus(request: ConnectRequest, services: ConnectServices): Promise<Response> {
  const session = sessionOf(request, services);
  const user = session && (await services.users.find(session.userId));
  if (session === undefined || user === undefined) return landingPage(services.pageLinks);
  return statusPage(user, session, services);
}

function statusPage(user: User, session: Session, services: ConnectServices): Response {
  const { pageLinks, links } = services;
  switch (user.status) {
    case "active":
      return connectedPage(user, session.csrf, pageLinks, { isCaughtUp: true, isWatched: true });
    case "reauthorization_required":
    case "mailbox_unavailable": {
      const link = links.to(user).slice(`${pageLinks.publicUrl}/reauthorize/`.length);
      return reauthorizePage(user, link, pageLinks, session.csrf);
    }
    case "disconnected":
      return disconnectedPage(pageLinks);
  }
}

async function start(request: ConnectRequest, services: ConnectServices): Promise<Response> {
  const { searchParams } = request.url;
  const wanted = searchParams.get("return_to");
  const returnTo = wanted === null ? undefined : parseReturnTo(wanted, services.returnTo.origins);
  const appState = searchParams.get("app_state") ?? undefined;
  if (wanted !== null && returnTo === undefined) {
    return errorPage("return_refused", services.pageLinks);
  }
  if (appState !== undefined && appState.length > APP_STATE_CHARS_MAX) {
    return errorPage("return_refused", services.pageLinks);
  }
  const session = sessionOf(request, services);
  const user = session && (await services.users.find(session.userId));
  return toGoogle({ returnTo, appState, isRefreshTokenHeld: user?.status === "active" }, services);
}

async function showReauthorize(
  { link }: ConnectRequest,
  services: ConnectServices,
): Promise<Response> {
  const user = await linkedUser(link, services);
  if (user === undefined) return errorPage("link_expired", services.pageLinks);
  return reauthorizePage(user, link, services.pageLinks);
}

async function reauthorize(request: ConnectRequest, services: ConnectServices): Promise<Response> {
  if (!isSameOrigin(request, services)) return errorPage("forbidden", services.pageLinks);
  const user = await linkedUser(request.link, services);
  if (user === undefined) return errorPage("link_expired", services.pageLinks);
  const wish = {
    userId: user.id,
    loginHint: user.emailAddress,
    grantedScopes: user.grant.scopes.filter((scope) => scope.includes("://")),
  };
  return toGoogle(wish, services);
}

/** The user a link is for, as long as the grant that it renews is the one that failed. */
async function linkedUser(link: string, services: ConnectServices): Promise<User | undefined> {
  const linked = services.links.read(link);
  const user = linked && (await services.users.find(linked.userId));
  if (user === undefined || user.grant.generation !== linked?.generation) return undefined;
  const { status } = user;
  return status === "reauthorization_required" || status === "mailbox_unavailable"
    ? user
    : undefined;
}

async function callback(request: ConnectRequest, services: ConnectServices): Promise<Response> {
  const { pageLinks } = services;
  const params = readCallback(request.url.searchParams);
  if (params === undefined) return errorPage("session_lost", pageLinks);
  const flowId = flowIdOf(params.state);
  const name = flowCookie(flowId ?? "", services);
  const pending =
    flowId === undefined ? undefined : readPending(cookieOf(request, name), params.state, services);
  if (pending === undefined) return errorPage("session_lost", pageLinks);

  const clearing = cookie(name, "", 0, services);
  if ("error" in params) {
    request.log.info("authorization_refused", "Google sent the person back without a code", {
      error: /^[a-z_]{1,40}$/.test(params.error) ? params.error : "unreadable",
    });
    const isDeclined = params.error === "access_denied";
    return withCookies(errorPage(isDeclined ? "declined" : "session_lost", pageLinks), [clearing]);
  }
  const outcome = await completeAuthorization(params.code, pending, services);
  logAuthorization(request.log, outcome);
  switch (outcome.kind) {
    case "connected": {
      const { session, cookie: sealed } = startSession(outcome.user.id, services);
      const cookies = [clearing, sessionCookie(sealed, services)];
      const { returnTo, appState } = pending;
      if (returnTo === undefined) {
        return withCookies(welcome(outcome, session, services), cookies);
      }
      const { secret } = services.returnTo;
      const to = await returnUrl(outcome.user, returnTo, appState, {
        secret,
        clock: services.clock,
      });
      return withCookies(redirect(to), cookies);
    }
    case "consent_needed": {
      const { returnTo, appState, userId } = pending;
      const wish = { returnTo, appState, userId, loginHint: outcome.emailAddress };
      return withCookies(toGoogle(wish, services), [clearing]);
    }
    default:
      return withCookies(errorPage(pageOf(outcome.kind), pageLinks), [clearing]);
  }
}

function pageOf(kind: Exclude<Authorization["kind"], "connected" | "consent_needed">): PageError {
  return kind === "code_refused" ? "session_lost" : kind;
}

type Callback = { state: string } & ({ code: string } | { error: string });

/** RFC 6749 §4.1.2, RFC 9207 §2: each parameter once, and from the issuer that we sent to. */
function readCallback(params: URLSearchParams): Callback | undefined {
  const names = ["state", "code", "error", "iss"];
  if (names.some((name) => params.getAll(name).length > 1)) return undefined;
  const [state, code, error, issuer] = names.map((name) => params.get(name));
  if (issuer !== null && issuer !== GOOGLE_ISSUER) return undefined;
  if (state === null || state === undefined) return undefined;
  if (typeof error === "string") return typeof code === "string" ? undefined : { state, error };
  return typeof code === "string" && code !== "" ? { state, code } : undefined;
}

function logAuthorization(log: Log, outcome: Authorization): void {
  switch (outcome.kind) {
    case "connected": {
      const { user, isRestored, recoveredChanges, isWatched } = outcome;
      log.info("user_connected", "a person allowed access", {
        userId: user.id,
        generation: user.grant.generation,
        isRestored,
        recoveredChanges,
        isWatched,
      });
      return;
    }
    case "try_later": {
      const { failure } = outcome;
      const reason = "reason" in failure ? failure.reason : failure.kind;
      const isOurs = failure.kind === "misconfigured";
      const write = isOurs ? log.alert : log.warn;
      write("authorization_failed", "an authorization could not be completed", { reason });
      return;
    }
    default:
      log.info("authorization_refused", "an authorization was refused", { reason: outcome.kind });
  }
}

function welcome(
  {
    user,
    isRestored,
    recoveredChanges,
    isCaughtUp,
    isWatched,
  }: Authorization & {
    kind: "connected";
  },
  { csrf }: Session,
  { pageLinks }: ConnectServices,
): Response {
  const news = { ...(isRestored && { recoveredChanges }), isCaughtUp, isWatched };
  return connectedPage(user, csrf, pageLinks, news);
}

async function endConnection(
  request: ConnectRequest,
  services: ConnectServices,
): Promise<Response> {
  const { pageLinks } = services;
  const session = sessionOf(request, services);
  if (session === undefined) return errorPage("session_lost", pageLinks);
  const csrf = (await request.form()).get("csrf");
  if (!isSameOrigin(request, services) || !isOwnForm(session, csrf)) {
    return errorPage("forbidden", pageLinks);
  }
  const user = await services.users.find(session.userId);
  const ended = user && (await disconnect(user, "user_request", services));
  if (ended === "superseded") return errorPage("session_lost", pageLinks);
  const response = disconnectedPage(pageLinks);
  return withCookies(response, [cookie(sessionName(services), "", 0, services)]);
}

/** Browsers say where a form was sent from; without either header there is no browser. */
function isSameOrigin({ headers }: ConnectRequest, { pageLinks }: ConnectServices): boolean {
  const site = headers.get("sec-fetch-site");
  const origin = headers.get("origin");
  if (site !== null && site !== "same-origin" && site !== "none") return false;
  // A page without referrer sends the origin "null" even to itself; the site says the rest.
  if (origin === null || (origin === "null" && site === "same-origin")) return true;
  return origin === new URL(pageLinks.publicUrl).origin;
}

function toGoogle(wish: AuthorizationWish, services: ConnectServices): Response {
  const { url, flowId, cookie: sealed } = requestAuthorization(wish, services);
  const name = flowCookie(flowId, services);
  return withCookies(redirect(url), [cookie(name, sealed, AUTHORIZATION_AGE_MS_MAX, services)]);
}

function redirect(to: string): Response {
  return new Response(null, { status: 303, headers: { ...pageHeaders(), location: to } });
}

function withCookies(response: Response, cookies: readonly string[]): Response {
  for (const each of cookies) response.headers.append("set-cookie", each);
  return response;
}

function isHttps({ pageLinks }: ConnectServices): boolean {
  return pageLinks.publicUrl.startsWith("https:");
}

/** `__Host-` (RFC 6265bis §4.1.3.2) ties a cookie to this host over TLS; loopback has no TLS. */
function cookieName(name: string, services: ConnectServices): string {
  return isHttps(services) ? `__Host-${name}` : name;
}

function flowCookie(flowId: string, services: ConnectServices): string {
  return cookieName(`authorization-${flowId}`, services);
}

function sessionName(services: ConnectServices): string {
  return cookieName("session", services);
}

function sessionCookie(sealed: string, services: ConnectServices): string {
  return cookie(sessionName(services), sealed, SESSION_AGE_MS_MAX, services);
}

function cookie(name: string, value: string, ageMs: number, services: ConnectServices): string {
  const secure = isHttps(services) ? "; Secure" : "";
  return `${name}=${value}; Path=/; Max-Age=${Math.floor(ageMs / 1_000)}; HttpOnly; SameSite=Lax${secure}`;
}

function sessionOf(request: ConnectRequest, services: ConnectServices): Session | undefined {
  return readSession(cookieOf(request, sessionName(services)), services);
}

/** The one cookie of this name; two of them could only be somebody's attempt to slip one in. */
function cookieOf({ headers }: ConnectRequest, name: string): string | undefined {
  const found = (headers.get("cookie") ?? "")
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`));
  return found.length === 1 ? found[0]?.slice(name.length + 1) : undefined;
}
