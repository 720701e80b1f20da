import type { Attempt, Call, Failure } from "./failure.ts";
import type { Grant, Status } from "./user.ts";

/** What a call came to. The one that failed is the refresh of the token, or the call itself. */
export type Answer<T> =
  | Attempt<T>
  /** The grant this run was opened with is no longer the user's: whatever failed says nothing. */
  | { kind: "superseded" };

/** What a refresh adds to the stored grant; also the client that it proved to be the grant's. */
export type ObtainedToken = Pick<Grant, "accessToken" | "accessTokenExpiresAt" | "clientId">;

/** One run's way to call Gmail as one user. */
export interface Access {
  /**
   * Makes a call of `method` with a valid access token, behind the circuit. Repeats it a few times when the failure is
   * transient, once with a new token on a 401, and reports `reauthorize`, `unauthenticated` and
   * `mailbox_unavailable` only after the stored grant was found unchanged and Google refused a
   * second time, a moment later.
   */
  call<T>(method: Call, request: (accessToken: string) => Promise<T>): Promise<Answer<T>>;

  /** A valid access token, refreshed if necessary; repeats and confirms a failure as `call` does. */
  token(): Promise<Answer<string>>;

  /** What the next write should keep of the access token that this run obtained, if any. */
  obtained(): ObtainedToken | undefined;
}

/** A failure that is the user's own: nothing but the person, or their administrator, can mend it. */
export type GrantFailure = Extract<Failure, { kind: "reauthorize" | "mailbox_unavailable" }>;

export type Flagging =
  | { kind: "flagged"; status: Status; reason: string }
  /** What failed is past: another grant, another episode, or somebody else flagged it first. */
  | { kind: "superseded" }
  /** So many users failed at once that it is taken for our own mistake: nobody more is flagged. */
  | { kind: "guarded" };
