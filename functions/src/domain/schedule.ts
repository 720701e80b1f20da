import type { Failure } from "./failure.ts";
import { type Clock, type Random, backoffMs, jittered, later } from "./clock.ts";
import type { Sync, SyncFailure, User, Watch } from "./user.ts";
import { type FailedStep, noteFailure } from "./failure-streak.ts";
import { type HistoryId, isAfter } from "./history-id.ts";

/** Why a sync runs, and what that says about the history it should find. */
export type Trigger =
  /** `publishedAt`: when Pub/Sub received the first of the notifications that this run serves. */
  | {
      kind: "notified";
      /** The highest of the ids. */
      historyId: HistoryId;
      /** Every id, if one run serves several notifications. */
      historyIds?: readonly HistoryId[];
      publishedAt?: Date | undefined;
    }
  | { kind: "due" }
  | { kind: "renewed" }
  | { kind: "authorized" }
  /** An operator requested it. */
  | { kind: "requested" };

/** Returns the ids in the notifications of a run; none for another trigger. */
export function notifiedIds(trigger: Trigger): readonly HistoryId[] {
  if (trigger.kind !== "notified") return [];
  return trigger.historyIds ?? [trigger.historyId];
}

/** When a mailbox is read again, and why. */
export type Due = Required<Pick<Sync, "dueAt" | "dueReason" | "retries">>;

/** The first poll when nothing announced could be read; each following one waits twice as long. */
const LAG_DUE_MS = 30_000;
/** Consecutive due runs that find nothing announced; then the mailbox counts as quiet. */
export const LAG_RETRIES_MAX = 4;
/** For a mailbox that only waits for a notified record; the wait ends with one more poll. */
const HOLD_RETRIES = LAG_RETRIES_MAX + 1;
/** The one later poll when the notification's id was above the last record. */
const RECHECK_MS = 60_000;
/** The first wait after a failure that is not the user's; doubles up to the maximum. */
const FAILURE_DUE_MS = 15_000;
const FAILURE_DUE_MS_MAX = 15 * 60_000;
/** A mailbox that has failed for hours waits longer: this share of that time, up to the maximum. */
const FAILING_SHARE = 1 / 8;
const FAILING_DUE_MS_MAX = 3_600_000;
/** Between two polls of a mailbox whose watch has lapsed. */
const LAPSED_DUE_MS = 5 * 60_000;
/** Longer overdue than the reconciliation, which runs each minute, ever leaves a mailbox. */
const NEGLECTED_MS = 3_600_000;
/** The wait if Google gives no time. */
const THROTTLE_MS = 60_000;
/** The bounds of Google's `Retry after`; clocks differ. */
const THROTTLE_MS_MIN = 1_000;
const THROTTLE_MS_MAX = 3_600_000;
const THROTTLE_DAILY_MS_MAX = 24 * 3_600_000;

/** The result of a complete listing. */
export interface Listing {
  hasNew: boolean;
  /** Nothing that the notification announced can be read. */
  isLagging: boolean;
  /** The highest record that is known to have been read. */
  newest: HistoryId;
  /** Until then the cursor waits for a notified record; then a last poll decides. */
  heldUntil: Date | undefined;
}

/** What a due time is calculated from. */
export interface DueContext {
  clock: Clock;
  random: Random;
  config: { sync: { reconcileAfterMs: number } };
}

/** Returns the due time after a complete listing; `undefined` leaves it unchanged. */
export function afterListing(
  run: { user: User; trigger: Trigger; context: DueContext },
  listing: Listing,
): Due | undefined {
  const due = NEXT_LOOK[resultOf(run, listing)](run.user, run.context);
  const { heldUntil } = listing;
  const next = due ?? run.user.sync;
  const isLook = next.dueReason === "lag" || next.dueReason === "quiet";
  const isSooner = next.dueAt !== undefined && heldUntil !== undefined && next.dueAt <= heldUntil;
  if (heldUntil === undefined || (next.dueAt !== undefined && !isLook) || isSooner) return due;
  return { dueAt: heldUntil, dueReason: "lag", retries: HOLD_RETRIES };
}

/** The result of a complete listing, as far as the next poll depends on it. */
type Result =
  /** Nothing that the notification announced can be read. */
  | "lagging"
  /** It found something, and the notification announced more. */
  | "announced_more"
  /** A poll for a lagging record found nothing again. */
  | "still_lagging"
  /** The work of an earlier run is complete; a notified record from before is still missing. */
  | "resumed_with_news"
  | "resumed_without_news"
  /** The mailbox was due for this, and it is done. */
  | "served"
  /** The mailbox is due for something else. */
  | "not_served";

const NEXT_LOOK: Record<Result, (user: User, context: DueContext) => Due | undefined> = {
  lagging: (_, { clock }) => lagDue(clock, 0),
  announced_more: (_, { clock }) => recheckDue(clock),
  still_lagging: ({ sync }, { clock }) => lagDue(clock, sync.retries + 1),
  resumed_with_news: (_, { clock }) => recheckDue(clock),
  resumed_without_news: (_, { clock }) => lagDue(clock, 0),
  served: ({ watch }, context) => quiet(context, watch),
  not_served: () => undefined,
};

