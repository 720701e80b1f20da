import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PublishFailure } from "../../functions/src/domain/events.ts";
import { isAfter, parseHistoryId } from "../../functions/src/domain/history-id.ts";
import { eventRequest } from "../gmail-emulator/push.ts";
import { replaceDuringRefusal } from "../support/replaced-token.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const SETTLE_MS = 2 * MINUTE_MS;

const OUTSIDE_HISTORY = ["mailbox.connected", "mailbox.delayed", "mailbox.caught_up"];

/** What a subscriber has of a mailbox's history, in the order of first publication. */
function received(scenario: Scenario): string[] {
  return scenario
    .events(ADA)
    .filter(({ attributes }) => !OUTSIDE_HISTORY.includes(String(attributes["ce-type"])))
    .map(({ attributes }) => String(attributes["ce-id"]).split("/").slice(1).join("/"));
}

/** The same, as Gmail's history has it. */
function happened(scenario: Scenario, since = 0): string[] {
  return scenario.emulator
    .account(ADA)
    .history.slice(since)
    .flatMap(({ id, messagesAdded, messagesDeleted, labelsAdded, labelsRemoved }) => [
      ...messagesAdded.map((message) => `added/${message.id}`),
      ...labelsAdded.map(({ message }) => `${id}/labels.added/${message.id}`),
      ...labelsRemoved.map(({ message }) => `${id}/labels.removed/${message.id}`),
      ...messagesDeleted.map((message) => `${id}/deleted/${message.id}`),
    ]);
}

const historyId = (value: string | undefined) => {
  const parsed = parseHistoryId(value);
  if (parsed === undefined) throw new Error(`not a history id: ${value}`);
  return parsed;
};

/** Hands the function a message as Eventarc would; resolves to the status it answers. */
async function push({ urls, clock, config }: Scenario, data: string): Promise<number> {
  const request = eventRequest(config.gmail.topic, {
    messageId: "1",
    publishTime: clock.now().toISOString(),
    data: Buffer.from(data).toString("base64"),
  });
  return (await fetch(urls.gmailNotification, request)).status;
}

