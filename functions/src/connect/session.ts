import type { ConnectContext } from "./context.ts";
import { z } from "zod";
import { later } from "../domain/clock.ts";
import { type User, type UserId, parseUserId } from "../domain/user.ts";
import { isSame } from "./authorization-request.ts";

/** How long a browser stays signed in after it has connected an account. */
export const SESSION_AGE_MS_MAX = 24 * 3_600_000;
/** How long the first page tells what the authorization brought. */
const NEWS_AGE_MS_MAX = 10 * 60_000;

const SESSION = z.object({
  userId: z.string(),
  generation: z.int(),
  csrf: z.string(),
  startedAt: z.number(),
  recoveredChanges: z.int().optional(),
});

export interface Session {
  userId: UserId;
  /** The grant that the person gave when it began; with a newer one it is over. */
  generation: number;
  startedAt: Date;
  /** Has to come back in every form of this session. */
  csrf: string;
  /** What has just been made good, for as long as that is news. */
  recoveredChanges?: number;
}

/** A new session, sealed, for whoever has just shown at Google that they are this user. */
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

/** The session that a cookie of ours holds, while it lasts. Whether it has ended, the user tells. */
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
 * True when the session goes on: the grant that it began with is still the one that is stored, and
 * the user has not been signed out since, because Google said that the account is at risk.
 */
export function isSessionOf({ id, grant, signedOutAt }: User, session: Session): boolean {
  if (session.userId !== id || session.generation !== grant.generation) return false;
  return signedOutAt === undefined || session.startedAt > signedOutAt;
}

/** True when the form was made by a page of this session. */
export function isOwnForm({ csrf }: Session, given: unknown): boolean {
  return typeof given === "string" && isSame(csrf, given);
}
