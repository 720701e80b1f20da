import type { Failure } from "../domain/failure.ts";
import type { Log, LogFields } from "../platform/log.ts";
import { familyOf } from "../domain/failure-streak.ts";
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

/** Logs one line for each sync, with a higher severity if an operator has to act. */
export function reportSync(log: Log, outcome: SyncOutcome, fields: LogFields): void {
  const own = { ...fields, outcome: outcome.kind };
  switch (outcome.kind) {
    case "caught_up":
    case "lagging":
    case "unfinished":
    case "superseded":
      return log.info("mailbox_synced", "synced a mailbox", {
        ...own,
        changes: outcome.changes,
      });
    case "stale":
      return log.debug("mailbox_synced", "a notification contained nothing new", own);
    case "unknown_mailbox":
      return log.debug(
        "mailbox_synced",
        "a notification is for a mailbox that is not connected",
        own,
      );
    case "inactive":
      return log.debug("mailbox_synced", "did not sync: the user is not active", {
        ...own,
        status: outcome.status,
      });
    case "throttled":
      return log.info("mailbox_synced", "a mailbox waits until Google accepts calls again", {
        ...own,
        until: outcome.until.toISOString(),
      });
    case "waiting":
      return log.debug("mailbox_synced", "a failing mailbox waits for its next retry", {
        ...own,
        until: outcome.until.toISOString(),
      });
    case "flagged":
      return log.info("mailbox_synced", "did not sync: the grant has ended", {
        ...own,
        reason: outcome.reason,
      });
    case "failed":
      return reportFailure(log, outcome.failure, { ...own, changes: outcome.changes });
    default:
      outcome satisfies never;
  }
}

/** These have raised their alert where they were found. */
const ALERTED = new Set(["circuit_open", "fleet_guard", "grant_of_another_client"]);

/** Logs a classified failure: an alert if only the operator can fix it. */
export function reportFailure(log: Log, failure: Failure, fields: LogFields): void {
  const { reason } = failure;
  const own = { ...fields, failure: failure.kind, reason };
  switch (failure.kind) {
    case "misconfigured":
      if (ALERTED.has(reason)) {
        return log.warn(
          "call_suppressed",
          "suppressed a call until our configuration is fixed; the mailbox waits",
          own,
        );
      }
      if (familyOf(failure, "token.refresh") === "mailbox") {
        return log.warn(
          "call_failed",
          "Google rejected our OAuth client for one user; retrying later",
          own,
        );
      }
      return log.alert(
        "misconfigured",
        "Google rejected our OAuth client, project or topic; no user is flagged",
        own,
      );
    case "bad_request":
      return log.error("bad_request", "Google rejected a request as invalid; retrying later", own);
    case "rate_limited":
      return log.warn("rate_limited", "Google asked us to slow down; retrying later", own);
    default:
      return log.warn("call_failed", "a call to Google failed; retrying later", own);
  }
}
