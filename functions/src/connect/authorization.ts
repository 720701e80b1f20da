import { redirectUriOf } from "../config/config.ts";
import { settleHolders } from "../grant/address-holders.ts";
import type { ConnectContext } from "./context.ts";
import { afterSignIn } from "../domain/addresses.ts";
import { type Attempt, attempt, type Failure } from "../domain/failure.ts";
import type { Identity } from "../google/id-token.ts";
import type { TokenAnswer } from "../google/oauth.ts";
import { announceAddresses } from "../grant/address.ts";
import type { EmailAddress } from "../domain/email-address.ts";
import type { HistoryId } from "../domain/history-id.ts";
import { sync } from "../mailbox/sync.ts";
import { afterWatch, watchAgain } from "../mailbox/watch.ts";
import { SIGN_IN_SCOPES } from "../domain/scope.ts";
import {
  type Grant,
  type User,
  type UserId,
  type Watch,
  notificationAddress,
  patched,
  sameGrant,
} from "../domain/user.ts";
import { announce } from "../grant/announcement.ts";
import { type PendingAuthorization, askedScopes, expectedUserId } from "./authorization-request.ts";
import { storeRotated } from "../grant/rotated-token.ts";
import { type StoredAddresses, authorized, isResumed } from "../domain/transitions.ts";

/** Every result of an authorization response. */
export type Authorization =
  | {
      kind: "connected";
      user: User;
      /** Access had ended before: changes were missed, and these were recovered. */
      isRestored: boolean;
      recoveredChanges: number;
      /** Everything up to now has been published. */
      isCaughtUp: boolean;
      /** Gmail notifies from now on; otherwise it will soon. */
      isWatched: boolean;
    }
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
  | { kind: "scopes_missing" }
  | { kind: "mailbox_unavailable"; reason: string }
  /** A failure of our own, or a temporary one: nothing was stored. */
  | { kind: "try_later"; failure: Failure };

/**
 * Completes an authorization: exchanges the code once, verifies the person and the granted scopes,
 * creates the watch, stores the grant in one write, and publishes what was missed before it
 * returns. A refused authorization stores nothing. Rejects only if the store fails or a document
 * cannot be read: then the grant is not revoked, because it may be the stored one.
 */
export async function completeAuthorization(
  code: string,
  pending: PendingAuthorization,
  context: ConnectContext,
): Promise<Authorization> {
  const { config } = context;
  const exchanged = await attempt(() =>
    context.oauth.exchangeCode(code, pending.codeVerifier, redirectUriOf(config)),
  );
  if (exchanged.kind === "failed") {
    const isCodeBad = exchanged.failure.kind === "bad_request";
    return isCodeBad ? { kind: "code_refused" } : refused(exchanged.failure);
  }
  const { idToken } = exchanged.value;
  if (idToken === undefined) return { kind: "identity_refused" };
  const check = await context.verifyIdToken(idToken, pending.nonce);
  switch (check.kind) {
    case "unavailable":
      return refused({ kind: "transient", reason: "google_keys_unavailable" });
    case "refused":
      context.log.warn("id_token_rejected", "rejected an ID token", { reason: check.reason });
      return { kind: "identity_refused" };
    case "address_unverified":
      await giveBack(check.userId, exchanged.value, pending, context);
      return { kind: "address_unverified" };
    case "verified":
      break;
  }
  const { identity } = check;
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
  const established = await establish(identity, token, stored, pending, context);
  if (established.kind !== "connected") {
    await giveBack(identity.userId, token, pending, context);
  }
  return established;
}

/**
 * Decides only by the verified `hd` claim (OpenID Connect; Google's `hd`): anyone can have a
 * consumer account with an address of any domain, and the `hd` of the request is only a hint.
 */
function isAllowedDomain(
  { hostedDomain }: Identity,
  { config: { allowedDomains } }: Pick<ConnectContext, "config">,
): boolean {
  if (allowedDomains.length === 0) return true;
  return hostedDomain !== undefined && allowedDomains.includes(hostedDomain);
}

function refused(failure: Failure): Authorization {
  return { kind: "try_later", failure };
}

/**
 * Revokes a grant that the receiver does not use. Revoking ends every grant that the person gave to
 * any client of the project, and a response does not show the other clients' grants. So the grant is
 * left at Google when `DISCONNECT_REVOKES` says so, when the project has other clients, when the response covers more than was asked
 * for, and when the person has a live connection.
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
  if (revoked.kind === "answered" || revoked.failure.kind === "gone") return;
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
  if (refreshed.kind === "failed") return undefined;
  const { refreshToken: rotated = held } = refreshed.value;
  if (rotated !== held) await storeRotated(stored, rotated, context);
  return rotated;
}

/**
 * Creates the watch, writes once, syncs. The watch comes first because a new mailbox takes its
 * cursor from it; a crash before the write leaves a harmless watch whose notifications name no
 * user.
 */
