import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type HistoryId, isAfter } from "../../functions/src/domain/history-id.ts";
import {
  NOTIFIED_MAX,
  type Progress,
  RECENT_MAX,
  type Read,
  covers,
  findUnseen,
  heldUntil,
  highestRead,
  isOldHead,
  isTracked,
  notifiedAfter,
  settle,
  withNotified,
} from "../../functions/src/mailbox/settling.ts";

const SETTLE_MS = 120_000;
const id = (value: number | bigint) => String(value) as HistoryId;
const ids = (...values: number[]) => values.map(id);
const at = (seconds: number) => new Date(seconds * 1_000);
const start: Progress = { historyId: id(100), recent: [] };

describe("settle", () => {
  it("remembers the positions that it read, and leaves the cursor where it is", () => {
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

  it("does not settle positions that the pages have not reached", () => {
    const read = settle(
      start,
      { startedAt: at(0), readAt: at(0), records: ids(101, 120) },
      SETTLE_MS,
    );
    const page = { startedAt: at(300), readAt: at(300), records: ids(105), upTo: id(110) };
    const { historyId, recent } = settle(read, page, SETTLE_MS);
    expect(historyId).toBe(id(105));
    expect(recent.map((position) => position.historyId)).toEqual(ids(120));
  });

  it("drops a late record once an older one above it is settled", () => {
    const read = settle(start, { startedAt: at(0), readAt: at(0), records: ids(120) }, SETTLE_MS);
    const late = settle(read, { startedAt: at(60), readAt: at(60), records: ids(110) }, SETTLE_MS);
    expect(late.recent.map(({ historyId }) => historyId)).toEqual(ids(110, 120));
    expect(settle(late, { startedAt: at(121), readAt: at(121), records: [] }, SETTLE_MS)).toEqual({
      historyId: id(120),
      recent: [],
    });
  });

  it("settles nothing by count: the cursor stays, and forgotten positions are read again", () => {
    const records = Array.from({ length: RECENT_MAX + 30 }, (_, index) => id(101 + index));
    const progress = settle(start, { startedAt: at(0), readAt: at(0), records }, SETTLE_MS);
    expect(progress.historyId).toBe(id(100));
    expect(progress.recent.map(({ historyId }) => historyId)).toEqual(records.slice(0, RECENT_MAX));
    const later = settle(progress, { startedAt: at(120), readAt: at(120), records: [] }, SETTLE_MS);
    expect(later).toEqual({ historyId: records[RECENT_MAX - 1], recent: [] });
  });

  it("settles positions below a head that is old enough, even if they were read recently", () => {
    const first = { startedAt: at(0), readAt: at(1), head: { historyId: id(130), at: at(1) } };
    const read = settle(start, { ...first, records: ids(101), upTo: id(101) }, SETTLE_MS);
    const page = { startedAt: at(121), readAt: at(130), records: ids(110, 120), upTo: id(120) };
    expect(settle(read, page, SETTLE_MS)).toEqual({
      historyId: id(120),
      recent: [{ historyId: id(130), at: at(1), isHead: true }],
    });
    const beyond = { startedAt: at(121), readAt: at(130), records: ids(125, 140) };
    expect(settle(read, beyond, SETTLE_MS)).toEqual({
      historyId: id(130),
      recent: [{ historyId: id(140), at: at(130) }],
    });
    const early = { startedAt: at(120), readAt: at(130), records: ids(125) };
    expect(settle(read, early, SETTLE_MS).historyId).toBe(id(100));
  });

  it("remembers a bounded number of heads: the oldest, which settle first, and the newest", () => {
    let progress = start;
    for (let second = 1; second <= 60; second++) {
      const head = { historyId: id(100 + second), at: at(second) };
      const read = { startedAt: at(second), readAt: at(second), records: [], head };
      progress = settle(progress, read, SETTLE_MS);
    }
    const seconds = progress.recent.map(({ historyId }) => Number(historyId) - 100);
    expect(seconds).toHaveLength(20);
    expect(seconds.slice(0, 3)).toEqual([1, 2, 3]);
    expect(seconds.at(-1)).toBe(60);
  });

  it("settles a position in time although its own time has not come", () => {
    const edited = { historyId: id(100), recent: [{ historyId: id(105), at: at(9_000_000) }] };
    const first = settle(edited, { startedAt: at(0), readAt: at(0), records: [] }, SETTLE_MS);
    const second = settle(first, { startedAt: at(120), readAt: at(120), records: [] }, SETTLE_MS);
    expect(second).toEqual({ historyId: id(105), recent: [] });
  });

  it("drops positions that the cursor has passed, as an edited document may hold", () => {
    const recent = ids(97, 100, 104).map((historyId) => ({ historyId, at: at(0) }));
    const read = { startedAt: at(600), readAt: at(600), records: [] };
    const below = settle({ historyId: id(100), recent: recent.slice(0, 1) }, read, SETTLE_MS);
    expect(below).toEqual({ historyId: id(100), recent: [] });
    const around = settle({ historyId: id(100), recent }, read, SETTLE_MS);
    expect(around).toEqual({ historyId: id(104), recent: [] });
  });

  it("keeps a head separate from records, and lets the record replace it", () => {
    const quiet = settle(
      start,
      { startedAt: at(0), readAt: at(0), records: [], head: { historyId: id(105), at: at(0) } },
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
            ...(head !== undefined && { head: { historyId: id(head), at: at(now) } }),
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

describe("a notified id that has not shown as a record", () => {
  const MINUTE = 60;
  /** A complete listing at this time that reads these records. */
  const listing = (seconds: number, records: number[] = [], head = 200): Read => ({
    startedAt: at(seconds),
    readAt: at(seconds),
    records: records.map(id),
    head: { historyId: id(head), at: at(seconds) },
  });
  const notified = (seconds: number, ids_: number[], records: number[] = [], head = 200): Read => ({
    ...listing(seconds, records, head),
    notified: ids_.map(id),
  });
  const waiting = settle(start, notified(0, [105], [103, 107]), SETTLE_MS);

  it("is remembered, and keeps the cursor below it", () => {
    expect(waiting.recent).toContainEqual({ historyId: id(105), at: at(0), isNotified: true });
    expect(covers(waiting, ids(105))).toBe(false);
    expect(isTracked(waiting, id(105))).toBe(true);
    const later = settle(waiting, listing(10 * MINUTE, [110]), SETTLE_MS);
    expect(later.historyId).toBe(id(103));
    expect(heldUntil(later, id(200))).toEqual(at(30 * MINUTE));
    expect(findUnseen(later, listing(29 * MINUTE), SETTLE_MS)).toBeUndefined();
  });

  it("is replaced by the record once that appears", () => {
    const shown = settle(waiting, listing(20 * MINUTE, [105]), SETTLE_MS);
    // All that was there when the head was first named is read by now.
    expect(shown.historyId).toBe(id(200));
    expect(heldUntil(shown, id(200))).toBeUndefined();
  });

  it("becomes a gap from the last settled position after half an hour, and is passed only then", () => {
    const late = listing(30 * MINUTE);
    const unseen = findUnseen(waiting, late, SETTLE_MS);
    expect(unseen).toEqual({ from: id(103), to: id(105), since: at(0) });
    expect(settle(waiting, late, SETTLE_MS).historyId).toBe(id(103));
    expect(settle(waiting, { ...late, unseen }, SETTLE_MS)).toMatchObject({
      historyId: id(200),
      isNotifiedAhead: true,
    });
  });

  it("is decided only by pages that reach it", () => {
    const page = { ...listing(30 * MINUTE, [101]), upTo: id(104) };
    expect(findUnseen(waiting, page, SETTLE_MS)).toBeUndefined();
    expect(findUnseen(waiting, { ...page, upTo: id(105) }, SETTLE_MS)?.to).toBe(id(105));
  });

  it("makes no gap if Gmail itself knows no such id", () => {
    const absurd = settle(start, notified(0, [900], [103]), SETTLE_MS);
    expect(heldUntil(absurd, id(200))).toBeUndefined();
    expect(findUnseen(absurd, listing(30 * MINUTE), SETTLE_MS)).toBeUndefined();
    const dropped = settle(absurd, listing(30 * MINUTE), SETTLE_MS);
    expect(dropped.recent.some(({ isNotified }) => isNotified)).toBe(false);
  });

  it("waits ten minutes and makes no gap where notified ids never appear", () => {
    const ahead = { ...waiting, isNotifiedAhead: true as const };
    expect(settle(ahead, listing(9 * MINUTE), SETTLE_MS).historyId).toBe(id(103));
    const later = settle(ahead, listing(10 * MINUTE), SETTLE_MS);
    expect(later).toMatchObject({ historyId: id(200), isNotifiedAhead: true });
    expect(findUnseen(ahead, listing(40 * MINUTE), SETTLE_MS)).toBeUndefined();
    expect(heldUntil(ahead, id(200))).toBeUndefined();
  });

  it("counts as a head again when the wait ends, if a response named it as one", () => {
    const both = settle(start, notified(0, [200]), SETTLE_MS);
    const named = settle(start, listing(0), SETTLE_MS);
    const after = settle(named, notified(1, [200]), SETTLE_MS);
    for (const held of [both, after]) {
      expect(settle(held, listing(29 * MINUTE), SETTLE_MS).historyId).toBe(id(100));
      const late = listing(31 * MINUTE);
      const unseen = findUnseen(held, late, SETTLE_MS);
      expect(unseen?.to).toBe(id(200));
      expect(settle(held, { ...late, unseen }, SETTLE_MS).historyId).toBe(id(200));
      const ahead = { ...held, isNotifiedAhead: true as const };
      expect(settle(ahead, listing(11 * MINUTE), SETTLE_MS).historyId).toBe(id(200));
    }
  });

  it("is not settled earlier by a head that was named only at the end of the wait", () => {
    const held = settle(start, notified(0, [200], [], 150), SETTLE_MS);
    const late = listing(31 * MINUTE);
    const told = { ...late, unseen: findUnseen(held, late, SETTLE_MS) };
    const next = settle(held, told, SETTLE_MS);
    expect(next.historyId).toBe(id(150));
    expect(next.recent).toEqual([{ historyId: id(200), at: late.startedAt, isHead: true }]);
    expect(settle(next, listing(33 * MINUTE), SETTLE_MS).historyId).toBe(id(200));
  });

  it("causes no wait if it is a head that was named long before", () => {
    const named = settle(start, listing(0), SETTLE_MS);
    const early = notified(10 * MINUTE - 1, [200]);
    expect(isOldHead(named, id(200), early.startedAt, SETTLE_MS)).toBe(false);
    expect(heldUntil(settle(named, early, SETTLE_MS), id(200))).toEqual(at(40 * MINUTE - 1));
    const late = notified(10 * MINUTE, [200]);
    expect(isOldHead(named, id(200), late.startedAt, SETTLE_MS)).toBe(true);
    expect(settle(named, late, SETTLE_MS)).toEqual({ historyId: id(200), recent: [] });
    const below = settle(named, notified(10 * MINUTE, [190]), SETTLE_MS);
    expect(below.historyId).toBe(id(100));
    expect(heldUntil(below, id(200))).toEqual(at(40 * MINUTE));
  });

  it("gets the full wait again once one has appeared exactly", () => {
    const ahead = { ...waiting, isNotifiedAhead: true as const };
    const exact = settle(ahead, notified(60, [120], [120]), SETTLE_MS);
    expect(exact.isNotifiedAhead).toBeUndefined();
    const shown = settle(ahead, listing(60, [105]), SETTLE_MS);
    expect(shown.isNotifiedAhead).toBeUndefined();
    const other = settle(ahead, notified(60, [121], [120]), SETTLE_MS);
    expect(other.isNotifiedAhead).toBe(true);
  });

  it("becomes a gap early when there are more than can be remembered", () => {
    const many = Array.from({ length: NOTIFIED_MAX + 3 }, (_, index) => 101 + index);
    const read = notified(0, many, [], 300);
    const unseen = findUnseen(start, read, SETTLE_MS);
    expect(unseen).toEqual({ from: id(100), to: id(103), since: at(0) });
    const { recent } = settle(start, { ...read, unseen }, SETTLE_MS);
    expect(recent.filter(({ isNotified }) => isNotified)).toHaveLength(NOTIFIED_MAX);
  });
});

describe("withNotified", () => {
  const waiting = (value: number, seconds: number) => ({
    historyId: id(value),
    at: at(seconds),
    isNotified: true as const,
  });

  it("remembers an id that no listing has served, once, with the time of the first notification", () => {
    const first = withNotified(start, ids(107, 103), at(5), SETTLE_MS);
    expect(first).toEqual({ ...start, recent: [waiting(103, 5), waiting(107, 5)] });
    expect(withNotified(first, ids(103, 107), at(9), SETTLE_MS)).toBe(first);
  });

  it("adds nothing for a position that was read, for an old head, or at the cursor", () => {
    const progress: Progress = {
      historyId: id(100),
      recent: [
        { historyId: id(104), at: at(0) },
        { historyId: id(110), at: at(0), isHead: true },
      ],
    };
    expect(withNotified(progress, ids(99, 100, 104, 110), at(600), SETTLE_MS)).toBe(progress);
    const { recent } = withNotified(progress, ids(110), at(599), SETTLE_MS);
    expect(recent.at(-1)).toEqual({ ...waiting(110, 599), isHead: true });
  });

  it("keeps the highest ids if there are too many", () => {
    const many = Array.from({ length: NOTIFIED_MAX + 5 }, (_, index) => id(200 + index));
    const { recent } = withNotified(start, many, at(0), SETTLE_MS);
    expect(recent.map(({ historyId }) => historyId)).toEqual(many.slice(5));
  });

  it("publishes every id of a long wait as a gap, also after a page that published others", () => {
    const held = withNotified(start, ids(103, 203), at(0), SETTLE_MS);
    const page = { ...listing(3_600), records: ids(101, 110), upTo: id(110) };
    const unseen = findUnseen(held, page, SETTLE_MS);
    expect(unseen).toMatchObject({ from: id(100), to: id(103) });
    const next = settle(held, { ...page, unseen }, SETTLE_MS);
    const last = { ...listing(3_601), records: ids(201, 210) };
    expect(findUnseen(next, last, SETTLE_MS)?.to).toBe(id(203));
  });

  it("holds the cursor until the id has appeared", () => {
    const held = withNotified(start, ids(103), at(0), SETTLE_MS);
    const read = { startedAt: at(10), readAt: at(10), records: ids(101, 107) };
    const later = settle(settle(held, read, SETTLE_MS), listing(200), SETTLE_MS);
    expect(later.historyId).toBe(id(101));
    const shown = settle(later, { ...listing(210), records: ids(103) }, SETTLE_MS);
    expect(settle(shown, listing(400), SETTLE_MS).historyId).toBe(id(107));
  });

  const listing = (seconds: number): Read => ({
    startedAt: at(seconds),
    readAt: at(seconds),
    records: [],
  });
});

describe("notifiedAfter", () => {
  const recent = [
    { historyId: id(103), at: at(0), isNotified: true as const },
    { historyId: id(105), at: at(0), isNotified: true as const },
    { historyId: id(106), at: at(9) },
    { historyId: id(107), at: at(9), isNotified: true as const, isHead: true as const },
    { historyId: id(108), at: at(9), isHead: true as const },
  ];

  it("keeps ids notified above the pinned head, and none that was read or named there", () => {
    const kept = notifiedAfter({ recent }, id(104));
    expect(kept).toEqual([
      { historyId: id(105), at: at(0), isNotified: true },
      { historyId: id(107), at: at(9), isNotified: true },
    ]);
  });

  it("drops ids notified before a rewind was detected", () => {
    const kept = notifiedAfter({ recent }, id(104), at(5));
    expect(kept).toEqual([{ historyId: id(107), at: at(9), isNotified: true }]);
  });
});
