import { type NoticeOutcome } from "../domain/notice.ts";
import type { NoticeContext } from "./context.ts";
import { backoffMs, jittered, later } from "../domain/clock.ts";
import { settled } from "../domain/retention.ts";
import { modify } from "../store/modify.ts";
import { unlessContended } from "../platform/store-error.ts";
import { type FollowUp, type User, sameGrant, storeNow } from "../domain/user.ts";

const DAY_MS = 24 * 3_600_000;
/** The wait before each mail, after the previous one: at once, on day 3, on day 7. */
const NOTICE_AFTER_MS: readonly number[] = [0, 3 * DAY_MS, 4 * DAY_MS];
/** The furthest date of a mail. */
const NOTICE_AFTER_MS_MAX = Math.max(...NOTICE_AFTER_MS) + DAY_MS;
/** The maximum time that sending takes. */
export const SEND_MS_MAX = 30_000;
/** How long a mail belongs to the instance that sends it. */
const CLAIM_MS = 2 * 60_000;
/** The first wait after a mail that was not accepted; doubles up to the maximum. */
const RETRY_MS = 60_000;
const RETRY_MS_MAX = 3_600_000;
/** Four to five days of attempts, like a mail server's (RFC 5321 §4.5.4.1). */
const TRIES_MAX = 140;
/**
 * This number of attempts of one mail takes at least an hour: such a failure does not end by
 * itself.
 */
const TRIES_IN_AN_HOUR = 8;

/**
 * Sends the mail that is due to a person whose grant has ended. It claims the mail first: one
 * conditional write moves `followUp.dueAt` past the time that sending takes, so that only one of
 * the instances that found it due sends it. All times are the store's: a wrong clock of an instance
 * neither repeats nor skips a mail. If the instance dies, the mail is due again; so a mail is sent
 * twice only if its sender died, or the server's response was lost, after the server accepted it. A
 * new grant or a disconnect refuses the claim, and with it the mail.
 */
export async function notify(user: User, context: NoticeContext): Promise<void> {
  const { users, links, clock, sendNotice } = context;
  if (sendNotice === undefined) return;
  const { generation } = user.grant;
  const number = sentTo(user);
  if (number >= NOTICE_AFTER_MS.length || user.followUp.notices?.isOver === true) {
    // Refused: the user is still due, and the next run sees what the other writer stored.
    await users.update(user, { followUp: settled(user, user.followUp, context) });
    return;
  }
  const now = () => storeNow(user, clock);
  const { dueAt } = user.followUp;
  const waitMs = NOTICE_AFTER_MS[number] ?? 0;
  if (dueAt !== undefined && dueAt > later(now(), NOTICE_AFTER_MS_MAX)) {
    // A wrong clock wrote this date after the previous mail. The next one keeps its distance. If the
    // write is refused, the next run corrects the date.
    await users.update(user, { followUp: { ...user.followUp, dueAt: later(now(), waitMs) } });
    return;
  }
  const claimedUntil = later(now(), CLAIM_MS);
  const claim = { followUp: { ...user.followUp, dueAt: claimedUntil } };
  if ((await users.update(user, claim)) === "refused") return;
  // A delayed instance must not send a mail that may belong to another one by now.
  if (later(now(), SEND_MS_MAX) >= claimedUntil) return;

  const outcome = await sendNotice({
    userId: user.id,
    generation,
    number,
    isLast: number === NOTICE_AFTER_MS.length - 1,
    emailAddress: user.emailAddress,
    ...(user.language !== undefined && { language: user.language }),
    reason: user.statusReason,
    reauthorizeUrl: links.to(user),
  });
  report(user, outcome, number, context);
  await note(user, claimedUntil, outcome, context);
}

/** Returns how many mails the person has received about the end of the current grant. */
function sentTo({ grant, followUp: { notices } }: User): number {
  return notices?.generation === grant.generation ? notices.sent : 0;
}

