import { type JWTVerifyGetKey, createRemoteJWKSet, errors, jwtVerify } from "jose";

/** What a push request is verified against. */
export interface PushOptions {
  /** The audience of the subscription: `--push-auth-token-audience`, or its endpoint. */
  audience: string;
  /** The subscription's service account: `--push-auth-service-account`. */
  serviceAccount: string;
  /** Where the signing keys are. Google's, unless you test with keys of your own. */
  certsUrl?: string;
  /** The time to compare the token with; now, unless given. */
  now?: Date;
}

/** A request of Node, of Express, or of the Fetch API. */
export interface PushRequest {
  headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** The result of {@link verifyPush}. */
export type Verification =
  | { kind: "verified" }
  /** Answer 401 or 403. `why` is for the log. */
  | { kind: "refused"; why: string }
  /** The signing keys could not be fetched. Answer 503: Pub/Sub delivers the message again. */
  | { kind: "unavailable"; why: string };

const GOOGLE_CERTS = "https://www.googleapis.com/oauth2/v3/certs";
const ISSUERS = ["https://accounts.google.com", "accounts.google.com"];
const CERTS_TIMEOUT_MS = 5_000;
/** Google changes its keys every few days. An unknown key is looked for earlier, twice a minute at most. */
const CERTS_AGE_MS_MAX = 3_600_000;
const CLOCK_SKEW_S = 30;

/** Keys are fetched once for each address, and kept. */
const keySets = new Map<string, JWTVerifyGetKey>();

/**
 * Verifies that a request is a delivery of your push subscription: the OIDC token in its
 * `Authorization` header is signed by Google, is for this audience and names this service account
 * (Pub/Sub, "Authenticate push subscriptions"). The audience alone is not enough: anyone can have
 * Google sign a token for it.
 */
export async function verifyPush(
  request: PushRequest,
  { audience, serviceAccount, certsUrl = GOOGLE_CERTS, now = new Date() }: PushOptions,
): Promise<Verification> {
  const [, token] = /^Bearer +(\S+)$/i.exec(authorization(request)) ?? [];
  if (token === undefined) return { kind: "refused", why: "there is no bearer token" };
  try {
    const { payload } = await jwtVerify(token, keysAt(certsUrl), {
      algorithms: ["RS256"],
      issuer: ISSUERS,
      audience,
      requiredClaims: ["exp", "email"],
      clockTolerance: CLOCK_SKEW_S,
      currentDate: now,
    });
    const { email, email_verified: isVerified } = payload;
    if (isVerified !== true) return { kind: "refused", why: "the email address is not verified" };
    if (email !== serviceAccount) {
      return { kind: "refused", why: "the token is of another service account" };
    }
    return { kind: "verified" };
  } catch (error) {
    const why = error instanceof errors.JOSEError ? error.code : "the keys could not be fetched";
    return { kind: isOfToken(error) ? "refused" : "unavailable", why };
  }
}

/** Whether the token is to blame; otherwise its keys could not be had. */
function isOfToken(error: unknown): boolean {
  return (
    error instanceof errors.JWTExpired ||
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys
  );
}

function keysAt(url: string): JWTVerifyGetKey {
  const known = keySets.get(url);
  if (known !== undefined) return known;
  const keys = createRemoteJWKSet(new URL(url), {
    timeoutDuration: CERTS_TIMEOUT_MS,
    cacheMaxAge: CERTS_AGE_MS_MAX,
  });
  keySets.set(url, keys);
  return keys;
}

function authorization({ headers }: PushRequest): string {
  if (headers instanceof Headers) return headers.get("authorization") ?? "";
  const value = headers["authorization"] ?? headers["Authorization"];
  return typeof value === "string" ? value : "";
}
