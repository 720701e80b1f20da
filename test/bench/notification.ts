import { setTimeout as pause } from "node:timers/promises";
import { type FunctionProcess, startFunction } from "./function-process.ts";
import { type BenchOptions, type Row, inTurns, quantile, toRow, withProcesses } from "./rows.ts";
import {
  FLOOR,
  NOTIFICATION_HEADERS,
  OURS,
  type Stage,
  notificationOf,
  setStage,
  userId,
} from "./stage.ts";

const NAMES = ["ours", "floor"] as const;
type Name = (typeof NAMES)[number];

/** Of each contestant, so that neither meets what the other wrote. */
const MAILBOXES = 1_000;
/** What the deployed function is set to take at a time. */
const CONCURRENCY = 20;
const WARM_UP = 500;
const PRODUCTIVE = 400;
const REPEATED = 400;
const BURST = 200;
/** Notifications a second whose latency is taken, whether the one before was answered or not. */
const RATE = 40;
const TIMED = 120;
const MB = 1_000_000;

/** A contestant, and what has happened in its mailboxes. */
interface Contestant {
  name: Name;
  process: FunctionProcess;
  first: number;
  heads: number[];
}

/** Notifications to one process: alone, repeated, many for one mailbox, many for many. */
export async function notifications({ runs, note }: BenchOptions): Promise<Row[]> {
  // What the floor does not do at all would else grow with the length of the measuring.
  const stage = await setStage({ HISTORY_SETTLE_MS: "0" });
  try {
    await stage.store(2 * MAILBOXES);
    const start = () => [startFunction(OURS, stage.env), startFunction(FLOOR, stage.env)];
    return await withProcesses(start, async (processes) => {
      const contestants = processes.map((process, index): Contestant => {
        const heads = Array.from({ length: MAILBOXES }, () => 1);
        return { name: NAMES[index] ?? "ours", process, first: index * MAILBOXES, heads };
      });
      for (const each of contestants) await productive(stage, each, WARM_UP);
      // One kind at a time: a process that idles for 8 s, while another has its turn, is cleaned up by V8.
      const turns = <Figure extends string>(
        kind: string,
        measure: (contestant: Contestant) => Promise<Record<Figure, number>>,
      ) =>
        inTurns(NAMES, runs, (name, run) => {
          note(`${kind} to ${name}, ${run + 1} of ${runs}`);
          const contestant = contestants.find((each) => each.name === name);
          if (contestant === undefined) throw new Error(`nobody is called ${name}`);
          return measure(contestant);
        });
      const [one, again, many, all, timed, peak] = [
        await turns("notifications", (each) =>
          measured("productive", each, () => productive(stage, each, PRODUCTIVE)),
        ),
        await turns("repeated notifications", (each) =>
          measured("repeated", each, () => repeated(each, REPEATED)),
        ),
        await turns("bursts", (each) => burst(stage, each)),
        await turns("storms", (each) =>
          measured("storm", each, () => productive(stage, each, MAILBOXES)),
        ),
        await turns("timed notifications", (each) => latency(stage, each)),
        await turns("the question of the peak", async ({ process }) => ({
          peakMb: (await process.usage()).peakBytes / MB,
        })),
      ] as const;
      const of = (name: Name) => ({
        ...one[name],
        ...again[name],
        ...many[name],
        ...all[name],
        ...timed[name],
        ...peak[name],
      });
      return toRows({ ours: of("ours"), floor: of("floor") });
    });
  } finally {
    stage.close();
  }
}

async function measured<Kind extends string>(
  kind: Kind,
  { process }: Contestant,
  act: () => Promise<number>,
): Promise<Record<`${Kind}Cpu` | `${Kind}Rate`, number>> {
  const before = await process.usage();
  const startedAt = performance.now();
  const count = await act();
  const seconds = (performance.now() - startedAt) / 1_000;
  const after = await process.usage();
  return {
    [`${kind}Cpu`]: (after.cpuMs - before.cpuMs) / count,
    [`${kind}Rate`]: count / seconds,
  } as Record<`${Kind}Cpu` | `${Kind}Rate`, number>;
}

/** A message arrives in the mailbox; the body of the notification that tells of it. */
function deliver(stage: Stage, { first, heads }: Contestant, index: number): string {
  const head = (heads[index] ?? 1) + 1;
  heads[index] = head;
  stage.google.setHead(first + index, head);
  return notificationOf(first + index, head);
}

