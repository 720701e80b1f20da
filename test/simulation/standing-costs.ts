import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import type { GoogleCall } from "./google.ts";
import type { Commit } from "./store.ts";
import type { World } from "./world.ts";

/** What one mailbox costs in one hour, whatever goes wrong in it. */
export interface HourlyCost {
  sub: string;
  hour: number;
  calls: number;
  units: number;
  /** Gaps, and what was published before. */
  repeats: number;
  writes: number;
  lines: number;
  /** What a recovery that is under way may tell once more. */
  recovered: number;
  /** Messages whose date recoveries read before they publish them, at most. */
  dated: number;
  /** Histories told to be lost. */
  recoveries: number;
  /** What asked for work: notifications, records, acts of people. */
  stimuli: number;
}

export interface StandingCosts {
  onCall(call: GoogleCall): void;
  onPublished(event: PubsubCloudEvent): void;
  onCommit(commit: Commit): void;
  onLogged(userId: string | undefined): void;
  /** Something that may cost: a notification's delivery, an act of a person. */
  onStimulus(sub: string): void;
  onRecords(sub: string, count: number): void;
  hours(): readonly HourlyCost[];
  check(): void;
}

const HOUR = 3_600_000;

const UNITS: Record<string, number> = {
  "history.list": 2,
  "users.getProfile": 1,
  "users.watch": 100,
  "users.stop": 50,
  "messages.list": 5,
  "messages.get": 20,
};

const HELD_UP_HOURS = 3;
const RECOVERY_STIMULI = 20;
/** In an hour and the two before: three of a history that stays lost, and what else expires. */
const RECOVERIES_MAX = 8;
const RECOVERIES_HOURS = 2;
/** Incidents in a run; with more, chance alone may bring so many into three hours. */
const EXPIRIES_MAX = 3;
/** Messages of one page whose date a recovery reads at most, where the mailbox was connected. */
const DATED_MAX = 210;
/** Attempts at the dates of one page, where one run in a hundred dies at each call. */
const DYING_ATTEMPTS = 10;
/** A run that reads at most so many messages is short. */
const SHORT_RUN_MESSAGES = 4;

/** Allowed in any hour, and more for each stimulus of that hour and the three before. */
export const STANDING_LIMITS = {
  calls: { base: 120, each: 6 },
  units: { base: 2_500, each: 40 },
  repeats: { base: 30, each: 4 },
  writes: { base: 180, each: 4 },
  lines: { base: 60, each: 4 },
} as const;

