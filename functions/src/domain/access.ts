import type { Call, FailedCall, Failure } from "./failure.ts";
import type { Result } from "./result.ts";
import type { Grant, Status } from "./user.ts";

/**
 * Why a call has no value: it failed, or the refresh of its token did; or the user no longer has the
 * grant of this run, so the failure means nothing.
 */
export type Unanswered = FailedCall | "superseded";

/** Returns whether a call failed with a failure of this kind. */
export function hasFailed<K extends Failure["kind"]>(
  why: Unanswered,
  kind: K,
): why is FailedCall & { failure: Extract<Failure, { kind: K }> } {
  return why !== "superseded" && why.failure.kind === kind;
}

/** What a refresh adds to the stored grant, including the client that the grant belongs to. */
export type ObtainedToken = Pick<Grant, "accessToken" | "accessTokenExpiresAt" | "clientId">;

/** One run's way to call Gmail as one user. */
export interface Access {
  /**
   * Makes a call of `method` with a valid access token, behind the circuit. Repeats it a few times when the failure is
   * transient, once with a new token on a 401, and reports `reauthorize`, `unauthenticated` and
   * `mailbox_unavailable` only after the stored grant was found unchanged and Google refused a
   * second time, a moment later.
   */
  call<T>(
    method: Call,
    request: (accessToken: string) => Promise<T>,
  ): Promise<Result<T, Unanswered>>;

  /**
   * Returns a valid access token, refreshed if necessary; repeats and confirms a failure as `call`
   * does.
   */
  token(): Promise<Result<string, Unanswered>>;

  /**
   * Returns what the next write should store of the access token that this run obtained, if any.
   */
  obtained(): ObtainedToken | undefined;
}

/**
 * A failure of the user's own grant or mailbox: only the person, or an administrator, can fix it.
 */
export type GrantFailure = Extract<Failure, { kind: "reauthorize" | "mailbox_unavailable" }>;

/** The result of flagging a user. */
export type Flagging =
  | { kind: "flagged"; status: Status; reason: string }
  /**
   * The failure is outdated: of another grant or an earlier outage, or the user is flagged already.
   */
  | { kind: "superseded" }
  /** Another run has stored a newer refresh token: the failure says nothing about that one. */
  | { kind: "outdated" }
  /**
   * So many users failed at once that it is probably our own mistake: no more users are flagged.
   */
  | { kind: "guarded" };
