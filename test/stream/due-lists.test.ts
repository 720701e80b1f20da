import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { UserContent } from "../../functions/src/domain/user.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { startSecondInstance } from "../support/second-instance.ts";
import { addressOf, putUser } from "../support/users.ts";

/**
 * Goal: one user who cannot be served, or one run by a wrong clock, delays no other user for longer
 * than one run, and no user for good.
 */

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** More than a run reads at a time. */
const CROWD = 150;
const LONG_AGO = new Date("2020-01-01T00:00:00Z");

describe("the due lists", () => {
  let scenario: Scenario;
  beforeEach(async () => {
    scenario = await startScenario();
    await scenario.connect(ADA);
  });
  afterEach(() => scenario.close());

  const added = () => scenario.added(ADA);
  const missed = () => {
    scenario.emulator.loseNotifications();
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    return messageId;
  };
  const crowd = async (own: (name: string) => Partial<UserContent>) => {
    for (let index = 0; index < CROWD; index++) {
      const name = `crowd-${index}`;
      await putUser(scenario.users, name, {
        emailAddress: addressOf(`${name}@example.com`),
        sync: { retries: 0, recent: [], dueAt: LONG_AGO, dueReason: "quiet" },
        ...own(name),
      });
    }
  };
  const dues = () =>
    scenario.users
      .dump()
      .users.filter(({ id }) => id.startsWith("crowd-"))
      .map(({ sync }) => sync.dueAt);

  it("serve a mailbox behind many inactive users, and drop those from the list", async () => {
    await crowd(() => ({
      status: "reauthorization_required",
      watch: { failures: 0, renewAt: LONG_AGO },
      followUp: { failures: 0, announced: { status: "reauthorization_required", generation: 1 } },
    }));
    const message = missed();
    await scenario.runSchedule("mailboxReconciliation");
    expect(added()).toContain(message);
    expect(new Set(dues())).toEqual(new Set([undefined]));

    scenario.emulator.resetCalls();
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("watchRenewal");
    expect(scenario.emulator.countCalls("users.watch", ADA)).toBe(1);
    const left = scenario.users
      .dump()
      .users.filter(({ watch }) => Number(watch.renewAt) === Number(LONG_AGO));
    expect(left).toEqual([]);
  });

  it("serve a mailbox behind many users whose turns fail, and retry those less and less often", async () => {
    await crowd(() => ({}));
    const { find, update } = scenario.users;
    // The store refuses every write of a turn; the one that moves the date back reads first.
    const found = new Set<string>();
    scenario.users.find = (id) => {
      found.add(id);
      return find(id);
    };
    scenario.users.update = (user, patch, changes) =>
      user.id.startsWith("crowd-") && !found.delete(user.id)
        ? Promise.reject(Object.assign(new Error("14 UNAVAILABLE"), { code: 14 }))
        : update(user, patch, changes);
    const message = missed();
    await scenario.runSchedule("mailboxReconciliation");
    expect(added()).toContain(message);
    const failed = scenario.logged("due_user_failed");
    expect(failed).toHaveLength(CROWD);
    const waits = () => dues().map((at) => Number(at) - scenario.clock.now().getTime());
    expect(Math.min(...waits())).toBeGreaterThan(0);
    expect(Math.max(...waits())).toBeLessThanOrEqual(MINUTE_MS);

    for (let hours = 0; hours < 10; hours++) {
      scenario.clock.advance(HOUR_MS);
      await scenario.runSchedule("mailboxReconciliation");
    }
    expect(Math.min(...waits())).toBeGreaterThan(20 * MINUTE_MS);
    expect(Math.max(...waits())).toBeLessThanOrEqual(HOUR_MS);
  });

  it("serve all others while one mailbox takes long", async () => {
    await crowd(() => ({}));
    const { update } = scenario.users;
    const served: string[] = [];
    scenario.users.update = async (user, ...rest) => {
      // The first of the list waits for all others, and in vain for those that wait for it.
      const mayWait = () => user.id === "crowd-0" && served.length < CROWD - 1;
      for (let turns = 0; turns < 1_000 && mayWait(); turns++) await turn();
      if (user.id.startsWith("crowd-")) served.push(user.id);
      return update(user, ...rest);
    };
    await scenario.runSchedule("mailboxReconciliation");
    expect(served).toHaveLength(CROWD);
    expect(served.indexOf("crowd-0")).toBe(CROWD - 1);
  });

  it("publish in turn the delays of more mailboxes than a run reads", async () => {
    const many = 2_100;
    const { now } = scenario.clock;
    for (let index = 0; index < many; index++) {
      const name = `late-${index}`;
      await putUser(scenario.users, name, {
        emailAddress: addressOf(`${name}@example.com`),
        followUp: { failures: 0, announced: { status: "active", generation: 1 } },
        sync: {
          retries: 0,
          recent: [],
          dueReason: "throttled",
          dueAt: new Date(now().getTime() + 20 * HOUR_MS),
          behindSince: new Date(now().getTime() - 2 * HOUR_MS + index),
        },
      });
    }
    const told = () => scenario.logged("mailbox_delayed").map(({ userId }) => userId);
    await scenario.runSchedule("mailboxReconciliation");
    expect(told().length).toBeLessThan(many);
    await scenario.runSchedule("mailboxReconciliation");
    expect(new Set(told()).size).toBe(many);
    expect(told()).toHaveLength(many);
  });

  it.each([
    ["full of slow mailboxes", 1_000],
    ["whose first mailbox takes longer than the run may", MINUTE_MS],
  ])("leave time for pending announcements in a run %s", async (_, tookMs) => {
    await crowd(() => ({}));
    await putUser(scenario.users, "flagged", {
      emailAddress: addressOf("flagged@example.com"),
      status: "reauthorization_required",
      watch: { failures: 0 },
      sync: { retries: 0, recent: [] },
      followUp: { failures: 0, dueAt: scenario.clock.now() },
    });
    const { update } = scenario.users;
    scenario.users.update = (user, ...rest) => {
      if (user.id.startsWith("crowd-")) scenario.clock.advance(tookMs);
      return update(user, ...rest);
    };
    await scenario.runSchedule("mailboxReconciliation");
    expect(dues().filter((at) => Number(at) === Number(LONG_AGO)).length).toBeGreaterThan(
      CROWD / 2,
    );
    const announced = scenario.events("flagged@example.com");
    expect(announced.map(({ attributes }) => attributes["ce-type"])).toEqual([
      "mailbox.reauthorization_required",
    ]);
  });

  it("keep a date that a failed turn has changed itself", async () => {
    const { update } = scenario.users;
    missed();
    const changed = new Date(scenario.clock.now().getTime() + 5 * HOUR_MS);
    let isFirst = true;
    scenario.users.update = async (user, patch, changes) => {
      if (!isFirst) return update(user, patch, changes);
      isFirst = false;
      await update(user, { sync: { ...scenario.stored(ADA).sync, dueAt: changed } });
      throw Object.assign(new Error("after the write"), { code: 14 });
    };
    await scenario.runSchedule("mailboxReconciliation");
    scenario.users.update = update;
    expect(scenario.logged("due_user_failed")).toHaveLength(1);
    expect(scenario.stored(ADA).sync.dueAt).toEqual(changed);
  });

  it("repair dates of an instance that is a year ahead, within one run", async () => {
    const ahead = startSecondInstance(scenario, { clockOffsetMs: 365 * DAY_MS });
    await ahead.watchRenewal();
    await ahead.mailboxReconciliation();
    const isAhead = ({ sync, watch }: Pick<UserContent, "sync" | "watch">) =>
      [sync.dueAt, watch.renewAt].map(
        (date) => Number(date) > scenario.clock.now().getTime() + 30 * DAY_MS,
      );
    // The run itself must not be what keeps them right.
    if (isAhead(scenario.stored(ADA)).includes(false)) {
      const { sync, watch } = scenario.stored(ADA);
      const date = new Date(scenario.clock.now().getTime() + 365 * DAY_MS);
      await scenario.users.update(scenario.stored(ADA), {
        sync: { ...sync, syncedAt: date, dueAt: date, dueReason: "quiet" },
        watch: { ...watch, renewAt: date },
      });
    }
    expect(isAhead(scenario.stored(ADA))).toEqual([true, true]);

    scenario.emulator.loseNotifications();
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.emulator.resetCalls();
    await scenario.runSchedule("watchRenewal");
    await scenario.runSchedule("mailboxReconciliation");
    expect(isAhead(scenario.stored(ADA))).toEqual([false, false]);
    expect(scenario.emulator.countCalls("users.watch", ADA)).toBe(1);
    expect(added()).toContain(messageId);
    expect(scenario.logged("due_date_absurd").map(({ list }) => list)).toEqual([
      "watch.renewAt",
      "sync.dueAt",
    ]);
  });

  it.each([
    ["ahead", DAY_MS],
    ["behind", -DAY_MS],
    ["a year ahead", 365 * DAY_MS],
    ["twenty years behind", -20 * 365 * DAY_MS],
  ])("serve only due users when an instance's clock is %s", async (_, offset) => {
    const soon = new Date(scenario.clock.now().getTime() + 12 * HOUR_MS);
    await crowd(() => ({
      sync: { retries: 0, recent: [], dueAt: soon, dueReason: "quiet" },
      watch: { failures: 0, renewAt: soon },
      followUp: { failures: 0, dueAt: soon },
    }));
    const message = missed();
    const other = startSecondInstance(scenario, { clockOffsetMs: offset });
    scenario.users.operations.reads = 0;
    await other.mailboxReconciliation();
    await other.watchRenewal();
    expect(added()).toContain(message);
    const left = scenario.users.dump().users.filter(({ id }) => id.startsWith("crowd-"));
    for (const { sync, watch, followUp } of left) {
      expect([sync.dueAt, watch.renewAt, followUp.dueAt]).toEqual([soon, soon, soon]);
    }
    expect(other.logged("due_date_absurd")).toEqual([]);
  });
});
