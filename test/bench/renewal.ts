import { type Source, startFunction } from "./function-process.ts";
import { type BenchOptions, type Row, toRow } from "./rows.ts";
import { OURS, setStage } from "./stage.ts";

const SIZES = [1_000, 10_000];
const SIZES_FULL = [...SIZES, 100_000];
const RENEWAL: Source = { ...OURS, target: "watchRenewal", signatureType: "http" };
const MB = 1_000_000;
/** 1 200 000 units a minute, 100 for a watch. */
const QUOTA_PER_SECOND = 200;
/** One read of the due list, one write. */
const OPERATIONS_EACH = 2;

interface Run {
  count: number;
  perSecond: number;
  peakMb: number;
  operationsEach: number;
}

/** Fleets whose watches are all due, renewed by one call, as fast as it goes. */
export async function renewal({ isFull, note }: BenchOptions): Promise<Row[]> {
  const runs: Run[] = [];
  for (const count of isFull ? SIZES_FULL : SIZES) {
    note(`renewal of ${count} watches`);
    runs.push(await renew(count));
  }
  const [smallest] = runs;
  if (smallest === undefined) return [];
  return runs.flatMap(({ count, perSecond, peakMb, operationsEach }) => [
    toRow(
      `renewal.memory.${count}`,
      "MB",
      { ours: peakMb, reference: smallest.peakMb },
      `peak; that of ${smallest.count} mailboxes`,
    ),
    toRow(
      `renewal.per-second.${count}`,
      "1/s",
      { ours: perSecond, reference: QUOTA_PER_SECOND },
      "watches, unpaced; the project's quota, of which renewals take half",
    ),
    toRow(
      `renewal.operations.${count}`,
      "per mailbox",
      { ours: operationsEach, reference: OPERATIONS_EACH },
      "Firestore reads and writes; one of each",
    ),
  ]);
}

async function renew(count: number): Promise<Run> {
  const stage = await setStage({
    GMAIL_UNITS_PER_MINUTE: "1000000000",
    RENEWAL_TIME_MS_MAX: "1790000",
  });
  try {
    await stage.store(count, { due: "renewal" });
    stage.firestore.resetOperations();
    const started = await startFunction(RENEWAL, stage.env);
    try {
      const startedAt = performance.now();
      const status = await started.post("");
      const seconds = (performance.now() - startedAt) / 1_000;
      const watches = stage.google.calls.get("users.watch") ?? 0;
      if (status !== 204 || watches !== count) {
        throw new Error(`${watches} watches, ${status}\n${started.output()}`);
      }
      const { documentsRead, documentsWritten } = stage.firestore.operations;
      return {
        count,
        perSecond: count / seconds,
        peakMb: (await started.usage()).peakBytes / MB,
        operationsEach: (documentsRead + documentsWritten) / count,
      };
    } finally {
      await started.stop();
    }
  } finally {
    stage.close();
  }
}
