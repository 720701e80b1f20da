import type { Access } from "../domain/access.ts";
import { later } from "../domain/clock.ts";
import type { Change, Gap } from "../domain/events.ts";
import { type HistoryId, maxHistoryId, isAfter } from "../domain/history-id.ts";
import type { Trigger } from "../domain/schedule.ts";
import {
  type SyncFailure,
  type User,
  type UserPatch,
  isOutdated,
  sameGrant,
  type Sync,
  storeNow,
} from "../domain/user.ts";
import { openAccess } from "../grant/access.ts";
import type { MailboxContext } from "./context.ts";
import assert from "node:assert/strict";
import { accounted } from "../domain/completeness.ts";
import { storedChanges } from "../pubsub/cloud-event.ts";
import { modify } from "../store/modify.ts";
import { type Progress, covers, progressOf } from "./settling.ts";

/** One run for one mailbox: what it has read from the store, and what it has done so far. */
export interface Run {
  user: User;
  readonly trigger: Trigger;
  readonly context: MailboxContext;
  readonly access: Access;
  readonly deadline: Date;
  /** Where the mailbox was when the run began. */
  readonly startedFrom: string;
  /** The run is a poll: it was due although nothing was known to be missing. */
  readonly isLook: boolean;
  pages: number;
  /** The number of published changes and gaps. */
  changes: number;
  /** Where the scan of a recovery continues; known only to the run that scans. */
  walkToken: string | undefined;
  /** The highest head that Gmail named to this run. */
  highestHead: HistoryId | undefined;
  /** Changes that the watch covers, so that a notification should have announced them. */
  watchedChanges: number;
  /** Published, and still to be stored with the cursor if that sink is on. */
  unkept: (Change | Gap)[];
}

/** Starts a run for a user that was just read. */
export function startRun(user: User, trigger: Trigger, context: MailboxContext): Run {
  return {
    user,
    trigger,
    context,
    access: openAccess(user, context),
    startedFrom: placeOf(user),
    deadline: later(context.clock.now(), context.config.sync.timeMsMax),
    isLook: trigger.kind === "due" && user.sync.dueReason === "quiet",
    pages: 0,
    changes: 0,
    walkToken: undefined,
    highestHead: undefined,
    watchedChanges: 0,
    unkept: [],
  };
}

/** Changes with everything that is checkpointed: the cursor, or the progress of a recovery. */
function placeOf({ historyId, sync: { recovery } }: User): string {
  return `${historyId} ${recovery?.listing} ${recovery?.pages.length} ${recovery?.isTold}`;
}

/** Returns whether the run is out of pages or time: the rest is left to the next run. */
export function isOver({ pages, deadline, context }: Run): boolean {
  return pages >= context.config.sync.pagesMax || context.clock.now() >= deadline;
}

/**
 * Returns the consecutive failures before this run; none if it made progress, because a long
 * catch-up may fail now and then.
 */
export function rowBefore({ user, startedFrom }: Run): SyncFailure | undefined {
  return placeOf(user) === startedFrom ? user.sync.failure : undefined;
}

/**
 * Returns whether this run may still publish: a user that was read too long ago is read again. A
 * run can have paused for long, or waited for Google, while the person disconnected or was erased.
 */
export async function isCurrent(run: Run): Promise<boolean> {
  return !isOutdated(run.user, run.context.clock) || reread(run);
}

/** Reads the user again; false when this run's grant is no longer the user's. */
export async function reread(run: Run): Promise<boolean> {
  const user = await run.context.users.find(run.user.id);
  if (!sameGrant(run.user, user)) return false;
  run.user = user;
  return true;
}

/** Returns the access token that this run obtained, for a write that is made anyway. */
export function keptToken({ user, access }: Run): Pick<UserPatch, "grant"> {
  const obtained = access.obtained();
  return obtained === undefined ? {} : { grant: { ...user.grant, ...obtained } };
}

/** Returns the highest head that Gmail ever named for this mailbox, as far as this run knows. */
export function highestHeadOf({ user, highestHead }: Run): HistoryId | undefined {
  const { highestHead: stored } = user.sync;
  if (stored === undefined || highestHead === undefined) return stored ?? highestHead;
  return maxHistoryId(stored, highestHead);
}

/**
 * Writes what `make` returns for the stored user, if it is still the one that was read. Otherwise,
 * if the other writer has accounted for all of `records`, they are covered; if not, what was read
 * is added to what is stored now. Everything in `records` has been published, so nothing is lost
 * either way.
 */
export function writeProgress(
  run: Run,
  records: readonly HistoryId[],
  make: MakeProgress,
): Promise<Written> {
  const write = () => writeUntilTaken(run, records, make);
  return run.context.telemetry.span("checkpoint", {}, write);
}

type MakeProgress = (user: User) => Progress &
  Omit<UserPatch, "sync"> & {
    sync: Partial<Sync>;
    /** The run was successful: its failures are over. */
    isThrough?: true;
  };
type Written = "written" | "covered" | "superseded";

async function writeUntilTaken(
  run: Run,
  records: readonly HistoryId[],
  make: MakeProgress,
): Promise<Written> {
  const { user: read, context } = run;
  const checkpoint = (user: User): UserPatch | "skip" => {
    if (isSuperseded(read, user)) return "skip";
    const { historyId, recent, isNotifiedAhead, sync, isThrough, ...more } = make(user);
    const isLost = user !== read;
    const isCovered = isLost && records.length > 0 && covers(progressOf(user), records);
    if (isCovered && sync.dueReason !== "lag") return "skip";
    assert(!isAfter(user.historyId, historyId), "the cursor never moves back");
    // A page of history was listed: the next recovery, if any, is the first of a new series.
    const { recoveries: _, cursorRefusals: __, isNotifiedAhead: ___, ...stored } = user.sync;
    const highestHead = highestHeadOf({ ...run, user });
    const next = {
      ...stored,
      ...sync,
      recent,
      ...(isNotifiedAhead === true && { isNotifiedAhead }),
      ...(highestHead !== undefined && { highestHead }),
    };
    const now = storeNow(user, context.clock);
    return {
      ...more,
      historyId,
      sync: accounted(user.sync, isThrough ? withoutFailure(next) : next, now),
      ...keptToken({ ...run, user }),
    };
  };
  const { kind, user } = await modify(context.users, read.id, checkpoint, {
    what: "a checkpoint",
    from: read,
    changes: (current) => storedChanges(current, run.unkept, context),
  });
  if (kind === "written") {
    run.user = user;
    run.unkept = [];
    return "written";
  }
  if (user === undefined || isSuperseded(read, user)) return "superseded";
  run.user = user;
  return "covered";
}

/** Returns whether what this run has read is outdated for the stored user. */
function isSuperseded(read: User, stored: User): boolean {
  if (!sameGrant(read, stored)) return true;
  return isAfter(read.historyId, stored.historyId) || isRewound(read.sync, stored.sync);
}

function withoutFailure({ failure: _, ...sync }: Sync): Sync {
  return sync;
}

/**
 * Another run has recovered from a rewind in the meantime: ids from before it mean something else
 * now.
 */
function isRewound(before: Sync, stored: Sync): boolean {
  if (before.highestHead === undefined || stored.highestHead === undefined) return false;
  return isAfter(before.highestHead, stored.highestHead);
}
