import type { OnceStore } from "./once.ts";

/** What is used of a document of `@google-cloud/firestore` or `firebase-admin`. */
interface EventDocument {
  create(data: Record<string, unknown>): Promise<unknown>;
  get(): Promise<EventSnapshot>;
  set(data: Record<string, unknown>): Promise<unknown>;
  update(data: Record<string, unknown>, precondition: object): Promise<unknown>;
  delete(precondition: object): Promise<unknown>;
}

interface EventSnapshot {
  exists: boolean;
  updateTime?: unknown;
  get(field: string): unknown;
}

/** A `Firestore` of `@google-cloud/firestore` or `firebase-admin`. */
export interface EventDatabase {
  collection(path: string): { doc(id: string): EventDocument };
}

/** Where and for how long handled events are remembered. */
export interface FirestoreStoreOptions {
  /** The collection, one document for each event. */
  collection?: string;
  /** How long a handled event is remembered. */
  keepMs?: number;
}

/** Events can be repeated for as long as the topic keeps them: 7 days, as the receiver sets it up. */
const KEEP_MS = 30 * 24 * 3_600_000;
const ALREADY_EXISTS = 6;
const FAILED_PRECONDITION = 9;
const NOT_FOUND = 5;

/**
 * Remembers events in Firestore, for any number of instances: two writes for an event, and one read
 * for a repetition. Documents have `expireAt`: give the collection a TTL policy on that field, and
 * Firestore deletes what is old.
 */
export function firestoreStore(
  database: EventDatabase,
  { collection = "handledEvents", keepMs = KEEP_MS }: FirestoreStoreOptions = {},
): OnceStore {
  // A document id holds no slash, and an event id does.
  const documentOf = (id: string) => database.collection(collection).doc(encodeURIComponent(id));
  const expireAt = (at: Date) => new Date(at.getTime() + keepMs);

  return {
    async claim(id, { by, at, until }) {
      const document = documentOf(id);
      const data = { by, until, isHandled: false, expireAt: expireAt(at) };
      if (await isWritten(document.create(data), ALREADY_EXISTS)) return "claimed";
      const snapshot = await document.get();
      // It was released just now: the next delivery finds it free.
      if (!snapshot.exists) return "busy";
      if (snapshot.get("isHandled") === true) return "handled";
      if (millisOf(snapshot.get("until")) > at.getTime()) return "busy";
      const precondition = { lastUpdateTime: snapshot.updateTime };
      const taken = document.update(data, precondition);
      return (await isWritten(taken, FAILED_PRECONDITION, NOT_FOUND)) ? "claimed" : "busy";
    },
    async finish(id, { by, at, until }) {
      await documentOf(id).set({ by, until, isHandled: true, expireAt: expireAt(at) });
    },
    async release(id, { by }) {
      const document = documentOf(id);
      const snapshot = await document.get();
      if (!snapshot.exists || snapshot.get("by") !== by || snapshot.get("isHandled") === true) {
        return;
      }
      const deleted = document.delete({ lastUpdateTime: snapshot.updateTime });
      await isWritten(deleted, FAILED_PRECONDITION, NOT_FOUND);
    },
  };
}

/** False when Firestore refuses the write with one of these gRPC codes. */
async function isWritten(write: Promise<unknown>, ...refusals: number[]): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (typeof code === "number" && refusals.includes(code)) return false;
    throw error;
  }
}

/** Of a Firestore `Timestamp`. */
function millisOf(value: unknown): number {
  return (value as { toMillis(): number }).toMillis();
}
