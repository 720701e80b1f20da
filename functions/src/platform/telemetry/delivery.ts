import { type Clock, later } from "../../domain/clock.ts";
import type { Log } from "../log.ts";

/** What a call may wait for the collector before it answers. */
const WAIT_MS_MAX = 2_000;
/** One export with its repetitions: less, so that it is known what was wrong. */
export const EXPORT_MS_MAX = 1_500;
/** A collector that failed is left alone so long; doubles up to the maximum. */
const REST_MS = 30_000;
const REST_MS_MAX = 10 * 60_000;

/** How it goes with the collector: one that is down, or slow, is told of once and left alone. */
export interface Delivery {
  /** Nothing is to be sent now. */
  isResting(): boolean;
  exported(): void;
  /** `reason` is for the log: the class of an error, never its message. */
  failed(reason: string): void;
  /** Resolves when `send` does, however that ends, and after two seconds at the latest. */
  bounded(send: () => Promise<unknown>): Promise<void>;
}

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
    // What was under way together fails together.
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
      // An answer that comes too late, or one of two, does not make it well again.
      const isWell = exports > before.exports && failures === before.failures;
      if (!isWell || isResting()) return;
      restUntil = undefined;
      restMs = REST_MS;
    },
  };
}
