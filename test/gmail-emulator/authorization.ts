import { type Account, findAccount, type Google, type OAuthClient } from "./google.ts";
import { isKnownScope, isSignInScope, longScope, scopesOfRedirect } from "./scopes.ts";
import { consentOf, issueCode } from "./tokens.ts";

/** The issuer of ID tokens and of authorization answers (RFC 9207), wherever the emulator listens. */
export const ISSUER = "https://accounts.google.com";

/** What an application asks a person for. */
export interface AuthorizationRequest {
  readonly client: OAuthClient;
  readonly redirectUri: string;
  /** As asked for, short names included. */
  readonly scopes: readonly string[];
  readonly state?: string;
  readonly nonce?: string;
  readonly challenge?: { readonly method: "S256" | "plain"; readonly value: string };
  readonly offline: boolean;
  readonly includeGrantedScopes: boolean;
  readonly prompt: ReadonlySet<string>;
  readonly loginHint?: string;
  readonly hostedDomain?: string;
}

/** Refusals that Google shows to the person; it does not send them to the application. */
export interface AuthorizationRefused {
  readonly kind: "refused";
  readonly status: number;
  readonly error: string;
  readonly description: string;
}

export type CheckedAuthorization =
  | { readonly kind: "request"; readonly request: AuthorizationRequest }
  | AuthorizationRefused;

/** Checks what the authorization endpoint was asked, in the order in which Google complains. */
export function checkAuthorization(google: Google, query: URLSearchParams): CheckedAuthorization {
  const clientId = query.get("client_id");
  if (clientId === null) return missing("client_id");
  const client = google.clients.get(clientId);
  if (client === undefined) return refuse(401, "invalid_client", "The OAuth client was not found.");
  if (client.state !== "enabled") {
    return refuse(401, `${client.state}_client`, `The OAuth client was ${client.state}.`);
  }
  const redirectUri = query.get("redirect_uri");
  if (redirectUri === null) return missing("redirect_uri");
  if (!client.redirectUris.includes(redirectUri)) {
    return refuse(
      400,
      "redirect_uri_mismatch",
      `The redirect URI in the request, ${redirectUri}, is not registered for this client.`,
    );
  }
  const responseType = query.get("response_type");
  if (responseType === null) return missing("response_type");
  if (responseType !== "code") {
    return refuse(400, "unsupported_response_type", `Invalid response_type: ${responseType}`);
  }
  const scopes = words(query.get("scope"));
  if (scopes.length === 0) return missing("scope");
  const invalid = scopes.filter((scope) => !isKnownScope(scope));
  if (invalid.length > 0) {
    const valid = scopes.filter(isKnownScope);
    return refuse(
      400,
      "invalid_scope",
      `Some requested scopes were invalid. {valid=[${valid.join(", ")}], invalid=[${invalid.join(", ")}]}`,
    );
  }
  const accessType = query.get("access_type") ?? "online";
  if (accessType !== "offline" && accessType !== "online") {
    return refuse(400, "invalid_request", `Invalid access_type: ${accessType}`);
  }
  const challenge = query.get("code_challenge");
  const method = query.get("code_challenge_method") ?? "plain";
  if (method !== "S256" && method !== "plain") {
    return refuse(400, "invalid_request", `Invalid code_challenge_method: ${method}`);
  }
  return {
    kind: "request",
    request: {
      client,
      redirectUri,
      scopes: [...new Set(scopes)],
      ...optional("state", query.get("state")),
      ...optional("nonce", query.get("nonce")),
      ...(challenge !== null && { challenge: { method, value: challenge } }),
      offline: accessType === "offline",
      includeGrantedScopes: query.get("include_granted_scopes") === "true",
      prompt: new Set(words(query.get("prompt"))),
      ...optional("loginHint", query.get("login_hint")),
      ...optional("hostedDomain", query.get("hd")),
    },
  };
}

function words(text: string | null): string[] {
  return (text ?? "").split(/\s+/).filter((word) => word !== "");
}

