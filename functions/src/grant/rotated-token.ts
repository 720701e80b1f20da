import { type Clock, type Random, jittered } from "../clock.ts";
import { type Log, ReceiverError } from "../log.ts";
import type { User, UserStore } from "../user.ts";
import type { TokenSeal } from "./token-seal.ts";

export interface RotatedTokenServices {
  users: UserStore;
  tokens: TokenSeal;
  clock: Clock;
  random: Random;
  log: Log;
}

/** Each lost race means that another writer changed the document. */
const WRITE_TRIES_MAX = 10;
/** The wait after a lost race: another writer needs this long to finish at most. */
const RETRY_MS = 100;

/**
 * Stores a refresh token that Google rotated, before anything else uses the response that it came
 * in: the token before it may be dead, and this copy is the only one. Does nothing when the grant
 * has been replaced or has ended in the meantime. Rejects when the token could not be stored.
 */
export async function storeRotated(
  { id, grant }: Pick<User, "id" | "grant">,
  refreshToken: string,
  { users, tokens, clock, random, log }: RotatedTokenServices,
): Promise<void> {
  for (let tries = 0; tries < WRITE_TRIES_MAX; tries++) {
    if (tries > 0) await clock.sleep(jittered(RETRY_MS, random));
    const stored = await users.find(id);
    if (stored === undefined || stored.grant.generation !== grant.generation) return;
    if (stored.grant.refreshToken === undefined) return;
    const rotated = {
      ...stored.grant,
      refreshToken: tokens.seal(id, "refresh_token", refreshToken),
      refreshTokenDigests: tokens.digests(refreshToken),
    };
    if ((await users.update(stored, { grant: rotated })) === "written") return;
  }
  log.error("refresh_token_not_kept", "a rotated refresh token could not be stored", {
    userId: id,
  });
  throw new ReceiverError("a rotated refresh token could not be stored: its document is contended");
}
