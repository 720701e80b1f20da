import type { SyncOutcome } from "../../../functions/src/mailbox/report.ts";
import type { Failure } from "../../../functions/src/domain/failure.ts";
import { isAnnounced } from "../../../functions/src/grant/announcement.ts";
import { flagByHand } from "../../../functions/src/grant/flagging.ts";
import { pause } from "../../../functions/src/grant/pause.ts";
import { resume } from "../../../functions/src/mailbox/resume.ts";
import { runningSnapshot } from "../../../functions/src/domain/snapshot.ts";
import { snapshotRequested } from "../../../functions/src/domain/transitions.ts";
import { modify } from "../../../functions/src/store/modify.ts";
import { renew } from "../../../functions/src/mailbox/renewal.ts";
import { sync } from "../../../functions/src/mailbox/sync.ts";
import type { Context } from "../../../functions/src/context.ts";
import type { User } from "../../../functions/src/domain/user.ts";
import { inWords, shown } from "./user-view.ts";
import { type Forgetting, forget } from "../../../functions/src/grant/forget.ts";

/** The result of a command that acts on one mailbox. */
export interface ActionResult {
  /** Whether the action succeeded. */
  isDone: boolean;
  /** A stable code, for the log and for programs. */
  outcome: string;
  /** The outcome for people. */
  text: string;
}

/**
 * Attempts while functions take the work over; they do the same work, so one more attempt finds it
 * done.
 */
const SYNC_TRIES_MAX = 3;

/** Syncs the mailbox to the present with the functions' own code. */
export async function syncNow(asked: User, context: Context): Promise<ActionResult> {
  let outcome: SyncOutcome = { kind: "superseded", changes: 0 };
  for (let tries = 0; tries < SYNC_TRIES_MAX && outcome.kind === "superseded"; tries++) {
    const user = (await context.users.find(asked.id)) ?? asked;
    outcome = await sync(user, { kind: "requested" }, context);
  }
  const isDone = outcome.kind === "caught_up";
  const text = await describeSync(outcome, asked, context);
  return { isDone, outcome: outcome.kind, text };
}

async function describeSync(
  outcome: SyncOutcome,
  { id }: User,
  { users, clock }: Context,
): Promise<string> {
  switch (outcome.kind) {
    case "caught_up": {
      const user = await users.find(id);
      const proof = user === undefined ? "" : `: ${inWords(shown(user, clock.now()).completeness)}`;
      return `published ${outcome.changes} changes${proof}`;
    }
    case "unfinished":
      return `published ${outcome.changes} changes; there is more, and the mailbox is due at once`;
    case "lagging":
      return `published ${outcome.changes} changes; Gmail lags, and the mailbox is due again`;
    case "inactive":
      return `nothing is done for a user who is ${outcome.status}`;
    case "throttled":
      return `Google asked to be left alone until ${outcome.until.toISOString()}`;
    case "waiting":
      return `it fails again and again, and waits until ${outcome.until.toISOString()}`;
    case "flagged":
      return `the grant has ended: ${outcome.status} (${outcome.reason})`;
    case "superseded":
      return "other runs, or a new grant, were always ahead of this one";
    case "failed":
      return `${describeFailure(outcome.failure)}; the mailbox is due again`;
    case "stale":
    case "unknown_mailbox":
      return "there was nothing to sync";
  }
}

/** Renews the watch now. */
export async function renewNow(user: User, context: Context): Promise<ActionResult> {
  if (user.status !== "active") {
    const text = `nothing is done for a user who is ${user.status}`;
    return { isDone: false, outcome: "inactive", text };
  }
  const outcome = await renew(user, context);
  const { kind } = outcome;
  switch (kind) {
    case "renewed":
      return {
        isDone: true,
        outcome: kind,
        text: `Gmail notifies until ${outcome.expiresAt.toISOString()}`,
      };
    case "flagged":
      return { isDone: false, outcome: kind, text: `the grant has ended: ${outcome.reason}` };
    case "superseded":
      return { isDone: false, outcome: kind, text: "another run, or a new grant, was ahead" };
    case "failed": {
      const text = `${describeFailure(outcome.failure)}; the renewal is due again`;
      return { isDone: false, outcome: kind, text };
    }
  }
}

/** Pauses a mailbox until it is resumed. */
export async function pauseNow(
  user: User,
  reason: string,
  context: Context,
): Promise<ActionResult> {
  const outcome = await pause(user, reason, context);
  switch (outcome.kind) {
    case "paused":
    case "paused_before": {
      const stored = await context.users.find(user.id);
      const isStopped = stored?.watch.expiresAt === undefined;
      const isTold = stored !== undefined && isAnnounced(stored);
      const text = [
        outcome.kind === "paused" ? "paused" : `paused already (${stored?.statusReason})`,
        isStopped ? "the watch is stopped" : "the reconciliation will stop the watch",
        isTold ? "subscribers were told" : "subscribers will be told by the reconciliation",
      ].join("; ");
      return { isDone: true, outcome: outcome.kind, text };
    }
    case "inactive": {
      const text = `only an active mailbox can be paused, and this one is ${outcome.status}`;
      return { isDone: false, outcome: outcome.kind, text };
    }
    case "unreadable":
      return { isDone: false, outcome: outcome.kind, text: UNREADABLE };
  }
}

