import { type Result, err, ok } from "./result.ts";

/**
 * The meaning of a failed call to Google. The original error, which may carry tokens and codes,
 * goes no further. `reason` is a short stable code, Google's own if there is one: never prose,
 * never a value.
 */
export type Failure =
  /** The person has to authorize again: nothing else helps. */
  | { kind: "reauthorize"; reason: string }
  /** Gmail rejected the access token. This says nothing about the grant: a new token decides. */
  | { kind: "unauthenticated"; reason: string }
  /** The grant is valid, but Google does not open this mailbox. */
  | { kind: "mailbox_unavailable"; reason: string }
  /** The project, client or topic is wrong, for every user alike. */
  | { kind: "misconfigured"; reason: string }
  /** Gmail rejects this mailbox without a reason. Only other mailboxes show whose fault it is. */
  | { kind: "refused"; reason: string }
  /** `retryAt` is Google's time, however far off; `daily` is true for a daily limit. */
  | { kind: "rate_limited"; reason: string; retryAt?: Date; daily: boolean }
  /** A retry may succeed, or the response says nothing else. */
  | { kind: "transient"; reason: string }
  /** `users.history.list`: Gmail no longer keeps the history after the cursor. */
  | { kind: "history_expired"; reason: string }
  /** The requested object no longer exists. */
  | { kind: "gone"; reason: string }
  /** `users.watch`: another watch of this mailbox uses another topic. */
  | { kind: "conflict"; reason: string }
  /** The request is invalid: a bug of the receiver. */
  | { kind: "bad_request"; reason: string };

/** The failed request: the same response means different things for different calls. */
export type Call =
  | "token.refresh"
  | "token.code"
  | "token.revoke"
  | "users.watch"
  | "users.stop"
  | "users.getProfile"
  | "history.list"
  | "messages.list"
  | "messages.get"
  /** Any method that `gmailApi` passes on for a subscriber. */
  | "gmail.api"
  | "jwks"
  | "risc.configuration";

/**
 * A classified failure of a call to Google. Contains nothing of the library's error, which may
 * carry tokens and codes.
 */
export class FailedCall extends Error {
  override name = "FailedCall";
  /** The call that failed: the refresh of the token, or the call itself. */
  readonly call: Call;
  readonly failure: Failure;

  constructor(call: Call, failure: Failure) {
    super(`${call} failed: ${failure.reason}`);
    this.call = call;
    this.failure = failure;
  }
}

/** Makes a call and returns a {@link FailedCall} as a value. Rethrows everything else. */
export async function attempt<T>(request: () => Promise<T>): Promise<Result<T, FailedCall>> {
  try {
    return ok(await request());
  } catch (error) {
    if (!(error instanceof FailedCall)) throw error;
    return err(error);
  }
}
