import type { GrantFailure, Unanswered } from "../domain/access.ts";
import type { Failure } from "../domain/failure.ts";
import { type FailedStep, endingOf } from "../domain/failure-streak.ts";
import { accounted } from "../domain/completeness.ts";
import { type Trigger, afterFailure, atOnce, notifiedIds, recheck } from "../domain/schedule.ts";
import { type Sync, type User, type UserPatch, sameGrant, storeNow } from "../domain/user.ts";
import { flag } from "../grant/flagging.ts";
import { modify } from "../store/modify.ts";
import { othersSucceed } from "../store/other-users.ts";
import type { MailboxContext } from "./context.ts";
import { tellDelay } from "./delay.ts";
import { type Run, keptToken, rowBefore } from "./run.ts";
import { progressOf, withNotified } from "./settling.ts";
import type { SyncOutcome } from "./report.ts";

/**
 * Ends a run that failed: flags the user if the failure is theirs or has lasted too long for one
 * mailbox, otherwise schedules the next attempt. `step` is what failed.
 */
export async function giveUp(run: Run, failure: Failure, step: FailedStep): Promise<SyncOutcome> {
  const { context, changes } = run;
  const ended = await endedBy(run, failure, step);
  if (ended === undefined) return postpone(run, failure, step);
  const flagging = await flag(run.user, ended, context);
  switch (flagging.kind) {
    case "flagged":
      return flagging;
    case "superseded":
      return { kind: "superseded", changes };
    case "outdated":
      return postpone(run, { kind: "transient", reason: "refresh_token_rotated" }, step);
    case "guarded":
      return postpone(run, { kind: "misconfigured", reason: "fleet_guard" }, step);
  }
}

/** Ends a run whose call to Google has no value. */
export async function endUnanswered(run: Run, why: Unanswered): Promise<SyncOutcome> {
  if (why === "superseded") return { kind: why, changes: run.changes };
  return giveUp(run, why.failure, why.call);
}

/** Ends a run where it is: its mailbox is due at once. */
export async function unfinished(run: Run): Promise<SyncOutcome> {
  const { context, changes } = run;
  const isWritten = await writeDue(run, ({ sync: { failure: _, ...sync } }) => ({
    ...sync,
    ...atOnce(context.clock),
  }));
  return { kind: isWritten ? "unfinished" : "superseded", changes };
}

async function endedBy(
  run: Run,
  failure: Failure,
  step: FailedStep,
): Promise<GrantFailure | undefined> {
  const { user, context } = run;
  const ending = endingOf(rowBefore(run), failure, step, context.clock.now());
  if (ending === undefined) return undefined;
  if (ending.kind === "flag") return ending.failure;
  const others = await othersSucceed(user, context);
  const isEnded = others === "succeed" || (others === "none" && ending.isLongEnoughAlone);
  return isEnded ? ending.failure : undefined;
}

/** Schedules the mailbox after a failure that is not the user's. */
async function postpone(run: Run, failure: Failure, step: FailedStep): Promise<SyncOutcome> {
  const { context, changes } = run;
  const isWritten = await writeDue(run, (user) => {
    const due = afterFailure(user.sync, rowBefore({ ...run, user }), failure, step, context);
    return due && { ...user.sync, ...due };
  });
  return isWritten ? { kind: "failed", failure, changes } : { kind: "superseded", changes };
}

/** Ends a run that continues at this time. Writes nothing if the mailbox is due by then. */
export async function dueBy(run: Run, dueAt: Date): Promise<SyncOutcome> {
  const isWritten = await writeDue(run, ({ sync }) => {
    const isDue = sync.dueAt !== undefined && sync.dueAt <= dueAt;
    const isAhead = sync.dueAt !== undefined && sync.dueAt > run.context.clock.now();
    if (isDue && isAhead && sync.dueReason === "unfinished") return undefined;
    return { ...sync, dueAt, dueReason: "unfinished" };
  });
  return { kind: isWritten ? "unfinished" : "superseded", changes: run.changes };
}

/**
 * Ends a run that has nothing to do before this time; `throttled` also holds notifications back.
 */
export async function waitUntil(run: Run, until: Date): Promise<SyncOutcome> {
  const isWritten = await writeDue(run, ({ sync }) => ({
    ...sync,
    dueAt: until,
    dueReason: "throttled",
  }));
  return isWritten ? { kind: "throttled", until } : { kind: "superseded", changes: run.changes };
}

/**
 * Writes the `sync` that `make` returns for the stored user, with the notified ids of this run, and
 * publishes a due delay before recording it. Returns false when this run's grant is no longer the
 * user's.
 */
async function writeDue(run: Run, make: (user: User) => Sync | undefined): Promise<boolean> {
  const { user: read, context } = run;
  const told = await tellDelay(read, context);
  const due = (user: User): UserPatch | "skip" => {
    if (!sameGrant(read, user)) return "skip";
    const isNoted = told !== undefined && user.sync.behindSince?.getTime() === told.since.getTime();
    const held = withHeld(user, run.trigger, context);
    const next = make(user) ?? (isNoted || held !== undefined ? user.sync : undefined);
    if (next === undefined) return "skip";
    const now = storeNow(user, context.clock);
    const sync = accounted(user.sync, { ...next, ...held }, now);
    return {
      sync: isNoted ? { ...sync, delayedAt: told.at } : sync,
      ...keptToken({ ...run, user }),
    };
  };
  const { user } = await modify(context.users, read.id, due, { what: "a due time", from: read });
  return sameGrant(read, user);
}

/** Returns notified ids that the stored user does not have yet; `undefined` if there are none. */
function withHeld(
  user: User,
  trigger: Trigger,
  { clock, config }: Pick<MailboxContext, "clock" | "config">,
): Pick<Sync, "recent"> | undefined {
  const progress = progressOf(user);
  const now = storeNow(user, clock);
  const held = withNotified(progress, notifiedIds(trigger), now, config.sync.settleMs);
  return held === progress ? undefined : { recent: held.recent };
}

/**
 * Records the ids of notifications that are acknowledged without a write of this run: of a mailbox
 * that has to wait, or of a run that another has overtaken. The record of such an id may appear
 * minutes after the next listing, and the cursor must not have passed it. Every id has to be
 * recorded, because any of them may be the one that appears late. This costs one write for each
 * notification of something new, as many as in normal operation, and none for a repeated one.
 */
export async function holdNotified(
  read: User,
  trigger: Trigger,
  context: Pick<MailboxContext, "users" | "clock" | "config">,
): Promise<void> {
  const { users, clock } = context;
  const held = (user: User): UserPatch | "skip" => {
    const noted = user.status === "active" ? withHeld(user, trigger, context) : undefined;
    if (noted === undefined) return "skip";
    const next = { ...user.sync, ...noted, ...recheck(user.sync, clock) };
    return { sync: accounted(user.sync, next, storeNow(user, clock)) };
  };
  await modify(users, read.id, held, { what: "a notified id", from: read });
}
