import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pause } from "../../functions/src/grant/pause.ts";
import { PublishFailure } from "../../functions/src/domain/events.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

/**
 * Goal: people are renamed at Google, swap addresses and give them up. Each connected account keeps
 * its own stream, is found by notifications again, and nothing of it is told under another account.
 */

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const EVE = "eve@example.com";
const RENAMED = "ada.l@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario();
});
afterEach(() => scenario.close());

const userOf = (sub: string) => scenario.users.dump().users.find(({ id }) => id === sub);
const subOf = (email: string) => scenario.emulator.account(email).sub;
const typesOf = (sub: string) => eventsOf(sub).map(({ attributes }) => attributes["ce-type"]);
const messagesOf = (sub: string) =>
  eventsOf(sub).flatMap(({ json }) => (json["messageId"] === undefined ? [] : [json["messageId"]]));
const eventsOf = (sub: string) =>
  scenario.topic.published.filter(({ orderingKey }) => orderingKey === sub);

/** Delivers a mail and serves its notification; resolves to the ids told within that time. */
async function toldAtOnce(email: string): Promise<boolean> {
  const { messageId } = scenario.emulator.deliver(email);
  await scenario.settled();
  return messagesOf(subOf(email)).includes(messageId);
}

async function renewAll(): Promise<void> {
  scenario.clock.advance(25 * HOUR_MS);
  await scenario.runSchedule("watchRenewal");
  await scenario.settled();
}

async function pollAll(): Promise<void> {
  scenario.clock.advance(7 * HOUR_MS);
  await scenario.runSchedule("mailboxReconciliation");
  await scenario.settled();
}

