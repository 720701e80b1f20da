import { ReceiverError } from "./log.ts";

/** The highest gRPC status code (`UNAUTHENTICATED`); 0 means success. */
const GRPC_CODE_MAX = 16;

/** Codes with which Firestore rejects a request that is too large: a retry cannot help. */
const REFUSED_FOR_GOOD = new Set<unknown>([
  3 /* INVALID_ARGUMENT */, 6 /* ALREADY_EXISTS */, 11 /* OUT_OF_RANGE */, 12 /* UNIMPLEMENTED */,
]);
const ABORTED = 10;

/**
 * Returns whether the same work may succeed later without a change of the code or the document,
 * because the store did not answer. Any other error would be thrown again.
 */
export function mayPass(error: unknown): boolean {
  return isStoreError(error) && !REFUSED_FOR_GOOD.has((error as { code?: unknown }).code);
}

/**
 * Thrown when other writers changed a document between each read and write. Firestore rejects with
 * the same code when it gives up a transaction for that reason.
 */
export class StoreContended extends ReceiverError {
  override name = "StoreContended";
  readonly code = ABORTED;

  /** `what` names what should have been written: "a watch". */
  constructor(what: string) {
    super(`${what} could not be written: other writers changed the document each time`);
  }
}

/**
 * Resolves to the result of the work, or to `undefined` when it rejects with {@link
 * StoreContended}.
 */
export async function unlessContended<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof StoreContended) return undefined;
    throw error;
  }
}

/**
 * Returns whether a rejected store call failed in Firestore or on the way to it: the client's error
 * has a gRPC status code as its own `code`. Failures of Gmail, the token endpoint and Pub/Sub have
 * classes of their own, and errors of our own code have no such code.
 */
export function isStoreError(error: unknown): boolean {
  // The `code` of a DOMException is also a small number, but it is on the prototype.
  if (!(error instanceof Error) || !Object.hasOwn(error, "code")) return false;
  const { code } = error as { code?: unknown };
  return Number.isInteger(code) && Number(code) > 0 && Number(code) <= GRPC_CODE_MAX;
}
