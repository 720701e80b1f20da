import { SignJWT } from "jose";
import { afterEach, beforeEach, expect, it } from "vitest";
import { begin } from "../support/flow.ts";
import { openBrowser } from "../support/browser.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const RENAMED = "ada.king@example.com";
const SECRET = "an application and this receiver share it";
const HOUR_MS = 3_600_000;

let scenario: Scenario;
beforeEach(async () => {
  const env = { RETURN_TO_URLS: "https://app.example/done", RETURN_TO_SECRET: SECRET };
  scenario = await startScenario({ env });
  scenario.emulator.createAccount({ email: ADA });
});
afterEach(() => scenario.close());

/** Connects the mailbox with a start ticket that has these tags. */
async function connectWith(tags: Record<string, string>): Promise<void> {
  const ticket = await new SignJWT({ jti: JSON.stringify(tags), tags })
    .setProtectedHeader({ alg: "HS256", typ: "connect-ticket+jwt" })
    .setIssuer("https://app.example")
    .setAudience(scenario.publicUrl)
    .setSubject("user-7")
    .setIssuedAt(scenario.clock.now())
    .setExpirationTime(new Date(scenario.clock.now().getTime() + 300_000))
    .sign(new TextEncoder().encode(SECRET));
  const browser = openBrowser();
  const { back } = await begin(scenario, ADA, {
    browser,
    query: `?ticket=${encodeURIComponent(ticket)}`,
  });
  await browser.ask(back.href);
  await scenario.settled();
}

const tagged = () =>
  scenario.topic.published.map(({ attributes }) => [
    attributes["ce-type"],
    attributes["tag-customer"],
  ]);

it("puts the tags of the start ticket on every event of the mailbox", async () => {
  await connectWith({ customer: "acme" });
  const { messageId } = scenario.emulator.deliver(ADA, { subject: "Hello" });
  scenario.emulator.star(ADA, messageId);
  scenario.emulator.deleteMessage(ADA, messageId);
  await scenario.settled();
  scenario.emulator.renameAddress(ADA, RENAMED);
  scenario.clock.advance(25 * HOUR_MS);
  await scenario.runSchedule("watchRenewal");
  scenario.emulator.changePassword(RENAMED);
  scenario.emulator.deliver(RENAMED, { subject: "You changed your password" });
  await scenario.settled();
  expect(tagged()).toEqual([
    ["mailbox.connected", "acme"],
    ["mailbox.message.added", "acme"],
    ["mailbox.labels.added", "acme"],
    ["mailbox.message.deleted", "acme"],
    ["mailbox.address_changed", "acme"],
    ["mailbox.reauthorization_required", "acme"],
  ]);
});

it("puts the tags of a later ticket on the events that follow it", async () => {
  await connectWith({ customer: "acme", plan: "large" });
  await connectWith({ customer: "globex" });
  scenario.emulator.deliver(ADA, { subject: "Hello" });
  await scenario.settled();
  expect(tagged().at(-1)).toEqual(["mailbox.message.added", "globex"]);
  expect(scenario.topic.published.at(-1)?.attributes).not.toHaveProperty("tag-plan");
});
