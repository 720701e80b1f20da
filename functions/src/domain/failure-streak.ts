import type { Call, Failure } from "./failure.ts";
import type { SyncFailure } from "./user.ts";
import type { GrantFailure } from "./access.ts";

/** What failed: a call to Google, the publication of changes, or our own code between them. */
export type FailedStep = Call | "publish" | "sync";

/** How long one mailbox may fail before its status says so. */
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Where no other mailbox shows whether Google works for anybody. */
const ALONE_MS = 3 * DAY_MS;
/** Throttling ends by itself, also a limit of the day. */
const THROTTLED_MS = 3 * DAY_MS;
/** Failures in a row that a verdict needs at least: a paused schedule adds none. */
const FAILURES_MIN = 3;
/** Failures in a row from which on only a due time calls Google again. */
const WAITING_FAILURES_MIN = 5;
const REASON_CHARACTERS_MAX = 100;

/** Refused for one user they concern that user's account; for several, they are ours. */
const PERSONAL_UNTIL_SEVERAL = new Set(["unauthorized_client", "org_internal"]);
/** No call was made, so nothing more is known than before. */
const SKIPPED = new Set(["circuit_open", "fleet_guard"]);

/** Whose failure it is, as long as only this mailbox has it. */
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

/** A short stable code for what failed. */
export function reasonOf(failure: Failure): string {
  return ("reason" in failure ? failure.reason : failure.kind).slice(0, REASON_CHARACTERS_MAX);
}

/**
 * The row of failures with one more. `since` stays while the failures are of one family; a failure
 * of ours starts over each time, so that no outage of ours counts against a mailbox.
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
  // A response that only asks to wait says nothing about a refusal that has lasted for hours.
  const isPassing = before?.family === "mailbox" && family === "throttled";
  if (before !== undefined && (isPassing || SKIPPED.has(reason))) {
    return { ...before, at: now, count };
  }
  const isSame = before?.family === family && family !== "ours";
  return { since: isSame ? before.since : now, at: now, family, reason, count, call: step };
}

/** What a failure ends, if anything. */
export type Ending =
  | { kind: "flag"; failure: GrantFailure }
  /** Only while other mailboxes succeed, or after `aloneAfter` where there are none. */
  | { kind: "judge"; failure: GrantFailure; isLongEnoughAlone: boolean };

/**
 * Whether a failure ends the background work for this user. The token endpoint's word ends a grant
 * at once. Everything else has to last: refused access tokens and account states for an hour, any
 * other refusal of one mailbox for a day. `row` is what is stored of the failures before this one.
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

/** Whether notifications wait for the due time, since this mailbox fails again and again. */
export function isWaiting(row: SyncFailure | undefined): boolean {
  return row !== undefined && row.count >= WAITING_FAILURES_MIN;
}
