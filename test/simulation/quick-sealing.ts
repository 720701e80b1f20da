import {
  type KeyRing,
  type SealingContext,
  open as openSealed,
  seal as sealText,
} from "../../functions/src/crypto/sealing.ts";
import { ok } from "../../functions/src/domain/result.ts";

/*
 * Stands in for `crypto/sealing.ts` in the bundles of the simulation. Everything is sealed as it is
 * there; what was sealed in this run is opened from memory, which is a tenth of the work.
 */

export * from "../../functions/src/crypto/sealing.ts";

interface Known extends SealingContext {
  plaintext: string;
}

/** By ring, since every run has a ring of its own. */
const known = new WeakMap<KeyRing, Map<string, Known>>();

export function seal(
  ring: KeyRing,
  plaintext: string,
  context: SealingContext,
  randomBytes: (size: number) => Uint8Array,
): ReturnType<typeof sealText> {
  const sealed = sealText(ring, plaintext, context, randomBytes);
  const ofRing = known.get(ring) ?? new Map<string, Known>();
  known.set(ring, ofRing);
  ofRing.set(sealed, { ...context, plaintext });
  return sealed;
}

export function open(
  ring: KeyRing,
  sealed: string,
  context: SealingContext,
): ReturnType<typeof openSealed> {
  const found = known.get(ring)?.get(sealed);
  const isSame = found?.userId === context.userId && found.purpose === context.purpose;
  if (found === undefined || !isSame) return openSealed(ring, sealed, context);
  return ok(found.plaintext);
}
