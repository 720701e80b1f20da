import { createRemoteJWKSet, errors, jwtVerify } from "jose";
import * as z from "zod";
import type { Clock } from "../domain/clock.ts";
import { type EmailAddress, parseEmailAddress } from "../domain/email-address.ts";
import { type Result, err, ok } from "../domain/result.ts";
import { type UserId, parseUserId } from "../domain/user.ts";
import { type GoogleEndpoints, GOOGLE_ISSUER } from "./endpoints.ts";

/** The person whom a verified ID token identifies. */
export interface Identity {
  userId: UserId;
  emailAddress: EmailAddress;
  /** `hd`: the domain of the Workspace or Cloud organization. Consumer accounts have none. */
  hostedDomain?: string;
}

/** Why an ID token does not identify a person. */
export type Unidentified =
  /** A valid token with an address that Google has not verified. */
  | { kind: "address_unverified"; userId: UserId }
  /** A valid token without an address: the person did not grant the scope `email`. */
  | { kind: "address_missing"; userId: UserId; hostedDomain?: string }
  | { kind: "refused"; reason: string }
  /** Google's keys could not be fetched. */
  | { kind: "unavailable" };

/** The allowed difference between Google's clock and this instance's. */
const CLOCK_TOLERANCE_SECONDS = 60;
const KEYS_TIMEOUT_MS = 5_000;

const CLAIMS = z.object({
  sub: z.string(),
  email: z.string().optional(),
  email_verified: z.boolean().optional(),
  hd: z.string().optional(),
});

/**
 * Verifies an ID token. `nonce` is the one of the authorization request, or `not_requested` for the
 * response to a refresh, which has none (OpenID Connect Core §12.2).
 */
export type VerifyIdToken = (
  idToken: string,
  nonce: { requested: string } | "not_requested",
) => Promise<Result<Identity, Unidentified>>;

/**
 * Returns a verifier of ID tokens (OpenID Connect Core §3.1.3.7): signature by one of Google's
 * keys, RS256, `iss`, `aud`, `exp` and `nonce`. The token itself never leaves it.
 */
export function idTokenVerifier(
  clientId: string,
  { certs }: GoogleEndpoints,
  clock: Clock,
): VerifyIdToken {
  let keys: ReturnType<typeof createRemoteJWKSet> | undefined;

  return async (idToken, nonce) => {
    // On first use, because it loads Node's own HTTP client, which most instances never need.
    keys ??= createRemoteJWKSet(new URL(certs), { timeoutDuration: KEYS_TIMEOUT_MS });
    try {
      const { payload } = await jwtVerify(idToken, keys, {
        issuer: [GOOGLE_ISSUER, new URL(GOOGLE_ISSUER).host],
        audience: clientId,
        algorithms: ["RS256"],
        requiredClaims: ["exp", "iat", "sub", ...(nonce === "not_requested" ? [] : ["nonce"])],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: clock.now(),
      });
      if (nonce !== "not_requested" && payload["nonce"] !== nonce.requested) {
        return err({ kind: "refused", reason: "nonce" });
      }
      return toIdentity(payload);
    } catch (error) {
      return err(refusal(error));
    }
  };
}

function toIdentity(payload: unknown): Result<Identity, Unidentified> {
  const claims = CLAIMS.safeParse(payload);
  if (!claims.success) return err({ kind: "refused", reason: "claims" });
  const userId = parseUserId(claims.data.sub);
  if (userId === undefined) return err({ kind: "refused", reason: "claims" });
  const { hd, email, email_verified: isVerified } = claims.data;
  const hostedDomain = hd === undefined ? {} : { hostedDomain: hd.toLowerCase() };
  if (email === undefined) return err({ kind: "address_missing", userId, ...hostedDomain });
  const emailAddress = parseEmailAddress(email);
  if (emailAddress === undefined || isVerified === undefined) {
    return err({ kind: "refused", reason: "claims" });
  }
  if (!isVerified) return err({ kind: "address_unverified", userId });
  return ok({ userId, emailAddress, ...hostedDomain });
}

/** Keeps only jose's stable codes: its messages can quote the token. */
function refusal(error: unknown): Unidentified {
  // Not fetched in time, or not a key set: this says nothing about the token.
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) {
    return { kind: "unavailable" };
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    return { kind: "refused", reason: error.claim };
  }
  if (error instanceof errors.JOSEError) {
    // A plain JOSEError means that the key set could not be fetched.
    return error.code === errors.JOSEError.code
      ? { kind: "unavailable" }
      : { kind: "refused", reason: error.code };
  }
  return { kind: "unavailable" };
}
