import { quantile } from "../bench/rows.ts";
import type { Own, Mailbox } from "./fleet.ts";
import { evenly } from "./fleet.ts";
import {
  type Figure,
  HEAP_LIMIT,
  type ScaleOptions,
  duration,
  highest,
  number,
} from "./figures.ts";
import { UNITS_PER_MINUTE } from "./google.ts";
import { type World, openWorld } from "./world.ts";

/** What followed an outage of Gmail that had left every mailbox incomplete. */
export interface AfterOutage {
  users: number;
  /** Until every mailbox was complete; absent if that took longer than was waited for. */
  completeAfterMs: number | undefined;
  unitsPerMinuteMax: number;
  refused: number;
  readsEach: number;
  writesEach: number;
  /** From the arrival of a message to its publication. */
  liveMs: { count: number; median: number; p99: number; max: number; unpublished: number };
  delayed: number;
  caughtUp: number;
  heapGrowthMb: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const OUTAGE_MS = 6 * HOUR_MS;
const DAY_MS = 24 * HOUR_MS;
/** A mailbox that has failed for hours waits so long between its attempts, less a random half. */
const WAIT_MS = OUTAGE_MS / 8;
const UNREAD = 5;
const MAILS_A_DAY = 20;
/** A sample is enough to measure, and mail makes mailboxes complete before their turn. */
const MAIL_EVERY_MS_MIN = 500;
const WAITED_MS_MAX = 12 * HOUR_MS;

export async function outage(
  { users, store, note }: ScaleOptions,
  env: Record<string, string> = {},
): Promise<AfterOutage> {
  const world = await openWorld({
    users,
    store,
    env,
    unread: UNREAD,
    ownOf: (mailbox, start) => failing(mailbox, start),
  });
  const { time, google, operations, published } = world;
  try {
    const before = world.heapMb();
    let heap = before;
    let isOver = false;
    const incomplete = new Set<Mailbox>(Array.from({ length: users }, (_, mailbox) => mailbox));
    const live = countLiveMail(world, users, () => !isOver);
    world.onPublished = (mailbox, event) => {
      live.onPublished(mailbox, event);
      // Published before it is written; what was told of as delayed ends so.
      if (event.kind === "caught_up") incomplete.delete(mailbox);
    };
    const instance = world.startInstance();
    const renewing = world.startInstance();
    time.each(
      MINUTE_MS,
      () => instance.mailboxReconciliation(),
      () => !isOver,
    );
    time.each(
      10 * MINUTE_MS,
      () => renewing.watchRenewal(),
      () => !isOver,
    );
    while (incomplete.size > 0 && world.elapsedMs() < WAITED_MS_MAX) {
      await time.passUntil(() => incomplete.size === 0, 10 * MINUTE_MS);
      heap = Math.max(heap, world.heapMb());
      note?.(`outage: ${duration(world.elapsedMs())}, ${incomplete.size} incomplete`);
    }
    const completeAfterMs = incomplete.size === 0 ? world.elapsedMs() : undefined;
    const { reads, writes } = operations;
    isOver = true;
    // What runs still ends.
    await time.passUntil(() => false, 10 * MINUTE_MS);
    return {
      users,
      completeAfterMs,
      unitsPerMinuteMax: highest(google.units.values()),
      refused: google.refused,
      readsEach: reads / users,
      writesEach: writes / users,
      liveMs: live.result(),
      delayed: published.get("delayed") ?? 0,
      caughtUp: published.get("caught_up") ?? 0,
      heapGrowthMb: heap - before,
    };
  } finally {
    await world.close();
  }
}

export function tableOfOutage(after: AfterOutage, settings: string): Figure[] {
  const { completeAfterMs, liveMs } = after;
  const what = (own: string) => `six hours without Gmail, ${settings}: ${own}`;
  return [
    {
      what: what("until all are complete"),
      figure: completeAfterMs === undefined ? "not within 12 h" : duration(completeAfterMs),
      limit: `${duration(WAIT_MS)}: the longest wait of a mailbox`,
    },
    {
      what: what("units a minute, at most"),
      figure: number(after.unitsPerMinuteMax),
      limit: `${number(UNITS_PER_MINUTE)}; ${after.refused} calls refused`,
    },
    {
      what: what("Firestore, each mailbox"),
      figure: `${number(after.readsEach)} reads, ${number(after.writesEach)} writes`,
      limit: "",
    },
    {
      what: what("new mail to published, median / p99 / max"),
      figure: [liveMs.median, liveMs.p99, liveMs.max].map(duration).join(" / "),
      limit: `${number(liveMs.count)} messages`,
    },
    {
      what: what("growth of the heap"),
      figure: `${number(after.heapGrowthMb)} MB`,
      limit: HEAP_LIMIT,
    },
  ];
}

/** As an outage of six hours leaves it: it waits for its next attempt. */
function failing(mailbox: Mailbox, start: Date): Own {
  const before = (ms: number) => new Date(start.getTime() - Math.round(ms));
  const failedAt = before(WAIT_MS * evenly(mailbox, 1));
  const waitMs = WAIT_MS * (0.5 + 0.5 * evenly(mailbox, 2));
  return {
    watch: {
      expiresAt: before(-6 * DAY_MS),
      renewAt: before(OUTAGE_MS - DAY_MS * evenly(mailbox, 3)),
      failures: 0,
    },
    sync: {
      dueAt: new Date(failedAt.getTime() + Math.round(waitMs)),
      dueReason: "unfinished",
      retries: 15,
      recent: [],
      syncedAt: before(OUTAGE_MS + HOUR_MS),
      behindSince: before(OUTAGE_MS * (0.2 + 0.8 * evenly(mailbox, 4))),
      delayedAt: before(MINUTE_MS),
      failure: {
        since: before(OUTAGE_MS),
        at: failedAt,
        family: "mailbox",
        reason: "backendError",
        count: 15,
        call: "history.list",
      },
    },
  };
}

/** Lets mail arrive everywhere, and measures how long each message takes to the topic. */
function countLiveMail(world: World, users: number, goesOn: () => boolean) {
  const { time } = world;
  const instance = world.startInstance();
  const arrived = new Map<string, number>();
  const tookMs: number[] = [];
  let mails = 0;
  time.each(
    Math.max(MAIL_EVERY_MS_MIN, DAY_MS / MAILS_A_DAY / users),
    async () => {
      const mailbox = Math.floor(evenly(mails++, 5) * users);
      const { historyId, done } = world.receiveMail(instance, mailbox);
      arrived.set(`${mailbox} ${historyId}`, world.elapsedMs());
      await done;
    },
    goesOn,
  );
  return {
    onPublished(mailbox: Mailbox, event: { kind: string; historyId?: string }) {
      if (event.kind !== "added") return;
      const id = `${mailbox} ${event.historyId}`;
      const at = arrived.get(id);
      if (at === undefined) return;
      arrived.delete(id);
      tookMs.push(world.elapsedMs() - at);
    },
    result: () => ({
      count: tookMs.length,
      median: quantile(tookMs, 0.5),
      p99: quantile(tookMs, 0.99),
      max: highest(tookMs),
      unpublished: arrived.size,
    }),
  };
}
