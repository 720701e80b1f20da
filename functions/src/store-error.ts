/** The highest gRPC status code (`UNAUTHENTICATED`); 0 means success. */
const GRPC_CODE_MAX = 16;

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
