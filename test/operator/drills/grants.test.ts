import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type LocalStack, startLocalStack } from "../../local/stack.ts";
import { openBrowser, throughGoogle } from "../../support/browser.ts";
import { runCommand } from "../operator-cli.ts";
import { type MemoryTopic, memoryTopic } from "../../support/memory-topic.ts";
import { type MemoryUsers, memoryUsers } from "../../support/memory-users.ts";
import { type Scenario, startScenario } from "../../support/scenario.ts";

/**
 * Goal: what happens when every grant ends, by the people or by the operator, and when mailboxes move to another
 * project: each person is back with one click, from the cursor that was kept.
 */

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario();
});
afterEach(() => scenario.close());

type Published = MemoryTopic["published"];

const linkOf = (published: Published, email: string) =>
  String(
    published.findLast(
      ({ attributes, json }) =>
        attributes["ce-type"] === "mailbox.reauthorization_required" &&
        json["emailAddress"] === email,
    )?.json["reauthorizeUrl"],
  );

/** What a person does with their link. */
async function reauthorize(link: string, account: string): Promise<string> {
  const browser = openBrowser();
  const started = await browser.post(link, {});
  return (await throughGoogle(scenario.emulator, browser, started, { account })).text();
}

describe("every grant ends at once", () => {
  const emails = Array.from({ length: 24 }, (_, index) => `user${index}@example.com`);
  const flagged = () =>
    scenario.users.dump().users.filter(({ status }) => status === "reauthorization_required");

  async function connectAll(): Promise<void> {
    for (const email of emails) await scenario.connect(email);
    // Longer than an access token lives, and than a grant counts as young.
    scenario.clock.advance(2 * 60 * MINUTE_MS);
  }

  async function deliverToAll(): Promise<string[]> {
    const ids = emails.map((email) => scenario.emulator.deliver(email).messageId);
    await scenario.settled();
    return ids;
  }

  async function pass(minutes: number): Promise<void> {
    for (let passed = 0; passed < minutes; passed += 10) {
      scenario.clock.advance(10 * MINUTE_MS);
      await scenario.runSchedule("mailboxReconciliation");
    }
  }

  it("by the people: the guard holds most of them back, asks Google about the client, and all resume", async () => {
    await connectAll();
    for (const email of emails) scenario.emulator.changePassword(email);
    const missed = await deliverToAll();
    expect(flagged().length).toBeLessThanOrEqual(20);
    expect(scenario.logged("fleet_guard")[0]).toMatchObject({ severity: "CRITICAL" });
    await pass(120);
    expect(flagged()).toHaveLength(emails.length);

    for (const [index, email] of emails.entries()) {
      const page = await reauthorize(linkOf(scenario.topic.published, email), email);
      expect(page).toContain("We delivered the one change you missed.");
      const ids = scenario.events(email).flatMap(({ json }) => json["messageId"] ?? []);
      expect(ids).toEqual([missed[index]]);
    }
    expect(flagged()).toEqual([]);
  });

  it("by our own mistake that ends in time: users who were held back continue without a click", async () => {
    await connectAll();
    // As Google answers when a deploy has paired the grants with another client.
    const answer = { status: 400, body: { error: "invalid_grant" } };
    scenario.emulator.faults.failNext({ method: "token.refresh", count: 1_000, ...answer });
    const missed = await deliverToAll();
    const before = flagged().length;
    expect(before).toBeLessThanOrEqual(20);
    scenario.emulator.faults.clear();
    await pass(20);
    expect(flagged()).toHaveLength(before);
    for (const [index, email] of emails.entries()) {
      if (scenario.stored(email).status !== "active") continue;
      const ids = scenario.events(email).flatMap(({ json }) => json["messageId"] ?? []);
      expect(ids).toEqual([missed[index]]);
    }
  });
});

describe("another project", () => {
  const ADA = "ada@example.com";
  const MOVED = "projects/demo-moved/topics/gmail-notifications";
  const CLIENT = { clientId: "moved.apps.googleusercontent.com", clientSecret: "GOCSPX-moved" };
  let users: MemoryUsers;
  let topic: MemoryTopic;
  let moved: LocalStack;

  /** The receiver in the other project: a client and a topic of its own, and the same people. */
  async function deployThere(): Promise<void> {
    users = memoryUsers();
    topic = memoryTopic(scenario.clock.now);
    moved = await startLocalStack({
      users,
      publish: topic.publish,
      clock: scenario.clock,
      env: {
        GMAIL_TOPIC: MOVED,
        OAUTH_CLIENT_ID: CLIENT.clientId,
        OAUTH_CLIENT_SECRET: CLIENT.clientSecret,
        TOKEN_KEYS: scenario.config.sealing.tokenKeys,
        GMAIL_EMULATOR_HOST: scenario.emulator.host,
      },
    });
    const redirectUris = [`${moved.publicUrl}/callback`];
    scenario.emulator.addClient({ ...CLIENT, redirectUris, projectId: "demo-moved" });
    scenario.emulator.addTopic(MOVED);
  }
  afterEach(() => moved.close());

  /** What an export brings over. */
  async function copy(): Promise<void> {
    for (const user of scenario.users.dump().users) {
      await users.authorize(user.id, () => user);
    }
  }

  it("does not take grants: alerts there, no user flagged, and the old project still works", async () => {
    await scenario.connect(ADA);
    await deployThere();
    await copy();
    scenario.clock.advance(2 * 60 * MINUTE_MS);
    const { messageId } = scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.clock.advance(DAY_MS);
    await moved.runSchedule("mailboxReconciliation");
    expect(moved.logs.join("\n")).toContain('"event":"grant_of_another_client"');
    expect(users.dump().users.map(({ status }) => status)).toEqual(["active"]);
    expect(scenario.events(ADA).at(-1)?.json["messageId"]).toBe(messageId);
  });

  it("takes the cursor: one click in the new project, and nothing in between is lost", async () => {
    await scenario.connect(ADA);
    await deployThere();
    // The last moment of the old project; then its documents, and nothing runs yet.
    scenario.emulator.setPush({ kind: "push", url: moved.urls.gmailNotification });
    await copy();
    for (const { id } of users.dump().users) {
      const args = ["flag", id, "--reason", "project_moved", "--yes"];
      const { code } = await runCommand((log) => moved.operator({ log }), args);
      expect(code).toBe(0);
    }
    const missed = [1, 2, 3].map(() => scenario.emulator.deliver(ADA).messageId);
    const link = linkOf(topic.published, ADA);
    expect(link.startsWith(moved.publicUrl)).toBe(true);

    scenario.clock.advance(DAY_MS);
    const page = await reauthorize(link, ADA);
    expect(page).toContain("We delivered the 3 changes you missed.");
    const next = scenario.emulator.deliver(ADA).messageId;
    await scenario.settled();
    const ids = topic.published.flatMap(({ json }) => json["messageId"] ?? []);
    expect(new Set(ids)).toEqual(new Set([...missed, next]));
    expect(users.dump().users).toMatchObject([{ status: "active", grant: { generation: 2 } }]);
  });
});
