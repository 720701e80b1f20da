import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type HistoryId, isAfter } from "../../functions/src/mailbox/history-id.ts";
import {
  type Progress,
  RECENT_MAX,
  covers,
  highestRead,
  settle,
} from "../../functions/src/mailbox/settling.ts";

const SETTLE_MS = 120_000;
const id = (value: number | bigint) => String(value) as HistoryId;
const ids = (...values: number[]) => values.map(id);
const at = (seconds: number) => new Date(seconds * 1_000);
const start: Progress = { historyId: id(100), recent: [] };

describe("settle", () => {
  it("remembers what it read, and leaves the cursor where it is", () => {
    const progress = settle(
      start,
      { startedAt: at(0), readAt: at(0), records: ids(101, 107) },
      SETTLE_MS,
    );
    expect(progress).toEqual({
      historyId: id(100),
      recent: [
        { historyId: id(101), at: at(0) },
        { historyId: id(107), at: at(0) },
      ],
    });
  });

  it("moves the cursor once a listing begins two minutes after a position was read", () => {
    const read = settle(
      start,
      { startedAt: at(0), readAt: at(0), records: ids(101, 107) },
      SETTLE_MS,
    );
    const early = settle(
      read,
      { startedAt: at(119.999), readAt: at(119.999), records: [] },
      SETTLE_MS,
    );
    expect(early.historyId).toBe(id(100));
    const late = settle(
      read,
      { startedAt: at(120), readAt: at(120), records: ids(110) },
      SETTLE_MS,
    );
    expect(late).toEqual({
      historyId: id(107),
      recent: [{ historyId: id(110), at: at(120) }],
    });
  });

  it("does not settle what the pages so far have not reached", () => {
    const read = settle(
      start,
      { startedAt: at(0), readAt: at(0), records: ids(101, 120) },
      SETTLE_MS,
    );
    const page = { startedAt: at(300), readAt: at(300), records: ids(105), upTo: id(110) };
    const { historyId, recent } = settle(read, page, SETTLE_MS);
    expect(historyId).toBe(id(101));
    expect(recent.map((position) => position.historyId)).toEqual(ids(105, 120));
  });

  it("drops a record that showed late once an older one above it is settled", () => {
    const read = settle(start, { startedAt: at(0), readAt: at(0), records: ids(120) }, SETTLE_MS);
    const late = settle(read, { startedAt: at(60), readAt: at(60), records: ids(110) }, SETTLE_MS);
    expect(late.recent.map(({ historyId }) => historyId)).toEqual(ids(110, 120));
    expect(settle(late, { startedAt: at(121), readAt: at(121), records: [] }, SETTLE_MS)).toEqual({
      historyId: id(120),
      recent: [],
    });
  });

  it("settles the oldest beyond the most that is remembered", () => {
    const records = Array.from({ length: RECENT_MAX + 30 }, (_, index) => id(101 + index));
    const progress = settle(start, { startedAt: at(0), readAt: at(0), records }, SETTLE_MS);
    expect(progress.recent).toHaveLength(RECENT_MAX);
    expect(progress.historyId).toBe(id(130));
  });

  it("keeps a head apart from records, and lets the record take its place", () => {
    const quiet = settle(
      start,
      { startedAt: at(0), readAt: at(0), records: [], head: id(105) },
      SETTLE_MS,
    );
    expect(quiet.recent).toEqual([{ historyId: id(105), at: at(0), isHead: true }]);
    expect(covers(quiet, ids(105))).toBe(false);
    expect(highestRead(quiet)).toBe(id(100));
    const shown = settle(
      quiet,
      { startedAt: at(30), readAt: at(30), records: ids(105) },
      SETTLE_MS,
    );
    expect(shown.recent).toEqual([{ historyId: id(105), at: at(30) }]);
    expect(covers(shown, ids(105))).toBe(true);
    expect(
      settle(quiet, { startedAt: at(120), readAt: at(120), records: [] }, SETTLE_MS).historyId,
    ).toBe(id(105));
  });

  it("compares ids above 2^53 exactly", () => {
    const near = 2n ** 53n;
    const progress = { historyId: id(near), recent: [] };
    const next = settle(
      progress,
      { startedAt: at(0), readAt: at(0), records: [id(near + 1n)] },
      SETTLE_MS,
    );
    expect(next.recent).toHaveLength(1);
  });

  it("never moves back, never forgets an unsettled record, and stays in order", () => {
    const step = fc.record({
      seconds: fc.integer({ min: 1, max: 200 }),
      records: fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 6 }),
      head: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        let progress: Progress = { historyId: id(50), recent: [] };
        let now = 0;
        for (const { seconds, records, head } of steps) {
          now += seconds;
          const read = {
            startedAt: at(now),
            readAt: at(now),
            records: records.map(id),
            ...(head !== undefined && { head: id(head) }),
          };
          const next = settle(progress, read, SETTLE_MS);
          expect(isAfter(progress.historyId, next.historyId)).toBe(false);
          expect(covers(next, read.records)).toBe(true);
          const order = next.recent.map(({ historyId }) => Number(historyId));
          expect(order).toEqual([...order].sort((a, b) => a - b));
          expect(order.every((each) => each > Number(next.historyId))).toBe(true);
          progress = next;
        }
      }),
      { numRuns: 500 },
    );
  });
});
