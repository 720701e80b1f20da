import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PublishFailure } from "../../functions/src/domain/events.ts";
import { openBrowser, throughGoogle } from "../support/browser.ts";
import { type MailSink, type SunkMail, linkIn, startMailSink } from "../support/mail-sink.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { endGrant } from "../support/flow.ts";
import { startStrictRelay } from "./strict-relay.ts";
import { startSecondInstance } from "../support/second-instance.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const NOTICE_FROM = "Mail sync <sync@app.example>";

describe("a mail to a person whose grant has ended", () => {
  let sink: MailSink;
  let scenario: Scenario;
  beforeEach(async () => {
    sink = await startMailSink();
    scenario = await start();
  });
  afterEach(async () => {
    await scenario.close();
    await sink.close();
  });

  function start(random = Math.random): Promise<Scenario> {
    // What is kept is kept for ever, so that a due time is that of a mail.
    const env = { NOTICE_SMTP_URL: sink.url, NOTICE_FROM, FORGET_AFTER_DAYS: "0" };
    return startScenario({ env, random });
  }

  const reconcile = () => scenario.runSchedule("mailboxReconciliation");

  async function flag(email: string): Promise<void> {
    await scenario.connect(email);
    scenario.emulator.changePassword(email);
    scenario.emulator.deliver(email);
    await scenario.settled();
    expect(scenario.stored(email).status).toBe("reauthorization_required");
  }

  /** The reconciliation runs as it does when deployed: every minute. */
  async function pass(ms: number, everyMs = MINUTE_MS): Promise<void> {
    for (let passed = 0; passed < ms; passed += everyMs) {
      scenario.clock.advance(everyMs);
      expect(await reconcile()).toBe(204);
    }
  }

  async function reauthorize(email: string, link: string): Promise<number> {
    const browser = openBrowser();
    const opened = await browser.get(link);
    if (opened.status !== 200) return opened.status;
    const started = await browser.post(link, {});
    const { status } = await throughGoogle(scenario.emulator, browser, started, { account: email });
    // Time must not leap while the notification of the new watch is being served.
    await scenario.settled();
    return status;
  }

  const subjects = () => sink.mails.map(({ mail }) => mail.subject);
  const messageIds = () => new Set(sink.mails.map(({ mail }) => mail.messageId));
  const due = (email: string) => scenario.stored(email).followUp.dueAt;

  it("is in the language of the page on which the person last allowed access", async () => {
    const browser = openBrowser("de-CH,de;q=0.9");
    await scenario.connect(ADA, { browser });
    await endGrant(scenario, ADA);
    await reconcile();
    const sent = sink.mails.at(-1) as SunkMail;
    const { mail } = sent;
    expect(mail.subject).toContain("Erlauben Sie den Zugriff auf Ihr Gmail-Konto erneut");
    expect(mail.html).toContain('<html lang="de">');
    expect(mail.text).toContain("Zugriff wieder erlauben:\nhttp");
    expect(mail.text).not.toMatch(/access|we'll/);

    expect(await reauthorize(ADA, linkIn(sent))).toBe(200);
    await endGrant(scenario, ADA);
    await reconcile();
    const { mail: next } = sink.mails.at(-1) as SunkMail;
    expect(next.subject).toContain("allow access to your Gmail account again");
  });

  it("goes to that person only, within the minute, with a link that restores access once", async () => {
    await scenario.connect(BOB);
    await flag(ADA);
    expect(sink.mails).toEqual([]);
    await reconcile();
    await reconcile();
    expect(sink.mails).toHaveLength(1);
    const [sent] = sink.mails as [SunkMail];
    expect(sent).toMatchObject({ from: "sync@app.example", to: [ADA] });
    expect(sent.mail).toMatchObject({
      from: { name: "Mail sync", address: "sync@app.example" },
      to: [{ name: "", address: ADA }],
      subject: "Mailbox Sync: allow access to your Gmail account again",
    });
    const names = sent.mail.headers.map(({ key }) => key).toSorted();
    expect(names).toEqual([
      "auto-submitted",
      "content-type",
      "date",
      "from",
      "message-id",
      "mime-version",
      "subject",
      "to",
    ]);
    expect(sent.mail.text).toContain(ADA);
    expect(sent.mail.html).toContain(linkIn(sent));

    const [logged] = scenario.logged("notice_sent");
    expect(logged).toMatchObject({ severity: "INFO", userId: scenario.stored(ADA).id, number: 0 });
    expect(scenario.logs.join("\n")).not.toContain(linkIn(sent));

    expect(await reauthorize(ADA, linkIn(sent))).toBe(200);
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
    expect(await reauthorize(ADA, linkIn(sent))).toBe(410);
    await pass(9 * DAY_MS, DAY_MS);
    expect(sink.mails).toHaveLength(1);
  });

  it("is followed by one on day 3 and one on day 7, each with a working link, and by no more", async () => {
    await flag(ADA);
    await pass(MINUTE_MS);
    const days: number[] = [];
    const firstAt = scenario.clock.now().getTime();
    sink.onMail = () => days.push((scenario.clock.now().getTime() - firstAt) / DAY_MS);
    await pass(30 * DAY_MS, HOUR_MS);
    expect(days.map(Math.floor)).toEqual([3, 7]);
    expect(subjects()).toEqual([
      "Mailbox Sync: allow access to your Gmail account again",
      "Reminder from Mailbox Sync: allow access to your Gmail account again",
      "Last reminder from Mailbox Sync: allow access to your Gmail account again",
    ]);
    expect(messageIds().size).toBe(3);
    expect(due(ADA)).toBeUndefined();
    expect(scenario.stored(ADA).followUp.notices).toEqual({ generation: 1, sent: 3 });

    scenario.clock.advance(-(30 - 13) * DAY_MS);
    const links = sink.mails.map(linkIn);
    expect((await openBrowser().get(links[0] ?? "")).status).toBe(410);
    expect(await reauthorize(ADA, links[2] ?? "")).toBe(200);
  });

  it("is not followed by another once the person has allowed access again", async () => {
    await flag(ADA);
    await pass(2 * DAY_MS, HOUR_MS);
    expect(await reauthorize(ADA, linkIn(sink.mails[0] as SunkMail))).toBe(200);
    await pass(8 * DAY_MS, HOUR_MS);
    expect(sink.mails).toHaveLength(1);
  });

  it("is not sent when access was allowed again before its turn", async () => {
    await flag(ADA);
    const event = scenario.events(ADA).at(-1);
    expect(await reauthorize(ADA, String(event?.json["reauthorizeUrl"]))).toBe(200);
    await pass(9 * DAY_MS, HOUR_MS);
    expect(sink.mails).toEqual([]);
  });

  it.each([
    ["before the first", 0],
    ["after the first", 1],
  ])("is never sent to a person who has disconnected, %s", async (_, sent) => {
    const { browser } = await scenario.connect(BOB);
    scenario.emulator.changePassword(BOB);
    scenario.emulator.deliver(BOB);
    await scenario.settled();
    await pass(sent * 5 * MINUTE_MS);
    expect(sink.mails).toHaveLength(sent);
    const page = await (await browser.get(`${scenario.publicUrl}/`)).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
    await browser.post(`${scenario.publicUrl}/disconnect`, { csrf });
    expect(scenario.stored(BOB).status).toBe("disconnected");
    await pass(9 * DAY_MS, HOUR_MS);
    expect(sink.mails).toHaveLength(sent);
  });

  it("is sent again, three times, when the next grant ends", async () => {
    await flag(ADA);
    await pass(8 * DAY_MS, HOUR_MS);
    expect(await reauthorize(ADA, linkIn(sink.mails[2] as SunkMail))).toBe(200);
    scenario.emulator.revokeAccess(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await pass(8 * DAY_MS, HOUR_MS);
    expect(sink.mails).toHaveLength(6);
    expect(messageIds().size).toBe(6);
  });

  it("is sent once, however many runs find it due at the same time", async () => {
    await flag(ADA);
    const statuses = await Promise.all([1, 2, 3, 4, 5, 6].map(reconcile));
    expect(new Set(statuses)).toEqual(new Set([204]));
    expect(sink.mails).toHaveLength(1);
    scenario.clock.advance(3 * DAY_MS);
    await Promise.all([1, 2, 3, 4, 5, 6].map(reconcile));
    expect(sink.mails).toHaveLength(2);
  });

  it("is sent once when the mail server was down for an hour, and reminders keep their distance", async () => {
    const { port } = sink;
    await sink.close();
    await flag(ADA);
    await pass(HOUR_MS);
    const { failures } = scenario.stored(ADA).followUp;
    expect(failures).toBeGreaterThan(3);
    expect(failures).toBeLessThan(12);
    // All of them fail the same way, which is said once.
    expect(scenario.logged("notice_failed")).toMatchObject([
      { severity: "WARNING", reason: "ECONNREFUSED" },
    ]);

    sink = await startMailSink({ port });
    await pass(2 * HOUR_MS);
    expect(sink.mails).toHaveLength(1);
    expect(scenario.stored(ADA).followUp).toMatchObject({
      failures: 0,
      notices: { generation: 1, sent: 1 },
    });
    await pass(2 * DAY_MS, HOUR_MS);
    expect(sink.mails).toHaveLength(1);
  });

  it("does not call an unreachable mail server for a minute", async () => {
    await scenario.close();
    // Every wait after a failure is the shortest that there is: half a minute.
    scenario = await start(() => 0);
    for (const email of [ADA, BOB]) await flag(email);
    const { port } = sink;
    await sink.close();
    let connections = 0;
    const busy = await startMailSink({
      port,
      server: {
        onConnect(_, callback) {
          connections += 1;
          callback(Object.assign(new Error("4.3.2 busy"), { responseCode: 421 }));
        },
      },
    });
    await reconcile();
    const asked = connections;
    // Another instance that found out at the same time could not know.
    expect(asked).toBeLessThanOrEqual(2);
    scenario.clock.advance(MINUTE_MS - 5_000);
    await reconcile();
    expect(connections).toBe(asked);
    for (const email of [ADA, BOB]) {
      expect(scenario.stored(email).followUp.failures).toBeGreaterThan(0);
    }
    await busy.close();
    sink = await startMailSink({ port });
    await pass(10 * MINUTE_MS);
    expect(sink.mails.map(({ to }) => to[0]).toSorted()).toEqual([ADA, BOB]);
  });

  it.each([
    ["ahead", 10 * MINUTE_MS],
    ["behind", -10 * MINUTE_MS],
  ])("comes once although another instance's clock is %s", async (_, clockOffsetMs) => {
    await flag(ADA);
    const other = startSecondInstance(scenario, { clockOffsetMs });
    const runs: Promise<unknown>[] = [];
    // While one instance waits for the mail server, the other one runs.
    sink.onMail = () => runs.push(reconcile());
    await other.mailboxReconciliation();
    await other.mailboxReconciliation();
    await Promise.all(runs);
    expect(sink.mails).toHaveLength(1);
    expect(other.logged("notice_sent")).toHaveLength(1);
    const waitMs = Number(due(ADA)) - scenario.clock.now().getTime();
    expect(Math.abs(waitMs - 3 * DAY_MS)).toBeLessThan(MINUTE_MS);
  });

  it("is not sent earlier when a late run cannot publish the end of the grant again", async () => {
    scenario.topic.failure = new PublishFailure("transient", "unavailable");
    await flag(ADA);
    scenario.topic.failure = undefined;
    scenario.clock.advance(2 * MINUTE_MS);
    // Before this publication fails, other runs publish the same status and send the mail.
    scenario.topic.publish = async () => {
      await reconcile();
      await reconcile();
      throw new PublishFailure("transient", "unavailable");
    };
    const late = startSecondInstance(scenario, {});
    await late.mailboxReconciliation();
    expect(late.logged("announcement_failed")).toHaveLength(1);
    expect(sink.mails).toHaveLength(1);
    const waitMs = Number(due(ADA)) - scenario.clock.now().getTime();
    expect(Math.abs(waitMs - 3 * DAY_MS)).toBeLessThan(MINUTE_MS);
  });

  it("is not sent earlier when a wrong clock wrote the due time", async () => {
    await flag(ADA);
    await pass(MINUTE_MS);
    const { followUp } = scenario.stored(ADA);
    const dueAt = new Date(scenario.clock.now().getTime() + 365 * DAY_MS);
    await scenario.users.update(scenario.stored(ADA), { followUp: { ...followUp, dueAt } });
    await pass(HOUR_MS, 10 * MINUTE_MS);
    expect(sink.mails).toHaveLength(1);
    await pass(4 * DAY_MS, HOUR_MS);
    expect(sink.mails).toHaveLength(2);
  });

  it("is sent twice at most, under one Message-ID, when its sender dies before recording it", async () => {
    await flag(ADA);
    const { find } = scenario.users;
    sink.onMail = () => {
      scenario.users.find = () => Promise.reject(new Error("the instance died"));
    };
    await reconcile();
    scenario.users.find = find;
    sink.onMail = () => {};
    expect(scenario.logged("due_user_failed")).toHaveLength(1);
    await reconcile();
    expect(sink.mails).toHaveLength(1);
    await pass(2 * DAY_MS, 10 * MINUTE_MS);
    expect(sink.mails).toHaveLength(2);
    expect(messageIds().size).toBe(1);
    const [first, second] = sink.mails.map(linkIn);
    expect(second).not.toBe(first);
  });

  it("is sent again under the same Message-ID when the server accepted it and reported an error", async () => {
    await flag(ADA);
    sink.replies.data = [451, "4.3.0 lost my notes"];
    await reconcile();
    delete sink.replies.data;
    await pass(10 * MINUTE_MS);
    expect(sink.mails).toHaveLength(2);
    expect(messageIds().size).toBe(1);
  });

  it("is sent once although a delayed run publishes the status again", async () => {
    await scenario.connect(ADA);
    scenario.emulator.changePassword(ADA);
    let wake = () => {};
    const asleep = new Promise<void>((resolve) => {
      scenario.topic.onPublished = () => {
        scenario.topic.onPublished = () => {};
        const { find } = scenario.users;
        scenario.users.find = async (id) => {
          scenario.users.find = find;
          resolve();
          await new Promise<void>((awake) => {
            wake = awake;
          });
          return find(id);
        };
      };
    });
    scenario.emulator.deliver(ADA);
    await asleep;
    await pass(10 * MINUTE_MS);
    expect(sink.mails).toHaveLength(1);
    const reminder = due(ADA);
    wake();
    await scenario.settled();
    expect(due(ADA)).toEqual(reminder);
    await pass(DAY_MS, HOUR_MS);
    expect(sink.mails).toHaveLength(1);
  });

  it("ends the series when the address accepts no mail", async () => {
    await flag(ADA);
    sink.replies.recipient = [550, "5.1.1 no such user"];
    await reconcile();
    expect(scenario.logged("notice_refused")).toMatchObject([
      { severity: "WARNING", reason: "EENVELOPE 550 5.1.1" },
    ]);
    delete sink.replies.recipient;
    await pass(9 * DAY_MS, HOUR_MS);
    expect(sink.mails).toEqual([]);
    expect(due(ADA)).toBeUndefined();
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
  });

  it("alerts the operator when the server rejects our configuration, and is sent once that is fixed", async () => {
    await flag(ADA);
    for (const [step, code, text] of [
      ["sender", 553, "5.7.1 not your address"],
      ["recipient", 554, "5.7.1 relay access denied"],
    ] as const) {
      sink.replies = { [step]: [code, text] };
      await pass(5 * MINUTE_MS);
      expect(scenario.logged("notice_misconfigured").at(-1)).toMatchObject({
        severity: "CRITICAL",
        reason: `EENVELOPE ${code} 5.7.1`,
      });
    }
    expect(sink.mails).toEqual([]);
    sink.replies = {};
    await pass(HOUR_MS);
    expect(sink.mails).toHaveLength(1);
  });

  it("alerts the operator once when the server rejects the greeting for an hour", async () => {
    const { port } = sink;
    await sink.close();
    // The host of the local PUBLIC_URL is no name.
    const strict = await startStrictRelay(port);
    await flag(ADA);
    await flag(BOB);
    const alerts = () => scenario.logged("notice_misconfigured");
    await pass(45 * MINUTE_MS);
    expect(alerts()).toEqual([]);
    await pass(4 * HOUR_MS, 5 * MINUTE_MS);
    expect(alerts()).toMatchObject([
      { severity: "CRITICAL", reason: expect.stringContaining("421 4.7.0") },
    ]);
    await pass(2 * DAY_MS, HOUR_MS);
    expect(alerts()).toHaveLength(1);
    expect(scenario.logged("notice_failed")).toHaveLength(1);
    await strict.close();

    sink = await startMailSink({ port });
    await pass(2 * HOUR_MS, 10 * MINUTE_MS);
    expect(sink.mails.map(({ to }) => to[0]).toSorted()).toEqual([ADA, BOB]);
  });

  it("is not sent again by the weekly check whether the person should be erased", async () => {
    await scenario.close();
    scenario = await startScenario({ env: { NOTICE_SMTP_URL: sink.url, NOTICE_FROM } });
    await flag(ADA);
    sink.replies.recipient = [550, "5.1.1 no such user"];
    await reconcile();
    delete sink.replies.recipient;
    await flag(BOB);
    await pass(89 * DAY_MS, DAY_MS);
    expect(sink.mails.map(({ to }) => to)).toEqual([[BOB], [BOB], [BOB]]);
    await pass(2 * DAY_MS, DAY_MS);
    expect(sink.mails).toHaveLength(3);
    expect(scenario.users.dump().users).toEqual([]);
  });

  it("is abandoned after days of hourly attempts", async () => {
    await flag(ADA);
    sink.replies.recipient = [452, "4.2.2 mailbox full"];
    await pass(2 * HOUR_MS);
    await pass(4 * DAY_MS, HOUR_MS);
    expect(due(ADA)).toBeInstanceOf(Date);
    await pass(3 * DAY_MS, HOUR_MS);
    expect(due(ADA)).toBeUndefined();
    expect(scenario.logged("notice_abandoned")).toMatchObject([{ severity: "ERROR" }]);
    expect(scenario.logged("notice_failed")).toHaveLength(140);
    const mails = sink.mails.length;
    sink.replies = {};
    await pass(9 * DAY_MS, DAY_MS);
    expect(sink.mails).toHaveLength(mails);
  });

  it("delays nothing else while the mail server does not answer", async () => {
    await flag(ADA);
    let release = () => {};
    const asked = new Promise<void>((resolve) => {
      sink.onMail = () => resolve();
    });
    await sink.close();
    const silent = await startMailSink({
      port: sink.port,
      server: {
        onConnect(_, callback) {
          release = () => callback(null);
          sink.onMail({} as SunkMail);
        },
      },
    });
    const running = reconcile();
    await asked;
    await scenario.connect(BOB);
    scenario.emulator.changePassword(BOB);
    scenario.emulator.deliver(BOB);
    await scenario.settled();
    expect(scenario.stored(BOB).status).toBe("reauthorization_required");
    expect(scenario.events(BOB).at(-1)?.attributes["ce-type"]).toBe(
      "mailbox.reauthorization_required",
    );
    release();
    expect(await running).toBe(204);
    expect(silent.mails).toHaveLength(1);
    await silent.close();
  });

  it("is not sent for an unavailable mailbox: there is only the event", async () => {
    await scenario.connect(ADA);
    scenario.emulator.setMailService(ADA, "off");
    scenario.clock.advance(DAY_MS);
    await scenario.runSchedule("watchRenewal");
    expect(scenario.stored(ADA).status).toBe("mailbox_unavailable");
    await pass(9 * DAY_MS, HOUR_MS);
    expect(sink.mails).toEqual([]);
  });

  it("is not sent without configuration: there is only the event", async () => {
    await scenario.close();
    scenario = await startScenario({ env: { FORGET_AFTER_DAYS: "0" } });
    await flag(ADA);
    expect(due(ADA)).toBeUndefined();
    expect(scenario.events(ADA).at(-1)?.attributes["ce-type"]).toBe(
      "mailbox.reauthorization_required",
    );
    await pass(9 * DAY_MS, HOUR_MS);
    expect(sink.mails).toEqual([]);
  });

  it("waits for the event while the topic is unavailable", async () => {
    await scenario.connect(ADA);
    scenario.emulator.changePassword(ADA);
    scenario.topic.failure = new PublishFailure("transient", "publish_failed");
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    await pass(10 * MINUTE_MS);
    expect(sink.mails).toEqual([]);
    scenario.topic.failure = undefined;
    await pass(30 * MINUTE_MS);
    expect(sink.mails).toHaveLength(1);
  });
});
