import { type SyncOutcome } from "./sync-outcome.ts";
import type { Failure } from "../domain/failure.ts";
import { type Recovery, storeNow } from "../domain/user.ts";
import { type HistoryId, isAfter } from "../domain/history-id.ts";
import { giveUp } from "./ending.ts";
import { type Run, reread } from "./run.ts";

/** A cursor that Gmail seems not to know any more. */
export interface ExpiredCursor {
  from: HistoryId;
  reason: Recovery["reason"];
  /** A head that was seen before and is no longer reached; the cursor where it is absent. */
  highestHead?: HistoryId;
}

type Confirmation =
  | ({ kind: "confirmed" } & ExpiredCursor)
  /** One server was behind, or one answer was wrong: the history is still there. */
  | { kind: "unconfirmed" }
  | { kind: "ended"; outcome: SyncOutcome };

/** Between two looks, so that they meet different servers, or the same one recovered. */
const CONFIRM_MS = 2_000;
/** Heads in a row that have to lie below what was seen. */
const LOW_HEADS = 2;

/** Refusals of one cursor as malformed, in runs of their own, and how long they have to last. */
const CURSOR_REFUSALS_MIN = 3;
const CURSOR_REFUSED_MS = 5 * 60_000;
/** How Gmail says that a parameter is wrong: the start id is the only one that varies. */
const CURSOR_REASONS = new Set(["invalidArgument", "INVALID_ARGUMENT", "http_400"]);

/** True of a 400 to the first page of a listing: it has been seen in place of the 404. */
export function isOfCursor(failure: Failure): boolean {
  return failure.kind === "bad_request" && CURSOR_REASONS.has(failure.reason);
}

/** A cursor that is refused as malformed has expired when that lasts for some minutes. */
export async function confirmRefusal(run: Run, failure: Failure): Promise<Confirmation> {
  const { context, user } = run;
  const now = storeNow(user, context.clock);
  const { count, since } = user.sync.cursorRefusals ?? { count: 0, since: now };
  const isLasting = now.getTime() - since.getTime() >= CURSOR_REFUSED_MS;
  if (count + 1 >= CURSOR_REFUSALS_MIN && isLasting) {
    return { kind: "confirmed", from: user.historyId, reason: "history_expired" };
  }
  const cursorRefusals = { count: count + 1, since };
  // Refused: the next run counts it.
  await context.users.update(user, { sync: { ...user.sync, cursorRefusals } });
  if (!(await reread(run))) return ended({ kind: "superseded", changes: run.changes });
  return ended(await giveUp(run, failure, "history.list"));
}

/**
 * Asks again before a cursor is given up. A recovery tells messages but no label changes and no
 * deletions, so one stray 404 or one answer of a server that is behind must not start it.
 */
export async function confirmExpiry(run: Run, expired: ExpiredCursor): Promise<Confirmation> {
  const { context, access } = run;
  await context.clock.sleep(CONFIRM_MS);
  if (expired.reason === "history_rewound") return confirmRewind(run, expired);

  const listed = await access.call("history.list", (token) =>
    context.gmail.listHistory(token, expired.from),
  );
  if (listed.kind === "answered") {
    if (!isAfter(expired.from, listed.value.head)) return { kind: "unconfirmed" };
    return confirmRewind(run, { from: expired.from, reason: "history_rewound" });
  }
  if (listed.kind === "superseded") return ended({ ...listed, changes: run.changes });
  if (listed.failure.kind === "history_expired") return { kind: "confirmed", ...expired };
  return ended(await giveUp(run, listed.failure, listed.call));
}

/** One server may be behind: that the head went back is believed when it stays so low. */
export async function confirmRewind(run: Run, expired: ExpiredCursor): Promise<Confirmation> {
  const { context, access } = run;
  const { from, highestHead = from } = expired;
  for (let looks = 0; looks < LOW_HEADS; looks++) {
    if (looks > 0) await context.clock.sleep(CONFIRM_MS);
    const head = await access.call("users.getProfile", (token) => context.gmail.getProfile(token));
    if (head.kind === "superseded") return ended({ ...head, changes: run.changes });
    if (head.kind === "failed") return ended(await giveUp(run, head.failure, head.call));
    if (!isAfter(highestHead, head.value.historyId)) return { kind: "unconfirmed" };
  }
  return { kind: "confirmed", ...expired };
}

function ended(outcome: SyncOutcome): Confirmation {
  return { kind: "ended", outcome };
}
