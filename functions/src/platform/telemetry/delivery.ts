import { type Clock, later } from "../../domain/clock.ts";
import type { Log } from "../log.ts";

/** The maximum time that a call waits for the collector before it answers. */
const WAIT_MS_MAX = 2_000;
/** The limit of one export with its retries: shorter, so that the reason of a failure is known. */
export const EXPORT_MS_MAX = 1_500;
/** The pause after a failed export; doubles up to the maximum. */
const REST_MS = 30_000;
const REST_MS_MAX = 10 * 60_000;

/**
 * The health of the collector: a failing or slow one is logged once, then left alone for a while.
 */
export interface Delivery {
  /** Returns whether exports are paused. */
  isResting(): boolean;
  exported(): void;
  /** Records a failed export. `reason` is for the log: the class of an error, never its message. */
  failed(reason: string): void;
  /** Resolves when `send` settles, and after two seconds at the latest. */
  bounded(send: () => Promise<unknown>): Promise<void>;
}

/** Returns the health of one collector, healthy at first. */
export function createDelivery(clock: Clock, log: Log): Delivery {
  let exports = 0;
  let failures = 0;
  let restMs = REST_MS;
  let restUntil: Date | undefined;

  function isResting(): boolean {
    return restUntil !== undefined && restUntil > clock.now();
  }

  function failed(reason: string): void {
    failures += 1;
    // Exports that ran at the same time fail together.
    if (isResting()) return;
    if (restUntil === undefined) {
      log.warn(
        "telemetry_export_failed",
        "the telemetry collector fails; traces and metrics are lost",
        {
          reason,
        },
      );
    }
    restUntil = later(clock.now(), restMs);
    restMs = Math.min(restMs * 2, REST_MS_MAX);
  }

  return {
    isResting,
    failed,
    exported() {
      exports += 1;
    },
    async bounded(send) {
      const before = { exports, failures };
      const sent = send().then(
        () => false,
        () => false,
      );
      const isLate = await Promise.race([sent, clock.sleep(WAIT_MS_MAX).then(() => true)]);
      if (isLate) failed("timeout");
      // A late response, or one of two, does not make the collector healthy again.
      const isWell = exports > before.exports && failures === before.failures;
      if (!isWell || isResting()) return;
      restUntil = undefined;
      restMs = REST_MS;
    },
  };
}
