import type { Failure } from "../google/failure.ts";
import type { Log, LogFields } from "../log.ts";
import { familyOf } from "../mailbox/failures.ts";
import type { SyncOutcome } from "../mailbox/sync-run.ts";

/** One line for each sync, whoever asked for it; louder where somebody has to look at it. */
export function reportSync(log: Log, outcome: SyncOutcome, fields: LogFields): void {
  const own = { ...fields, outcome: outcome.kind };
  switch (outcome.kind) {
    case "caught_up":
    case "lagging":
    case "unfinished":
    case "superseded":
      return log.info("mailbox_synced", "a mailbox was synced", {
        ...own,
        changes: outcome.changes,
      });
    case "stale":
      return log.debug("mailbox_synced", "a notification told nothing new", own);
    case "unknown_mailbox":
      return log.debug("mailbox_synced", "a notification names nobody who is connected", own);
    case "inactive":
      return log.debug("mailbox_synced", "nothing is done for this user", {
        ...own,
        status: outcome.status,
      });
    case "throttled":
      return log.info("mailbox_synced", "a mailbox waits until Google takes calls again", {
        ...own,
        until: outcome.until.toISOString(),
      });
    case "waiting":
      return log.debug("mailbox_synced", "a mailbox that fails waits for its due time", {
        ...own,
        until: outcome.until.toISOString(),
      });
    case "flagged":
      return log.info("mailbox_synced", "a grant has ended", { ...own, reason: outcome.reason });
    case "failed":
      return reportFailure(log, outcome.failure, { ...own, changes: outcome.changes });
    default:
      outcome satisfies never;
  }
}

/** Each of these has had its alert where it was found. */
const ALERTED = new Set(["circuit_open", "fleet_guard", "grant_of_another_client"]);

/** A classified failure: an alert when only the operator can mend it. */
export function reportFailure(log: Log, failure: Failure, fields: LogFields): void {
  const reason = "reason" in failure ? failure.reason : failure.kind;
  const own = { ...fields, failure: failure.kind, reason };
  switch (failure.kind) {
    case "misconfigured":
      if (ALERTED.has(reason)) {
        return log.warn("call_suppressed", "a mailbox waits until our set-up is mended", own);
      }
      if (familyOf(failure, "token.refresh") === "mailbox") {
        return log.warn("call_failed", "Google refuses our client for one user", own);
      }
      return log.alert("misconfigured", "our own set-up is refused; no user is flagged", own);
    case "bad_request":
      return log.error("bad_request", "Google refused a request of ours as wrong", own);
    case "rate_limited":
      return log.warn("rate_limited", "Google asked to be left alone for a while", own);
    default:
      return log.warn("call_failed", "a call failed and is tried again later", own);
  }
}
