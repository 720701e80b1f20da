import type { Sync, User } from "./user.ts";
import { LAG_RETRIES_MAX } from "./schedule.ts";
import type { DelayEvent } from "./events.ts";

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
