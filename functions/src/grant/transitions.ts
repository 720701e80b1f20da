import { type Clock, later } from "../clock.ts";
import type { GrantFailure } from "../mailbox/access.ts";
import { atOnce } from "../mailbox/sync-due.ts";
import type { Grant, Status, User, UserPatch } from "../user.ts";

/**
 * The changes of a user's status, each as the patch that it writes. Only an authorization writes a
 * status elsewhere. A user who is not active is on no due list but `followUp.dueAt`: watch and
 * mailbox cost nothing until they are active again.
 */

/**
 * How long the run that changes a status has to announce it itself before the reconciliation does.
 * Longer than any run, so that subscribers are not told twice.
 */
export const ANNOUNCE_GRACE_MS = 2 * 60_000;

/** The `statusReason` of a user whose grant had ended and whose address belongs to another account. */
export const ADDRESS_MOVED = "address_moved";

type Transition = UserPatch & { status: Status };

/**
 * Google takes the grant, or its account, no longer. An unavailable mailbox keeps its refresh token:
 * the grant may be sound, and is probed.
 */
export function flagged(
  { grant, watch, sync, followUp }: User,
  { kind, reason }: GrantFailure,
  now: Date,
): Transition {
  const status = kind === "reauthorize" ? "reauthorization_required" : "mailbox_unavailable";
  return {
    status,
    statusReason: reason,
    statusAt: now,
    grant: status === "mailbox_unavailable" ? withoutAccessToken(grant) : withoutTokens(grant),
    watch: withoutRenewal(watch),
    sync: withoutDue(sync),
    followUp: { ...followUp, dueAt: later(now, ANNOUNCE_GRACE_MS), failures: 0 },
  };
}

/**
 * The person ends the connection. The tokens stay until Google has heard of it: they are removed
 * with {@link withoutTokens}.
 */
export function disconnected(
  { watch, sync, followUp }: User,
  reason: string,
  now: Date,
): Transition {
  return {
    status: "disconnected",
    statusReason: reason,
    statusAt: now,
    watch: withoutRenewal(watch),
    sync: withoutDue(sync),
    followUp: { ...followUp, dueAt: later(now, ANNOUNCE_GRACE_MS), failures: 0 },
  };
}

/**
 * The address belongs to another account, and the grant has ended at Google, so nothing is left to
 * revoke. It is announced at once by the reconciliation: no run does so.
 */
export function displaced(user: User, now: Date): Transition {
  return {
    ...disconnected(user, ADDRESS_MOVED, now),
    grant: withoutTokens(user.grant),
    followUp: { ...user.followUp, dueAt: now, failures: 0 },
  };
}

/**
 * An unavailable mailbox is there again. Everything is due at once: the watch, what was missed, and
 * the announcement of a new episode.
 */
export function restored(
  { watch, sync, followUp: { episode = 1 } }: User,
  clock: Pick<Clock, "now">,
): Transition {
  const now = clock.now();
  return {
    status: "active",
    statusReason: "available_again",
    statusAt: now,
    watch: { ...watch, renewAt: now, failures: 0 },
    sync: { ...sync, ...atOnce(clock) },
    followUp: { episode: episode + 1, dueAt: later(now, ANNOUNCE_GRACE_MS), failures: 0 },
  };
}

/** What is left of a grant that is over. */
export function withoutTokens(grant: Grant): Grant {
  const { refreshToken: _, refreshTokenDigests: __, ...rest } = withoutAccessToken(grant);
  return rest;
}

function withoutAccessToken(grant: Grant): Grant {
  const { accessToken: _, accessTokenExpiresAt: __, ...rest } = grant;
  return rest;
}

/** A watch that is not renewed. */
function withoutRenewal({ renewAt: _, ...watch }: User["watch"]): User["watch"] {
  return watch;
}

/** A mailbox that is not due: its status says more than that it is late. */
function withoutDue(sync: User["sync"]): User["sync"] {
  const {
    dueAt: _,
    dueReason: __,
    failure: ___,
    behindSince: ____,
    delayedAt: _____,
    ...kept
  } = sync;
  return { ...kept, retries: 0 };
}
