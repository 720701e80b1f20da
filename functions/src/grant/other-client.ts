import { type Clock, later } from "../domain/clock.ts";
import type { Log } from "../platform/log.ts";
import type { UserId } from "../domain/user.ts";

/** One wrong configuration concerns every user: each instance alerts only this often. */
const ALERT_EVERY_MS = 3_600_000;

/**
 * Returns a function that alerts that a stored grant belongs to another OAuth client than the
 * configured one.
 */
export function otherClientAlert(clock: Clock, log: Log): (userId: UserId) => void {
  let silentUntil = new Date(0);
  return (userId) => {
    const now = clock.now();
    if (now < silentUntil) return;
    silentUntil = later(now, ALERT_EVERY_MS);
    log.alert(
      "grant_of_another_client",
      "a stored grant belongs to another OAuth client than OAUTH_CLIENT_ID; no user is flagged",
      { userId },
    );
  };
}
