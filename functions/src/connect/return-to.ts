import type { ConnectContext } from "./context.ts";
import { SignJWT } from "jose";
import type { User } from "../domain/user.ts";

/** How long the application has to read `connection`. */
const CONNECTION_AGE_SECONDS_MAX = 5 * 60;
const APP_STATE_CHARS_MAX = 512;
const RETURN_TO_CHARS_MAX = 1_000;

/**
 * Returns the registered URL that `return_to` names, or `undefined`. It must be the whole URL, with
 * path and query, as the URL parser writes it (RFC 9700 §4.1: no prefixes, no patterns).
 */
export function parseReturnTo(value: string, urls: readonly string[]): string | undefined {
  // A URL parser silently repairs these, and another parser may repair them differently.
  if (value.length > RETURN_TO_CHARS_MAX || /[\s\\\p{Cc}]/u.test(value)) return undefined;
  if (!URL.canParse(value)) return undefined;
  const { href } = new URL(value);
  return urls.find((url) => url === href);
}

/** Returns whether a value can be `app_state`: its cookie has little room. */
export function isAppState(value: string): boolean {
  return value.length <= APP_STATE_CHARS_MAX && !/[\p{Cc}\p{Cs}]/u.test(value);
}

/** What the application receives about a connection in addition to the mailbox. */
export interface Recipient {
  /** The registered URL: the only audience of the token. */
  returnTo: string;
  appState?: string | undefined;
  /** The application's own user, if a start ticket named one. */
  appSub?: string | undefined;
}

/**
 * Returns `return_to` with `connection=` a JWT (RFC 7519, HS256, `typ: connection+jwt`) that tells
 * the application which mailbox the browser has connected; without `RETURN_TO_SECRET`, the URL
 * alone.
 */
export async function returnUrl(
  { id, emailAddress }: User,
  { returnTo, appState, appSub }: Recipient,
  { config, randomToken, clock }: ConnectContext,
): Promise<string> {
  const url = new URL(returnTo);
  const { secret } = config.returnTo;
  if (secret === undefined) return url.href;
  const now = Math.floor(clock.now().getTime() / 1_000);
  const claims = {
    email: emailAddress,
    ...(appState !== undefined && { app_state: appState }),
    ...(appSub !== undefined && { app_sub: appSub }),
  };
  const connection = await new SignJWT(claims)
    // An explicit type (RFC 8725 §3.11): a start ticket with the same secret is not a connection.
    .setProtectedHeader({ alg: "HS256", typ: "connection+jwt" })
    .setIssuer(config.publicUrl)
    .setAudience(returnTo)
    .setSubject(id)
    .setJti(randomToken())
    .setIssuedAt(now)
    .setExpirationTime(now + CONNECTION_AGE_SECONDS_MAX)
    .sign(new TextEncoder().encode(secret));
  url.searchParams.set("connection", connection);
  return url.href;
}
