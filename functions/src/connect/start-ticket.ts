import type { ConnectContext } from "./context.ts";
import { printable, TAGS } from "../domain/tags.ts";
import { errors, jwtVerify } from "jose";
import * as z from "zod";
import { later } from "../domain/clock.ts";
import { type Result, err, ok } from "../domain/result.ts";
import { type CallbackId, callbackIdOf } from "../domain/callback-claims.ts";
import { isAppState, parseReturnTo } from "./return-to.ts";

/** What an application says about a person whom it sends to `/start`, signed. */
export interface StartTicket {
  /** Names the ticket, so that it is used once. */
  id: CallbackId;
  /** From then on the ticket is rejected because of its age. */
  expireAt: Date;
  /** The origin of the application that signed it. */
  issuer: string;
  /** The application's own user. */
  appSub: string;
  returnTo?: string;
  appState?: string;
  tags?: Readonly<Record<string, string>>;
}

const AGE_SECONDS_MAX = 10 * 60;
/** The allowed difference between the application's clock and this instance's. */
const CLOCK_TOLERANCE_SECONDS = 30;
/** More than the longest fields together; bounds the work for what strangers send. */
const TICKET_CHARS_MAX = 6_000;
const APP_SUB_CHARS_MAX = 255;

const CLAIMS = z.object({
  iss: z.string(),
  aud: z.string(),
  jti: z.string().min(1).max(255),
  iat: z.number(),
  exp: z.number(),
  sub: printable(APP_SUB_CHARS_MAX).min(1),
  return_to: z.string().optional(),
  app_state: z.string().refine(isAppState).optional(),
  tags: TAGS.optional(),
});

/**
 * Verifies a start ticket: a JWT (RFC 7519) that the application signs with `RETURN_TO_SECRET`
 * (HS256), with `typ: connect-ticket+jwt`, `iss` an origin of `RETURN_TO_URLS`, `aud` `PUBLIC_URL`,
 * and at most ten minutes between `iat` and `exp`. The caller checks whether it was used before.
 * The error is a stable code, or the name of the claim that is wrong.
 */
export async function readTicket(
  compact: string,
  {
    config,
    clock,
  }: {
    config: Pick<ConnectContext["config"], "publicUrl" | "returnTo">;
    clock: ConnectContext["clock"];
  },
): Promise<Result<StartTicket, string>> {
  const { urls, secret } = config.returnTo;
  if (secret === undefined) return err("secret_missing");
  if (compact.length > TICKET_CHARS_MAX) return err("too_long");
  try {
    const { payload } = await jwtVerify(compact, new TextEncoder().encode(secret), {
      algorithms: ["HS256"],
      typ: "connect-ticket+jwt",
      issuer: [...new Set(urls.map((url) => new URL(url).origin))],
      audience: config.publicUrl,
      requiredClaims: ["iat", "exp", "jti", "sub"],
      maxTokenAge: AGE_SECONDS_MAX,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: clock.now(),
    });
    const { data: claims, error } = CLAIMS.safeParse(payload);
    if (claims === undefined) {
      return err(String(error.issues[0]?.path[0] ?? "claims"));
    }
    const { iss, jti, iat, exp, sub, app_state, tags } = claims;
    if (exp - iat > AGE_SECONDS_MAX) return err("exp");
    const returnTo =
      claims.return_to === undefined ? undefined : parseReturnTo(claims.return_to, urls);
    if (claims.return_to !== undefined && returnTo === undefined) {
      return err("return_to");
    }
    return ok({
      id: callbackIdOf(JSON.stringify(["connect-ticket", iss, jti])),
      // It is remembered for as long as it is valid.
      expireAt: later(new Date(exp * 1_000), 2 * CLOCK_TOLERANCE_SECONDS * 1_000),
      issuer: iss,
      appSub: sub,
      ...(returnTo !== undefined && { returnTo }),
      ...(app_state !== undefined && { appState: app_state }),
      ...(tags !== undefined && { tags }),
    });
  } catch (error) {
    // Only stable codes and names of claims: a message can quote the ticket.
    if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired) {
      return err(error.claim);
    }
    if (error instanceof errors.JOSEError) return err(error.code);
    throw error;
  }
}
