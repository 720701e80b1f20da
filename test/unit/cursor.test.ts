import { describe, expect, it } from "vitest";
import type { Due, DueContext, Trigger } from "../../functions/src/domain/schedule.ts";
import type { HistoryId } from "../../functions/src/domain/history-id.ts";
import type { HistoryRecord } from "../../functions/src/domain/history.ts";
import type { Sync, User } from "../../functions/src/domain/user.ts";
import {
  type Listed,
  isLagging,
  isStale,
  planEnd,
  planPage,
  planRead,
} from "../../functions/src/mailbox/cursor.ts";
import { userOf } from "../support/users.ts";

const NOW = new Date("2026-03-01T12:00:00Z");
const SETTLE_MS = 120_000;
const HOUR_MS = 3_600_000;
const EVERYTHING = { publishDrafts: true, labelIds: [] };
const clock = { now: () => NOW, sleep: () => Promise.resolve() };
const context: DueContext = {
  clock,
  random: () => 0,
  config: { sync: { reconcileAfterMs: 6 * HOUR_MS } },
};
const id = (value: number) => String(value) as HistoryId;

function userAt(historyId: number, sync: Partial<Sync> = {}): User {
  const read = { at: NOW, localAt: NOW, receivedAt: NOW };
  return userOf({ historyId: id(historyId), read, sync: { retries: 0, recent: [], ...sync } });
}

function added(historyId: number): HistoryRecord {
  const message = { id: `m${historyId}`, threadId: "t", labelIds: ["INBOX"] };
  return { historyId: id(historyId), items: [{ kind: "added", message }], unreadable: false };
}

const notified = (historyId: number): Trigger => ({ kind: "notified", historyId: id(historyId) });
const page = (...records: HistoryRecord[]) => ({ records, index: 0, upTo: id(0) });

describe("planning a page", () => {
  it("publishes the records after the cursor that have not been read, in Gmail's order", () => {
    const user = userAt(100, { recent: [{ historyId: id(102), at: NOW }] });
    const plan = planPage(user, page(added(99), added(101), added(102), added(103)), EVERYTHING);
    expect(plan.publish).toMatchObject([{ messageId: "m101" }, { messageId: "m103" }]);
    expect(plan).toMatchObject({ records: ["101", "103"], rest: { upTo: "103" }, isLast: true });
  });

  it("divides a large page between records, and continues where it stopped", () => {
    const records = Array.from({ length: 2_100 }, (_, index) => added(101 + index));
    const first = planPage(userAt(100), page(...records), EVERYTHING);
    expect(first).toMatchObject({ isLast: false, rest: { index: 2_000, upTo: "2100" } });
    const second = planPage(userAt(100), first.rest, EVERYTHING);
    expect(second.publish).toHaveLength(100);
    expect(second).toMatchObject({ isLast: true, rest: { upTo: "2200" } });
  });

  it("says nothing of an empty page, and that nothing is left of it", () => {
    const plan = planPage(userAt(100), { records: [], index: 0, upTo: id(100) }, EVERYTHING);
    expect(plan).toMatchObject({ publish: [], records: [], isLast: true, rest: { upTo: "100" } });
  });

  it("names a record that cannot be read, and publishes it as a gap", () => {
    const broken = { ...added(101), items: [], unreadable: true };
    const plan = planPage(userAt(100), { ...page(broken), upTo: id(100) }, EVERYTHING);
    expect(plan.unreadable).toEqual(["101"]);
    expect(plan.publish).toMatchObject([{ kind: "gap", reason: "unreadable_record" }]);
  });
});

describe("planning a checkpoint", () => {
  it("publishes a gap before the cursor passes an id that was announced and never listed", () => {
    const at = new Date(NOW.getTime() - HOUR_MS);
    const user = userAt(100, { recent: [{ historyId: id(105), at, isNotified: true }] });
    const read = {
      startedAt: NOW,
      readAt: NOW,
      records: [],
      head: { historyId: id(110), at: NOW },
    };
    const plan = planRead(user, read, { kind: "due" }, SETTLE_MS);
    expect(plan.gap).toMatchObject({ kind: "gap", toHistoryId: "105", reason: "notified_unseen" });
    expect(plan.progressFrom(user).recent).not.toContainEqual(
      expect.objectContaining({ historyId: "105" }),
    );
  });

  it("settles nothing for half an hour after a mailbox has become active again", () => {
    const longAgo = new Date(NOW.getTime() - 20 * 60_000);
    const old = { historyId: id(105), at: longAgo };
    const connectedAt = new Date(NOW.getTime() - 24 * HOUR_MS);
    const user = { ...userAt(100, { recent: [old] }), connectedAt, statusAt: longAgo };
    const read = { startedAt: NOW, readAt: NOW, records: [] };
    const resumed = planRead(user, read, { kind: "due" }, SETTLE_MS);
    expect(resumed.progressFrom(user).historyId).toBe("100");
    const earlier = { ...user, statusAt: new Date(NOW.getTime() - HOUR_MS) };
    const settled = planRead(earlier, read, { kind: "due" }, SETTLE_MS);
    expect(settled.progressFrom(earlier).historyId).toBe("105");
  });
});

