import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { notificationData } from "../gmail-emulator/notifications.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { startSecondInstance } from "../support/second-instance.ts";

const ADA = "ada@example.com";
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

let scenario: Scenario;
afterEach(() => scenario.close());

async function start(env: Record<string, string> = {}): Promise<void> {
  scenario = await startScenario({ env });
  await scenario.connect(ADA);
}

const added = () => scenario.added(ADA);

/** What Eventarc hands over when Gmail notifies of this id now. */
const notification = (historyId: string) => ({
  data: {
    message: {
      data: notificationData({ emailAddress: ADA, historyId }, "string"),
      messageId: "1",
      publishTime: scenario.clock.now().toISOString(),
    },
  },
});

/** Hands it to the function as it is served. */
async function notify(historyId: string): Promise<void> {
  expect(await scenario.notify(ADA, historyId)).toBe(204);
}

const gaps = () => scenario.events(ADA, "mailbox.gap").map(({ json }) => json);

/** Every publication of a change, repeats included. */
const changesPublished = () => scenario.topic.published.filter(({ json }) => "messageId" in json);

const waitedFor = () =>
  scenario
    .stored(ADA)
    .sync.recent.filter(({ isNotified }) => isNotified === true)
    .map(({ historyId }) => historyId);

/** A mail that can be read only so much later than those that follow it. */
function deliverLate(ms: number) {
  scenario.emulator.setIndexLag(ADA, { kind: "delayed", ms });
  const late = scenario.emulator.deliver(ADA);
  scenario.emulator.setIndexLag(ADA, { kind: "none" });
  return late;
}

describe("a position settles by the store's time", () => {
  beforeEach(() => start());

  it.each([-10, -3, 3, 10])(
    "loses no late record where one instance's clock is %i minutes off",
    async (minutes) => {
      const off = startSecondInstance(scenario, { clockOffsetMs: minutes * MINUTE_MS });
      const right = startSecondInstance(scenario, {});
      scenario.emulator.loseNotifications();
      const late = deliverLate(20 * SECOND_MS);
      // The first listing is by one clock, the one that could settle it by the other.
      const [first, second] = minutes < 0 ? [off, right] : [right, off];
      await first.gmailNotification(notification(scenario.emulator.deliver(ADA).historyId));
      scenario.clock.advance(SECOND_MS);
      await second.gmailNotification(notification(scenario.emulator.deliver(ADA).historyId));
      scenario.clock.advance(30 * SECOND_MS);
      await right.gmailNotification(notification(scenario.emulator.deliver(ADA).historyId));
      expect(added()).toContain(late.messageId);
    },
  );

  it("says how complete the stream is by the store's time, too", async () => {
    const off = startSecondInstance(scenario, { clockOffsetMs: 10 * MINUTE_MS });
    scenario.emulator.loseNotifications();
    await off.gmailNotification(notification(scenario.emulator.deliver(ADA).historyId));
    const { syncedAt, notifiedAt } = scenario.stored(ADA).sync;
    expect(syncedAt?.getTime()).toBeLessThanOrEqual(scenario.clock.now().getTime());
    expect(notifiedAt).toEqual(syncedAt);
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(scenario.stored(ADA).sync.dueReason).toBe("quiet");
  });
});

describe("a burst of more records than a document lists", () => {
  beforeEach(() => start());

  it("loses none that appears seconds late, and publishes nothing twice", async () => {
    scenario.emulator.loseNotifications();
    const late = deliverLate(3 * SECOND_MS);
    const burst = Array.from({ length: 600 }, () => scenario.emulator.deliver(ADA));
    const cursor = scenario.stored(ADA).historyId;
    await notify(burst.at(-1)?.historyId ?? "");
    expect(added()).toHaveLength(600);
    expect(scenario.stored(ADA).historyId).toBe(cursor);
    scenario.clock.advance(5 * SECOND_MS);
    const next = scenario.emulator.deliver(ADA);
    await notify(next.historyId);
    expect(added()).toContain(late.messageId);
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(changesPublished()).toHaveLength(602);
    expect(scenario.stored(ADA).sync.recent.length).toBeLessThan(3);
  });
});

