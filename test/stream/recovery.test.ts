import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

describe("an expired history", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario({ env: { SYNC_PAGES_MAX: "2" } });
    await scenario.connect(ADA);
    scenario.emulator.loseNotifications();
  });
  afterEach(() => scenario.close());

  const added = () => scenario.added(ADA);
  const gaps = () =>
    scenario.topic.published.filter(({ attributes }) => attributes["ce-type"] === "mailbox.gap");

  /** Runs the reconciliation until nothing is left unfinished. */
  async function reconcile(): Promise<number> {
    for (let run = 1; run <= 60; run++) {
      await scenario.runSchedule("mailboxReconciliation");
      if (scenario.stored(ADA).sync.dueReason === "quiet") return run;
      scenario.clock.advance(60_000);
    }
    throw new Error("the mailbox is wedged");
  }

  it("P1: is recovered: messages since the last sync are published, oldest first", async () => {
    const missed = [1, 2, 3, 4, 5].map(() => scenario.emulator.deliver(ADA).messageId);
    const cursor = scenario.stored(ADA).historyId;
    scenario.emulator.expireHistory(ADA);
    const head = scenario.emulator.account(ADA).historyId;
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    expect(added()).toEqual(missed);
    expect(gaps().map(({ json }) => [json["fromHistoryId"], json["toHistoryId"]])).toEqual([
      [cursor, head],
    ]);
    const recovered = scenario.events(ADA, "mailbox.message.added");
    expect(recovered.every(({ json }) => json["recovered"] === true)).toBe(true);
    expect(scenario.stored(ADA)).toMatchObject({ historyId: head });
    expect(scenario.stored(ADA).sync).not.toHaveProperty("recovery");
  });

  it("P2: gives a recovered message the id that the history would have given it", async () => {
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    const { id } = scenario.stored(ADA);
    expect(scenario.events(ADA).map(({ attributes }) => attributes["ce-id"])).toContain(
      `${id}/added/${messageId}`,
    );
  });

  it("P1: keeps its bounds when the run that pinned the head died before it published the gap", async () => {
    scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    const head = scenario.emulator.account(ADA).historyId;
    scenario.clock.advance(7 * HOUR_MS);
    const publish = scenario.topic.onPublished;
    scenario.topic.onPublished = () => {
      scenario.topic.onPublished = publish;
      throw new Error("the instance died");
    };
    await scenario.runSchedule("mailboxReconciliation");
    scenario.emulator.deliver(ADA);
    scenario.clock.advance(HOUR_MS);
    await reconcile();
    expect(new Set(gaps().map(({ json }) => json["toHistoryId"]))).toEqual(new Set([head]));
    expect(added()).toHaveLength(2);
  });

  it("is recovered in bounded runs, over many pages, while mail keeps arriving", async () => {
    await scenario.close();
    scenario = await startScenario({ env: { SYNC_PAGES_MAX: "3" } });
    await scenario.connect(ADA);
    scenario.emulator.loseNotifications();
    scenario.emulator.settings.messagePageMax = 4;
    const missed = Array.from({ length: 30 }, () => scenario.emulator.deliver(ADA).messageId);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    const late: string[] = [];
    for (let run = 0; run < 60; run++) {
      await scenario.runSchedule("mailboxReconciliation");
      if (scenario.stored(ADA).sync.dueReason === "quiet") break;
      scenario.clock.advance(60_000);
      if (run < 8) late.push(scenario.emulator.deliver(ADA).messageId);
    }
    expect(scenario.stored(ADA).sync.dueReason).toBe("quiet");
    expect(new Set(added())).toEqual(new Set([...missed, ...late]));
    expect(added().filter((id) => missed.includes(String(id)))).toEqual(missed);
    expect(gaps().length).toBeGreaterThan(0);
  });

  it("finds its page again after much new mail has moved it", async () => {
    scenario.emulator.settings.messagePageMax = 2;
    const missed = Array.from({ length: 6 }, () => scenario.emulator.deliver(ADA).messageId);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    while (scenario.stored(ADA).sync.recovery?.isWalked !== true) {
      await scenario.runSchedule("mailboxReconciliation");
    }
    const late = Array.from({ length: 13 }, () => scenario.emulator.deliver(ADA).messageId);
    await reconcile();
    expect(added()).toEqual([...missed, ...late]);
  });

  it("leaves drafts out of a recovery", async () => {
    scenario.emulator.saveDraft(ADA, { subject: "to" });
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    expect(added()).toEqual([messageId]);
  });

  /** Six messages of before the last sync, five after it, in pages of four. */
  function deliverEleven(): string[] {
    const { emulator, clock } = scenario;
    emulator.settings.messagePageMax = 4;
    const old = clock.now().getTime() - DAY_MS;
    for (let n = 0; n < 6; n++) emulator.deliver(ADA, { internalDate: old });
    const missed = [1, 2, 3, 4, 5].map(() => emulator.deliver(ADA).messageId);
    emulator.expireHistory(ADA);
    clock.advance(7 * HOUR_MS);
    return missed;
  }

  const DATELESS = { method: "messages.get", status: 200, body: { id: "1" } };
  const datelessIds = () =>
    scenario.logged("message_date_unreadable").map(({ messageId }) => messageId);

  it("P11: is recovered even if no message has a readable date", async () => {
    const missed = deliverEleven();
    scenario.emulator.faults.failNext({ ...DATELESS, count: "all" });
    await reconcile();
    // Where it cannot be told what is old, all of it is told.
    expect(added()).toHaveLength(11);
    expect(added().slice(-5)).toEqual(missed);
    expect(new Set(datelessIds()).size).toBe(11);
    expect(scenario.stored(ADA).sync).not.toHaveProperty("recovery");
  });

  it("P11: asks for the next message if the first of a page has no date", async () => {
    const missed = deliverEleven();
    // Each of the tries for the first message that is asked.
    scenario.emulator.faults.failNext({ ...DATELESS, count: 3 });
    await reconcile();
    expect(datelessIds()).toEqual([missed[4]]);
    // The other six were there before the mailbox was connected.
    expect(added()).toEqual(missed);
  });

  it("leaves a draft out that is saved again while its page is being recovered", async () => {
    const { emulator } = scenario;
    const draft = emulator.saveDraft(ADA, { subject: "to" });
    const { messageId } = emulator.deliver(ADA);
    emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    const walked = emulator.faults.hold("messages.list", { count: 1 });
    const reconciled = reconcile();
    await walked.arrived;
    const read = emulator.faults.hold("messages.list", { count: 1, afterEffect: true });
    walked.release();
    await read.arrived;
    emulator.saveDraft(ADA, { subject: "to be", replaces: draft.messageId });
    read.release();
    await reconciled;
    expect(added()).toEqual([messageId]);
  });

  it("leaves a draft out that is begun between two pages of one run", async () => {
    await scenario.close();
    scenario = await startScenario();
    const { emulator } = scenario;
    await scenario.connect(ADA);
    emulator.loseNotifications();
    emulator.settings.messagePageMax = 2;
    const missed = Array.from({ length: 4 }, () => emulator.deliver(ADA).messageId);
    emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    scenario.topic.onPublished = ({ attributes }) => {
      if (attributes["ce-type"] === "mailbox.message.added") emulator.saveDraft(ADA);
    };
    await reconcile();
    expect(added()).toEqual(missed);
  });

  it("treats a head that went backwards the same way", async () => {
    scenario.emulator.deliver(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    const cursor = BigInt(scenario.stored(ADA).historyId);
    scenario.emulator.rewindHead(ADA, String(cursor - 100n));
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    expect(gaps().at(-1)?.json).toMatchObject({ reason: "history_rewound" });
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await reconcile();
    expect(added()).toContain(messageId);
  });
});
