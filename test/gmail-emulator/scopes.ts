const PREFIX = "https://www.googleapis.com/auth/";
const FULL = "https://mail.google.com/";
const METADATA = `${PREFIX}gmail.metadata`;
const READONLY = `${PREFIX}gmail.readonly`;
const MODIFY = `${PREFIX}gmail.modify`;
const COMPOSE = `${PREFIX}gmail.compose`;
const LABELS = `${PREFIX}gmail.labels`;

/** The Gmail scopes by their short names. */
export const GMAIL_SCOPES = {
  full: FULL,
  metadata: METADATA,
  readonly: READONLY,
  modify: MODIFY,
  compose: COMPOSE,
  labels: LABELS,
  send: `${PREFIX}gmail.send`,
  insert: `${PREFIX}gmail.insert`,
  settingsBasic: `${PREFIX}gmail.settings.basic`,
  settingsSharing: `${PREFIX}gmail.settings.sharing`,
} as const;

const KNOWN_GMAIL_SCOPES: ReadonlySet<string> = new Set(Object.values(GMAIL_SCOPES));

const LONG_NAMES: Record<string, string> = {
  email: `${PREFIX}userinfo.email`,
  profile: `${PREFIX}userinfo.profile`,
};

/** Google grants `email` and `profile` under their long names. */
export function longScope(scope: string): string {
  return LONG_NAMES[scope] ?? scope;
}

/** What the redirect names: the granted scopes, with the short names of sign-in in addition to the long ones. */
export function scopesOfRedirect(scopes: Iterable<string>): string {
  const granted = [...scopes];
  const short = Object.keys(LONG_NAMES).filter((name) => granted.includes(longScope(name)));
  return [...short, ...granted].join(" ");
}

/** Sign-in scopes, which a person cannot untick. */
export function isSignInScope(scope: string): boolean {
  return scope === "openid" || Object.values(LONG_NAMES).includes(longScope(scope));
}

/** Gmail scopes are the ones that a password change takes away. */
export function isGmailScope(scope: string): boolean {
  return KNOWN_GMAIL_SCOPES.has(scope);
}

/** Other APIs' scopes are taken on trust; a Gmail scope must exist. */
export function isKnownScope(scope: string): boolean {
  if (isSignInScope(scope) || isGmailScope(scope)) return true;
  return /^https:\/\/www\.googleapis\.com\/auth\/(?!gmail\b)[a-z][a-z0-9._-]*$/.test(scope);
}

/** With this scope, a token can neither search nor read bodies, even if it has wider scopes. */
export function isLimitedToMetadata(scopes: ReadonlySet<string>): boolean {
  return scopes.has(METADATA);
}
