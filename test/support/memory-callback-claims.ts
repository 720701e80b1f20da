import type {
  CallbackClaims,
  CallbackOutcome,
} from "../../functions/src/domain/callback-claims.ts";

/** Taken authorization responses in memory. */
export interface MemoryCallbackClaims extends CallbackClaims {
  /** Everything stored, by id. */
  dump(): Record<string, { claimant: string; expireAt: Date; outcome?: CallbackOutcome }>;
}

export function memoryCallbackClaims(): MemoryCallbackClaims {
  const claims = new Map<string, ReturnType<MemoryCallbackClaims["dump"]>[string]>();
  return {
    claim(id, claimant, expireAt) {
      const taken = claims.get(id);
      if (taken === undefined) claims.set(id, { claimant, expireAt });
      return Promise.resolve(taken === undefined || taken.claimant === claimant);
    },
    settle(id, outcome) {
      const taken = claims.get(id);
      if (taken === undefined) return Promise.reject(new Error("it was never taken"));
      claims.set(id, { ...taken, outcome });
      return Promise.resolve();
    },
    find: (id) => Promise.resolve(structuredClone(claims.get(id)?.outcome)),
    dump: () => Object.fromEntries(structuredClone(claims)),
  };
}
