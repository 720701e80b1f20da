import type { Clock } from "../domain/clock.ts";
import type { Call } from "../domain/failure.ts";
import type { UserId } from "../domain/user.ts";
import { type Rate, rateLimit } from "../platform/rate-limit.ts";

/** What a call takes of Gmail's quota, in units (Gmail API, "Usage limits", since May 2026). */
export const GMAIL_UNITS = {
  "history.list": 2,
  "messages.list": 5,
  "messages.get": 20,
  "users.getProfile": 1,
  "users.watch": 100,
} as const satisfies Partial<Record<Call, number>>;

/** As in `functions.json`: each instance takes an equal share, since they do not communicate. */
export const INSTANCES_MAX = 10;

/** A part of Gmail's quota, for the project and for each user. */
export interface QuotaPart {
  /** The quota of the project, in units. */
  unitsPerMinute: number;
  /** The share of it that all instances together may use. */
  share: number;
  /** What one user may use, in units. */
  user: Rate;
  /** The units of the most expensive call: a full bucket holds at least one, with any quota. */
  unitsMax: number;
}

/** A part of Gmail's quota, as far as one instance may use it. */
export interface QuotaBuckets {
  /** Takes the units of one call, or none: then `perMinute` is the rate of what has too few. */
  take(userId: UserId, units: number): { kind: "taken" } | { kind: "short"; perMinute: number };
}

/** Returns the buckets of one instance, full at first. */
export function quotaBuckets(
  { unitsPerMinute, share, user, unitsMax }: QuotaPart,
  clock: Pick<Clock, "now">,
): QuotaBuckets {
  const perMinute = (unitsPerMinute * share) / INSTANCES_MAX;
  const project = rateLimit({ perMinute, burstMinutes: Math.max(1, unitsMax / perMinute) }, clock);
  const users = rateLimit(user, clock);
  return {
    take(userId, units) {
      if (!users.take(userId, units)) return { kind: "short", perMinute: user.perMinute };
      if (project.take("", units)) return { kind: "taken" };
      users.giveBack(userId, units);
      return { kind: "short", perMinute };
    },
  };
}
