import { redirectUriOf } from "../config/config.ts";
import type { ConnectContext } from "./context.ts";
import { attempt, type Failure } from "../domain/failure.ts";
import type { Unidentified } from "../google/id-token.ts";
import type { TokenAnswer } from "../google/oauth.ts";
import { SIGN_IN_SCOPES } from "../domain/scope.ts";
import type { User, UserId } from "../domain/user.ts";
import { type PendingAuthorization, askedScopes, expectedUserId } from "./authorization-request.ts";
import { type Establishment, establish, isAllowedDomain } from "./establish.ts";
import { storeRotated } from "../grant/rotated-token.ts";

/** Every result of an authorization response. */
export type Authorization =
  | Establishment
  /** Google sent no refresh token, and none is stored: the person has to consent. */
  | { kind: "consent_needed"; emailAddress: string }
  | { kind: "code_refused" }
  | { kind: "identity_refused" }
  | { kind: "address_unverified" }
  /** The account belongs to none of the allowed domains. */
  | { kind: "domain_refused" }
  /** Another Google account completed a re-authorization. */
  | { kind: "wrong_account" }
  /** The person unticked a box. */
  | { kind: "scopes_missing" };

/**
 * Completes an authorization: exchanges the code once, verifies the person and the granted scopes,
 * creates the watch, stores the grant in one write, and publishes what was missed before it
 * returns. A refused authorization stores nothing. Rejects only if the store fails or a document
 * cannot be read: then the grant is not revoked, because it may be the stored one.
 */
export async function completeAuthorization(
  code: string,
  pending: PendingAuthorization,
  language: string,
  context: ConnectContext,
): Promise<Authorization> {
  const { config } = context;
  const exchanged = await attempt(() =>
    context.oauth.exchangeCode(code, pending.codeVerifier, redirectUriOf(config)),
  );
  if (!exchanged.ok) {
    const { failure } = exchanged.error;
    return failure.kind === "bad_request" ? { kind: "code_refused" } : refused(failure);
  }
  const { idToken } = exchanged.value;
  if (idToken === undefined) return { kind: "identity_refused" };
  const check = await context.verifyIdToken(idToken, { requested: pending.nonce });
  if (!check.ok) return unidentified(check.error, exchanged.value, pending, context);
  const identity = check.value;
  if (!isAllowedDomain(identity, context)) {
    await giveBack(identity.userId, exchanged.value, pending, context);
    return { kind: "domain_refused" };
  }
  const stored = await context.users.find(identity.userId);
  const expected = expectedUserId(pending);
  if (expected !== undefined && expected !== identity.userId) {
    await giveBack(identity.userId, exchanged.value, pending, context);
    return { kind: "wrong_account" };
  }
  if (!config.gmail.scopes.every((scope) => exchanged.value.scopes.includes(scope))) {
    await giveBack(identity.userId, exchanged.value, pending, context);
    return { kind: "scopes_missing" };
  }
  const { refreshToken = await liveRefreshToken(stored, context) } = exchanged.value;
  if (refreshToken === undefined) {
    if (!pending.isConsentAsked) {
      return { kind: "consent_needed", emailAddress: identity.emailAddress };
    }
    return refused({ kind: "misconfigured", reason: "no_refresh_token" });
  }
  const token = { ...exchanged.value, refreshToken };
  const ticket = pending.appSub === undefined ? {} : { ticket: { tags: pending.tags } };
  const established = await establish({ ...identity, token, stored, ...ticket, language }, context);
  if (established.kind !== "connected") {
    await giveBack(identity.userId, token, pending, context);
  }
  return established;
}

async function unidentified(
  why: Unidentified,
  token: TokenAnswer,
  pending: PendingAuthorization,
  context: ConnectContext,
): Promise<Authorization> {
  switch (why.kind) {
    case "unavailable":
      return refused({ kind: "transient", reason: "google_keys_unavailable" });
    case "refused":
      context.log.warn("id_token_rejected", "rejected an ID token", { reason: why.reason });
      return { kind: "identity_refused" };
    case "address_missing":
      context.log.warn("id_token_rejected", "rejected an ID token", { reason: "claims" });
      return { kind: "identity_refused" };
    case "address_unverified":
      await giveBack(why.userId, token, pending, context);
      return { kind: "address_unverified" };
  }
}

function refused(failure: Failure): Authorization {
  return { kind: "try_later", failure };
}

/**
 * Revokes a grant that the receiver does not use. Revoking ends every grant that the person gave to
 * any client of the project, and a response does not show the other clients' grants. So the grant is
 * left at Google when `DISCONNECT_REVOKES` says so, when the project has other clients, when the
 * response covers more than was asked for, and when the person has a live connection.
 */
async function giveBack(
  userId: UserId,
  { refreshToken, accessToken, scopes }: TokenAnswer,
  pending: PendingAuthorization,
  context: ConnectContext,
): Promise<void> {
  if (!context.config.disconnectRevokes || context.config.risc.clientIds.length > 1) return;
  const asker = expectedUserId(pending);
  const grantedBefore = asker && (await context.users.find(asker))?.grant.scopes;
  const asked = new Set([...SIGN_IN_SCOPES, ...askedScopes(grantedBefore, context)]);
  if (!scopes.every((scope) => asked.has(scope))) return;
  // Read as late as possible: the person may have connected in another tab in the meantime.
  const stored = await context.users.find(userId);
  if (stored?.grant.refreshToken !== undefined) return;
  // A document that cannot be read may contain a living grant.
  if (stored === undefined && (await context.users.exists(userId))) return;
  const revoked = await attempt(() => context.oauth.revoke(refreshToken ?? accessToken));
  if (revoked.ok || revoked.error.failure.kind === "gone") return;
  context.log.error("grant_not_revoked", "could not revoke an unused grant at Google", {
    userId,
  });
}

/**
 * Returns the stored refresh token of this person, if Google still accepts it. One that Google
 * rotates here is stored at once: the sign-in can still be refused, and the stored grant has to
 * survive that.
 */
async function liveRefreshToken(
  stored: User | undefined,
  context: ConnectContext,
): Promise<string | undefined> {
  const { tokens, oauth } = context;
  const sealed = stored?.grant.refreshToken;
  if (stored === undefined || sealed === undefined) return undefined;
  const held = tokens.open(stored.id, "refresh_token", sealed);
  if (held === undefined) return undefined;
  const refreshed = await attempt(() => oauth.refresh(held));
  if (!refreshed.ok) return undefined;
  const { refreshToken: rotated = held } = refreshed.value;
  if (rotated !== held) await storeRotated(stored, rotated, context);
  return rotated;
}
