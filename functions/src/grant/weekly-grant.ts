import { later } from "../domain/clock.ts";
import type { User } from "../domain/user.ts";

const HOUR_MS = 3_600_000;
/** The lifetime of Google's refresh tokens while the OAuth consent screen is in "testing". */
const TESTING_MS = 7 * 24 * HOUR_MS;
/** A dead token is noticed at the next call; a quiet mailbox is read every six hours. */
const NOTICED_MS = 12 * HOUR_MS;

/**
 * Returns whether the refresh token of a flagged user died after exactly seven days, as all do
 * while the project's consent screen is in testing (Google Identity, "Refresh token expiration").
 * This can be a coincidence, so it is only used for advice.
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
