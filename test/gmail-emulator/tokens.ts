import type { Account, Consent, Google, OAuthClient } from "./google.ts";
import { randomText } from "./ids.ts";
import { isGmailScope } from "./scopes.ts";

interface Grant {
  readonly sub: string;
  readonly clientId: string;
  readonly projectId: string;
  readonly scopes: ReadonlySet<string>;
}

export interface AuthorizationCode extends Grant {
  readonly code: string;
  readonly redirectUri: string;
  readonly challenge?: { readonly method: "S256" | "plain"; readonly value: string };
  readonly nonce?: string;
  /** Whether redeeming it also gives a refresh token. */
  readonly offline: boolean;
  readonly expiresAt: number;
  redeemed: boolean;
}

/** Why a refresh token works no more. The token endpoint never says. */
export type TokenEnd =
  | "revoked"
  | "password_changed"
  | "displaced"
  | "rotated"
  | "expired"
  | "account_deleted";

export interface RefreshToken extends Grant {
  readonly token: string;
  readonly issuedAt: number;
  readonly expiresAt?: number;
  endedBy?: TokenEnd;
}

export interface AccessToken extends Grant {
  readonly token: string;
  readonly expiresAt: number;
  /** Given to a service account that acts for the person. */
  readonly isDelegated?: boolean;
}

/** Google's limits on length, in bytes, are 256 for codes, 2048 for access, 512 for refresh tokens. */
const CODE_LENGTH = 64;
const ACCESS_TOKEN_LENGTH = 160;
const REFRESH_TOKEN_LENGTH = 88;

function newSecret(google: Google, sub: string, prefix: string, length: number): string {
  google.serial += 1;
  const secret = `${prefix}${randomText(google.random, length)}${google.serial.toString(36)}`;
  google.secrets.set(secret, sub);
  return secret;
}

export function issueCode(
  google: Google,
  grant: Omit<AuthorizationCode, "code" | "expiresAt" | "redeemed">,
): string {
  const code = newSecret(google, grant.sub, "4/0A", CODE_LENGTH);
  const expiresAt = google.now() + google.settings.authorizationCodeMs;
  google.codes.set(code, { ...grant, code, expiresAt, redeemed: false });
  return code;
}

export function issueAccessToken(
  google: Google,
  account: Account,
  grant: Grant & Pick<AccessToken, "isDelegated">,
): AccessToken {
  const { sub, clientId, projectId, scopes, isDelegated = false } = grant;
  const token = newSecret(google, sub, "ya29.a0", ACCESS_TOKEN_LENGTH);
  const expiresAt = google.now() + google.settings.accessTokenSeconds * 1000;
  const issued = { token, sub, clientId, projectId, scopes, expiresAt, isDelegated };
  endAccessTokens(google, account, (other) => other.expiresAt <= google.now());
  account.accessTokens.push(issued);
  google.accessTokens.set(token, issued);
  return issued;
}

/** Beyond the limit for one account and client, the oldest live token ends silently. */
export function issueRefreshToken(
  google: Google,
  account: Account,
  client: OAuthClient,
  grant: Grant,
): RefreshToken {
  const { sub, clientId, projectId, scopes } = grant;
  const token = newSecret(google, sub, "1//0", REFRESH_TOKEN_LENGTH);
  const issuedAt = google.now();
  const lifetime = client.refreshTokenMs;
  const issued: RefreshToken = {
    token,
    sub,
    clientId,
    projectId,
    scopes,
    issuedAt,
    ...(lifetime !== undefined && { expiresAt: issuedAt + lifetime }),
  };
  account.refreshTokens.push(issued);
  google.refreshTokens.set(token, issued);
  const live = account.refreshTokens.filter(
    (other) => other.clientId === clientId && isLive(google, other),
  );
  const surplus = Math.max(0, live.length - google.settings.refreshTokensMax);
  for (const old of live.slice(0, surplus)) old.endedBy = "displaced";
  consentOf(account, projectId).offlineClients.add(clientId);
  return issued;
}

export function isLive(google: Google, token: RefreshToken): boolean {
  if (token.endedBy !== undefined) return false;
  return token.expiresAt === undefined || token.expiresAt > google.now();
}

/** The access token, if Gmail would take it now. */
export function liveAccessToken(google: Google, token: string): AccessToken | undefined {
  const found = google.accessTokens.get(token);
  return found !== undefined && found.expiresAt > google.now() ? found : undefined;
}

export function consentOf(account: Account, projectId: string): Consent {
  const present = account.consents.get(projectId);
  if (present !== undefined) return present;
  const consent = { scopes: new Set<string>(), offlineClients: new Set<string>() };
  account.consents.set(projectId, consent);
  return consent;
}

/** Ends what a person allowed a whole project: every token, whichever client holds it. */
export function endGrant(google: Google, account: Account, projectId: string): void {
  endRefreshTokens(account, "revoked", (token) => token.projectId === projectId);
  endAccessTokens(google, account, (token) => token.projectId === projectId);
  account.consents.delete(projectId);
  if (!google.settings.watchOutlivesGrant) account.watches.delete(projectId);
}

/** A password change ends every token that opens Gmail. What was consented to stays. */
export function endMailTokens(google: Google, account: Account): void {
  endRefreshTokens(account, "password_changed", opensMail);
  endAccessTokens(google, account, opensMail);
  if (!google.settings.watchOutlivesGrant) account.watches.clear();
}

function opensMail({ scopes }: Grant): boolean {
  return [...scopes].some(isGmailScope);
}

export function endRefreshTokens(
  account: Account,
  endedBy: TokenEnd,
  which: (token: RefreshToken) => boolean = () => true,
): void {
  for (const token of account.refreshTokens) {
    if (token.endedBy === undefined && which(token)) token.endedBy = endedBy;
  }
}

export function endAccessTokens(
  google: Google,
  account: Account,
  which: (token: AccessToken) => boolean = () => true,
): void {
  for (const token of account.accessTokens)
    if (which(token)) google.accessTokens.delete(token.token);
  account.accessTokens = account.accessTokens.filter((token) => !which(token));
}
