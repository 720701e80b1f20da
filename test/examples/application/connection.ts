import { createHash, timingSafeEqual } from "node:crypto";
import { errors, jwtVerify } from "jose";
import { z } from "zod";

/** The mailbox that the person in front of this browser has connected. */
export interface Connection {
  /** `userId` of every event about this mailbox. */
  userId: string;
  email: string;
}

export interface ConnectionOptions {
  /** The URL of this application that the receiver has registered (`RETURN_TO_URLS`). */
  returnTo: string;
  /** `PUBLIC_URL` of the receiver. */
  receiverUrl: string;
  /** `RETURN_TO_SECRET` of the receiver. */
  secret: string;
  /** True for the first use of an id; ids must be remembered until `expiresAt`. */
  useOnce(id: string, expiresAt: Date): boolean | Promise<boolean>;
  now(): Date;
}

const CLAIMS = z.object({
  sub: z.string().min(1),
  email: z.string(),
  app_state: z.string(),
  jti: z.string().min(1),
  exp: z.number(),
});

/**
 * Reads the `connection` that the receiver adds to `return_to`: a JWT (RFC 7519) that is signed with
 * the shared secret, is of this type, comes from this receiver, is for this URL, is at most five
 * minutes old, was not used before, and is about the visit that this browser began. `appState`
 * proves the last: without it, someone could send a person here with the result of another visit.
 */
export async function readConnection(
  token: string,
  appState: string,
  { returnTo, receiverUrl, secret, useOnce, now }: ConnectionOptions,
): Promise<Connection | undefined> {
  try {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(secret), {
      algorithms: ["HS256"],
      typ: "connection+jwt",
      issuer: receiverUrl,
      audience: returnTo,
      maxTokenAge: "5 minutes",
      requiredClaims: ["exp"],
      currentDate: now(),
    });
    const claims = CLAIMS.safeParse(payload).data;
    if (claims === undefined || !isSame(claims.app_state, appState)) return undefined;
    if (!(await useOnce(claims.jti, new Date(claims.exp * 1_000)))) return undefined;
    return { userId: claims.sub, email: claims.email };
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

/** In a time that does not depend on where the two differ. */
function isSame(given: string, expected: string): boolean {
  const digest = (value: string) => createHash("sha256").update(value).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
