import { completeness } from "../domain/completeness.ts";
import type { User } from "../domain/user.ts";

const MS_PER_SECOND = 1_000;

/**
 * What the receiver knows about one user: `GET /users/{userId}`. Read off the stored document, without
 * a call to Google. `reauthorizeUrl` is there only while the person has to allow access again.
 */
export function userState(user: User, now: Date, reauthorizeUrl: string | undefined) {
  const { id, emailAddress, status, statusReason, statusAt, grant, connectedAt, tags } = user;
  const { historyId, completeAt, lagMs, pending, behind } = completeness(user, now);
  return {
    userId: id,
    emailAddress,
    status,
    statusReason,
    statusAt: statusAt.toISOString(),
    scopes: grant.scopes,
    historyId,
    ...(completeAt !== undefined && { completeAt: completeAt.toISOString() }),
    lagSeconds: Math.round(lagMs / MS_PER_SECOND),
    ...(pending !== undefined && { pending }),
    ...(behind !== undefined && {
      behind: {
        since: behind.since.toISOString(),
        reason: behind.reason,
        isReported: behind.isTold,
      },
    }),
    ...(connectedAt !== undefined && { connectedAt: connectedAt.toISOString() }),
    ...(tags !== undefined && { tags }),
    ...(reauthorizeUrl !== undefined && { reauthorizeUrl }),
  };
}
