import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PublishFailure } from "../../functions/src/domain/events.ts";
import type { Operator } from "../../infra/cli/operator.ts";
import { call } from "../gmail-api/calls.ts";
import { type CommandResult, runCommand } from "./operator-cli.ts";
import { FROM_OUR_PAGE, throughGoogle } from "../support/browser.ts";
import { type Connected, type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let scenario: Scenario;
let ada: Connected;
beforeEach(async () => {
  scenario = await startScenario();
  ada = await scenario.connect(ADA);
});
afterEach(() => scenario.close());

function run(...args: string[]): Promise<CommandResult> {
  return runCommand((log): Operator => scenario.operator({ log }), args);
}

const types = () => scenario.events(ADA).map(({ attributes }) => attributes["ce-type"]);
const added = () => scenario.added(ADA);
const lastEvent = () => scenario.events(ADA).at(-1);

describe("mailboxes pause", () => {
  it("keeps the grant and the cursor, stops the watch, and publishes the pause", async () => {
    const before = scenario.stored(ADA);
    const { code, lines, logged } = await run("pause", ADA, "--reason", "unpaid");
    expect({ code, lines }).toEqual({
      code: 0,
      lines: ["paused; the watch is stopped; subscribers were told"],
    });
    expect(logged.map(({ event }) => event)).toEqual([
      "operator_command",
      "user_paused",
      "operator_command_ended",
    ]);
    const user = scenario.stored(ADA);
    expect(user).toMatchObject({ status: "paused", statusReason: "unpaid" });
    expect(user.grant.refreshToken).toBe(before.grant.refreshToken);
    expect(user.historyId).toBe(before.historyId);
    expect(user.watch).toEqual({ failures: 0 });
    expect(user.sync).not.toHaveProperty("dueAt");
    expect(user.followUp).not.toHaveProperty("dueAt");
    expect(lastEvent()?.attributes["ce-type"]).toBe("mailbox.paused");
    expect(lastEvent()?.json).toMatchObject({ generation: 1, reason: "unpaid" });
    expect(scenario.emulator.countCalls("users.stop", ADA)).toBe(1);

    const again = await run("pause", ADA);
    expect(again.lines).toEqual([
      "paused already (unpaid); the watch is stopped; subscribers were told",
    ]);
    expect(scenario.emulator.countCalls("users.stop", ADA)).toBe(1);
  });

  it("makes no more calls to Google, no matter how much time passes or what arrives", async () => {
    await run("pause", ADA);
    scenario.emulator.resetCalls();
    const { historyId } = scenario.emulator.deliver(ADA);
    expect(await scenario.notify(ADA, String(historyId))).toBe(204);
    for (let days = 0; days < 20; days++) {
      await scenario.reconcileAfter(24 * HOUR_MS);
      await scenario.runSchedule("watchRenewal");
    }
    await scenario.settled();
    expect(scenario.emulator.calls).toEqual([]);
    expect(added()).toEqual([]);
    expect(types().at(-1)).toBe("mailbox.paused");
  });

  it("stops the watch later when Google does not answer, and publishes the pause at once", async () => {
    scenario.emulator.faults.failNext({ method: "users.stop", count: "all", status: 503 });
    const { lines } = await run("pause", ADA);
    expect(lines).toEqual([
      "paused; the reconciliation will stop the watch; subscribers were told",
    ]);
    expect(types().at(-1)).toBe("mailbox.paused");
    scenario.emulator.faults.clear();
    await scenario.reconcileAfter(5 * MINUTE_MS);
    expect(scenario.stored(ADA)).toMatchObject({ status: "paused", watch: { failures: 0 } });
    expect(scenario.stored(ADA).watch).not.toHaveProperty("expiresAt");
    expect(scenario.stored(ADA).followUp).not.toHaveProperty("dueAt");
  });

  it("publishes the pause later when the topic does not accept it", async () => {
    scenario.topic.failure = new PublishFailure("transient", "UNAVAILABLE");
    const { lines } = await run("pause", ADA);
    expect(lines[0]).toContain("subscribers will be told by the reconciliation");
    scenario.topic.failure = undefined;
    await scenario.reconcileAfter(5 * MINUTE_MS);
    expect(types().at(-1)).toBe("mailbox.paused");
    expect(scenario.stored(ADA).followUp).not.toHaveProperty("dueAt");
  });

  it("refuses a mailbox that is not active", async () => {
    await run("flag", ADA, "--reason", "abuse_report", "--yes");
    const { code, lines } = await run("pause", ADA);
    expect(code).toBe(1);
    expect(lines[0]).toContain("this one is reauthorization_required");
    expect((await run("resume", ADA)).lines).toEqual([
      "it is not paused: reauthorization_required",
    ]);
  });
});

describe("mailboxes resume", () => {
  it("publishes everything that was missed, and then how much that was", async () => {
    await run("pause", ADA);
    const missed = [1, 2, 3].map(() => scenario.emulator.deliver(ADA).messageId);
    scenario.clock.advance(8 * 24 * HOUR_MS);
    const { code, lines } = await run("resume", ADA);
    expect(code).toBe(0);
    expect(lines[0]).toMatch(/^resumed: published 3 changes/);
    expect(added()).toEqual(missed);
    expect(lastEvent()?.attributes["ce-id"]).toMatch(/\/connected\/1\/2$/);
    expect(lastEvent()?.json).toMatchObject({ recoveredChanges: 3 });
    const user = scenario.stored(ADA);
    expect(user).toMatchObject({ status: "active", statusReason: "resumed" });
    expect(user.watch.expiresAt?.getTime()).toBeGreaterThan(scenario.clock.now().getTime());

    const live = scenario.emulator.deliver(ADA).messageId;
    await scenario.settled();
    expect(added()).toEqual([...missed, live]);

    await run("pause", ADA);
    expect(lastEvent()?.attributes["ce-id"]).toMatch(/\/paused\/1\/2$/);
  });

  it("recovers a history that expired in the meantime", async () => {
    await run("pause", ADA);
    scenario.clock.advance(20 * 24 * HOUR_MS);
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    const { code } = await run("resume", ADA);
    expect(code).toBe(0);
    // The second look of a recovery waits until late messages have appeared.
    await scenario.reconcileAfter(5 * MINUTE_MS);
    expect(types()).toContain("mailbox.gap");
    expect(added()).toContain(messageId);
  });

  it("finds that the grant has ended meanwhile", async () => {
    await run("pause", ADA);
    scenario.emulator.changePassword(ADA);
    scenario.clock.advance(24 * HOUR_MS);
    const { code, lines } = await run("resume", ADA);
    expect(code).toBe(1);
    expect(lines[0]).toContain("the grant has ended: reauthorization_required (invalid_grant)");
    expect(types().at(-1)).toBe("mailbox.reauthorization_required");
  });
});

describe("the person of a paused mailbox", () => {
  it("sees that it is paused, and can disconnect", async () => {
    await run("pause", ADA);
    const page = await (await ada.browser.get(`${scenario.publicUrl}/`)).text();
    expect(page).toContain("Your Gmail account is paused");
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
    await ada.browser.post(`${scenario.publicUrl}/disconnect`, { csrf });
    expect(scenario.stored(ADA).status).toBe("disconnected");
    expect(scenario.stored(ADA).grant).not.toHaveProperty("refreshToken");
    expect(types().at(-1)).toBe("mailbox.disconnected");
  });

  it("does not end the pause by authorizing again, and the new grant is kept for its end", async () => {
    await run("pause", ADA, "--reason", "unpaid");
    scenario.emulator.revokeAccess(ADA);
    scenario.emulator.resetCalls();
    const start = await ada.browser.get(`${scenario.publicUrl}/start`, FROM_OUR_PAGE);
    await throughGoogle(scenario.emulator, ada.browser, start, { account: ADA });
    await scenario.settled();
    expect(scenario.stored(ADA)).toMatchObject({
      status: "paused",
      statusReason: "unpaid",
      grant: { generation: 2 },
      watch: { failures: 0 },
    });
    expect(scenario.stored(ADA).sync).not.toHaveProperty("dueAt");
    expect(scenario.emulator.countCalls("users.watch", ADA)).toBe(0);
    expect(lastEvent()?.attributes["ce-id"]).toMatch(/\/paused\/2$/);

    const { messageId } = scenario.emulator.deliver(ADA);
    expect((await run("resume", ADA)).code).toBe(0);
    expect(added()).toEqual([messageId]);
    expect(lastEvent()?.json).toMatchObject({ generation: 2, recoveredChanges: 1 });
  });

  it("receives no mail", async () => {
    await run("pause", ADA);
    scenario.emulator.changePassword(ADA);
    for (let days = 0; days < 20; days++) await scenario.reconcileAfter(24 * HOUR_MS);
    expect(scenario.logged("notice_sent")).toEqual([]);
    expect(scenario.stored(ADA).status).toBe("paused");
  });
});

it("gmailApi answers 403 for a paused mailbox, and says why", async () => {
  await run("pause", ADA, "--reason", "unpaid");
  const { id } = scenario.stored(ADA);
  const { status, reason, body } = await call(scenario, `/gmail/v1/users/${id}/messages`);
  expect({ status, reason }).toEqual({ status: 403, reason: "mailboxUnavailable" });
  expect(body).toContain("The operator paused this mailbox: unpaid");
  expect(JSON.parse((await call(scenario, `/users/${id}`)).body)).toMatchObject({
    status: "paused",
    statusReason: "unpaid",
  });
});
