import { hasFailed } from "../domain/access.ts";
import { type SyncOutcome } from "./report.ts";
import type { Failure } from "../domain/failure.ts";
import { type Recovery, storeNow } from "../domain/user.ts";
import { type HistoryId, isAfter } from "../domain/history-id.ts";
import { endUnanswered, giveUp } from "./ending.ts";
import { type Run, reread } from "./run.ts";

/** A cursor that Gmail seems not to know any more. */
export interface ExpiredCursor {
  from: HistoryId;
  reason: Recovery["reason"];
  /** A head that was seen before and is no longer reached; the cursor if it is absent. */
  highestHead?: HistoryId;
}

type Confirmation =
  | ({ kind: "confirmed" } & ExpiredCursor)
  /** One server was behind, or one response was wrong: the history still exists. */
  | { kind: "unconfirmed" }
  | { kind: "ended"; outcome: SyncOutcome };

/** Between two requests, so that they reach different servers, or the same one recovered. */
const CONFIRM_MS = 2_000;
/** Consecutive heads that have to be below what was seen. */
const LOW_HEADS = 2;

/** Rejections of one cursor as malformed, in runs of their own, and how long they have to last. */
const CURSOR_REFUSALS_MIN = 3;
const CURSOR_REFUSED_MS = 5 * 60_000;
/** Gmail's reasons for a wrong parameter: the start id is the only one that varies. */
const CURSOR_REASONS = new Set(["invalidArgument", "INVALID_ARGUMENT", "http_400"]);

/**
 * Returns whether a failure is a 400 for the first page of a listing, which Gmail sometimes sends
 * instead of 404.
 */
export function isOfCursor(failure: Failure): boolean {
  return failure.kind === "bad_request" && CURSOR_REASONS.has(failure.reason);
}

/**
 * Counts a rejection of the cursor as malformed: it has expired when that lasts for some minutes.
 */
export async function confirmRefusal(run: Run, failure: Failure): Promise<Confirmation> {
  const { context, user } = run;
  const now = storeNow(user, context.clock);
  const { count, since } = user.sync.cursorRefusals ?? { count: 0, since: now };
  const isLasting = now.getTime() - since.getTime() >= CURSOR_REFUSED_MS;
  if (count + 1 >= CURSOR_REFUSALS_MIN && isLasting) {
    // Other failures may have come between the rejections, so that each was a stray one.
    const expired = { from: user.historyId, reason: "history_expired" } as const;
    return confirmLoss(run, expired, isOfCursor);
  }
  const cursorRefusals = { count: count + 1, since };
  // Refused: the next run counts it.
  await context.users.update(user, { sync: { ...user.sync, cursorRefusals } });
  if (!(await reread(run))) return ended({ kind: "superseded", changes: run.changes });
  return ended(await giveUp(run, failure, "history.list"));
}

/**
 * Asks Gmail again before a cursor is given up. A recovery publishes messages but no label changes
 * and no deletions, so one stray 404, or one response of a server that is behind, must not start
 * it.
 */
export function confirmExpiry(run: Run, expired: ExpiredCursor): Promise<Confirmation> {
  return confirmLoss(run, expired, () => false);
}

/** `isSame`: whether a failure other than 404 confirms the loss, too. */
async function confirmLoss(
  run: Run,
  expired: ExpiredCursor,
  isSame: (failure: Failure) => boolean,
): Promise<Confirmation> {
  const { context, access } = run;
  await context.clock.sleep(CONFIRM_MS);
  if (expired.reason === "history_rewound") return confirmRewind(run, expired);

  const listed = await access.call("history.list", (token) =>
    context.gmail.listHistory(token, expired.from),
  );
  if (listed.ok) {
    if (!isAfter(expired.from, listed.value.head)) return { kind: "unconfirmed" };
    return confirmRewind(run, { from: expired.from, reason: "history_rewound" });
  }
  const why = listed.error;
  const isExpired =
    hasFailed(why, "history_expired") || (why !== "superseded" && isSame(why.failure));
  return isExpired ? { kind: "confirmed", ...expired } : ended(await endUnanswered(run, why));
}

/** Asks Gmail again, because one server may be behind: a lower head is accepted if it stays low. */
export async function confirmRewind(run: Run, expired: ExpiredCursor): Promise<Confirmation> {
  const { context, access } = run;
  const { from, highestHead = from } = expired;
  for (let looks = 0; looks < LOW_HEADS; looks++) {
    if (looks > 0) await context.clock.sleep(CONFIRM_MS);
    const head = await access.call("users.getProfile", (token) => context.gmail.getProfile(token));
    if (!head.ok) return ended(await endUnanswered(run, head.error));
    if (!isAfter(highestHead, head.value.historyId)) return { kind: "unconfirmed" };
  }
  return { kind: "confirmed", ...expired };
}

function ended(outcome: SyncOutcome): Confirmation {
  return { kind: "ended", outcome };
}
