import type { Sync, User } from "./user.ts";
import { LAG_RETRIES_MAX } from "./schedule.ts";
import type { DelayEvent } from "./events.ts";

/**
 * Keeps `behindSince` in step with a write of `sync`: set by the first write that leaves the mailbox
 * incomplete, removed together with `delayedAt` by the one that does not.
 */
export function accounted(before: Sync, after: Sync, now: Date): Sync {
  const { behindSince: _, delayedAt: __, ...rest } = after;
  if (!isBehind(before, after)) return rest;
  const { behindSince = now, delayedAt } = before;
  return { ...rest, behindSince, ...(delayedAt !== undefined && { delayedAt }) };
}

/** Whether a write leaves more to be read than is published. */
export function isBehind(before: Sync, after: Sync): boolean {
  const { dueReason = "quiet", retries, recovery, failure } = after;
  if (recovery !== undefined || failure !== undefined) return true;
  switch (dueReason) {
    case "throttled":
    case "unfinished":
      return true;
    case "lag":
      // The last look after a productive run finds nothing as a rule, and waits a minute. A mailbox
      // that only waits for a notified record has published all that Gmail lists.
      if (before.behindSince !== undefined) return retries <= LAG_RETRIES_MAX;
      return retries < LAG_RETRIES_MAX;
    case "quiet":
      return false;
  }
}

/** Whether subscribers and the operator are still to be told that the mailbox is late. */
export function isDelayDue({ sync }: User, delayedAfterMs: number, now: Date): boolean {
  const { behindSince, delayedAt } = sync;
  if (behindSince === undefined || delayedAt !== undefined) return false;
  return now.getTime() - behindSince.getTime() >= delayedAfterMs;
}

/** Before a delay is due it may have been published: by an instance whose look at the time differs. */
const TOLD_MARGIN_MS = 60_000;

/**
 * Whether subscribers may believe that the mailbox is late. A delay is published before it is noted,
 * and the note can be lost: where it is old enough, it counts as published.
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
 * Why a mailbox is incomplete: a short stable code, of its failure where it fails. `history_refused`:
 * Gmail refuses even the present position of the history, and the next recovery waits.
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

/** What subscribers hear of a mailbox that is late, or is complete again. */
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
