import { type Clock, later } from "../clock.ts";
import type { Log } from "../log.ts";
import { FailedCall } from "./failed-call.ts";
import type { Call } from "./failure.ts";

/** Refusals of our own set-up in a row, by one method, after which it is left alone. */
const REFUSALS_MAX = 5;
/** How long it is left alone; then one call tries. */
const OPEN_MS = 60_000;

/** Calls of Google's methods that stop for a minute when our own set-up is refused again and again. */
export interface Circuit {
  call<T>(call: Call, request: () => Promise<T>): Promise<T>;
}

/**
 * One circuit for each method, within this instance. While it is open a call fails at once, as
 * `misconfigured`: what nobody but the operator can mend is not asked a thousand times a minute.
 */
export function createCircuit(clock: Clock, log: Log): Circuit {
  const methods = new Map<Call, { refusals: number; openUntil?: Date }>();

  return {
    async call(call, request) {
      const state = methods.get(call) ?? { refusals: 0 };
      methods.set(call, state);
      if (state.openUntil !== undefined && state.openUntil > clock.now()) {
        throw new FailedCall(call, { kind: "misconfigured", reason: "circuit_open" });
      }
      try {
        const answer = await request();
        methods.delete(call);
        return answer;
      } catch (error) {
        const isOurs = error instanceof FailedCall && error.failure.kind === "misconfigured";
        if (!isOurs) throw error;
        state.refusals += 1;
        if (state.refusals >= REFUSALS_MAX) {
          state.openUntil = later(clock.now(), OPEN_MS);
          log.alert("circuit_open", "our own set-up is refused; this call rests for a minute", {
            call,
            reason: "reason" in error.failure ? error.failure.reason : undefined,
          });
        }
        throw error;
      }
    },
  };
}
