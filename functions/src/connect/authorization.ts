import { afterSignIn } from "../domain/addresses.ts";
import { type Attempt, attempt, type Failure } from "../domain/failure.ts";
import type { Clock } from "../domain/clock.ts";
import type { Identity, IdentityCheck } from "../google/id-token.ts";
import type { TokenAnswer } from "../google/oauth.ts";
import type { Log } from "../platform/log.ts";
import { announceAddresses } from "../grant/address.ts";
import type { EmailAddress } from "../domain/email-address.ts";
import type { HistoryId } from "../domain/history-id.ts";
import type { InTurn } from "../mailbox/in-turn.ts";
import { sync } from "../mailbox/sync.ts";
import type { SyncOutcome, SyncServices } from "../mailbox/sync-run.ts";
import { type WatchServices, afterWatch, watchAgain } from "../mailbox/watch.ts";
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
import { type AccessServices } from "../grant/access.ts";
import { type AnnouncementServices, announce } from "../grant/announcement.ts";
import { type PendingAuthorization, askedScopes, expectedUserId } from "./authorization-request.ts";
import { storeRotated } from "../grant/rotated-token.ts";
import { type StoredAddresses, authorized, isResumed } from "../domain/transitions.ts";

export interface AuthorizationServices
  extends SyncServices, WatchServices, AccessServices, AnnouncementServices {
  exchangeCode(code: string, codeVerifier: string, redirectUri: string): Promise<TokenAnswer>;
  revoke(token: string): Promise<void>;
  verifyIdToken(idToken: string, nonce: string): Promise<IdentityCheck>;
  /** What the receiver needs beside `openid email`. */
  scopes: readonly string[];
  redirectUri: string;
  /** Domains whose accounts may connect (`hd`); empty: all accounts. */
  allowedDomains: readonly string[];
  /** The configuration names other OAuth clients of this project (`RISC_CLIENT_IDS`). */
  isProjectShared: boolean;
  /** `DISCONNECT_REVOKES`: the receiver revokes grants that it does not use. */
  disconnectRevokes: boolean;
  mailboxes: InTurn<SyncOutcome>;
  clock: Clock;
  log: Log;
}

/** Every way in which the answer that Google sent the browser back with can end. */
export type Authorization =
  | {
      kind: "connected";
      user: User;
      /** The grant was lost before: changes were missed, and these were made good. */
      isRestored: boolean;
      recoveredChanges: number;
      /** Everything up to now has been delivered. */
      isCaughtUp: boolean;
      /** Gmail notifies from now on; otherwise it will soon. */
      isWatched: boolean;
    }
  /** Google gave no refresh token, and none is held: consent has to be asked for. */
  | { kind: "consent_needed"; emailAddress: string }
  | { kind: "code_refused" }
  | { kind: "identity_refused" }
  | { kind: "address_unverified" }
  /** The account is in none of the allowed domains. */
  | { kind: "domain_refused" }
  /** A re-authorization was answered with another Google account. */
  | { kind: "wrong_account" }
  /** A box was left unticked. */
  | { kind: "scopes_missing" }
  | { kind: "mailbox_unavailable"; reason: string }
  /** Ours or passing: nothing was kept. */
  | { kind: "try_later"; failure: Failure };

/**
 * Completes an authorization: exchanges the code once, verifies who it is of and what was allowed,
 * makes the watch, stores the grant in one write, and delivers what was missed before it returns.
 * Whatever is refused leaves nothing stored. Rejects only when the store fails, or a document
 * cannot be read: then nothing is given back at Google, since the grant may be the one that is stored.
 */
export async function completeAuthorization(
  code: string,
  pending: PendingAuthorization,
  services: AuthorizationServices,
): Promise<Authorization> {
  const { scopes, redirectUri } = services;
  const exchanged = await attempt(() =>
    services.exchangeCode(code, pending.codeVerifier, redirectUri),
  );
  if (exchanged.kind === "failed") {
    const isCodeBad = exchanged.failure.kind === "bad_request";
    return isCodeBad ? { kind: "code_refused" } : refused(exchanged.failure);
  }
  const { idToken } = exchanged.value;
  if (idToken === undefined) return { kind: "identity_refused" };
  const check = await services.verifyIdToken(idToken, pending.nonce);
  switch (check.kind) {
    case "unavailable":
      return refused({ kind: "transient", reason: "google_keys_unavailable" });
    case "refused":
      services.log.warn("id_token_rejected", "rejected an ID token", { reason: check.reason });
      return { kind: "identity_refused" };
    case "address_unverified":
      await giveBack(check.userId, exchanged.value, pending, services);
      return { kind: "address_unverified" };
    case "verified":
      break;
  }
  const { identity } = check;
  if (!isAllowedDomain(identity, services)) {
    await giveBack(identity.userId, exchanged.value, pending, services);
    return { kind: "domain_refused" };
  }
  const stored = await services.users.find(identity.userId);
  const expected = expectedUserId(pending);
  if (expected !== undefined && expected !== identity.userId) {
    await giveBack(identity.userId, exchanged.value, pending, services);
    return { kind: "wrong_account" };
  }
  if (!scopes.every((scope) => exchanged.value.scopes.includes(scope))) {
    await giveBack(identity.userId, exchanged.value, pending, services);
    return { kind: "scopes_missing" };
  }
  const { refreshToken = await liveRefreshToken(stored, services) } = exchanged.value;
  if (refreshToken === undefined) {
    if (!pending.isConsentAsked) {
      return { kind: "consent_needed", emailAddress: identity.emailAddress };
    }
    return refused({ kind: "misconfigured", reason: "no_refresh_token" });
  }
  const token = { ...exchanged.value, refreshToken };
  const established = await establish(identity, token, stored, pending, services);
  if (established.kind !== "connected") {
    await giveBack(identity.userId, token, pending, services);
  }
  return established;
}

