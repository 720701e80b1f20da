import type { GrantContext } from "./context.ts";
import { later } from "../domain/clock.ts";
import { type LifecycleEvent, PublishFailure } from "../domain/events.ts";
import { modify } from "../store/modify.ts";
import { unlessContended } from "../platform/store-error.ts";
import { type FollowUp, type User, sameGrant } from "../domain/user.ts";
import type { ReauthorizationLinks } from "./reauthorization-link.ts";
import { nextLook } from "../domain/retention.ts";

/** An unavailable mailbox is looked at once a day. */
export const PROBE_AFTER_MS = 24 * 3_600_000;

/**
 * Tells subscribers the user's status, once for each status, generation and episode, and notes that
 * it was told. Published first: a crash in between repeats the event under the same id. A topic
 * that does not take it leaves `followUp.dueAt` as it is, and the reconciliation comes back to it.
 * How many changes an authorization recovered is known only to the run that did it.
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

/** What is still owed once the status is announced. */
function nextDue(user: User, context: GrantContext): Date | undefined {
  const { sendNotice, clock } = context;
  switch (user.status) {
    case "active":
      return undefined;
    case "reauthorization_required":
      // Told twice all the same, it must not bring the next mail forward.
      if (isAnnounced(user)) return user.followUp.dueAt;
      return sendNotice === undefined ? nextLook(user, context) : clock.now();
    case "mailbox_unavailable": {
      // Due by now: Google has said meanwhile that the account is enabled, or nobody could be told
      // for a while. Either way a look is worth its one call.
      const { dueAt } = user.followUp;
      const now = clock.now();
      return dueAt !== undefined && dueAt <= now ? dueAt : later(now, PROBE_AFTER_MS);
    }
    case "disconnected":
      // The tokens go last: as long as one is there, the disconnect is unfinished.
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
    case "disconnected":
      return { kind: "disconnected", generation, reason };
  }
}
