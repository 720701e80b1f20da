import type { ConnectContext } from "./context.ts";
import * as z from "zod";
import { later } from "../domain/clock.ts";
import { type User, type UserId, parseUserId } from "../domain/user.ts";
import { isSame } from "./authorization-request.ts";

/** How long a browser stays signed in after it has connected an account. */
export const SESSION_AGE_MS_MAX = 24 * 3_600_000;
/** How long the first page shows what the authorization recovered. */
const NEWS_AGE_MS_MAX = 10 * 60_000;

const SESSION = z.object({
  userId: z.string(),
  generation: z.int(),
  csrf: z.string(),
  startedAt: z.number(),
  recoveredChanges: z.int().optional(),
});

/** The session of a browser that has connected an account. */
export interface Session {
  userId: UserId;
  /** The grant of this session, which ends with a newer one. */
  generation: number;
  startedAt: Date;
  /** Has to return with every form of this session. */
  csrf: string;
  /** The number of changes that were just recovered, while that is news. */
  recoveredChanges?: number;
}

/** Returns a new sealed session for a person who has just signed in at Google as this user. */
export function startSession(
  { id, grant }: User,
  recoveredChanges: number | undefined,
  { envelope, clock, randomToken }: ConnectContext,
): string {
  return envelope.seal("session", {
    userId: id,
    generation: grant.generation,
    csrf: randomToken(),
    startedAt: clock.now().getTime(),
    ...(recoveredChanges !== undefined && { recoveredChanges }),
  });
}

/** Returns the session in a cookie while it lasts. The user document says whether it has ended. */
export function readSession(
  cookie: string | undefined,
  { envelope, clock }: Pick<ConnectContext, "envelope" | "clock">,
): Session | undefined {
  const content = cookie === undefined ? undefined : envelope.open("session", cookie, SESSION);
  const userId = parseUserId(content?.userId);
  if (content === undefined || userId === undefined) return undefined;
  const { generation, csrf, recoveredChanges } = content;
  const startedAt = new Date(content.startedAt);
  const now = clock.now();
  if (later(startedAt, SESSION_AGE_MS_MAX) <= now) return undefined;
  const isNews = later(startedAt, NEWS_AGE_MS_MAX) > now;
  return {
    userId,
    generation,
    startedAt,
    csrf,
    ...(isNews && recoveredChanges !== undefined && { recoveredChanges }),
  };
}

/**
 * Returns whether the session is still valid: its grant is still the stored one, and no security
 * event has ended the user's sessions since.
 */
export function isSessionOf({ id, grant, signedOutAt }: User, session: Session): boolean {
  if (session.userId !== id || session.generation !== grant.generation) return false;
  return signedOutAt === undefined || session.startedAt > signedOutAt;
}

/** Returns whether a page of this session made the form. */
export function isOwnForm({ csrf }: Session, given: unknown): boolean {
  return typeof given === "string" && isSame(csrf, given);
}
