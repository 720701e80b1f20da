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
 * it or their recoveries pause, and those that could not be published before. A mailbox stays in the
 * list after its delay is published, so each run continues where the last one ended: otherwise a few
 * thousand would hide all later ones. Starts no publication after `timeMsMax`, and none of a new delay
 * after half of it.
 */
export async function watchBehind(budget: Budget, context: MailboxContext): Promise<void> {
  const { users, telemetry, clock, config, behindPlace } = context;
  const [oldest] = await users.listBehind({ upTo: clock.now() }, 1);
  const now = oldest === undefined ? clock.now() : storeNow(oldest, clock);
  const ageMs = oldest?.sync.behindSince ? now.getTime() - oldest.sync.behindSince.getTime() : 0;
  telemetry.record("gmail_receiver.behind", Math.max(0, ageMs) / 1_000);
  if (ageMs < config.sync.delayedAfterMs) return;

  const upTo = later(now, -config.sync.delayedAfterMs);
  const newFrom = later(upTo, -NEW_MS);
  const { concurrency, timeMsMax } = budget;
  const startedAt = clock.now();
  const deadline = later(startedAt, timeMsMax);
  const half = later(startedAt, timeMsMax / 2);
  await tellAll({ from: newFrom, upTo, deadline: half, concurrency }, context);
  if (oldest?.sync.behindSince !== undefined && oldest.sync.behindSince < newFrom) {
    const { from = oldest.sync.behindSince } = behindPlace;
    behindPlace.from = await tellAll({ from, upTo: newFrom, deadline, concurrency }, context);
  }
}

/**
 * The oldest first. Returns where to continue, if there are more than one run reads; the next run of
 * a mailbox publishes its delay, too.
 */
async function tellAll(
  {
    upTo,
    deadline,
    concurrency,
    ...range
  }: { from: Date; upTo: Date; deadline: Date; concurrency: number },
  context: MailboxContext,
): Promise<Date | undefined> {
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
    if (clock.now() >= deadline) return from;
    if (last === undefined || behind.length < BATCH) return undefined;
    // More of one instant than one page holds would be read for ever.
    from = last > from ? last : later(last, 1);
  }
  return from;
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