describe("a long catch-up", () => {
  it("P11: continues from page to page, and publishes nothing twice", async () => {
    await start({ SYNC_PAGES_MAX: "2" });
    scenario.emulator.settings.historyPageMax = 100;
    scenario.emulator.loseNotifications();
    const sent = Array.from({ length: 1_500 }, () => scenario.emulator.deliver(ADA).messageId);
    await scenario.reconcileAfter(7 * HOUR_MS);
    for (let run = 0; run < 10; run++) {
      scenario.emulator.resetCalls();
      const before = changesPublished().length;
      await scenario.reconcileAfter(MINUTE_MS);
      // What was read minutes ago has settled, so it is not listed again in every run.
      expect(scenario.emulator.countCalls("history.list", ADA)).toBeLessThan(12);
      // Pages of what is known and not settled yet do not count against the run.
      expect(changesPublished().length).toBeGreaterThanOrEqual(Math.min(before + 1, sent.length));
    }
    expect(added()).toEqual(sent);
    expect(changesPublished()).toHaveLength(1_500);
    expect(scenario.stored(ADA).sync.dueReason).toBe("quiet");
  });

  it("P11: comes past the unsettled pages although an empty one precedes each", async () => {
    await start({ SYNC_PAGES_MAX: "2" });
    scenario.emulator.settings.historyPageMax = 1;
    scenario.emulator.settings.emptyHistoryPages = 1;
    scenario.emulator.loseNotifications();
    const sent = Array.from({ length: 6 }, () => scenario.emulator.deliver(ADA).messageId);
    await scenario.reconcileAfter(7 * HOUR_MS);
    // Less time than it takes until the first of them settle.
    for (let run = 1; run < 6; run++) await scenario.reconcileAfter(SECOND_MS);
    expect(added()).toEqual(sent);
  });
});

