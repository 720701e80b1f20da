import { openAccess } from "../grant/access.ts";
import { flag } from "../grant/flagging.ts";
import { notify } from "../notices/series.ts";
import type { MailboxContext } from "../mailbox/context.ts";
import type { NoticeContext } from "../notices/context.ts";
import { backoffMs, later } from "../domain/clock.ts";
import { type Access, type Unanswered, hasFailed } from "../domain/access.ts";
import { reasonOf } from "../domain/failure-streak.ts";
import type { Result } from "../domain/result.ts";
import { modify } from "../store/modify.ts";
import { type User, sameGrant, storeNow } from "../domain/user.ts";
import { restored } from "../domain/transitions.ts";
import { PROBE_AFTER_MS, announce, isAnnounced } from "../grant/announcement.ts";
import { finishDisconnect } from "../grant/disconnect.ts";
import { forget } from "../grant/forget.ts";
import { finishPause } from "../grant/pause.ts";
import { type SnapshotBudget, continueSnapshot } from "../mailbox/snapshot.ts";
import { runningSnapshot } from "../domain/snapshot.ts";
import { forgetAt, settled } from "../domain/retention.ts";

/** What the follow-up of users uses. */
export type FollowUpContext = MailboxContext & NoticeContext;

/** The number of daily probes of an unavailable mailbox; later ones are weekly. */
const DAILY_PROBES_MAX = 7;
/** The wait after a probe that could not be made, which says nothing. */
const PROBE_RETRY_MS = 3_600_000;
/** A first mail is sent at most this long after the grant has ended. */
const FIRST_MAIL_MS_MAX = 14 * 24 * 3_600_000;
/** The first wait when an event was not accepted; doubles up to the maximum. */
const ANNOUNCE_RETRY_MS = 60_000;
const ANNOUNCE_RETRY_MS_MAX = 3_600_000;

/**
 * Does the work of a user outside the stream, whose `followUp.dueAt` has come. `snapshots`: what this
 * run may still spend on snapshots.
 */
export async function followUp(
  user: User,
  snapshots: SnapshotBudget,
  context: FollowUpContext,
): Promise<void> {
  if (user.status === "disconnected" && user.grant.refreshToken !== undefined) {
    await finishDisconnect(user, context);
    return;
  }
  if (user.status === "paused") return finishPause(user, context);
  if (!isAnnounced(user)) {
    const isTaken = await announce(user, context);
    if (!isTaken) await postpone(user, context);
    return;
  }
  if (user.status === "mailbox_unavailable") return probe(user, context);
  if (user.status === "active" && runningSnapshot(user) !== undefined) {
    return continueSnapshot(user, snapshots, context);
  }
  const now = storeNow(user, context.clock);
  const forgottenAt = forgetAt(user, context);
  if (forgottenAt !== undefined && forgottenAt <= now) return erase(user, context);
  if (context.sendNotice !== undefined && isMailOwed(user, now)) return notify(user, context);
  // Refused: the user is still due, and the next run finds what is left to do.
  await context.users.update(user, { followUp: settled(user, user.followUp, context) });
}

/** Returns whether a mail is due: not about a grant that ended before mail was configured. */
function isMailOwed({ status, statusAt, grant, followUp: { notices } }: User, now: Date): boolean {
  if (status !== "reauthorization_required") return false;
  if (notices?.generation === grant.generation) return notices.isOver !== true;
  return later(statusAt, FIRST_MAIL_MS_MAX) > now;
}

/** Erases a user whose time has come, or whose erasure has begun. Unfinished work stays due. */
async function erase(user: User, context: FollowUpContext): Promise<void> {
  const { statusReason: reason, id: userId } = user;
  const { kind: outcome } = await forget(user, context);
  if (outcome === "forgotten") {
    context.log.info("user_erased", "erased everything that was stored about a user", {
      userId,
      reason,
    });
  }
}

/** Tries again to publish a status later, unless another run has published it in the meantime. */
async function postpone(told: User, { users, clock }: FollowUpContext): Promise<void> {
  const user = await users.find(told.id);
  if (!sameGrant(told, user) || isAnnounced(user)) return;
  const { failures } = user.followUp;
  const waitMs = backoffMs(failures, ANNOUNCE_RETRY_MS, ANNOUNCE_RETRY_MS_MAX);
  const dueAt = later(clock.now(), waitMs);
  // Refused: the user is still due, and the next run tries again without the wait.
  await users.update(user, { followUp: { ...user.followUp, dueAt, failures: failures + 1 } });
}

/**
 * Tests whether an unavailable mailbox is back: a few cheap calls, once a day, later once a week.
 */
async function probe(user: User, context: FollowUpContext): Promise<void> {
  const { users, clock, log } = context;
  const access = openAccess(user, context);
  const answer = await look(user, access, context);
  const why = answer.ok ? undefined : answer.error;
  if (why === "superseded") return;
  if (why !== undefined && hasFailed(why, "reauthorize")) {
    const flagging = await flag(user, why.failure, context);
    if (flagging.kind === "flagged" || flagging.kind === "superseded") return;
  }
  const obtained = access.obtained();
  const grantOf = ({ grant }: User) =>
    obtained === undefined ? {} : { grant: { ...grant, ...obtained } };
  const now = clock.now();
  if (why === undefined) {
    const { kind } = await modify(
      users,
      user.id,
      (stored) => {
        if (!sameGrant(user, stored)) return "skip";
        return { ...restored(stored, clock), ...grantOf(stored) };
      },
      { what: "an available mailbox", from: user },
    );
    if (kind === "skipped") return;
    log.info("mailbox_restored", "an unavailable mailbox can be read again", { userId: user.id });
    return;
  }
  // Rejected as it was when its status was written: that is a result, in any class.
  const { failure } = why;
  const isStillGone =
    failure.kind === "mailbox_unavailable" || reasonOf(failure) === user.statusReason;
  const failures = user.followUp.failures + (isStillGone ? 1 : 0);
  const waitMs = failures > DAILY_PROBES_MAX ? 7 * PROBE_AFTER_MS : PROBE_AFTER_MS;
  const dueAt = later(now, isStillGone ? waitMs : PROBE_RETRY_MS);
  // A refused write would lose the access token, and probe again at once.
  await modify(
    users,
    user.id,
    (stored) => {
      if (!sameGrant(user, stored) || stored.status !== user.status) return "skip";
      return { followUp: { ...stored.followUp, failures, dueAt }, ...grantOf(stored) };
    },
    { what: "a probe of an unavailable mailbox", from: user },
  );
}

/**
 * The profile alone does not prove that the mailbox can be read, so its history is listed, too. An
 * expired history belongs to an existing mailbox if the messages that a recovery scans can be
 * listed.
 */
async function look(
  { historyId, sync }: User,
  access: Access,
  { gmail }: FollowUpContext,
): Promise<Result<unknown, Unanswered>> {
  const profile = await access.call("users.getProfile", (token) => gmail.getProfile(token));
  if (!profile.ok) return profile;
  const history = await access.call("history.list", (token) => gmail.listHistory(token, historyId));
  const isExpired = !history.ok && hasFailed(history.error, "history_expired");
  if (!isExpired && (!history.ok || sync.recovery === undefined)) return history;
  return access.call("messages.list", (token) => gmail.listMessages(token, {}));
}
