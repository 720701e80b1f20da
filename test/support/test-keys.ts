import { createHash, randomBytes } from "node:crypto";
import { type KeyRing, parseKeyRing } from "../../functions/src/grant/sealing.ts";
import { type TokenSeal, tokenSeal } from "../../functions/src/grant/token-seal.ts";
import { createLog } from "../../functions/src/log.ts";

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
  const parsed = parseKeyRing(json);
  if (parsed.kind !== "key_ring") throw new Error(parsed.problems.join("; "));
  return parsed.ring;
}

/** Tokens sealed and opened with such a ring; what it logs goes to `lines`. */
export function sealWith(ring: KeyRing, lines: string[] = []): TokenSeal {
  return tokenSeal(
    ring,
    randomBytes,
    createLog((line) => void lines.push(line)),
  );
}
