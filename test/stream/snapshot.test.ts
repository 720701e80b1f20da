import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PublishFailure } from "../../functions/src/domain/events.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { pause } from "../../functions/src/grant/pause.ts";
import { snapshotNow } from "../../infra/cli/mailboxes/actions.ts";
import type { Operator } from "../../infra/cli/operator.ts";
import { type CommandResult, runCommand } from "../operator/operator-cli.ts";
import { replaceDuringRefusal } from "../support/replaced-token.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

/**
 * Goal: the mail that was in a mailbox before it was connected is published once more, as existing
 * and never as added, in pages that follow each other over any number of runs.
 */

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

let scenario: Scenario;
afterEach(() => scenario.close());

async function start(env: Record<string, string> = {}): Promise<void> {
  scenario = await startScenario({ env: { SNAPSHOT_DAYS: "90", ...env } });
  scenario.emulator.createAccount({ email: ADA });
}

/** Delivers mail of that many days ago each; returns the ids, as they are listed. */
function mailOf(...daysAgo: number[]): string[] {
  const now = scenario.clock.now().getTime();
  return daysAgo
    .toSorted((a, b) => b - a)
    .map((days) => {
      const internalDate = now - days * DAY_MS;
      return scenario.emulator.deliver(ADA, { internalDate }).messageId;
    })
    .toReversed();
}

const connect = () => scenario.connect(ADA, { exists: true });
const ofType = (type: string) =>
  scenario.events(ADA).filter(({ attributes }) => attributes["ce-type"] === `mailbox.${type}`);
const idsOf = (type: string) => ofType(type).map(({ json }) => json["messageId"]);

/** Runs the reconciliation every half hour. */
async function retryFor(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += HOUR_MS / 2) {
    await scenario.reconcileAfter(HOUR_MS / 2);
  }
}

/** Runs the reconciliation until the snapshot is complete. */
async function complete(): Promise<void> {
  for (let run = 0; run < 100; run++) {
    if (scenario.stored(ADA).snapshot?.completedAt !== undefined) return;
    await scenario.reconcileAfter(2 * MINUTE_MS);
  }
  throw new Error("the snapshot does not end");
}

/** Runs the reconciliation, and `act` between the first list that it requests and the second. */
async function runBetweenLists(act: () => void): Promise<void> {
  const first = scenario.emulator.faults.hold("messages.list", { count: 1 });
  scenario.clock.advance(3 * MINUTE_MS);
  const run = scenario.runSchedule("mailboxReconciliation");
  await first.arrived;
  first.release();
  const second = scenario.emulator.faults.hold("messages.list", { count: 1 });
  await second.arrived;
  act();
  second.release();
  await run;
}

