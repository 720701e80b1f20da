import type { Call, Failure } from "./failure.ts";

/**
 * A call to Google that failed, classified. It carries nothing of the error that the Google
 * libraries threw, since that holds tokens and codes in clear.
 */
export class FailedCall extends Error {
  override name = "FailedCall";
  readonly call: Call;
  readonly failure: Failure;

  constructor(call: Call, failure: Failure) {
    super(`${call} failed: ${"reason" in failure ? failure.reason : failure.kind}`);
    this.call = call;
    this.failure = failure;
  }
}

/** What a call to Google came to. `call` is the one that failed. */
export type Attempt<T> =
  | { kind: "answered"; value: T }
  | { kind: "failed"; failure: Failure; call: Call };

/** Makes a call; a {@link FailedCall} becomes a value. Everything else that is thrown stays thrown. */
export async function attempt<T>(request: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { kind: "answered", value: await request() };
  } catch (error) {
    if (!(error instanceof FailedCall)) throw error;
    return { kind: "failed", failure: error.failure, call: error.call };
  }
}
