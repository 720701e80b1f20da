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

/**
 * Other writers changed a document between each reading and writing of it. Firestore rejects with
 * the same code when it gives up a transaction for that reason.
 */
export class StoreContended extends ReceiverError {
  override name = "StoreContended";
  readonly code = ABORTED;

  /** `what` names what was to be written: "a watch". */
  constructor(what: string) {
    super(`${what} could not be written: other writers changed the document each time`);
  }
}

/** What the work resolves to, or `undefined` when it rejects with {@link StoreContended}. */
export async function unlessContended<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof StoreContended) return undefined;
    throw error;
  }
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
