import type { Access } from "../domain/access.ts";
import { later } from "../domain/clock.ts";
import type { Change, Gap } from "../domain/events.ts";
import { type HistoryId, maxHistoryId } from "../domain/history-id.ts";
import type { Trigger } from "../domain/schedule.ts";
import {
  type SyncFailure,
  type User,
  type UserPatch,
  isOutdated,
  sameGrant,
} from "../domain/user.ts";
import { openAccess } from "../grant/access.ts";
import type { MailboxContext } from "./context.ts";

/** One run over one mailbox: what it has read of the store, and what it has done so far. */
export interface Run {
  user: User;
  readonly trigger: Trigger;
  readonly context: MailboxContext;
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

/** Changes with whatever is checkpointed: the cursor, or how far a recovery has come. */
function placeOf({ historyId, sync: { recovery } }: User): string {
  return `${historyId} ${recovery?.listing} ${recovery?.pages.length} ${recovery?.isTold}`;
}

/** Out of pages or time: what is left is for the next run. */
export function isOver({ pages, deadline, context }: Run): boolean {
  return pages >= context.config.sync.pagesMax || context.clock.now() >= deadline;
}

/** A run that got on begins another row of failures: a long catch-up may fail now and then. */
export function rowBefore({ user, startedFrom }: Run): SyncFailure | undefined {
  return placeOf(user) === startedFrom ? user.sync.failure : undefined;
}

/**
 * Whether this run may still publish: a user who was read too long ago is read again. A run can have
 * slept for long, or waited for Google, while the person disconnected or was erased.
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

/** The access token that this run obtained, kept in a write that is made anyway. */
export function keptToken({ user, access }: Run): Pick<UserPatch, "grant"> {
  const obtained = access.obtained();
  return obtained === undefined ? {} : { grant: { ...user.grant, ...obtained } };
}

/** The highest head that Gmail ever named of this mailbox, as far as this run knows. */
export function highestHeadOf({ user, highestHead }: Run): HistoryId | undefined {
  const { highestHead: stored } = user.sync;
  if (stored === undefined || highestHead === undefined) return stored ?? highestHead;
  return maxHistoryId(stored, highestHead);
}
