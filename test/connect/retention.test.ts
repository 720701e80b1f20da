import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PublishFailure } from "../../functions/src/domain/events.ts";
import { EN } from "../../functions/src/texts/en.ts";
import { type Browser, openBrowser } from "../support/browser.ts";
import { csrfOf, endGrant } from "../support/flow.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario({ env: { CHANGES_SINK: "firestore" } });
});
afterEach(() => scenario.close());

async function reconcile(): Promise<void> {
  expect(await scenario.runSchedule("mailboxReconciliation")).toBe(204);
}

/** Days pass, with one run of the reconciliation each, which is all that a look takes. */
async function pass(days: number): Promise<void> {
  for (let day = 0; day < days; day++) {
    scenario.clock.advance(DAY_MS);
    await reconcile();
  }
}

const pageAt = async (browser: Browser, path: string) =>
  (await browser.get(`${scenario.publicUrl}${path}`)).text();
const isKept = (id: string) => scenario.users.dump().users.some((user) => user.id === id);
const lastEvent = (email: string) => {
  const { attributes, json } = scenario.events(email).at(-1) ?? {};
  return [attributes?.["ce-type"], json?.["reason"]];
};

async function disconnect(browser: Browser): Promise<void> {
  const csrf = csrfOf(await pageAt(browser, "/"));
  expect((await browser.post(`${scenario.publicUrl}/disconnect`, { csrf })).status).toBe(200);
}

describe("stored data after a grant has ended", () => {
  it("is erased 90 days after a person disconnected, and no other person's", async () => {
    const { browser } = await scenario.connect(ADA);
    await scenario.connect(BOB);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const { id } = scenario.stored(ADA);
    await disconnect(browser);
    await pass(89);
    expect(isKept(id)).toBe(true);
    await pass(1);
    expect(isKept(id)).toBe(false);
    expect(scenario.users.dump().changes[id] ?? []).toEqual([]);
    expect(scenario.logged("user_erased")).toMatchObject([{ severity: "INFO", userId: id }]);
    expect(scenario.stored(BOB).status).toBe("active");
  });

  it("is erased 90 days after a grant ended without renewal, and subscribers are notified", async () => {
    await scenario.connect(ADA);
    await endGrant(scenario, ADA);
    const { id } = scenario.stored(ADA);
    await pass(89);
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    expect(lastEvent(ADA)).toEqual(["mailbox.reauthorization_required", "invalid_grant"]);
    await pass(1);
    expect(isKept(id)).toBe(false);
    expect(lastEvent(ADA)).toEqual(["mailbox.disconnected", "erased"]);
  });

  it("causes no call to Google until then, and is never erased once the person is back", async () => {
    await scenario.connect(ADA);
    await endGrant(scenario, ADA);
    await pass(1);
    scenario.emulator.resetCalls();
    await pass(80);
    expect(scenario.emulator.countCalls(undefined, ADA)).toBe(0);
    await scenario.connect(ADA, { exists: true });
    await pass(30);
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
    expect(scenario.logged("user_erased")).toEqual([]);
  });

  it("is kept for ever with FORGET_AFTER_DAYS=0, and for as long as the setting now says", async () => {
    await scenario.close();
    scenario = await startScenario({ env: { FORGET_AFTER_DAYS: "0" } });
    const { browser } = await scenario.connect(ADA);
    await disconnect(browser);
    const { followUp, id } = scenario.stored(ADA);
    expect(followUp.dueAt).toBeUndefined();
    await pass(200);
    expect(isKept(id)).toBe(true);
  });

  it("is erased only once the topic has accepted the event", async () => {
    await scenario.connect(ADA);
    await endGrant(scenario, ADA);
    const { id } = scenario.stored(ADA);
    await pass(89);
    scenario.topic.failure = new PublishFailure("transient", "unavailable");
    await pass(1);
    expect(scenario.stored(ADA)).toMatchObject({ status: "disconnected", statusReason: "erased" });
    scenario.topic.failure = undefined;
    await pass(1);
    await reconcile();
    expect(isKept(id)).toBe(false);
    expect(lastEvent(ADA)).toEqual(["mailbox.disconnected", "erased"]);
  });
});

