import type { Addresses } from "./addresses.ts";
import { type Clock, later } from "./clock.ts";
import type { GrantFailure } from "./access.ts";
import { completeSince } from "./completeness.ts";
import type { HistoryId } from "./history-id.ts";
import { atOnce } from "./schedule.ts";
import { newSnapshot } from "./snapshot.ts";
import type {
  InactiveUser,
  Grant,
  Status,
  Sync,
  User,
  UserContent,
  UserPatch,
  Watch,
} from "./user.ts";
import { ERASED } from "./retention.ts";

/*
 * The changes of a user's status, each as what it writes; nothing else writes one. A user who is not
 * active is on no due list but `followUp.dueAt`: watch and mailbox cost nothing until the user is
 * active again.
 */

/**
 * How long the run that changes a status has to publish it before the reconciliation does. Longer
 * than any run, so that it is not published twice.
 */
const ANNOUNCE_GRACE_MS = 2 * 60_000;

/**
 * The `statusReason` of a user whose grant had ended and whose address belongs to another account.
 */
const ADDRESS_MOVED = "address_moved";

type Transition = UserPatch & { status: Status };

/** The change of a user without further work: no date of a due list can be left. */
interface Ending extends Transition {
  status: InactiveUser["status"];
  watch: InactiveUser["watch"];
  sync: InactiveUser["sync"] & { behindSince?: never; delayedAt?: never };
}

/** The addresses of a user, and since when the first of them is stored. */
export type StoredAddresses = Addresses & Pick<User, "addressSince">;

/** What an authorization adds to a user. */
export interface NewConnection {
  addresses: StoredAddresses;
  grant: Grant;
  watch: Watch;
  /** Where a history begins that does not continue from a stored cursor. */
  historyId: HistoryId;
  /** When that history begins: read before `historyId`, so that nothing lies between them. */
  connectedAt: Date;
  /** The mail that a new connection publishes, too: from this date on. Absent: none. */
  snapshotSince?: Date;
  /** The content of the start ticket, if there was one. */
  ticket?: { tags?: User["tags"] | undefined };
  /** The language of the page on which the person allowed access. Absent: there was no page. */
  language?: string;
  at: Date;
}

/**
 * Returns the change when a person allows access. The mailbox is due at once, so that the
 * reconciliation delivers what was missed if the authorizing run dies first. A paused mailbox stays
 * paused, with the new grant: the operator's decision is not the person's to change. A ticket
 * replaces the tags; without one they stay for as long as the history continues, and so does a
 * running snapshot.
 */
export function authorized(previous: User | undefined, connection: NewConnection): UserContent {
  const { addresses, grant, watch, historyId, connectedAt, snapshotSince, ticket, at } = connection;
  const resumed = isResumed(previous) ? previous : undefined;
  const isPaused = resumed?.status === "paused";
  const sync = {
    recent: [],
    ...resumed?.sync,
    syncedAt: resumed === undefined ? connectedAt : completeSince(resumed),
    ...atOnce({ now: () => at }),
  };
  // Documents of an older version lack the time of the connection.
  const since = resumed === undefined ? connectedAt : resumed.connectedAt;
  const { tags } = ticket ?? resumed ?? {};
  const language = connection.language ?? resumed?.language;
  const first = snapshotSince && newSnapshot(snapshotSince, historyId, at);
  const snapshot = resumed === undefined ? first : resumed.snapshot;
  return {
    ...addresses,
    status: isPaused ? "paused" : "active",
    statusReason: isPaused
      ? resumed.statusReason
      : resumed === undefined
        ? "authorized"
        : "reauthorized",
    statusAt: at,
    grant,
    historyId: resumed?.historyId ?? historyId,
    watch: isPaused ? withoutRenewal(watch) : watch,
    sync: isPaused ? withoutDue(sync) : sync,
    ...(since !== undefined && { connectedAt: since }),
    ...(tags !== undefined && { tags }),
    ...(language !== undefined && { language }),
    ...(snapshot !== undefined && { snapshot }),
    followUp: { dueAt: later(at, ANNOUNCE_GRACE_MS), failures: 0 },
  };
}

/**
 * Returns whether the history of an authorized user continues from the stored cursor. It restarts
 * only after a disconnect that the person wanted, not when their address moved to another account.
 */
