import { later } from "../domain/clock.ts";
import type { User } from "../domain/user.ts";

const HOUR_MS = 3_600_000;
/** How long Google's refresh tokens live while the OAuth consent screen is in "testing". */
const TESTING_MS = 7 * 24 * HOUR_MS;
/** A dead token shows at the next call; a quiet mailbox is read every six hours. */
const NOTICED_MS = 12 * HOUR_MS;

/**
 * True of a flagged user whose refresh token died as all of them do while our project's consent
 * screen is in testing (Google Identity, "Refresh token expiration"): seven days after the grant.
 * It can be a coincidence, so it is a reason for advice and for nothing else.
 */
export function isWeekly({
  statusReason,
  statusAt,
  grant,
}: Pick<User, "statusReason" | "statusAt" | "grant">): boolean {
  const endedAt = later(grant.grantedAt, TESTING_MS);
  const isOfThatAge = statusAt >= endedAt && statusAt <= later(endedAt, NOTICED_MS);
  return statusReason === "invalid_grant" && isOfThatAge;
}