describe("a person who wants to be erased", () => {
  it("is asked first; then everything is gone, here and at Google, and subscribers are notified", async () => {
    const { browser } = await scenario.connect(ADA);
    const { id } = scenario.stored(ADA);
    const status = await pageAt(browser, "/");
    expect(status).toContain(`href="${scenario.publicUrl}/erase"`);
    const asked = await pageAt(browser, "/erase");
    expect(asked).toContain(EN.erase.title);
    expect(isKept(id)).toBe(true);

    const csrf = csrfOf(asked);
    const erased = await browser.post(`${scenario.publicUrl}/erase`, { csrf });
    expect(erased.status).toBe(200);
    expect(await erased.text()).toContain(EN.erase.done.title);
    expect(isKept(id)).toBe(false);
    expect(scenario.emulator.account(ADA).refreshTokens).toEqual([]);
    expect(lastEvent(ADA)).toEqual(["mailbox.disconnected", "erased"]);
    expect(await pageAt(browser, "/")).toContain(EN.landing.title);
  });

  it("can be erased after a disconnect, too, while the session lasts, and in no other browser", async () => {
    const other = await scenario.connect(ADA);
    const { browser } = other;
    const { id } = scenario.stored(ADA);
    const session = new Map(browser.cookies);
    await disconnect(browser);
    const elsewhere = openBrowser();
    for (const [name, value] of session) elsewhere.cookies.set(name, value);
    const page = await pageAt(elsewhere, "/");
    expect(page).toContain(EN.disconnected.title);
    expect(page).toContain(`href="${scenario.publicUrl}/erase"`);
    const csrf = csrfOf(await pageAt(elsewhere, "/erase"));
    const stranger = openBrowser();
    expect((await stranger.post(`${scenario.publicUrl}/erase`, { csrf })).status).toBe(400);
    expect(isKept(id)).toBe(true);
    expect((await elsewhere.post(`${scenario.publicUrl}/erase`, { csrf })).status).toBe(200);
    expect(isKept(id)).toBe(false);
  });

  it.each([
    ["without the value of its form", () => ({}), undefined],
    ["with another value", () => ({ csrf: "A".repeat(43) }), undefined],
    ["from another site", (csrf: string) => ({ csrf }), "https://evil.example"],
  ] as const)("is not erased by a request %s", async (_, formOf, from) => {
    const { browser } = await scenario.connect(ADA);
    const csrf = csrfOf(await pageAt(browser, "/erase"));
    const refused = await browser.post(`${scenario.publicUrl}/erase`, formOf(csrf), from);
    expect(refused.status).toBe(403);
    expect(scenario.stored(ADA).status).toBe("active");
  });

  it("reads that the rest follows when Google does not answer, and it does", async () => {
    const { browser } = await scenario.connect(ADA);
    const { id } = scenario.stored(ADA);
    const csrf = csrfOf(await pageAt(browser, "/erase"));
    scenario.emulator.faults.failNext({ method: "revoke", status: 503, count: "all" });
    const erasing = await browser.post(`${scenario.publicUrl}/erase`, { csrf });
    expect(await erasing.text()).toContain(EN.erase.underWay.title);
    expect(scenario.stored(ADA)).toMatchObject({ status: "disconnected", statusReason: "erased" });
    scenario.emulator.faults.clear();
    for (let minute = 0; minute < 10; minute++) {
      scenario.clock.advance(MINUTE_MS);
      await reconcile();
    }
    expect(isKept(id)).toBe(false);
    expect(scenario.emulator.account(ADA).refreshTokens).toEqual([]);
    expect(lastEvent(ADA)).toEqual(["mailbox.disconnected", "erased"]);
  });
});
