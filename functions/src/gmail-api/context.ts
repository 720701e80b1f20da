import type { Access, Unanswered } from "../domain/access.ts";
import type { Result } from "../domain/result.ts";
import type { User, UserId } from "../domain/user.ts";
import type { PassThrough } from "../google/gmail-pass-through.ts";
import type { GrantContext } from "../grant/context.ts";
import type { RateLimit } from "../platform/rate-limit.ts";
import type { Pacing } from "./pacing.ts";

/** A user with a stored live access token, or why there is none. */
export type ReadyAccess = Result<{ user: User; access: Access }, Unanswered>;

/** One refresh for all calls of a user that need it. */
export interface Refresh {
  result: Promise<ReadyAccess>;
  /** When it failed; absent until then. */
  failedAt?: Date;
}

/** What the calls of subscribers use. */
export interface GmailApiContext extends GrantContext {
  passThrough: PassThrough;
  pacing: Pacing;
  /** The refreshes of this instance that are under way or have just failed, one for each user at most. */
  refreshes: Map<UserId, Refresh>;
  /** Takes the records of failures: callers can cause them as often as they like. */
  reports: RateLimit;
}
