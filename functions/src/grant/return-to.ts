import { SignJWT } from "jose";
import type { Clock } from "../clock.ts";
import type { User } from "../user.ts";

/** How long the application has to read `connection`. */
const CONNECTION_AGE_SECONDS_MAX = 5 * 60;
const APP_STATE_CHARS_MAX = 512;
const RETURN_TO_CHARS_MAX = 1_000;

/**
 * An absolute URL on one of the allowed origins, or `undefined`. What comes out is what the parser
 * understood, so that no other parser can understand it differently.
 */
export function parseReturnTo(value: string, origins: readonly string[]): string | undefined {
  // A URL parser mends these in silence; whoever sends them means to be misunderstood.
  if (value.length > RETURN_TO_CHARS_MAX || /[\s\\\p{Cc}]/u.test(value)) return undefined;
  if (!URL.canParse(value)) return undefined;
  const { href, origin, username, password } = new URL(value);
  if (!origins.includes(origin) || username !== "" || password !== "") return undefined;
  // `blob:https://...` is of that origin, too.
  if (!href.startsWith(`${origin}/`)) return undefined;
  return href.length > RETURN_TO_CHARS_MAX ? undefined : href;
}

/** What `app_state` may be: the cookie that keeps it has little room. */
export function isAppState(value: string): boolean {
  return value.length <= APP_STATE_CHARS_MAX && !/\p{Cc}/u.test(value);
}

/**
 * `return_to` with `connection=` a JWT (RFC 7519, HS256) that tells the application which mailbox
 * the browser in front of it has connected, when `RETURN_TO_SECRET` is set. A `connection` of
 * anybody else's making is taken out.
 */
export async function returnUrl(
  { id, emailAddress }: User,
  returnTo: string,
  appState: string | undefined,
  { secret, clock }: { secret: string | undefined; clock: Clock },
): Promise<string> {
  const url = new URL(returnTo);
  if (url.searchParams.has("connection")) url.searchParams.delete("connection");
  if (secret === undefined) return url.href;
  const now = Math.floor(clock.now().getTime() / 1_000);
  const claims = { email: emailAddress, ...(appState !== undefined && { app_state: appState }) };
  const connection = await new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(id)
    .setAudience(url.origin)
    .setIssuedAt(now)
    .setExpirationTime(now + CONNECTION_AGE_SECONDS_MAX)
    .sign(new TextEncoder().encode(secret));
  url.searchParams.set("connection", connection);
  return url.href;
}
