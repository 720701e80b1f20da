import { type Sealed } from "../../functions/src/domain/user.ts";
import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { type KeyRing, parseKeyRing } from "../../functions/src/crypto/sealing.ts";
import { type TokenSeal, tokenSeal } from "../../functions/src/crypto/token-seal.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { valueOf } from "./result.ts";

/** A ring of keys that follow from their ids, so that two rings share those of one name. */
export function tokenKeys(primary: string, ...others: string[]): string {
  const keys = [primary, ...others].map((id) => [
    id,
    createHash("sha256").update(`key ${id}`).digest("base64"),
  ]);
  return JSON.stringify({ primary, keys: Object.fromEntries(keys) });
}

export function keyRing(primary: string, ...others: string[]): KeyRing {
  return ringOf(tokenKeys(primary, ...others));
}

/** The ring that this JSON has to be. */
export function ringOf(json: string): KeyRing {
  return valueOf(parseKeyRing(json));
}

/** As the first format sealed it: with the key of the ring itself. */
export function sealedAsBefore(ring: KeyRing, text: string, parts: readonly string[]): Sealed {
  const key = ring.keys.get(ring.primary);
  if (key === undefined) throw new Error("no primary key");
  const additional = [...parts, ring.primary].flatMap((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(part));
    return [length, Buffer.from(part)];
  });
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(Buffer.concat(additional));
  const ciphertext = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  const encoded = [iv, ciphertext, cipher.getAuthTag()].map((bytes) => bytes.toString("base64url"));
  return ["v1", ring.primary, ...encoded].join(".") as Sealed;
}

/** Tokens sealed and opened with such a ring; what it logs goes to `lines`. */
export function sealWith(ring: KeyRing, lines: string[] = []): TokenSeal {
  return tokenSeal(
    ring,
    randomBytes,
    createLog((line) => void lines.push(line)),
  );
}
