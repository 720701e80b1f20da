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
