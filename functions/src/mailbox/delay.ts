import type { MailboxContext } from "./context.ts";
import { type Sync, type User, isOutdated, storeNow } from "../domain/user.ts";
import { PublishFailure } from "../domain/events.ts";
import { delayEvent, isBehind, isDelayDue, isDelayTold } from "../domain/completeness.ts";

/** A delay that was published, and is to be recorded. */
export interface ToldDelay {
  since: Date;
  at: Date;
}

/**
 * Publishes and alerts once that a mailbox is late. It publishes before the delay is recorded: a
 * crash in between repeats the event under the same id. `undefined` when nothing is due, or the
 * topic does not accept it: the next poll of the mailbox tries again.
 */
export async function tellDelay(
  read: User,
  { users, publish, config, clock, log }: MailboxContext,
): Promise<ToldDelay | undefined> {
  if (!isDelayDue(read, config.sync.delayedAfterMs, storeNow(read, clock))) return undefined;
  // Another run may have ended the delay since, and nothing would end it once more.
  const user = isOutdated(read, clock) ? await users.find(read.id) : read;
  if (user?.status !== "active") return undefined;
  const now = storeNow(user, clock);
  const { behindSince } = user.sync;
  if (behindSince === undefined || !isDelayDue(user, config.sync.delayedAfterMs, now))
    return undefined;
  const event = delayEvent("delayed", user, behindSince, now);
  try {
    await publish(user, [event]);
  } catch (error) {
    if (!(error instanceof PublishFailure)) throw error;
    return undefined;
  }
  log.alert(
    "mailbox_delayed",
    "a mailbox has been incomplete for too long; published mailbox.delayed",
    {
      userId: user.id,
      since: behindSince.toISOString(),
      reason: event.reason,
      lagSeconds: event.lagSeconds,
    },
  );
  return { since: behindSince, at: now };
}

/**
 * The result of publishing that a mailbox is complete again; `since` if a published delay has
 * ended.
 */
export type ToldCaughtUp =
  /** The listing leaves the mailbox incomplete: its delay continues. */
  | { kind: "behind" }
  | { kind: "told"; since?: Date }
  | { kind: "failed"; failure: { kind: PublishFailure["kind"]; reason: string } };

/**
 * Publishes that a delay is over, before the write that clears it: a crash in between repeats the
 * event under the same id. `next` is the due time after the listing.
 */
export async function tellCaughtUp(
  { user, context }: { user: User; context: MailboxContext },
  next: Pick<Sync, "dueReason" | "retries">,
): Promise<ToldCaughtUp> {
  const { config, clock } = context;
  const { failure: _, ...sync } = user.sync;
  if (isBehind(user.sync, { ...sync, ...next })) return { kind: "behind" };
  const now = storeNow(user, clock);
  const { behindSince } = user.sync;
  if (behindSince === undefined || !isDelayTold(user, config.sync.delayedAfterMs, now)) {
    return { kind: "told" };
  }
  try {
    await context.publish(user, [delayEvent("caught_up", user, behindSince, now)]);
  } catch (error) {
    if (!(error instanceof PublishFailure)) throw error;
    return { kind: "failed", failure: { kind: error.kind, reason: error.reason } };
  }
  return { kind: "told", since: behindSince };
}

/** Returns whether a write would clear another delay than the one whose end was published. */
export function isUntold(
  user: User,
  told: ToldCaughtUp,
  { config, clock }: Pick<MailboxContext, "config" | "clock">,
): boolean {
  if (told.kind !== "told") return false;
  const isTold = isDelayTold(user, config.sync.delayedAfterMs, storeNow(user, clock));
  return isTold && user.sync.behindSince?.getTime() !== told.since?.getTime();
}
