import { randomBytes } from "node:crypto";
import { type KeyRing, parseKeyRing } from "../../../functions/src/crypto/sealing.ts";
import { usageError } from "../errors.ts";

const KEY_BYTES = 32;

/** Returns a ring with one new key. */
export function newRing(id: string): string {
  return stringify({ primary: id, keys: { [id]: newKey() } });
}

/** Returns the ring with a new key in addition. Throws a usage error. */
export function withNewKey(json: string, id: string, isPrimary: boolean): string {
  const { primary, keys } = readRing(json);
  if (Object.hasOwn(keys, id)) throw usageError(`the ring has a key "${id}" already`);
  return stringify({ primary: isPrimary ? id : primary, keys: { ...keys, [id]: newKey() } });
}

/** Returns the ring with another of its keys as the primary one. Throws a usage error. */
export function withPrimary(json: string, id: string): string {
  const { keys } = readRing(json);
  if (!Object.hasOwn(keys, id)) throw usageError(`the ring has no key "${id}"`);
  return stringify({ primary: id, keys });
}

/** Returns the ring without one of its older keys. Throws a usage error. */
export function withoutKey(json: string, id: string): string {
  const { primary, keys } = readRing(json);
  if (!Object.hasOwn(keys, id)) throw usageError(`the ring has no key "${id}"`);
  if (id === primary)
    throw usageError(`"${id}" is the primary key: make another one primary first`);
  const { [id]: _, ...others } = keys;
  return stringify({ primary, keys: others });
}

/**
 * Parses a ring. Throws a usage error that says what is wrong with it, and quotes nothing of it.
 */
export function checkRing(json: string): KeyRing {
  const parsed = parseKeyRing(json);
  if (parsed.ok) return parsed.value;
  throw usageError(["this is no key ring:", ...parsed.error].join("\n  "));
}

interface RingText {
  primary: string;
  keys: Record<string, string>;
}

function readRing(json: string): RingText {
  const { primary, keys } = checkRing(json);
  const texts = [...keys].map(([id, key]) => [id, key.export().toString("base64")]);
  return { primary, keys: Object.fromEntries(texts) };
}

function stringify(ring: RingText): string {
  const json = JSON.stringify(ring);
  checkRing(json);
  return json;
}

function newKey(): string {
  return randomBytes(KEY_BYTES).toString("base64");
}
