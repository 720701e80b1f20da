import assert from "node:assert/strict";
import { type HistoryId, isAfter } from "../domain/history-id.ts";
import { accounted } from "../domain/incomplete.ts";
import { type Sync, type User, type UserPatch, sameGrant, storeNow } from "../domain/user.ts";
import { storedChanges } from "../pubsub/cloud-event.ts";
import { modify } from "../store/modify.ts";
import { type Run, highestHeadOf, keptToken } from "./run.ts";
import { type Progress, covers, progressOf } from "./settling.ts";

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
  return run.context.telemetry.span("checkpoint", {}, write);
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
  const { user: read, context } = run;
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

function withoutFailure({ failure: _, ...sync }: Sync): Sync {
  return sync;
}

/** Another run has made a rewind good meanwhile: ids from before it mean something else now. */
function isRewound(before: Sync, stored: Sync): boolean {
  if (before.highestHead === undefined || stored.highestHead === undefined) return false;
  return isAfter(before.highestHead, stored.highestHead);
}
