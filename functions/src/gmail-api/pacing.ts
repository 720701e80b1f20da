import type { Clock } from "../domain/clock.ts";
import type { UserId } from "../domain/user.ts";
import { rateLimit } from "../platform/rate-limit.ts";
import { METHODS } from "./methods.ts";

/**
 * Gmail allows 6,000 units a minute for each user. At most 5,400 of them, burst included, are for
 * subscribers: the rest is for the sync.
 */
const USER_UNITS_PER_MINUTE = 3_600;
const USER_BURST_MINUTES = 0.5;
/** The share of the project's quota that all instances together may take. */
export const PROJECT_SHARE = 0.4;
/** As in `functions.json`: each instance takes an equal share, since they do not communicate. */
export const INSTANCES_MAX = 10;
/** A full bucket holds at least the most expensive call, with any quota. */
const UNITS_MAX = Math.max(...METHODS.map(({ units }) => units));
const SECONDS_PER_MINUTE = 60;

/** Gmail's quota, as far as one instance of `gmailApi` may use it. */
export interface Pacing {
  /** Takes the units of a call, or returns after how many seconds there are enough. */
  take(userId: UserId, units: number): { kind: "taken" } | { kind: "wait"; seconds: number };
}

/** Returns the pacing of one instance for the configured quota. */
export function pacing(unitsPerMinute: number, clock: Pick<Clock, "now">): Pacing {
  const perMinute = (unitsPerMinute * PROJECT_SHARE) / INSTANCES_MAX;
  const project = rateLimit({ perMinute, burstMinutes: Math.max(1, UNITS_MAX / perMinute) }, clock);
  const users = rateLimit(
    { perMinute: USER_UNITS_PER_MINUTE, burstMinutes: USER_BURST_MINUTES },
    clock,
  );
  const wait = (units: number, rate: number) =>
    ({ kind: "wait", seconds: Math.ceil((units * SECONDS_PER_MINUTE) / rate) }) as const;

  return {
    take(userId, units) {
      if (!users.take(userId, units)) return wait(units, USER_UNITS_PER_MINUTE);
      if (project.take("", units)) return { kind: "taken" };
      users.giveBack(userId, units);
      return wait(units, perMinute);
    },
  };
}
