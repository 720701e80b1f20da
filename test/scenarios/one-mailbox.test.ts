import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Scenario, startScenario } from "../support/scenario.ts";

/** What one mailbox that fails means for the others, for its subscribers and for the operator. */

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const HOUR_MS = 3_600_000;

describe("one mailbox that fails", () => {
  let scenario: Scenario;

  beforeEach(async () => {
    scenario = await startScenario();
    await scenario.connect(ADA);
    await scenario.connect(BOB);
  });
  afterEach(() => scenario.close());

  const added = (email: string) =>
    scenario
      .events(email)
      .filter(({ attributes }) => attributes["ce-type"] === "mailbox.message.added")
      .map(({ json }) => json["messageId"]);

  it.each([
    { method: "history.list", preset: "accessNotConfigured" },
    { method: "token.refresh", preset: "unauthorizedClient" },
  ] as const)("delays no other mailbox when $method answers $preset", async (fault) => {
    scenario.clock.advance(2 * HOUR_MS);
    scenario.emulator.faults.failNext({ ...fault, account: ADA, count: "all" });
    for (let mail = 0; mail < 8; mail++) {
      scenario.emulator.deliver(ADA);
      await scenario.settled();
    }
    const { messageId } = scenario.emulator.deliver(BOB);
    await scenario.settled();
    expect(added(BOB)).toEqual([messageId]);
    expect(scenario.logged("circuit_open")).toEqual([]);
  });
});
