import { createHash, timingSafeEqual } from "node:crypto";
import { type Answer, ok } from "./answer.ts";
import { ISSUER } from "./authorization.ts";
import { oauthError, tokenRevoked } from "./errors.ts";
import type { Account, Google, OAuthClient } from "./google.ts";
import { refusalOf } from "./refusals.ts";
import { longScope } from "./scopes.ts";
import { JWT_BEARER, redeemAssertion } from "./service-accounts.ts";
import {
  type AccessToken,
  type AuthorizationCode,
  endGrant,
  isLive,
  issueAccessToken,
  issueRefreshToken,
  liveAccessToken,
  type RefreshToken,
} from "./tokens.ts";

const ID_TOKEN_SECONDS = 3600;

/**
 * Google's token endpoint, for codes and refresh tokens (RFC 6749 sections 4.1.3 and 6), and for
 * service accounts.
 */
export function answerToken(google: Google, form: URLSearchParams): Answer {
  if (form.get("grant_type") === JWT_BEARER) return redeemAssertion(google, form.get("assertion"));
  const client = authenticate(google, form);
  if ("status" in client) return client;
  switch (form.get("grant_type")) {
    case "authorization_code":
      return redeem(google, client, form);
    case "refresh_token":
      return refresh(google, client, form);
    case null:
      return oauthError(400, "invalid_request", "Missing required parameter: grant_type");
    default:
      return oauthError(400, "unsupported_grant_type", "Invalid grant_type");
  }
}

function authenticate(google: Google, form: URLSearchParams): OAuthClient | Answer {
  const clientId = form.get("client_id");
  if (clientId === null || clientId === "") {
    return oauthError(400, "invalid_request", "Could not determine client ID from request.");
  }
  const client = google.clients.get(clientId);
  if (client === undefined) {
    return oauthError(401, "invalid_client", "The OAuth client was not found.");
  }
  if (client.state !== "enabled") {
    return oauthError(401, `${client.state}_client`, `The OAuth client was ${client.state}.`);
  }
  const secret = form.get("client_secret");
  if (secret === null || secret === "") {
    return oauthError(400, "invalid_request", "client_secret is missing.");
  }
  const isKnown = [client.clientSecret, client.addedSecret].some(
    (enabled) => enabled !== undefined && equal(secret, enabled),
  );
  return isKnown ? client : oauthError(401, "invalid_client", "Unauthorized");
}

function equal(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b));
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function redeem(google: Google, client: OAuthClient, form: URLSearchParams): Answer {
  const text = form.get("code");
  if (text === null) return oauthError(400, "invalid_request", "Missing required parameter: code");
  const code = google.codes.get(text);
  if (code === undefined) return oauthError(400, "invalid_grant", "Malformed auth code.");
  if (code.redeemed || code.expiresAt <= google.now() || code.clientId !== client.clientId) {
    return oauthError(400, "invalid_grant", "Bad Request");
  }
  if (code.redirectUri !== form.get("redirect_uri")) {
    return oauthError(400, "redirect_uri_mismatch", "Bad Request");
  }
  const refused = checkVerifier(code, form.get("code_verifier"));
  if (refused !== undefined) return oauthError(400, "invalid_grant", refused);
  const account = google.accounts.get(code.sub);
  if (account === undefined || account.standing === "deleted") {
    return oauthError(400, "invalid_grant", "Account has been deleted");
  }

  code.redeemed = true;
  const refreshToken = code.offline ? issueRefreshToken(google, account, client, code) : undefined;
  return ok(
    tokenBody(google, account, issueAccessToken(google, account, code), code, refreshToken),
  );
}

/** RFC 7636 section 4.6; the reason when the verifier does not fit. */
function checkVerifier(
  { challenge }: AuthorizationCode,
  verifier: string | null,
): string | undefined {
  if (challenge === undefined) return undefined;
  if (verifier === null || verifier === "") return "Missing code verifier.";
  const value = challenge.method === "plain" ? verifier : sha256(verifier).toString("base64url");
  return equal(value, challenge.value) ? undefined : "Invalid code verifier.";
}

