import { announce } from "../grant/announcement.ts";
import { unpaused } from "../domain/transitions.ts";
import { type Status, type User, notificationAddress, sameGrant } from "../domain/user.ts";
import { modify } from "../store/modify.ts";
import type { MailboxContext } from "./context.ts";
import { renew } from "./renewal.ts";
import { sync } from "./sync.ts";
import type { SyncOutcome } from "./report.ts";

/** The result of resuming a mailbox. */
export type Resuming =
  | { kind: "resumed"; outcome: SyncOutcome; isWatched: boolean }
  /** The grant has ended while the mailbox was paused: the person has to authorize again. */
  | { kind: "reauthorization_required" }
  | { kind: "not_paused"; status: Status }
  /** The document is gone, or cannot be read. */
  | { kind: "unreadable" };

/**
 * Resumes a paused mailbox: publishes what was missed, from the kept cursor or by a recovery, then
 * the status with the number of these changes, and creates the watch. Everything is due, so the
 * reconciliation finishes what is left. A grant that has ended is found by the first call.
 */
export async function resume(paused: User, context: MailboxContext): Promise<Resuming> {
  const { users, clock, log } = context;
  const { kind, user: resumed } = await modify(
    users,
    paused.id,
    (user) => (user.status === "paused" ? unpaused(user, clock) : "skip"),
    { what: "the end of a pause" },
  );
  if (resumed === undefined) return { kind: "unreadable" };
  if (kind === "skipped") return { kind: "not_paused", status: resumed.status };
  log.info("user_resumed", "an operator resumed a paused mailbox", { userId: paused.id });
  const user = (await users.find(paused.id)) ?? resumed;
  if (resumed.status !== "active") {
    await announce(user, context);
    return { kind: "reauthorization_required" };
  }
  const outcome = await context.mailboxes.run(notificationAddress(user), async () =>
    sync((await users.find(user.id)) ?? user, { kind: "requested" }, context),
  );
  const current = await users.find(user.id);
  if (sameGrant(resumed, current)) {
    await announce(current, context, "changes" in outcome ? outcome.changes : 0);
  }
  // Last: it finds what happened since that sync, and needs no second one if nothing did.
  const renewed = current === undefined ? undefined : await renew(current, context);
  return { kind: "resumed", outcome, isWatched: renewed?.kind === "renewed" };
}
