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
