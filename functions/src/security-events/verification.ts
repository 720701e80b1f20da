import { type CryptoKey, compactVerify, errors } from "jose";
import type { Clock } from "../domain/clock.ts";
import type { RiscKeys } from "../google/risc-keys.ts";
import { type ReadClaims, readClaims } from "./event.ts";
import { findDistrust, keyIdOf, parseToken } from "./token.ts";

/** The result of verifying a delivery. */
export type Verification =
  | ReadClaims
  /** Google's keys are not available: nothing is known about the token. */
  | { kind: "unavailable"; reason: string };

/**
 * Returns a verifier of security event tokens (RFC 8417, Google's Cross-Account Protection): parse,
 * trust, key, signature, claims. Each step sees only what the previous one accepted.
 */
export function securityEventVerifier(
  keys: RiscKeys,
  clientIds: readonly string[],
  clock: Clock,
): (body: string) => Promise<Verification> {
  return async (body) => {
    const parsed = parseToken(body);
    if (parsed.kind === "refused") return parsed;
    const { token } = parsed;

    const discovered = await keys.findIssuer();
    if (discovered.kind === "unavailable") return discovered;
    const { issuer } = discovered;
    const distrust = findDistrust(token, issuer, clientIds);
    if (distrust !== undefined) return { kind: "refused", refusal: distrust };

    const named = keyIdOf(token);
    if (named.kind === "refused") return named;
    const { keyId: kid } = named;
    const found = await keys.findKey(kid);
    if (found.kind === "unavailable") return found;
    if (found.kind === "unknown") {
      return { kind: "refused", refusal: { kind: "key_unknown", kid } };
    }

    if (!(await isSigned(token.compact, found.key))) {
      return { kind: "refused", refusal: { kind: "signature_wrong", kid } };
    }
    return readClaims(token.claims, issuer, clock.now());
  };
}

/** The algorithm is fixed here, too, because the sender chose the header. */
async function isSigned(compact: string, key: CryptoKey): Promise<boolean> {
  try {
    await compactVerify(compact, key, { algorithms: ["RS256"] });
    return true;
  } catch (error) {
    if (error instanceof errors.JOSEError) return false;
    throw error;
  }
}