describe("a snapshot", () => {
  beforeEach(() => start());

  it("publishes the mail of so many days, newest first, and then how much that was", async () => {
    const [today, ...young] = mailOf(0, 1, 30, 89);
    mailOf(91, 200);
    await connect();
    const cursor = scenario.stored(ADA).snapshot?.upToHistoryId;
    expect(ofType("message.existing")).toEqual([]);
    await complete();
    expect(idsOf("message.existing")).toEqual([today, ...young]);
    expect(idsOf("message.added")).toEqual([]);
    const { id } = scenario.stored(ADA);
    const snapshotId = scenario.stored(ADA).snapshot?.id;
    expect(ofType("message.existing")[0]).toMatchObject({
      attributes: { "ce-id": `${id}/existing/${snapshotId}/${today}` },
      json: { historyId: cursor, labelIds: [], snapshotId },
    });
    expect(scenario.events(ADA).at(-1)).toMatchObject({
      attributes: {
        "ce-id": `${id}/snapshot_completed/${snapshotId}`,
        "ce-type": "mailbox.snapshot.completed",
      },
      json: { snapshotId, messages: 4, upToHistoryId: cursor },
    });
    expect(scenario.stored(ADA).followUp).not.toHaveProperty("dueAt");
    scenario.emulator.resetCalls();
    await scenario.reconcileAfter(5 * MINUTE_MS);
    expect(scenario.emulator.countCalls("messages.list")).toBe(0);
  });

  it("goes on with live changes, which are published as they happen", async () => {
    scenario.emulator.settings.messagePageMax = 1;
    const before = mailOf(1, 2, 3);
    await connect();
    await scenario.reconcileAfter(3 * MINUTE_MS);
    const live = scenario.emulator.deliver(ADA).messageId;
    await scenario.settled();
    expect(idsOf("message.added")).toEqual([live]);
    await complete();
    expect(idsOf("message.existing")).toEqual(before);
  });

  it("leaves out drafts and what is deleted while it is read", async () => {
    const [first, second, third] = mailOf(1, 2, 3);
    scenario.emulator.deliver(ADA, { labelIds: ["DRAFT"] });
    await connect();
    await runBetweenLists(() => void scenario.emulator.deleteMessage(ADA, second ?? ""));
    await complete();
    expect(idsOf("message.existing")).toEqual([first, third]);
  });

  it("waits while the stream of the mailbox is behind", async () => {
    mailOf(1);
    await connect();
    const { sync } = scenario.stored(ADA);
    const behindSince = scenario.clock.now();
    scenario.users.overwrite(scenario.stored(ADA).id, {
      sync: {
        ...sync,
        dueAt: new Date(behindSince.getTime() + HOUR_MS),
        dueReason: "unfinished",
        behindSince,
      },
    });
    await scenario.reconcileAfter(3 * MINUTE_MS);
    expect(idsOf("message.existing")).toEqual([]);
    await scenario.reconcileAfter(HOUR_MS);
    await complete();
    expect(idsOf("message.existing")).toHaveLength(1);
  });

  it("continues after a refused topic and a failing Google, and publishes nothing twice", async () => {
    scenario.emulator.settings.messagePageMax = 1;
    const before = mailOf(1, 2, 3);
    await connect();
    scenario.topic.failure = new PublishFailure("transient", "UNAVAILABLE");
    await scenario.reconcileAfter(3 * MINUTE_MS);
    scenario.topic.failure = undefined;
    scenario.emulator.faults.failNext({ method: "messages.list", count: 4, status: 503 });
    await complete();
    expect(scenario.topic.published.filter(({ json }) => "messageId" in json)).toHaveLength(3);
    expect(idsOf("message.existing")).toEqual(before);
  });

  it("finds its place again when Gmail rejects a page token", async () => {
    scenario.emulator.settings.messagePageMax = 2;
    const before = mailOf(...Array.from({ length: 60 }, (_, days) => days + 1));
    await connect();
    await scenario.reconcileAfter(3 * MINUTE_MS);
    const told = idsOf("message.existing").length;
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThan(60);
    scenario.emulator.settings.pageTokenMs = 1;
    await scenario.reconcileAfter(2 * MINUTE_MS);
    scenario.emulator.settings.pageTokenMs = 0;
    const live = scenario.emulator.deliver(ADA).messageId;
    await complete();
    expect(idsOf("message.existing")).toEqual(before);
    expect(idsOf("message.existing")).not.toContain(live);
    expect(ofType("snapshot.completed")[0]?.json).toMatchObject({ messages: 60 });
  });

  it("is given up when Gmail refuses its list for three days, and can be requested again", async () => {
    scenario.emulator.settings.messagePageMax = 2;
    const before = mailOf(...Array.from({ length: 40 }, (_, days) => days + 1));
    await connect();
    await scenario.reconcileAfter(3 * MINUTE_MS);
    const told = idsOf("message.existing").length;
    expect(told).toBeLessThan(40);
    const list = { method: "messages.list", preset: "callerForbidden" } as const;
    const allow = scenario.emulator.refuse(ADA, list);
    scenario.emulator.resetCalls();
    await retryFor(3 * DAY_MS - HOUR_MS);
    expect(ofType("snapshot.failed")).toEqual([]);
    // Two confirmations at most, then one call an hour.
    expect(scenario.emulator.countCalls("messages.list")).toBeLessThan(100);
    await retryFor(4 * HOUR_MS);
    const { id, snapshot } = scenario.stored(ADA);
    const [failed, ...others] = ofType("snapshot.failed");
    expect(failed).toMatchObject({
      attributes: { "ce-id": `${id}/snapshot_failed/${snapshot?.id}` },
      json: { snapshotId: snapshot?.id, messages: told, reason: snapshot?.failure?.reason },
    });
    expect(others).toEqual([]);
    expect(scenario.logged("snapshot_failed")).toHaveLength(1);
    expect(scenario.stored(ADA).status).toBe("active");
    expect(scenario.stored(ADA).followUp).not.toHaveProperty("dueAt");
    scenario.emulator.resetCalls();
    await retryFor(DAY_MS);
    expect(scenario.emulator.countCalls("messages.list")).toBe(0);

    allow();
    const context = await scenario.operator({ log: createLog(() => {}) }).getContext();
    const since = new Date(scenario.clock.now().getTime() - 90 * DAY_MS);
    const requested = await snapshotNow(await scenario.read(ADA), since, context);
    expect(requested.isDone).toBe(true);
    await complete();
    const again = ofType("message.existing").filter(
      ({ json }) => json["snapshotId"] === scenario.stored(ADA).snapshot?.id,
    );
    expect(again.map(({ json }) => json["messageId"])).toEqual(before);
  });

  it("is given up when Gmail accepts no page token for three days", async () => {
    scenario.emulator.settings.messagePageMax = 2;
    mailOf(...Array.from({ length: 40 }, (_, days) => days + 1));
    await connect();
    scenario.emulator.settings.pageTokenMs = 1;
    await retryFor(3 * DAY_MS + 4 * HOUR_MS);
    expect(ofType("snapshot.failed")).toHaveLength(1);
    expect(ofType("snapshot.failed")[0]?.json).toMatchObject({ messages: 2 });
  });

  it("is not given up for refusals before and after days in which it was not tried", async () => {
    mailOf(1, 2);
    await connect();
    const list = { method: "messages.list", preset: "callerForbidden" } as const;
    const allow = scenario.emulator.refuse(ADA, list);
    await retryFor(2 * DAY_MS);
    await scenario.reconcileAfter(2 * DAY_MS);
    await retryFor(2 * DAY_MS);
    allow();
    await complete();
    expect(ofType("snapshot.failed")).toEqual([]);
    expect(scenario.stored(ADA).snapshot).not.toHaveProperty("failure");
  });

  it("continues after a re-authorization, and under the same id", async () => {
    scenario.emulator.settings.messagePageMax = 2;
    const before = mailOf(...Array.from({ length: 40 }, (_, days) => days + 1));
    await connect();
    await scenario.reconcileAfter(3 * MINUTE_MS);
    const snapshotId = scenario.stored(ADA).snapshot?.id;
    scenario.clock.advance(2 * HOUR_MS);
    scenario.emulator.changePassword(ADA);
    await scenario.reconcileAfter(2 * MINUTE_MS);
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    const told = idsOf("message.existing").length;
    expect(told).toBeLessThan(40);
    scenario.emulator.resetCalls();
    await scenario.reconcileAfter(DAY_MS);
    expect(scenario.emulator.calls).toEqual([]);

    await connect();
    await complete();
    expect(idsOf("message.existing")).toEqual(before);
    expect(scenario.stored(ADA).snapshot).toMatchObject({ id: snapshotId, messages: 40 });
  });

  it("waits when the refused refresh token has been replaced by another run", async () => {
    mailOf(1, 2, 3);
    await connect();
    scenario.clock.advance(2 * HOUR_MS);
    const { reads } = await replaceDuringRefusal(scenario);
    await scenario.reconcileAfter(MINUTE_MS);
    expect(reads()).toBeGreaterThanOrEqual(2);
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", followUp: { failures: 1 } });
    await complete();
    expect(ofType("message.existing")).toHaveLength(3);
  });

  it("stands still while the mailbox is paused, and ends with a disconnect", async () => {
    scenario.emulator.settings.messagePageMax = 2;
    mailOf(...Array.from({ length: 40 }, (_, days) => days + 1));
    const { browser } = await connect();
    await scenario.reconcileAfter(3 * MINUTE_MS);
    const told = idsOf("message.existing").length;
    const context = await scenario.operator({ log: createLog(() => {}) }).getContext();
    await pause(await scenario.read(ADA), "operator_request", context);
    await scenario.reconcileAfter(HOUR_MS);
    expect(idsOf("message.existing")).toHaveLength(told);

    const page = await (await browser.get(`${scenario.publicUrl}/`)).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
    await browser.post(`${scenario.publicUrl}/disconnect`, { csrf });
    await scenario.reconcileAfter(HOUR_MS);
    expect(idsOf("message.existing")).toHaveLength(told);
    expect(ofType("snapshot.completed")).toEqual([]);

    const earlier = scenario.stored(ADA).snapshot?.id;
    await connect();
    await complete();
    expect(scenario.stored(ADA).snapshot?.id).not.toBe(earlier);
    expect(ofType("snapshot.completed")[0]?.json).toMatchObject({ messages: 40 });
  });

  it("of an empty mailbox is complete at once", async () => {
    await connect();
    await complete();
    expect(ofType("snapshot.completed")[0]?.json).toMatchObject({ messages: 0 });
  });
});

