import { type Result, err, ok } from "../domain/result.ts";
import { type Sealed } from "../domain/user.ts";
import assert from "node:assert/strict";
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from "node:crypto";

/**
 * The keys that seal and open values. A `KeyObject` prints no key. A new key takes over without
 * downtime in five steps, each deployed everywhere before the next (`npm run keys -- --help`): add
 * it to the ring; make it the primary; re-seal what is stored; verify that nothing needs the old
 * key; remove the old key. If it became the primary at once, instances with the previous ring could
 * not open what it seals: until they are replaced, they alert, flag no user, and leave those
 * mailboxes due. A re-authorization link lives for 7 days, so the old key stays that long after the
 * second step; otherwise links sealed with it end early.
 */
export interface KeyRing {
  readonly primary: string;
  readonly keys: ReadonlyMap<string, KeyObject>;
}

/** The user and the purpose of a text: it opens for no other user and no other purpose. */
export interface SealingContext {
  userId: string;
  purpose: string;
}

/**
 * Why a sealed value does not open. Never the user's fault: the key was removed, or the value was
 * moved or damaged.
 */
export type Unreadable = "unknown_key" | "malformed" | "not_authentic";

const ALGORITHM = "aes-256-gcm";
const VERSION = "v2";
const VERSIONS: ReadonlySet<string> = new Set(["v1", VERSION]);
const KEY_BYTES = 32;
/** NIST SP 800-38D §8.2.2: with random IVs of this length, 2^32 sealings per key are safe. */
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** Well above the length of a cookie or a token. */
const SEALED_CHARACTERS_MAX = 65_536;
const KEYS_MAX = 100;

const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;
const BASE64_OF_32_BYTES = /^[A-Za-z0-9+/]{43}=$/;

/**
 * Parses `{"primary":"2026-11","keys":{"2026-11":"<32 bytes, base64>"}}`. The problems name what is
 * wrong by its place and quote nothing of the text, because a key may be where an id belongs.
 */
export function parseKeyRing(json: string): Result<KeyRing, readonly string[]> {
  const parsed = parseObject(json);
  if (parsed === undefined) return err(["is not a JSON object"]);

  const problems: string[] = [];
  const keys = new Map<string, KeyObject>();
  const { primary, keys: encoded } = parsed;
  const entries = isObject(encoded) ? Object.entries(encoded) : [];
  if (entries.length === 0) problems.push('"keys" is not an object with at least one key');
  if (entries.length > KEYS_MAX) problems.push(`"keys" has more than ${KEYS_MAX} keys`);
  for (const [index, [id, key]] of entries.slice(0, KEYS_MAX).entries()) {
    const place = `key ${index + 1} of "keys"`;
    if (!KEY_ID.test(id)) problems.push(`the id of ${place} is not 1 to 64 of A-Z a-z 0-9 _ -`);
    if (typeof key !== "string" || !BASE64_OF_32_BYTES.test(key)) {
      problems.push(`${place} is not ${KEY_BYTES} bytes in base64`);
      continue;
    }
    const secret = createSecretKey(key, "base64");
    if ([...keys.values()].some((other) => other.equals(secret))) {
      problems.push(`${place} repeats another key`);
    }
    keys.set(id, secret);
  }
  if (typeof primary !== "string") problems.push('"primary" is not a string');
  else if (!entries.some(([id]) => id === primary)) problems.push('"primary" names none of "keys"');

  return problems.length === 0 && typeof primary === "string"
    ? ok({ primary, keys })
    : err(problems);
}