/** Resumes a paused mailbox, and publishes what happened in the meantime. */
export async function resumeNow(user: User, context: Context): Promise<ActionResult> {
  const resumed = await resume(user, context);
  switch (resumed.kind) {
    case "resumed": {
      const { outcome, isWatched } = resumed;
      const watched = isWatched ? "" : "; the watch follows";
      const text = `resumed: ${await describeSync(outcome, user, context)}${watched}`;
      const isDone = outcome.kind !== "flagged";
      return { isDone, outcome: isDone ? "resumed" : outcome.kind, text };
    }
    case "reauthorization_required":
      return {
        isDone: false,
        outcome: resumed.kind,
        text: "the grant has ended while the mailbox was paused: the person has to authorize again",
      };
    case "not_paused":
      return { isDone: false, outcome: resumed.kind, text: `it is not paused: ${resumed.status}` };
    case "unreadable":
      return { isDone: false, outcome: resumed.kind, text: UNREADABLE };
  }
}

/** Requests the mail since a date; the reconciliation publishes it. */
export async function snapshotNow(
  asked: User,
  since: Date,
  { users, clock }: Context,
): Promise<ActionResult> {
  const { kind, user } = await modify(
    users,
    asked.id,
    (stored) => {
      const isReady = stored.status === "active" && runningSnapshot(stored) === undefined;
      return isReady ? snapshotRequested(stored, since, clock.now()) : "skip";
    },
    { what: "a snapshot" },
  );
  if (user === undefined) return { isDone: false, outcome: "unreadable", text: UNREADABLE };
  const id = user.snapshot?.id;
  if (kind === "written") {
    const text = `snapshot ${id} has begun: the reconciliation publishes it`;
    return { isDone: true, outcome: "requested", text };
  }
  if (user.status !== "active") {
    const text = `nothing is done for a user who is ${user.status}`;
    return { isDone: false, outcome: "inactive", text };
  }
  return { isDone: false, outcome: "running", text: `snapshot ${id} is not complete yet` };
}

const UNREADABLE = "the document cannot be read (see the log): correct it, and run this again";

/** Flags a user until they authorize again, for a reason of the operator. */
export async function flagNow(user: User, reason: string, context: Context): Promise<ActionResult> {
  if (user.status === "reauthorization_required") {
    const text = `they have been asked to authorize again already (${user.statusReason})`;
    return { isDone: true, outcome: "flagged_before", text };
  }
  if (user.status === "disconnected") {
    return { isDone: false, outcome: "disconnected", text: "they are not connected any more" };
  }
  const outcome = await flagByHand(user, reason, context);
  if (outcome.kind !== "flagged") {
    const text = "their status or grant has just changed: look at it again";
    return { isDone: false, outcome: outcome.kind, text };
  }
  const stored = await context.users.find(user.id);
  const isTold = stored !== undefined && isAnnounced(stored);
  const told = isTold ? "subscribers were told" : "subscribers will be told by the reconciliation";
  return {
    isDone: true,
    outcome: outcome.kind,
    text: `${outcome.status} (${reason}); the tokens are removed; ${told}`,
  };
}

/** Erases everything that is stored about a person. */
export async function forgetNow(user: User, context: Context): Promise<ActionResult> {
  const outcome = await forget(user, context);
  const isDone = outcome.kind === "forgotten";
  return { isDone, outcome: outcome.kind, text: describeForgetting(outcome) };
}

function describeForgetting(outcome: Forgetting): string {
  switch (outcome.kind) {
    case "forgotten":
      return [
        `the user, the changes kept below it and the tokens are erased; ${GRANT[outcome.grant]}`,
        "This command cannot reach what follows, which stays for as long as you keep it:",
        "- what subscribers keep: they were told mailbox.disconnected, and erase it themselves",
        "- messages on CHANGES_TOPIC and its subscriptions: 7 days, as deployed",
        "- dead letters, which can hold the address: 7 days with deploy.sh, 31 with Terraform",
        "- log lines, with the user id and no address, and request logs, with the IP address: 30 days",
        "  in the bucket _Default, longer in sinks of your own",
        "- traces, with the user id: 30 days in Cloud Trace, or as long as your collector keeps them",
        "- the last 7 days of the database (point-in-time recovery), and backups and exports",
      ].join("\n");
    case "connected_again":
      return "they have connected again in the meantime: that connection is kept";
    case "not_revoked":
      return (
        "the grant could not be revoked yet, so the token is kept until it is, a day at most: " +
        "nothing is done for them any more; run this again to erase the rest"
      );
    case "not_announced":
      return (
        "CHANGES_TOPIC did not take mailbox.disconnected, which subscribers have to hear: " +
        "nothing is done for them any more; run this again to erase the rest"
      );
    case "contended":
      return "the document is written all the time; run this again";
    case "unreadable":
      return UNREADABLE;
  }
}

const GRANT = {
  revoked: "the watch is stopped and the grant revoked at Google",
  none_held: "no grant was held any more",
  not_revoked:
    "the grant could not be revoked: they can end it at https://myaccount.google.com/permissions",
  left:
    "the watch is stopped, and the grant is left at Google (DISCONNECT_REVOKES=false): they can end " +
    "it at https://myaccount.google.com/permissions",
} as const;

function describeFailure(failure: Failure): string {
  return `failed: ${failure.kind} (${failure.reason})`;
}
