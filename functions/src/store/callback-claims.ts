import type { Firestore } from "@google-cloud/firestore";
import * as z from "zod";
import type { After } from "../domain/clock.ts";
import type { CallbackClaims } from "../domain/callback-claims.ts";
import { ReceiverError } from "../platform/log.ts";
import { parseUserId } from "../domain/user.ts";

/** The gRPC status of a create whose document exists already. */
const ALREADY_EXISTS = 6;
const DEADLINE_EXCEEDED = 4;
/** The client retries a write for ten minutes, but a person's request ends after two. */
const CLAIM_MS_MAX = 30_000;

const OUTCOME = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("connected"),
    userId: z.string(),
    generation: z.int().positive(),
    recoveredChanges: z.int().nonnegative().exactOptional(),
  }),
  z.object({ kind: z.literal("consent_needed") }),
  z.object({ kind: z.literal("refused"), reason: z.string() }),
]);

/**
 * Returns the claims of authorization responses in Firestore: `callbacks/{id}`, each with the
 * `expireAt` by which the database's TTL policy removes it (`infra/firestore.indexes.json`).
 */
export function firestoreCallbackClaims(db: Firestore, after: After): CallbackClaims {
  const callbacks = db.collection("callbacks");

  /** Rejects like a store that does not answer, even if it still may. */
  function inTime<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = after(CLAIM_MS_MAX, () => {
        const error = new ReceiverError("the store did not take an authorization response in time");
        reject(Object.assign(error, { code: DEADLINE_EXCEEDED }));
      });
      void work.then(resolve, reject).finally(stop);
    });
  }

  return {
    async claim(id, claimant, expireAt) {
      try {
        await inTime(callbacks.doc(id).create({ claimant, expireAt }));
        return true;
      } catch (error) {
        if ((error as { code?: unknown }).code !== ALREADY_EXISTS) throw error;
        // The client retries a create whose response was lost: then the document is this claim's.
        return (await callbacks.doc(id).get()).get("claimant") === claimant;
      }
    },

    settle: async (id, outcome) => void (await callbacks.doc(id).update({ outcome })),

    async find(id) {
      const { data } = OUTCOME.safeParse((await callbacks.doc(id).get()).get("outcome"));
      if (data?.kind !== "connected") return data;
      const userId = parseUserId(data.userId);
      return userId === undefined ? undefined : { ...data, userId };
    },
  };
}
