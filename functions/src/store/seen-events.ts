import type { SeenEvents } from "../domain/seen-events.ts";
import type { Firestore } from "@google-cloud/firestore";

/**
 * Returns the handled security events in Firestore: `securityEvents/{id}`, each with the `expireAt`
 * by which the database's TTL policy removes it (`infra/firestore.indexes.json`).
 */
export function firestoreSeenEvents(db: Firestore): SeenEvents {
  const seen = db.collection("securityEvents");
  return {
    has: async (id) => (await seen.doc(id).get()).exists,
    add: async (id, expireAt) => void (await seen.doc(id).set({ expireAt })),
  };
}
