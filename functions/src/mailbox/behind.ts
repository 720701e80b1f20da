import pLimit from "p-limit";
import { later } from "../clock.ts";
import { describeUnknown } from "../log.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { User, UserStore } from "../user.ts";
import { type DelayServices, tellDelay } from "./delay.ts";
import type { Budget } from "./each-due.ts";
import type { SyncLimits } from "./sync-run.ts";

export interface BehindServices extends Omit<DelayServices, "limits"> {
  limits: SyncLimits;
  users: UserStore;
  reconciliation: Budget;
  telemetry: Telemetry;
}

/**
 * How long after a delay became due the reconciliation still looks for it. What it could not tell
 * by then is told by the mailbox's own next run, so that delays of days are not read every minute.
 */
const TELL_WINDOW_MS = 15 * 60_000;
/** Users read at a time, and in all by one run. */
const BATCH = 100;
const BATCHES_MAX = 20;

/**
 * Measures how long the oldest incomplete mailbox has been so, by one query, and tells the delays
 * that have become due: also of mailboxes that wait for hours, because Google asked for it.
 */
export async function watchBehind(services: BehindServices): Promise<void> {
  const { users, telemetry, clock, limits, reconciliation } = services;
  const now = clock.now();
  const [oldest] = await users.listBehind({ upTo: now }, 1);
  const ageMs = oldest?.sync.behindSince ? now.getTime() - oldest.sync.behindSince.getTime() : 0;
  telemetry.record("gmail_receiver.behind", Math.max(0, ageMs) / 1_000);
  if (ageMs < limits.delayedAfterMs) return;

  const upTo = later(now, -limits.delayedAfterMs);
  let from = later(upTo, -TELL_WINDOW_MS);
  const limit = pLimit(reconciliation.concurrency);
  for (let batches = 0; batches < BATCHES_MAX; batches++) {
    const behind = await users.listBehind({ from, upTo }, BATCH);
    await Promise.all(behind.map((user) => limit(() => tell(user, services))));
    const last = behind.at(-1)?.sync.behindSince;
    if (last === undefined || behind.length < BATCH || last <= from) return;
    from = last;
  }
}

async function tell(user: User, services: BehindServices): Promise<void> {
  try {
    const told = await tellDelay(user, services);
    if (told === undefined) return;
    // Refused: another writer is at work on this mailbox, and the next look tells it once more.
    await services.users.update(user, { sync: { ...user.sync, delayedAt: told.at } });
  } catch (error) {
    services.log.error("due_user_failed", "a delay could not be told; the next run tries again", {
      userId: user.id,
      list: "sync.behindSince",
      error: describeUnknown(error),
    });
  }
}
