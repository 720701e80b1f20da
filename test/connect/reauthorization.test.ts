import { flag } from "../../functions/src/grant/flagging.ts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLog } from "../../functions/src/platform/log.ts";
import type { User } from "../../functions/src/domain/user.ts";
import { openBrowser, throughGoogle } from "../support/browser.ts";
import { linkOf } from "../support/flow.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { startSecondInstance } from "../support/second-instance.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const MALLORY = "mallory@example.com";
const METADATA = "https://www.googleapis.com/auth/gmail.metadata";
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario();
});
afterEach(() => scenario.close());

describe("a revoked grant", () => {
  async function reauthorize(email: string, as = email) {
    const link = linkOf(scenario, email);
    const browser = openBrowser();
    expect((await browser.get(link)).status).toBe(200);
    const started = await browser.post(link, {});
    const response = await throughGoogle(scenario.emulator, browser, started, { account: as });
    return {
      asked: new URL(started.headers.get("location") ?? "").searchParams,
      status: response.status,
      page: await response.text(),
    };
  }

  it("P7: flags exactly that user, publishes it once, and costs nothing any more", async () => {
    await scenario.connect(ADA);
    await scenario.connect(BOB);
    scenario.emulator.changePassword(ADA);
    scenario.emulator.resetCalls();
    scenario.emulator.deliver(ADA);
    scenario.emulator.deliver(BOB);
    await scenario.settled();

    const user = scenario.stored(ADA);
    expect(user).toMatchObject({
      status: "reauthorization_required",
      statusReason: "invalid_grant",
      followUp: { announced: { status: "reauthorization_required", generation: 1 } },
    });
    expect(user.grant).not.toHaveProperty("refreshToken");
    expect(user.grant).not.toHaveProperty("accessToken");
    expect(user.watch).not.toHaveProperty("renewAt");
    expect(user.sync).not.toHaveProperty("dueAt");
    expect(scenario.stored(BOB).status).toBe("active");
    expect(scenario.events(ADA).map(({ attributes }) => attributes["ce-id"])).toEqual([
      `${user.id}/connected/1`,
      `${user.id}/reauthorization_required/1`,
    ]);

    const { reads, writes } = scenario.users.operations;
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect(scenario.users.operations).toEqual({ reads: reads + 1, writes });

    scenario.emulator.resetCalls();
    for (let day = 0; day < 9; day++) {
      scenario.emulator.deliver(ADA);
      await scenario.settled();
      scenario.clock.advance(DAY_MS);
      expect(await scenario.runSchedule("watchRenewal")).toBe(204);
      expect(await scenario.runSchedule("mailboxReconciliation")).toBe(204);
    }
    expect(scenario.emulator.countCalls(undefined, ADA)).toBe(0);
    const announced = scenario.topic.published.filter(
      ({ attributes }) => attributes["ce-id"] === `${user.id}/reauthorization_required/1`,
    );
    expect(announced).toHaveLength(1);
  });

  it("P8: is renewed in one click, resumes from the kept cursor and says what it recovered", async () => {
    await scenario.connect(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.emulator.changePassword(ADA);
    const missed = [1, 2, 3].map(() => scenario.emulator.deliver(ADA));
    await scenario.settled();
    scenario.clock.advance(3 * DAY_MS);

    const { asked, status, page } = await reauthorize(ADA);
    expect(asked.get("login_hint")).toBe(scenario.stored(ADA).id);
    expect(status).toBe(200);
    expect(page).toContain("We delivered the 3 changes you missed.");
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
    const events = scenario.events(ADA);
    expect(
      events.slice(-4).map(({ attributes, json }) => json["messageId"] ?? attributes["ce-id"]),
    ).toEqual([
      ...missed.map(({ messageId }) => messageId),
      `${scenario.stored(ADA).id}/connected/2`,
    ]);
    expect(events.at(-1)?.json).toMatchObject({ generation: 2, recoveredChanges: 3 });
  });

  it("lets a link work once, for seven days", async () => {
    await scenario.connect(ADA);
    scenario.emulator.revokeAccess(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const link = linkOf(scenario, ADA);

    scenario.clock.advance(7 * DAY_MS + 1);
    expect((await openBrowser().get(link)).status).toBe(410);
    scenario.clock.advance(-8 * DAY_MS);
    expect((await reauthorize(ADA)).status).toBe(200);
    expect((await openBrowser().get(link)).status).toBe(410);
    expect((await openBrowser().get(`${link.slice(0, -2)}AA`)).status).toBe(410);
  });

  it("requests every scope that was granted, also those no longer configured", async () => {
    const labels = "https://www.googleapis.com/auth/gmail.labels";
    await scenario.close();
    const env = { GMAIL_SCOPES: "gmail.readonly gmail.labels" };
    scenario = await startScenario({ env });
    await scenario.connect(ADA);
    const stored = scenario.stored(ADA);
    expect(stored.grant.scopes).toContain(labels);
    // An extra scope that an earlier configuration had asked for.
    const extra = "https://www.googleapis.com/auth/gmail.settings.basic";
    const grant = { ...stored.grant, scopes: [...stored.grant.scopes, extra] };
    expect(await scenario.users.update(stored, { grant })).not.toBe("refused");
    scenario.emulator.revokeAccess(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const { asked, status } = await reauthorize(ADA);
    expect(status).toBe(200);
    expect(asked.get("scope")?.split(" ")).toEqual(
      expect.arrayContaining(["openid", "email", labels, extra]),
    );
    expect(scenario.stored(ADA).grant.scopes).toEqual(expect.arrayContaining([labels, extra]));
  });

  it("does not end the live grant of a person who opens another person's link", async () => {
    await scenario.connect(ADA);
    await scenario.connect(BOB);
    scenario.emulator.changePassword(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    expect((await reauthorize(ADA, BOB)).status).toBe(403);
    scenario.emulator.deliver(BOB);
    await scenario.settled();
    expect(scenario.stored(BOB).status).toBe("active");
    expect(scenario.events(BOB).at(-1)?.attributes["ce-type"]).toBe("mailbox.message.added");
  });

  it("P6: a wrong client secret flags none of 50 users", async () => {
    const emails = Array.from({ length: 50 }, (_, index) => `user${index}@example.com`);
    for (const email of emails) await scenario.connect(email);
    scenario.clock.advance(2 * 3_600_000);
    const { clientId, clientSecret } = scenario.config.oauth;
    scenario.emulator.setClientSecret(clientId, "GOCSPX-rotated-by-somebody");
    for (const email of emails) scenario.emulator.deliver(email);
    await scenario.settled();
    await scenario.runSchedule("mailboxReconciliation");

    const users = scenario.users.dump().users;
    expect(new Set(users.map(({ status }) => status))).toEqual(new Set(["active"]));
    expect(users.every(({ sync }) => sync.dueAt !== undefined)).toBe(true);
    expect(scenario.logged("misconfigured").length).toBeGreaterThan(0);

    scenario.emulator.setClientSecret(clientId, clientSecret);
    scenario.clock.advance(20 * 60_000);
    await scenario.runSchedule("mailboxReconciliation");
    for (const email of emails) {
      expect(scenario.events(email).at(-1)?.attributes["ce-type"]).toBe("mailbox.message.added");
    }
  });

  it("P6: a missing topic permission, a disabled API and server errors flag no user", async () => {
    await scenario.connect(ADA);
    const faults = [
      () => scenario.emulator.setGmailApi("disabled"),
      () => scenario.emulator.setGmailApi("enabled"),
      () => scenario.emulator.setTopicPublishing(scenario.config.gmail.topic, "forbidden"),
    ];
    for (const fault of faults) {
      fault();
      scenario.clock.advance(2 * DAY_MS);
      scenario.emulator.deliver(ADA);
      await scenario.settled();
      await scenario.runSchedule("watchRenewal");
      await scenario.runSchedule("mailboxReconciliation");
      expect(scenario.stored(ADA).status).toBe("active");
    }
  });

  it("P7: a late failure of an old grant never flags a newer one", async () => {
    await scenario.connect(ADA);
    scenario.clock.advance(2 * 3_600_000);
    scenario.emulator.changePassword(ADA);
    const held = scenario.emulator.faults.hold("token.refresh");
    scenario.emulator.deliver(ADA);
    await held.arrived;
    // While the old grant's refresh is under way, the person connects again.
    const browser = openBrowser();
    const start = await browser.get(`${scenario.publicUrl}/start`);
    const to = start.headers.get("location") ?? "";
    const connecting = browser.get(await scenario.emulator.consent(to, { account: ADA }));
    const stored = async () => {
      for (;;) {
        if (scenario.stored(ADA).grant.generation === 2) return;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    await stored();
    held.release();
    expect((await connecting).status).toBe(200);
    await scenario.settled();
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
    expect(scenario.events(ADA).map(({ attributes }) => attributes["ce-type"])).toEqual([
      "mailbox.connected",
      "mailbox.message.added",
      "mailbox.connected",
    ]);
  });

  it("flags an unavailable mailbox with its own status, probes it slowly, and resumes", async () => {
    await scenario.connect(ADA);
    scenario.emulator.setMailService(ADA, "off");
    scenario.emulator.deliver(ADA);
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("watchRenewal");
    expect(scenario.stored(ADA)).toMatchObject({
      status: "mailbox_unavailable",
      statusReason: "mail_service_not_enabled",
    });
    scenario.emulator.resetCalls();
    scenario.clock.advance(DAY_MS / 2);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.emulator.countCalls(undefined, ADA)).toBe(0);
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.emulator.countCalls("users.getProfile", ADA)).toBe(1);
    expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");

    scenario.emulator.setMailService(ADA, "on");
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("mailboxReconciliation");
    await scenario.runSchedule("mailboxReconciliation");
    expect(scenario.stored(ADA).status).toBe("active");
    expect(scenario.events(ADA).map(({ attributes }) => attributes["ce-type"])).toContain(
      "mailbox.message.added",
    );
  });

  it("keeps what a probe found, and its access token, when another writer comes in between", async () => {
    await scenario.connect(ADA);
    scenario.emulator.setMailService(ADA, "off");
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("watchRenewal");
    scenario.clock.advance(1.1 * DAY_MS);
    const before = scenario.stored(ADA);
    const hold = scenario.emulator.faults.hold("users.getProfile");
    const probe = scenario.runSchedule("mailboxReconciliation");
    await hold.arrived;
    scenario.users.overwrite(before.id, { tags: { desk: "7" } });
    hold.release();
    await probe;
    const { followUp, grant, tags } = scenario.stored(ADA);
    expect(followUp.failures).toBe(before.followUp.failures + 1);
    expect(followUp.dueAt?.getTime()).toBeGreaterThan(scenario.clock.now().getTime() + DAY_MS / 2);
    expect(grant.accessTokenExpiresAt).not.toEqual(before.grant.accessTokenExpiresAt);
    expect(tags).toEqual({ desk: "7" });
  });

  describe("a late failure, after the mailbox was unavailable and came back under the same grant", () => {
    let before: User;
    beforeEach(async () => {
      await scenario.connect(ADA);
      before = await scenario.read(ADA);
    });

    async function goAndComeBack(): Promise<void> {
      scenario.emulator.setMailService(ADA, "off");
      scenario.clock.advance(DAY_MS);
      await scenario.runSchedule("watchRenewal");
      expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");
      scenario.emulator.setMailService(ADA, "on");
      scenario.clock.advance(DAY_MS);
      await scenario.runSchedule("mailboxReconciliation");
      expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 1 } });
    }

    it("does not make the mailbox unavailable again", async () => {
      scenario.emulator.loseNotifications();
      const slow = startSecondInstance(scenario, {});
      scenario.emulator.setMailService(ADA, "off");
      const { messageId } = scenario.emulator.deliver(ADA);
      const held = scenario.emulator.faults.hold("history.list", { afterEffect: true, count: 1 });
      const notified = slow.notify(ADA);
      await held.arrived;
      await goAndComeBack();
      held.release();
      await notified;
      expect(scenario.stored(ADA).status).toBe("active");
      expect(slow.logged("mailbox_synced")).toMatchObject([{ outcome: "caught_up" }]);
      scenario.clock.advance(3 * MINUTE_MS);
      await scenario.runSchedule("mailboxReconciliation");
      const told = scenario.events(ADA).filter(({ json }) => json["messageId"] === messageId);
      expect(told).toHaveLength(1);
    });

    it("ends the grant if the grant failed: the token is still the rejected one", async () => {
      await goAndComeBack();
      const context = await scenario.operator({ log: createLog(() => {}) }).getContext();
      const failure = { kind: "reauthorize", reason: "invalid_grant" } as const;
      expect(await flag(before, failure, context)).toMatchObject({ kind: "flagged" });
      expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    });
  });

  it("P2: publishes each time that a mailbox goes and comes back, under an id of its own", async () => {
    await scenario.connect(ADA);
    const { id } = scenario.stored(ADA);
    const lifecycle = () =>
      scenario.topic.published
        .map(({ attributes }) => attributes["ce-id"]?.replace(`${id}/`, ""))
        .filter((eventId) => /^(connected|unavailable)/.test(eventId ?? ""));
    const goes = async () => {
      scenario.emulator.setMailService(ADA, "off");
      scenario.clock.advance(DAY_MS);
      await scenario.runSchedule("watchRenewal");
      expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");
    };
    const comesBack = async () => {
      scenario.emulator.setMailService(ADA, "on");
      scenario.clock.advance(DAY_MS);
      await scenario.runSchedule("mailboxReconciliation");
      scenario.clock.advance(3 * MINUTE_MS);
      await scenario.runSchedule("mailboxReconciliation");
      expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 1 } });
    };
    await goes();
    await comesBack();
    // The instance that publishes the second time dies before it is recorded: it is published again under that id.
    const { onPublished } = scenario.topic;
    scenario.topic.onPublished = () => {
      scenario.topic.onPublished = onPublished;
      throw new Error("the instance died");
    };
    await goes();
    scenario.clock.advance(3 * MINUTE_MS);
    await scenario.runSchedule("mailboxReconciliation");
    await comesBack();
    expect(lifecycle()).toEqual([
      "connected/1",
      "unavailable/1",
      "connected/1/2",
      "unavailable/1/2",
      "unavailable/1/2",
      "connected/1/3",
    ]);
    scenario.emulator.changePassword(ADA);
    await scenario.connect(ADA, { exists: true });
    expect(lifecycle().at(-1)).toBe("connected/2");
  });
});

