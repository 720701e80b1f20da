import { openAccess } from "./access.ts";
import type { GrantContext } from "./context.ts";
import { attempt, type Failure } from "../domain/failure.ts";
import { later } from "../domain/clock.ts";
import { ReceiverError } from "../platform/log.ts";
import { modify } from "../store/modify.ts";
import { unlessContended } from "../platform/store-error.ts";
import { type User, sameGrant } from "../domain/user.ts";
import { announce } from "./announcement.ts";
import { disconnected, withoutTokens } from "../domain/transitions.ts";

/** Between two attempts to finish a disconnect that Google did not answer. */
const RETRY_MS = 5 * 60_000;
/** After this time the tokens are removed anyway: better unrevoked than stored. */
const FINISH_AGE_MS_MAX = 24 * 3_600_000;

/** The result of a disconnect. `superseded`: the person has connected again in the meantime. */
export type Disconnected =
  | { kind: "disconnected"; /** Google says that the grant has ended. */ isRevoked: boolean }
  | { kind: "superseded" };

/**
 * Ends a connection because the person wants it: first the status, so that no more work is done for
 * them; then at Google; the tokens last, since Google needs them. The reconciliation finishes what
 * is left. Rejects when the status could not be written: then the connection still exists.
 */
export async function disconnect(
  connected: User,
  reason: string,
  context: GrantContext,
): Promise<Disconnected> {
  const { users, clock, log } = context;
  // Another generation: the person wanted to end the earlier connection, and has connected again.
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
  // A document that cannot be read may contain a living connection.
  if (user === undefined && (await users.exists(connected.id))) {
    throw new ReceiverError("a connection could not be ended: its document cannot be read");
  }
  if (user !== undefined && isConnectedAgain(user)) return { kind: "superseded" };
  const atGoogle = user?.status === "disconnected" && (await finishDisconnect(user, context));
  return { kind: "disconnected", isRevoked: atGoogle === "revoked" };
}

/**
 * Stops the watch, revokes the grant (unless `DISCONNECT_REVOKES=false`), removes the tokens and
 * publishes the status; each as far as it is due.
 */
export async function finishDisconnect(user: User, context: GrantContext): Promise<AtGoogle> {
  const { users, clock, log } = context;
  const atGoogle = await endAtGoogle(user, context);
  const isEnded = atGoogle !== "unfinished";
  const isOld = user.statusAt <= later(clock.now(), -FINISH_AGE_MS_MAX);
  if (!isEnded && !isOld) {
    await announce(user, context);
    const current = await users.find(user.id);
    if (current?.status !== "disconnected") return atGoogle;
    const { failures } = current.followUp;
    const dueAt = later(clock.now(), RETRY_MS);
    // Refused: the user is still due, and the next run tries again without the wait.
    await users.update(current, {
      followUp: { ...current.followUp, dueAt, failures: failures + 1 },
    });
    return atGoogle;
  }
  if (atGoogle === "refused" || (!isEnded && context.config.disconnectRevokes)) {
    log.error("grant_not_revoked", "could not revoke a disconnected grant at Google", {
      userId: user.id,
    });
  } else if (!isEnded) {
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
    // `followUp.dueAt` stays, so the reconciliation retries.
    log.warn(
      "disconnect_unfinished",
      "could not delete the tokens of a disconnected user; retrying later",
      { userId: user.id },
    );
  } else if (removed.kind === "written") {
    await announce(removed.user, context);
  }
  return atGoogle;
}

/**
 * What is left of a connection at Google. `revoked`: this call, or an earlier one, ended the grant.
 * `refused`: Google will not revoke it, so it lives on.
 */
type AtGoogle = "revoked" | "ended" | "refused" | "unfinished";

async function endAtGoogle(user: User, context: GrantContext): Promise<AtGoogle> {
  const sealed = user.grant.refreshToken;
  if (sealed === undefined) return "ended";
  const refreshToken = context.tokens.open(user.id, "refresh_token", sealed);
  // Another instance may have the key that it needs, or this one may get it later.
  if (refreshToken === undefined) return "unfinished";
  const stopped = await openAccess(user, context).call("users.stop", (token) =>
    context.gmail.stop(token),
  );
  if (!context.config.disconnectRevokes) {
    const isOver = stopped.ok || stopped.error === "superseded";
    return isOver || !isWorthRetrying(stopped.error.failure) ? "ended" : "unfinished";
  }
  // A watch that could not be stopped does no harm: Gmail ends it with the grant. Revoking ends
  // everything that the person allows the project: never after a new connection.
  const current = await context.users.find(user.id);
  if (current?.grant.generation !== user.grant.generation) return "ended";
  const revoked = await attempt(() => context.oauth.revoke(refreshToken));
  if (revoked.ok || revoked.error.failure.kind === "gone") return "revoked";
  return isWorthRetrying(revoked.error.failure) ? "unfinished" : "refused";
}

/** Returns whether a call to end something at Google may succeed later. */
export function isWorthRetrying({ kind }: Failure): boolean {
  return kind === "transient" || kind === "rate_limited" || kind === "misconfigured";
}