describe("the stream of changes", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario();
    await scenario.connect(ADA);
    scenario.emulator.resetCalls();
  });
  afterEach(() => scenario.close());

  it("P3: publishes every kind of change, in the order of the history", async () => {
    const { emulator } = scenario;
    const one = emulator.deliver(ADA);
    const two = emulator.deliver(ADA);
    emulator.star(ADA, one.messageId);
    emulator.markRead(ADA, two.messageId);
    emulator.trash(ADA, one.messageId);
    emulator.deleteMessage(ADA, one.messageId);
    await scenario.settled();
    expect(received(scenario)).toEqual(happened(scenario));
    expect(
      scenario.topic.published.every(({ orderingKey }) => orderingKey === scenario.stored(ADA).id),
    ).toBe(true);
  });

  it("is a CloudEvent 1.0 in binary mode with the documented data", async () => {
    const { messageId, threadId, historyId: at } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    const { id } = scenario.stored(ADA);
    expect(scenario.events(ADA).at(-1)).toEqual({
      orderingKey: id,
      attributes: {
        "ce-specversion": "1.0",
        "ce-id": `${id}/added/${messageId}`,
        "ce-type": "mailbox.message.added",
        "ce-source": `//gmail.googleapis.com/users/${id}`,
        "ce-subject": `messages/${messageId}`,
        "ce-time": expect.stringMatching(/^\d{4}-.*Z$/),
        "ce-dataschema": "urn:gmail-push-receiver:event:mailbox.message.added:1",
        "content-type": "application/json",
        "label-INBOX": "1",
        "label-UNREAD": "1",
      },
      json: {
        userId: id,
        emailAddress: ADA,
        historyId: at,
        messageId,
        threadId,
        labelIds: expect.arrayContaining(["INBOX"]),
      },
    });
  });

  it("P12: costs one listing more when a page holds only changes that are known already", async () => {
    const { emulator, users } = scenario;
    emulator.setPush({ kind: "none" });
    for (let count = 0; count < 600; count++) emulator.deliver(ADA);
    emulator.setPush({ kind: "push", url: scenario.urls.gmailNotification });
    emulator.deliver(ADA);
    await scenario.settled();
    emulator.resetCalls();
    const before = { ...users.operations };
    // 500 of them are not settled, and a page holds no more: what is new is on the next.
    emulator.deliver(ADA);
    await scenario.settled();
    expect(emulator.calls.map(({ method }) => method)).toEqual(["history.list", "history.list"]);
    expect(users.operations).toEqual({ reads: before.reads + 1, writes: before.writes + 1 });
  });

  it("P12: re-checks once, a minute later, when the notification's id was above the record", async () => {
    scenario.emulator.settings.notificationIdAhead = "past_head";
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.stored(ADA).sync.dueReason).toBe("lag");
    scenario.emulator.resetCalls();
    scenario.clock.advance(MINUTE_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.emulator.calls.map(({ method }) => method)).toEqual(["history.list"]);
    expect(scenario.stored(ADA).sync.dueReason).toBe("quiet");
  });

  it("P4: keeps the cursor when publishing fails, and publishes later", async () => {
    const before = scenario.stored(ADA).historyId;
    scenario.topic.failure = new PublishFailure("transient", "publish_failed");
    const sent = scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.stored(ADA).historyId).toBe(before);
    // Its record is known of, not read.
    expect(scenario.stored(ADA).sync.recent).toMatchObject([
      { historyId: sent.historyId, isNotified: true },
    ]);
    expect(received(scenario)).toEqual([]);
    scenario.topic.failure = undefined;
    scenario.clock.advance(HOUR_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(received(scenario)).toEqual(happened(scenario));
  });

  it("P4: moves the cursor only over settled positions, and never by a notification or a renewal", async () => {
    const start = scenario.stored(ADA).historyId;
    const first = scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.stored(ADA).historyId).toBe(start);
    expect(scenario.stored(ADA).sync.recent.map(({ historyId: id }) => id)).toEqual([
      first.historyId,
    ]);
    await notify("18446744073709551615");
    expect(scenario.stored(ADA).historyId).toBe(start);
    scenario.emulator.loseNotifications();
    scenario.clock.advance(24 * HOUR_MS);
    await scenario.runSchedule("watchRenewal");
    expect(scenario.stored(ADA).historyId).toBe(start);
    scenario.emulator.deliver(ADA);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.stored(ADA).historyId).toBe(first.historyId);
  });

  it("P1: publishes a record that Gmail reveals late, behind one that was read before", async () => {
    const { emulator, clock } = scenario;
    emulator.setIndexLag(ADA, { kind: "held" });
    const late = emulator.deliver(ADA);
    emulator.setIndexLag(ADA, { kind: "none" });
    const early = emulator.deliver(ADA);
    await scenario.settled();
    expect(received(scenario)).toEqual([`added/${early.messageId}`]);
    clock.advance(SETTLE_MS - 1_000);
    emulator.reveal(ADA, late.historyId);
    emulator.deliver(ADA);
    await scenario.settled();
    expect(received(scenario)).toContain(`added/${late.messageId}`);
    expect(received(scenario)).toHaveLength(3);
  });

  it("P1: publishes a record whose id an empty answer had named as the head", async () => {
    const { emulator, clock } = scenario;
    emulator.setIndexLag(ADA, { kind: "held" });
    emulator.loseNotifications();
    const hidden = emulator.deliver(ADA);
    clock.advance(7 * HOUR_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(received(scenario)).toEqual([]);
    emulator.revealAll();
    clock.advance(MINUTE_MS);
    await notify(hidden.historyId);
    expect(received(scenario)).toEqual([`added/${hidden.messageId}`]);
  });

  it("P1: waits a moment when Gmail announces a change before it can be read", async () => {
    scenario.emulator.setIndexLag(ADA, { kind: "delayed", ms: 2_500 });
    const { messageId } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(received(scenario)).toEqual([`added/${messageId}`]);
    expect(scenario.emulator.countCalls("history.list")).toBe(3);
  });

  it("P1: retries by itself when that takes longer", async () => {
    scenario.emulator.setIndexLag(ADA, { kind: "delayed", ms: 25_000 });
    const { messageId } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(received(scenario)).toEqual([]);
    expect(scenario.stored(ADA).sync.dueReason).toBe("lag");
    scenario.clock.advance(30_000);
    await scenario.runSchedule("mailboxReconciliation");
    expect(received(scenario)).toEqual([`added/${messageId}`]);
  });

  it("P5: loses nothing when every notification is lost", async () => {
    scenario.emulator.loseNotifications();
    for (let index = 0; index < 5; index++) scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(received(scenario)).toEqual([]);
    scenario.clock.advance(6 * HOUR_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(received(scenario)).toEqual(happened(scenario));
  });

  it("P2: gives a change the same id when it is published again after a crash", async () => {
    const update = scenario.users.update;
    let failures = 1;
    scenario.users.update = (user, patch, changes) => {
      if (patch.historyId === undefined || failures-- <= 0) return update(user, patch, changes);
      const died = new Error("the instance died before the checkpoint");
      return Promise.reject(Object.assign(died, { code: 14 }));
    };
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const ids = scenario.topic.published.slice(1).map(({ attributes }) => attributes["ce-id"]);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
    expect(received(scenario)).toEqual(happened(scenario));
    expect(scenario.emulator.pushCounters().refused).toBe(1);
  });

  it("loses nothing when notifications are repeated and reordered", async () => {
    const { emulator } = scenario;
    emulator.duplicateNotifications("all", 2);
    emulator.holdNotifications();
    for (let index = 0; index < 5; index++) emulator.deliver(ADA);
    emulator.releaseNotifications("reversed");
    await scenario.settled();
    expect(received(scenario)).toEqual(happened(scenario));
  });

  it("P11: stops at a page limit, is due again, and continues from there", async () => {
    await scenario.close();
    scenario = await startScenario({ env: { SYNC_PAGES_MAX: "2" } });
    await scenario.connect(ADA);
    scenario.emulator.settings.historyPageMax = 3;
    scenario.emulator.loseNotifications();
    for (let index = 0; index < 20; index++) scenario.emulator.deliver(ADA);
    await notify(scenario.emulator.account(ADA).historyId);
    expect(received(scenario)).toHaveLength(6);
    expect(scenario.stored(ADA).sync.dueReason).toBe("unfinished");
    for (let run = 0; run < 4; run++) await scenario.runSchedule("mailboxReconciliation");
    expect(received(scenario)).toEqual(happened(scenario));
  });

  it("P11: publishes an unreadable record as a gap, and continues", async () => {
    const before = scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.emulator.loseNotifications();
    const raw = { messagesAdded: [{ message: { id: 7 } }] };
    const unreadable = scenario.emulator.appendRawRecord(ADA, raw);
    const after = scenario.emulator.deliver(ADA);
    await notify(after.historyId);
    expect(received(scenario)).toEqual([
      `added/${before.messageId}`,
      `${unreadable.historyId}/gap`,
      `added/${after.messageId}`,
    ]);
  });

  it("P1: names the range that Gmail no longer keeps, and continues from the present", async () => {
    const from = scenario.stored(ADA).historyId;
    scenario.emulator.loseNotifications();
    scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    const head = scenario.emulator.account(ADA).historyId;
    await notify(head);
    const gap = scenario.events(ADA, "mailbox.gap")[0];
    expect(gap?.json).toMatchObject({
      fromHistoryId: from,
      toHistoryId: head,
      reason: "history_expired",
      since: expect.any(String),
    });
    // The newest pages are read once more before the cursor moves.
    scenario.clock.advance(SETTLE_MS + MINUTE_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.stored(ADA).historyId).toBe(head);
    expect(scenario.logged("history_gap")).toHaveLength(1);
    const { messageId, historyId: later } = scenario.emulator.deliver(ADA);
    await notify(later);
    expect(received(scenario).at(-1)).toBe(`added/${messageId}`);
  });

  it("leaves drafts out, and publishes sent mail", async () => {
    const draft = scenario.emulator.saveDraft(ADA, { subject: "to" });
    scenario.emulator.saveDraft(ADA, { subject: "to be", replaces: draft.messageId });
    const sent = scenario.emulator.send(ADA, { subject: "to be or not to be" });
    await scenario.settled();
    expect(received(scenario)).toEqual([`added/${sent.messageId}`]);
  });

  it("waits as long as Google says when it is throttled, without calls in the meantime", async () => {
    const until = new Date(scenario.clock.now().getTime() + 10 * MINUTE_MS);
    scenario.emulator.faults.failNext({
      method: "history.list",
      count: 1,
      status: 429,
      body: {
        error: {
          code: 429,
          message: `User-rate limit exceeded.  Retry after ${until.toISOString()}`,
          errors: [{ domain: "usageLimits", reason: "rateLimitExceeded", message: "limit" }],
          status: "RESOURCE_EXHAUSTED",
        },
      },
    });
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.stored(ADA).sync).toMatchObject({ dueAt: until, dueReason: "throttled" });
    scenario.emulator.resetCalls();
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.emulator.calls).toEqual([]);
    scenario.clock.advance(10 * MINUTE_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(received(scenario)).toEqual(happened(scenario));
  });

  it("keeps a rotated refresh token before it uses the answer", async () => {
    scenario.clock.advance(2 * HOUR_MS);
    scenario.emulator.settings.refreshTokenRotations = 1;
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.clock.advance(2 * HOUR_MS);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.stored(ADA).status).toBe("active");
    expect(received(scenario)).toEqual(happened(scenario));
  });

  it("flags no user when the refused refresh token has been replaced by another run", async () => {
    scenario.clock.advance(2 * HOUR_MS);
    const { reads } = await replaceDuringRefusal(scenario);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(reads()).toBeGreaterThanOrEqual(2);
    expect(scenario.stored(ADA).status).toBe("active");
    await scenario.reconcileAfter(10 * MINUTE_MS);
    expect(received(scenario)).toEqual(happened(scenario));
  });

  it("acknowledges malformed notifications and unknown mailboxes", async () => {
    const writes = scenario.users.operations.writes;
    const statuses = [];
    for (const data of ["", "{", "null", '{"emailAddress":"x@y.z","historyId":12}']) {
      statuses.push(await push(scenario, data));
    }
    expect(statuses).toEqual([204, 204, 204, 204]);
    expect(scenario.logged("notification_malformed")).toHaveLength(3);
    expect(scenario.users.operations.writes).toBe(writes);
    expect(scenario.emulator.calls).toEqual([]);
  });

  it("P4: never moves the cursor back", async () => {
    const seen = [historyId(scenario.stored(ADA).historyId)];
    const update = scenario.users.update;
    scenario.users.update = async (user, patch, changes) => {
      const result = await update(user, patch, changes);
      seen.push(historyId(scenario.stored(ADA).historyId));
      return result;
    };
    for (let round = 0; round < 10; round++) {
      scenario.emulator.duplicateNotifications(1);
      scenario.emulator.deliver(ADA);
      scenario.emulator.deliver(ADA);
      scenario.clock.advance(round * MINUTE_MS);
      await scenario.settled();
      await scenario.runSchedule("mailboxReconciliation");
    }
    expect(seen.length).toBeGreaterThan(10);
    expect(seen.slice(1).every((id, index) => !isAfter(historyId(seen[index]), id))).toBe(true);
    expect(received(scenario)).toEqual(happened(scenario));
  });

  async function notify(id: string | undefined): Promise<void> {
    const data = `{"emailAddress":"${ADA}","historyId":${id}}`;
    expect(await push(scenario, data)).toBe(204);
  }
});

