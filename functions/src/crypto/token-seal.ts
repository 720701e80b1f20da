import { type Sealed, type UserId } from "../domain/user.ts";
import type { Log } from "../platform/log.ts";
import { type KeyRing, open, seal } from "./sealing.ts";
import { type TokenDigests, type TokenName, digestsOf, digestsOfName } from "./token-digest.ts";

/** What a sealed token is for; part of what it is bound to, so that one cannot pass for another. */
export type TokenPurpose = "refresh_token" | "access_token";

/** Tokens in and out of the user document. */
export interface TokenSeal {
  seal(userId: UserId, purpose: TokenPurpose, token: string): Sealed;
  /** `undefined` when it does not open: our fault, alerted here, never the user's. */
  open(userId: UserId, purpose: TokenPurpose, sealed: Sealed): string | undefined;
  /** By what a security event can name this refresh token, under the primary key. */
  digests(refreshToken: string): TokenDigests;
  /** What `digests` may have made of the token that is named so, under any key of the ring. */
  digestsOfName(name: TokenName): string[];
}

export function tokenSeal(
  ring: KeyRing,
  randomBytes: (size: number) => Uint8Array,
  log: Log,
): TokenSeal {
  return {
    seal: (userId, purpose, token) => seal(ring, token, { userId, purpose }, randomBytes),
    open(userId, purpose, sealed) {
      const opened = open(ring, sealed, { userId, purpose });
      if (opened.kind === "opened") return opened.plaintext;
      log.alert(
        "token_decrypt_failed",
        "none of our keys decrypts a stored token; check TOKEN_KEYS",
        {
          userId,
          purpose,
          why: opened.why,
        },
      );
      return undefined;
    },
    digests: (refreshToken) => digestsOf(ring, refreshToken),
    digestsOfName: (name) => digestsOfName(ring, name),
  };
}
