import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { User } from "../../functions/src/domain/user.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

/** Many grants fail at once: real revocations, or the receiver's own mistake. Evidence decides, not a rate. */

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const FLEET = Array.from({ length: 30 }, (_, index) => `user${index}@example.com`);

let scenario: Scenario;

beforeEach(async () => {
  scenario = await startScenario();
  for (const email of FLEET) await scenario.connect(email);
  // Longer than an access token lives, and than a grant counts as young.
  scenario.clock.advance(2 * HOUR_MS);
});
afterEach(() => scenario.close());

const flagged = () =>
  scenario.users.dump().users.filter(({ status }) => status === "reauthorization_required").length;

async function deliverToAll(emails: readonly string[] = FLEET): Promise<string[]> {
  const ids = emails.map((email) => scenario.emulator.deliver(email).messageId);
  await scenario.settled();
  return ids;
}

/** Counts of the store read an index: their number must not grow with the fleet. */
function countCounts(): { flaggings: number; active: number } {
  const counts = { flaggings: 0, active: 0 };
  const { countFlaggings, countActive } = scenario.users;
  scenario.users.countFlaggings = (after) => {
    counts.flaggings += 1;
    return countFlaggings(after);
  };
  scenario.users.countActive = () => {
    counts.active += 1;
    return countActive();
  };
  return counts;
}

async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 5 * MINUTE_MS) {
    scenario.clock.advance(5 * MINUTE_MS);
    await scenario.runSchedule("mailboxReconciliation");
    await scenario.settled();
  }
}

describe("many grants that fail at once", () => {
  it("P6: are held while no refresh succeeds, and flagged within two hours if Google accepts our client", async () => {
    for (const email of FLEET) scenario.emulator.changePassword(email);
    const counts = countCounts();
    await deliverToAll();
    expect(flagged()).toBeLessThanOrEqual(20);
    expect(scenario.logged("fleet_guard")).toMatchObject([{ severity: "CRITICAL" }]);
    expect(counts.active).toBe(1);
    await pass(30 * MINUTE_MS);
    expect(flagged()).toBeLessThanOrEqual(20);
    await pass(90 * MINUTE_MS);
    expect(flagged()).toBe(FLEET.length);
  });

  it("P6: flag no more users while Google rejects our client, and all continue afterwards", async () => {
    const { faults } = scenario.emulator;
    faults.failNext({ method: "token.refresh", count: "all", preset: "invalidGrant" });
    faults.failNext({ method: "token.code", count: "all", preset: "invalidClient" });
    const ids = await deliverToAll();
    const before = flagged();
    expect(before).toBeLessThanOrEqual(20);
    await pass(5 * HOUR_MS);
    expect(flagged()).toBe(before);
    const verdicts = scenario.logged("fleet_guard").filter(({ verdict }) => verdict === "unsound");
    expect(verdicts.length).toBeGreaterThanOrEqual(3);
    expect(verdicts.length).toBeLessThanOrEqual(6);

    faults.clear();
    await pass(HOUR_MS);
    expect(flagged()).toBe(before);
    for (const [index, email] of FLEET.entries()) {
      if (scenario.stored(email).status !== "active") continue;
      const told = scenario.events(email).map(({ json }) => json["messageId"]);
      expect(told).toContain(ids[index]);
    }
  });

  it("are flagged at full speed while other users' refreshes succeed", async () => {
    await scenario.connect(ADA);
    scenario.clock.advance(2 * HOUR_MS);
    await deliverToAll([ADA]);
    for (const email of FLEET) scenario.emulator.changePassword(email);
    const counts = countCounts();
    await deliverToAll();
    expect(flagged()).toBe(FLEET.length);
    expect(scenario.logged("fleet_guard")).toEqual([]);
    expect(counts).toEqual({ flaggings: 0, active: 0 });
  });

  it("are flagged without delay if a sample of the others refreshes", async () => {
    const others = Array.from({ length: 10 }, (_, index) => `other${index}@example.com`);
    for (const email of others) await scenario.connect(email);
    scenario.clock.advance(2 * HOUR_MS);
    // The sample begins at a random place: here with those whose grants live.
    const { listAll } = scenario.users;
    scenario.users.listAll = async (...place) => {
      const page = await listAll(...place);
      const isOther = ({ emailAddress }: User) => others.includes(emailAddress);
      return { ...page, users: page.users.toSorted((a, b) => +isOther(b) - +isOther(a)) };
    };
    for (const email of FLEET) scenario.emulator.changePassword(email);
    await deliverToAll();
    expect(flagged()).toBe(FLEET.length);
    expect(scenario.logged("fleet_guard")).toEqual([]);
    expect(others.every((email) => scenario.stored(email).status === "active")).toBe(true);
  });
});

describe("grants of another OAuth client", () => {
  it("P6: are never refreshed and flag no user, with one alert", async () => {
    for (const email of FLEET) {
      const user = await scenario.users.find(scenario.stored(email).id);
      if (user === undefined) throw new Error("connected");
      const grant = { ...user.grant, clientId: "another.apps.googleusercontent.com" };
      await scenario.users.update(user, { grant });
    }
    scenario.emulator.resetCalls();
    await deliverToAll();
    await pass(30 * MINUTE_MS);
    expect(scenario.emulator.countCalls("token.refresh")).toBe(0);
    expect(flagged()).toBe(0);
    expect(scenario.logged("grant_of_another_client")).toHaveLength(1);
    expect(scenario.logged("misconfigured")).toEqual([]);
  });

  it("are recognized by the client that received or first refreshed the grant", async () => {
    const [email = ""] = FLEET;
    const { clientId } = scenario.config.oauth;
    expect(scenario.stored(email).grant.clientId).toBe(clientId);
    const user = await scenario.users.find(scenario.stored(email).id);
    if (user === undefined) throw new Error("connected");
    const { clientId: _, ...grant } = user.grant;
    await scenario.users.update(user, { grant });
    await deliverToAll([email]);
    expect(scenario.stored(email).grant.clientId).toBe(clientId);
  });
});

describe("young grants", () => {
  it("that end again and again neither count nor hold other users back", async () => {
    for (let round = 0; round < 22; round++) {
      await scenario.connect(ADA, { exists: round > 0 });
      scenario.emulator.changePassword(ADA);
      scenario.emulator.deliver(ADA);
      await scenario.settled();
      expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    }
    expect(await scenario.users.countFlaggings(new Date(0))).toBe(0);
    expect(scenario.logged("fleet_guard")).toEqual([]);
  });
});