function refresh(google: Google, client: OAuthClient, form: URLSearchParams): Answer {
  const text = form.get("refresh_token");
  if (text === null || text === "") {
    return oauthError(400, "invalid_request", "Missing required parameter: refresh_token");
  }
  const token = google.refreshTokens.get(text);
  const account = token === undefined ? undefined : google.accounts.get(token.sub);
  if (token === undefined || account === undefined) {
    return oauthError(400, "invalid_grant", "Bad Request");
  }
  if (token.clientId !== client.clientId)
    return oauthError(401, "unauthorized_client", "Unauthorized");
  if (account.standing === "deleted") {
    return oauthError(400, "invalid_grant", "Account has been deleted");
  }
  if (!isLive(google, token)) return tokenRevoked();
  const refusal = refusalOf(google, account, "token.refresh");
  if (refusal !== undefined) return refusal;
  if (account.adminPolicyEnforced) {
    return oauthError(
      400,
      "admin_policy_enforced",
      "The administrator of this account does not allow this application.",
    );
  }
  const access = issueAccessToken(google, account, token);
  return ok(tokenBody(google, account, access, {}, rotate(google, account, client, token)));
}

function rotate(
  google: Google,
  account: Account,
  client: OAuthClient,
  token: RefreshToken,
): RefreshToken | undefined {
  const { settings } = google;
  if (settings.refreshTokenRotations <= 0) return undefined;
  settings.refreshTokenRotations -= 1;
  if (settings.rotatedTokenDies) token.endedBy = "rotated";
  return issueRefreshToken(google, account, client, token);
}

function tokenBody(
  google: Google,
  account: Account,
  access: AccessToken,
  { nonce }: { readonly nonce?: string },
  refreshToken: RefreshToken | undefined,
): Record<string, unknown> {
  const { expiresAt: endsAt } = refreshToken ?? {};
  return {
    access_token: access.token,
    expires_in: google.settings.accessTokenSeconds,
    ...(refreshToken !== undefined && { refresh_token: refreshToken.token }),
    ...(endsAt !== undefined && {
      refresh_token_expires_in: Math.floor((endsAt - google.now()) / 1000),
    }),
    scope: [...access.scopes].join(" "),
    token_type: "Bearer",
    ...(access.scopes.has("openid") && { id_token: idToken(google, account, access, nonce) }),
  };
}

/** OpenID Connect Core section 2, with Google's additions. */
function idToken(
  google: Google,
  account: Account,
  { clientId, token, scopes }: AccessToken,
  nonce: string | undefined,
): string {
  const { sub, email, emailVerified, name, hostedDomain } = account;
  const issuedAt = Math.floor(google.now() / 1000);
  const signed = google.signer.sign({
    iss: ISSUER,
    azp: clientId,
    aud: clientId,
    sub,
    ...(hostedDomain !== undefined && { hd: hostedDomain }),
    ...(scopes.has(longScope("email")) && { email, email_verified: emailVerified }),
    ...(scopes.has(longScope("profile")) && { name }),
    at_hash: sha256(token).subarray(0, 16).toString("base64url"),
    ...(nonce !== undefined && { nonce }),
    iat: issuedAt,
    exp: issuedAt + ID_TOKEN_SECONDS,
  });
  google.secrets.set(signed, sub);
  return signed;
}

/** Google's revocation endpoint: either kind of token ends the whole grant (RFC 7009). */
export function answerRevoke(google: Google, token: string | null): Answer {
  const found = liveTokenOf(google, token ?? "");
  const account = found === undefined ? undefined : google.accounts.get(found.sub);
  if (found === undefined || account === undefined) {
    return oauthError(400, "invalid_token", "Token expired or revoked");
  }
  endGrant(google, account, found.projectId);
  return ok({});
}

/** What Google's `tokeninfo` endpoint says of an access token: whose it is, and what it opens. */
export function answerTokenInfo(google: Google, token: string | null): Answer {
  const found = liveAccessToken(google, token ?? "");
  const account = found === undefined ? undefined : google.accounts.get(found.sub);
  if (found === undefined || account === undefined) {
    return oauthError(400, "invalid_token", "Invalid Value");
  }
  const { clientId, sub, scopes, expiresAt } = found;
  return ok({
    azp: clientId,
    aud: clientId,
    sub,
    scope: [...scopes].join(" "),
    exp: String(Math.floor(expiresAt / 1_000)),
    expires_in: String(Math.floor((expiresAt - google.now()) / 1_000)),
    ...(scopes.has(longScope("email")) && {
      email: account.email,
      email_verified: String(account.emailVerified),
    }),
    access_type: "offline",
  });
}

function liveTokenOf(google: Google, token: string): RefreshToken | AccessToken | undefined {
  const refreshToken = google.refreshTokens.get(token);
  if (refreshToken !== undefined) return isLive(google, refreshToken) ? refreshToken : undefined;
  return google.accessTokens.get(token);
}
