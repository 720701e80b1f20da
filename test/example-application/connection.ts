import { createHash, timingSafeEqual } from "node:crypto";
import { errors, jwtVerify } from "jose";
import { z } from "zod";

/** The mailbox that the person in front of this browser has connected. */
export interface Connection {
  /** `userId` of every event about this mailbox. */
  userId: string;
  email: string;
}

const CLAIMS = z.object({ sub: z.string().min(1), email: z.string(), app_state: z.string() });

/**
 * Reads the `connection` that the receiver adds to `return_to`: a JWT (RFC 7519) signed with the
 * secret that the two share, for this application alone, at most five minutes old, and about the
 * very visit that this browser began, which is what `appState` stands for. Without that last check
 * a person could be sent here with the answer to somebody else's visit.
 */
export async function readConnection(
  token: string,
  appState: string,
  { origin, secret, now }: { origin: string; secret: string; now(): Date },
): Promise<Connection | undefined> {
  try {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(secret), {
      algorithms: ["HS256"],
      audience: origin,
      maxTokenAge: "5 minutes",
      requiredClaims: ["exp"],
      currentDate: now(),
    });
    const claims = CLAIMS.safeParse(payload).data;
    if (claims === undefined || !isSame(claims.app_state, appState)) return undefined;
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
