import type { Identity, VerifyIdToken } from "../google/id-token.ts";
import { fullNameOf } from "../crypto/token-digest.ts";
import { backoffMs, jittered } from "../domain/clock.ts";
import { type FailedCall, type Failure, attempt } from "../domain/failure.ts";
import type { HistoryId } from "../domain/history-id.ts";
import { type Result, err, ok } from "../domain/result.ts";
import { coversScope } from "../domain/scope.ts";
import type { Status, User, UserId } from "../domain/user.ts";
import type { TokenAnswer } from "../google/oauth.ts";
import { storeRotated } from "../grant/rotated-token.ts";
import type { ConnectContext } from "./context.ts";
import { type Connected, establishUnknown, isAllowedDomain } from "./establish.ts";

/** A grant that a person gave to the receiver's OAuth client before, through another program. */
export interface OfferedGrant {
  refreshToken: string;
  /** Tokens of the same grant that Google has replaced since. */
  replaced?: readonly string[];
  /** How far the other program has read the history; without it, the stream begins now. */
  historyId?: HistoryId;
  tags?: Readonly<Record<string, string>>;
}

/** The result of adopting one grant. */
export type Adoption =
  | { kind: "adopted"; connected: Connected }
  /** This very grant is stored: an earlier run adopted it. */
  | { kind: "adopted_before"; userId: UserId }
  /** The receiver knows the person: what it stores is newer, or says that they left. */
  | { kind: "known"; userId: UserId; status: Status | "unreadable" }
  /** Another attempt would end in the same way. */
  | { kind: "refused"; reason: string; userId?: UserId }
  /** Nothing is stored, and another attempt may succeed. `isOurs`: it fails for every grant alike. */
  | { kind: "failed"; reason: string; isOurs: boolean; userId?: UserId };

/** What the run that adopts grants provides. */
export interface AdoptionRun {
  /** Awaited before Google is called; a grant that is stored needs no call. */
  pace(): Promise<void>;
  /**
   * Awaited before anything else when Google replaces the refresh token: the offered one may be dead
   * by then, and nothing is stored yet.
   */
  keepRotated(refreshToken: string): Promise<void>;
}

/** Attempts of one refresh with a transient failure. */
const TRIES_MAX = 3;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 8_000;

/** Google's answer about one token, although it has the kind of a failure of all. */
const OTHER_CLIENT = "unauthorized_client";

/**
 * Adopts a grant: refreshes it, reads from Google who gave it, and connects the mailbox as a sign-in
 * does, with the same event. Only a person whom the receiver does not know is connected, so that a
 * repeated adoption changes nothing, and a newer grant, or the wish to leave, stays. Nothing is
 * revoked when the grant is refused: another program may still use it.
 *
 * Google names the account (`sub`) only in the ID token, which a refresh returns for grants with the
 * scope `openid`. Gmail's profile names only an address, which can belong to another account later.
 */
export async function adoptGrant(
  { refreshToken, replaced = [], historyId, tags }: OfferedGrant,
  context: ConnectContext,
  { pace, keepRotated }: AdoptionRun,
): Promise<Adoption> {
  const digests = context.tokens.digestsOfName(fullNameOf(refreshToken));
  const [holder] = await context.users.findByTokenDigest("doubleHash", digests);
  if (holder !== undefined) return { kind: "adopted_before", userId: holder.id };

  await pace();
  const refreshed = await refresh(refreshToken, context);
  if (!refreshed.ok) return afterFailure(refreshed.error.failure);
  const token = { ...refreshed.value, refreshToken: refreshed.value.refreshToken ?? refreshToken };
  if (token.refreshToken !== refreshToken) await keepRotated(token.refreshToken);

  const identified = await identify(token, context);
  if (!identified.ok) return identified.error;
  const { userId, emailAddress } = identified.value;
  const stored = await context.users.find(userId);
  const earlier = [...replaced, refreshToken];
  if (stored !== undefined) return keepStored(stored, earlier, token.refreshToken, context);
  const missing = context.config.gmail.scopes.filter((scope) => !coversScope(token.scopes, scope));
  if (missing.length > 0) return { kind: "refused", reason: "scopes_missing", userId };
  if (!isAllowedDomain(identified.value, context)) {
    return { kind: "refused", reason: "domain_refused", userId };
  }

  const established = await establishUnknown(
    {
      userId,
      ...(emailAddress !== undefined && { emailAddress }),
      token,
      ...(tags !== undefined && { ticket: { tags } }),
      ...(historyId !== undefined && { historyId }),
    },
    context,
  );
  switch (established.kind) {
    case "connected":
      return { kind: "adopted", connected: established };
    case "known":
      return { kind: "known", userId, status: await statusOf(userId, context) };
    case "mailbox_unavailable":
      return { kind: "refused", reason: established.reason, userId };
    case "try_later":
      return { ...afterFailure(established.failure), userId };
  }
}

async function refresh(
  refreshToken: string,
  { oauth, clock, random }: ConnectContext,
): Promise<Result<TokenAnswer, FailedCall>> {
  for (let tries = 1; ; tries++) {
    const answer = await attempt(() => oauth.refresh(refreshToken));
    const isOver = answer.ok || answer.error.failure.kind !== "transient";
    if (isOver || tries === TRIES_MAX) return answer;
    await clock.sleep(jittered(backoffMs(tries, RETRY_MS, RETRY_MS_MAX), random));
  }
}

function afterFailure({ kind, reason }: Failure): Extract<Adoption, { reason: string }> {
  switch (kind) {
    case "reauthorize":
    case "mailbox_unavailable":
      return { kind: "refused", reason };
    case "misconfigured":
      if (reason === OTHER_CLIENT) return { kind: "refused", reason };
      return { kind: "failed", reason, isOurs: true };
    default:
      return { kind: "failed", reason, isOurs: false };
  }
}

/** Whose grant it is. There is no address if the grant lacks the scope `email`. */
type Identified = Pick<Identity, "userId" | "hostedDomain"> & Partial<Identity>;

/** Reads whose grant it is. */
async function identify(
  { idToken }: TokenAnswer,
  { verifyIdToken }: { verifyIdToken: VerifyIdToken },
): Promise<Result<Identified, Extract<Adoption, { reason: string }>>> {
  if (idToken === undefined) return err({ kind: "refused", reason: "identity_missing" });
  const check = await verifyIdToken(idToken, "not_requested");
  if (check.ok) return check;
  const why = check.error;
  switch (why.kind) {
    case "address_missing":
      return ok(why);
    case "address_unverified":
      return err({ kind: "refused", reason: why.kind, userId: why.userId });
    case "refused":
      return err({ kind: "refused", reason: "identity_refused" });
    case "unavailable":
      return err({ kind: "failed", reason: "google_keys_unavailable", isOurs: false });
  }
}

/**
 * Leaves a known user as it is. If Google has replaced the very token that is stored, the new one has
 * to be stored, too: now, or by the run after one that died.
 */
async function keepStored(
  stored: User,
  earlier: readonly string[],
  current: string,
  context: ConnectContext,
): Promise<Adoption> {
  const { id: userId, status, grant } = stored;
  const held =
    grant.refreshToken && context.tokens.open(userId, "refresh_token", grant.refreshToken);
  if (held !== undefined && held !== current && earlier.includes(held)) {
    await storeRotated(stored, current, context);
  } else if (held !== current) {
    return { kind: "known", userId, status };
  }
  return { kind: "adopted_before", userId };
}

async function statusOf(
  userId: UserId,
  { users }: Pick<ConnectContext, "users">,
): Promise<Status | "unreadable"> {
  return (await users.find(userId))?.status ?? "unreadable";
}
