import { type Clock, later } from "./clock.ts";
import { type FollowUp, type User, storeNow } from "./user.ts";

/** How long a person's data outlives their grant. */
export interface Retention {
  /** `forgetAfterDays`: 0 for ever. */
  config: { forgetAfterDays: number };
  clock: Clock;
}

/** The `statusReason` of a person whose data is being erased. */
export const ERASED = "erased";

const DAY_MS = 24 * 3_600_000;
/** A due date more than eight days ahead counts as written by a wrong clock (`each-due.ts`). */
const LOOK_AFTER_MS = 7 * DAY_MS;

/**
 * Returns when to erase a user: at once if they asked for it, otherwise some time after their grant
 * has ended, because they disconnected or never allowed access again. `undefined`: never. An
 * unavailable mailbox still has its grant.
 */
export function forgetAt(
  { status, statusReason, statusAt }: Pick<User, "status" | "statusReason" | "statusAt">,
  { config: { forgetAfterDays } }: Pick<Retention, "config">,
): Date | undefined {
  if (status === "disconnected" && statusReason === ERASED) return statusAt;
  const isEnded = status === "disconnected" || status === "reauthorization_required";
  return isEnded && forgetAfterDays > 0 ? later(statusAt, forgetAfterDays * DAY_MS) : undefined;
}

/** Returns when to check next whether to erase a user: within a week, or never. */
export function nextLook(user: User, retention: Retention): Date | undefined {
  const at = forgetAt(user, retention);
  if (at === undefined) return undefined;
  const look = later(storeNow(user, retention.clock), LOOK_AFTER_MS);
  return at < look ? at : look;
}

/** Returns the work of a user for whom only the erasure is left, in time. */
export function settled(
  user: User,
  { dueAt: _, ...followUp }: FollowUp,
  retention: Retention,
): FollowUp {
  const dueAt = nextLook(user, retention);
  return dueAt === undefined ? followUp : { ...followUp, dueAt };
}
