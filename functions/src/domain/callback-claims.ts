import { createHash } from "node:crypto";
import type { UserId } from "./user.ts";

/** Names one authorization response by its `state`, without revealing the `state`. */
export type CallbackId = string & { readonly __brand: "CallbackId" };

/**
 * The result of an authorization response, as far as another request needs it. Contains no secret.
 */
export type CallbackOutcome =
  | { kind: "connected"; userId: UserId; generation: number; recoveredChanges?: number }
  /** Google has to be called again, with consent. */
  | { kind: "consent_needed" }
  | { kind: "refused"; reason: string };

/**
 * The authorization responses that an instance has claimed. Google may end the grant of a code that
 * is exchanged twice (RFC 6749 §4.1.2), and a double click can reach two instances.
 */
export interface CallbackClaims {
  /**
   * Claims a response for one request, which `claimant` names. Returns false when another request
   * has claimed it. The claim may be deleted after `expireAt`.
   */
  claim(id: CallbackId, claimant: string, expireAt: Date): Promise<boolean>;
  /** Stores the result of a claimed response. */
  settle(id: CallbackId, outcome: CallbackOutcome): Promise<void>;
  /** Returns `undefined` until the outcome is stored. */
  find(id: CallbackId): Promise<CallbackOutcome | undefined>;
}

/**
 * Returns the SHA-256 of the `state`: a reader of the database learns nothing that a callback would
 * accept.
 */
export function callbackIdOf(state: string): CallbackId {
  return createHash("sha256").update(state).digest("hex") as CallbackId;
}
