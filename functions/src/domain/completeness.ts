import type { DueReason, Status, User } from "./user.ts";
import type { HistoryId } from "./history-id.ts";
import { behindReason } from "./incomplete.ts";

/** Why more may have happened than is published: what is under way, or that nothing is done now. */
export type Pending = "recovery" | Exclude<DueReason, "quiet"> | Exclude<Status, "active">;

/** What can be said of how complete the published stream of a mailbox is. */
export interface Completeness {
  /** The cursor: everything up to it is published, or lies within a published gap, for good. */
  historyId: HistoryId;
  /** Everything that Gmail listed at this time is published too. Absent: never read to its end. */
  completeAt?: Date;
  /** How long that is ago; how long the mailbox has been connected when it was never read. */
  lagMs: number;
  pending?: Pending;
  /** Since when the mailbox has been incomplete, why, and whether subscribers were told. */
  behind?: { since: Date; reason: string; isTold: boolean };
  /** The last look at the quiet mailbox: the changes it found that no notification had told of. */
  unannounced?: { at: Date; changes: number };
}

/**
 * Up to when everything is published. A mailbox that was never read to its end is complete up to
 * when it was connected, and no later authorization changes that; only documents of an older
 * version may not say when that was.
 */
export function completeSince({ sync, connectedAt, grant }: CompletenessTimes): Date {
  return sync.syncedAt ?? connectedAt ?? grant.grantedAt;
}

type CompletenessTimes = Pick<User, "sync" | "grant"> & Partial<Pick<User, "connectedAt">>;

/** Reads it off the stored user: no call, and nothing that is not proven by a checkpoint. */
export function completeness(user: User, now: Date): Completeness {
  const { status, historyId, sync } = user;
  const { syncedAt, unannounced, behindSince, delayedAt } = sync;
  const since = completeSince(user);
  const pending = pendingOf(status, sync);
  return {
    historyId,
    ...(syncedAt !== undefined && { completeAt: syncedAt }),
    // Another instance's clock may be ahead of ours.
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
