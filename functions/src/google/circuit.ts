import { FailedCall, type Call } from "../domain/failure.ts";
import { type Clock, later } from "../domain/clock.ts";
import type { Log } from "../platform/log.ts";
import type { UserId } from "../domain/user.ts";

/** Distinct users refused for a reason of our own configuration, with no success in between. */
const REFUSED_USERS_MIN = 3;
/** Within this time. Mailboxes that Google refuses for ever, hours apart, say nothing of the others. */
const REFUSED_WITHIN_MS = 10 * 60_000;
/** Refused users remembered per method while it is open: enough to prefer another for the probe. */
const REFUSED_USERS_MAX = 100;
/** How long an open method rests before a probe. */
const OPEN_MS = 60_000;

/**
 * Calls of Google's methods in the background. While our own configuration is refused for several
 * users, a method rests: calls to it fail at once as `misconfigured` (`circuit_open`).
 */
export interface Circuit {
  call<T>(call: Call, userId: UserId, request: () => Promise<T>): Promise<T>;
}

interface MethodState {
  /** When each was last refused, the latest last. */
  refused: Map<UserId, Date>;
  openUntil?: Date;
  /** The call that is finding out whether the method works again. */
  probe?: Promise<void>;
}

/**
 * One circuit per method, within this instance. It counts distinct users: one mailbox that Google
 * refuses for ever opens nothing for the others. Any answer that is not about our configuration
 * closes it.
 */
export function createCircuit(clock: Clock, log: Log): Circuit {
  const methods = new Map<Call, MethodState>();

  return {
    async call(call, userId, request) {
      let state = stateOf(call);
      if (state.probe !== undefined) {
        // One call probes an open method; the others wait for its answer.
        await state.probe;
        state = stateOf(call);
      }
      const { openUntil } = state;
      if (openUntil === undefined) return counted(call, userId, request);
      const isProbing = state.probe !== undefined;
      if (isProbing || !isProbe(state, openUntil, userId, clock.now())) throw openCircuit(call);
      state.openUntil = later(clock.now(), OPEN_MS);
      const answer = counted(call, userId, request);
      state.probe = answer.then(ignore, ignore).then(() => void delete state.probe);
      return answer;
    },
  };

  function stateOf(call: Call): MethodState {
    const state = methods.get(call) ?? { refused: new Map<UserId, Date>() };
    methods.set(call, state);
    return state;
  }

  async function counted<T>(call: Call, userId: UserId, request: () => Promise<T>): Promise<T> {
    try {
      const answer = await request();
      methods.delete(call);
      return answer;
    } catch (error) {
      const verdict = verdictOf(error);
      if (verdict === "closes") methods.delete(call);
      if (verdict === "refused") refused(call, userId, reasonOf(error));
      throw error;
    }
  }

  function refused(call: Call, userId: UserId, reason: string | undefined): void {
    const state = stateOf(call);
    const now = clock.now();
    state.refused.delete(userId);
    state.refused.set(userId, now);
    const [oldest] = state.refused.keys();
    if (state.refused.size > REFUSED_USERS_MAX && oldest !== undefined) {
      state.refused.delete(oldest);
    }
    const since = later(now, -REFUSED_WITHIN_MS);
    const recent = [...state.refused.values()].filter((at) => at >= since).length;
    if (state.openUntil === undefined && recent < REFUSED_USERS_MIN) return;
    state.openUntil = later(now, OPEN_MS);
    log.alert(
      "circuit_open",
      "Google rejected our configuration for several users; pausing this call for a minute",
      {
        call,
        reason,
      },
    );
  }
}

/**
 * Whether this call may find out if an open method works again. For the first minute after the
 * rest that is a user who has not been refused, so that a few bad mailboxes cannot keep the method
 * closed to the rest.
 */
function isProbe({ refused }: MethodState, openUntil: Date, userId: UserId, now: Date): boolean {
  return now >= (refused.has(userId) ? later(openUntil, OPEN_MS) : openUntil);
}

function ignore(): void {}

function openCircuit(call: Call): FailedCall {
  return new FailedCall(call, { kind: "misconfigured", reason: "circuit_open" });
}

/** What a failed call says about our configuration. */
function verdictOf(error: unknown): "refused" | "closes" | "nothing" {
  if (!(error instanceof FailedCall)) return "nothing";
  switch (error.failure.kind) {
    case "misconfigured":
    case "refused":
      return "refused";
    case "reauthorize":
    case "unauthenticated":
    case "mailbox_unavailable":
    case "history_expired":
    case "gone":
    case "conflict":
    case "bad_request":
      return "closes";
    case "rate_limited":
    case "transient":
      return "nothing";
  }
}

function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof FailedCall)) return undefined;
  return "reason" in error.failure ? error.failure.reason : undefined;
}