describe("the Firestore sink", () => {
  it("stores every change with the cursor, once, under the id of its event", async () => {
    const scenario = await startScenario({ env: { CHANGES_SINK: "firestore" } });
    await scenario.connect(ADA);
    scenario.emulator.duplicateNotifications("all", 1);
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.emulator.star(ADA, messageId);
    await scenario.settled();
    await scenario.close();
    const { id } = scenario.stored(ADA);
    const kept = scenario.users.dump().changes[id] ?? [];
    expect(kept.map((change) => change.id.slice(id.length + 1))).toEqual(happened(scenario));
    expect(kept[0]).toMatchObject({ type: "mailbox.message.added", data: { messageId } });
  });
});

describe("P9: no secret leaves", () => {
  it("keeps tokens, codes and secrets out of logs, documents, events and pages", async () => {
    const scenario = await startScenario();
    const { page } = await scenario.connect(ADA);
    const { clientId, clientSecret } = scenario.config.oauth;
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.clock.advance(2 * HOUR_MS);
    // Failures are where the libraries print what they were given.
    scenario.emulator.setClientSecret(clientId, "GOCSPX-another");
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.emulator.setClientSecret(clientId, clientSecret);
    scenario.emulator.faults.failNext({ method: "token.code", count: 1, status: 500 });
    const failed = await scenario.connect(ADA, { exists: true });
    scenario.emulator.changePassword(ADA);
    scenario.clock.advance(HOUR_MS);
    await scenario.runSchedule("mailboxReconciliation");
    await scenario.close();

    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    const { users, topic, logs } = scenario;
    const everything = [
      logs.join("\n"),
      JSON.stringify(users.dump()),
      JSON.stringify(topic.published),
      page,
      failed.page,
    ].join("\n");
    const secrets = scenario.emulator.secretsIssued();
    expect(secrets.length).toBeGreaterThan(5);
    for (const secret of secrets) {
      for (const form of [secret, encodeURIComponent(secret), btoa(secret)]) {
        expect(everything.includes(form)).toBe(false);
      }
    }
  });
});
