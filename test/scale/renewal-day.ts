import {
  type Figure,
  HEAP_LIMIT,
  type ScaleOptions,
  duration,
  highest,
  number,
} from "./figures.ts";
import { UNITS_PER_MINUTE } from "./google.ts";
import { openWorld } from "./world.ts";

/** A day of renewals that begins with every watch of the fleet due. */
export interface RenewalDay {
  users: number;
  /** Until every mailbox was watched once; absent if that took longer than the day. */
  allAfterMs: number | undefined;
  watches: number;
  watchesPerMinuteMax: number;
  unitsPerMinuteMax: number;
  refused: number;
  readsEach: number;
  writesEach: number;
  /** By how much the heap grew, at most, while the day passed. */
  heapGrowthMb: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const EVERY_MS = 10 * MINUTE_MS;

export async function renewalDay(
  { users, store, note }: ScaleOptions,
  env: Record<string, string> = {},
): Promise<RenewalDay> {
  const world = await openWorld({
    users,
    store,
    env,
    ownOf: (_, start) => ({
      watch: {
        expiresAt: new Date(start.getTime() + DAY_MS),
        renewAt: new Date(start.getTime() - MINUTE_MS),
        failures: 0,
      },
      sync: {
        dueAt: new Date(start.getTime() + 6 * HOUR_MS),
        dueReason: "quiet",
        retries: 0,
        recent: [],
        syncedAt: start,
      },
    }),
  });
  const { time, google, operations } = world;
  try {
    const instance = world.startInstance();
    const before = world.heapMb();
    let heap = before;
    let allAfterMs: number | undefined;
    time.each(
      EVERY_MS,
      () => instance.watchRenewal(),
      () => world.elapsedMs() < DAY_MS,
    );
    for (let hour = 0; hour < 24; hour++) {
      await time.passUntil(() => {
        if (google.watched.size === users) allAfterMs ??= world.elapsedMs();
        return false;
      }, HOUR_MS);
      heap = Math.max(heap, world.heapMb());
      note?.(`renewal: hour ${hour + 1}, ${google.calls.get("users.watch") ?? 0} watches`);
    }
    const watches = google.calls.get("users.watch") ?? 0;
    return {
      users,
      allAfterMs,
      watches,
      watchesPerMinuteMax: highest(google.watches.values()),
      unitsPerMinuteMax: highest(google.units.values()),
      refused: google.refused,
      readsEach: operations.reads / watches,
      writesEach: operations.writes / watches,
      heapGrowthMb: heap - before,
    };
  } finally {
    await world.close();
  }
}

export function tableOfRenewalDay(day: RenewalDay, settings: string): Figure[] {
  const { users, allAfterMs, watches, watchesPerMinuteMax, unitsPerMinuteMax } = day;
  const what = (own: string) => `renewal, all watches due, ${settings}: ${own}`;
  return [
    {
      what: what("until all are renewed"),
      figure: allAfterMs === undefined ? "not within a day" : duration(allAfterMs),
      limit: "a watch lasts seven days",
    },
    {
      what: what("watches a minute, at most"),
      figure: number(watchesPerMinuteMax),
      limit: `6,000, half of the quota`,
    },
    {
      what: what("units a minute, at most"),
      figure: number(unitsPerMinuteMax),
      limit: `${number(UNITS_PER_MINUTE)}; ${day.refused} calls refused`,
    },
    {
      what: what("watches of the day"),
      figure: number(watches),
      limit: `${number(users)} mailboxes`,
    },
    {
      what: what("Firestore, each"),
      figure: `${number(day.readsEach)} reads, ${number(day.writesEach)} writes`,
      limit: "",
    },
    {
      what: what("growth of the heap"),
      figure: `${number(day.heapGrowthMb)} MB`,
      limit: HEAP_LIMIT,
    },
  ];
}