it("finds young mail listed among more old mail than may be dated in a minute", async () => {
  await start({ SNAPSHOT_DAYS: "10" });
  const ago = (ms: number) => scenario.clock.now().getTime() - 10 * DAY_MS - ms;
  const deliver = (options: { internalDate: number; listedAt?: number }) =>
    scenario.emulator.deliver(ADA, options).messageId;
  for (let nth = 450; nth > 0; nth--) deliver({ internalDate: ago(nth * MINUTE_MS) });
  const young = deliver({
    internalDate: ago(-5 * MINUTE_MS),
    listedAt: ago(300 * MINUTE_MS - MINUTE_MS / 2),
  });
  await connect();
  await complete();
  expect(idsOf("message.existing")).toEqual([young]);
});

it("finds a message that new mail moves to the next page, where drafts are published", async () => {
  await start({ PUBLISH_DRAFTS: "true" });
  scenario.emulator.settings.messagePageMax = 2;
  const before = mailOf(1, 2, 3);
  await connect();
  await runBetweenLists(() => void scenario.emulator.deliver(ADA));
  await complete();
  expect(idsOf("message.existing")).toEqual(before);
});

it("publishes only watched labels, and leaves out one that the mailbox does not have", async () => {
  await start({ WATCH_LABEL_IDS: "INBOX,Label_404" });
  scenario.emulator.deliver(ADA, { labelIds: ["SENT"] });
  const inbox = scenario.emulator.deliver(ADA, { labelIds: ["INBOX"] }).messageId;
  await connect();
  await complete();
  expect(idsOf("message.existing")).toEqual([inbox]);
  expect(ofType("message.existing")[0]?.json["labelIds"]).toEqual([]);
});

