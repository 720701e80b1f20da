export { EVENT_TYPES } from "./events.ts";
export type * from "./events.ts";
export {
  type Envelope,
  type EventType,
  type MailboxEvent,
  type Parsed,
  type UnknownEvent,
  isKnown,
  parse,
} from "./parse.ts";
export {
  type PushOptions,
  type PushRequest,
  type Verification,
  verifyPush,
} from "./verify-push.ts";
export { type Claim, type OnceOptions, type OnceStore, type Outcome, once } from "./once.ts";
export { memoryStore } from "./memory-store.ts";
export {
  type EventDatabase,
  type FirestoreStoreOptions,
  firestoreStore,
} from "./firestore-store.ts";
