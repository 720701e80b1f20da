import { type Trigger, notifiedIds, afterFailure, atOnce, recheck } from "../domain/schedule.ts";
import type { Failure } from "../domain/failure.ts";
import assert from "node:assert/strict";
import { type Clock, type Random, later } from "../domain/clock.ts";
import type { Log } from "../platform/log.ts";
import { modify } from "../store/modify.ts";
import type { Telemetry } from "../platform/telemetry/telemetry.ts";
import {
  type Status,
  type StoredChange,
  type Sync,
  type SyncFailure,
  type User,
  type UserPatch,
  type UserStore,
  isOutdated,
  sameGrant,
  storeNow,
} from "../domain/user.ts";
import type { Access, Flagging, GrantFailure } from "../domain/access.ts";
import type { AddressServices } from "../grant/address.ts";
import type { Change, Gap, Publish } from "../domain/events.ts";
import { type HistoryId, isAfter, maxHistoryId } from "../domain/history-id.ts";
import type { ChangeFilter, HistoryPage, MessagePage } from "../domain/history.ts";
import { type Progress, covers, withNotified } from "./settling.ts";
import { tellDelay } from "./delay.ts";
import { type FailedStep, endingOf } from "../domain/failure-streak.ts";
import { accounted } from "../domain/incomplete.ts";
import { othersSucceed } from "../store/other-users.ts";

/** Every way a sync can end. */
export type SyncOutcome =
  | { kind: "caught_up"; changes: number }
  /** Gmail told of something that is not readable yet; the mailbox is due again. */
  | { kind: "lagging"; changes: number }
  /** Out of pages or time; the mailbox is due at once. */
  | { kind: "unfinished"; changes: number }
  /** The notification tells nothing that has not been read. */
  | { kind: "stale" }
  | { kind: "inactive"; status: Status }
  /** The notification names nobody who is connected. */
  | { kind: "unknown_mailbox" }
  /** Google asked to be left alone until then; the mailbox is due at that time. */
  | { kind: "throttled"; until: Date }
  /** The mailbox fails again and again: only its due time calls Google again. */
  | { kind: "waiting"; until: Date }
  | { kind: "flagged"; status: Status; reason: string }
  /** Another run, or a newer grant, is ahead of this one. */
  | { kind: "superseded"; changes: number }
  /** Not the user's fault; the mailbox is due again. */
  | { kind: "failed"; failure: Failure; changes: number };

export interface SyncLimits {
  /** How long after it was first read a position counts as settled. */
  settleMs: number;
  /** Between two looks at a mailbox that nothing is heard of. */
  quietMs: number;
  /** How long a mailbox may be incomplete before subscribers and the operator are told. */
  delayedAfterMs: number;
  pagesMax: number;
  timeMsMax: number;
}

export interface SyncServices extends AddressServices {
  users: UserStore;
  openAccess(user: User): Access;
  /** Ends all background work for a user whose grant failed, and for no newer grant. */
  flag(user: User, failure: GrantFailure): Promise<Flagging>;
  /** `users.history.list` after the id, unfiltered. Throws `FailedCall`. */
  listHistory(accessToken: string, after: HistoryId, pageToken?: string): Promise<HistoryPage>;
  /** `users.getProfile`: the mailbox's present head. Throws `FailedCall`. */
  getHead(accessToken: string): Promise<HistoryId>;
  /** `users.messages.list`, newest first. Throws `FailedCall`. */
  listMessages(
    accessToken: string,
    page: { token?: string | undefined; labelId?: string | undefined },
  ): Promise<MessagePage>;
  /** `internalDate` of one message. Throws `FailedCall`. */
  getInternalDate(accessToken: string, messageId: string): Promise<Date>;
  /** The labels of one message. Throws `FailedCall`. */
  getLabelIds(accessToken: string, messageId: string): Promise<readonly string[]>;
  publish: Publish;
  /** What the store keeps of a change beside the cursor; nothing unless that sink is on. */
  toStoredChanges(user: User, changes: readonly (Change | Gap)[]): StoredChange[];
  changeFilter: ChangeFilter;
  limits: SyncLimits;
  clock: Clock;
  random: Random;
  log: Log;
  telemetry: Telemetry;
}

