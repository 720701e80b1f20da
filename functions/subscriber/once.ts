import { randomUUID } from "node:crypto";

/** One run that handles an event. */
export interface Claim {
  /** Names this run, and no other. */
  by: string;
  at: Date;
  /** Another run may handle the event from then on: this one has probably died. */
  until: Date;
}

/** Remembers which events are handled. */
export interface OnceStore {
  /**
   * Notes that a run begins to handle an event, in one atomic step: `claimed`, unless the event is
   * `handled`, or another run has a claim that has not ended (`busy`).
   */
  claim(id: string, claim: Claim): Promise<"claimed" | "handled" | "busy">;
  /** Notes that the event is handled. */
  finish(id: string, claim: Claim): Promise<void>;
  /** Removes the claim, if it is still the one of this run. */
  release(id: string, claim: Claim): Promise<void>;
}

/** How long a claim lasts, in milliseconds, and the clock. */
export interface OnceOptions {
  /** How long a run may take before another one handles its event. Longer than your slowest one. */
  claimMs?: number;
  now?: () => Date;
}

/**
 * `handled`: this run handled the event. `repeated`: it was handled before, acknowledge it. `busy`:
 * another run handles it now; do not acknowledge it, so that it comes back if that run fails.
 */
export type Outcome = "handled" | "repeated" | "busy";

const CLAIM_MS = 10 * 60_000;

/**
 * Makes a function that handles each event once: `await handleOnce(event, () => fileTicket(event))`.
 *
 * The event is noted as handled after `handle` has resolved. If the process dies between the two, or
 * the note cannot be written, the event is handled again once the claim has ended. So events are
 * handled at least once, and in all but that case exactly once. To close that gap, let `handle` write
 * under a key that is made of `event.id`: its second run then changes nothing.
 *
 * When `handle` rejects, the claim is removed and the error is thrown: do not acknowledge the event.
 */
export function once(
  store: OnceStore,
  { claimMs = CLAIM_MS, now = () => new Date() }: OnceOptions = {},
): (event: { id: string }, handle: () => Promise<void>) => Promise<Outcome> {
  return async ({ id }, handle) => {
    const at = now();
    const claim: Claim = { by: randomUUID(), at, until: new Date(at.getTime() + claimMs) };
    switch (await store.claim(id, claim)) {
      case "handled":
        return "repeated";
      case "busy":
        return "busy";
      case "claimed":
        break;
    }
    try {
      await handle();
    } catch (error) {
      // A claim that stays ends by itself: the error of the handler is the one that matters.
      await store.release(id, claim).catch(() => {});
      throw error;
    }
    await store.finish(id, { ...claim, at: now() });
    return "handled";
  };
}
