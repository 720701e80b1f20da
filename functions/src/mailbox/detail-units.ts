import type { Clock } from "../domain/clock.ts";
import type { UserId } from "../domain/user.ts";
import { rateLimit } from "../platform/rate-limit.ts";

/** The cost of `users.messages.get`. */
const MESSAGE_UNITS = 20;
/** Of Gmail's 6,000 units a minute for each user, `gmailApi` may use 5,400. */
const USER_UNITS_PER_MINUTE = 600;
const USER_BURST_MINUTES = 1;
/** The share of the project's quota that all instances together may use. */
export const PROJECT_SHARE = 0.1;
/** Each instance takes an equal share, since they do not communicate. */
const INSTANCES_MAX = 10;

/** Gmail's quota, as far as one instance may use it for details. */
export interface DetailUnits {
  /** Takes the units of one message, or returns false when there are too few. */
  take(userId: UserId): boolean;
}

/** Returns the units of one instance for the configured quota. */
export function detailUnits(unitsPerMinute: number, clock: Pick<Clock, "now">): DetailUnits {
  const perMinute = (unitsPerMinute * PROJECT_SHARE) / INSTANCES_MAX;
  const burstMinutes = Math.max(1, MESSAGE_UNITS / perMinute);
  const project = rateLimit({ perMinute, burstMinutes }, clock);
  const users = rateLimit(
    { perMinute: USER_UNITS_PER_MINUTE, burstMinutes: USER_BURST_MINUTES },
    clock,
  );
  return {
    take(userId) {
      if (!users.take(userId, MESSAGE_UNITS)) return false;
      if (project.take("", MESSAGE_UNITS)) return true;
      users.giveBack(userId, MESSAGE_UNITS);
      return false;
    },
  };
}
