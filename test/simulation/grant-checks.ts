import type { Status, User } from "../../functions/src/user.ts";
import type { GoogleCall, SimulatedGoogle } from "./google.ts";
import type { Commit } from "./store.ts";
import type { World } from "./world.ts";

/** Looks at every status that is stored, and at what is done for whoever is flagged: P6, P7. */
export interface GrantChecks {
  onCommit(commit: Commit): void;
  onCall(call: GoogleCall): void;
  /** From now on the mailbox or the administrator is a reason for a flag, or no more. */
  troubled(sub: string, kind: "admin" | "mail", isOn: boolean): void;
  /** Whether this status was ever stored, in this generation. */
  wasStored(sub: string, status: Status, generation: number): boolean;
}

const MINUTE = 60_000;
/** A run that began before trouble ended may flag for it so much later: a run, and a frozen one. */
const TROUBLE_LASTS_MS = 45 * MINUTE;
/** Ten minutes, counted in whole ones. */
const GUARD_WINDOW_MS = 9 * MINUTE;
const GUARD_MAX = 20;

export function createGrantChecks(world: World, google: SimulatedGoogle): GrantChecks {
  const { scheduler, count, violate } = world;
  /** Since when a user has been flagged, and for what. */
  const flagged = new Map<string, { at: number; status: Status }>();
  const statuses = new Set<string>();
  /** When users were flagged. */
  const flags: number[] = [];
  const troubles = new Map<string, { isOn: boolean; endedAt: number }>();

  return {
    wasStored: (sub, status, generation) => statuses.has(`${sub}/${status}/${generation}`),

    troubled(sub, kind, isOn) {
      troubles.set(`${sub}/${kind}`, { isOn, endedAt: isOn ? Infinity : scheduler.now() });
    },

    onCommit(commit) {
      const { at, before, after } = commit;
      checkEdges(commit);
      statuses.add(`${after.id}/${after.status}/${after.grant.generation}`);
      const isFlagged = after.status !== "active" && after.status !== before?.status;
      if (isFlagged) checkFlag(commit);
      if (after.status === "active") flagged.delete(after.id);
      else if (isFlagged) flagged.set(after.id, { at, status: after.status });
    },

    onCall({ sub, method, runSince, isOfAuthorization }) {
      const flag = flagged.get(sub);
      if (flag === undefined || isOfAuthorization) return;
      if (flag.status !== "reauthorization_required" || runSince <= flag.at) return;
      violate("P7", `${method} for ${sub} by a run of ${runSince}, flagged since ${flag.at}`);
    },
  };

  function checkEdges({ before, after, kind }: Commit): void {
    const { grant, status, watch, sync } = after;
    if (status !== "active" && (watch.renewAt !== undefined || sync.dueAt !== undefined)) {
      violate("P7", `${after.id} is ${status} and due`);
    }
    if (status === "reauthorization_required" && (grant.refreshToken ?? grant.accessToken)) {
      violate("P7", `${after.id} is ${status} and holds tokens`);
    }
    const step = grant.generation - (before?.grant.generation ?? 0);
    if (step !== 0 && (step !== 1 || kind !== "authorize")) {
      violate("P8", `${after.id} goes from generation ${before?.grant.generation}`);
    }
    if (before?.status === "disconnected" && status !== "disconnected" && kind !== "authorize") {
      violate("P7", `${after.id} is connected again by itself`);
    }
    if (before?.status === "reauthorization_required" && status === "active" && step === 0) {
      violate("P7", `${after.id} is active again without anybody's doing`);
    }
  }

  function checkFlag({ before, after }: Commit): void {
    const { status, statusReason, id } = after;
    if (status === "disconnected") return;
    checkGuard();
    if (status === "mailbox_unavailable") {
      count("user flagged as unavailable");
      if (!isTroubled(id, "mail")) violate("P6", `${id} flagged ${statusReason} without a reason`);
      return;
    }
    count("user flagged for re-authorization");
    if (isTroubled(id, "admin") || (before !== undefined && isGrantDead(before))) return;
    violate("P6", `${id} flagged ${statusReason} although the grant is alive`);
  }

  /** So many at once are our own mistake, whatever Google says. */
  function checkGuard(): void {
    const now = scheduler.now();
    flags.push(now);
    const recent = flags.filter((at) => at > now - GUARD_WINDOW_MS);
    if (recent.length > GUARD_MAX) violate("P6", `${recent.length} users flagged within minutes`);
  }

  function isTroubled(sub: string, kind: "admin" | "mail"): boolean {
    const trouble = troubles.get(`${sub}/${kind}`);
    if (trouble === undefined) return false;
    return trouble.isOn || scheduler.now() - trouble.endedAt < TROUBLE_LASTS_MS;
  }

  /** The refresh token that the stored grant holds works no more. */
  function isGrantDead({ id, grant }: User): boolean {
    const held = google.findRefreshToken(id, grant.refreshTokenDigests?.doubleHash);
    // A rotated token may get lost, but only where instances, answers or writes do.
    const { rates } = world.parameters;
    const isLossy = rates.crash + rates.storeFailsBefore + rates.googleFailsAfter + rates.slow > 0;
    const isLosable = isLossy || world.plan?.hasStruck() === true;
    return held?.endedAt !== undefined && (isLosable || held.isRotated !== true);
  }
}