function resultOf(
  { user, trigger, context }: { user: User; trigger: Trigger; context: DueContext },
  { hasNew, isLagging, newest, heldUntil }: Listing,
): Result {
  if (isLagging) return "lagging";
  if (trigger.kind === "notified" && hasNew && isAfter(trigger.historyId, newest)) {
    return "announced_more";
  }
  const { dueReason, retries } = user.sync;
  const isLook = trigger.kind === "due" && dueReason === "lag";
  if (isLook && !hasNew && retries < LAG_RETRIES_MAX) return "still_lagging";
  const isResumed = dueReason === "unfinished" || dueReason === "throttled";
  if (isResumed && heldUntil !== undefined) {
    return hasNew ? "resumed_with_news" : "resumed_without_news";
  }
  // A complete catch-up is what these were due for, for any trigger.
  const isServed = trigger.kind === "due" || isResumed || isNeglected(user, context.clock);
  return isServed ? "served" : "not_served";
}

/** Returns the next poll for a lagging record: each waits twice as long as the one before. */
function lagDue(clock: Clock, retries: number): Due {
  const dueAt = later(clock.now(), LAG_DUE_MS * 2 ** retries);
  return { dueAt, dueReason: "lag", retries };
}

/** Returns one poll, with no further one if it finds nothing. */
function recheckDue(clock: Clock): Due {
  return { dueAt: later(clock.now(), RECHECK_MS), dueReason: "lag", retries: LAG_RETRIES_MAX };
}

/**
 * Returns whether no due list contains the mailbox, as after an edit by hand: only a notification
 * can then correct it.
 */
export function isNeglected({ sync: { dueAt } }: User, clock: Clock): boolean {
  return dueAt === undefined || later(dueAt, NEGLECTED_MS) <= clock.now();
}

/** Returns a poll a minute later of a mailbox that nothing else would read so soon. */
export function recheck({ dueAt, dueReason }: Sync, clock: Clock): Due | undefined {
  const look = recheckDue(clock);
  const isFar = dueAt === undefined || (dueReason === "quiet" && dueAt > look.dueAt);
  return isFar ? look : undefined;
}

/** Due at once: the next reconciliation continues. */
export function atOnce(clock: Pick<Clock, "now">): Due {
  return { dueAt: clock.now(), dueReason: "unfinished", retries: 0 };
}

/**
 * Returns when to poll a mailbox without notifications; soon if Gmail no longer notifies. Spread,
 * so that a fleet connected in one hour is not due in one minute.
 */
function quiet({ clock, random, config }: DueContext, watch: Watch): Due {
  const now = clock.now();
  const quietMs = config.sync.reconcileAfterMs;
  const waitMs = isWatching(watch, now) ? quietMs : Math.min(quietMs, LAPSED_DUE_MS);
  return { dueAt: later(now, jittered(waitMs, random)), dueReason: "quiet", retries: 0 };
}

/**
 * Returns when to retry after a failure that is not the user's, with the consecutive failures.
 * `undefined` if the mailbox is already due early enough: many notifications during an outage write
 * once. The waits grow until a listing succeeds.
 */
export function afterFailure(
  sync: Sync,
  before: SyncFailure | undefined,
  failure: Failure,
  step: FailedStep,
  { clock, random }: Pick<DueContext, "clock" | "random">,
): (Due & { failure: SyncFailure }) | undefined {
  const now = clock.now();
  const row = noteFailure(before, failure, step, now);
  const common = { retries: row.count, failure: row };
  if (failure.kind === "rate_limited") {
    const wanted = (failure.retryAt ?? later(now, THROTTLE_MS)).getTime() - now.getTime();
    const max = failure.daily ? THROTTLE_DAILY_MS_MAX : THROTTLE_MS_MAX;
    const waitMs = Math.min(Math.max(wanted, THROTTLE_MS_MIN), max);
    return { dueAt: later(now, waitMs), dueReason: "throttled", ...common };
  }
  const dueAt = later(now, jittered(failureWaitMs(row), random));
  const isRepeated = sync.dueReason === "unfinished" && before !== undefined;
  if (isRepeated && sync.dueAt !== undefined && sync.dueAt > now && sync.dueAt <= dueAt) {
    return undefined;
  }
  return { dueAt, dueReason: "unfinished", ...common };
}

function failureWaitMs({ since, at, count }: SyncFailure): number {
  const lastedMs = at.getTime() - since.getTime();
  const max = Math.max(FAILURE_DUE_MS_MAX, Math.min(lastedMs * FAILING_SHARE, FAILING_DUE_MS_MAX));
  return backoffMs(count, FAILURE_DUE_MS, max);
}

/** Gmail promises seven days; the rest is for clocks that differ. */
const WATCH_MS_MAX = 8 * 24 * 3_600_000;

/**
 * Returns whether Gmail notifies of the mailbox at this time. An expiry further ahead than Gmail
 * ever promises is ignored.
 */
export function isWatching({ expiresAt }: Watch, now: Date): boolean {
  return expiresAt !== undefined && expiresAt > now && expiresAt <= later(now, WATCH_MS_MAX);
}
