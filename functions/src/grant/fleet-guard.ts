import { redirectUriOf } from "../config/config.ts";
import { tryRefresh } from "./access.ts";
import { type FleetGuard, type GrantContext } from "./context.ts";
import { attempt } from "../domain/failure.ts";
import { later } from "../domain/clock.ts";
import { sampleOthers } from "../store/other-users.ts";
import type { FleetGuardState, Grant, User, UserId } from "../domain/user.ts";

/** Users flagged within this time are counted. */
const WINDOW_MS = 10 * 60_000;
/** Up to this number, or this share of the active users, no check is made. */
const FLAGGED_MIN = 20;
const FLAGGED_SHARE = 0.02;
/** A grant as young as this comes from the configured client: it is neither counted nor held. */
const YOUNG_MS = 3_600_000;
/**
 * How long a successful refresh of another user counts as evidence, and how many are remembered.
 */
const EVIDENCE_MS = 2 * 60_000;
const EVIDENCE_MAX = 50;
/** Other users whose grants are tested, and how often one instance does so. */
const SAMPLE_MAX = 3;
const SAMPLE_EVERY_MS = 60_000;
/** From the latch to the first check of the client, and between two checks. */
const PROBE_AFTER_MS = 3_600_000;
/** The wait after a check without a result. */
const PROBE_RETRY_MS = 5 * 60_000;
/** How long a verdict holds: every held mailbox is due within it. */
const SOUND_MS = 3 * 3_600_000;
/** A latch that was not checked for this long belongs to an incident that is over. */
const LATCH_MS_MAX = 24 * 3_600_000;

/**
 * Returns a guard that decides by evidence, not by a rate. While other users' refreshes succeed,
 * the configured client works and failing grants have really ended. While none succeeds, no more
 * users are flagged: the guard latches, alerts, and asks Google about the client itself after an
 * hour.
 */
export function createFleetGuard(context: Omit<GrantContext, "fleetGuard">): FleetGuard {
  const { users, oauth, clock, log, randomToken } = context;
  const refreshed = new Map<UserId, Date>();
  let sample: { at: Date; hasSuccess: Promise<boolean> } | undefined;
  let active: { at: Date; count: number } | undefined;
  let judging: Promise<boolean> | undefined;

  const guard: FleetGuard = {
    noteRefreshed({ id, grant }) {
      // After a change of the client, new connections prove nothing about the older grants.
      if (isYoung(grant, clock.now())) return;
      refreshed.delete(id);
      refreshed.set(id, clock.now());
      const [oldest] = refreshed.keys();
      if (refreshed.size > EVIDENCE_MAX && oldest !== undefined) refreshed.delete(oldest);
    },

    async admits(user) {
      const now = clock.now();
      if (isYoung(user.grant, now)) return true;
      // Recorded first: of many simultaneous failures, each is in the others' count.
      await users.noteFlagging(user.id, now);
      // Costs no read, however many are flagged at once.
      if (isEvident(user, now)) return true;
      const state = await users.readFleetGuard();
      const isLatched = state !== undefined && isInForce(state, now);
      if (!isLatched && (await isOrdinary(now))) return true;
      if (await sampleRefreshes(user, now)) return true;
      // One decision for all that fail at once: the first latches, or probes, and alerts.
      judging ??= judge(user, now).finally(() => {
        judging = undefined;
      });
      return judging;
    },
  };
  const own: GrantContext = { ...context, fleetGuard: guard };
  return guard;

  async function isOrdinary(now: Date): Promise<boolean> {
    const flagged = await users.countFlaggings(later(now, -WINDOW_MS));
    if (flagged <= FLAGGED_MIN) return true;
    // A count reads the whole index, and each of many failures asks for it.
    if (active === undefined || active.at <= later(now, -WINDOW_MS)) {
      active = { at: now, count: await users.countActive() };
    }
    return flagged <= FLAGGED_SHARE * active.count;
  }

  /** Returns whether Google has just accepted the grant of another user. */
  function isEvident({ id }: User, now: Date): boolean {
    const since = later(now, -EVIDENCE_MS);
    return [...refreshed].some(([other, at]) => other !== id && at >= since);
  }

  /** Tries the grants of others, at most once a minute; users who fail meanwhile wait for the result. */
  function sampleRefreshes({ id }: User, now: Date): Promise<boolean> {
    if (sample === undefined || sample.at <= later(now, -SAMPLE_EVERY_MS)) {
      const hasSuccess = tryOthers(id, now).catch((error: unknown) => {
        sample = undefined;
        throw error;
      });
      sample = { at: now, hasSuccess };
    }
    return sample.hasSuccess;
  }

  async function tryOthers(id: UserId, now: Date): Promise<boolean> {
    const others = await sampleOthers(id, context);
    const established = others.filter(({ grant }) => !isYoung(grant, now));
    for (const other of established.slice(0, SAMPLE_MAX)) {
      if (await tryRefresh(other, own)) return true;
    }
    return false;
  }

  /** No other user's refresh succeeds: only the client itself can still decide. */
  async function judge({ id }: User, now: Date): Promise<boolean> {
    const state = await users.readFleetGuard();
    if (state === undefined || !isInForce(state, now)) {
      await users.writeFleetGuard({ latchedAt: now, probeAt: later(now, PROBE_AFTER_MS) });
      log.alert(
        "fleet_guard",
        "many grants failed at once and no refresh succeeds; no more users are flagged",
        {
          userId: id,
        },
      );
      return false;
    }
    if (state.verdict === "sound") return true;
    if (state.probeAt > now) return false;
    const verdict = await probe();
    const again = verdict === "unknown" ? PROBE_RETRY_MS : PROBE_AFTER_MS;
    await users.writeFleetGuard({
      latchedAt: verdict === "unknown" ? state.latchedAt : now,
      probeAt: later(now, again),
      ...(verdict !== "unknown" && { verdict }),
    });
    const write = verdict === "unsound" ? log.alert : log.warn;
    write("fleet_guard", "asked Google whether it accepts our OAuth client", { verdict });
    return verdict === "sound";
  }

  async function probe(): Promise<"sound" | "unsound" | "unknown"> {
    const exchanged = await attempt(() =>
      // A code that was never issued: the response concerns only the client.
      oauth.exchangeCode(`4/${randomToken()}`, randomToken(), redirectUriOf(context.config)),
    );
    if (exchanged.ok) return "unknown";
    const { failure } = exchanged.error;
    if (failure.kind === "misconfigured") return "unsound";
    const isCodeRefused = failure.kind === "bad_request" && failure.reason === "invalid_grant";
    return isCodeRefused ? "sound" : "unknown";
  }
}

function isYoung({ grantedAt }: Grant, now: Date): boolean {
  return grantedAt > later(now, -YOUNG_MS);
}

function isInForce({ latchedAt, verdict }: FleetGuardState, now: Date): boolean {
  const lastsMs = verdict === "sound" ? SOUND_MS : LATCH_MS_MAX;
  return later(latchedAt, lastsMs) > now;
}
