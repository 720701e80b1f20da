import { type Gap, PublishFailure } from "./event.ts";
import type { HistoryId } from "./history-id.ts";
import { type Run, type SyncOutcome, giveUp, reread } from "./sync-run.ts";

/** A cursor that Gmail no longer knows. */
export interface ExpiredCursor {
  from: HistoryId;
  reason: Gap["reason"];
}

/**
 * Goes on from the present head when Gmail no longer keeps the history after the cursor. The head
 * is pinned first, the gap is published, then the cursor moves: a crash in between repeats the gap
 * under the same id. An outcome when the run has to end; otherwise it lists on from the new cursor.
 */
export async function passOver(
  run: Run,
  { from, reason }: ExpiredCursor,
  isLast: boolean,
): Promise<SyncOutcome | undefined> {
  const { services, access } = run;
  if (isLast) return giveUp(run, { kind: "transient", reason: "history_expires_at_once" });

  const answer = await access.call((token) => services.getHead(token));
  if (answer.kind === "superseded") return { kind: "superseded", changes: run.changes };
  if (answer.kind === "failed") return giveUp(run, answer.failure);
  const head = answer.value;

  const { user } = run;
  const since = user.sync.syncedAt ?? user.grant.grantedAt;
  const gap: Gap = { kind: "gap", fromHistoryId: from, toHistoryId: head, since, reason };
  try {
    await services.publish(user, [gap]);
  } catch (error) {
    if (!(error instanceof PublishFailure)) throw error;
    return giveUp(run, { kind: error.kind, reason: error.reason });
  }
  run.changes += 1;
  services.log.error("history_gap", "Gmail no longer keeps the history after the cursor", {
    userId: user.id,
    fromHistoryId: from,
    toHistoryId: head,
    reason,
  });
  const kept = services.toStoredChanges(user, [...run.unkept, gap]);
  const patch = { historyId: head, sync: { ...user.sync, recent: [] } };
  const written = await services.users.update(user, patch, kept);
  if (written === "written") run.unkept = [];
  const isCurrent = await reread(run);
  // Refused: somebody else moved on. What they stored says where to list from.
  return isCurrent ? undefined : { kind: "superseded", changes: run.changes };
}