export function isResumed(stored: User | undefined): stored is User {
  if (stored === undefined) return false;
  return stored.status !== "disconnected" || stored.statusReason === ADDRESS_MOVED;
}

/**
 * Returns the change when Google no longer accepts the grant or its account. An unavailable mailbox
 * keeps its refresh token: the grant may be valid, and is probed.
 */
export function flagged(
  { grant, watch, sync, followUp }: User,
  { kind, reason }: GrantFailure,
  now: Date,
): Ending {
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
 * Returns the change when the person ends the connection. The tokens stay until Google has revoked
 * the grant; {@link withoutTokens} removes them.
 */
export function disconnected({ watch, sync, followUp }: User, reason: string, now: Date): Ending {
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
 * Returns the change when the address belongs to another account and the grant has ended at Google:
 * there is nothing to revoke. The reconciliation publishes it at once, since no run does.
 */
export function displaced(user: User, now: Date): Ending {
  return {
    ...disconnected(user, ADDRESS_MOVED, now),
    grant: withoutTokens(user.grant),
    followUp: { ...user.followUp, dueAt: now, failures: 0 },
  };
}

/**
 * Returns the change that starts the erasure of a disconnected person: the reconciliation finishes
 * it after a crash.
 */
export function erasing({ followUp }: User, now: Date): UserPatch {
  return {
    statusReason: ERASED,
    followUp: { ...followUp, dueAt: later(now, ANNOUNCE_GRACE_MS) },
  };
}

/**
 * Returns the change when an unavailable mailbox is back. Everything is due at once: the watch,
 * what was missed, and publishing the new status.
 */
export function restored(user: User, clock: Pick<Clock, "now">): Transition {
  return reactivated(user, "available_again", clock);
}

/**
 * Returns the change when an operator pauses the mailbox. The grant and the cursor stay. The
 * reconciliation stops the watch if the pausing run dies first.
 */
export function paused({ watch, sync, followUp }: User, reason: string, now: Date): Ending {
  return {
    status: "paused",
    statusReason: reason,
    statusAt: now,
    watch: withoutRenewal(watch),
    sync: withoutDue(sync),
    followUp: { ...followUp, dueAt: later(now, ANNOUNCE_GRACE_MS), failures: 0 },
  };
}

/**
 * Returns the change when an operator resumes a paused mailbox: like that of a mailbox that is back.
 * A user whose tokens a security event has removed in the meantime has to authorize again.
 */
export function unpaused(user: User, clock: Pick<Clock, "now">): Transition {
  if (user.grant.refreshToken === undefined) {
    return flagged(user, { kind: "reauthorize", reason: "tokens_revoked" }, clock.now());
  }
  return reactivated(user, "resumed", clock);
}

function reactivated(
  { watch, sync, followUp: { episode = 1 } }: User,
  statusReason: string,
  clock: Pick<Clock, "now">,
): Transition {
  const now = clock.now();
  return {
    status: "active",
    statusReason,
    statusAt: now,
    watch: { ...watch, renewAt: now, failures: 0 },
    sync: { ...sync, ...atOnce(clock) },
    followUp: { episode: episode + 1, dueAt: later(now, ANNOUNCE_GRACE_MS), failures: 0 },
  };
}

/** Returns the change when an operator asks for the mail since a date. */
export function snapshotRequested(
  { historyId, followUp }: User,
  since: Date,
  now: Date,
): Pick<UserPatch, "snapshot" | "followUp"> {
  const { dueAt = now } = followUp;
  return {
    snapshot: newSnapshot(since, historyId, now),
    followUp: { ...followUp, dueAt: dueAt < now ? dueAt : now },
  };
}

/** Returns what is left of a grant that has ended. */
export function withoutTokens(grant: Grant): Grant {
  const { refreshToken: _, refreshTokenDigests: __, ...rest } = withoutAccessToken(grant);
  return rest;
}

function withoutAccessToken(grant: Grant): Grant {
  const { accessToken: _, accessTokenExpiresAt: __, ...rest } = grant;
  return rest;
}

/** Returns a watch that is not renewed. */
function withoutRenewal({ renewAt: _, ...watch }: Watch): Ending["watch"] {
  return watch;
}

/** Returns the state of a mailbox that is not due: its status says more than that it is late. */
function withoutDue(sync: Sync): Ending["sync"] {
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
