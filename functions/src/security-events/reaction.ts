import { flag } from "../grant/flagging.ts";
import type { SecurityEventContext } from "./context.ts";
import { later } from "../domain/clock.ts";
import type { GrantFailure } from "../domain/access.ts";
import { atOnce } from "../domain/schedule.ts";
import { modify } from "../store/modify.ts";
import { withoutTokens } from "../domain/transitions.ts";
import { type User, type UserId, sameGrant } from "../domain/user.ts";
import type { AccountEvent, AccountEventKind, Subject } from "./event.ts";

/** The effect of an event. Without a user, the account is unknown. */
export interface Reaction {
  userId?: UserId;
  did: readonly Deed[];
}

/** What an event did to a user, for the log. */
export type Deed =
  | "sessions_ended"
  | "flagged"
  /** The mailbox is paused: its tokens are deleted, and it is flagged when it is resumed. */
  | "tokens_deleted"
  /** Not flagged: the mailbox is due at once, and Google's response to the refresh decides. */
  | "left_to_refresh"
  | "probe_due";

interface Response {
  endsSessions?: boolean;
  /** How the event ends the grant, if it does. */
  failure?: GrantFailure;
  /** An unavailable mailbox may be back. */
  probes?: boolean;
}

/**
 * Google's table of reactions. Flagging always keeps the cursor. A disabled account also keeps its
 * refresh token, which may work again once it is enabled. A purged account that an administrator
 * restores continues from its cursor, which only a disconnect forgets.
 */
const RESPONSES: Record<AccountEventKind, Response> = {
  sessions_revoked: { endsSessions: true },
  tokens_revoked: {
    endsSessions: true,
    failure: { kind: "reauthorize", reason: "tokens_revoked" },
  },
  token_revoked: { failure: { kind: "reauthorize", reason: "token_revoked" } },
  account_disabled: {
    endsSessions: true,
    failure: { kind: "mailbox_unavailable", reason: "account_disabled" },
  },
  account_enabled: { probes: true },
  account_purged: {
    endsSessions: true,
    failure: { kind: "reauthorize", reason: "account_purged" },
  },
  // Only logged, for operators who watch for abuse.
  account_credential_change_required: {},
};

/**
 * Between Google's clock, which an event's time comes from, and ours, which the grant's comes from.
 */
const CLOCK_SKEW_MS = 60_000;
/** How long an event's statement about an account counts as current. */
const STATE_AGE_MS_MAX = 10 * 60_000;
/**
 * A time in a token is cut to whole seconds, so the event can have happened anywhere in that
 * second.
 */
const IAT_UNIT_MS = 1_000;

/**
 * Performs the effect of an event; a repetition changes nothing more. Throws what the store throws.
 */
export async function react(
  event: AccountEvent,
  { issuedAt, happenedAt }: { issuedAt: Date; happenedAt: Date },
  context: SecurityEventContext,
): Promise<Reaction> {
  const user = await findUser(event.subject, context);
  if (user === undefined) return { did: [] };
  const { endsSessions = false, failure, probes = false } = RESPONSES[event.kind];
  const did = [
    endsSessions ? await endSessions(user.id, issuedAt, context) : undefined,
    failure === undefined ? undefined : await suspend(user, failure, event, happenedAt, context),
    probes && user.status === "mailbox_unavailable" ? await look(user, context) : undefined,
  ];
  return { userId: user.id, did: did.filter((deed) => deed !== undefined) };
}

async function findUser(
  subject: Subject,
  { users, tokens }: SecurityEventContext,
): Promise<User | undefined> {
  switch (subject.kind) {
    case "account":
      return users.find(subject.userId);
    case "refresh_token": {
      const { name } = subject;
      const found = await users.findByTokenDigest(name.by, tokens.digestsOfName(name));
      return found.length === 1 ? found[0] : undefined;
    }
    case "foreign":
      return undefined;
  }
}

/**
 * Ends the sessions that began before the event, by the time in the token, so that a repetition or
 * a late delivery ends no later ones.
 */
async function endSessions(
  id: UserId,
  issuedAt: Date,
  context: SecurityEventContext,
): Promise<Deed | undefined> {
  const end = later(issuedAt, IAT_UNIT_MS);
  const { kind } = await modify(
    context.users,
    id,
    ({ signedOutAt }) =>
      signedOutAt !== undefined && signedOutAt >= end ? "skip" : { signedOutAt: end },
    { what: "the end of sessions" },
  );
  return kind === "written" ? "sessions_ended" : undefined;
}

/**
 * Flags a user whose grant has ended. Google signed the event, so no refresh has to confirm it. An
 * event that may concern an earlier grant, that does not name the token, or whose state may have
 * passed flags no user, and neither does an event that the fleet guard stops: the mailbox is due at
 * once and Google's response decides. Asking Google to repeat the event would only use up its few
 * retries.
 */
async function suspend(
  user: User,
  failure: GrantFailure,
  { kind, subject }: AccountEvent,
  happenedAt: Date,
  context: SecurityEventContext,
): Promise<Deed | undefined> {
  const { status, grant } = user;
  const endsGrant = failure.kind === "reauthorize";
  const isHeld = status === "mailbox_unavailable" || status === "paused";
  const isFlaggable = status === "active" || (isHeld && endsGrant);
  if (!isFlaggable) return undefined;
  const isOfUnknownToken = kind === "token_revoked" && subject.kind === "account";
  const isOfEarlierGrant = happenedAt <= later(grant.grantedAt, CLOCK_SKEW_MS);
  // After retries, it can arrive after the `account-enabled` that ended it.
  const mayBeOver =
    kind === "account_disabled" && happenedAt < later(context.clock.now(), -STATE_AGE_MS_MAX);
  if (isOfUnknownToken || isOfEarlierGrant || mayBeOver) return look(user, context);
  if (status === "paused") return deleteTokens(user, context);
  const flagging = await flag(user, failure, context);
  switch (flagging.kind) {
    case "flagged":
      return "flagged";
    case "guarded":
    case "outdated":
      return look(user, context);
    case "superseded":
      return undefined;
  }
}

async function deleteTokens(
  user: User,
  { users }: SecurityEventContext,
): Promise<Deed | undefined> {
  const { kind } = await modify(
    users,
    user.id,
    (stored) => {
      const isDeleted = stored.grant.refreshToken === undefined;
      return !isDeleted && sameGrant(user, stored)
        ? { grant: withoutTokens(stored.grant) }
        : "skip";
    },
    { what: "a grant without tokens", from: user },
  );
  return kind === "written" ? "tokens_deleted" : undefined;
}

/**
 * Makes the mailbox due at once, for a sync, or for a probe if it is unavailable. A paused one calls
 * Google when it is resumed.
 */
async function look(
  { id, status }: User,
  context: SecurityEventContext,
): Promise<Deed | undefined> {
  if (status === "paused") return undefined;
  const now = context.clock.now();
  const { kind } = await modify(
    context.users,
    id,
    (user) => {
      const { sync, followUp } = user;
      if (user.status !== status) return "skip";
      return status === "mailbox_unavailable"
        ? { followUp: { ...followUp, dueAt: now, failures: 0 } }
        : { sync: { ...sync, ...atOnce(context.clock) } };
    },
    { what: "a due time" },
  );
  if (kind === "skipped") return undefined;
  return status === "mailbox_unavailable" ? "probe_due" : "left_to_refresh";
}
