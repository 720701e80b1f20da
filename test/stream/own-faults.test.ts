import { afterEach, beforeEach, describe, expect, it } from "vitest";
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

/** Every publication of an added message, repeats included. */
const publications = () =>
  scenario.topic.published
    .filter(({ attributes }) => attributes["ce-type"] === "mailbox.message.added")
    .map(({ json }) => String(json["messageId"]));

/** Records of Gmail's history that hold so many messages each. */
function appendRecords(records: number, messages: number): string[] {
  return Array.from({ length: records }, (_, record) => {
    const ids = Array.from({ length: messages }, (__, index) => `r${record}m${index}`);
    scenario.emulator.appendRawRecord(ADA, {
      messagesAdded: ids.map((id) => ({ message: { id, threadId: id, labelIds: ["INBOX"] } })),
    });
    return ids;
  }).flat();
}

describe("an error of our own code", () => {
  beforeEach(async () => {
    await start();
    scenario.emulator.loseNotifications();
  });

  it("is acknowledged and alerted, and the mailbox is retried after growing pauses", async () => {
    const { historyId, messageId } = scenario.emulator.deliver(ADA);
    const { update } = scenario.users;
    scenario.users.update = (user, patch, changes) => {
      if (patch.historyId === undefined) return update(user, patch, changes);
      throw new TypeError("a checkpoint that cannot be made");
    };
    expect(await scenario.notify(ADA, historyId)).toBe(204);
    expect(scenario.logged("sync_crashed")).toMatchObject([{ severity: "CRITICAL" }]);
    for (let minute = 0; minute < 120; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(scenario.logged("sync_crashed").length).toBeLessThan(30);
    expect(scenario.logged("due_user_failed")).toEqual([]);

    scenario.users.update = update;
    for (let minute = 0; minute < 20; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(publications()).toContain(messageId);
    expect(scenario.stored(ADA).sync).toMatchObject({ dueReason: "quiet" });
  });

  it.each([
    ["that finds the user", () => new TypeError("no such property")],
    ["of a request that Firestore refuses", () => Object.assign(new Error("large"), { code: 3 })],
  ])("is acknowledged before the mailbox is known, %s", async (_, error) => {
    scenario.users.findByEmailAddress = () => Promise.reject(error());
    expect(await scenario.notify(ADA, scenario.emulator.deliver(ADA).historyId)).toBe(204);
    expect(scenario.logged("notification_crashed")).toMatchObject([{ severity: "CRITICAL" }]);
  });

  it("is not acknowledged while the store does not answer", async () => {
    const unavailable = Object.assign(new Error("unavailable"), { code: 14 });
    scenario.users.findByEmailAddress = () => Promise.reject(unavailable);
    expect(await scenario.notify(ADA, scenario.emulator.deliver(ADA).historyId)).toBe(500);
    expect(scenario.logged("notification_crashed")).toEqual([]);
  });
});

describe("a page that holds far more changes than records", () => {
  beforeEach(async () => {
    await start({ CHANGES_SINK: "firestore" });
    scenario.emulator.loseNotifications();
  });

  it("is published, stored and checkpointed in parts", async () => {
    const sent = appendRecords(7, 1_000);
    const { update } = scenario.users;
    const committed: number[] = [];
    scenario.users.update = (user, patch, changes) => {
      committed.push(changes?.length ?? 0);
      return update(user, patch, changes);
    };
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(publications()).toEqual(sent);
    expect(committed.filter((count) => count > 0)).toHaveLength(4);
    expect(Math.max(...committed)).toBeLessThanOrEqual(300);
    const kept = scenario.users.dump().changes[scenario.stored(ADA).id] ?? [];
    expect(new Set(kept.map(({ id }) => id)).size).toBe(7_000);
  });

  it("continues from the recorded part when the instance dies", async () => {
    const sent = appendRecords(6, 1_000);
    const { update } = scenario.users;
    let checkpoints = 0;
    scenario.users.update = (user, patch, changes) => {
      if (patch.historyId !== undefined) checkpoints += 1;
      const died = Object.assign(new Error("the instance died"), { code: 14 });
      return checkpoints === 3 ? Promise.reject(died) : update(user, patch, changes);
    };
    await scenario.reconcileAfter(7 * HOUR_MS);
    scenario.users.update = update;
    for (let minute = 0; minute < 5; minute++) await scenario.reconcileAfter(MINUTE_MS);
    expect(new Set(publications())).toEqual(new Set(sent));
    expect(publications()).toHaveLength(8_000);
  });

  it("can contain a record with more changes than an argument list can hold", async () => {
    const sent = appendRecords(1, 150_000);
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(publications()).toHaveLength(sent.length);
    await scenario.reconcileAfter(MINUTE_MS);
    expect(publications()).toHaveLength(sent.length);
  }, 120_000);
});

describe("a run that waited for a long time", () => {
  beforeEach(async () => {
    await start();
    scenario.emulator.loseNotifications();
  });

  it.each([
    ["disconnected", () => changeUser({ status: "disconnected", statusReason: "user_request" })],
    ["was erased", () => Promise.resolve(scenario.users.remove(scenario.stored(ADA).id))],
    [
      "authorized again",
      () => {
        const { grant } = scenario.stored(ADA);
        return changeUser({ grant: { ...grant, generation: grant.generation + 1 } });
      },
    ],
  ])("publishes nothing for a person who %s in the meantime", async (_, change) => {
    const { historyId } = scenario.emulator.deliver(ADA);
    const hold = scenario.emulator.faults.hold("history.list", { count: 1, afterEffect: true });
    const running = scenario.notify(ADA, historyId);
    await hold.arrived;
    await change();
    scenario.clock.advance(10 * SECOND_MS);
    hold.release();
    expect(await running).toBe(204);
    expect(publications()).toEqual([]);
  });

  const changeUser = async (patch: Parameters<typeof scenario.users.update>[1]) => {
    expect(await scenario.users.update(scenario.stored(ADA), patch)).not.toBe("refused");
  };

  it("does not repeat what a notification published before its turn came", async () => {
    beforeTurn(() => scenario.notify(ADA, scenario.emulator.deliver(ADA).historyId));
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(publications()).toHaveLength(1);
    expect(scenario.logged("push_missed")).toEqual([]);
  });

  it("does not call Gmail for a mailbox that another instance served before its turn came", async () => {
    const other = startSecondInstance(scenario, {});
    beforeTurn(() => other.mailboxReconciliation());
    scenario.emulator.resetCalls();
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(scenario.emulator.countCalls("history.list", ADA)).toBe(1);
  });

  /** Does it once the due list has been read, while others of the list take their turns first. */
  function beforeTurn(act: () => Promise<unknown>): void {
    const { listDue } = scenario.users;
    scenario.users.listDue = async (...args) => {
      scenario.users.listDue = listDue;
      const page = await listDue(...args);
      await act();
      scenario.clock.advance(20 * SECOND_MS);
      return page;
    };
  }
});

describe("a mailbox of which only some labels are watched", () => {
  beforeEach(async () => {
    await start({ WATCH_LABEL_IDS: "INBOX" });
    scenario.emulator.loseNotifications();
  });

  it("expects no notification of labels that the watch does not cover", async () => {
    for (let round = 0; round < 3; round++) {
      scenario.emulator.deliver(ADA, { labelIds: ["SPAM"] });
      await scenario.reconcileAfter(7 * HOUR_MS);
    }
    expect(scenario.logged("push_missed")).toEqual([]);
    expect(scenario.stored(ADA).sync.unannounced?.changes).toBe(0);
  });

  it("expects a notification of labels that the watch covers", async () => {
    scenario.emulator.deliver(ADA, { labelIds: ["INBOX"] });
    await scenario.reconcileAfter(7 * HOUR_MS);
    expect(scenario.logged("push_missed")).toHaveLength(1);
    expect(scenario.stored(ADA).sync.unannounced?.changes).toBe(1);
  });
});

describe("a history that omits fields", () => {
  it("is published without them where possible", async () => {
    await start();
    scenario.emulator.omitFromHistory(ADA, ["threadId", "labelIds"]);
    const { messageId } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.emulator.star(ADA, messageId);
    await scenario.settled();
    const told = scenario.events(ADA).filter(({ json }) => json["messageId"] === messageId);
    expect(told.map(({ attributes }) => attributes["ce-type"])).toEqual([
      "mailbox.message.added",
      "mailbox.labels.added",
    ]);
    for (const { json } of told) expect(json).not.toHaveProperty("threadId");
  });
});

describe("a draft that is sent", () => {
  it.each([
    [
      "was withheld",
      {},
      ["mailbox.message.added", "mailbox.labels.added", "mailbox.labels.removed"],
    ],
    [
      "was published",
      { PUBLISH_DRAFTS: "true" },
      ["mailbox.message.added", "mailbox.labels.added", "mailbox.labels.removed"],
    ],
  ])("is published as added once, before its labels, where it %s", async (_, env, types) => {
    await start(env);
    const { messageId } = scenario.emulator.saveDraft(ADA, { subject: "hello" });
    await scenario.settled();
    const before = publications().length;
    scenario.emulator.sendDraft(ADA, messageId);
    await scenario.settled();
    const told = scenario.topic.published.filter(({ json }) => json["messageId"] === messageId);
    expect(told.map(({ attributes }) => attributes["ce-type"]).toSorted()).toEqual(
      types.toSorted(),
    );
    expect(told[0]?.attributes["ce-type"]).toBe("mailbox.message.added");
    expect(told[0]?.attributes["ce-id"]).toBe(`${scenario.stored(ADA).id}/added/${messageId}`);
    expect(before).toBe("PUBLISH_DRAFTS" in env ? 1 : 0);
  });
});
