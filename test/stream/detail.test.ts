import { afterEach, describe, expect, it } from "vitest";
import { PublishFailure } from "../../functions/src/domain/events.ts";
import { GMAIL_SCOPES } from "../gmail-emulator/scopes.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const HOUR_MS = 3_600_000;
const MAIL = {
  from: "Bob <bob@example.org>",
  subject: "A private subject",
  text: "The private beginning of a text",
};

let scenario: Scenario;
afterEach(() => scenario.close());

async function start(env: Record<string, string> = {}): Promise<void> {
  scenario = await startScenario({ env: { CHANGES_DETAIL: "headers", ...env } });
  await scenario.connect(ADA);
  scenario.emulator.resetCalls();
}

function added(): Record<string, unknown>[] {
  return scenario
    .events(ADA)
    .filter(({ attributes }) => attributes["ce-type"] === "mailbox.message.added")
    .map(({ json }) => json);
}

const missing = () => added().map((json) => json["headersMissing"]);

describe("CHANGES_DETAIL=headers", () => {
  it("gives an added message its header fields, date and size", async () => {
    await start({ CHANGES_SINK: "firestore" });
    const { messageId } = scenario.emulator.deliver(ADA, MAIL);
    await scenario.settled();
    const [message] = scenario.emulator.account(ADA).messages;
    const event = {
      messageId,
      headers: {
        from: MAIL.from,
        to: ADA,
        subject: MAIL.subject,
        date: expect.any(String),
        messageId: `<${messageId}@mail.example.com>`,
      },
      internalDate: new Date(message?.internalDate ?? 0).toISOString(),
      sizeEstimate: expect.any(Number),
    };
    expect(added()).toEqual([expect.objectContaining(event)]);
    // The scope gmail.metadata does not show any text.
    expect(added()[0]).not.toHaveProperty("snippet");
    expect(scenario.emulator.countCalls("messages.get", ADA)).toBe(1);
    const { changes } = scenario.users.dump();
    expect(changes[scenario.stored(ADA).id]?.[0]?.data).toMatchObject({ headers: event.headers });
  });

  it("gives it the beginning of the text where the scope allows it", async () => {
    await start({ GMAIL_SCOPES: GMAIL_SCOPES.readonly });
    scenario.emulator.deliver(ADA, MAIL);
    await scenario.settled();
    expect(added()[0]).toMatchObject({ snippet: MAIL.text });
  });

  it("publishes without them what Gmail does not answer in time", async () => {
    await start();
    const held = scenario.emulator.faults.hold("messages.get", { count: 1 });
    scenario.emulator.deliver(ADA, MAIL);
    await scenario.settled();
    expect(missing()).toEqual(["late"]);
    expect(added()[0]).not.toHaveProperty("headers");
    held.release();
    scenario.emulator.deliver(ADA, MAIL);
    await scenario.settled();
    expect(missing()).toEqual(["late", undefined]);
  });

  it.each([
    ["notFound", "gone"],
    ["userRateLimitExceeded", "throttled"],
    ["backendError", "failed"],
    ["invalidCredentials", "failed"],
    ["emptyObject200", "failed"],
  ] as const)("publishes at once when Gmail answers %s, and says %s", async (preset, why) => {
    await start();
    scenario.emulator.faults.failNext({ method: "messages.get", count: "all", preset });
    scenario.emulator.deliver(ADA, MAIL);
    scenario.emulator.deliver(ADA, MAIL);
    await scenario.settled();
    expect(missing()).toEqual([why, why]);
    // Details are an extra: they neither fail the mailbox nor end its grant.
    const { status, sync } = scenario.stored(ADA);
    expect(status).toBe("active");
    expect(sync).not.toHaveProperty("failure");
    expect(scenario.emulator.countCalls("messages.get")).toBe(2);
  });

  it("takes no more than its share of Gmail's quota, and keeps the order", async () => {
    await start();
    scenario.emulator.loseNotifications(39);
    const delivered = Array.from({ length: 40 }, () => scenario.emulator.deliver(ADA).messageId);
    await scenario.settled();
    expect(added().map((json) => json["messageId"])).toEqual(delivered);
    expect(missing().filter((why) => why === "throttled").length).toBeGreaterThanOrEqual(9);
    expect(scenario.emulator.countCalls("messages.get")).toBeLessThanOrEqual(31);
    expect(missing()[0]).toBeUndefined();
  });

  it("gives recovered messages their header fields, too", async () => {
    await start();
    scenario.emulator.loseNotifications();
    const { messageId } = scenario.emulator.deliver(ADA, MAIL);
    scenario.emulator.expireHistory(ADA);
    for (let runs = 0; runs < 3; runs++) await scenario.reconcileAfter(7 * HOUR_MS);
    expect(added()[0]).toMatchObject({
      messageId,
      recovered: true,
      headers: { subject: MAIL.subject },
    });
  });

  it("leaves out a field that is too long for an event", async () => {
    await start();
    scenario.emulator.deliver(ADA, { ...MAIL, subject: "é".repeat(2_100) });
    await scenario.settled();
    expect(added()[0]?.["headers"]).toMatchObject({ from: MAIL.from });
    expect(added()[0]?.["headers"]).not.toHaveProperty("subject");
  });

  it("writes nothing of a message into the log", async () => {
    await start({ GMAIL_SCOPES: GMAIL_SCOPES.readonly });
    scenario.emulator.deliver(ADA, MAIL);
    scenario.emulator.faults.failNext({ method: "messages.get", preset: "backendError" });
    scenario.emulator.deliver(ADA, MAIL);
    await scenario.settled();
    scenario.topic.failure = new PublishFailure("transient", "publish_failed");
    scenario.emulator.deliver(ADA, MAIL);
    await scenario.settled();
    expect(added()).toHaveLength(2);
    const logs = scenario.logs.join("\n");
    expect(logs).toContain("mailbox_synced");
    for (const secret of ["private", "bob@", "mail.example.com"])
      expect(logs).not.toContain(secret);
  });
});

it("reads no message unless it is configured", async () => {
  scenario = await startScenario();
  await scenario.connect(ADA);
  scenario.emulator.deliver(ADA, MAIL);
  await scenario.settled();
  expect(added()).toHaveLength(1);
  for (const field of ["headers", "headersMissing", "internalDate", "sizeEstimate", "snippet"]) {
    expect(added()[0]).not.toHaveProperty(field);
  }
  expect(scenario.emulator.countCalls("messages.get")).toBe(0);
});
