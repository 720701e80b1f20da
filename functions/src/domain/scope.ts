const PREFIX = "https://www.googleapis.com/auth/";

/** Scopes that Google accepts under a short name and grants under a long one. */
const LONG_NAMES: Readonly<Record<string, string>> = {
  email: `${PREFIX}userinfo.email`,
  profile: `${PREFIX}userinfo.profile`,
  "https://mail.google.com": "https://mail.google.com/",
};

/**
 * Returns the name under which Google grants a scope. Every scope is converted at the entry
 * (configuration, token responses, stored grants), so that scopes are compared as text.
 */
export function canonicalScope(scope: string): string {
  return Object.hasOwn(LONG_NAMES, scope) ? (LONG_NAMES[scope] ?? scope) : scope;
}

/** The scopes of a sign-in, as Google grants them. */
export const SIGN_IN_SCOPES: readonly string[] = ["openid", canonicalScope("email")];

/** Scopes of Gmail that include each other, from the widest to the narrowest. */
const NESTED: readonly string[] = [
  "https://mail.google.com/",
  `${PREFIX}gmail.modify`,
  `${PREFIX}gmail.readonly`,
  `${PREFIX}gmail.metadata`,
];

/**
 * Returns whether granted scopes allow what `wanted` allows: it is one of them, or a wider scope of
 * Gmail is (Gmail API, "Choose Gmail API scopes").
 */
export function coversScope(granted: readonly string[], wanted: string): boolean {
  const place = NESTED.indexOf(wanted);
  const covering = place < 0 ? [wanted] : NESTED.slice(0, place + 1);
  return granted.some((scope) => covering.includes(scope));
}
