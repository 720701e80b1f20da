import type { GrantContext } from "./context.ts";
import { later } from "../domain/clock.ts";
import { type LifecycleEvent, PublishFailure } from "../domain/events.ts";
import { modify } from "../store/modify.ts";
import { unlessContended } from "../platform/store-error.ts";
import { type FollowUp, type User, sameGrant } from "../domain/user.ts";
import { runningSnapshot, snapshotStart } from "../domain/snapshot.ts";
import type { ReauthorizationLinks } from "./reauthorization-link.ts";
import { nextLook } from "../domain/retention.ts";

/** Between two probes of an unavailable mailbox. */
export const PROBE_AFTER_MS = 24 * 3_600_000;

/**
 * Publishes the user's status, once for each status, generation and outage, and records that. It
 * publishes first: a crash in between repeats the event under the same id. If the topic does not
 * accept it, `followUp.dueAt` stays and the reconciliation tries again. Only the run of an
 * authorization knows how many changes it recovered.
 */
export async function announce(
  user: User,
  context: GrantContext,
  recoveredChanges?: number,
): Promise<boolean> {
  const { publish, log } = context;
  if (!isAnnounced(user)) {
    try {
      await publish(user, [statusEvent(user, context.links, recoveredChanges)]);
    } catch (error) {
      if (!(error instanceof PublishFailure)) throw error;
      log.warn("announcement_failed", "could not publish a status; retrying later", {
        userId: user.id,
        status: user.status,
        reason: error.reason,
      });
      return false;
    }
  }
  await noteAnnounced(user, context);
  return true;
}

/** Returns whether the user's present status has been published. */
export function isAnnounced({ status, grant, followUp }: User): boolean {
  const { announced } = followUp;
  return announced?.status === status && announced.generation === grant.generation;
}

async function noteAnnounced(told: User, context: GrantContext): Promise<void> {
  const { users, log } = context;
  const { id, status } = told;
  const { generation } = told.grant;
  const noted = modify(
    users,
    id,
    (user) => {
      const isSameEpisode = user.followUp.episode === told.followUp.episode;
      if (!sameGrant(told, user) || !isSameEpisode) return "skip";
      const { dueAt: _, ...followUp }: FollowUp = {
        ...user.followUp,
        announced: { status, generation },
        failures: 0,
      };
      const dueAt = nextDue(user, context);
      return { followUp: dueAt === undefined ? followUp : { ...followUp, dueAt } };
    },
    { what: "an announced status" },
  );
  if ((await unlessContended(noted)) !== undefined) return;
  log.warn(
    "announcement_not_recorded",
    "published a status but could not record it; it may be published again",
    { userId: id },
  );
}

/** Returns when more work is due once the status is published. */
function nextDue(user: User, context: GrantContext): Date | undefined {
  const { sendNotice, clock } = context;
  switch (user.status) {
    case "active": {
      const snapshot = runningSnapshot(user);
      return snapshot && snapshotStart(snapshot, context.config.sync.settleMs);
    }
    case "reauthorization_required":
      // Even if it is published twice, it must not bring the next mail forward.
      if (isAnnounced(user)) return user.followUp.dueAt;
      return sendNotice === undefined ? nextLook(user, context) : clock.now();
    case "mailbox_unavailable": {
      // Due by now: Google has said in the meantime that the account is enabled, or the topic was
      // unavailable for a while. Either way a probe is worth its one call.
      const { dueAt } = user.followUp;
      const now = clock.now();
      return dueAt !== undefined && dueAt <= now ? dueAt : later(now, PROBE_AFTER_MS);
    }
    case "paused":
      // The watch is not stopped yet.
      return user.watch.expiresAt === undefined ? undefined : user.followUp.dueAt;
    case "disconnected":
      // The tokens go last: while one is stored, the disconnect is unfinished.
      return user.grant.refreshToken === undefined ? nextLook(user, context) : user.followUp.dueAt;
  }
}

function statusEvent(
  user: User,
  links: ReauthorizationLinks,
  recoveredChanges: number | undefined,
): LifecycleEvent {
  const { generation } = user.grant;
  const { episode } = user.followUp;
  const told = { generation, ...(episode !== undefined && { episode }) };
  const { statusReason: reason } = user;
  switch (user.status) {
    case "active":
      return {
        kind: "connected",
        ...told,
        ...(recoveredChanges !== undefined && { recoveredChanges }),
      };
    case "reauthorization_required":
      return {
        kind: "reauthorization_required",
        generation,
        reason,
        reauthorizeUrl: links.to(user),
      };
    case "mailbox_unavailable":
      return { kind: "unavailable", ...told, reason, reauthorizeUrl: links.to(user) };
    case "paused":
      return { kind: "paused", ...told, reason };
    case "disconnected":
      return { kind: "disconnected", generation, reason };
  }
}
