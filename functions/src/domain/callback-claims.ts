import { createHash } from "node:crypto";
import type { UserId } from "./user.ts";

/** Names one authorization response by its `state`, without revealing the `state`. */
export type CallbackId = string & { readonly __brand: "CallbackId" };

/** What an authorization response led to, as far as another request needs it. Holds no secret. */
export type CallbackOutcome =
  | { kind: "connected"; userId: UserId; generation: number; recoveredChanges?: number }
  /** Google has to be asked again, with consent. */
  | { kind: "consent_needed" }
  | { kind: "refused"; reason: string };

/**
 * Authorization responses that some instance has taken: Google may end the grant of a code that is
 * exchanged twice (RFC 6749 §4.1.2), and a double click can reach two instances.
 */
export interface CallbackClaims {
  /**
   * Takes a response for one request, which `claimant` names. False when another request has taken
   * it. The note may be deleted once `expireAt` has come.
   */
  claim(id: CallbackId, claimant: string, expireAt: Date): Promise<boolean>;
  /** Stores what became of a response that was taken. */
  settle(id: CallbackId, outcome: CallbackOutcome): Promise<void>;
  /** `undefined` until the outcome is stored. */
  find(id: CallbackId): Promise<CallbackOutcome | undefined>;
}

/** SHA-256 of the `state`: a reader of the database learns nothing that a callback would accept. */
export function callbackIdOf(state: string): CallbackId {
  return createHash("sha256").update(state).digest("hex") as CallbackId;
}
