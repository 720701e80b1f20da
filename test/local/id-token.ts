/**
 * An ID token of a service account for the local stack. It has the form that Cloud Run hands on after it
 * has verified a token: without a signature. On this machine nothing verifies it.
 */
export function localIdToken(email: string): string {
  const part = (json: object) => Buffer.from(JSON.stringify(json)).toString("base64url");
  const header = { alg: "RS256", kid: "local", typ: "JWT" };
  const claims = { iss: "https://accounts.google.com", sub: "1", email, email_verified: true };
  return `${part(header)}.${part(claims)}.SIGNATURE_REMOVED_BY_GOOGLE`;
}