describe("a connected account that is renamed at Google", () => {
  let sub: string;
  beforeEach(async () => {
    await scenario.connect(ADA);
    sub = subOf(ADA);
    scenario.emulator.renameAddress(ADA, RENAMED);
  });

  it("is found by its notifications after the next renewal", async () => {
    expect(await toldAtOnce(RENAMED)).toBe(false);
    await renewAll();
    expect(userOf(sub)).toMatchObject({ emailAddress: RENAMED, grant: { generation: 1 } });
    expect(await toldAtOnce(RENAMED)).toBe(true);
    expect(eventsOf(sub).at(-1)?.json["emailAddress"]).toBe(RENAMED);
  });

  it("is found after the first poll that finds unannounced changes, without a false alarm", async () => {
    expect(await toldAtOnce(RENAMED)).toBe(false);
    await pollAll();
    expect(userOf(sub)?.emailAddress).toBe(RENAMED);
    expect(messagesOf(sub)).toHaveLength(1);
    expect(await toldAtOnce(RENAMED)).toBe(true);
    expect(scenario.logged("push_missed")).toEqual([]);
    expect(scenario.emulator.countCalls("users.watch")).toBe(1);
    await pollAll();
    expect(scenario.emulator.countCalls("users.getProfile")).toBe(2);
  });

  it("publishes each change of its address once, under an id of its own", async () => {
    await renewAll();
    scenario.emulator.renameAddress(RENAMED, ADA);
    await renewAll();
    scenario.emulator.renameAddress(ADA, RENAMED);
    await renewAll();
    await renewAll();
    const changes = eventsOf(sub).filter(
      ({ attributes }) => attributes["ce-type"] === "mailbox.address_changed",
    );
    expect(changes.map(({ json }) => json)).toEqual([
      { userId: sub, emailAddress: RENAMED, previousEmailAddress: ADA },
      { userId: sub, emailAddress: ADA, previousEmailAddress: RENAMED },
      { userId: sub, emailAddress: RENAMED, previousEmailAddress: ADA },
    ]);
    const ids = changes.map(({ attributes }) => attributes["ce-id"] ?? "");
    expect(new Set(ids).size).toBe(3);
    for (const id of ids) {
      expect(id).toMatch(new RegExp(`^${sub}/address_changed/`));
      expect(id).not.toContain("@");
    }
  });

  it("repeats the event under the same id when the instance dies before it stores the address", async () => {
    const { update } = scenario.users;
    scenario.users.update = () => Promise.reject(new Error("the instance died"));
    await renewAll();
    expect(userOf(sub)?.emailAddress).toBe(ADA);
    scenario.users.update = update;
    await scenario.runSchedule("watchRenewal");
    expect(userOf(sub)?.emailAddress).toBe(RENAMED);
    const ids = eventsOf(sub)
      .filter(({ attributes }) => attributes["ce-type"] === "mailbox.address_changed")
      .map(({ attributes }) => attributes["ce-id"]);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
  });

  it("keeps the stored address until the topic has accepted the event", async () => {
    scenario.topic.failure = new PublishFailure("transient", "UNAVAILABLE");
    await renewAll();
    expect(userOf(sub)?.emailAddress).toBe(ADA);
    expect(userOf(sub)?.watch.failures).toBe(0);
    scenario.topic.failure = undefined;
    scenario.clock.advance(2 * MINUTE_MS);
    await scenario.runSchedule("watchRenewal");
    expect(userOf(sub)?.emailAddress).toBe(RENAMED);
  });

  it("is found soon if the topic did not accept the address that a poll has found", async () => {
    expect(await toldAtOnce(RENAMED)).toBe(false);
    // Only the mail itself is accepted.
    scenario.topic.onPublished = () => {
      scenario.topic.failure = new PublishFailure("transient", "UNAVAILABLE");
    };
    await pollAll();
    expect(userOf(sub)?.emailAddress).toBe(ADA);
    scenario.topic.onPublished = () => {};
    scenario.topic.failure = undefined;
    await scenario.runSchedule("watchRenewal");
    expect(await toldAtOnce(RENAMED)).toBe(true);
  });

  it("is found after a renewal at once when it connects again while the topic accepts nothing", async () => {
    scenario.topic.failure = new PublishFailure("transient", "UNAVAILABLE");
    await scenario.connect(RENAMED, { exists: true });
    expect(userOf(sub)?.emailAddress).toBe(ADA);
    scenario.topic.failure = undefined;
    await scenario.runSchedule("watchRenewal");
    expect(userOf(sub)?.emailAddress).toBe(RENAMED);
  });

  it("is found after a renewal at once when it connects while Gmail's profile does not answer", async () => {
    scenario.emulator.setMailAddress(RENAMED, EVE);
    scenario.emulator.faults.failNext({ method: "users.getProfile", count: 1, status: 503 });
    await scenario.connect(RENAMED, { exists: true });
    expect(await toldAtOnce(RENAMED)).toBe(false);
    await scenario.runSchedule("watchRenewal");
    expect(await toldAtOnce(RENAMED)).toBe(true);
  });

  it("is renewed and synced as usual while Gmail's profile does not answer", async () => {
    scenario.emulator.faults.failNext({ method: "users.getProfile", count: "all", status: 503 });
    expect(await toldAtOnce(RENAMED)).toBe(false);
    await renewAll();
    expect(userOf(sub)).toMatchObject({ emailAddress: ADA, watch: { failures: 0 } });
    expect(messagesOf(sub)).toHaveLength(1);
  });
});

describe("an account that notifications spell differently", () => {
  const SIGNED_IN = "ada@googlemail.com";
  const NOTIFIED = "ada@gmail.com";

  it("is found after it connects, and subscribers see one address", async () => {
    scenario.emulator.createAccount({ email: SIGNED_IN });
    scenario.emulator.setMailAddress(SIGNED_IN, NOTIFIED);
    await scenario.connect(SIGNED_IN, { exists: true });
    expect(await toldAtOnce(SIGNED_IN)).toBe(true);
    expect(scenario.stored(SIGNED_IN)).toMatchObject({ notifiedAs: NOTIFIED });
    await renewAll();
    await scenario.connect(SIGNED_IN, { exists: true });
    const told = eventsOf(subOf(SIGNED_IN));
    expect(new Set(told.map(({ json }) => json["emailAddress"]))).toEqual(new Set([SIGNED_IN]));
    expect(typesOf(subOf(SIGNED_IN))).not.toContain("mailbox.address_changed");
  });

  it("is found after the next renewal when an older version stored it", async () => {
    await scenario.connect(SIGNED_IN);
    scenario.emulator.setMailAddress(SIGNED_IN, NOTIFIED);
    expect(await toldAtOnce(SIGNED_IN)).toBe(false);
    await renewAll();
    expect(await toldAtOnce(SIGNED_IN)).toBe(true);
    expect(typesOf(subOf(SIGNED_IN))).not.toContain("mailbox.address_changed");
  });
});

