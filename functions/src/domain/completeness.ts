import type { DueReason, Status, User } from "./user.ts";
import type { HistoryId } from "./history-id.ts";
import { behindReason } from "./incomplete.ts";

/** Why more may have happened than is published: the work in progress, or a status without work. */
export type Pending = "recovery" | Exclude<DueReason, "quiet"> | Exclude<Status, "active">;

/** How complete the published stream of a mailbox is. */
export interface Completeness {
  /** The cursor: everything up to it is published, or lies within a published gap, for good. */
  historyId: HistoryId;
  /** Everything that Gmail listed at this time is published, too. Absent: never read completely. */
  completeAt?: Date;
  /** Milliseconds since then; since the connection if the mailbox was never read completely. */
  lagMs: number;
  pending?: Pending;
  /** Since when the mailbox has been incomplete, why, and whether subscribers know. */
  behind?: { since: Date; reason: string; isTold: boolean };
  /**
   * The last poll of the quiet mailbox, and the number of changes that no notification had
   * announced.
   */
  unannounced?: { at: Date; changes: number };
}

/**
 * Returns the time up to which everything is published. For a mailbox that was never read
 * completely, that is the time of its connection, which no later authorization changes; only
 * documents of an older version may lack it.
 */
export function completeSince({ sync, connectedAt, grant }: CompletenessTimes): Date {
  return sync.syncedAt ?? connectedAt ?? grant.grantedAt;
}

type CompletenessTimes = Pick<User, "sync" | "grant"> & Partial<Pick<User, "connectedAt">>;

/** Returns the completeness of a stored user, without a call: only what a checkpoint proves. */
export function completeness(user: User, now: Date): Completeness {
  const { status, historyId, sync } = user;
  const { syncedAt, unannounced, behindSince, delayedAt } = sync;
  const since = completeSince(user);
  const pending = pendingOf(status, sync);
  return {
    historyId,
    ...(syncedAt !== undefined && { completeAt: syncedAt }),
    // Another instance's clock may be ahead.
    lagMs: Math.max(0, now.getTime() - since.getTime()),
    ...(pending !== undefined && { pending }),
    ...(behindSince !== undefined && {
      behind: { since: behindSince, reason: behindReason(sync), isTold: delayedAt !== undefined },
    }),
    ...(unannounced !== undefined && { unannounced }),
  };
}

function pendingOf(status: Status, { recovery, dueReason }: User["sync"]): Pending | undefined {
  if (status !== "active") return status;
  if (recovery !== undefined) return "recovery";
  return dueReason === "quiet" ? undefined : dueReason;
}
