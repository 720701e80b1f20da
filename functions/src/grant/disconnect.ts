import { attempt, type Failure } from "../domain/failure.ts";
import { type Clock, later } from "../domain/clock.ts";
import { type Log, ReceiverError } from "../platform/log.ts";
import type { Access } from "../domain/access.ts";
import { modify } from "../store/modify.ts";
import { unlessContended } from "../platform/store-error.ts";
import { type User, type UserStore, sameGrant } from "../domain/user.ts";
import { type AnnouncementServices, announce } from "./announcement.ts";
import type { TokenSeal } from "../crypto/token-seal.ts";
import { disconnected, withoutTokens } from "../domain/transitions.ts";

export interface DisconnectServices extends AnnouncementServices {
  users: UserStore;
  tokens: TokenSeal;
  openAccess(user: User): Access;
  /** `users.stop`. Throws `FailedCall`. */
  stop(accessToken: string): Promise<void>;
  /** Ends the grant at Google. Throws `FailedCall`. */
  revoke(token: string): Promise<void>;
  /** `DISCONNECT_REVOKES`. Without it the grant stays at Google, and the tokens are removed here. */
  disconnectRevokes: boolean;
  clock: Clock;
  log: Log;
}

/** Between two tries to finish a disconnect that Google did not answer. */
const RETRY_MS = 5 * 60_000;
/** After so long the tokens are removed all the same: better unrevoked than kept. */
const FINISH_AGE_MS_MAX = 24 * 3_600_000;

/**
 * Ends a connection because the person wants it: first the status, so that nothing is done for them
 * any more; then at Google; the tokens last, since they are what Google needs to hear. What is left
 * half-done is finished by the reconciliation. Rejects when the status could not be written: then
 * the connection still exists.
 */
export async function disconnect(
  connected: User,
  reason: string,
  services: DisconnectServices,
): Promise<"disconnected" | "superseded"> {
  const { users, clock, log } = services;
  // Another generation: the person has connected again, and wanted to end the connection before.
  const isConnectedAgain = ({ grant }: User) => grant.generation !== connected.grant.generation;
  const ended = await modify(
    users,
    connected.id,
    (user) => {
      if (isConnectedAgain(user) || user.status === "disconnected") return "skip";
      return disconnected(user, reason, clock.now());
    },
    { what: "the end of a connection", from: connected },
  );
  if (ended.kind === "written") {
    log.info("user_disconnected", "a connection was ended", { userId: connected.id, reason });
  }
  const user = ended.kind === "written" ? await users.find(connected.id) : ended.user;
  // A document that cannot be read may hold a connection that is still alive.
  if (user === undefined && (await users.exists(connected.id))) {
    throw new ReceiverError("a connection could not be ended: its document cannot be read");
  }
  if (user !== undefined && isConnectedAgain(user)) return "superseded";
  if (user?.status === "disconnected") await finishDisconnect(user, services);
  return "disconnected";
}

/**
 * Stops the watch, revokes the grant (unless `DISCONNECT_REVOKES=false`), removes the tokens and
 * announces; each as far as it is due.
 */
export async function finishDisconnect(user: User, services: DisconnectServices): Promise<void> {
  const { users, clock, log } = services;
  const isEnded = await endAtGoogle(user, services);
  const isOld = user.statusAt <= later(clock.now(), -FINISH_AGE_MS_MAX);
  if (!isEnded && !isOld) {
    await announce(user, services);
    const current = await users.find(user.id);
    if (current?.status !== "disconnected") return;
    const { failures } = current.followUp;
    const dueAt = later(clock.now(), RETRY_MS);
    await users.update(current, {
      followUp: { ...current.followUp, dueAt, failures: failures + 1 },
    });
    return;
  }
  if (!isEnded && services.disconnectRevokes) {
    log.error("grant_not_revoked", "could not revoke a disconnected grant at Google", {
      userId: user.id,
    });
  }
  if (!isEnded && !services.disconnectRevokes) {
    log.warn(
      "watch_not_stopped",
      "could not stop the watch of a disconnected user; it ends when it expires",
      {
        userId: user.id,
      },
    );
  }
  const removed = await unlessContended(
    modify(
      users,
      user.id,
      (stored) => (sameGrant(user, stored) ? { grant: withoutTokens(stored.grant) } : "skip"),
      { what: "a grant without tokens" },
    ),
  );
  if (removed === undefined) {
    // `followUp.dueAt` is kept, so the reconciliation tries again.
    log.warn(
      "disconnect_unfinished",
      "could not delete the tokens of a disconnected user; retrying later",
      { userId: user.id },
    );
  } else if (removed.kind === "written") {
    await announce(removed.user, services);
  }
}

/** True once there is nothing left to end at Google. */
async function endAtGoogle(user: User, services: DisconnectServices): Promise<boolean> {
  const sealed = user.grant.refreshToken;
  if (sealed === undefined) return true;
  const refreshToken = services.tokens.open(user.id, "refresh_token", sealed);
  // Another instance may have the key that it needs, or this one tomorrow.
  if (refreshToken === undefined) return false;
  const stopped = await services
    .openAccess(user)
    .call("users.stop", (token) => services.stop(token));
  if (!services.disconnectRevokes) {
    return stopped.kind !== "failed" || !isWorthRetrying(stopped.failure);
  }
  // A watch that could not be stopped does no harm: Gmail ends it with the grant.
  // Revoking ends all that the person allows our project: never once they have connected anew.
  const current = await services.users.find(user.id);
  if (current?.grant.generation !== user.grant.generation) return true;
  const revoked = await attempt(() => services.revoke(refreshToken));
  return revoked.kind === "answered" || !isWorthRetrying(revoked.failure);
}

function isWorthRetrying({ kind }: Failure): boolean {
  return kind === "transient" || kind === "rate_limited" || kind === "misconfigured";
}
