import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { PubsubCloudEvent } from "../../../functions/src/pubsub/cloud-event.ts";
import {
  PUSH_ACCOUNT,
  type PushSubscription,
  pushSubscription,
} from "../../local/push-subscription.ts";
import { localIdToken } from "../../local/id-token.ts";
import { type Scenario, startScenario } from "../../support/scenario.ts";
import { type Site, startSite } from "../../browser/site.ts";
import { ROOT, installPacked } from "../../subscriber/packed.ts";
import type { Desk } from "./help-desk.ts";

/**
 * Goal: the example does the whole job against the real receiver, delivered to as by Pub/Sub. It runs
 * outside of the repository, with the packed package that a subscriber installs.
 */

const ADA = "ada@example.com";
const HELP_DESK = "help-desk@demo-gmail-push.iam.gserviceaccount.com";
const HOUR_MS = 3_600_000;
const RUN_MS = 180_000;

const FILES = ["application.ts", "help-desk.ts", "mail.ts"];
/** What the example depends on, besides the package. */
const PACKAGES = ["@hono", "googleapis", "hono"];

let folder: string;
/** The modules of the example and of the package, as the subscriber has them. */
let installed: typeof import("./application.ts") &
  typeof import("./help-desk.ts") &
  typeof import("gmail-push-subscriber") &
  typeof import("gmail-push-subscriber/gmail");
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "help-desk-"));
  const user = await installPacked(folder);
  for (const file of FILES)
    copyFileSync(path.join(import.meta.dirname, file), path.join(user, file));
  const modules = path.join(user, "node_modules");
  for (const name of PACKAGES) {
    symlinkSync(path.join(ROOT, "node_modules", name), path.join(modules, name));
  }
  const of = (file: string) => import(pathToFileURL(path.join(user, file)).href);
  const own = "node_modules/gmail-push-subscriber";
  installed = {
    ...(await of("application.ts")),
    ...(await of("help-desk.ts")),
    ...(await of(`${own}/index.js`)),
    ...(await of(`${own}/gmail.js`)),
  };
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the help desk", () => {
  let scenario: Scenario;
  let site: Site;
  let url: string;
  let subscription: PushSubscription;
  let desk: Desk;
  let statuses: number[];
  let deliver: (event: PubsubCloudEvent) => void;

  beforeEach(async () => {
    site = await startSite();
    url = `${site.origin}/changes`;
    scenario = await startScenario({ env: { GMAIL_SCOPES: "gmail.readonly" } });
    const { emulator, topic } = scenario;
    const { gmail, helpDesk, memoryStore, openDesk } = installed;
    desk = openDesk();
    statuses = [];
    const application = helpDesk({
      subscription: {
        audience: url,
        serviceAccount: PUSH_ACCOUNT,
        certsUrl: `${emulator.url}/oauth2/v3/certs`,
      },
      gmailFor: (userId) =>
        gmail(userId, {
          url: scenario.urls.gmailApi,
          idToken: () => Promise.resolve(localIdToken(HELP_DESK)),
        }),
      store: memoryStore(),
      desk,
      log: () => {},
    });
    site.answer = application.fetch;
    subscription = pushSubscription({
      url,
      sign: emulator.sign,
      now: () => new Date(),
      policy: { backoffMsMin: 10, backoffMsMax: 200 },
      onDelivery: ({ outcome }) => statuses.push(Number(outcome)),
    });
    deliver = subscription.publish;
    topic.onPublished = (event) => deliver(event);
    await scenario.connect(ADA);
  });
  afterEach(async () => {
    await subscription.close();
    await scenario.close();
    site.close();
  });

  /** Resolves when everything that has happened so far has reached the help desk. */
  async function settled(): Promise<void> {
    await scenario.settled();
    await subscription.idle();
  }

  const tickets = () => [...desk.tickets.values()].map(({ messageId: _, ...ticket }) => ticket);

  it("files a ticket with sender, subject and text for each mail that reaches the inbox", async () => {
    scenario.emulator.deliver(ADA, { from: "eve@x.example", subject: "Help", text: "It broke." });
    scenario.emulator.deliver(ADA, { from: "bob@x.example", subject: "Größe?", text: "Äh…" });
    scenario.emulator.send(ADA, { to: "carol@x.example", subject: "Re: Help" });
    scenario.emulator.saveDraft(ADA, { subject: "Re: Größe?" });
    await settled();
    expect(tickets()).toEqual([
      { mailbox: ADA, from: "eve@x.example", subject: "Help", text: "It broke." },
      { mailbox: ADA, from: "bob@x.example", subject: "Größe?", text: "Äh…" },
    ]);
    expect(desk.notices).toEqual([]);
    const page = await (await fetch(site.origin)).text();
    expect(page).toContain("It broke.");
    expect(page).toContain("Größe?");
  });

  it("files one ticket, and reads Gmail once, when an event is delivered again", async () => {
    deliver = (event) => {
      for (let time = 0; time < 3; time += 1) subscription.publish(event);
    };
    scenario.emulator.deliver(ADA, { subject: "Help" });
    await settled();
    expect(tickets()).toHaveLength(1);
    expect(scenario.emulator.countCalls("messages.get")).toBe(1);
    expect(statuses.every((status) => status === 204)).toBe(true);
  });

  it("has the event delivered again when Gmail fails, and files the ticket then", async () => {
    scenario.emulator.faults.failNext({
      method: "messages.get",
      preset: "unavailable",
      count: "all",
    });
    scenario.emulator.deliver(ADA, { subject: "Help" });
    await scenario.settled();
    // Google's client tries a few times itself.
    await expect.poll(() => statuses, { timeout: 20_000 }).toContain(500);
    scenario.emulator.faults.clear();
    scenario.clock.advance(HOUR_MS);
    await settled();
    expect(tickets()).toMatchObject([{ subject: "Help" }]);
  });

  it("notices that a message was deleted, before and after it was read", async () => {
    const kept = scenario.emulator.deliver(ADA, { subject: "Deleted later" });
    await settled();
    scenario.emulator.deleteMessage(ADA, kept.messageId);
    scenario.emulator.loseNotifications(1);
    const { messageId } = scenario.emulator.deliver(ADA, { subject: "Deleted at once" });
    scenario.emulator.deleteMessage(ADA, messageId);
    await settled();
    expect(tickets()).toMatchObject([{ subject: "Deleted later", isDeleted: true }]);
  });

  it("notices a gap, and files tickets for what the recovery finds in the inbox", async () => {
    const { emulator } = scenario;
    emulator.loseNotifications(2);
    emulator.deliver(ADA, { subject: "Missed" });
    emulator.send(ADA, { to: "carol@x.example", subject: "Sent, and missed" });
    emulator.expireHistory(ADA);
    scenario.clock.advance(7 * HOUR_MS);
    for (let run = 0; run < 3; run += 1) await scenario.reconcileAfter(RUN_MS);
    await settled();
    expect(desk.notices).toMatchObject([
      { mailbox: ADA, text: expect.stringContaining("history_expired") },
    ]);
    expect(tickets()).toMatchObject([{ subject: "Missed" }]);
  });

  it("says where the owner restores access, and catches up afterwards", async () => {
    const { emulator } = scenario;
    emulator.changePassword(ADA);
    emulator.deliver(ADA, { subject: "Waits" });
    await settled();
    const link = /http\S+\/reauthorize\/\S+/.exec(desk.notices[0]?.text ?? "")?.[0];
    expect(link).toContain(scenario.publicUrl);
    expect(tickets()).toEqual([]);
    await scenario.connect(ADA, { exists: true });
    await settled();
    expect(tickets()).toMatchObject([{ subject: "Waits" }]);
  });

  it("files nothing for a message that it may not read any more, and continues", async () => {
    const { emulator } = scenario;
    const events: PubsubCloudEvent[] = [];
    deliver = (event) => events.push(event);
    emulator.deliver(ADA, { subject: "Read too late" });
    await scenario.settled();
    emulator.changePassword(ADA);
    emulator.deliver(ADA);
    await scenario.settled();
    for (const event of events) subscription.publish(event);
    await subscription.idle();
    expect(tickets()).toEqual([]);
    expect(desk.notices.map(({ text }) => text.replace(/[0-9a-f]{16}/, "ID"))).toEqual([
      expect.stringMatching(/^message ID cannot be read: /),
      expect.stringMatching(/^no mail arrives until its owner opens /),
    ]);
  });

  it("takes nothing that Pub/Sub did not send for it", async () => {
    const post = (headers: Record<string, string>) =>
      fetch(url, { method: "POST", body: "{}", headers });
    const now = Math.floor(Date.now() / 1_000);
    const claims = {
      iss: "https://accounts.google.com",
      aud: url,
      email: PUSH_ACCOUNT,
      email_verified: true,
      iat: now,
      exp: now + 60,
    };
    const signed = (own: object) => ({
      authorization: `Bearer ${scenario.emulator.sign({ ...claims, ...own })}`,
    });
    expect((await post({})).status).toBe(401);
    expect((await post(signed({ aud: "https://other.example" }))).status).toBe(401);
    expect((await post(signed({ email: "other@x.iam.gserviceaccount.com" }))).status).toBe(401);
    // What is ours and cannot be read is not delivered again.
    expect((await post(signed({}))).status).toBe(204);
  });
});
