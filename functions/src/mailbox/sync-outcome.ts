import type { Failure } from "../domain/failure.ts";
import type { Status } from "../domain/user.ts";

/** Every result of a sync. */
export type SyncOutcome =
  | { kind: "caught_up"; changes: number }
  /** Gmail announced something that is not readable yet; the mailbox is due again. */
  | { kind: "lagging"; changes: number }
  /** Out of pages or time; the mailbox is due at once. */
  | { kind: "unfinished"; changes: number }
  /** The notification announces nothing that has not been read. */
  | { kind: "stale" }
  | { kind: "inactive"; status: Status }
  /** The notification names no connected mailbox. */
  | { kind: "unknown_mailbox" }
  /** Google asked for a pause until then; the mailbox is due at that time. */
  | { kind: "throttled"; until: Date }
  /** The mailbox fails again and again: only its due time calls Google again. */
  | { kind: "waiting"; until: Date }
  | { kind: "flagged"; status: Status; reason: string }
  /** Another run, or a newer grant, is ahead of this one. */
  | { kind: "superseded"; changes: number }
  /** Not the user's fault; the mailbox is due again. */
  | { kind: "failed"; failure: Failure; changes: number };
