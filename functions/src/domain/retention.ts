import { type Clock, later } from "./clock.ts";
import { type FollowUp, type User, storeNow } from "./user.ts";

/** How long what is kept of a person outlives their grant. */
export interface Retention {
  /** `forgetAfterDays`: 0 for ever. */
  config: { forgetAfterDays: number };
  clock: Clock;
}

/** The reason of a person who is to be erased at once. */
export const ERASED = "erased";

const DAY_MS = 24 * 3_600_000;
/** A due date more than eight days ahead counts as that of a wrong clock (`each-due.ts`). */
const LOOK_AFTER_MS = 7 * DAY_MS;

/**
 * When a user is to be forgotten: at once if they are being erased, else some time after their grant
 * has ended, whether they ended it themselves or never allowed access again. `undefined`: never. A
 * mailbox that is unavailable still has its grant.
 */
export function forgetAt(
  { status, statusReason, statusAt }: Pick<User, "status" | "statusReason" | "statusAt">,
  { config: { forgetAfterDays } }: Pick<Retention, "config">,
): Date | undefined {
  if (status === "disconnected" && statusReason === ERASED) return statusAt;
  const isEnded = status === "disconnected" || status === "reauthorization_required";
  return isEnded && forgetAfterDays > 0 ? later(statusAt, forgetAfterDays * DAY_MS) : undefined;
}

/** When to look next whether a user is to be forgotten: within a week, or never. */
export function nextLook(user: User, retention: Retention): Date | undefined {
  const at = forgetAt(user, retention);
  if (at === undefined) return undefined;
  const look = later(storeNow(user, retention.clock), LOOK_AFTER_MS);
  return at < look ? at : look;
}

/** Nothing is owed any more, but to forget the user in time. */
export function settled(
  user: User,
  { dueAt: _, ...followUp }: FollowUp,
  retention: Retention,
): FollowUp {
  const dueAt = nextLook(user, retention);
  return dueAt === undefined ? followUp : { ...followUp, dueAt };
}
