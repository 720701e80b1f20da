import { openAccess } from "./access.ts";
import { announce } from "./announcement.ts";
import type { GrantContext } from "./context.ts";
import { isWorthRetrying } from "./disconnect.ts";
import { backoffMs, later } from "../domain/clock.ts";
import { paused } from "../domain/transitions.ts";
import { type Status, type User, sameGrant } from "../domain/user.ts";
import { modify } from "../store/modify.ts";

/** The first wait before the watch is stopped, or the status published, again; doubles. */
const RETRY_MS = 60_000;
const RETRY_MS_MAX = 3_600_000;

/** The result of pausing a mailbox. */
export type Pausing =
  | { kind: "paused" | "paused_before" }
  /** Only an active mailbox can be paused. */
  | { kind: "inactive"; status: Status }
  /** The document is gone, or cannot be read. */
  | { kind: "unreadable" };

/**
 * Pauses a mailbox because the operator says so: first the status, so that no more work is done for
 * it; then the watch and the event. The reconciliation finishes what is left.
 */
export async function pause(active: User, reason: string, context: GrantContext): Promise<Pausing> {
  const { users, clock, log } = context;
  const { kind, user: written } = await modify(
    users,
    active.id,
    (user) => (user.status === "active" ? paused(user, reason, clock.now()) : "skip"),
    { what: "a pause" },
  );
  if (written === undefined) return { kind: "unreadable" };
  if (written.status !== "paused") return { kind: "inactive", status: written.status };
  if (kind === "written") {
    log.info("user_paused", "an operator paused a mailbox", { userId: active.id, reason });
  }
  const user = await users.find(active.id);
  if (sameGrant(written, user)) await finishPause(user, context);
  return { kind: kind === "written" ? "paused" : "paused_before" };
}

/** Stops the watch of a paused mailbox and publishes the status, each as far as it is due. */
export async function finishPause(user: User, context: GrantContext): Promise<void> {
  const { users, clock } = context;
  const isStopped = await stopWatch(user, context);
  const isTold = await announce(user, context);
  if (isStopped && isTold) return;
  const current = await users.find(user.id);
  if (!sameGrant(user, current)) return;
  const { failures } = current.followUp;
  const dueAt = later(clock.now(), backoffMs(failures, RETRY_MS, RETRY_MS_MAX));
  // Refused: the user is still due, and the next run tries again without the wait.
  await users.update(current, {
    followUp: { ...current.followUp, dueAt, failures: failures + 1 },
  });
}

/** Returns false while it is worth trying again. A watch that has expired needs no call. */
async function stopWatch(user: User, context: GrantContext): Promise<boolean> {
  const { users, gmail, clock, log } = context;
  const { expiresAt } = user.watch;
  if (expiresAt === undefined) return true;
  if (expiresAt > clock.now()) {
    const stopped = await openAccess(user, context).call("users.stop", (token) =>
      gmail.stop(token),
    );
    if (!stopped.ok && stopped.error !== "superseded") {
      if (isWorthRetrying(stopped.error.failure)) return false;
      log.warn(
        "watch_not_stopped",
        "could not stop the watch of a paused mailbox; it ends when it expires",
        { userId: user.id },
      );
    }
  }
  await modify(
    users,
    user.id,
    ({ status, watch }) => {
      if (status === "paused") return { watch: { failures: 0 } };
      // Resumed in the meantime: the call may have stopped the new watch.
      return status === "active" ? { watch: { ...watch, renewAt: clock.now() } } : "skip";
    },
    { what: "a stopped watch" },
  );
  return true;
}
