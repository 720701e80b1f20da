import { RECENT_MAX } from "../../functions/src/mailbox/settling.ts";
import { startFunction } from "./function-process.ts";
import { type BenchOptions, type Row, inTurns, toRow } from "./rows.ts";
import { FLOOR, NOTIFICATION_HEADERS, OURS, notificationOf, setStage } from "./stage.ts";

const NAMES = ["ours", "floor"] as const;
/** A mailbox remembers so many records that have not settled; a run that has read more pauses. */
const CHANGES = RECENT_MAX;
const MB = 1_000_000;

/** One mailbox, its history 100 pages behind, brought to the present by one notification. */
export async function catchUp({ runs, note }: BenchOptions): Promise<Row[]> {
  const stage = await setStage({ SYNC_PAGES_MAX: "1000", SYNC_TIME_MS_MAX: "530000" });
  try {
    await stage.store(2 * runs);
    let mailbox = -1;
    const { ours, floor } = await inTurns(NAMES, runs, async (name, run) => {
      note(`catch-up by ${name}, ${run + 1} of ${runs}`);
      mailbox += 1;
      stage.google.setHead(mailbox, CHANGES + 1);
      stage.pubsub.counts.messages = 0;
      const started = await startFunction(name === "ours" ? OURS : FLOOR, stage.env);
      try {
        const before = await started.usage();
        const startedAt = performance.now();
        await started.post(notificationOf(mailbox, CHANGES + 1), NOTIFICATION_HEADERS);
        const seconds = (performance.now() - startedAt) / 1_000;
        const { cpuMs, peakBytes } = await started.usage();
        const { messages } = stage.pubsub.counts;
        if (messages !== CHANGES) throw new Error(`${name} published ${messages}`);
        return {
          perSecond: CHANGES / seconds,
          cpuMs: ((cpuMs - before.cpuMs) / CHANGES) * 1_000,
          peakMb: peakBytes / MB,
        };
      } finally {
        await started.stop();
      }
    });
    const both = (figure: keyof typeof ours) => ({ ours: ours[figure], reference: floor[figure] });
    return [
      toRow(
        "catch-up.changes-per-second",
        "1/s",
        both("perSecond"),
        `${CHANGES} changes; the floor`,
      ),
      toRow("catch-up.cpu", "ms/1000", both("cpuMs"), "CPU per 1 000 changes; the floor"),
      toRow("catch-up.memory", "MB", both("peakMb"), "peak; the floor"),
    ];
  } finally {
    stage.close();
  }
}