async function establish(
  { userId, emailAddress: signedIn }: Identity,
  token: TokenAnswer & { refreshToken: string },
  stored: User | undefined,
  pending: PendingAuthorization,
  context: ConnectContext,
): Promise<Authorization> {
  const { users, tokens, clock } = context;
  // Before the cursor is known: everything later is published, by the history or by a recovery.
  const connectedAt = clock.now();
  const watched = await attempt(() => watchAgain(token.accessToken, context));
  const refusal = watched.kind === "failed" ? refusalOf(watched.failure) : undefined;
  if (refusal !== undefined) return refusal;
  const profiled = await attempt(() => context.gmail.getProfile(token.accessToken));
  const start = startingPoint(watched, stored, profiled);
  if (start.kind === "failed") return refused(start.failure);
  const named = profiled.kind === "answered" ? profiled.value.emailAddress : undefined;
  const addressesOf = await addressesAfter(stored, signedIn, named, context);
  for (const address of new Set([signedIn, ...(named === undefined ? [] : [named])])) {
    await settleHolders(address, userId, context);
  }
  const now = clock.now();
  // An earlier watch may have ended with its grant. And a renewal reads the address of the
  // notifications again, if Gmail's profile could not be read.
  const watch: Watch = {
    ...(watched.kind === "answered" ? afterWatch(watched.value, context) : { failures: 0 }),
    ...((watched.kind !== "answered" || named === undefined) && { renewAt: now }),
  };
  const grant: Omit<Grant, "generation"> = {
    scopes: token.scopes,
    clientId: context.config.oauth.clientId,
    refreshToken: tokens.seal(userId, "refresh_token", token.refreshToken),
    refreshTokenDigests: tokens.digests(token.refreshToken),
    accessToken: tokens.seal(userId, "access_token", token.accessToken),
    accessTokenExpiresAt: token.expiresAt,
    grantedAt: now,
  };
  const user = await users.authorize(userId, (previous, generation) =>
    authorized(previous, {
      addresses: addressesOf(previous),
      grant: { ...grant, generation },
      watch,
      historyId: start.value.historyId,
      connectedAt,
      ...(pending.appSub !== undefined && { ticket: pending }),
      at: now,
    }),
  );
  return resume(user, watched.kind === "answered", stored, context);
}

/**
 * Returns what a document has to store of the account's addresses. A rename is published before it
 * is stored, and stored only if the document still has the address that it was published for.
 */
async function addressesAfter(
  stored: User | undefined,
  signedIn: EmailAddress,
  named: EmailAddress | undefined,
  context: ConnectContext,
): Promise<(previous: User | undefined) => StoredAddresses> {
  const asNew = { ...afterSignIn(undefined, signedIn, named), addressSince: context.clock.now() };
  const found = isResumed(stored)
    ? await announceAddresses(stored, afterSignIn(stored, signedIn, named), context)
    : undefined;
  return (previous) => {
    if (!isResumed(previous)) return asNew;
    const kept = patched(previous, found?.patchOf(previous) ?? {});
    const { emailAddress, notifiedAs, addressSince } = kept;
    return {
      emailAddress,
      ...(notifiedAs !== undefined && { notifiedAs }),
      ...(addressSince !== undefined && { addressSince }),
    };
  };
}

/**
 * Returns what a failed watch means for the whole authorization; `undefined` when it can continue.
 */
function refusalOf(failure: Failure): Authorization | undefined {
  switch (failure.kind) {
    case "mailbox_unavailable":
      return { kind: "mailbox_unavailable", reason: failure.reason };
    case "reauthorize":
    case "unauthenticated":
      return refused(failure);
    default:
      return undefined;
  }
}

/**
 * Returns where a mailbox without a cursor starts: at the watch, or at the head if the watch
 * failed.
 */
function startingPoint(
  watched: Attempt<{ historyId: HistoryId }>,
  stored: User | undefined,
  profiled: Attempt<{ historyId: HistoryId }>,
): Attempt<{ historyId: HistoryId }> {
  if (watched.kind === "answered") return watched;
  return isResumed(stored) ? { kind: "answered", value: stored } : profiled;
}

async function resume(
  user: User,
  isWatched: boolean,
  stored: User | undefined,
  context: ConnectContext,
): Promise<Authorization> {
  const outcome = await context.mailboxes.run(notificationAddress(user), async (hasWaited) => {
    const current = hasWaited ? await context.users.find(user.id) : user;
    return sync(current ?? user, { kind: "authorized" }, context);
  });
  const recoveredChanges = "changes" in outcome ? outcome.changes : 0;
  const current = (await context.users.find(user.id)) ?? user;
  if (sameGrant(user, current)) {
    await announce(current, context, recoveredChanges);
  }
  return {
    kind: "connected",
    user: current,
    isRestored: isResumed(stored) && stored.status !== "active",
    recoveredChanges,
    isCaughtUp: outcome.kind === "caught_up",
    isWatched,
  };
}