/** One run over one mailbox: what it has read of the store, and what it has done so far. */
export interface Run {
  user: User;
  readonly trigger: Trigger;
  readonly services: SyncServices;
  readonly access: Access;
  readonly deadline: Date;
  /** Where the mailbox stood when the run began. */
  readonly startedFrom: string;
  /** A due time has come for a mailbox of which nothing was known to be missing. */
  readonly isLook: boolean;
  pages: number;
  /** Changes and gaps published. */
  changes: number;
  /** Where a recovery's walk goes on; known only to the run that walks. */
  walkToken: string | undefined;
  /** The highest head that Gmail named to this run. */
  highestHead: HistoryId | undefined;
  /** Changes that the watch covers, so that a notification should have told of them. */
  watchedChanges: number;
  /** Published, and still to be written beside the cursor where that sink is on. */
  unkept: (Change | Gap)[];
}

export function startRun(user: User, trigger: Trigger, services: SyncServices): Run {
  return {
    user,
    trigger,
    services,
    access: services.openAccess(user),
    startedFrom: placeOf(user),
    deadline: later(services.clock.now(), services.limits.timeMsMax),
    isLook: trigger.kind === "due" && user.sync.dueReason === "quiet",
    pages: 0,
    changes: 0,
    walkToken: undefined,
    highestHead: undefined,
    watchedChanges: 0,
    unkept: [],
  };
}

/** Changes with whatever is checkpointed: the cursor, or how far a recovery has come. */
function placeOf({ historyId, sync: { recovery } }: User): string {
  return `${historyId} ${recovery?.listing} ${recovery?.pages.length} ${recovery?.isTold}`;
}

/** Out of pages or time: what is left is for the next run. */
export function isOver({ pages, deadline, services }: Run): boolean {
  return pages >= services.limits.pagesMax || services.clock.now() >= deadline;
}

/** A run that stops where it stands: its mailbox is due at once. */
export async function unfinished(run: Run): Promise<SyncOutcome> {
  const { services, changes } = run;
  const isWritten = await writeDue(run, ({ sync: { failure: _, ...sync } }) => ({
    ...sync,
    ...atOnce(services.clock),
  }));
  return { kind: isWritten ? "unfinished" : "superseded", changes };
}

/**
 * Writes what `make` says of the stored user, on the condition that it is still the one that was
 * read. Refused: if a winner has accounted for all of `records`, they are covered; otherwise what
 * was read is added to what is stored now. Everything in `records` has been published, so
 * either way nothing is lost.
 */
export function writeProgress(
  run: Run,
  records: readonly HistoryId[],
  make: MakeProgress,
): Promise<Written> {
  const write = () => writeUntilTaken(run, records, make);
  return run.services.telemetry.span("checkpoint", {}, write);
}

type MakeProgress = (user: User) => Progress &
  Omit<UserPatch, "sync"> & {
    sync: Partial<Sync>;
    /** The run got through: its failures are of the past. */
    isThrough?: true;
  };
type Written = "written" | "covered" | "superseded";

async function writeUntilTaken(
  run: Run,
  records: readonly HistoryId[],
  make: MakeProgress,
): Promise<Written> {
  const { user: read, services } = run;
  const checkpoint = (user: User): UserPatch | "skip" => {
    if (isSuperseded(read, user)) return "skip";
    const { historyId, recent, isNotifiedAhead, sync, isThrough, ...more } = make(user);
    const isLost = user !== read;
    const isCovered = isLost && records.length > 0 && covers(progressOf(user), records);
    if (isCovered && sync.dueReason !== "lag") return "skip";
    assert(!isAfter(user.historyId, historyId), "the cursor never moves back");
    // A page of history was listed: the next recovery, if any, is the first of another series.
    const { recoveries: _, cursorRefusals: __, isNotifiedAhead: ___, ...stored } = user.sync;
    const highestHead = highestHeadOf({ ...run, user });
    const next = {
      ...stored,
      ...sync,
      recent,
      ...(isNotifiedAhead === true && { isNotifiedAhead }),
      ...(highestHead !== undefined && { highestHead }),
    };
    const now = storeNow(user, services.clock);
    return {
      ...more,
      historyId,
      sync: accounted(user.sync, isThrough ? withoutFailure(next) : next, now),
      ...keptToken({ ...run, user }),
    };
  };
  const { kind, user } = await modify(services.users, read.id, checkpoint, {
    what: "a checkpoint",
    from: read,
    changes: (current) => services.toStoredChanges(current, run.unkept),
  });
  if (kind === "written") {
    run.unkept = [];
    return "written";
  }
  if (user === undefined || isSuperseded(read, user)) return "superseded";
  run.user = user;
  return "covered";
}