/**
 * Judged by the verified `hd` claim alone (OpenID Connect; Google's `hd`): anyone can have a consumer
 * account under an address of any domain, and the `hd` of the request is only a hint.
 */
function isAllowedDomain(
  { hostedDomain }: Identity,
  { allowedDomains }: Pick<AuthorizationServices, "allowedDomains">,
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
  services: AuthorizationServices,
): Promise<void> {
  if (!services.disconnectRevokes || services.isProjectShared) return;
  const asker = expectedUserId(pending);
  const grantedBefore = asker && (await services.users.find(asker))?.grant.scopes;
  const asked = new Set([...SIGN_IN_SCOPES, ...askedScopes(grantedBefore, services)]);
  if (!scopes.every((scope) => asked.has(scope))) return;
  // Read as late as can be: the person may have connected in another tab meanwhile.
  const stored = await services.users.find(userId);
  if (stored?.grant.refreshToken !== undefined) return;
  // What cannot be read may hold a grant that lives.
  if (stored === undefined && (await services.users.exists(userId))) return;
  const revoked = await attempt(() => services.revoke(refreshToken ?? accessToken));
  if (revoked.kind === "answered" || revoked.failure.kind === "gone") return;
  services.log.error("grant_not_revoked", "could not revoke an unused grant at Google", {
    userId,
  });
}

/**
 * The refresh token that is held for this person, if Google still takes it. One that Google rotates
 * here is stored at once: the sign-in can still be refused, and the stored grant has to survive that.
 */
async function liveRefreshToken(
  stored: User | undefined,
  services: AuthorizationServices,
): Promise<string | undefined> {
  const { tokens, refresh } = services;
  const sealed = stored?.grant.refreshToken;
  if (stored === undefined || sealed === undefined) return undefined;
  const held = tokens.open(stored.id, "refresh_token", sealed);
  if (held === undefined) return undefined;
  const refreshed = await attempt(() => refresh(held));
  if (refreshed.kind === "failed") return undefined;
  const { refreshToken: rotated = held } = refreshed.value;
  if (rotated !== held) await storeRotated(stored, rotated, services);
  return rotated;
}

/**
 * Watch, one write, sync. The watch comes first because a new mailbox takes its cursor from it; a
 * crash before the write leaves a watch whose notifications are of nobody, which is harmless.
 */
async function establish(
  { userId, emailAddress: signedIn }: Identity,
  token: TokenAnswer & { refreshToken: string },
  stored: User | undefined,
  pending: PendingAuthorization,
  services: AuthorizationServices,
): Promise<Authorization> {
  const { users, tokens, clock } = services;
  // Before the cursor is known: what comes after this is told, by history or by a recovery.
  const connectedAt = clock.now();
  const watched = await attempt(() => watchAgain(token.accessToken, services));
  const refusal = watched.kind === "failed" ? refusalOf(watched.failure) : undefined;
  if (refusal !== undefined) return refusal;
  const profiled = await attempt(() => services.getProfile(token.accessToken));
  const start = startingPoint(watched, stored, profiled);
  if (start.kind === "failed") return refused(start.failure);
  const named = profiled.kind === "answered" ? profiled.value.emailAddress : undefined;
  const addressesOf = await addressesAfter(stored, signedIn, named, services);
  for (const address of new Set([signedIn, ...(named === undefined ? [] : [named])])) {
    await services.settleHolders(address, userId);
  }
  const now = clock.now();
  // An earlier watch may have ended with the grant that it was made by.
  const watch: Watch =
    watched.kind === "answered"
      ? afterWatch(watched.value, services)
      : { renewAt: now, failures: 0 };
  const grant: Omit<Grant, "generation"> = {
    scopes: token.scopes,
    clientId: services.clientId,
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
  return resume(user, watched.kind === "answered", stored, services);
}

/**
 * What a document is to hold of the account's addresses. A rename is published before it is stored,
 * and stored only if the document still has the address that it was published for.
 */
async function addressesAfter(
  stored: User | undefined,
  signedIn: EmailAddress,
  named: EmailAddress | undefined,
  services: AuthorizationServices,
): Promise<(previous: User | undefined) => StoredAddresses> {
  const asNew = { ...afterSignIn(undefined, signedIn, named), addressSince: services.clock.now() };
  const found = isResumed(stored)
    ? await announceAddresses(stored, afterSignIn(stored, signedIn, named), services)
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

/** What a failed watch says of the whole authorization; `undefined` when it can go on without. */
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

/** Where a mailbox without a cursor starts: at the watch, or at the head if the watch failed. */
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
  services: AuthorizationServices,
): Promise<Authorization> {
  const outcome = await services.mailboxes.run(notificationAddress(user), async (hasWaited) => {
    const current = hasWaited ? await services.users.find(user.id) : user;
    return sync(current ?? user, { kind: "authorized" }, services);
  });
  const recoveredChanges = "changes" in outcome ? outcome.changes : 0;
  const current = (await services.users.find(user.id)) ?? user;
  if (sameGrant(user, current)) {
    await announce(current, services, recoveredChanges);
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
