import { createHash, createHmac, hkdfSync, type KeyObject } from "node:crypto";
import { ReceiverError } from "../platform/log.ts";
import type { Grant } from "../domain/user.ts";
import type { KeyRing } from "./sealing.ts";

export type TokenDigests = NonNullable<Grant["refreshTokenDigests"]>;

/**
 * A refresh token as a security event names it (Google's Cross-Account Protection, OAuth token
 * identifiers): its first 16 characters, or its SHA-512 taken twice.
 */
export type TokenName = { by: "prefix"; prefix: string } | { by: "doubleHash"; hash: Uint8Array };

/** What `prefix` stands for; the last characters of a token stay unknown to whoever reads it. */
const PREFIX_CHARACTERS = 16;
export const DOUBLE_HASH_BYTES = 64;
const DIGEST_KEY_BYTES = 32;

/** Both names of a token, each under the primary key. */
export function digestsOf(ring: KeyRing, refreshToken: string): TokenDigests {
  const once = createHash("sha512").update(refreshToken).digest();
  const hash = createHash("sha512").update(once).digest();
  const prefix = refreshToken.slice(0, PREFIX_CHARACTERS);
  return {
    prefix: digest(ring, ring.primary, { by: "prefix", prefix }),
    doubleHash: digest(ring, ring.primary, { by: "doubleHash", hash }),
  };
}

/** Everything that may be stored for a name: a digest for each key of the ring, newest or not. */
export function digestsOfName(ring: KeyRing, name: TokenName): string[] {
  return [...ring.keys.keys()].map((keyId) => digest(ring, keyId, name));
}

/**
 * `{key id}.{HMAC-SHA-256, base64url}`. Keyed, since the bare prefix of a token, or its plain hash,
 * would let whoever reads the database recognize a token that they hold.
 */
function digest(ring: KeyRing, keyId: string, name: TokenName): string {
  const key = ring.keys.get(keyId);
  if (key === undefined) throw new ReceiverError("a key is not on the ring");
  const hmac = createHmac("sha256", digestKey(key)).update(`${name.by}:`);
  hmac.update(name.by === "prefix" ? name.prefix : name.hash);
  return `${keyId}.${hmac.digest("base64url")}`;
}

/** HKDF (RFC 5869): one key seals and the other digests, and neither tells anything of the other. */
function digestKey(key: KeyObject): Buffer {
  return Buffer.from(hkdfSync("sha256", key, "", "refresh-token-digest", DIGEST_KEY_BYTES));
}
