import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Operator } from "../../infra/cli/operator.ts";
import { type CommandOptions, type CommandResult, runCommand } from "./operator-cli.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const HOUR_MS = 3_600_000;

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario();
  await scenario.connect(ADA);
});
afterEach(() => scenario.close());

/** The operator's program with the keys, Google and the topic of the functions. */
function run(args: string[], options?: CommandOptions): Promise<CommandResult> {
  return runCommand((log): Operator => scenario.operator({ log }), args, options);
}

const types = () => scenario.events(ADA).map(({ attributes }) => attributes["ce-type"]);
const added = () => scenario.added(ADA);

describe("mailboxes sync", () => {
  it("publishes unannounced changes, writes the checkpoint, and shows it", async () => {
    scenario.emulator.loseNotifications();
    const missed = [1, 2, 3].map(() => scenario.emulator.deliver(ADA).messageId);
    scenario.clock.advance(HOUR_MS);
    const { code, lines, logged } = await run(["sync", ADA]);
    expect(code).toBe(0);
    expect(added()).toEqual(missed);
    expect(lines[0]).toMatch(
      /^published 3 changes: every change up to history id \d+ is published/,
    );
    expect(lines[0]).toMatch(/lag \d s;/);
    const { id } = scenario.stored(ADA);
    const acts = { command: "sync", userId: id, operator: "grace" };
    expect(logged).toMatchObject([
      { event: "operator_command", ...acts },
      { event: "operator_command_ended", ...acts, outcome: "caught_up" },
    ]);
    // What an operator asks for says nothing about the watch.
    expect(scenario.logged("push_missed")).toEqual([]);

    const again = await run(["sync", id, "--json"]);
    expect(JSON.parse(again.lines[0] ?? "")).toEqual({
      command: "sync",
      userId: id,
      isDone: true,
      outcome: "caught_up",
    });
    expect(added()).toEqual(missed);
  });

  it("records that the mailbox was read completely, even if there was nothing", async () => {
    const before = scenario.stored(ADA).sync.syncedAt;
    scenario.clock.advance(HOUR_MS / 4);
    expect((await run(["sync", ADA])).code).toBe(0);
    expect(scenario.stored(ADA).sync.syncedAt?.getTime()).toBeGreaterThan(Number(before) + 1);
  });

  it("at the same time as a function on the same mailbox: nothing lost, nothing out of order", async () => {
    const held = scenario.emulator.faults.hold("history.list", { count: 1 });
    const one = scenario.emulator.deliver(ADA).messageId;
    await held.arrived;
    const two = scenario.emulator.deliver(ADA).messageId;
    expect((await run(["sync", ADA])).code).toBe(0);
    const cursor = BigInt(scenario.stored(ADA).historyId);
    held.release();
    await scenario.settled();
    const three = scenario.emulator.deliver(ADA).messageId;
    await scenario.settled();
    expect(added()).toEqual([one, two, three]);
    expect(BigInt(scenario.stored(ADA).historyId)).toBeGreaterThanOrEqual(cursor);
  });

  it("flags a user whose grant has ended, and fails", async () => {
    scenario.clock.advance(2 * HOUR_MS);
    scenario.emulator.changePassword(ADA);
    const { code, lines, notes } = await run(["sync", ADA]);
    expect(code).toBe(1);
    expect(lines).toEqual(["the grant has ended: reauthorization_required (invalid_grant)"]);
    expect(notes).toEqual(["error: sync is not done: flagged"]);
    expect(types().at(-1)).toBe("mailbox.reauthorization_required");

    scenario.emulator.resetCalls();
    expect((await run(["sync", ADA])).lines).toEqual([
      "nothing is done for a user who is reauthorization_required",
    ]);
    expect((await run(["renew", ADA])).code).toBe(1);
    expect(scenario.emulator.calls).toEqual([]);
  });
});

describe("mailboxes renew", () => {
  it("renews the watch and leaves the cursor where it is", async () => {
    scenario.clock.advance(HOUR_MS);
    const before = scenario.stored(ADA);
    scenario.emulator.resetCalls();
    const { code, lines } = await run(["renew", ADA]);
    expect(code).toBe(0);
    const { watch, historyId } = scenario.stored(ADA);
    expect(lines).toEqual([`Gmail notifies until ${watch.expiresAt?.toISOString()}`]);
    expect(Number(watch.expiresAt)).toBeGreaterThan(Number(before.watch.expiresAt));
    expect(historyId).toBe(before.historyId);
    expect(scenario.emulator.countCalls("users.watch", ADA)).toBe(1);
  });

  it("fails when Google rejects the watch, flags no user, and leaves the renewal due", async () => {
    scenario.emulator.removeTopic(scenario.config.gmail.topic);
    const { code, lines } = await run(["renew", ADA]);
    expect(code).toBe(1);
    expect(lines[0]).toMatch(/^failed: misconfigured \(\w+\); the renewal is due again$/);
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", watch: { failures: 1 } });
  });
});