/** Whether what this run has read says nothing of the user who is stored now. */
function isSuperseded(read: User, stored: User): boolean {
  if (!sameGrant(read, stored)) return true;
  return isAfter(read.historyId, stored.historyId) || isRewound(read.sync, stored.sync);
}

/**
 * Whether this run may still publish: a user who was read too long ago is read again. A run can have
 * slept for long, or waited for Google, while the person disconnected or was erased.
 */
export async function isCurrent(run: Run): Promise<boolean> {
  return !isOutdated(run.user, run.services.clock) || reread(run);
}

/** Reads the user again; false when this run's grant is no longer the user's. */
export async function reread(run: Run): Promise<boolean> {
  const user = await run.services.users.find(run.user.id);
  if (!sameGrant(run.user, user)) return false;
  run.user = user;
  return true;
}

function withoutFailure({ failure: _, ...sync }: Sync): Sync {
  return sync;
}

/**
 * Ends a run that failed: flags the user when the failure is theirs or has lasted too long for one
 * mailbox, and is due again otherwise. `step` is what failed.
 */
export async function giveUp(run: Run, failure: Failure, step: FailedStep): Promise<SyncOutcome> {
  const { services, changes } = run;
  const ended = await endedBy(run, failure, step);
  if (ended === undefined) return postpone(run, failure, step);
  const flagging = await services.flag(run.user, ended);
  if (flagging.kind === "flagged") return flagging;
  if (flagging.kind === "superseded") return { kind: "superseded", changes };
  return postpone(run, { kind: "misconfigured", reason: "fleet_guard" }, step);
}

/** A run that got on begins another row of failures: a long catch-up may fail now and then. */
function rowBefore({ user, startedFrom }: Run): SyncFailure | undefined {
  return placeOf(user) === startedFrom ? user.sync.failure : undefined;
}

async function endedBy(
  run: Run,
  failure: Failure,
  step: FailedStep,
): Promise<GrantFailure | undefined> {
  const { user, services } = run;
  const ending = endingOf(rowBefore(run), failure, step, services.clock.now());
  if (ending === undefined) return undefined;
  if (ending.kind === "flag") return ending.failure;
  const others = await othersSucceed(user, services);
  const isEnded = others === "succeed" || (others === "none" && ending.isLongEnoughAlone);
  return isEnded ? ending.failure : undefined;
}

/** The mailbox is due again after a failure that is not the user's. */
async function postpone(run: Run, failure: Failure, step: FailedStep): Promise<SyncOutcome> {
  const { services, changes } = run;
  const isWritten = await writeDue(run, (user) => {
    const due = afterFailure(user.sync, rowBefore({ ...run, user }), failure, step, services);
    return due && { ...user.sync, ...due };
  });
  return isWritten ? { kind: "failed", failure, changes } : { kind: "superseded", changes };
}

/** Ends a run that goes on at this time. Writes nothing where the mailbox is due by then. */
export async function dueBy(run: Run, dueAt: Date): Promise<SyncOutcome> {
  const isWritten = await writeDue(run, ({ sync }) => {
    const isDue = sync.dueAt !== undefined && sync.dueAt <= dueAt;
    const isAhead = sync.dueAt !== undefined && sync.dueAt > run.services.clock.now();
    if (isDue && isAhead && sync.dueReason === "unfinished") return undefined;
    return { ...sync, dueAt, dueReason: "unfinished" };
  });
  return { kind: isWritten ? "unfinished" : "superseded", changes: run.changes };
}

