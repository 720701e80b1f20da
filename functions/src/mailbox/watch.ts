import { FailedCall } from "../domain/failure.ts";
import { type Clock, type Random, later } from "../domain/clock.ts";
import type { WatchAnswer } from "../google/gmail.ts";
import type { Watch } from "../domain/user.ts";
import type { ChangeFilter } from "../domain/history.ts";

export interface WatchServices {
  /** `users.watch` on the configured topic, of these labels or of all. Throws `FailedCall`. */
  watch(accessToken: string, labelIds: readonly string[]): Promise<WatchAnswer>;
  /** `users.stop`. Throws `FailedCall`. */
  stop(accessToken: string): Promise<void>;
  clock: Clock;
  random: Random;
  renewAfterMs: number;
  changeFilter: ChangeFilter;
}

/** Renewals are spread over this part of the interval before its end. */
const RENEWAL_SPREAD = 0.2;

/**
 * Makes the watch, or makes it again. A watched label that the mailbox does not have must not leave
 * it without a watch: then all of it is watched, and what is published is filtered as always.
 */
export async function watchAgain(
  accessToken: string,
  services: WatchServices,
): Promise<WatchAnswer> {
  const { labelIds } = services.changeFilter;
  try {
    return await watchLabels(accessToken, labelIds, services);
  } catch (error) {
    const isRefused = error instanceof FailedCall && error.failure.kind === "bad_request";
    if (!isRefused || labelIds.length === 0) throw error;
    return watchLabels(accessToken, [], services);
  }
}

/**
 * When a watch with another topic is in the way (Gmail allows one client for each mailbox and
 * project), that one is stopped once.
 */
async function watchLabels(
  accessToken: string,
  labelIds: readonly string[],
  { watch, stop }: WatchServices,
): Promise<WatchAnswer> {
  try {
    return await watch(accessToken, labelIds);
  } catch (error) {
    if (!(error instanceof FailedCall) || error.failure.kind !== "conflict") throw error;
    await stop(accessToken);
    return watch(accessToken, labelIds);
  }
}

/** A fresh watch, and when to renew it: once a day, spread, and never after it expires. */
export function afterWatch(
  { expiresAt }: WatchAnswer,
  { clock, random, renewAfterMs }: Pick<WatchServices, "clock" | "random" | "renewAfterMs">,
): Watch {
  const now = clock.now();
  const afterMs = renewAfterMs * (1 - RENEWAL_SPREAD * random());
  const untilExpiryMs = Math.max(0, expiresAt.getTime() - now.getTime());
  const renewAt = later(now, Math.min(afterMs, untilExpiryMs / 2));
  return { expiresAt, renewAt, failures: 0 };
}
