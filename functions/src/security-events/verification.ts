import { type CryptoKey, compactVerify, errors } from "jose";
import type { Clock } from "../domain/clock.ts";
import type { FailedCall } from "../domain/failure.ts";
import { type Result, err } from "../domain/result.ts";
import type { RiscKeys } from "../google/risc-keys.ts";
import { type SecurityEventToken, readClaims } from "./event.ts";
import type { Refusal } from "./refusal.ts";
import { findDistrust, keyIdOf, parseToken } from "./token.ts";

/**
 * The token of a delivery, or why there is none: it is refused; or Google's keys are not available,
 * so nothing is known about it.
 */
export type Verification = Result<SecurityEventToken, Refusal | FailedCall>;

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
    if (!parsed.ok) return parsed;
    const token = parsed.value;

    const discovered = await keys.findIssuer();
    if (!discovered.ok) return discovered;
    const issuer = discovered.value;
    const distrust = findDistrust(token, issuer, clientIds);
    if (distrust !== undefined) return err(distrust);

    const named = keyIdOf(token);
    if (!named.ok) return named;
    const kid = named.value;
    const found = await keys.findKey(kid);
    if (!found.ok) return found;
    if (found.value === undefined) return err({ kind: "key_unknown", kid });

    if (!(await isSigned(token.compact, found.value))) return err({ kind: "signature_wrong", kid });
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
