import type { DueReason, Status, Sync, User } from "./user.ts";
import type { HistoryId } from "./history-id.ts";
import type { DelayEvent } from "./events.ts";
import { LAG_RETRIES_MAX } from "./schedule.ts";

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

/**
 * Returns `sync` with an updated `behindSince`: set by the first write that leaves the mailbox
 * incomplete, removed together with `delayedAt` by the write that completes it.
 */
export function accounted(before: Sync, after: Sync, now: Date): Sync {
  const { behindSince: _, delayedAt: __, ...rest } = after;
  if (!isBehind(before, after)) return rest;
  const { behindSince = now, delayedAt } = before;
  return { ...rest, behindSince, ...(delayedAt !== undefined && { delayedAt }) };
}

/** Returns whether more is left to read than is published after a write. */
export function isBehind(before: Sync, after: Sync): boolean {
  const { dueReason = "quiet", retries, recovery, failure } = after;
  if (recovery !== undefined || failure !== undefined) return true;
  switch (dueReason) {
    case "throttled":
    case "unfinished":
      return true;
    case "lag":
      // The last poll after a productive run usually finds nothing, and may take a minute. A
      // mailbox that only waits for a notified record has published everything that Gmail lists.
      if (before.behindSince !== undefined) return retries <= LAG_RETRIES_MAX;
      return retries < LAG_RETRIES_MAX;
    case "quiet":
      return false;
  }
}

/** Returns whether `mailbox.delayed` is still to be published. */
export function isDelayDue({ sync }: User, delayedAfterMs: number, now: Date): boolean {
  const { behindSince, delayedAt } = sync;
  if (behindSince === undefined || delayedAt !== undefined) return false;
  return now.getTime() - behindSince.getTime() >= delayedAfterMs;
}

/** A delay may be published before it is due, by an instance whose clock differs. */
const TOLD_MARGIN_MS = 60_000;

/**
 * Returns whether subscribers may believe that the mailbox is late. A delay is published before
 * that is recorded, and the record can be lost: a delay that is old enough counts as published.
 */
export function isDelayTold(
  { sync }: Pick<User, "sync">,
  delayedAfterMs: number,
  now: Date,
): boolean {
  const { behindSince, delayedAt } = sync;
  if (behindSince === undefined) return false;
  const marginMs = Math.min(TOLD_MARGIN_MS, delayedAfterMs / 2);
  const ageMs = now.getTime() - behindSince.getTime();
  return delayedAt !== undefined || ageMs >= delayedAfterMs - marginMs;
}

/**
 * Returns why a mailbox is incomplete: a short stable code, that of its failure if it fails.
 * `history_refused`: Gmail rejects even the current head of the history, and the next recovery
 * waits.
 */
export function behindReason({
  failure,
  recovery,
  recoveries,
  dueReason = "unfinished",
}: Sync): string {
  if (failure !== undefined) return failure.reason;
  if (recovery !== undefined) return "recovery";
  const isPaused = dueReason === "throttled" && recoveries !== undefined;
  return isPaused ? "history_refused" : dueReason;
}

/** Returns the event for a mailbox that is late, or complete again. */
export function delayEvent(
  kind: DelayEvent["kind"],
  { sync }: User,
  since: Date,
  now: Date,
): DelayEvent {
  const { syncedAt = since } = sync;
  return {
    kind,
    since,
    reason: behindReason(sync),
    lagSeconds: Math.max(0, Math.round((now.getTime() - syncedAt.getTime()) / 1_000)),
  };
}
