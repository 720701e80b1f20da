import { z } from "zod";
import { type Clock, later } from "../clock.ts";
import { type UserId, parseUserId } from "../user.ts";
import { isSame } from "./authorization-request.ts";
import type { Envelope } from "./envelope.ts";

/** How long a browser stays signed in after it has connected an account. */
export const SESSION_AGE_MS_MAX = 24 * 3_600_000;

const SESSION = z.object({ userId: z.string(), csrf: z.string(), expiresAt: z.number() });

export interface Session {
  userId: UserId;
  /** Has to come back in every form of this session. */
  csrf: string;
}

export interface SessionServices {
  envelope: Envelope;
  clock: Clock;
  randomToken(): string;
}

/** A new session for whoever has just shown at Google that they are this user. */
export function startSession(
  userId: UserId,
  { envelope, clock, randomToken }: SessionServices,
): { session: Session; cookie: string } {
  const session = { userId, csrf: randomToken() };
  const expiresAt = later(clock.now(), SESSION_AGE_MS_MAX).getTime();
  return { session, cookie: envelope.seal("session", { ...session, expiresAt }) };
}

/** The session that a cookie of ours holds, while it lasts. */
export function readSession(
  cookie: string | undefined,
  { envelope, clock }: SessionServices,
): Session | undefined {
  const content = cookie === undefined ? undefined : envelope.open("session", cookie, SESSION);
  if (content === undefined || content.expiresAt <= clock.now().getTime()) return undefined;
  const userId = parseUserId(content.userId);
  return userId === undefined ? undefined : { userId, csrf: content.csrf };
}

/** True when the form was made by a page of this session. */
export function isOwnForm({ csrf }: Session, given: unknown): boolean {
  return typeof given === "string" && isSame(csrf, given);
}
