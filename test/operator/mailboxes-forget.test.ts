import type { Ports } from "../../functions/src/context.ts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PublishFailure } from "../../functions/src/domain/events.ts";
import type { User } from "../../functions/src/domain/user.ts";
import { type CommandOptions, runCommand } from "./operator-cli.ts";
import { mortalLife } from "./mortal.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario({ env: { CHANGES_SINK: "firestore" } });
  await scenario.connect(ADA);
});
afterEach(() => scenario.close());

function run(args: string[], options?: CommandOptions, own: Partial<Ports> = {}) {
  return runCommand((log) => scenario.operator({ ...own, log }), args, options);
}

async function somethingIsKept(email: string): Promise<string> {
  const { id } = scenario.stored(email);
  scenario.emulator.deliver(email);
  await scenario.settled();
  expect(scenario.users.dump().changes[id]).not.toEqual([]);
  return id;
}

/** Nothing of the person is left, here or at Google, and subscribers have heard of it. */
function expectForgotten(email: string, id: string, reason = "erased"): void {
  const { users, changes } = scenario.users.dump();
  expect(users.map((user) => user.id)).not.toContain(id);
  expect(changes[id] ?? []).toEqual([]);
  const { refreshTokens, watches } = scenario.emulator.account(email);
  expect(refreshTokens).toEqual([]);
  expect(watches.map(({ active }) => active)).toEqual([false]);
  const last = scenario.events(email).at(-1);
  expect(last).toMatchObject({
    attributes: { "ce-type": "mailbox.disconnected" },
    json: { reason },
  });
}

describe("mailboxes forget", () => {
  it("erases everything of one person and nothing of another", async () => {
    await scenario.connect(BOB);
    const id = await somethingIsKept(ADA);
    const bob = await somethingIsKept(BOB);
    const { code, lines, logged } = await run(["forget", ADA, "--yes"]);
    expect(code).toBe(0);
    expectForgotten(ADA, id);
    const text = lines.join("\n");
    expect(text).toMatch(/grant revoked at Google\nThis command cannot reach what follows/);
    for (const place of [/subscribers/, /CHANGES_TOPIC.*: 7 days/, /dead letters.*: 7 days/]) {
      expect(text).toMatch(place);
    }
    expect(text).toMatch(/request logs.*: 30 days/);
    expect(text).toMatch(/traces.*: 30 days/);
    expect(text).toMatch(/the last 7 days of the database/);
    expect(logged).toMatchObject([
      { event: "operator_command", command: "forget", userId: id, operator: "grace" },
      { event: "user_disconnected", reason: "erased" },
      { event: "operator_command_ended", command: "forget", userId: id, outcome: "forgotten" },
    ]);
    expect(JSON.stringify(logged)).not.toContain(ADA);
    expect(scenario.stored(BOB).status).toBe("active");
    expect(scenario.users.dump().changes[bob]).not.toEqual([]);

    // Functions that are told of them still: it is as if they had never been there.
    scenario.emulator.publishNotification({
      emailAddress: ADA,
      historyId: "999999999",
      topicName: scenario.config.gmail.topic,
    });
    await scenario.settled();
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.users.dump().users).toHaveLength(1);
    expect(await run(["forget", ADA, "--yes"])).toMatchObject({ code: 1 });
  });

  it("leaves the grant at Google with DISCONNECT_REVOKES=false, and says so", async () => {
    await scenario.close();
    scenario = await startScenario({ env: { DISCONNECT_REVOKES: "false" } });
    await scenario.connect(ADA);
    const { code, lines } = await run(["forget", ADA, "--yes"]);
    expect(code).toBe(0);
    expect(lines.join("\n")).toContain("the grant is left at Google (DISCONNECT_REVOKES=false)");
    expect(scenario.users.dump().users).toEqual([]);
    expect(scenario.emulator.account(ADA).refreshTokens).toHaveLength(1);
    expect(scenario.emulator.countCalls("revoke")).toBe(0);
  });

  it("lets a person connect again under new event ids, and restores no session of the old connection", async () => {
    const { publicUrl } = scenario;
    const old = (await scenario.connect(ADA, { exists: true })).browser;
    expect(await (await old.get(`${publicUrl}/`)).text()).toContain(ADA);
    expect((await run(["forget", ADA, "--yes"])).code).toBe(0);
    const before = scenario.events(ADA).map(({ attributes }) => attributes["ce-id"]);

    // As often as in the first life, so that a count from 1 would meet every old generation.
    for (let times = 0; times < 3; times++) await scenario.connect(ADA, { exists: true });
    const ids = scenario.events(ADA).map(({ attributes }) => attributes["ce-id"]);
    const { id } = scenario.stored(ADA);
    expect(ids.slice(before.length)).toEqual([3, 4, 5].map((next) => `${id}/connected/${next}`));
    const page = await (await old.get(`${publicUrl}/`)).text();
    expect(page).not.toContain(ADA);
    expect(page).not.toContain('name="csrf"');
  });

  it("does not claim to have erased a person whose document cannot be read", async () => {
    const { users } = scenario;
    const { find, update } = users;
    const { id } = scenario.stored(ADA);
    let isDamaged = false;
    users.find = (asked) => (isDamaged ? Promise.resolve(undefined) : find(asked));
    users.update = async (user, patch, changes) => {
      const written = await update(user, patch, changes);
      // Someone edits the document by hand once the tokens are gone.
      isDamaged ||= patch.followUp?.announced?.status === "disconnected";
      return written;
    };
    const { code, lines } = await run(["forget", ADA, "--yes"]);
    expect(code).toBe(1);
    expect(lines.join("\n")).toContain("the document cannot be read");
    users.find = find;
    expect((await users.find(id as User["id"]))?.status).toBe("disconnected");
  });

  it("erases a person who has disconnected before", async () => {
    const id = await somethingIsKept(ADA);
    scenario.emulator.changePassword(ADA);
    await run(["flag", ADA, "--reason", "abuse", "--yes"]);
    const { code, lines } = await run(["forget", ADA, "--yes"]);
    expect(code).toBe(0);
    expect(lines.join()).toContain("no grant was held any more");
    expect(scenario.users.dump()).toEqual({ users: [], changes: {} });
    expect(scenario.events(ADA).at(-1)?.attributes["ce-id"]).toBe(`${id}/disconnected/1`);
  });

  it("keeps the token until Google accepts the revocation, and then finishes", async () => {
    const id = await somethingIsKept(ADA);
    scenario.emulator.faults.failNext({ method: "revoke", count: 1, status: 503 });
    const { code, lines } = await run(["forget", ADA, "--yes"]);
    expect(code).toBe(1);
    expect(lines[0]).toContain("run this again");
    expect(scenario.stored(ADA)).toMatchObject({ status: "disconnected", sync: {} });
    expect(scenario.stored(ADA).grant.refreshToken).toBeDefined();
    expect((await run(["forget", ADA, "--yes"])).code).toBe(0);
    expectForgotten(ADA, id);
  });

  it("erases anyway after a day, and says what the person has to do", async () => {
    await somethingIsKept(ADA);
    scenario.emulator.faults.failNext({ method: "revoke", count: 100, status: 503 });
    expect((await run(["forget", ADA, "--yes"])).code).toBe(1);
    scenario.clock.advance(DAY_MS + MINUTE_MS);
    const { code, lines } = await run(["forget", ADA, "--yes"]);
    expect(code).toBe(0);
    expect(lines.join()).toContain("could not be revoked");
    expect(scenario.users.dump()).toEqual({ users: [], changes: {} });
  });

  it("waits until the event is published", async () => {
    const id = await somethingIsKept(ADA);
    scenario.topic.failure = new PublishFailure("misconfigured", "topic_not_found");
    const { code } = await run(["forget", ADA, "--yes"]);
    expect(code).toBe(1);
    expect(scenario.stored(ADA).status).toBe("disconnected");
    scenario.topic.failure = undefined;
    expect((await run(["forget", ADA, "--yes"])).code).toBe(0);
    expectForgotten(ADA, id);
  });

  it("leaves a connection that is newer than the command", async () => {
    const id = await somethingIsKept(ADA);
    const { code } = await run(["forget", ADA], {
      async answer() {
        await scenario.connect(ADA, { exists: true });
        return "yes";
      },
    });
    expect(code).toBe(1);
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
    expect(scenario.users.dump().changes[id]).not.toEqual([]);
    expect(scenario.emulator.account(ADA).refreshTokens).not.toEqual([]);
  });

  it("leaves a connection that is made just before the document is deleted", async () => {
    await somethingIsKept(ADA);
    const users: Ports["users"] = {
      ...scenario.users,
      async erase(user) {
        await scenario.connect(ADA, { exists: true });
        return scenario.users.erase(user);
      },
    };
    const { code, lines } = await run(["forget", ADA, "--yes"], {}, { users });
    expect(code).toBe(1);
    expect(lines[0]).toContain("connected again");
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
  });

  it("at the same time as a sync of the mailbox: what is erased stays erased", async () => {
    const id = await somethingIsKept(ADA);
    const held = scenario.emulator.faults.hold("history.list", { count: 1 });
    scenario.emulator.deliver(ADA);
    await held.arrived;
    expect((await run(["forget", ADA, "--yes"])).code).toBe(0);
    held.release();
    await scenario.settled();
    const { users, changes } = scenario.users.dump();
    expect({ users, changes: changes[id] ?? [] }).toEqual({ users: [], changes: [] });
  });
});

