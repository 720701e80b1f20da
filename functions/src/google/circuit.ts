import { FailedCall, type Call } from "../domain/failure.ts";
import { type Clock, later } from "../domain/clock.ts";
import type { Log } from "../platform/log.ts";
import type { UserId } from "../domain/user.ts";

/** Distinct users that are rejected because of our configuration, with no success in between. */
const REFUSED_USERS_MIN = 3;
/**
 * The time span of these rejections. Mailboxes that Google always rejects, hours apart, say nothing
 * about others.
 */
const REFUSED_WITHIN_MS = 10 * 60_000;
/**
 * Rejected users that are remembered per method while it is open: enough to prefer another as the
 * probe.
 */
const REFUSED_USERS_MAX = 100;
/** How long an open method pauses before a probe. */
const OPEN_MS = 60_000;

/**
 * Calls of Google's methods. While Google rejects our configuration for several users, calls to a
 * method fail at once as `misconfigured` (`circuit_open`).
 */
export interface Circuit {
  call<T>(call: Call, userId: UserId, request: () => Promise<T>): Promise<T>;
}

interface MethodState {
  /** When each user was last rejected, the latest last. */
  refused: Map<UserId, Date>;
  openUntil?: Date;
  /** The call that tests whether the method works again. */
  probe?: Promise<void>;
}

/**
 * Returns one circuit per method, within this instance. It counts distinct users: a mailbox that
 * Google always rejects opens nothing for the others. Any response that does not reject our
 * configuration closes it.
 */
export function createCircuit(clock: Clock, log: Log): Circuit {
  const methods = new Map<Call, MethodState>();

  return {
    async call(call, userId, request) {
      let state = stateOf(call);
      if (state.probe !== undefined) {
        // One call probes an open method; the others wait for its result.
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
 * Returns whether this call may test an open method. For the first minute after the pause, that is
 * a user who was not rejected, so that a few bad mailboxes cannot keep the method closed.
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
  return error.failure.reason;
}