/** Ends a run that has nothing to do before this time; `throttled` holds notifications off too. */
export async function waitUntil(run: Run, until: Date): Promise<SyncOutcome> {
  const isWritten = await writeDue(run, ({ sync }) => ({
    ...sync,
    dueAt: until,
    dueReason: "throttled",
  }));
  return isWritten ? { kind: "throttled", until } : { kind: "superseded", changes: run.changes };
}

/**
 * Writes the `sync` that `make` says of the stored user, with the ids that this run was notified of,
 * and tells a delay that is due before it is noted. False when this run's grant is no longer the
 * user's.
 */
async function writeDue(run: Run, make: (user: User) => Sync | undefined): Promise<boolean> {
  const { user: read, services } = run;
  const told = await tellDelay(read, services);
  const due = (user: User): UserPatch | "skip" => {
    if (!sameGrant(read, user)) return "skip";
    const isNoted = told !== undefined && user.sync.behindSince?.getTime() === told.since.getTime();
    const held = withHeld(user, run.trigger, services);
    const next = make(user) ?? (isNoted || held !== undefined ? user.sync : undefined);
    if (next === undefined) return "skip";
    const now = storeNow(user, services.clock);
    const sync = accounted(user.sync, { ...next, ...held }, now);
    return {
      sync: isNoted ? { ...sync, delayedAt: told.at } : sync,
      ...keptToken({ ...run, user }),
    };
  };
  const { user } = await modify(services.users, read.id, due, { what: "a due time", from: read });
  return sameGrant(read, user);
}

/** Notified ids that the stored user does not know yet; `undefined` where there are none. */
function withHeld(
  user: User,
  trigger: Trigger,
  { clock, limits }: Pick<SyncServices, "clock" | "limits">,
): Pick<Sync, "recent"> | undefined {
  const progress = progressOf(user);
  const now = storeNow(user, clock);
  const held = withNotified(progress, notifiedIds(trigger), now, limits.settleMs);
  return held === progress ? undefined : { recent: held.recent };
}

/**
 * Notes the ids of notifications that are acknowledged without a write of this run: of a mailbox
 * that has to wait, or of a run that another has overtaken. The record of such an id may show
 * minutes after the next listing, and the cursor must not have passed it. Every id needs its note:
 * the one that is left out may be the one that shows late. So this costs one write for each
 * notification of something new, as many as when all is well, and none for a repeated one.
 */
export async function holdNotified(
  read: User,
  trigger: Trigger,
  services: Pick<SyncServices, "users" | "clock" | "limits">,
): Promise<void> {
  const { users, clock } = services;
  const held = (user: User): UserPatch | "skip" => {
    const noted = user.status === "active" ? withHeld(user, trigger, services) : undefined;
    if (noted === undefined) return "skip";
    const next = { ...user.sync, ...noted, ...recheck(user.sync, clock) };
    return { sync: accounted(user.sync, next, storeNow(user, clock)) };
  };
  await modify(users, read.id, held, { what: "a notified id", from: read });
}

/** The access token that this run obtained, kept in a write that is made anyway. */
export function keptToken({ user, access }: Run): Pick<UserPatch, "grant"> {
  const obtained = access.obtained();
  return obtained === undefined ? {} : { grant: { ...user.grant, ...obtained } };
}

export function progressOf({ historyId, sync }: User): Progress {
  const { recent, isNotifiedAhead } = sync;
  return { historyId, recent, ...(isNotifiedAhead === true && { isNotifiedAhead }) };
}

/** The highest head that Gmail ever named of this mailbox, as far as this run knows. */
export function highestHeadOf({ user, highestHead }: Run): HistoryId | undefined {
  const { highestHead: stored } = user.sync;
  if (stored === undefined || highestHead === undefined) return stored ?? highestHead;
  return maxHistoryId(stored, highestHead);
}

/** Another run has made a rewind good meanwhile: ids from before it mean something else now. */
function isRewound(before: Sync, stored: Sync): boolean {
  if (before.highestHead === undefined || stored.highestHead === undefined) return false;
  return isAfter(before.highestHead, stored.highestHead);
}