describe.each(["before", "after"] as const)("mailboxes forget that dies %s an effect", (when) => {
  it.each([
    ["at once", async () => {}],
    [
      "after functions have run meanwhile",
      async () => {
        scenario.clock.advance(6 * MINUTE_MS);
        await scenario.runSchedule("mailboxReconciliation");
      },
    ],
  ])("is finished by the same command, %s", async (_, meanwhile) => {
    const met = new Set<string>();
    for (let diesAt = 1; ; diesAt++) {
      const email = `user${diesAt}@example.com`;
      await scenario.connect(email);
      const id = await somethingIsKept(email);
      const life = mortalLife(diesAt, when);
      const { code } = await runCommand(
        (log) => {
          const ports = {
            users: life.bind(scenario.users),
            publish: life.bind({ publish: scenario.topic.publish }).publish,
            gmail: life.bind(scenario.google.gmail),
            oauth: life.bind(scenario.google.oauth),
          };
          return scenario.operator({ ...ports, log });
        },
        ["forget", email, "--yes"],
      );
      for (const effect of life.effects) met.add(effect);
      expect(code).toBe(life.isOver ? 1 : 0);
      await meanwhile();
      const isStored = scenario.users.dump().users.some((user) => user.id === id);
      expect((await run(["forget", email, "--yes"])).code).toBe(isStored ? 0 : 1);
      expectForgotten(email, id);
      if (!life.isOver) break;
      expect(diesAt).toBeLessThan(40);
    }
    expect([...met]).toEqual(
      expect.arrayContaining(["update", "stop", "revoke", "publish", "erase"]),
    );
  });
});