/** Counts by mailbox and hour, and compares with {@link STANDING_LIMITS}: P12 while a fault lasts. */
export function createStandingCosts(world: World): StandingCosts {
  const { scheduler, violate } = world;
  const costs = new Map<string, HourlyCost>();
  const told = new Set<string>();
  /** By mailbox: how much has happened in it. */
  const records = new Map<string, number>();

  function costOf(sub: string): HourlyCost {
    const hour = Math.floor(scheduler.now() / HOUR);
    const key = `${sub} ${hour}`;
    const present = costs.get(key);
    if (present !== undefined) return present;
    const made = {
      sub,
      hour,
      calls: 0,
      units: 0,
      repeats: 0,
      writes: 0,
      lines: 0,
      recovered: 0,
      dated: 0,
      recoveries: 0,
      stimuli: 0,
    };
    costs.set(key, made);
    return made;
  }

  function sumUntil(
    { sub, hour }: HourlyCost,
    before: number,
    of: "recoveries" | "stimuli" | "dated",
  ): number {
    let sum = 0;
    for (let ago = 0; ago <= before; ago++) sum += costs.get(`${sub} ${hour - ago}`)?.[of] ?? 0;
    return sum;
  }

  return {
    onCall({ sub, method }) {
      if (sub === "") return;
      const cost = costOf(sub);
      cost.calls += 1;
      cost.units += UNITS[method] ?? 0;
    },

    onPublished({ attributes, json }) {
      const sub = String(json["userId"]);
      const id = attributes["ce-id"] ?? "";
      const isGap = attributes["ce-type"] === "mailbox.gap";
      if (told.has(id) || isGap) costOf(sub).repeats += 1;
      // A recovery walks over the messages of a day.
      if (isGap && !told.has(id)) {
        costOf(sub).stimuli += RECOVERY_STIMULI;
        if (json["reason"] === "history_expired") costOf(sub).recoveries += 1;
      }
      told.add(id);
    },

    onCommit({ before, after: { id, sync, connectedAt } }) {
      const cost = costOf(id);
      const { recovery, failure } = sync;
      cost.writes += 1;
      if (recovery === undefined) return;
      const count = records.get(id) ?? 0;
      cost.recovered = count;
      // Each message may be from before the connection, so its date is read before it is published;
      // and each failed attempt reads those of a page again.
      const sinceMs = recovery.since.getTime() - (connectedAt?.getTime() ?? 0);
      const isDated = sinceMs < 24 * HOUR;
      const hasBegun = before?.sync.recovery === undefined;
      const hasFailed = failure !== undefined && failure.count > (before?.sync.failure?.count ?? 0);
      if (isDated && hasBegun) cost.dated += count;
      if (isDated && recovery.isWalked && hasFailed) {
        cost.dated += Math.min(count, world.parameters.pageMax, DATED_MAX);
      }
    },

    onLogged(userId) {
      if (userId !== undefined) costOf(userId).lines += 1;
    },

    onStimulus(sub) {
      if (sub !== "") costOf(sub).stimuli += 1;
    },

    onRecords(sub, count) {
      records.set(sub, (records.get(sub) ?? 0) + count);
      costOf(sub).stimuli += count;
    },

    hours: () => [...costs.values()],

    check() {
      const { pageMax, pagesMax, emptyPages, incidents } = world.parameters;
      // Each recovery is work of its own, so only the pauses between them limit what they cost.
      const isPaced = incidents.historyExpires <= EXPIRIES_MAX;
      // Where a run reads no more than a few messages, a recovery takes a run for each few; and
      // where each record takes pages of its own, so does every listing.
      const read = (pageMax * pagesMax) / (1 + emptyPages);
      const isShort = read <= SHORT_RUN_MESSAGES || pageMax === 1;
      const shortness = isShort ? 2 : 1;
      // A run that dies while it reads the dates of a page leaves them to the next one.
      const attempts = world.parameters.rates.crash > 0 ? DYING_ATTEMPTS : 1;
      for (const cost of costs.values()) {
        const { sub, hour } = cost;
        // What a failure holds up for some hours is published, or looked for, until it passes.
        const stimuli = sumUntil(cost, HELD_UP_HOURS, "stimuli");
        const recoveries = sumUntil(cost, RECOVERIES_HOURS, "recoveries");
        if (isPaced && recoveries > RECOVERIES_MAX) {
          violate("P12", `${recoveries} recoveries of ${sub} in three hours`);
        }
        for (const kind of ["calls", "units", "repeats", "writes", "lines"] as const) {
          const { base, each } = STANDING_LIMITS[kind];
          const recovered = kind === "repeats" ? cost.recovered : 0;
          const eachDate = kind === "units" ? (UNITS["messages.get"] ?? 0) : 1;
          const isDating = kind === "units" || kind === "calls";
          const dates = isDating ? eachDate * attempts * sumUntil(cost, HELD_UP_HOURS, "dated") : 0;
          // A listing is as many calls more as Gmail gives pages without a record.
          const listings = kind === "calls" ? 1 + emptyPages : 1;
          const max = shortness * listings * (base + each * stimuli + recovered) + dates;
          if (cost[kind] <= max) continue;
          const when = new Date(hour * HOUR).toISOString();
          violate("P12", `${cost[kind]} ${kind} for ${sub} in the hour of ${when}, ${max} at most`);
        }
      }
    },
  };
}
