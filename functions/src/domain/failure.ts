/**
 * What a failed call to Google means to us. Whatever shape it had stops here, and so does what
 * that carried: tokens and codes in clear.
 *
 * `reason` is a short stable code, Google's own where there is one: never prose, never a value.
 */
export type Failure =
  /** The person has to allow us again: nothing else helps. */
  | { kind: "reauthorize"; reason: string }
  /** Gmail refused the access token. Says nothing about the grant: a new token decides. */
  | { kind: "unauthenticated" }
  /** The grant is sound, but Google gives nobody this mailbox. */
  | { kind: "mailbox_unavailable"; reason: string }
  /** Our project, client or topic is wrong, for every user alike. */
  | { kind: "misconfigured"; reason: string }
  /** Gmail refuses this mailbox without saying why. Only other mailboxes tell whose fault it is. */
  | { kind: "refused"; reason: string }
  /** `retryAt` is what Google said, however far off; `daily` when the limit is one of the day. */
  | { kind: "rate_limited"; reason: string; retryAt?: Date; daily: boolean }
  /** It may work in a moment, or nothing could be read that says otherwise. */
  | { kind: "transient"; reason: string }
  /** `users.history.list`: Gmail no longer keeps the history after the cursor. */
  | { kind: "history_expired" }
  /** What was asked for, or was to be ended, no longer exists. */
  | { kind: "gone" }
  /** `users.watch`: another watch of this mailbox, with another topic, is in the way. */
  | { kind: "conflict" }
  /** We asked for something that cannot be: our bug. */
  | { kind: "bad_request"; reason: string };

/** The request that failed: the same answer means another thing to another call. */
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