describe("two people who swap their addresses", () => {
  it("never get each other's changes, and each is found by its own notifications again", async () => {
    for (const email of [ADA, BOB]) await scenario.connect(email);
    const [ada, bob] = [subOf(ADA), subOf(BOB)];
    scenario.emulator.renameAddress(ADA, EVE);
    scenario.emulator.renameAddress(BOB, ADA);
    scenario.emulator.renameAddress(EVE, BOB);
    const sent = { ada: [] as string[], bob: [] as string[] };
    const deliver = async () => {
      sent.ada.push(scenario.emulator.deliver(BOB).messageId);
      sent.bob.push(scenario.emulator.deliver(ADA).messageId);
      await scenario.settled();
    };
    await deliver();
    // Each is woken by the other's notifications meanwhile, so a poll may find nothing missed.
    await pollAll();
    await renewAll();
    expect(userOf(ada)?.emailAddress).toBe(BOB);
    expect(userOf(bob)?.emailAddress).toBe(ADA);
    await deliver();
    expect(messagesOf(ada)).toEqual(sent.ada);
    expect(messagesOf(bob)).toEqual(sent.bob);
    expect(eventsOf(ada).at(-1)?.json["emailAddress"]).toBe(BOB);
    expect(eventsOf(bob).at(-1)?.json["emailAddress"]).toBe(ADA);
  });
});

