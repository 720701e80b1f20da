import { openAccess } from "../grant/access.ts";
import { flag } from "../grant/flagging.ts";
import { settleHolders } from "../grant/address-holders.ts";
import type { MailboxContext } from "./context.ts";
import type { Unanswered } from "../domain/access.ts";
import type { Failure } from "../domain/failure.ts";
import { backoffMs, jittered, later } from "../domain/clock.ts";
import { modify } from "../store/modify.ts";
import { type User, type Watch, notificationAddress, sameGrant } from "../domain/user.ts";
import { type FoundAddress, findAddress } from "../grant/address.ts";
import { eachDue } from "./each-due.ts";
import { endingOf } from "../domain/failure-streak.ts";
import { isAfter } from "../domain/history-id.ts";
import { highestRead, progressOf } from "./settling.ts";
import { sync } from "./sync.ts";
import { afterWatch, pacedWatches, watchAgain } from "./watch.ts";

/** The result of renewing one watch. */
export type RenewalOutcome =
  | { kind: "renewed"; expiresAt: Date }
  | { kind: "flagged"; reason: string }
  | { kind: "superseded" }
  | { kind: "failed"; failure: Failure };

/** How a renewal run ended. */
export interface RenewalRun {
  renewed: number;
  flagged: number;
  failed: number;
  /** The run stopped before the list was empty; the rest stays due. */
  isCutShort: boolean;
}

/** The share of the quota that renewals may use. */
const QUOTA_SHARE = 0.5;
/** After this number of consecutive configuration failures, every other mailbox would fail, too. */
const MISCONFIGURED_IN_A_ROW_MAX = 5;
/** The first wait after a failed renewal; doubles up to the maximum. */
const RETRY_MS = 60_000;
const RETRY_MS_MAX = 3_600_000;
/** The time between the last attempt and the expiry. */
const EXPIRY_MARGIN_MS = 10 * 60_000;

/**
 * Renews the watches whose time has come, the longest overdue first, until the time is up. `report`
 * is called for the first mailbox with each failure: a configuration error concerns all of them,
 * and is logged once in a run.
 */
export async function renewWatches(
  context: MailboxContext,
  report: (user: User, failure: Failure) => void,
): Promise<RenewalRun> {
  const { config, log, telemetry } = context;
  const run: RenewalRun = { renewed: 0, flagged: 0, failed: 0, isCutShort: false };
  const pace = pacedWatches(QUOTA_SHARE, context);
  const reported = new Set<string>();
  let misconfigured = 0;

  run.isCutShort = await eachDue("watch.renewAt", config.renewal, context, async (user) => {
    await pace();
    const outcome = await renew(user, context);
    telemetry.count("gmail_receiver.renewals", 1, { outcome: outcome.kind });
    const isOurs = outcome.kind === "failed" && outcome.failure.kind === "misconfigured";
    misconfigured = isOurs ? misconfigured + 1 : 0;
    if (outcome.kind !== "superseded") run[outcome.kind] += 1;
    if (outcome.kind === "failed") {
      const { failure } = outcome;
      const what = `${failure.kind} ${failure.reason}`;
      if (!reported.has(what)) report(user, failure);
      reported.add(what);
    }
    return misconfigured >= MISCONFIGURED_IN_A_ROW_MAX ? "stop" : "done";
  });
  if (misconfigured >= MISCONFIGURED_IN_A_ROW_MAX) {
    log.alert("renewal_misconfigured", "ended the renewal run: Google rejects our configuration", {
      failures: misconfigured,
    });
  }
  return run;
}

/**
 * Renews one watch, and checks under which address Gmail knows the mailbox: two calls, one write.
 * The history id in the response counts like a notification's.
 */
export async function renew(user: User, context: MailboxContext): Promise<RenewalOutcome> {
  const { clock, log } = context;
  if (user.status !== "active") return { kind: "superseded" };
  const { expiresAt } = user.watch;
  if (expiresAt !== undefined && expiresAt <= clock.now()) {
    log.warn(
      "watch_lapsed",
      "a watch expired before it was renewed; polling the mailbox until then",
      { userId: user.id },
    );
  }
  // A watch costs 100 units. An earlier failure seldom ends within seconds, so the next turn is
  // soon enough.
  const hasFailed = user.watch.failures > 0 || user.sync.failure !== undefined;
  const access = hasFailed ? openAccess(user, context, 1) : openAccess(user, context);
  const answer = await access.call("users.watch", (token) => watchAgain(token, context));
  if (!answer.ok) return failed(user, answer.error, access.obtained(), context);

  const found = await findAddress(user, access, context);
  const watch = afterWatch(answer.value, context);
  if (found?.isUntold === true) watch.renewAt = later(clock.now(), RETRY_MS);
  const stored = await writeWatch(user, watch, access.obtained(), context, found);
  if (stored === "superseded") return { kind: "superseded" };
  if (found !== undefined) await settleHolders(found.named, user.id, context);
  if (isAfter(answer.value.historyId, highestRead(progressOf(user)))) {
    await context.mailboxes.run(notificationAddress(user), async () => {
      const current = await context.users.find(user.id);
      return current === undefined
        ? { kind: "unknown_mailbox" }
        : sync(current, { kind: "renewed" }, context);
    });
  }
  return { kind: "renewed", expiresAt: answer.value.expiresAt };
}

async function failed(
  user: User,
  why: Unanswered,
  obtained: Partial<User["grant"]> | undefined,
  context: MailboxContext,
): Promise<RenewalOutcome> {
  if (why === "superseded") return { kind: why };
  const { failure, call } = why;
  const ending = endingOf(user.sync.failure, failure, call, context.clock.now());
  if (ending?.kind === "flag") {
    const flagging = await flag(user, ending.failure, context);
    if (flagging.kind === "flagged") return { kind: "flagged", reason: flagging.reason };
    if (flagging.kind === "superseded") return flagging;
  }
  const watch = afterFailedRenewal(user.watch, failure, context);
  const stored = await writeWatch(user, watch, obtained, context);
  return stored === "superseded" ? { kind: "superseded" } : { kind: "failed", failure };
}

/** Backs off, but retries before the watch expires if there is time for that. */
function afterFailedRenewal(
  { failures, ...watch }: Watch,
  failure: Failure,
  { clock, random }: Pick<MailboxContext, "clock" | "random">,
): Watch {
  const now = clock.now();
  const wanted =
    failure.kind === "rate_limited" && failure.retryAt !== undefined
      ? Math.min(failure.retryAt.getTime() - now.getTime(), RETRY_MS_MAX)
      : jittered(backoffMs(failures, RETRY_MS, RETRY_MS_MAX), random);
  const lastMs =
    watch.expiresAt === undefined
      ? Infinity
      : watch.expiresAt.getTime() - EXPIRY_MARGIN_MS - now.getTime();
  const waitMs = Math.max(Math.min(wanted, lastMs), jittered(RETRY_MS, random));
  return { ...watch, renewAt: later(now, waitMs), failures: failures + 1 };
}

async function writeWatch(
  user: User,
  watch: Watch,
  obtained: Partial<User["grant"]> | undefined,
  { users }: MailboxContext,
  found?: FoundAddress,
): Promise<"written" | "superseded"> {
  const { kind } = await modify(
    users,
    user.id,
    (current) => {
      if (!sameGrant(user, current)) return "skip";
      const grant = { ...current.grant, ...obtained };
      return { watch, ...(obtained !== undefined && { grant }), ...found?.patchOf(current) };
    },
    { what: "a watch", from: user },
  );
  return kind === "written" ? "written" : "superseded";
}
