import type { GrantContext } from "./context.ts";
import { isAnnounced } from "./announcement.ts";
import { disconnect } from "./disconnect.ts";
import { ERASED } from "../domain/retention.ts";
import { eraseIf } from "../store/modify.ts";
import { unlessContended } from "../platform/store-error.ts";
import { type User, sameGrant } from "../domain/user.ts";
import { erasing } from "../domain/transitions.ts";

/**
 * The result of erasing a person. Only `forgotten` is complete; with `DISCONNECT_REVOKES=false` a
 * grant is `left` at Google.
 */
export type Forgetting =
  | { kind: "forgotten"; grant: "revoked" | "none_held" | "not_revoked" | "left" }
  /** The person has connected again, and so no longer wants to be erased. */
  | { kind: "connected_again" }
  /** Google did not answer, or the token cannot be decrypted: it stays, since Google needs it. */
  | { kind: "not_revoked" }
  /** The event is not published, which would be impossible once the document is gone. */
  | { kind: "not_announced" }
  /** Another writer changed the document between each read and erasure. */
  | { kind: "contended" }
  /** The document exists and cannot be read, so the connection in it cannot be ended. */
  | { kind: "unreadable" };

/**
 * Erases everything that is stored about a person. First their connection ends like a disconnect:
 * the status, so that no function works for them any more; watch and grant at Google; the tokens;
 * the event. Then the stored changes are deleted, and the document last. Wherever this stops, the
 * document says what is left, so that the same command finishes it: without the document, the grant
 * could not be revoked and the changes not be found.
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
  // Refused writes do not matter: the document is read again before it is erased.
  await users.update(asked, erasing(asked, clock.now()));
}
