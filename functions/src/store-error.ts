import { ReceiverError } from "./log.ts";

/** The highest gRPC status code (`UNAUTHENTICATED`); 0 means success. */
const GRPC_CODE_MAX = 16;

/** Codes with which Firestore refuses what was asked, as too large for one: asking again cannot help. */
const REFUSED_FOR_GOOD = new Set<unknown>([
  3 /* INVALID_ARGUMENT */, 6 /* ALREADY_EXISTS */, 11 /* OUT_OF_RANGE */, 12 /* UNIMPLEMENTED */,
]);
const ABORTED = 10;

/**
 * Whether the same work may succeed later without anybody changing the code or the document: the
 * store did not answer. Everything else that is thrown would be thrown again.
 */
export function mayPass(error: unknown): boolean {
  return isStoreError(error) && !REFUSED_FOR_GOOD.has((error as { code?: unknown }).code);
}

/** For a document that somebody else writes each time before us, as Firestore itself puts it. */
export function contention(message: string): ReceiverError {
  return Object.assign(new ReceiverError(message), { code: ABORTED });
}

/**
 * Whether a rejected store call failed in Firestore or on the way to it. The client rejects with an
 * error whose own `code` is a gRPC status code. Failures of Gmail, of the token endpoint and of
 * Pub/Sub have classes of their own, so no other error that reaches a handler looks like this one:
 * a fault in our own code never does.
 */
export function isStoreError(error: unknown): boolean {
  // The `code` of a DOMException is also a small number, but stands on the prototype.
  if (!(error instanceof Error) || !Object.hasOwn(error, "code")) return false;
  const { code } = error as { code?: unknown };
  return Number.isInteger(code) && Number(code) > 0 && Number(code) <= GRPC_CODE_MAX;
}
