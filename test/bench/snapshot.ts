import { constants, setPriority } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { type FunctionProcess, startFunction } from "./function-process.ts";
import { type BenchOptions, type Row, inTurns, quantile, toRow, withProcesses } from "./rows.ts";
import { type SnapshotServices, startSnapshotServices } from "./snapshot-services.ts";
import {
  NOTIFICATION_HEADERS,
  OURS,
  type Stage,
  notificationOf,
  setStage,
  userId,
} from "./stage.ts";

const NAMES = ["alone", "beside"] as const;
const MESSAGES = 100_000;
/** A tenth: memory must not grow with the mailbox. */
const FEWER_MESSAGES = 10_000;
/** Mailboxes with live mail; the last ones have a snapshot, too. */
const MAILBOXES = 200;
/** Notifications a second; each tenth is of the mailbox with the snapshot. */
const RATE = 20;
const TIMED = 900;
const OWN_EVERY = 10;
const WARM_UP = 300;
/** A twentieth of the quota is the share of snapshots: some pages in each run. */
const UNITS_PER_MINUTE = 6_000;
const SHARE = 0.05 * UNITS_PER_MINUTE;
const RUNS_MAX = 1_000;
/** Three times as often as deployed. */
const RUN_EVERY_MS = 20_000;
const MB = 1_000_000;

/**
 * A snapshot of 100 000 messages beside live traffic. Deployed, the two functions have processors of
 * their own; here what the snapshot needs gives way, so that the delays show what they share: the
 * store, and the mailbox.
 */
export async function snapshots({ runs, isFull, note }: BenchOptions): Promise<Row[]> {
  if (!isFull) return [];
  const stage = await setStage({
    HISTORY_SETTLE_MS: "0",
    GMAIL_UNITS_PER_MINUTE: String(UNITS_PER_MINUTE),
  });
  const services = await startSnapshotServices();
  const heads = new Map<number, number>();
  let nextMailbox = MAILBOXES;
  try {
    await stage.store(MAILBOXES);
    const source = { ...OURS, target: "mailboxReconciliation", signatureType: "http" } as const;
    const start = () => [
      startFunction(OURS, stage.env),
      startFunction(source, { ...stage.env, ...services.env }),
    ];
    return await withProcesses(start, async ([notified, reconciled]) => {
      if (notified === undefined || reconciled === undefined) throw new Error("nothing started");
      for (const { pid } of [reconciled, services]) {
        setPriority(pid, constants.priority.PRIORITY_LOW);
      }
      const live = (own: number, count: number) => delays(stage, notified, { heads, own, count });
      const snapshot = async (messages: number) => {
        const mailbox = nextMailbox++;
        await services.begin({ mailbox, messages });
        await stage.store(1, { first: mailbox, hasSnapshot: true });
        return {
          mailbox,
          completed: (pace: Pace) => complete(services, reconciled, { messages, pace }),
        };
      };
      await live(0, WARM_UP);
      const few = await snapshot(FEWER_MESSAGES);
      await few.completed({ everyMs: 0 });
      const fewPeak = (await reconciled.usage()).peakBytes / MB;

      let units = 0;
      const medians = await inTurns(NAMES, runs, async (name, run) => {
        note(`live mail ${name}, ${run + 1} of ${runs}`);
        const { mailbox, completed } = await snapshot(MESSAGES);
        if (name === "alone") return figures(await live(mailbox, TIMED));
        const pace = { everyMs: RUN_EVERY_MS };
        const ended = completed(pace);
        const beside = await live(mailbox, TIMED);
        // What is left of it, as fast as it goes.
        pace.everyMs = 0;
        units = Math.max(units, await ended);
        return figures(beside);
      });
      const { beside, alone } = medians;
      const both = (of: keyof typeof beside) => ({ ours: beside[of], reference: alone[of] });
      const peak = (await reconciled.usage()).peakBytes / MB;
      const what = `push to published, ${RATE}/s, beside a snapshot of ${MESSAGES} messages; without`;
      return [
        toRow("snapshot.live-delay.p50", "ms", both("p50"), what),
        toRow("snapshot.live-delay.p95", "ms", both("p95"), what),
        toRow("snapshot.own-delay.p50", "ms", both("own"), "the mailbox of the snapshot itself"),
        toRow(
          "snapshot.units",
          "1",
          { ours: units, reference: SHARE },
          "the most of one run, which is one of a minute; its share of the quota",
        ),
        toRow(
          "snapshot.memory",
          "MB",
          { ours: peak, reference: fewPeak },
          `peak after ${MESSAGES} messages; after ${FEWER_MESSAGES}`,
        ),
      ];
    });
  } finally {
    stage.close();
    await services.stop();
  }
}

/** From the start of one run of the reconciliation to the next. */
interface Pace {
  everyMs: number;
}

interface Delays {
  all: number[];
  own: number[];
}

function figures({ all, own }: Delays): Record<"p50" | "p95" | "own", number> {
  return { p50: quantile(all, 0.5), p95: quantile(all, 0.95), own: quantile(own, 0.5) };
}

/** From the moment at which a notification was to be sent until its change is published. */
async function delays(
  stage: Stage,
  process: FunctionProcess,
  { heads, own, count }: { heads: Map<number, number>; own: number; count: number },
): Promise<Delays> {
  const due = new Map<string, number>();
  const took: Delays = { all: [], own: [] };
  const before = stage.pubsub.onPublished;
  stage.pubsub.onPublished = (orderingKey, type) => {
    before(orderingKey, type);
    const dueAt = due.get(orderingKey);
    if (dueAt === undefined || type !== "mailbox.message.added") return;
    due.delete(orderingKey);
    took[orderingKey === userId(own) ? "own" : "all"].push(performance.now() - dueAt);
  };
  const startedAt = performance.now();
  const sent: Promise<number>[] = [];
  for (let index = 0; index < count; index++) {
    const mailbox = index % OWN_EVERY === 0 ? own : index % MAILBOXES;
    const dueAt = startedAt + (index * 1_000) / RATE;
    await pause(Math.max(0, dueAt - performance.now()));
    const head = (heads.get(mailbox) ?? 1) + 1;
    heads.set(mailbox, head);
    stage.google.setHead(mailbox, head);
    due.set(userId(mailbox), dueAt);
    sent.push(process.post(notificationOf(mailbox, head), NOTIFICATION_HEADERS));
  }
  await Promise.all(sent);
  stage.pubsub.onPublished = before;
  return took;
}

/** Runs the reconciliation until the snapshot is complete; resolves to the most units of one run. */
async function complete(
  services: SnapshotServices,
  process: FunctionProcess,
  { messages, pace }: { messages: number; pace: Pace },
): Promise<number> {
  let most = 0;
  let told = await services.told();
  for (let run = 0; !told.isComplete; run++) {
    if (run === RUNS_MAX) throw new Error(`the snapshot does not end\n${process.output()}`);
    const { units } = told;
    const startedAt = performance.now();
    const status = await process.post("");
    if (status >= 300) throw new Error(`answered ${status}\n${process.output()}`);
    told = await services.told();
    most = Math.max(most, told.units - units);
    const waitUntil = () => startedAt + pace.everyMs - performance.now();
    while (waitUntil() > 0 && !told.isComplete) await pause(Math.min(waitUntil(), 100));
  }
  if (told.existing !== messages)
    throw new Error(`${told.existing} of ${messages} messages were published`);
  return most;
}
