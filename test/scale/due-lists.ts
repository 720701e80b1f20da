import type { Own, Mailbox } from "./fleet.ts";
import { evenly } from "./fleet.ts";
import { type Figure, type ScaleOptions, duration, number } from "./figures.ts";
import { type World, openWorld } from "./world.ts";

/** One run of the reconciliation over a fleet of which so many mailboxes are due. */
export interface DueRun {
  due: number;
  /** One mailbox in a hundred takes a minute. */
  hasSlow: boolean;
  served: number;
  requests: number;
  reads: number;
  writes: number;
  simulatedMs: number;
  realMs: number;
}

const HOUR_MS = 3_600_000;
const RUN_MS_MAX = 180_000;
const FEW = 100;
const SLOW_IN = 100;
const SLOW_MS = 60_000;

/**
 * Runs the reconciliation of a fleet while none, few and all of its mailboxes are due, and once more
 * with all while Gmail is slow for some.
 */
export async function dueLists({ users, store, note }: ScaleOptions): Promise<DueRun[]> {
  const runs: DueRun[] = [];
  const few = Math.min(FEW, users);
  for (const [due, hasSlow] of [
    [0, false],
    [few, false],
    [users, false],
    [users, true],
  ] as const) {
    note?.(`a reconciliation with ${due} due${hasSlow ? ", some of them slow" : ""}`);
    const world = await openWorld({
      users,
      store,
      ownOf: (mailbox, start) => quietUnless(mailbox < due, mailbox, start),
    });
    if (hasSlow) {
      world.google.slownessMs = (mailbox) => (mailbox % SLOW_IN === 0 ? SLOW_MS : 0);
    }
    try {
      runs.push({ due, hasSlow, ...(await runOnce(world)) });
    } finally {
      await world.close();
    }
  }
  return runs;
}

export function tableOfDueLists(runs: readonly DueRun[]): Figure[] {
  return runs.map(({ due, hasSlow, served, requests, reads, writes, simulatedMs, realMs }) => ({
    what: `a reconciliation while ${number(due)} are due${hasSlow ? ", one in a hundred takes a minute" : ""}`,
    figure:
      `${number(served)} read in ${duration(simulatedMs)}; ${number(requests)} requests to Firestore, ` +
      `${number(reads)} reads, ${number(writes)} writes`,
    limit: `50 s a run; ${duration(realMs)} of real time`,
  }));
}

async function runOnce(world: World): Promise<Omit<DueRun, "due" | "hasSlow">> {
  const { time, google, operations } = world;
  let isDone = false;
  const startedAt = performance.now();
  const done = world
    .startInstance()
    .mailboxReconciliation()
    .finally(() => {
      isDone = true;
    });
  await time.passUntil(() => isDone, RUN_MS_MAX);
  await done;
  return {
    ...operations,
    served: google.calls.get("history.list") ?? 0,
    simulatedMs: world.elapsedMs(),
    realMs: performance.now() - startedAt,
  };
}

/** A quiet mailbox that is due within the next hours, or has been for some minutes. */
function quietUnless(isDue: boolean, mailbox: Mailbox, start: Date): Own {
  const waitMs = isDue ? -HOUR_MS * evenly(mailbox, 1) : HOUR_MS * (1 + 5 * evenly(mailbox, 1));
  return {
    sync: {
      dueAt: new Date(start.getTime() + Math.round(waitMs)),
      dueReason: "quiet",
      retries: 0,
      recent: [],
      syncedAt: new Date(start.getTime() - 6 * HOUR_MS),
    },
  };
}
