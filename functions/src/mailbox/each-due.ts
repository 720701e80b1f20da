import { type Clock, type Random, backoffMs, jittered, later } from "../domain/clock.ts";
import { type Log, describeUnknown } from "../platform/log.ts";
import type { Telemetry } from "../platform/telemetry/telemetry.ts";
import {
  type DueCursor,
  type DueDocument,
  type DueList,
  type DueRange,
  type User,
  type UserPatch,
  type UserStore,
  isOutdated,
  storeNow,
} from "../domain/user.ts";

interface DueContext {
  users: UserStore;
  config: { sync: { reconcileAfterMs: number } };
  clock: Clock;
  random: Random;
  log: Log;
  telemetry: Telemetry;
}

/** The bounds of one run over a due list. */
export interface Budget {
  concurrency: number;
  timeMsMax: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Users read at a time, so the memory of a run does not grow with the fleet. */
const BATCH = 100;
/** The first wait after a turn that threw; doubles up to the maximum. */
const RETRY_MS = 60_000;
const RETRY_MS_MAX = HOUR_MS;
/** How long a document that cannot be decoded stays off the list. */
const UNREADABLE_RETRY_MS = HOUR_MS;
/** If an instance is behind the store by more, it reads the list again by the store's clock. */
const BEHIND_MS_MAX = 10_000;
/** Longer than the life of a watch, and than the wait for any reminder or probe. */
const AHEAD_MS_MAX = 8 * DAY_MS;
/** A daily limit of Google pauses a mailbox for 24 hours. */
const SYNC_AHEAD_MS_MIN = 25 * HOUR_MS;

/**
 * Calls `act` for each user whose date in the list has come, the longest overdue first, until the
 * list ends, the time is up, or `act` returns `stop`. Resolves to true if users may be left. A
 * cursor moves through the list once, so users whose turn changes nothing delay only themselves, and
 * so do those whose turn takes long: the others do not wait for them.
 * Users who cannot be served move back: after a turn that threw by a growing wait, after a document
 * that cannot be decoded by an hour. Inactive users lose a date that only active ones have. A date
 * further ahead than any that the receiver writes comes from a wrong clock and counts as due now.
 * The store's clock decides what is due: a wrong clock of this instance costs a query, no more.
 */
export async function eachDue(
  list: DueList,
  budget: Budget,
  context: DueContext,
  act: (user: User) => Promise<"done" | "stop">,
): Promise<boolean> {
  const { users, clock, log, telemetry } = context;
  const aheadMs = aheadMax(list, context);
  const startedAt = clock.now();
  const deadline = later(startedAt, budget.timeMsMax);
  // Fixed, so that a user who becomes due during the run waits for the next one.
  let range: DueRange = { upTo: startedAt, beyond: later(startedAt, aheadMs) };
  let isBehind = false;
  let found = 0;
  let isAhead = false;
  let isStopped = false;

  async function take(user: User): Promise<void> {
    isStopped ||= clock.now() >= deadline;
    if (isStopped) return;
    try {
      const current = isOutdated(user, clock) ? await readAgain(user) : user;
      if (current === undefined) return;
      // Refused: the next run reads what the other writer stored.
      if (!mayBeDue(list, current)) await users.update(current, withoutDate(list, current));
      else isStopped = (await act(current)) === "stop" || isStopped;
    } catch (error) {
      log.error("due_user_failed", "the work for a due user failed; retrying later", {
        userId: user.id,
        list,
        error: describeUnknown(error),
      });
      await moveBack(list, user, context);
    }
  }

  /** Returns undefined for a user whom another run has served since the list was read. */
  async function readAgain(user: User): Promise<User | undefined> {
    const current = await users.find(user.id);
    if (current === undefined) return undefined;
    const dueAt = dueAtOf(list, current);
    if (dueAt === undefined || dueAt.getTime() === dueAtOf(list, user)?.getTime()) return current;
    return dueAt <= storeNow(current, clock) ? current : undefined;
  }

  async function takeUnreadable(document: DueDocument): Promise<void> {
    isStopped ||= clock.now() >= deadline;
    if (isStopped) return;
    const dueAt = later(clock.now(), UNREADABLE_RETRY_MS);
    // The store has logged the document. If this write fails, the next run tries again.
    await users.postpone(list, document, dueAt).catch(() => "refused");
  }

  function isDue(user: User): boolean {
    const dueAt = dueAtOf(list, user);
    const now = storeNow(user, clock);
    if (dueAt === undefined || dueAt <= now) return true;
    if (dueAt <= later(now, aheadMs)) {
      isAhead = true;
      return false;
    }
    log.warn(
      "due_date_absurd",
      "a due date is further ahead than any that we write; serving the user now",
      {
        userId: user.id,
        list,
        dueAt: dueAt.toISOString(),
      },
    );
    return true;
  }

  // Ends with the list, whose range is fixed, or with the time.
  async function* turns(): AsyncGenerator<() => Promise<void>> {
    for (let after: DueCursor | undefined; ;) {
      const page = await users.listDue(list, range, BATCH, after);
      if (!isBehind && page.readAt > later(clock.now(), BEHIND_MS_MAX)) {
        isBehind = true;
        range = { upTo: page.readAt, beyond: later(page.readAt, aheadMs) };
        continue;
      }
      const due = page.users.filter(isDue);
      if (after === undefined) {
        telemetry.record("gmail_receiver.overdue", overdue(list, due[0], clock), { list });
      }
      found += due.length;
      telemetry.record("gmail_receiver.due", found, { list });
      for (const document of page.unreadable) yield () => takeUnreadable(document);
      for (const user of due) yield () => take(user);
      // By the store's clock the rest of the list is not due yet.
      if (isStopped || page.next === undefined || isAhead) return;
      after = page.next;
    }
  }

  const waiting = turns();
  async function serve(): Promise<void> {
    for (let turn = await waiting.next(); !turn.done; turn = await waiting.next()) {
      await turn.value();
    }
  }
  // If the store does not answer, the turns that have begun still end before the run does.
  const served = await Promise.allSettled(Array.from({ length: budget.concurrency }, serve));
  for (const end of served) if (end.status === "rejected") throw end.reason;
  return isStopped;
}

/** Returns how far ahead a date of this list can be if a correct clock wrote it. */
function aheadMax(list: DueList, { config }: Pick<DueContext, "config">): number {
  return list === "sync.dueAt"
    ? Math.max(SYNC_AHEAD_MS_MIN, config.sync.reconcileAfterMs)
    : AHEAD_MS_MAX;
}

/** Returns how many seconds the first user, the longest overdue, has been due. */
function overdue(list: DueList, first: User | undefined, clock: Clock): number {
  const dueAt = first && dueAtOf(list, first);
  return dueAt === undefined ? 0 : Math.max(0, (clock.now().getTime() - dueAt.getTime()) / 1_000);
}

/** Only active users are renewed and synced. */
function mayBeDue(list: DueList, { status }: User): boolean {
  return list === "followUp.dueAt" || status === "active";
}

/**
 * Moves the date of a user whose turn threw, unless the turn, or another instance, has changed it.
 * One conditional write: if it fails or is refused, the date stays, and the next run serves the user.
 */
async function moveBack(
  list: DueList,
  failed: User,
  { users, clock, random }: DueContext,
): Promise<void> {
  try {
    const user = await users.find(failed.id);
    if (user === undefined) return;
    if (dueAtOf(list, user)?.getTime() !== dueAtOf(list, failed)?.getTime()) return;
    const waitMs = backoffMs(failuresOf(list, user), RETRY_MS, RETRY_MS_MAX);
    const dueAt = later(storeNow(user, clock), jittered(waitMs, random));
    await users.update(user, withDate(list, user, dueAt));
  } catch {
    // Most likely the same problem that made the turn fail: the next run tries again.
  }
}

function dueAtOf(list: DueList, { watch, sync, followUp }: User): Date | undefined {
  switch (list) {
    case "watch.renewAt":
      return watch.renewAt;
    case "sync.dueAt":
      return sync.dueAt;
    case "followUp.dueAt":
      return followUp.dueAt;
  }
}

function failuresOf(list: DueList, { watch, sync, followUp }: User): number {
  switch (list) {
    case "watch.renewAt":
      return watch.failures;
    case "sync.dueAt":
      return sync.retries;
    case "followUp.dueAt":
      return followUp.failures;
  }
}

function withDate(list: DueList, { watch, sync, followUp }: User, dueAt: Date): UserPatch {
  switch (list) {
    case "watch.renewAt":
      return { watch: { ...watch, renewAt: dueAt, failures: watch.failures + 1 } };
    case "sync.dueAt":
      // The work that it was due for has not been done.
      return {
        sync: { ...sync, dueAt, dueReason: "unfinished", retries: sync.retries + 1 },
      };
    case "followUp.dueAt":
      return { followUp: { ...followUp, dueAt, failures: followUp.failures + 1 } };
  }
}

function withoutDate(list: DueList, { watch, sync, followUp }: User): UserPatch {
  switch (list) {
    case "watch.renewAt": {
      const { renewAt: _, ...rest } = watch;
      return { watch: rest };
    }
    case "sync.dueAt": {
      const { dueAt: _, dueReason: __, ...rest } = sync;
      return { sync: rest };
    }
    case "followUp.dueAt": {
      const { dueAt: _, ...rest } = followUp;
      return { followUp: rest };
    }
  }
}