describe("an address that goes to another account, which connects", () => {
  let sub: string;
  beforeEach(async () => {
    await scenario.connect(ADA);
    sub = subOf(ADA);
  });
  const reassign = () =>
    scenario.emulator.moveAddress(ADA, { formerAddress: RENAMED, sub: "109876543210" }).sub;

  it("keeps the old account's living grant, cursor and stream", async () => {
    const { historyId } = scenario.stored(ADA);
    const other = reassign();
    await scenario.connect(ADA, { exists: true });
    expect(userOf(sub)).toMatchObject({ status: "active", emailAddress: RENAMED, historyId });
    expect(scenario.emulator.countCalls("revoke")).toBe(0);
    expect(await toldAtOnce(RENAMED)).toBe(true);
    expect(await toldAtOnce(ADA)).toBe(true);
    expect(typesOf(sub)).toEqual([
      "mailbox.connected",
      "mailbox.address_changed",
      "mailbox.message.added",
    ]);
    expect(typesOf(other)).toEqual(["mailbox.connected", "mailbox.message.added"]);
  });

  it("disconnects an old account whose grant has ended, and a later connection resumes", async () => {
    scenario.emulator.changePassword(ADA);
    reassign();
    await scenario.connect(ADA, { exists: true });
    expect(userOf(sub)).toMatchObject({ status: "disconnected", statusReason: "address_moved" });
    expect(userOf(sub)?.grant).not.toHaveProperty("refreshToken");
    expect(scenario.emulator.countCalls("revoke")).toBe(0);
    scenario.clock.advance(3 * MINUTE_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(eventsOf(sub).at(-1)).toMatchObject({
      attributes: { "ce-type": "mailbox.disconnected" },
      json: { reason: "address_moved" },
    });

    const { messageId } = scenario.emulator.deliver(RENAMED);
    const { page } = await scenario.connect(RENAMED, { exists: true });
    expect(page).toContain("1");
    expect(messagesOf(sub)).toEqual([messageId]);
    expect(userOf(sub)).toMatchObject({ status: "active", emailAddress: RENAMED });
  });

  it("publishes a gap if the history of such an account has expired by then", async () => {
    scenario.emulator.changePassword(ADA);
    reassign();
    await scenario.connect(ADA, { exists: true });
    const { messageId } = scenario.emulator.deliver(RENAMED);
    scenario.emulator.expireHistory(RENAMED);
    await scenario.connect(RENAMED, { exists: true });
    await scenario.settled();
    for (let minutes = 0; minutes < 10; minutes++) {
      scenario.clock.advance(MINUTE_MS);
      await scenario.runSchedule("mailboxReconciliation");
    }
    expect(typesOf(sub)).toContain("mailbox.gap");
    expect(messagesOf(sub)).toContain(messageId);
  });

  it("disconnects an old account whose grant a sync flags at the same time", async () => {
    scenario.emulator.changePassword(ADA);
    const other = reassign();
    const { users } = scenario;
    const { listByEmailAddress } = users;
    users.listByEmailAddress = async (address) => {
      const listed = await listByEmailAddress(address);
      // Gmail notifies of the new watch by the address that still leads to the old account.
      scenario.clock.advance(7 * HOUR_MS);
      await scenario.runSchedule("mailboxReconciliation");
      return listed;
    };
    await scenario.connect(ADA, { exists: true });
    expect(userOf(sub)).toMatchObject({ status: "disconnected", statusReason: "address_moved" });
    expect(userOf(other)?.status).toBe("active");
  });

  it("disconnects an old account that was waiting for a new authorization", async () => {
    scenario.emulator.changePassword(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    reassign();
    await scenario.connect(ADA, { exists: true });
    expect(userOf(sub)).toMatchObject({ status: "disconnected", statusReason: "address_moved" });
  });

  it("ends no grant while Gmail does not answer for it, and both streams continue", async () => {
    const other = reassign();
    scenario.clock.advance(2 * HOUR_MS);
    scenario.emulator.faults.failNext({
      method: "token.refresh",
      account: RENAMED,
      count: "all",
      status: 503,
    });
    await scenario.connect(ADA, { exists: true });
    expect(userOf(sub)).toMatchObject({ status: "active", emailAddress: ADA });
    expect(userOf(other)).toMatchObject({ status: "active", emailAddress: ADA });
    // The notifications of the address are of the account that got it last.
    expect(await toldAtOnce(ADA)).toBe(true);
    scenario.emulator.faults.clear();
    const { messageId } = scenario.emulator.deliver(RENAMED);
    await renewAll();
    expect(userOf(sub)).toMatchObject({ status: "active", emailAddress: RENAMED });
    expect(messagesOf(sub)).toEqual([messageId]);
    expect(messagesOf(other)).toHaveLength(1);
  });

  it("renews an old account at once if the topic did not accept its new address", async () => {
    reassign();
    scenario.topic.failure = new PublishFailure("transient", "UNAVAILABLE");
    await scenario.connect(ADA, { exists: true });
    expect(userOf(sub)?.emailAddress).toBe(ADA);
    scenario.topic.failure = undefined;
    await scenario.runSchedule("watchRenewal");
    expect(userOf(sub)?.emailAddress).toBe(RENAMED);
  });

  it("leaves an old account that is paused without due work if the topic accepts nothing", async () => {
    const context = await scenario.operator({ log: createLog(() => {}) }).getContext();
    await pause(await scenario.read(ADA), "operator_request", context);
    reassign();
    scenario.topic.failure = new PublishFailure("transient", "UNAVAILABLE");
    await scenario.connect(ADA, { exists: true });
    expect(userOf(sub)).toMatchObject({ status: "paused", emailAddress: ADA });
    expect(userOf(sub)?.watch).not.toHaveProperty("renewAt");
  });

  it("starts at the present after the person disconnected", async () => {
    const { browser } = await scenario.connect(ADA, { exists: true });
    const page = await (await browser.get(scenario.publicUrl)).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
    await browser.post(`${scenario.publicUrl}/disconnect`, { csrf });
    scenario.emulator.deliver(ADA);
    await scenario.connect(ADA, { exists: true });
    expect(messagesOf(sub)).toEqual([]);
  });
});
