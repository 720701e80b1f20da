import type { MailboxContext } from "./context.ts";
import { FailedCall } from "../domain/failure.ts";
import { later } from "../domain/clock.ts";
import type { WatchAnswer } from "../google/gmail.ts";
import { GMAIL_UNITS } from "../google/quota.ts";
import type { Watch } from "../domain/user.ts";

/** Renewals are spread over this part of the interval before its end. */
const RENEWAL_SPREAD = 0.2;

/**
 * Returns a function that resolves when the next watch may be created: one after the other, at an
 * even pace that uses at most this share of the quota.
 */
export function pacedWatches(
  quotaShare: number,
  { clock, config }: Pick<MailboxContext, "clock" | "config">,
): () => Promise<void> {
  const intervalMs =
    (60_000 * GMAIL_UNITS["users.watch"]) / (config.gmail.unitsPerMinute * quotaShare);
  let nextAt = clock.now();
  return async () => {
    const now = clock.now();
    const turn = nextAt > now ? nextAt : now;
    nextAt = later(turn, intervalMs);
    if (turn > now) await clock.sleep(turn.getTime() - now.getTime());
  };
}

/**
 * Creates or renews the watch. A watched label that the mailbox does not have must not leave it
 * without a watch: then the whole mailbox is watched, and changes are filtered as always.
 */
export async function watchAgain(
  accessToken: string,
  context: MailboxContext,
): Promise<WatchAnswer> {
  const labelIds = context.config.gmail.watchLabelIds;
  try {
    return await watchLabels(accessToken, labelIds, context);
  } catch (error) {
    const isRefused = error instanceof FailedCall && error.failure.kind === "bad_request";
    if (!isRefused || labelIds.length === 0) throw error;
    return watchLabels(accessToken, [], context);
  }
}

/**
 * If a watch with another topic exists (Gmail allows one client for each mailbox and project), that
 * one is stopped once.
 */
async function watchLabels(
  accessToken: string,
  labelIds: readonly string[],
  { gmail, config }: MailboxContext,
): Promise<WatchAnswer> {
  try {
    return await gmail.watch(accessToken, config.gmail.topic, labelIds);
  } catch (error) {
    if (!(error instanceof FailedCall) || error.failure.kind !== "conflict") throw error;
    await gmail.stop(accessToken);
    return gmail.watch(accessToken, config.gmail.topic, labelIds);
  }
}

/** Returns a new watch, and when to renew it: once a day, spread, and never after it expires. */
export function afterWatch(
  { expiresAt }: WatchAnswer,
  { clock, random, config }: Pick<MailboxContext, "clock" | "random" | "config">,
): Watch {
  const now = clock.now();
  const afterMs = config.renewal.afterMs * (1 - RENEWAL_SPREAD * random());
  const untilExpiryMs = Math.max(0, expiresAt.getTime() - now.getTime());
  const renewAt = later(now, Math.min(afterMs, untilExpiryMs / 2));
  return { expiresAt, renewAt, failures: 0 };
}
