import { type Sealed, type UserId } from "../domain/user.ts";
import type { Log } from "../platform/log.ts";
import { type KeyRing, open, seal } from "./sealing.ts";
import { type TokenDigests, type TokenName, digestsOf, digestsOfName } from "./token-digest.ts";

/** The purpose of a sealed token, which it is bound to: one cannot replace the other. */
export type TokenPurpose = "refresh_token" | "access_token";

/** Seals and opens the tokens in user documents. */
export interface TokenSeal {
  seal(userId: UserId, purpose: TokenPurpose, token: string): Sealed;
  /**
   * Returns `undefined` when the token cannot be opened: a fault of the operator's, alerted here,
   * never the user's.
   */
  open(userId: UserId, purpose: TokenPurpose, sealed: Sealed): string | undefined;
  /** Returns how a security event can name this refresh token, under the primary key. */
  digests(refreshToken: string): TokenDigests;
  /** Returns what `digests` may have returned for the named token, under any key of the ring. */
  digestsOfName(name: TokenName): string[];
}

/** Returns the sealer of tokens for a key ring. */
export function tokenSeal(
  ring: KeyRing,
  randomBytes: (size: number) => Uint8Array,
  log: Log,
): TokenSeal {
  return {
    seal: (userId, purpose, token) => seal(ring, token, { userId, purpose }, randomBytes),
    open(userId, purpose, sealed) {
      const opened = open(ring, sealed, { userId, purpose });
      if (opened.ok) return opened.value;
      log.alert(
        "token_decrypt_failed",
        "none of our keys decrypts a stored token; check TOKEN_KEYS",
        {
          userId,
          purpose,
          why: opened.error,
        },
      );
      return undefined;
    },
    digests: (refreshToken) => digestsOf(ring, refreshToken),
    digestsOfName: (name) => digestsOfName(ring, name),
  };
}
