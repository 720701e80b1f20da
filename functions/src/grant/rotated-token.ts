import type { GrantContext } from "./context.ts";
import { jittered } from "../domain/clock.ts";
import { modify } from "../store/modify.ts";
import { StoreContended } from "../platform/store-error.ts";
import type { User } from "../domain/user.ts";

/** The wait after a lost race: another writer needs at most this long to finish. */
const RETRY_MS = 100;

/**
 * Stores a refresh token that Google rotated, before anything else uses the response with it: the
 * previous token may be dead, and this copy is the only one. Does nothing when the grant has been
 * replaced or has ended in the meantime. Rejects when the token could not be stored.
 */
export async function storeRotated(
  { id, grant }: Pick<User, "id" | "grant">,
  refreshToken: string,
  { users, tokens, clock, random, log }: GrantContext,
): Promise<void> {
  const rotated = {
    refreshToken: tokens.seal(id, "refresh_token", refreshToken),
    refreshTokenDigests: tokens.digests(refreshToken),
  };
  try {
    await modify(
      users,
      id,
      (stored) => {
        const isReplaced = stored.grant.generation !== grant.generation;
        if (isReplaced || stored.grant.refreshToken === undefined) return "skip";
        return { grant: { ...stored.grant, ...rotated } };
      },
      {
        what: "a rotated refresh token",
        pause: () => clock.sleep(jittered(RETRY_MS, random)),
      },
    );
  } catch (error) {
    if (error instanceof StoreContended) {
      log.error("refresh_token_not_saved", "could not store a rotated refresh token", {
        userId: id,
      });
    }
    throw error;
  }
}
