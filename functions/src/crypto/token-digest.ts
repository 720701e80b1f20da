import { createHash, createHmac, hkdfSync, type KeyObject } from "node:crypto";
import { ReceiverError } from "../platform/log.ts";
import type { Grant } from "../domain/user.ts";
import type { KeyRing } from "./sealing.ts";

/** The digests of one refresh token, as they are stored. */
export type TokenDigests = NonNullable<Grant["refreshTokenDigests"]>;

/**
 * How a security event names a refresh token (Google's Cross-Account Protection, OAuth token
 * identifiers): by its first 16 characters, or by its SHA-512 computed twice.
 */
export type TokenName = { by: "prefix"; prefix: string } | { by: "doubleHash"; hash: Uint8Array };

/** The length of `prefix`; the rest of a token stays unknown to its reader. */
const PREFIX_CHARACTERS = 16;
/** The length of `doubleHash`. */
export const DOUBLE_HASH_BYTES = 64;
const DIGEST_KEY_BYTES = 32;

/** Returns the digests of both names of a token, under the primary key. */
export function digestsOf(ring: KeyRing, refreshToken: string): TokenDigests {
  const prefix = refreshToken.slice(0, PREFIX_CHARACTERS);
  return {
    prefix: digest(ring, ring.primary, { by: "prefix", prefix }),
    doubleHash: digest(ring, ring.primary, fullNameOf(refreshToken)),
  };
}

/** Returns the name that only this token has. */
export function fullNameOf(refreshToken: string): TokenName {
  const once = createHash("sha512").update(refreshToken).digest();
  return { by: "doubleHash", hash: createHash("sha512").update(once).digest() };
}

/** Returns the digests that may be stored for a name: one for each key of the ring. */
export function digestsOfName(ring: KeyRing, name: TokenName): string[] {
  return [...ring.keys.keys()].map((keyId) => digest(ring, keyId, name));
}

/**
 * Returns `{key id}.{HMAC-SHA-256, base64url}`. Keyed, because a plain prefix or hash would let a
 * reader of the database recognize a token.
 */
function digest(ring: KeyRing, keyId: string, name: TokenName): string {
  const key = ring.keys.get(keyId);
  if (key === undefined) throw new ReceiverError("a key is not on the ring");
  const hmac = createHmac("sha256", digestKey(key)).update(`${name.by}:`);
  hmac.update(name.by === "prefix" ? name.prefix : name.hash);
  return `${keyId}.${hmac.digest("base64url")}`;
}

/** HKDF (RFC 5869): one key seals and another makes digests, and neither reveals the other. */
function digestKey(key: KeyObject): Buffer {
  return Buffer.from(hkdfSync("sha256", key, "", "refresh-token-digest", DIGEST_KEY_BYTES));
}