it("keeps within its share of the quota in each run, whatever there is to publish", async () => {
  await start({ GMAIL_UNITS_PER_MINUTE: "2000", SNAPSHOT_QUOTA_PERCENT: "5" });
  scenario.emulator.settings.messagePageMax = 1;
  mailOf(...Array.from({ length: 20 }, (_, days) => days + 1));
  await connect();
  scenario.clock.advance(3 * MINUTE_MS);
  for (let run = 0; run < 5; run++) {
    scenario.emulator.resetCalls();
    await scenario.reconcileAfter(MINUTE_MS);
    const units =
      5 * scenario.emulator.countCalls("messages.list") +
      20 * scenario.emulator.countCalls("messages.get");
    expect(units).toBeLessThanOrEqual(100);
    expect(units).toBeGreaterThan(0);
  }
});

it("stores what it publishes with the Firestore sink, too", async () => {
  await start({ CHANGES_SINK: "firestore" });
  const [message] = mailOf(1);
  await connect();
  await complete();
  const { id, snapshot } = scenario.stored(ADA);
  const kept = scenario.users.dump().changes[id]?.map((change) => change.id);
  expect(kept).toEqual([
    `${id}/existing/${snapshot?.id}/${message}`,
    `${id}/snapshot_completed/${snapshot?.id}`,
  ]);
});

describe("mailboxes snapshot", () => {
  const run = (...args: string[]): Promise<CommandResult> =>
    runCommand((log): Operator => scenario.operator({ log }), args);

  beforeEach(async () => {
    await start({ SNAPSHOT_DAYS: "0" });
    mailOf(400, 10);
    await connect();
  });

  it("is off unless it is asked for, and publishes the mail since a date", async () => {
    await scenario.reconcileAfter(HOUR_MS);
    expect(scenario.stored(ADA)).not.toHaveProperty("snapshot");
    const { code, lines } = await run("snapshot", ADA, "--since", "2001-01-01");
    expect(code).toBe(0);
    expect(lines[0]).toMatch(/^snapshot \d+ has begun: the reconciliation publishes it$/);
    expect((await run("snapshot", ADA, "--since", "2001-01-01")).lines[0]).toContain(
      "is not complete yet",
    );
    await complete();
    expect(idsOf("message.existing")).toHaveLength(2);

    scenario.clock.advance(1);
    await run("snapshot", ADA, "--since", "2001-01-01");
    await complete();
    expect(idsOf("message.existing")).toHaveLength(4);
    expect(new Set(ofType("snapshot.completed").map(({ json }) => json["snapshotId"])).size).toBe(
      2,
    );
  });

  it("refuses what is not a date of the past, and a mailbox that is not active", async () => {
    for (const since of ["tomorrow", "2999-01-01", "2026-13-01"]) {
      expect((await run("snapshot", ADA, "--since", since)).code).toBe(2);
    }
    await run("flag", ADA, "--reason", "abuse_report", "--yes");
    const { code, lines } = await run("snapshot", ADA, "--since", "2001-01-01");
    expect(code).toBe(1);
    expect(lines).toEqual(["nothing is done for a user who is reauthorization_required"]);
  });
});