describe("a record that appears long after its notification was served", () => {
  beforeEach(() => start());

  /** Served while its record is hidden; a later one is read. */
  async function hide() {
    scenario.emulator.setIndexLag(ADA, { kind: "held" });
    const hidden = scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.emulator.setIndexLag(ADA, { kind: "none" });
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    return hidden;
  }

  it("is published when it appears within half an hour", async () => {
    const hidden = await hide();
    for (let minute = 0; minute < 10; minute++) await scenario.reconcileAfter(MINUTE_MS);
    scenario.emulator.reveal(ADA, hidden.historyId);
    for (let minute = 0; minute < 40; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(added()).toContain(hidden.messageId);
    expect(gaps()).toEqual([]);
  });

  it("is a gap when it does not, and the next one gets the same time", async () => {
    const hidden = await hide();
    for (let minute = 0; minute < 40; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(gaps()).toMatchObject([{ toHistoryId: hidden.historyId, reason: "notified_unseen" }]);
    expect(scenario.stored(ADA).sync).toMatchObject({ dueReason: "quiet", isNotifiedAhead: true });
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.stored(ADA).sync.isNotifiedAhead).toBeUndefined();
  });

  it("P12: costs an idle mailbox a few polls and one at the end, not one a minute", async () => {
    await hide();
    scenario.emulator.resetCalls();
    for (let minute = 0; minute < 60; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(scenario.emulator.countCalls("history.list", ADA)).toBeLessThan(8);
  });

  it("is waited for although its notification arrived after a later one, or with it", async () => {
    scenario.emulator.loseNotifications();
    scenario.emulator.setIndexLag(ADA, { kind: "held" });
    const [first, second] = [scenario.emulator.deliver(ADA), scenario.emulator.deliver(ADA)];
    scenario.emulator.setIndexLag(ADA, { kind: "none" });
    const last = scenario.emulator.deliver(ADA);
    const hold = scenario.emulator.faults.hold("history.list", { count: 1 });
    const instance = startSecondInstance(scenario, {});
    const running = instance.gmailNotification(notification(last.historyId));
    await hold.arrived;
    // These two share the run that follows: they are in its queue before the first run ends.
    const joined = [first, last].map(({ historyId }) =>
      instance.gmailNotification(notification(historyId)),
    );
    await scenario.clock.sleep(0);
    hold.release();
    await Promise.all([running, ...joined]);
    expect(waitedFor()).toEqual([first.historyId]);
    await notify(second.historyId);
    for (let minute = 0; minute < 5; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(waitedFor()).toEqual([first.historyId, second.historyId]);
    scenario.emulator.reveal(ADA);
    for (let minute = 0; minute < 40; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(new Set(added())).toEqual(new Set([first.messageId, second.messageId, last.messageId]));
    expect(gaps()).toEqual([]);
  });

  it("publishes the gap again under the same id after a crash before it was recorded", async () => {
    await hide();
    scenario.clock.advance(31 * MINUTE_MS);
    const { update } = scenario.users;
    scenario.users.update = () =>
      Promise.reject(Object.assign(new Error("the process dies"), { code: 14 }));
    await scenario.runSchedule("mailboxReconciliation");
    scenario.users.update = update;
    for (let minute = 0; minute < 20; minute++) await scenario.reconcileAfter(MINUTE_MS);
    const ids = scenario.topic.published
      .filter(({ json }) => json["reason"] === "notified_unseen")
      .map(({ attributes }) => attributes["ce-id"]);
    expect(ids.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(1);
  });
});

describe("a notification that is acknowledged before a listing is complete", () => {
  /** A mail that can be read only once it is revealed; Gmail notifies of it. */
  async function deliverHidden() {
    scenario.emulator.setIndexLag(ADA, { kind: "held" });
    const hidden = scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.emulator.setIndexLag(ADA, { kind: "none" });
    return hidden;
  }

  /** Long enough for everything that was read to settle; then the hidden record shows. */
  async function expectTold(hidden: { historyId: string; messageId: string }): Promise<void> {
    expect(waitedFor()).toContain(hidden.historyId);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    for (let minute = 0; minute < 8; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(scenario.stored(ADA).sync.dueReason).not.toBe("unfinished");
    scenario.emulator.reveal(ADA, hidden.historyId);
    for (let minute = 0; minute < 40; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(added()).toContain(hidden.messageId);
    expect(gaps().filter(({ reason }) => reason === "notified_unseen")).toEqual([]);
    expect(waitedFor()).toEqual([]);
  }

  const refuse = (count: number | "all") =>
    scenario.emulator.faults.failNext({ method: "history.list", preset: "backendError", count });
  const throttle = () =>
    scenario.emulator.faults.failNext({ method: "history.list", preset: "userRateLimitExceeded" });

  it("P1: is waited for after a run that failed", async () => {
    await start();
    refuse("all");
    const hidden = await deliverHidden();
    expect(added()).toEqual([]);
    scenario.emulator.faults.clear();
    await expectTold(hidden);
  });

  it("P1: is waited for after failures that leave the due time unchanged", async () => {
    await start();
    refuse("all");
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const { dueAt } = scenario.stored(ADA).sync;
    const hidden = await deliverHidden();
    expect(scenario.stored(ADA).sync.dueAt).toEqual(dueAt);
    scenario.emulator.faults.clear();
    await expectTold(hidden);
  });

  it("P1: is waited for where the mailbox is throttled, at one write for each new id", async () => {
    await start();
    throttle();
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.stored(ADA).sync.dueReason).toBe("throttled");
    const { writes } = scenario.users.operations;
    const hidden = await deliverHidden();
    for (let again = 0; again < 5; again++) await notify(hidden.historyId);
    expect(scenario.users.operations.writes).toBe(writes + 1);
    await expectTold(hidden);
  });

  it("P1: is waited for where the mailbox has failed so often that it waits", async () => {
    await start();
    refuse("all");
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    for (let minute = 0; minute < 20; minute++) await scenario.reconcileAfter(MINUTE_MS);
    scenario.emulator.resetCalls();
    const hidden = await deliverHidden();
    expect(scenario.emulator.calls).toEqual([]);
    scenario.emulator.faults.clear();
    for (let minute = 0; minute < 15; minute++) await scenario.reconcileAfter(MINUTE_MS);
    await expectTold(hidden);
  });

  it("P1: is waited for after a run that ran out of pages", async () => {
    await start({ SYNC_PAGES_MAX: "1" });
    scenario.emulator.settings.historyPageMax = 2;
    scenario.emulator.loseNotifications(3);
    for (let mail = 0; mail < 3; mail++) scenario.emulator.deliver(ADA);
    const hidden = await deliverHidden();
    expect(scenario.stored(ADA).sync.dueReason).toBe("unfinished");
    await expectTold(hidden);
  });

  it("P1: is waited for after a run that a newer grant has superseded", async () => {
    await start();
    scenario.emulator.loseNotifications();
    const hidden = await deliverHidden();
    scenario.emulator.deliver(ADA);
    const hold = scenario.emulator.faults.hold("history.list", { count: 1, afterEffect: true });
    const overtaken = notify(hidden.historyId);
    await hold.arrived;
    const { id, grant } = scenario.stored(ADA);
    scenario.users.overwrite(id, { grant: { ...grant, generation: grant.generation + 1 } });
    scenario.clock.advance(10 * SECOND_MS);
    hold.release();
    await overtaken;
    scenario.emulator.loseNotifications(0);
    expect(scenario.logged("mailbox_synced").at(-1)).toMatchObject({ outcome: "superseded" });
    const { dueReason } = scenario.stored(ADA).sync;
    expect(dueReason).toBe("lag");
    await expectTold(hidden);
  });

  it("P1: is waited for once a person has authorized again, at no cost until then", async () => {
    await start();
    scenario.clock.advance(HOUR_MS);
    // The status has no due times, so that only the new authorization lists.
    const { id, grant } = scenario.stored(ADA);
    const { dueAt: _, dueReason: __, ...sync } = scenario.stored(ADA).sync;
    scenario.users.overwrite(id, { status: "reauthorization_required", sync });
    scenario.emulator.resetCalls();
    const hidden = await deliverHidden();
    expect(scenario.emulator.calls).toEqual([]);
    expect(scenario.stored(ADA).sync).toEqual(sync);
    const now = scenario.clock.now();
    scenario.users.overwrite(id, {
      status: "active",
      statusAt: now,
      grant: { ...grant, generation: grant.generation + 1 },
      sync: { ...sync, dueAt: now, dueReason: "unfinished" },
    });
    for (let mail = 0; mail < 3; mail++) {
      scenario.emulator.deliver(ADA);
      await scenario.settled();
      await scenario.reconcileAfter(3 * MINUTE_MS);
    }
    scenario.emulator.reveal(ADA, hidden.historyId);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(added()).toContain(hidden.messageId);
  });

  it("P1: is waited for above the head that a recovery has pinned", async () => {
    await start();
    scenario.emulator.loseNotifications();
    scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(scenario.stored(ADA).sync.recovery).toMatchObject({ isTold: true });
    scenario.emulator.loseNotifications(0);
    const hidden = await deliverHidden();
    for (let minute = 0; minute < 3; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(scenario.stored(ADA).sync.recovery).toBeUndefined();
    await expectTold(hidden);
  });

  it("P12: is polled for a minute after the wait, and when its time ends", async () => {
    await start();
    throttle();
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await deliverHidden();
    scenario.emulator.resetCalls();
    for (let minute = 0; minute < 60; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(scenario.emulator.countCalls("history.list", ADA)).toBe(3);
    expect(scenario.stored(ADA).sync.behindSince).toBeUndefined();
    const isOfDelay = (type = "") => type.endsWith("delayed") || type.endsWith("caught_up");
    const delays = scenario
      .events(ADA)
      .filter(({ attributes }) => isOfDelay(attributes["ce-type"]));
    expect(delays).toEqual([]);
  });
});

describe("an idle mailbox whose watch is renewed every day", () => {
  beforeEach(() => start());

  const head = () => scenario.emulator.account(ADA).historyId;

  /** A record, and a head above it that no notification has named. */
  async function readAhead(): Promise<void> {
    scenario.emulator.settings.notificationIdAhead = "with_head";
    scenario.emulator.loseNotifications(1);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.emulator.settings.notificationIdAhead = "no";
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(scenario.stored(ADA).sync.recent).toMatchObject([{}, { historyId: head() }]);
  }

  /** One day that begins with the renewal; answers what that, with its notification, called. */
  async function renewAndRest(): Promise<string[]> {
    scenario.emulator.resetCalls();
    await scenario.runSchedule("watchRenewal");
    await scenario.settled();
    const calls = scenario.emulator.calls.map(({ method }) => method);
    for (let step = 0; step < 6; step++) await scenario.reconcileAfter(10 * MINUTE_MS);
    for (let step = 0; step < 4; step++) await scenario.reconcileAfter(6 * HOUR_MS);
    return calls.filter((method) => method !== "token.refresh" && method !== "users.getProfile");
  }

  it("passes the notified id when the wait for it ends, and not before", async () => {
    const cursor = scenario.stored(ADA).historyId;
    scenario.emulator.settings.notificationIdAhead = "with_head";
    scenario.clock.advance(24 * HOUR_MS);
    await scenario.runSchedule("watchRenewal");
    await scenario.settled();
    for (let minute = 0; minute < 29; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(scenario.stored(ADA).historyId).toBe(cursor);
    for (let minute = 0; minute < 3; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(gaps()).toMatchObject([{ fromHistoryId: cursor, toHistoryId: head() }]);
    expect(scenario.stored(ADA).historyId).toBe(head());
  });

  it.each([
    ["the last record", () => Promise.resolve()],
    ["a head above the last record", readAhead],
  ])(
    "P12: tells no gap, and lists nothing more, where nothing happens after %s",
    async (_, prepare) => {
      scenario.emulator.deliver(ADA);
      await scenario.settled();
      await prepare();
      for (let look = 0; look < 4; look++) await scenario.reconcileAfter(7 * HOUR_MS);
      expect(scenario.stored(ADA).historyId).toBe(head());
      for (let day = 0; day < 4; day++) expect(await renewAndRest()).toEqual(["users.watch"]);
      expect(gaps()).toEqual([]);
      expect(scenario.stored(ADA).sync.isNotifiedAhead).toBeUndefined();
    },
  );

  it("P12: lists once, and waits for nothing, where the notified head was known before", async () => {
    await readAhead();
    scenario.clock.advance(10 * MINUTE_MS);
    scenario.emulator.resetCalls();
    await notify(head());
    expect(scenario.emulator.countCalls("history.list", ADA)).toBe(1);
    expect(scenario.stored(ADA).historyId).toBe(head());
    expect(scenario.stored(ADA).sync).toMatchObject({ recent: [], dueReason: "quiet" });
    for (let minute = 0; minute < 40; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(gaps()).toEqual([]);
  });

  it("still waits for a notified head that was named only a moment before", async () => {
    await readAhead();
    scenario.emulator.setIndexLag(ADA, { kind: "held" });
    scenario.emulator.loseNotifications(1);
    const hidden = scenario.emulator.deliver(ADA);
    await scenario.reconcileAfter(7 * HOUR_MS);
    await notify(hidden.historyId);
    expect(waitedFor()).toEqual([hidden.historyId]);
    for (let minute = 0; minute < 10; minute++) await scenario.reconcileAfter(MINUTE_MS);
    scenario.emulator.reveal(ADA, hidden.historyId);
    for (let minute = 0; minute < 40; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(added()).toContain(hidden.messageId);
    expect(gaps()).toEqual([]);
  });
});

describe("an idle mailbox whose watch is renewed before its poll is due", () => {
  it("follows its head when each renewal notifies of an id that is not a record", async () => {
    await start({
      WATCH_RENEW_AFTER_MS: String(3 * HOUR_MS),
      RECONCILE_AFTER_MS: String(24 * HOUR_MS),
    });
    scenario.emulator.settings.notificationIdAhead = "with_head";
    for (let renewal = 0; renewal < 5; renewal++) {
      scenario.clock.advance(3 * HOUR_MS);
      await scenario.runSchedule("watchRenewal");
      await scenario.settled();
      for (let step = 0; step < 40; step++) await scenario.reconcileAfter(MINUTE_MS);
      expect(waitedFor()).toEqual([]);
      expect(scenario.stored(ADA).historyId).toBe(scenario.emulator.account(ADA).historyId);
    }
    expect(gaps()).toHaveLength(1);
  });
});

describe("a history that is rewound", () => {
  beforeEach(() => start());

  /** Long ago enough that nothing is unsettled. */
  async function rest(): Promise<bigint> {
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    for (let round = 0; round < 3; round++) await scenario.reconcileAfter(7 * HOUR_MS);
    return BigInt(scenario.stored(ADA).historyId);
  }

  it("loses no mail although the head passes the cursor within the hour", async () => {
    const cursor = await rest();
    scenario.emulator.rewindHead(ADA, String(cursor - 1_104n));
    const sent: string[] = [];
    for (let mail = 0; mail < 120; mail++) {
      sent.push(scenario.emulator.deliver(ADA).messageId);
      await scenario.settled();
      scenario.clock.advance(30 * SECOND_MS);
      if (mail % 2 === 1) await scenario.runSchedule("mailboxReconciliation");
    }
    for (let round = 0; round < 3; round++) await scenario.reconcileAfter(7 * HOUR_MS);
    expect(sent.filter((id) => !added().includes(id))).toEqual([]);
    expect(gaps()).toMatchObject([{ reason: "history_rewound" }]);
  });

  it("is detected by a head below the highest one and above the cursor", async () => {
    await rest();
    scenario.emulator.loseNotifications();
    const before = Array.from({ length: 40 }, () => scenario.emulator.deliver(ADA));
    await notify(before.at(-1)?.historyId ?? "");
    scenario.emulator.rewindHead(ADA, before[9]?.historyId ?? "");
    const sent = scenario.emulator.deliver(ADA).messageId;
    scenario.emulator.loseNotifications(0);
    await scenario.reconcileAfter(7 * HOUR_MS);
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(added()).toContain(sent);
    expect(gaps()).toMatchObject([{ reason: "history_rewound" }]);
    expect(scenario.stored(ADA).sync.recovery).toBeUndefined();
  });

  it("P2: has an id of its own each time, although the cursor has not moved", async () => {
    const cursor = String(await rest());
    for (let time = 0; time < 2; time++) {
      scenario.emulator.deliver(ADA);
      await scenario.settled();
      scenario.emulator.rewindHead(ADA, cursor);
      await scenario.reconcileAfter(7 * HOUR_MS);
      await scenario.reconcileAfter(7 * HOUR_MS);
      expect(scenario.stored(ADA).historyId).toBe(cursor);
    }
    // A repeated id would count once.
    expect(gaps()).toHaveLength(2);
  });

  it("is published as one where the cursor has expired in the meantime", async () => {
    await rest();
    scenario.emulator.loseNotifications();
    const before = Array.from({ length: 40 }, () => scenario.emulator.deliver(ADA));
    await notify(before.at(-1)?.historyId ?? "");
    scenario.emulator.rewindHead(ADA, before[9]?.historyId ?? "");
    scenario.emulator.expireHistory(ADA);
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(gaps()).toMatchObject([{ reason: "history_rewound" }]);
  });

  it("is published as one where Gmail does not know an imported cursor from before it", async () => {
    const cursor = await rest();
    const { id, sync } = scenario.stored(ADA);
    const { highestHead: _, ...imported } = sync;
    scenario.users.overwrite(id, { sync: imported });
    scenario.emulator.rewindHead(ADA, String(cursor - 100n));
    scenario.emulator.settings.startAboveHead = "not_found";
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(gaps()).toMatchObject([{ reason: "history_rewound" }]);
  });

  it("is not published as one where the first server to name the head is behind", async () => {
    await rest();
    scenario.emulator.loseNotifications();
    scenario.emulator.deliver(ADA);
    scenario.clock.advance(MINUTE_MS);
    await notify(scenario.emulator.deliver(ADA).historyId);
    const { historyId } = scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    // Two seconds pass before the head is asked for, and two more before the last look at it.
    scenario.emulator.setReplicaBehind(ADA, 3 * SECOND_MS);
    await notify(historyId);
    expect(gaps()).toMatchObject([{ reason: "history_expired" }]);
    expect(scenario.emulator.countCalls("users.getProfile", ADA)).toBeGreaterThan(2);
  });

  it("P12: costs one listing when a late notification only looks like it", async () => {
    const early = scenario.emulator.deliver(ADA).historyId;
    await rest();
    scenario.emulator.loseNotifications();
    scenario.emulator.resetCalls();
    await notify(early);
    expect(scenario.emulator.calls.map(({ method }) => method)).toEqual(["history.list"]);
    expect(gaps()).toEqual([]);
  });

  it("P12: does not list for a notification that is delivered again", async () => {
    await rest();
    const { historyId } = scenario.emulator.deliver(ADA);
    const again = notification(historyId);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    for (let round = 0; round < 3; round++) await scenario.reconcileAfter(7 * HOUR_MS);
    scenario.emulator.resetCalls();
    await startSecondInstance(scenario, {}).gmailNotification(again);
    expect(scenario.emulator.calls).toEqual([]);
  });
});