async function send({ process, name }: Contestant, body: string): Promise<void> {
  const status = await process.post(body, NOTIFICATION_HEADERS);
  if (status >= 300) throw new Error(`${name} answered ${status}\n${process.output()}`);
}

/** One change each, in as many mailboxes as there are, twenty at a time. */
async function productive(stage: Stage, contestant: Contestant, count: number): Promise<number> {
  let next = 0;
  const worker = async () => {
    while (next < count) await send(contestant, deliver(stage, contestant, next++ % MAILBOXES));
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return count;
}

/** Each tells of what has been served before. */
async function repeated(
  contestant: Contestant,
  count: number,
  atATime = CONCURRENCY,
): Promise<number> {
  const { first, heads } = contestant;
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const index = next++ % MAILBOXES;
      await send(contestant, notificationOf(first + index, heads[index] ?? 1));
    }
  };
  await Promise.all(Array.from({ length: atATime }, worker));
  return count;
}

/**
 * One mailbox, a change with each; the floor takes them one by one, or it would refuse its own
 * writes. The connections are open: how many notifications share a run must not depend on how long
 * it takes to accept them.
 */
async function burst(
  stage: Stage,
  contestant: Contestant,
): Promise<Record<"burstCpu" | "burstRate", number>> {
  await repeated(contestant, BURST, BURST);
  const bodies = Array.from({ length: BURST }, () => deliver(stage, contestant, 0));
  return measured("burst", contestant, async () => {
    if (contestant.name === "floor") for (const body of bodies) await send(contestant, body);
    else await Promise.all(bodies.map((body) => send(contestant, body)));
    return BURST;
  });
}

/** From the moment at which a notification was to be sent until its change is published. */
async function latency(
  stage: Stage,
  contestant: Contestant,
): Promise<Record<"p50Ms" | "p99Ms", number>> {
  const due = new Map<string, number>();
  const tookMs: number[] = [];
  stage.pubsub.onPublished = (orderingKey) => {
    const dueAt = due.get(orderingKey);
    if (dueAt !== undefined) tookMs.push(performance.now() - dueAt);
  };
  const startedAt = performance.now();
  const sent: Promise<void>[] = [];
  for (let index = 0; index < TIMED; index++) {
    const dueAt = startedAt + (index * 1_000) / RATE;
    await pause(Math.max(0, dueAt - performance.now()));
    due.set(userId(contestant.first + index), dueAt);
    sent.push(send(contestant, deliver(stage, contestant, index)));
  }
  await Promise.all(sent);
  stage.pubsub.onPublished = () => {};
  return { p50Ms: quantile(tookMs, 0.5), p99Ms: quantile(tookMs, 0.99) };
}

function toRows(
  medians: Record<
    Name,
    Record<
      | `${"productive" | "repeated" | "burst" | "storm"}${"Cpu" | "Rate"}`
      | "p50Ms"
      | "p99Ms"
      | "peakMb",
      number
    >
  >,
): Row[] {
  const { ours, floor } = medians;
  const both = (figure: keyof typeof ours) => ({ ours: ours[figure], reference: floor[figure] });
  const at = `${CONCURRENCY} at a time`;
  const timed = `push to published, ${RATE}/s, from when it was due; the floor`;
  return [
    toRow("notification.cpu", "ms", both("productiveCpu"), `one change each, ${at}; the floor`),
    toRow("notification.per-second", "1/s", both("productiveRate"), "the same"),
    toRow("notification.repeated.cpu", "ms", both("repeatedCpu"), `served before; the floor`),
    toRow("notification.repeated.per-second", "1/s", both("repeatedRate"), "the same"),
    toRow("notification.burst.cpu", "ms", both("burstCpu"), `${BURST} at once, one mailbox; floor`),
    toRow("notification.burst.per-second", "1/s", both("burstRate"), "the floor one by one"),
    toRow("notification.latency.p50", "ms", both("p50Ms"), timed),
    toRow("notification.latency.p99", "ms", both("p99Ms"), timed),
    toRow(
      "storm.cpu",
      "ms",
      both("stormCpu"),
      `${MAILBOXES} mailboxes, one change each; the floor`,
    ),
    toRow("storm.per-second", "1/s", both("stormRate"), "the same"),
    toRow("storm.memory", "MB", both("peakMb"), "peak after all of it; the floor"),
  ];
}
