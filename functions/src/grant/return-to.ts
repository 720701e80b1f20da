import { SignJWT } from "jose";
import type { Clock } from "../clock.ts";
import type { User } from "../user.ts";

/** How long the application has to read `connection`. */
const CONNECTION_AGE_SECONDS_MAX = 5 * 60;
export const APP_STATE_CHARS_MAX = 512;
const RETURN_TO_CHARS_MAX = 1_000;

/** An absolute URL on one of the allowed origins, or `undefined`. */
export function parseReturnTo(value: string, origins: readonly string[]): string | undefined {
  if (value.length > RETURN_TO_CHARS_MAX || !URL.canParse(value)) return undefined;
  const url = new URL(value);
  if (!origins.includes(url.origin) || url.username !== "" || url.password !== "") return undefined;
  return url.href;
}

/**
 * `return_to` with `connection=` a JWT (RFC 7519, HS256) that tells the application which mailbox
 * the browser in front of it has connected, when `RETURN_TO_SECRET` is set.
 */
export async function returnUrl(
  { id, emailAddress }: User,
  returnTo: string,
  appState: string | undefined,
  { secret, clock }: { secret: string | undefined; clock: Clock },
): Promise<string> {
  const url = new URL(returnTo);
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
