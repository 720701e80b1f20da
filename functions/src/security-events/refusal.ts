/** Why a security event token is rejected, with the evidence. For the log only. */
export type Refusal =
  /** Not three parts of base64url with JSON objects, or too many events. */
  | { kind: "malformed"; part: "token" | "header" | "claims" }
  | { kind: "type_unsupported"; typ: string }
  /** RFC 7515 §4.1.11: a `crit` header with an unknown extension. */
  | { kind: "extension_unsupported" }
  | { kind: "issuer_wrong"; iss: string }
  | { kind: "audience_wrong"; aud: string }
  | { kind: "algorithm_refused"; alg: string }
  | { kind: "key_missing" }
  | { kind: "key_unknown"; kid: string }
  | { kind: "signature_wrong"; kid: string }
  | { kind: "issued_in_future"; aheadMs: number }
  | { kind: "claim_unusable"; claim: "iat" | "jti" | "events" | "subject" };

/** The error codes of RFC 8935 §2.4 that can occur here. */
export type SetErrorCode =
  | "invalid_request"
  | "invalid_key"
  | "invalid_issuer"
  | "invalid_audience"
  | "authentication_failed";

/** Returns the error code for the sender, who learns nothing more precise. */
export function errorCodeOf({ kind }: Refusal): SetErrorCode {
  switch (kind) {
    case "malformed":
    case "type_unsupported":
    case "extension_unsupported":
    case "issued_in_future":
    case "claim_unusable":
      return "invalid_request";
    case "issuer_wrong":
      return "invalid_issuer";
    case "audience_wrong":
      return "invalid_audience";
    case "algorithm_refused":
    case "key_missing":
    case "key_unknown":
      return "invalid_key";
    case "signature_wrong":
      // The signature is the only proof of the sender.
      return "authentication_failed";
  }
}
