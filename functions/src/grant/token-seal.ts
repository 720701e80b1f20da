import { createHash } from "node:crypto";
import type { Log } from "../log.ts";
import type { Grant, UserId } from "../user.ts";
import { type KeyRing, type Sealed, open, seal } from "./sealing.ts";

/** What a sealed token is for; part of what it is bound to, so that one cannot pass for another. */
export type TokenPurpose = "refresh_token" | "access_token";

/** Tokens in and out of the user document. */
export interface TokenSeal {
  seal(userId: UserId, purpose: TokenPurpose, token: string): Sealed;
  /** `undefined` when it does not open: our fault, alerted here, never the user's. */
  open(userId: UserId, purpose: TokenPurpose, sealed: Sealed): string | undefined;
  digests(refreshToken: string): NonNullable<Grant["refreshTokenDigests"]>;
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
      log.alert("sealed_token_unreadable", "a stored token does not open with our keys", {
        userId,
        purpose,
        why: opened.why,
      });
      return undefined;
    },
    digests,
  };
}

/** A RISC `token-revoked` event may name a refresh token by its first characters. */
const PREFIX_LENGTH = 16;

/**
 * The two ways in which a RISC `token-revoked` event names a refresh token (Google's
 * Cross-Account Protection: `prefix`, `hash_base64_sha512_sha512`). The prefix is kept as a hash.
 */
function digests(refreshToken: string): NonNullable<Grant["refreshTokenDigests"]> {
  const once = createHash("sha512").update(refreshToken).digest();
  return {
    prefix: createHash("sha256").update(refreshToken.slice(0, PREFIX_LENGTH)).digest("base64"),
    doubleHash: createHash("sha512").update(once).digest("base64"),
  };
}