function optional<Key extends string>(key: Key, value: string | null): { [K in Key]?: string } {
  return value === null ? {} : ({ [key]: value } as { [K in Key]?: string });
}

const refuse = (status: number, error: string, description: string): AuthorizationRefused => ({
  kind: "refused",
  status,
  error,
  description,
});
const missing = (parameter: string) =>
  refuse(400, "invalid_request", `Missing required parameter: ${parameter}`);

/** Accounts that the page lists: a deleted one can no longer sign in. */
export function selectableAccounts(google: Google): Account[] {
  return [...google.accounts.values()].filter(({ standing }) => standing !== "deleted");
}

/**
 * The redirect Google makes without showing a page: consent that is on record already, or the
 * refusal of `prompt=none`. `undefined` when a person has to decide.
 */
export function silentRedirect(google: Google, request: AuthorizationRequest): string | undefined {
  const silent = request.prompt.has("none");
  if (!silent && request.prompt.size > 0) return undefined;
  const account =
    request.loginHint === undefined ? undefined : findAccount(google, request.loginHint);
  const allowed = account?.consents.get(request.client.projectId)?.scopes;
  const consented = request.scopes.every((scope) => allowed?.has(longScope(scope)) === true);
  const mayPass = account?.standing === "active" && !account.adminPolicyEnforced;
  if (account !== undefined && consented && mayPass) {
    return allowRedirect(google, request, account, request.scopes);
  }
  return silent ? errorRedirect(request, "interaction_required") : undefined;
}

export interface Decision {
  /** Address or `sub`. */
  readonly account: string;
  readonly allow: boolean;
  /** The scopes left ticked; those of sign-in are always granted. */
  readonly scopes: readonly string[];
}

/** What follows from the person's decision: a redirect to the application, or a page that refuses. */
export function decideAuthorization(
  google: Google,
  request: AuthorizationRequest,
  { account: address, allow, scopes }: Decision,
): { kind: "redirect"; url: string } | AuthorizationRefused {
  if (!allow) return { kind: "redirect", url: errorRedirect(request, "access_denied") };
  const account = findAccount(google, address);
  if (account === undefined || account.standing === "deleted") {
    return refuse(400, "invalid_request", "Choose an account.");
  }
  if (account.adminPolicyEnforced) {
    return refuse(
      400,
      "admin_policy_enforced",
      "The administrator of this account does not allow this application.",
    );
  }
  const granted = request.scopes.filter((scope) => isSignInScope(scope) || scopes.includes(scope));
  return { kind: "redirect", url: allowRedirect(google, request, account, granted) };
}

function allowRedirect(
  google: Google,
  request: AuthorizationRequest,
  account: Account,
  granted: readonly string[],
): string {
  const { client, redirectUri, challenge, nonce } = request;
  const { clientId, projectId } = client;
  const consent = consentOf(account, projectId);
  const now = granted.map(longScope);
  const isFirst =
    !consent.offlineClients.has(clientId) || now.some((scope) => !consent.scopes.has(scope));
  for (const scope of now) consent.scopes.add(scope);
  const scopes = new Set(request.includeGrantedScopes ? [...now, ...consent.scopes] : now);

  const code = issueCode(google, {
    sub: account.sub,
    clientId,
    projectId,
    redirectUri,
    scopes,
    ...(challenge !== undefined && { challenge }),
    ...(nonce !== undefined && { nonce }),
    offline: request.offline && (isFirst || request.prompt.has("consent")),
  });
  return redirectTo(request, { code, scope: scopesOfRedirect(scopes) });
}

function errorRedirect(request: AuthorizationRequest, error: string): string {
  return redirectTo(request, { error });
}

function redirectTo(request: AuthorizationRequest, answer: Record<string, string>): string {
  const url = new URL(request.redirectUri);
  if (request.state !== undefined) url.searchParams.set("state", request.state);
  url.searchParams.set("iss", ISSUER);
  for (const [name, value] of Object.entries(answer)) url.searchParams.set(name, value);
  return url.href;
}
