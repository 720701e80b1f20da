import type { Status, User } from "../../functions/src/domain/user.ts";
import type { LoggedRecord } from "./delay-checks.ts";
import type { GoogleCall, SimulatedGoogle } from "./google.ts";
import type { Commit } from "./store.ts";
import type { World } from "./world.ts";

/** Looks at every status that is stored, and at what is done for whoever is flagged: P6, P7. */
export interface GrantChecks {
  onCommit(commit: Commit): void;
  onCall(call: GoogleCall): void;
  onLogged(record: LoggedRecord): void;
  /** From now on the mailbox or the administrator is a reason for a flag, or no more. */
  troubled(sub: string, kind: "admin" | "mail", isOn: boolean): void;
}

const MINUTE = 60_000;
/** A run that began before trouble ended may flag for it so much later: a run, and a frozen one. */
const TROUBLE_LASTS_MS = 45 * MINUTE;
/** What ends a watch, and what tells whose an address is. */
const PAUSED_CALLS: ReadonlySet<string> = new Set([
  "users.stop",
  "users.getProfile",
  "token.refresh",
]);
/** Ten minutes, counted in whole ones. */
const GUARD_WINDOW_MS = 9 * MINUTE;
const GUARD_MAX = 20;
/** Users whom Google has to refuse before a call pauses for everybody. */
const CIRCUIT_MIN = 3;
/** Before Google is asked about the client, and how long its answer is acted on. */
const GUARD_WAITS_MS = 55 * MINUTE;
const GUARD_VERDICT_MS = 4 * 60 * MINUTE;

export function createGrantChecks(world: World, google: SimulatedGoogle): GrantChecks {
  const { scheduler, count, violate } = world;
  /** Since when a user has been flagged, and for what. */
  const flagged = new Map<string, { at: number; status: Status }>();
  /** When users were flagged. */
  const flags: number[] = [];
  /** What was written last of each user. */
  const users = new Map<string, User>();
  /** Who has ever been connected for an hour; by now the grant may be a newer one. */
  const established = new Set<string>();
  /** Grants whose tokens were deleted during a pause, because they had ended. */
  const emptied = new Set<string>();
  const troubles = new Map<string, { reasons: number; endedAt: number }>();

  return {
    troubled(sub, kind, isOn) {
      const key = `${sub}/${kind}`;
      // Several reasons can be there at once.
      const reasons = Math.max(0, (troubles.get(key)?.reasons ?? 0) + (isOn ? 1 : -1));
      troubles.set(key, { reasons, endedAt: scheduler.now() });
    },

    onCommit(commit) {
      const { at, before, after } = commit;
      users.set(after.id, after);
      if (before !== undefined) noteAge(before);
      checkEmptied(commit);
      const isFlagged = after.status !== "active" && after.status !== before?.status;
      if (isFlagged) checkFlag(commit);
      if (after.status === "active") flagged.delete(after.id);
      else if (isFlagged) flagged.set(after.id, { at, status: after.status });
    },

    onLogged: checkHeldUp,

    onCall({ sub, method, runSince, isOfAuthorization }) {
      const flag = flagged.get(sub);
      if (flag === undefined || isOfAuthorization) return;
      const isOver = flag.status === "paused" && PAUSED_CALLS.has(method);
      const isIdle = flag.status === "reauthorization_required" || flag.status === "paused";
      if (!isIdle || isOver || runSince <= flag.at) return;
      violate("P7", `${method} for ${sub} by a run of ${runSince}, flagged since ${flag.at}`);
    },
  };

  /** What few mailboxes meet must not hold up all. */
  function checkHeldUp({ event }: LoggedRecord): void {
    if (event === "circuit_open" && users.size < CIRCUIT_MIN) {
      violate("P6", `a call pauses for everybody, and there are ${users.size} users`);
    }
    if (event !== "fleet_guard") return;
    for (const user of users.values()) noteAge(user);
    if (established.size > GUARD_MAX) return;
    violate("P6", `the guard is on, and ${established.size} users were connected for an hour`);
  }

  function noteAge({ id, grant }: User): void {
    if (!isYoung(grant)) established.add(id);
  }

  function isYoung({ grantedAt }: User["grant"]): boolean {
    return scheduler.now() - grantedAt.getTime() < GUARD_WAITS_MS;
  }

  function checkFlag({ before, after }: Commit): void {
    const { status, statusReason, id } = after;
    const isMoved = status === "disconnected" && statusReason === "address_moved";
    // A grant that an administrator blocks is as good as dead: there is nobody else to ask.
    const isRefused =
      isTroubled(id, "admin") ||
      (before !== undefined && (isGrantDead(before) || emptied.has(nameOf(before))));
    if (isMoved && before?.status === "active" && !isRefused) {
      violate("P6", `${id} is disconnected for its address although the grant is alive`);
    }
    if (status === "disconnected") return;
    if (status === "paused") return checkPause(before);
    checkGuard(before);
    if (status === "mailbox_unavailable") {
      count("user flagged as unavailable");
      if (!isTroubled(id, "mail")) violate("P6", `${id} flagged ${statusReason} without a reason`);
      return;
    }
    count("user flagged for re-authorization");
    if (isRefused) return;
    violate("P6", `${id} flagged ${statusReason} although the grant is alive`);
  }

  /** A paused user whose grant has ended is flagged later, and keeps no tokens until then. */
  function checkEmptied({ before, after }: Commit): void {
    if (after.status !== "paused" || before?.status !== "paused") return;
    if (before.grant.refreshToken === undefined || after.grant.refreshToken !== undefined) return;
    if (isGrantDead(before)) emptied.add(nameOf(before));
    else violate("P6", `the tokens of ${after.id} are deleted although the grant is alive`);
  }

  function nameOf({ id, grant }: User): string {
    return `${id}/${grant.generation}`;
  }

  /** Only the operator pauses, and only a living stream. */
  function checkPause(before: User | undefined): void {
    if (before === undefined || before.status === "active") return;
    violate("P7", `${before.id} is paused, and was ${before.status}`);
  }

  /**
   * So many at once may be our own mistake: somebody's living grant has to prove the client, or the
   * guard has to wait for an hour and ask Google. Grants of the last hour are not counted.
   */
  function checkGuard(before: User | undefined): void {
    const now = scheduler.now();
    if (before !== undefined && isYoung(before.grant)) return;
    flags.push(now);
    const recent = flags.filter((at) => at > now - GUARD_WINDOW_MS);
    if (recent.length <= GUARD_MAX) return;
    const isProven = [...users.values()].some((it) => it.status === "active" && !isGrantDead(it));
    const since = flags.find((at) => at > now - GUARD_VERDICT_MS) ?? now;
    if (isProven || now - since >= GUARD_WAITS_MS) return;
    violate("P6", `${recent.length} users flagged within minutes, and no grant is alive`);
  }

  function isTroubled(sub: string, kind: "admin" | "mail"): boolean {
    const trouble = troubles.get(`${sub}/${kind}`);
    if (trouble === undefined) return false;
    return trouble.reasons > 0 || scheduler.now() - trouble.endedAt < TROUBLE_LASTS_MS;
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
