import { settleHolders } from "../grant/address-holders.ts";
import type { ConnectContext } from "./context.ts";
import { later } from "../domain/clock.ts";
import { afterSignIn } from "../domain/addresses.ts";
import { type FailedCall, type Failure, attempt } from "../domain/failure.ts";
import type { TokenAnswer } from "../google/oauth.ts";
import { announceAddresses } from "../grant/address.ts";
import type { EmailAddress } from "../domain/email-address.ts";
import type { HistoryId } from "../domain/history-id.ts";
import { type Result, err, ok } from "../domain/result.ts";
import { sync } from "../mailbox/sync.ts";
import { afterWatch, watchAgain } from "../mailbox/watch.ts";
import {
  type Grant,
  type User,
  type UserContent,
  type UserId,
  type ReadTimes,
  type Watch,
  inStoreTime,
  notificationAddress,
  patched,
  sameGrant,
} from "../domain/user.ts";
import { announce } from "../grant/announcement.ts";
import {
  type NewConnection,
  type StoredAddresses,
  authorized,
  isResumed,
} from "../domain/transitions.ts";

const DAY_MS = 24 * 3_600_000;

/** A grant whose person is known and whose scopes are sufficient. */
export interface VerifiedGrant {
  userId: UserId;
  /** The address of the ID token; without it, Gmail's profile names the address. */
  emailAddress?: EmailAddress;
  token: TokenAnswer & { refreshToken: string };
  ticket?: NewConnection["ticket"];
  language?: NewConnection["language"];
}

