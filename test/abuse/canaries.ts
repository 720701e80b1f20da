/** The receiver's own secrets in these tests, each so odd that it is found wherever it turns up. */
export const CANARIES = {
  clientSecret: "GOCSPX-canary~client~secret",
  tokenKey: Buffer.from("canary/token/key/of/32/bytes/..!").toString("base64"),
  returnToSecret: "canary+return+to+secret+of+forty+letters",
} as const;

/** The variables that carry them. */
export const CANARY_ENV = {
  OAUTH_CLIENT_SECRET: CANARIES.clientSecret,
  TOKEN_KEYS: JSON.stringify({ primary: "canary", keys: { canary: CANARIES.tokenKey } }),
  RETURN_TO_SECRET: CANARIES.returnToSecret,
} as const;

/** A secret hides in these spellings as well. */
function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    encodeURIComponent(secret),
    bytes.toString("base64").replace(/=+$/, ""),
    bytes.toString("base64url"),
    bytes.toString("hex"),
    Buffer.from(secret, "base64").toString("hex"),
    Buffer.from(secret, "base64").toString("latin1"),
  ];
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** How Google's tokens begin: access, refresh, code, and an ID token's or a security event's header. */
const TOKENS = ["ya29\\.a0", "1//0", "1%2F%2F0", "4/0A", "4%2F0A"].map((it) => `${it}[\\w-]{12}`);
const SIGNED_BY_GOOGLE = Buffer.from('{"alg":"RS256"').toString("base64url").slice(0, -1);

const SECRETS = new RegExp(
  [
    ...Object.values(CANARIES)
      .flatMap(spellings)
      .filter((spelling) => spelling.length >= 16)
      .map(escaped),
    ...TOKENS,
    `${SIGNED_BY_GOOGLE}[\\w-]{20}`,
  ].join("|"),
);

/** The first secret in a text that outsiders or operators see; `undefined` when there is none. */
export function findSecret(text: string): string | undefined {
  return SECRETS.exec(text)?.[0];
}
