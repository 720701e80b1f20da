import type { GrantContext } from "./context.ts";
import type { Flagging, GrantFailure } from "../domain/access.ts";
import { modify } from "../store/modify.ts";
import { type User, sameGrant } from "../domain/user.ts";
import { announce } from "./announcement.ts";
import { flagged } from "../domain/transitions.ts";
import { isWeekly } from "./weekly-grant.ts";

/**
 * Ends all background work for a user whose grant failed, by one conditional write that removes the
 * dates of the due lists. It writes only if the generation is the one that failed and, for an
 * unavailable mailbox, it has not come back since. The run that wrote publishes the status; if it
 * dies first, the reconciliation does.
 */
export async function flag(
  failed: User,
  failure: GrantFailure,
  context: GrantContext,
): Promise<Flagging> {
  const { users, fleetGuard } = context;
  const user = await users.find(failed.id);
  if (user === undefined || isPast(failed, failure, user)) return { kind: "superseded" };
  if (isOfOldToken(failed, failure, user)) return { kind: "outdated" };
  if (!(await fleetGuard.admits(user))) return { kind: "guarded" };
  return suspend(failed, failure, context, user);
}

/**
 * Flags a user because an operator says so, for a `reason` of the operator. Nothing has failed, so
 * the fleet guard neither counts nor stops it.
 */
export function flagByHand(user: User, reason: string, context: GrantContext): Promise<Flagging> {
  return suspend(user, { kind: "reauthorize", reason }, context);
}

async function suspend(
  failed: User,
  failure: GrantFailure,
  context: GrantContext,
  from?: User,
): Promise<Flagging> {
  const { users, clock, log, telemetry } = context;
  const { reason } = failure;
  const mustNotWrite = (user: User) =>
    isPast(failed, failure, user) || (from !== undefined && isOfOldToken(failed, failure, user));
  const modified = await modify(
    users,
    failed.id,
    (user) => (mustNotWrite(user) ? "skip" : flagged(user, failure, clock.now())),
    { what: "a failed grant", ...(from !== undefined && { from }) },
  );
  if (modified.kind === "skipped") {
    const { user: stored } = modified;
    const isOutdated = stored !== undefined && !isPast(failed, failure, stored);
    return { kind: isOutdated ? "outdated" : "superseded" };
  }
  const { user } = modified;
  const { status } = user;
  log.info("user_flagged", "suspended background work for a user", {
    userId: user.id,
    status,
    reason,
    generation: user.grant.generation,
  });
  telemetry.count("gmail_receiver.flags", 1, { status, reason });
  if (isWeekly(user)) {
    log.warn(
      "oauth_testing_mode_suspected",
      "a grant ended after seven days, as all do while the OAuth consent screen is in testing; publish it",
      { userId: user.id },
    );
  }
  await announce(user, context);
  return { kind: "flagged", status, reason };
}

/**
 * Returns whether the failure no longer concerns this user's grant. If an unavailable mailbox has
 * come back since, earlier failures of the mailbox are outdated, but not failures of the grant: the
 * refresh token is still the same.
 */
function isPast(failed: User, failure: GrantFailure, user: User): boolean {
  const isOtherEpisode = user.followUp.episode !== failed.followUp.episode;
  return !sameGrant(failed, user) || (isOtherEpisode && failure.kind === "mailbox_unavailable");
}

/**
 * Returns whether Google refused a refresh token that it had replaced for another run, which needed
 * longer to store the new one than this run to confirm the refusal.
 */
function isOfOldToken(failed: User, { kind }: GrantFailure, { grant }: User): boolean {
  return kind === "reauthorize" && grant.refreshToken !== failed.grant.refreshToken;
}