/** A complete listing whose records reach up to `newest`. */
function listing(newest: number, freshCount: number): Listed {
  const head = { historyId: id(newest), at: NOW };
  const records = freshCount > 0 ? [id(newest)] : [];
  const last = { startedAt: NOW, readAt: NOW, records, head };
  return { kind: "listed", last, freshCount, newest: id(newest), head: id(newest) };
}

function endOf(user: User, trigger: Trigger, listed: Listed, lags = false) {
  const read = planRead(user, listed.last, trigger, SETTLE_MS);
  const seen = { user, trigger, isLook: false, watchedChanges: 0, context };
  return planEnd(seen, listed, read, lags);
}

describe("the next look after a complete listing", () => {
  const SECOND = 1_000;
  const due = (afterMs: number, dueReason: Due["dueReason"], retries: number): Due => ({
    dueAt: new Date(NOW.getTime() + afterMs),
    dueReason,
    retries,
  });
  const lag = (retries: number) => userAt(100, { dueReason: "lag", dueAt: NOW, retries });
  const quiet = userAt(100, { dueReason: "quiet", dueAt: new Date(NOW.getTime() + HOUR_MS) });
  const stopped = userAt(100, { dueReason: "unfinished", dueAt: NOW });
  const looks: [
    what: string,
    user: User,
    trigger: Trigger,
    listed: Listed,
    lags: boolean,
    due?: Due,
  ][] = [
    [
      "nothing announced is readable",
      quiet,
      notified(105),
      listing(100, 0),
      true,
      due(30 * SECOND, "lag", 0),
    ],
    [
      "more was announced than came",
      quiet,
      notified(105),
      listing(103, 1),
      false,
      due(60 * SECOND, "lag", 4),
    ],
    ["everything announced came", quiet, notified(103), listing(103, 1), false],
    [
      "a look for what lags found nothing",
      lag(1),
      { kind: "due" },
      listing(100, 0),
      false,
      due(120 * SECOND, "lag", 2),
    ],
    [
      "the last such look found nothing",
      lag(4),
      { kind: "due" },
      listing(100, 0),
      false,
      due(150 * SECOND, "quiet", 0),
    ],
    [
      "a run continues with what was left, for any trigger",
      stopped,
      notified(103),
      listing(103, 1),
      false,
      due(150 * SECOND, "quiet", 0),
    ],
    ["an operator asks, and nothing is due", quiet, { kind: "requested" }, listing(100, 0), false],
  ];

  it.each(looks)("%s", (_, user, trigger, listed, lags, next) => {
    expect(endOf(user, trigger, listed, lags).due).toEqual(next);
  });

  it("is written although nothing has changed when an operator asks", () => {
    expect(endOf(quiet, { kind: "requested" }, listing(100, 0)).isWorthWriting).toBe(true);
    expect(endOf(quiet, { kind: "renewed" }, listing(100, 0)).isWorthWriting).toBe(false);
  });

  it("does not let an absurd id make the mailbox deaf to those that follow", () => {
    const { sync } = endOf(quiet, notified(999_999), listing(103, 1));
    expect(sync.notifiedHistoryId).toBe("103");
  });
});

describe("a notification", () => {
  it("is stale when its record has been read", () => {
    const user = userAt(100, {
      dueAt: new Date(NOW.getTime() + HOUR_MS),
      notifiedHistoryId: id(105),
      recent: [{ historyId: id(104), at: NOW }],
    });
    expect(isStale(user, notified(99), clock)).toBe(true);
    expect(isStale(user, notified(104), clock)).toBe(true);
    // Announced before 105 was served, and never read: its record may still be hidden.
    expect(isStale(user, notified(103), clock)).toBe(false);
    expect(isStale(user, { kind: "due" }, clock)).toBe(false);
  });

  it("lags when it announces more than was known and the listing brings nothing", () => {
    const user = userAt(100);
    const lags = (trigger: Trigger, freshCount: number) =>
      isLagging(user, trigger, listing(100, freshCount), id(100), SETTLE_MS);
    expect(lags(notified(105), 0)).toBe(true);
    expect(lags(notified(105), 1)).toBe(false);
    expect(lags(notified(100), 0)).toBe(false);
    expect(lags({ kind: "due" }, 0)).toBe(false);
  });
});
