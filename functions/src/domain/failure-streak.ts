import type { Call, Failure } from "./failure.ts";
import type { SyncFailure } from "./user.ts";
import type { GrantFailure } from "./access.ts";

/** What failed: a call to Google, the publication of changes, or our own code between them. */
export type FailedStep = Call | "publish" | "sync";

/** How long one mailbox may fail before its status changes. */
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** For a mailbox without others that show whether Google works. */
const ALONE_MS = 3 * DAY_MS;
/** Throttling ends by itself, even at a daily limit. */
const THROTTLED_MS = 3 * DAY_MS;
/** The minimum of consecutive failures for a verdict: a paused schedule adds none. */
const FAILURES_MIN = 3;
/** The number of consecutive failures after which only a due time calls Google. */
const WAITING_FAILURES_MIN = 5;
const REASON_CHARACTERS_MAX = 100;

/** For one user, they concern that user's account; for several users, our configuration. */
const PERSONAL_UNTIL_SEVERAL = new Set(["unauthorized_client", "org_internal"]);
/** No call was made, so the failure says nothing new. */
const SKIPPED = new Set(["circuit_open", "fleet_guard"]);

/** Returns whose failure it is, as long as only this mailbox has it. */
export function familyOf(failure: Failure, step: FailedStep): SyncFailure["family"] {
  if (step === "publish" || step === "sync") return "ours";
  switch (failure.kind) {
    case "misconfigured":
      return PERSONAL_UNTIL_SEVERAL.has(failure.reason) ? "mailbox" : "ours";
    case "bad_request":
      return step === "token.refresh" ? "ours" : "mailbox";
    case "rate_limited":
      return "throttled";
    case "unauthenticated":
      return "credentials";
    case "mailbox_unavailable":
      return "account";
    case "reauthorize":
    case "refused":
    case "transient":
    case "history_expired":
    case "gone":
    case "conflict":
      return "mailbox";
  }
}

/** Returns a short stable code for the failure. */
export function reasonOf(failure: Failure): string {
  return failure.reason.slice(0, REASON_CHARACTERS_MAX);
}

/**
 * Returns the consecutive failures with one more. `since` stays while the failures are of one
 * family; each failure of our own starts over, so no outage of ours counts against a mailbox.
 */
export function noteFailure(
  before: SyncFailure | undefined,
  failure: Failure,
  step: FailedStep,
  now: Date,
): SyncFailure {
  const reason = reasonOf(failure);
  const count = (before?.count ?? 0) + 1;
  const family = familyOf(failure, step);
  // A response that only asks to wait says nothing about a rejection that has lasted for hours.
  const isPassing = before?.family === "mailbox" && family === "throttled";
  if (before !== undefined && (isPassing || SKIPPED.has(reason))) {
    return { ...before, at: now, count };
  }
  const isSame = before?.family === family && family !== "ours";
  return { since: isSame ? before.since : now, at: now, family, reason, count, call: step };
}

/** The consequence of a failure, if any. */
export type Ending =
  | { kind: "flag"; failure: GrantFailure }
  /** Only if other mailboxes succeed, or after `aloneAfter` if there are none. */
  | { kind: "judge"; failure: GrantFailure; isLongEnoughAlone: boolean };

/**
 * Returns whether a failure ends the background work for this user. The token endpoint can end a
 * grant at once. Everything else has to last: rejected access tokens and account states for an
 * hour, any other rejection of one mailbox for a day. `row` is the stored state of the failures
 * before this one.
 */
export function endingOf(
  row: SyncFailure | undefined,
  failure: Failure,
  step: FailedStep,
  now: Date,
): Ending | undefined {
  if (failure.kind === "reauthorize") return { kind: "flag", failure };
  const family = familyOf(failure, step);
  const lasts = (ms: number) =>
    row?.family === family &&
    row.count >= FAILURES_MIN &&
    now.getTime() - row.since.getTime() >= ms;

  switch (family) {
    case "account": {
      if (failure.kind !== "mailbox_unavailable") return undefined;
      const isProven = step === "token.refresh" || failure.reason !== "account_disabled";
      return isProven || lasts(HOUR_MS) ? { kind: "flag", failure } : undefined;
    }
    case "credentials":
      if (!lasts(HOUR_MS)) return undefined;
      return {
        kind: "judge",
        failure: { kind: "reauthorize", reason: "invalid_credentials" },
        isLongEnoughAlone: true,
      };
    case "mailbox":
    case "throttled": {
      if (!lasts(family === "mailbox" ? DAY_MS : THROTTLED_MS)) return undefined;
      return {
        kind: "judge",
        failure: { kind: "mailbox_unavailable", reason: reasonOf(failure) },
        isLongEnoughAlone: lasts(ALONE_MS),
      };
    }
    case "ours":
      return undefined;
  }
}

/**
 * Returns whether notifications wait for the due time, because this mailbox fails again and again.
 */
export function isWaiting(row: SyncFailure | undefined): boolean {
  return row !== undefined && row.count >= WAITING_FAILURES_MIN;
}
