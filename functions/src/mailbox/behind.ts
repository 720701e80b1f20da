import type { MailboxContext } from "./context.ts";
import pLimit from "p-limit";
import { later } from "../domain/clock.ts";
import { describeUnknown } from "../platform/log.ts";
import { type User, storeNow } from "../domain/user.ts";
import { tellDelay } from "./delay.ts";
import type { Budget } from "./each-due.ts";

/**
 * Delays that became due within this time are looked for first: they are published even if many are
 * older.
 */
const NEW_MS = 15 * 60_000;
/** Users read at a time; and in all by one run, of the new delays and of the older ones. */
const BATCH = 100;
const BATCHES_MAX = 20;

/**
 * Measures how long the oldest incomplete mailbox has been incomplete, by one query, and publishes
 * the delays that have become due: also of mailboxes that wait for hours, because Google asked for
 * it or their recoveries pause, and those that could not be published before. Starts no publication
 * after `timeMsMax`.
 */
export async function watchBehind(budget: Budget, context: MailboxContext): Promise<void> {
  const { users, telemetry, clock, config } = context;
  const [oldest] = await users.listBehind({ upTo: clock.now() }, 1);
  const now = oldest === undefined ? clock.now() : storeNow(oldest, clock);
  const ageMs = oldest?.sync.behindSince ? now.getTime() - oldest.sync.behindSince.getTime() : 0;
  telemetry.record("gmail_receiver.behind", Math.max(0, ageMs) / 1_000);
  if (ageMs < config.sync.delayedAfterMs) return;

  const upTo = later(now, -config.sync.delayedAfterMs);
  const newFrom = later(upTo, -NEW_MS);
  const { concurrency, timeMsMax } = budget;
  const deadline = later(clock.now(), timeMsMax);
  await tellAll({ from: newFrom, upTo, deadline, concurrency }, context);
  if (oldest?.sync.behindSince !== undefined && oldest.sync.behindSince < newFrom) {
    await tellAll({ from: oldest.sync.behindSince, upTo: newFrom, deadline, concurrency }, context);
  }
}

/** The oldest first. The next run of a mailbox publishes what is beyond the bound. */
async function tellAll(
  {
    upTo,
    deadline,
    concurrency,
    ...range
  }: { from: Date; upTo: Date; deadline: Date; concurrency: number },
  context: MailboxContext,
): Promise<void> {
  const { users, clock } = context;
  const limit = pLimit(concurrency);
  const tellInTime = async (user: User) => {
    if (clock.now() < deadline) await tell(user, context);
  };
  let { from } = range;
  for (let batches = 0; batches < BATCHES_MAX; batches++) {
    const behind = await users.listBehind({ from, upTo }, BATCH);
    await Promise.all(behind.map((user) => limit(() => tellInTime(user))));
    const last = behind.at(-1)?.sync.behindSince;
    if (last === undefined || behind.length < BATCH || last <= from) return;
    if (clock.now() >= deadline) return;
    from = last;
  }
}

async function tell(user: User, context: MailboxContext): Promise<void> {
  try {
    const told = await tellDelay(user, context);
    if (told === undefined) return;
    // Refused: another writer is working on this mailbox, and the next poll publishes the delay
    // again.
    await context.users.update(user, { sync: { ...user.sync, delayedAt: told.at } });
  } catch (error) {
    context.log.error("due_user_failed", "could not publish a delay; the next run retries", {
      userId: user.id,
      list: "sync.behindSince",
      error: describeUnknown(error),
    });
  }
}
