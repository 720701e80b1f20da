import type { GrantContext } from "./context.ts";
import { isAnnounced } from "./announcement.ts";
import { disconnect } from "./disconnect.ts";
import { ERASED } from "../domain/retention.ts";
import { eraseIf } from "../store/modify.ts";
import { unlessContended } from "../platform/store-error.ts";
import { type User, sameGrant } from "../domain/user.ts";
import { erasing } from "../domain/transitions.ts";

/**
 * Every way in which erasing a person can end. Only `forgotten` is the end of it; a grant is `left` at
 * Google with `DISCONNECT_REVOKES=false`.
 */
export type Forgetting =
  | { kind: "forgotten"; grant: "revoked" | "none_held" | "not_revoked" | "left" }
  /** The person has connected anew: whoever asked to be forgotten has changed their mind. */
  | { kind: "connected_again" }
  /** Google did not answer, or the token does not open: it stays, as what Google needs to hear. */
  | { kind: "not_revoked" }
  /** Subscribers have not heard of it, and nobody could tell them once the document is gone. */
  | { kind: "not_announced" }
  /** Somebody else wrote the document between each reading and erasing of it. */
  | { kind: "contended" }
  /** The document is there and cannot be read, so that what it holds cannot be ended. */
  | { kind: "unreadable" };

/**
 * Erases what is kept of a person. First their connection ends as it does when they want it
 * themselves: the status, so that no function works for them any more; watch and grant at Google;
 * the tokens; the event. Then the kept changes go, and the document last. Whatever this is stopped
 * at, the document says what is left to do, so that the same command finishes it: deleted first,
 * nobody could revoke the grant any more, or find the changes.
 */
export async function forget(asked: User, context: GrantContext): Promise<Forgetting> {
  const { users } = context;
  await remember(asked, context);
  const ending = await disconnect(asked, ERASED, context);
  if (ending.kind === "superseded") return { kind: "connected_again" };

  const isHeld = asked.grant.refreshToken !== undefined;
  const unrevoked = context.config.disconnectRevokes ? "not_revoked" : "left";
  const grant = ending.isRevoked ? "revoked" : isHeld ? unrevoked : "none_held";
  const erased = await unlessContended(
    eraseIf(users, asked.id, (user) => {
      if (!sameGrant({ status: "disconnected", grant: asked.grant }, user)) {
        return "connected_again";
      }
      if (user.grant.refreshToken !== undefined) return "not_revoked";
      return isAnnounced(user) ? "erase" : "not_announced";
    }),
  );
  switch (erased) {
    case "erased":
      return { kind: "forgotten", grant };
    case "not_found":
      return (await users.exists(asked.id)) ? { kind: "unreadable" } : { kind: "forgotten", grant };
    case undefined:
      return { kind: "contended" };
    default:
      return { kind: erased };
  }
}

async function remember(asked: User, { users, clock }: GrantContext): Promise<void> {
  if (asked.status !== "disconnected" || asked.statusReason === ERASED) return;
  // Refused: the document is read again before it is erased.
  await users.update(asked, erasing(asked, clock.now()));
}