/** A grant that the receiver has stored and works with. */
export interface Connected {
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

/** The result of establishing a verified grant. */
export type Establishment =
  | Connected
  | { kind: "mailbox_unavailable"; reason: string }
  /** A failure of our own, or a temporary one: nothing was stored. */
  | { kind: "try_later"; failure: Failure };

/**
 * Creates the watch, writes once, syncs. The watch comes first because a new mailbox takes its
 * cursor from it; a crash before the write leaves a harmless watch whose notifications name no
 * user. A paused mailbox gets no watch.
 */
export async function establish(
  grant: VerifiedGrant & { stored: User | undefined },
  context: ConnectContext,
): Promise<Establishment> {
  const prepared = await prepare(grant, context);
  if (!prepared.ok) return prepared.error;
  const { content, isWatched } = prepared.value;
  const user = await context.users.authorize(grant.userId, content);
  return resume(user, isWatched, grant.stored, context);
}

/**
 * Establishes the grant of an unknown user; a known one stays as it is. `historyId` is where the
 * published history begins, if the caller knows; otherwise it begins at the watch.
 */
export async function establishUnknown(
  grant: VerifiedGrant & { historyId?: HistoryId },
  context: ConnectContext,
): Promise<Establishment | { kind: "known" }> {
  const prepared = await prepare({ ...grant, stored: undefined }, context);
  if (!prepared.ok) return prepared.error;
  const { content, isWatched } = prepared.value;
  const user = await context.users.create(grant.userId, (generation, read) =>
    content(undefined, generation, read),
  );
  if (user === undefined) return { kind: "known" };
  return resume(user, isWatched, undefined, context);
}

interface Prepared {
  content: (previous: User | undefined, generation: number, read: ReadTimes) => UserContent;
  isWatched: boolean;
}

/** Does everything at Google that comes before the grant is stored. */
async function prepare(
  grant: VerifiedGrant & { stored: User | undefined; historyId?: HistoryId },
  context: ConnectContext,
): Promise<Result<Prepared, Exclude<Establishment, Connected>>> {
  const { userId, token, stored, ticket, language } = grant;
  const { tokens, clock } = context;
  const { days } = context.config.snapshot;
  // Before the cursor is known: everything later is published, by the history or by a recovery.
  const connectedAt = clock.now();
  const watched =
    stored?.status === "paused"
      ? undefined
      : await attempt(() => watchAgain(token.accessToken, context));
  const refusal = watched?.ok === false ? refusalOf(watched.error.failure) : undefined;
  if (refusal !== undefined) return err(refusal);
  const profiled = await attempt(() => context.gmail.getProfile(token.accessToken));
  const start = startingPoint(watched, stored, profiled);
  if (!start.ok) return err({ kind: "try_later", failure: start.error.failure });
  const { historyId = start.value.historyId } = grant;
  const named = profiled.ok ? profiled.value.emailAddress : undefined;
  const signedIn = grant.emailAddress ?? named;
  if (signedIn === undefined) return err({ kind: "try_later", failure: failureOf(profiled) });
  const { addressesOf, isUntold } = await addressesAfter(stored, signedIn, named, context);
  for (const address of new Set([signedIn, ...(named === undefined ? [] : [named])])) {
    await settleHolders(address, userId, context);
  }
  const now = clock.now();
  // An earlier watch may have ended with its grant. And a renewal reads the address of the
  // notifications again, if Gmail's profile could not be read, or the topic did not accept it.
  const watch: Watch = {
    ...(watched?.ok === true ? afterWatch(watched.value, context) : { failures: 0 }),
    ...((watched?.ok !== true || named === undefined || isUntold) && { renewAt: now }),
  };
  const sealed: Omit<Grant, "generation"> = {
    scopes: token.scopes,
    clientId: context.config.oauth.clientId,
    refreshToken: tokens.seal(userId, "refresh_token", token.refreshToken),
    refreshTokenDigests: tokens.digests(token.refreshToken),
    accessToken: tokens.seal(userId, "access_token", token.accessToken),
    accessTokenExpiresAt: token.expiresAt,
    grantedAt: now,
  };
  return ok({
    content(previous, generation, read) {
      // A recovery compares the time of the connection with Gmail's dates of messages.
      const since = inStoreTime(connectedAt, read);
      return authorized(previous, {
        addresses: addressesOf(previous),
        grant: { ...sealed, generation },
        watch,
        historyId,
        connectedAt: since,
        ...(days > 0 && { snapshotSince: later(since, -days * DAY_MS) }),
        ...(ticket !== undefined && { ticket }),
        ...(language !== undefined && { language }),
        at: inStoreTime(now, read),
      });
    },
    isWatched: watched?.ok === true,
  });
}

/**
 * Returns whether the account belongs to one of the allowed domains. Decides only by the verified
 * `hd` claim (OpenID Connect; Google's `hd`): anyone can have a consumer account with an address of
 * any domain, and the `hd` of the request is only a hint.
 */
export function isAllowedDomain(
  { hostedDomain }: { hostedDomain?: string },
  { config: { allowedDomains } }: Pick<ConnectContext, "config">,
): boolean {
  if (allowedDomains.length === 0) return true;
  return hostedDomain !== undefined && allowedDomains.includes(hostedDomain);
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
): Promise<{ addressesOf(previous: User | undefined): StoredAddresses; isUntold: boolean }> {
  const asNew = { ...afterSignIn(undefined, signedIn, named), addressSince: context.clock.now() };
  const found = isResumed(stored)
    ? await announceAddresses(stored, afterSignIn(stored, signedIn, named), context)
    : undefined;
  const addressesOf = (previous: User | undefined): StoredAddresses => {
    if (!isResumed(previous)) return asNew;
    const kept = patched(previous, found?.patchOf(previous) ?? {});
    const { emailAddress, notifiedAs, addressSince } = kept;
    return {
      emailAddress,
      ...(notifiedAs !== undefined && { notifiedAs }),
      ...(addressSince !== undefined && { addressSince }),
    };
  };
  return { addressesOf, isUntold: found?.isUntold === true };
}

/**
 * Returns what a failed watch means for the whole authorization; `undefined` when it can continue.
 */
function refusalOf(failure: Failure): Exclude<Establishment, Connected> | undefined {
  switch (failure.kind) {
    case "mailbox_unavailable":
      return { kind: "mailbox_unavailable", reason: failure.reason };
    case "reauthorize":
    case "unauthenticated":
      return { kind: "try_later", failure };
    default:
      return undefined;
  }
}

/**
 * Returns where a mailbox without a cursor starts: at the watch, or at the head if there is no
 * watch.
 */
function startingPoint(
  watched: Result<{ historyId: HistoryId }, FailedCall> | undefined,
  stored: User | undefined,
  profiled: Result<{ historyId: HistoryId }, FailedCall>,
): Result<{ historyId: HistoryId }, FailedCall> {
  if (watched?.ok === true) return watched;
  return isResumed(stored) ? ok(stored) : profiled;
}

function failureOf(answer: Result<unknown, FailedCall>): Failure {
  if (!answer.ok) return answer.error.failure;
  return { kind: "transient", reason: "malformed_answer" };
}

async function resume(
  user: User,
  isWatched: boolean,
  stored: User | undefined,
  context: ConnectContext,
): Promise<Connected> {
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
