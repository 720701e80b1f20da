import { type RedirectAnswer, type ConnectContext } from "./context.ts";
import {
  AUTHORIZATION_AGE_MS_MAX,
  type AuthorizationWish,
  requestAuthorization,
} from "./authorization-request.ts";
import { type Session, isSessionOf, readSession } from "./session.ts";
import type { Log } from "../platform/log.ts";
import type { User } from "../domain/user.ts";
import { cookie, flowCookieName, readCookie, sessionCookieName } from "./cookies.ts";

/** In place of a ticket, at the page of a refusal: it cannot be used again. */
export const USED_TICKET = "used";

export interface ConnectRequest {
  url: URL;
  headers: Headers;
  /** What stands for itself in the path: a link, or the name of a refusal. */
  rest: string;
  form(): Promise<URLSearchParams>;
  log: Log;
  /** By what this client is told from others. */
  client: string;
}

/** RFC 9110 §15.4.4: what follows is got with GET, whatever this was asked with. */
export function redirect({ to, cookies }: RedirectAnswer): Response {
  return withCookies(new Response(null, { status: 303, headers: { location: to } }), cookies);
}

export function withCookies(response: Response, cookies: readonly string[]): Response {
  for (const each of cookies) response.headers.append("set-cookie", each);
  return response;
}

/** Begins an authorization: the browser goes to Google, and keeps what is pending. */
export function toGoogle(wish: AuthorizationWish, context: ConnectContext): RedirectAnswer {
  const { url, flowId, cookie: sealed } = requestAuthorization(wish, context);
  const name = flowCookieName(flowId, context.config.publicUrl);
  return { to: url, cookies: [cookie(name, sealed, AUTHORIZATION_AGE_MS_MAX)] };
}

/** Whose browser this is, as long as the session of that person goes on. */
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
 * Browsers say where a form was sent from; without either header there is no browser. Our pages ask
 * for no referrer, so browsers send the origin `null` with our own forms. Browsers that do not send
 * `Sec-Fetch-Site` as well (Safari before 16.4) leave it at that: then the sealed link, or the form's
 * proof, has to tell that the form is ours.
 */
export function isSameOrigin({ headers }: ConnectRequest, { pageLinks }: ConnectContext): boolean {
  const site = headers.get("sec-fetch-site");
  const origin = headers.get("origin");
  if (site !== null && site !== "same-origin" && site !== "none") return false;
  if (origin === null || (origin === "null" && site !== "none")) return true;
  return origin === new URL(pageLinks.publicUrl).origin;
}
