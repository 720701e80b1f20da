import { type RedirectAnswer, type ConnectContext } from "./context.ts";
import {
  AUTHORIZATION_AGE_MS_MAX,
  type AuthorizationWish,
  requestAuthorization,
} from "./authorization-request.ts";
import { type Session, isSessionOf, readSession } from "./session.ts";
import type { PageFrame } from "./pages/page.ts";
import type { Log } from "../platform/log.ts";
import type { User } from "../domain/user.ts";
import { cookie, flowCookieName, readCookie, sessionCookieName } from "./cookies.ts";

/** Replaces a ticket on the page of a refusal, because the ticket is used up. */
export const USED_TICKET = "used";

/** A request to the pages. */
export interface ConnectRequest {
  url: URL;
  headers: Headers;
  /** The links of the pages, and the texts in the person's language. */
  frame: PageFrame;
  /** The variable part of the path: a link, or the name of a refusal. */
  rest: string;
  form(): Promise<URLSearchParams>;
  log: Log;
  /** Identifies the client for rate limits. */
  client: string;
}

/** RFC 9110 §15.4.4: the next request is a GET, after any method. */
export function redirect({ to, cookies }: RedirectAnswer): Response {
  return withCookies(new Response(null, { status: 303, headers: { location: to } }), cookies);
}

/** Returns the response with these cookies. */
export function withCookies(response: Response, cookies: readonly string[]): Response {
  for (const each of cookies) response.headers.append("set-cookie", each);
  return response;
}

/** Begins an authorization: redirects to Google, with a cookie for what is pending. */
export function toGoogle(wish: AuthorizationWish, context: ConnectContext): RedirectAnswer {
  const { url, flowId, cookie: sealed } = requestAuthorization(wish, context);
  const name = flowCookieName(flowId, context.config.publicUrl);
  return { to: url, cookies: [cookie(name, sealed, AUTHORIZATION_AGE_MS_MAX)] };
}

/** Returns the signed-in user of this browser, while that session lasts. */
export async function signedIn(
  { headers }: ConnectRequest,
  context: ConnectContext,
): Promise<{ user: User; session: Session } | undefined> {
  const name = sessionCookieName(context.config.publicUrl);
  const session = readSession(readCookie(headers, name), context);
  const user = session && (await context.users.find(session.userId));
  if (session === undefined || user === undefined) return undefined;
  return isSessionOf(user, session) ? { user, session } : undefined;
}

/**
 * Returns whether a form was sent by a page of this origin. Browsers say where a form comes from;
 * without either header the client is not a browser. The receiver's pages ask for no referrer, so
 * browsers send the origin `null` with its own forms. Browsers without `Sec-Fetch-Site` (Safari
 * before 16.4) send no more: then the sealed link, or the form's token, has to prove the form.
 */
export function isSameOrigin({ headers }: ConnectRequest, { pageLinks }: ConnectContext): boolean {
  const site = headers.get("sec-fetch-site");
  const origin = headers.get("origin");
  if (site !== null && site !== "same-origin" && site !== "none") return false;
  if (origin === null || (origin === "null" && site !== "none")) return true;
  return origin === new URL(pageLinks.publicUrl).origin;
}
