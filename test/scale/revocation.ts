import { quantile } from "../bench/rows.ts";
import type { Own, Mailbox } from "./fleet.ts";
import { evenly } from "./fleet.ts";
import { type Figure, type ScaleOptions, duration, highest, number } from "./figures.ts";
import { openWorld } from "./world.ts";

/** What followed the end of many grants at once. */
export interface Revocation {
  users: number;
  revoked: number;
  /** From the end of the grants to the event of each; of those that were flagged. */
  flaggedMs: { count: number; median: number; max: number };
  /** Until each person had a mail, from the end of the grants. */
  noticesMs: number;
  notices: number;
  /** Users who were flagged although their grants live. */
  wrong: number;
  guardRecords: number;
  reads: number;
  writes: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MAILS_A_DAY = 20;
const WAITED_MS_MAX = 12 * HOUR_MS;

/**
 * So many grants end at once, as when an administrator removes the app. Each mailbox is polled in
 * its turn, and those whose grants ended still get mail.
 */
export async function revocation(
  { users, store, note }: ScaleOptions,
  revoked: number,
  env: Record<string, string> = {},
): Promise<Revocation> {
  const world = await openWorld({
    users,
    store,
    env,
    ownOf: (mailbox, start) => quiet(mailbox, start),
  });
  const { time, google, operations, logged } = world;
  try {
    for (let mailbox = 0; mailbox < revoked; mailbox++) google.revoked.add(mailbox);
    const flagged = new Map<Mailbox, number>();
    world.onPublished = (mailbox, { kind }) => {
      if (kind === "reauthorization_required" && !flagged.has(mailbox)) {
        flagged.set(mailbox, world.elapsedMs());
      }
    };
    let isOver = false;
    const instance = world.startInstance();
    const notified = world.startInstance();
    time.each(
      MINUTE_MS,
      () => instance.mailboxReconciliation(),
      () => !isOver,
    );
    let mails = 0;
    time.each(
      DAY_MS / MAILS_A_DAY / revoked,
      () => world.receiveMail(notified, Math.floor(evenly(mails++, 5) * revoked)).done,
      () => !isOver,
    );
    const isDone = () => flagged.size >= revoked && world.notices.sent >= revoked;
    while (!isDone() && world.elapsedMs() < WAITED_MS_MAX) {
      await time.passUntil(isDone, 10 * MINUTE_MS);
      note?.(`revocation: ${duration(world.elapsedMs())}, ${flagged.size} flagged`);
    }
    const { reads, writes } = operations;
    isOver = true;
    await time.passUntil(() => false, 10 * MINUTE_MS);
    const tookMs = [...flagged.values()];
    return {
      users,
      revoked,
      flaggedMs: {
        count: tookMs.length,
        median: quantile(tookMs, 0.5),
        max: highest(tookMs),
      },
      noticesMs: world.notices.lastAt.getTime() - world.start.getTime(),
      notices: world.notices.sent,
      wrong: [...flagged.keys()].filter((mailbox) => mailbox >= revoked).length,
      guardRecords: logged.get("fleet_guard") ?? 0,
      reads,
      writes,
    };
  } finally {
    await world.close();
  }
}

export function tableOfRevocation(after: Revocation): Figure[] {
  const { users, revoked, flaggedMs } = after;
  const what = (own: string) => `${number(revoked)} of ${number(users)} grants end: ${own}`;
  return [
    {
      what: what("until half / all are flagged"),
      figure:
        flaggedMs.count < revoked
          ? `${number(flaggedMs.count)} only`
          : `${duration(flaggedMs.median)} / ${duration(flaggedMs.max)}`,
      limit: "the next call: a notification, or 6 h",
    },
    {
      what: what("until all have a mail"),
      figure: after.notices < revoked ? `${number(after.notices)} only` : duration(after.noticesMs),
      limit: `${number(after.notices)} mails`,
    },
    {
      what: what("records of the fleet guard / flagged wrongly"),
      figure: `${after.guardRecords} / ${after.wrong}`,
      limit: "0 wrongly",
    },
    {
      what: what("Firestore, polls included"),
      figure: `${number(after.reads)} reads, ${number(after.writes)} writes`,
      limit: "",
    },
  ];
}

/** A quiet mailbox that is polled within the next hours. */
function quiet(mailbox: Mailbox, start: Date): Own {
  const after = (ms: number) => new Date(start.getTime() + Math.round(ms));
  return {
    watch: { expiresAt: after(6 * DAY_MS), renewAt: after(DAY_MS), failures: 0 },
    sync: {
      dueAt: after(6 * HOUR_MS * evenly(mailbox, 1)),
      dueReason: "quiet",
      retries: 0,
      recent: [],
      syncedAt: after(-HOUR_MS),
    },
  };
}
