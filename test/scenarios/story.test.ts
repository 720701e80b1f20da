import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Scenario, startScenario } from "../support/scenario.ts";

/** The whole story of one mailbox, as a subscriber, an operator and the person see it. */
describe("a connected mailbox", () => {
  let scenario: Scenario;
  const ADA = "ada@example.com";

  beforeEach(async () => {
    scenario = await startScenario();
  });
  afterEach(() => scenario.close());

  it("goes from consent to changes, through revocation, and back without a loss", async () => {
    const { emulator, clock } = scenario;
    const { status, page } = await scenario.connect(ADA);
    expect(status).toBe(200);
    expect(page).toContain(ADA);

    const first = emulator.deliver(ADA, { subject: "one" });
    await scenario.settled();
    expect(scenario.events(ADA).map(({ attributes }) => attributes["ce-type"])).toEqual([
      "mailbox.connected",
      "mailbox.message.added",
    ]);
    expect(scenario.events(ADA)[1]?.json).toMatchObject({ messageId: first.messageId });
    void clock;
  });
});
