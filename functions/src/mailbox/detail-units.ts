import type { Clock } from "../domain/clock.ts";
import type { UserId } from "../domain/user.ts";
import { GMAIL_UNITS, quotaBuckets } from "../google/quota.ts";

/** Of Gmail's 6,000 units a minute for each user, `gmailApi` may use 5,400. */
const USER = { perMinute: 600, burstMinutes: 1 };
/** The share of the project's quota that all instances together may use. */
export const PROJECT_SHARE = 0.1;

/** Gmail's quota, as far as one instance may use it for details. */
export interface DetailUnits {
  /** Takes the units of one message, or returns false when there are too few. */
  take(userId: UserId): boolean;
}

/** Returns the units of one instance for the configured quota. */
export function detailUnits(unitsPerMinute: number, clock: Pick<Clock, "now">): DetailUnits {
  const unitsMax = GMAIL_UNITS["messages.get"];
  const buckets = quotaBuckets(
    { unitsPerMinute, share: PROJECT_SHARE, user: USER, unitsMax },
    clock,
  );
  return { take: (userId) => buckets.take(userId, unitsMax).kind === "taken" };
}
