import type { Firestore } from "@google-cloud/firestore";
import type { SeenEvents } from "./security/reception.ts";

/**
 * Security events that have been dealt with, in Firestore: `securityEvents/{id}`, each with the
 * `expireAt` by which the database's TTL policy removes it (`infra/firestore.indexes.json`).
 */
export function firestoreSeenEvents(db: Firestore): SeenEvents {
  const seen = db.collection("securityEvents");
  return {
    has: async (id) => (await seen.doc(id).get()).exists,
    add: async (id, expireAt) => void (await seen.doc(id).set({ expireAt })),
  };
}