/** Seals a short text with the primary key. The result differs each time. */
export function seal(
  ring: KeyRing,
  plaintext: string,
  context: SealingContext,
  randomBytes: (size: number) => Uint8Array,
): Sealed {
  const key = ring.keys.get(ring.primary);
  assert(key !== undefined, "the primary key is not on the ring");
  const iv = randomBytes(IV_BYTES);
  assert(iv.length === IV_BYTES, "the IV has another length");
  const derived = deriveKey(key, context);
  const cipher = createCipheriv(ALGORITHM, derived, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(additionalData(context, ring.primary));
  const ciphertext = Buffer.concat([cipher.update(plaintext, "utf8"), cipher.final()]);
  const parts = [iv, ciphertext, cipher.getAuthTag()].map((bytes) =>
    Buffer.from(bytes).toString("base64url"),
  );
  const sealed = [VERSION, ring.primary, ...parts].join(".");
  assert(sealed.length <= SEALED_CHARACTERS_MAX, "the text is too long to be sealed");
  return sealed as Sealed;
}

/** Opens what was sealed for the same context with any key of the ring. Never throws. */
export function open(
  ring: KeyRing,
  sealed: string,
  context: SealingContext,
): Result<string, Unreadable> {
  const parts = parseSealed(sealed);
  if (parts === undefined) return err("malformed");
  const key = ring.keys.get(parts.keyId);
  if (key === undefined) return err("unknown_key");
  const own = parts.version === VERSION ? deriveKey(key, context) : key;
  const decipher = createDecipheriv(ALGORITHM, own, parts.iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(additionalData(context, parts.keyId));
  decipher.setAuthTag(parts.tag);
  try {
    const plaintext = Buffer.concat([decipher.update(parts.ciphertext), decipher.final()]);
    return ok(plaintext.toString("utf8"));
  } catch {
    return err("not_authentic");
  }
}

/** Returns the id of the key that sealed a value; `undefined` when it is not a sealed value. */
export function keyIdOf(sealed: string): string | undefined {
  return parseSealed(sealed)?.keyId;
}

/** Returns whether sealing it again would change no more than its IV. */
export function isSealedWith(primary: string, sealed: string): boolean {
  const parts = parseSealed(sealed);
  return parts?.version === VERSION && parts.keyId === primary;
}

/** By key and purpose: deriving a key takes longer than sealing with it. There are few purposes. */
const derivedKeys = new WeakMap<KeyObject, Map<string, KeyObject>>();

/** HKDF (RFC 5869) without salt, since the keys of the ring are random. */
function deriveKey(key: KeyObject, { purpose }: SealingContext): KeyObject {
  const derived = derivedKeys.get(key) ?? new Map<string, KeyObject>();
  derivedKeys.set(key, derived);
  const known = derived.get(purpose);
  if (known !== undefined) return known;
  const bytes = Buffer.from(hkdfSync("sha256", key, "", `seal:${purpose}`, KEY_BYTES));
  const made = createSecretKey(bytes);
  derived.set(purpose, made);
  return made;
}

/** Puts the length before each part, so that no two contexts have the same bytes. */
function additionalData({ userId, purpose }: SealingContext, keyId: string): Buffer {
  return Buffer.concat(
    [userId, purpose, keyId].flatMap((part) => {
      const bytes = Buffer.from(part, "utf8");
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

interface SealedParts {
  version: string;
  keyId: string;
  iv: Buffer;
  ciphertext: Buffer;
  tag: Buffer;
}

function parseSealed(sealed: string): SealedParts | undefined {
  if (sealed.length > SEALED_CHARACTERS_MAX) return undefined;
  const [version, keyId, ...encoded] = sealed.split(".");
  const [iv, ciphertext, tag] = encoded.map(decode);
  if (version === undefined || !VERSIONS.has(version)) return undefined;
  if (keyId === undefined || !KEY_ID.test(keyId)) return undefined;
  if (encoded.length !== 3 || ciphertext === undefined) return undefined;
  if (iv?.length !== IV_BYTES || tag?.length !== TAG_BYTES) return undefined;
  return { version, keyId, iv, ciphertext, tag };
}

/** Accepts only the encoding that `seal` produces; `Buffer.from` alone would accept many. */
function decode(encoded: string): Buffer | undefined {
  const bytes = Buffer.from(encoded, "base64url");
  return bytes.toString("base64url") === encoded ? bytes : undefined;
}

function parseObject(json: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(json);
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
