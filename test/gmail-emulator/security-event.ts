import { createHash } from "node:crypto";
import { accountOf, type Google } from "./google.ts";
import { randomText } from "./ids.ts";

/** A security event about an account, or about one of its refresh tokens. */
export interface SecurityEvent {
  /** Like `risc/event-type/sessions-revoked` or `oauth/event-type/token-revoked`. */
  type: string;
  /** Who receives it: an OAuth client's id. */
  audience: string;
  /** Address or `sub`. Absent for a verification event. */
  account?: string;
  /** Makes the subject this refresh token, named by its first 16 characters or by its hash. */
  refreshToken?: { token: string; namedBy: "prefix" | "hash" };
  /** What the event says in addition to its subject: `reason`, `state`. */
  detail?: Record<string, unknown>;
  /** When it happened, in milliseconds; now unless said. */
  at?: number;
  jti?: string;
}

const SCHEMA = "https://schemas.openid.net/secevent/";
const TOKEN_PREFIX_LENGTH = 16;

/** Signs it as Google does (RFC 8417): an `iss` with a slash at the end, and no `exp`. */
export function securityEventToken(google: Google, issuer: string, event: SecurityEvent): string {
  const { type, audience, detail = {}, at = google.now() } = event;
  const { jti = randomText(google.random, 24) } = event;
  const subject = subjectOf(google, issuer, event);
  return google.signer.sign({
    iss: `${issuer}/`,
    aud: audience,
    iat: Math.floor(at / 1000),
    jti,
    events: { [`${SCHEMA}${type}`]: { ...(subject !== undefined && { subject }), ...detail } },
  });
}

function subjectOf(
  google: Google,
  issuer: string,
  { account, refreshToken }: SecurityEvent,
): Record<string, unknown> | undefined {
  if (refreshToken !== undefined) {
    const { token, namedBy } = refreshToken;
    const isPrefix = namedBy === "prefix";
    return {
      subject_type: "oauth_token",
      token_type: "refresh_token",
      token_identifier_alg: isPrefix ? "prefix" : "hash_base64_sha512_sha512",
      token: isPrefix ? token.slice(0, TOKEN_PREFIX_LENGTH) : doubleHash(token),
    };
  }
  if (account === undefined) return undefined;
  return { subject_type: "iss-sub", iss: `${issuer}/`, sub: accountOf(google, account).sub };
}

function doubleHash(token: string): string {
  const inner = createHash("sha512").update(token).digest();
  return createHash("sha512").update(inner).digest("base64");
}