describe("O9, O10: another account", () => {
  beforeEach(() => {
    for (const email of [ADA, MALLORY]) scenario.emulator.createAccount({ email });
  });
  const users = () => scenario.users.dump().users;

  it("O9: rejects another account at the end of a re-authorization, and names the right one", async () => {
    await scenario.connect(ADA, { exists: true });
    scenario.emulator.revokeAccess(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const before = scenario.stored(ADA);
    const link = linkOf(scenario, ADA);
    const browser = openBrowser();
    const toGoogle = (await browser.post(link, {})).headers.get("location") ?? "";
    expect(new URL(toGoogle).searchParams.get("login_hint")).toBe(before.id);
    const back = await scenario.emulator.consent(toGoogle, { account: MALLORY });
    const response = await browser.ask(back);
    expect(response.headers.get("location")).toBe(`${link}?refused=wrong_account`);
    const page = await browser.get(response.headers.get("location") ?? "");
    expect(page.status).toBe(403);
    const text = await page.text();
    expect(text).toContain("different Google account");
    expect(text).toContain("a***@example.com");
    expect(text).not.toContain(MALLORY);
    expect(scenario.stored(ADA)).toEqual(before);
    expect(users()).toHaveLength(1);
    expect(scenario.emulator.account(MALLORY).refreshTokens).toEqual([]);

    // The same page leads back to Google, and then to the account that it is for.
    const again = await browser.post(link, {});
    const right = await throughGoogle(scenario.emulator, browser, again, { account: ADA });
    expect(right.status).toBe(200);
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
  });

  it("O9: leads a person who declines or unticks a box back to the link", async () => {
    await scenario.connect(ADA, { exists: true });
    scenario.emulator.revokeAccess(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const link = linkOf(scenario, ADA);
    for (const [decision, refused] of [
      [{ decline: true }, "declined"],
      [{ untick: [METADATA] }, "scopes_missing"],
    ] as const) {
      const browser = openBrowser();
      const toGoogle = (await browser.post(link, {})).headers.get("location") ?? "";
      const back = await scenario.emulator.consent(toGoogle, { account: ADA, ...decision });
      const response = await browser.ask(back);
      expect(response.headers.get("location")).toBe(`${link}?refused=${refused}`);
      expect((await browser.get(`${link}?refused=${refused}`)).status).toBe(400);
    }
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
  });

  it("O10, O14: treats a reassigned address as another mailbox, and shows nothing of the old one", async () => {
    // A mailbox belongs to Google's `sub`; the receiver knows no other owner.
    await scenario.connect(ADA, { exists: true });
    const old = scenario.stored(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.emulator.changePassword(ADA);
    const moved = scenario.emulator.moveAddress(ADA);
    const { page } = await scenario.connect(ADA, { exists: true });
    expect(page).not.toContain(old.id);
    expect(page).not.toContain("you missed");
    const byId = new Map(users().map((user) => [String(user.id), user]));
    expect(byId.get(old.id)).toMatchObject({ status: "disconnected", historyId: old.historyId });
    expect(byId.get(moved.sub)).toMatchObject({ status: "active", grant: { generation: 1 } });
  });
});