describe("mailboxes flag", () => {
  it("flags the user, removes the tokens, and publishes how to restore access", async () => {
    const { code, lines } = await run(["flag", ADA, "--reason", "abuse_report", "--yes"]);
    expect(code).toBe(0);
    expect(lines).toEqual([
      "reauthorization_required (abuse_report); the tokens are removed; subscribers were told",
    ]);
    const user = scenario.stored(ADA);
    expect(user).toMatchObject({
      status: "reauthorization_required",
      statusReason: "abuse_report",
    });
    for (const token of ["refreshToken", "accessToken", "refreshTokenDigests"]) {
      expect(user.grant).not.toHaveProperty(token);
    }
    expect(user.watch).not.toHaveProperty("renewAt");
    expect(user.sync).not.toHaveProperty("dueAt");
    expect(scenario.events(ADA).at(-1)?.json).toMatchObject({
      reason: "abuse_report",
      reauthorizeUrl: expect.stringContaining("/reauthorize/"),
    });
    const again = await run(["flag", ADA, "--reason", "again", "--yes"]);
    expect(again).toMatchObject({ code: 0 });
    expect(scenario.stored(ADA).statusReason).toBe("abuse_report");
  });

  it("asks for confirmation, and accepts only yes", async () => {
    const questions: string[] = [];
    for (const answer of ["", "y", "no"]) {
      const { code, notes } = await run(["flag", ADA, "--reason", "abuse"], {
        answer(question) {
          questions.push(question);
          return answer;
        },
      });
      expect(code).toBe(1);
      expect(notes).toContain("error: nothing was done");
    }
    expect(questions[0]).toContain(`Suspend ${ADA} (${scenario.stored(ADA).id})`);
    expect(scenario.stored(ADA).status).toBe("active");
    const { code } = await run(["flag", ADA, "--reason", "abuse"], { answer: () => "yes" });
    expect(code).toBe(0);
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
  });

  it("P7: does not flag a newer grant than the one that was read", async () => {
    const { code } = await run(["flag", ADA, "--reason", "abuse"], {
      async answer() {
        await scenario.connect(ADA, { exists: true });
        return "yes";
      },
    });
    expect(code).toBe(1);
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
  });

  it("is not a failure: the fleet guard does not count it", async () => {
    const flagged = Array.from({ length: 25 }, (_, index) => `user${index}@example.com`);
    for (const email of flagged) {
      await scenario.connect(email);
      expect((await run(["flag", email, "--reason", "abuse", "--yes"])).code).toBe(0);
    }
    scenario.clock.advance(2 * 60_000);
    scenario.emulator.changePassword(ADA);
    scenario.emulator.expireAccessTokens(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
  });
});

describe("what a poll of a quiet mailbox finds", () => {
  it("is stored in the write that it makes anyway, and is reset the next time", async () => {
    scenario.emulator.loseNotifications();
    for (const _ of [1, 2, 3]) scenario.emulator.deliver(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    const { operations } = scenario.users;
    const { writes } = operations;
    await scenario.runSchedule("mailboxReconciliation");
    expect(operations.writes).toBe(writes + 1);
    const found = scenario.stored(ADA).sync;
    expect(found.unannounced).toEqual({ at: found.syncedAt, changes: 3 });
    expect((await run(["show", ADA])).lines.at(-1)).toContain("found 3 unannounced changes");

    scenario.clock.advance(7 * HOUR_MS);
    await scenario.runSchedule("mailboxReconciliation");
    const next = scenario.stored(ADA).sync;
    expect(next.unannounced).toEqual({ at: next.syncedAt, changes: 0 });
  });

  it("does not count announced changes, and keeps the time of notifications", async () => {
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const { unannounced, notifiedAt, syncedAt } = scenario.stored(ADA).sync;
    expect(unannounced).toBeUndefined();
    expect(notifiedAt).toEqual(syncedAt);
  });

  it("is what it has found so far when it runs out of pages", async () => {
    await scenario.close();
    scenario = await startScenario({ env: { SYNC_PAGES_MAX: "2" } });
    await scenario.connect(ADA);
    scenario.emulator.loseNotifications();
    scenario.emulator.settings.historyPageMax = 2;
    for (const _ of Array(10)) scenario.emulator.deliver(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    await scenario.runSchedule("mailboxReconciliation");
    const found = { at: expect.any(Date), changes: 4 };
    expect(scenario.stored(ADA).sync).toMatchObject({
      dueReason: "unfinished",
      unannounced: found,
    });
    for (let runs = 0; scenario.stored(ADA).sync.dueReason === "unfinished"; runs++) {
      expect(runs).toBeLessThan(10);
      await scenario.runSchedule("mailboxReconciliation");
    }
    expect(scenario.stored(ADA).sync.unannounced).toEqual(found);
    expect(added()).toHaveLength(10);
  });
});
