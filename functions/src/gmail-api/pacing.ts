import type { Clock } from "../domain/clock.ts";
import type { UserId } from "../domain/user.ts";
import { quotaBuckets } from "../google/quota.ts";
import { METHODS } from "./methods.ts";

/**
 * Gmail allows 6,000 units a minute for each user. At most 5,400 of them, burst included, are for
 * subscribers: the rest is for the sync.
 */
const USER = { perMinute: 3_600, burstMinutes: 0.5 };
/** The share of the project's quota that all instances together may take. */
export const PROJECT_SHARE = 0.4;
const UNITS_MAX = Math.max(...METHODS.map(({ units }) => units));
const SECONDS_PER_MINUTE = 60;

/** Gmail's quota, as far as one instance of `gmailApi` may use it. */
export interface Pacing {
  /** Takes the units of a call, or returns after how many seconds there are enough. */
  take(userId: UserId, units: number): { kind: "taken" } | { kind: "wait"; seconds: number };
}

/** Returns the pacing of one instance for the configured quota. */
export function pacing(unitsPerMinute: number, clock: Pick<Clock, "now">): Pacing {
  const quota = { unitsPerMinute, share: PROJECT_SHARE, user: USER, unitsMax: UNITS_MAX };
  const buckets = quotaBuckets(quota, clock);
  return {
    take(userId, units) {
      const taken = buckets.take(userId, units);
      if (taken.kind === "taken") return taken;
      const seconds = Math.ceil((units * SECONDS_PER_MINUTE) / taken.perMinute);
      return { kind: "wait", seconds };
    },
  };
}
