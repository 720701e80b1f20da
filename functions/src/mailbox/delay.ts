import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Sync, User } from "../user.ts";
import { type Publish, PublishFailure } from "./event.ts";
import { delayEvent, isBehind, isDelayDue } from "./incomplete.ts";

export interface DelayServices {
  publish: Publish;
  limits: { delayedAfterMs: number };
  clock: Clock;
  log: Log;
}

/** A delay that was published, and is to be noted. */
export interface ToldDelay {
  since: Date;
  at: Date;
}

/**
 * Tells subscribers and the operator, once, that a mailbox is late. Published before it is noted: a
 * crash in between repeats the event under the same id. `undefined` when nothing is due, or the
 * topic does not take it: the next look at the mailbox tries again.
 */
export async function tellDelay(
  user: User,
  { publish, limits, clock, log }: DelayServices,
): Promise<ToldDelay | undefined> {
  const now = clock.now();
  const { behindSince } = user.sync;
  if (behindSince === undefined || !isDelayDue(user, limits.delayedAfterMs, now)) return undefined;
  const event = delayEvent("delayed", user, behindSince, now);
  try {
    await publish(user, [event]);
  } catch (error) {
    if (!(error instanceof PublishFailure)) throw error;
    return undefined;
  }
  log.alert("mailbox_delayed", "a mailbox is late; subscribers were told", {
    userId: user.id,
    since: behindSince.toISOString(),
    reason: event.reason,
    lagSeconds: event.lagSeconds,
  });
  return { since: behindSince, at: now };
}

/** What came of telling that a mailbox is complete again; `since` when a told delay has ended. */
export type ToldCaughtUp =
  | { kind: "told"; since?: Date }
  | { kind: "failed"; failure: { kind: PublishFailure["kind"]; reason: string } };

/**
 * Tells subscribers that a delay they were told is over, before the write that clears it: a crash
 * in between repeats the event under the same id. `next` is what the listing makes of the due time.
 */
export async function tellCaughtUp(
  { user, services }: { user: User; services: Pick<DelayServices, "publish" | "clock"> },
  next: Pick<Sync, "dueReason" | "retries">,
): Promise<ToldCaughtUp> {
  const { behindSince, delayedAt } = user.sync;
  const { failure: _, ...sync } = user.sync;
  if (behindSince === undefined || delayedAt === undefined) return { kind: "told" };
  if (isBehind(user.sync, { ...sync, ...next })) return { kind: "told" };
  try {
    await services.publish(user, [
      delayEvent("caught_up", user, behindSince, services.clock.now()),
    ]);
  } catch (error) {
    if (!(error instanceof PublishFailure)) throw error;
    return { kind: "failed", failure: { kind: error.kind, reason: error.reason } };
  }
  return { kind: "told", since: behindSince };
}

/** Whether the stored delay is another than the one that was told to be over. */
export function isUntold({ sync }: User, told: ToldCaughtUp): boolean {
  const since = told.kind === "told" ? told.since?.getTime() : undefined;
  return sync.delayedAt !== undefined && sync.behindSince?.getTime() !== since;
}