async function note(
  claimed: User,
  claimedUntil: Date,
  outcome: NoticeOutcome,
  context: NoticeContext,
): Promise<void> {
  const { users, log } = context;
  const noted = modify(
    users,
    claimed.id,
    (user) => {
      if (!sameGrant(claimed, user) || sentTo(user) !== sentTo(claimed)) return "skip";
      // A sent mail is always recorded; a failure only by the instance that still has the claim.
      const isOurs = user.followUp.dueAt?.getTime() === claimedUntil.getTime();
      if (outcome.kind !== "sent" && !isOurs) return "skip";
      return { followUp: afterwards(user, outcome, context) };
    },
    { what: "a mail that was sent" },
  );
  const modified = await unlessContended(noted);
  if (modified === undefined) {
    log.warn(
      "notice_not_recorded",
      "sent a reminder but could not record it; it may be sent again",
      { userId: claimed.id },
    );
    return;
  }
  const isOver = modified.kind === "written" && isSeriesOver(modified.user);
  if (isOver && (outcome.kind === "failed" || outcome.kind === "misconfigured")) {
    log.error("notice_abandoned", "could not send a reminder for days; giving up", {
      userId: claimed.id,
    });
  }
}

/** Returns whether no more mails are sent about this end of the grant. */
function isSeriesOver({ grant, followUp: { notices } }: User): boolean {
  return notices?.generation === grant.generation && notices.isOver === true;
}

function afterwards(user: User, outcome: NoticeOutcome, context: NoticeContext): FollowUp {
  const { clock, random } = context;
  const { failures } = user.followUp;
  const now = storeNow(user, clock);
  switch (outcome.kind) {
    case "sent": {
      const sent = sentTo(user) + 1;
      const notices = { generation: user.grant.generation, sent };
      const followUp = { ...user.followUp, notices, failures: 0 };
      const waitMs = NOTICE_AFTER_MS[sent];
      return waitMs === undefined
        ? settled(user, followUp, context)
        : { ...followUp, dueAt: later(now, waitMs) };
    }
    case "refused":
      return ended(user, context);
    case "failed":
    case "misconfigured": {
      if (failures + 1 >= TRIES_MAX) return ended(user, context);
      const waitMs = backoffMs(failures, RETRY_MS, RETRY_MS_MAX);
      const dueAt = later(now, jittered(waitMs, random));
      return { ...user.followUp, dueAt, failures: failures + 1 };
    }
  }
}

/** Returns the state without further mails about this end of a grant. */
function ended(user: User, context: NoticeContext): FollowUp {
  const { generation } = user.grant;
  const notices = { generation, sent: sentTo(user), isOver: true } as const;
  return settled(user, { ...user.followUp, notices }, context);
}

function report(
  user: User,
  outcome: NoticeOutcome,
  number: number,
  { log, mailServer }: NoticeContext,
): void {
  const fields = { userId: user.id, generation: user.grant.generation, number };
  switch (outcome.kind) {
    case "sent":
      delete mailServer.reason;
      delete mailServer.isAlerted;
      return log.info("notice_sent", "sent a reminder", fields);
    case "refused":
      return log.warn(
        "notice_refused",
        "the mail server permanently rejects an email address; it gets no more reminders",
        {
          ...fields,
          reason: outcome.reason,
        },
      );
    case "failed": {
      const { isOfServer = false } = outcome;
      const isKnown = isOfServer && mailServer.reason !== undefined;
      const reason = isKnown ? mailServer.reason : outcome.reason;
      if (isOfServer) mailServer.reason ??= outcome.reason;
      const isLasting = isOfServer && user.followUp.failures + 1 >= TRIES_IN_AN_HOUR;
      if (isLasting && mailServer.isAlerted !== true) {
        mailServer.isAlerted = true;
        return log.alert(
          "notice_misconfigured",
          "the mail server has accepted no mail for an hour; check NOTICE_SMTP_URL",
          {
            ...fields,
            reason,
          },
        );
      }
      // Every mail fails in the same way: one record is enough.
      if (isKnown) return undefined;
      return log.warn("notice_failed", "could not send a reminder; retrying later", {
        ...fields,
        reason,
      });
    }
    case "misconfigured":
      return log.alert(
        "notice_misconfigured",
        "the mail server rejects our login, sender or TLS; check NOTICE_SMTP_URL and NOTICE_FROM",
        {
          ...fields,
          reason: outcome.reason,
        },
      );
    default:
      return outcome satisfies never;
  }
}
