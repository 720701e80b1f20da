import * as z from "zod";

const CLAIMS = z.object({ email: z.string().regex(/^[\x21-\x7e]{3,320}$/) });
const TOKEN_CHARACTERS_MAX = 8_192;

/** The headers of a request that can carry an ID token. */
export type CallerHeaders = Readonly<Record<string, string | string[] | undefined>>;

/**
 * The service account that calls: the claim `email` of its ID token, for the audit line. Returns
 * `undefined` if there is no such token.
 *
 * The signature is not checked here. Cloud Run has verified the token before it hands over the
 * request, and has removed the signature (Cloud Run, "Authenticating service-to-service"). When a
 * caller sends `X-Serverless-Authorization`, Cloud Run verifies that header alone, so that one counts.
 */
export function callerOf(headers: CallerHeaders): string | undefined {
  const header = headers["x-serverless-authorization"] ?? headers["authorization"];
  if (typeof header !== "string" || header.length > TOKEN_CHARACTERS_MAX) return undefined;
  const payload = /^Bearer [\w-]+\.([\w-]+)\.[\w-]*$/i.exec(header)?.[1];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString());
    return CLAIMS.safeParse(claims).data?.email;
  } catch {
    return undefined;
  }
}
