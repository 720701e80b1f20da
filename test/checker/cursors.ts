import type { Court, GmailTruth, Written } from "./evidence.ts";
import { isNewConnection } from "./documents.ts";
import { type MailboxLedger, type RecordTruth, isTold } from "./ledger.ts";
import { type Ledgers, epochOf } from "./ledgers.ts";

/** Looks at every cursor that is stored: P4, and what a recovery has to tell by then. */
export interface CursorChecks {
  onWritten(written: Written): void;
  /** The head has gone back. */
  rewound(sub: string): void;
}

/** From the answer that names a new cursor to the write that stores it, with a pause of its instance. */
const CONNECTING_MS = 15 * 60_000;

export function createCursorChecks(
  { now, count, violate }: Court,
  gmail: GmailTruth,
  ledgers: Ledgers,
  settleMs: number,
): CursorChecks {
  const rewoundAt = new Map<string, number>();
  return {
    rewound: (sub) => void rewoundAt.set(sub, now()),

    onWritten({ kind, before, after }) {
      const ledger = ledgers.current(after.id);
      const cursor = BigInt(after.historyId);
      const isNew = before === undefined || isNewConnection(before, after);
      if (isNew) {
        const epoch = epochOf(ledger);
        const { head } = gmail.position(after.id);
        // The kept cursor, an imported one, and what `watch` named may be of before the head went back.
        const isKept = kind === "create" || before?.historyId === after.historyId;
        const isOld = isKept || now() < (rewoundAt.get(after.id) ?? -Infinity) + CONNECTING_MS;
        if (cursor > head && !isOld)
          violate("P4", `${after.id} starts at ${cursor}, above the head ${head}`);
        const first = ledger.records.findIndex((it) => it.epoch === epoch && it.id > cursor);
        ledger.since = first < 0 ? ledger.records.length : first;
        ledger.toldUpTo = ledger.since;
        ledger.sinceEpoch = epoch;
        return;
      }
      if (after.status === "disconnected") ledger.since = undefined;
      if (ledger.since === undefined || before === undefined) return;
      if (after.historyId === before.historyId) return;
      checkTold(ledger, cursor);
      checkRecovered(ledger, cursor);
    },
  };

  /** The cursor stands where a gap ends: every message that was there is told by then. */
  function checkRecovered(ledger: MailboxLedger, cursor: bigint): void {
    const gaps = ledger.gaps.filter((gap) => !gap.isRecovered && gap.to === cursor);
    for (const gap of gaps) {
      gap.isRecovered = true;
      const { recoveredSince: since } = gap;
      if (since === undefined) continue;
      const { watchedLabels } = ledger.rules;
      for (const { id, internalDate, labelIds } of gmail.account(ledger.sub).messages) {
        const isWatched = watchedLabels.some((label) => labelIds.includes(label));
        if (watchedLabels.length > 0 && !isWatched) continue;
        const added = ledger.expected.get(`${ledger.sub}/added/${id}`);
        const isMeant =
          added !== undefined && added.record.readableAt <= gap.at && internalDate >= since;
        if (!isMeant || labelIds.includes("DRAFT")) continue;
        if (!ledger.firsts.has(added.event.id)) {
          violate("P1", `message ${id} of ${ledger.sub} is not told after the gap to ${gap.to}`);
        }
      }
    }
  }

  /** Every record up to the cursor has been published or is within a gap. */
  function checkTold(ledger: MailboxLedger, cursor: bigint): void {
    const epoch = epochOf(ledger);
    // Until the gap that tells of it, a cursor is of the time before the head went back.
    const known = ledger.gaps.filter(({ isRewound }) => isRewound).map((gap) => gap.epoch);
    const knownEpoch = Math.max(ledger.sinceEpoch, ...known);
    const isOld = cursor > gmail.position(ledger.sub).head || epoch > knownEpoch;
    for (let index = ledger.toldUpTo; index < ledger.records.length; index++) {
      const record = ledger.records[index];
      if (record === undefined) break;
      const isOfEarlier = record.epoch < epoch;
      // A cursor of the present count has passed every record of an earlier one, and an old cursor
      // none of a later one.
      const isPassed = isOld
        ? isOfEarlier && record.epoch <= knownEpoch && record.id <= cursor
        : isOfEarlier || record.id <= cursor;
      if (!isPassed) break;
      if (!isTold(ledger, record) && !excuse(ledger, record)) {
        violate(
          "P4",
          `the cursor ${cursor} of ${ledger.sub} has passed ${record.id}, not published`,
        );
      }
      ledger.toldUpTo = index + 1;
    }
  }

  /** What shows later than the time to settle is promised only where its notification came first. */
  function excuse({ acknowledged }: MailboxLedger, record: RecordTruth): boolean {
    const lagMs = record.readableAt - record.at;
    const promisedMs = 0.9 * settleMs;
    const isTooLate = record.readableAt > now() && lagMs > promisedMs;
    if (!isTooLate || acknowledged.has(String(record.id))) return false;
    record.isExcused = true;
    count("late record that nothing told of in time");
    return true;
  }
}
