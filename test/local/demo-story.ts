import assert from "node:assert/strict";
import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import type { AccountTruth } from "../gmail-emulator/truth.ts";
import { type MailSink, linkIn } from "../support/mail-sink.ts";
import { type Browser, openBrowser, throughGoogle } from "../support/browser.ts";
import type { Scenario } from "../support/scenario.ts";

/** One thing that happens, and what must be true afterwards. */
export interface Step {
  /** What a person does, as a sentence. */
  does: string;
  /** Does it, and says what was seen; throws when something that should hold does not. */
  run(scenario: Scenario): Promise<readonly string[]>;
}

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/**
 * The life of one connected mailbox. Every step compares what the receiver published and stored
 * with the emulator's own record of what happened: the receiver is never asked about itself.
 */
export function mailboxStory({ mails }: Pick<MailSink, "mails">): Step[] {
  const browser = openBrowser();
  let link = "";

  return [
    {
      does: "Ada opens the receiver's page and allows access on Google's consent page.",
      async run(scenario) {
        const { status, page } = await scenario.connect(ADA, { browser });
        assert.equal(status, 200, "the page that she ends on is no error");
        assert.ok(page.includes(ADA), "the page names her account");
        const { sub, refreshTokens, watches } = truthOf(scenario);
        assert.equal(refreshTokens.length, 1, "Google has issued one refresh token");
        assert.equal(watches.filter(({ active }) => active).length, 1, "Gmail watches her mailbox");
        assert.deepEqual(types(scenario), ["mailbox.connected"], "her connection is announced");
        holdNoSecret(scenario);
        return [
          `Published mailbox.connected and stored users/${sub}; her tokens are sealed in it.`,
          "Gmail now notifies the receiver of every change of her mailbox.",
        ];
      },
    },
    {
      does: "Two mails arrive; she stars one and archives it, deletes the other, and writes a draft.",
      async run(scenario) {
        const { emulator } = scenario;
        const kept = emulator.deliver(ADA, { subject: "Lunch?" });
        const unwanted = emulator.deliver(ADA, { subject: "You have won" });
        emulator.star(ADA, kept.messageId);
        emulator.archive(ADA, kept.messageId);
        emulator.deleteMessage(ADA, unwanted.messageId);
        emulator.saveDraft(ADA, { subject: "Re: Lunch?" });
        await scenario.settled();
        const published = holdNothingLost(scenario);
        return [
          `${published} CloudEvents, in Gmail's order: ${types(scenario).slice(-published).join(", ")}.`,
          "The draft is left out, as it is unless PUBLISH_DRAFTS=true.",
        ];
      },
    },
    {
      does: "Google loses the notifications of the next two mails, and the mailbox falls silent.",
      async run(scenario) {
        const { emulator, clock } = scenario;
        const before = changesOf(scenario).length;
        emulator.loseNotifications(2);
        emulator.deliver(ADA, { subject: "Nobody was told of this" });
        emulator.deliver(ADA, { subject: "Nor of this" });
        await scenario.settled();
        assert.equal(changesOf(scenario).length, before, "nothing is published without a hint");
        clock.advance(6 * HOUR_MS);
        assert.equal(await scenario.runSchedule("mailboxReconciliation"), 204, "it runs through");
        const published = holdNothingLost(scenario) - before;
        assert.equal(published, 2, "both mails are published");
        return [`Six quiet hours later the reconciliation looks by itself: ${published} changes.`];
      },
    },
    {
      does: "A day has passed since the watch was made; Google loses two more notifications, and the renewal runs.",
      async run(scenario) {
        const { emulator, clock } = scenario;
        const before = watchOf(scenario);
        clock.advance(DAY_MS - 6 * HOUR_MS);
        assert.equal(await scenario.runSchedule("mailboxReconciliation"), 204, "it runs through");
        const { historyId } = scenario.stored(ADA);
        const { historyId: head } = truthOf(scenario);
        assert.equal(historyId, head, "the cursor has come to what was read long ago");
        const told = changesOf(scenario).length;
        // The mail's, and the one that Gmail sends for every watch that is made.
        emulator.loseNotifications(2);
        emulator.deliver(ADA, { subject: "The renewal finds this" });
        emulator.resetCalls();
        assert.equal(await scenario.runSchedule("watchRenewal"), 204, "the renewal runs through");
        await scenario.settled();
        const after = watchOf(scenario);
        assert.ok(after.active && after.expiration > before.expiration, "the watch lives longer");
        assert.equal(emulator.countCalls("users.watch", ADA), 1, "one call to users.watch");
        assert.equal(scenario.stored(ADA).historyId, historyId, "the cursor stays where it was");
        const published = holdNothingLost(scenario) - told;
        assert.equal(published, 1, "the head in Gmail's answer is a hint, which finds the mail");
        return [
          `Gmail's promise to notify now ends on ${day(after.expiration)}.`,
          "The history id in Gmail's answer is a hint: it finds the mail, and moves no cursor.",
        ];
      },
    },
    {
      does: "Ada changes her password, which ends every token at Google; then a mail arrives.",
      async run(scenario) {
        const { emulator } = scenario;
        const before = changesOf(scenario).length;
        emulator.changePassword(ADA);
        assert.equal(truthOf(scenario).refreshTokens.length, 0, "no refresh token is left alive");
        emulator.deliver(ADA, { subject: "You changed your password" });
        await scenario.settled();
        const { status, statusReason, grant, watch, sync } = scenario.stored(ADA);
        assert.equal(status, "reauthorization_required", "the user document is flagged");
        assert.equal(statusReason, "invalid_grant", "with the reason that Google gave");
        assert.equal(grant.refreshToken, undefined, "the dead refresh token is removed");
        assert.equal(grant.accessToken, undefined, "the dead access token is removed");
        assert.equal(watch.renewAt, undefined, "the watch is not due for renewal any more");
        assert.equal(sync.dueAt, undefined, "the mailbox is not due for reconciliation any more");
        const announced = announcements(scenario);
        assert.equal(announced.length, 1, "mailbox.reauthorization_required is published once");
        assert.equal(changesOf(scenario).length, before, "the mail cannot be read, so it waits");
        assert.equal(await scenario.runSchedule("mailboxReconciliation"), 204, "it runs through");
        const [mail] = mails;
        assert.deepEqual(mail?.to, [ADA], "one mail goes out, to her alone");
        return [
          "The user document says reauthorization_required (invalid_grant), tokens removed.",
          "Published mailbox.reauthorization_required, once, with a link for her.",
          `Within the minute she has a mail: “${mail.mail.subject}”.`,
        ];
      },
    },
    {
      does: "For three days mail goes on arriving, and every schedule goes on running.",
      async run(scenario) {
        const { emulator, clock } = scenario;
        emulator.resetCalls();
        const before = scenario.stored(ADA);
        for (const name of ["first", "second", "third"]) {
          const { messageId } = emulator.deliver(ADA, { subject: `The ${name} day` });
          emulator.markRead(ADA, messageId);
          await scenario.settled();
          clock.advance(DAY_MS);
          assert.equal(await scenario.runSchedule("watchRenewal"), 204, "the renewal runs through");
          assert.equal(
            await scenario.runSchedule("mailboxReconciliation"),
            204,
            "the reconciliation runs through",
          );
        }
        assert.equal(emulator.countCalls("*"), 0, "not one call to Google is made");
        assert.equal(announcements(scenario).length, 1, "and nothing is announced again");
        const { revision, followUp } = scenario.stored(ADA);
        const untouched = { ...scenario.stored(ADA), followUp: before.followUp };
        assert.deepEqual(untouched, { ...before, revision }, "only the mail is noted");
        assert.equal(followUp.notices?.sent, 2, "on the third day she is reminded");
        const last = mails.at(-1);
        link = last === undefined ? "" : linkIn(last);
        return [
          "No watch renewed, no token refreshed, no history read: 0 calls to Google.",
          "On the third day she is reminded by mail, once.",
        ];
      },
    },
    {
      does: "Ada follows the link of the reminder and allows access again.",
      async run(scenario) {
        const before = changesOf(scenario).length;
        const missed = missedSince(scenario, before);
        assert.ok(missed > 0, "something was missed");
        const page = await reauthorize(scenario, browser, link);
        const published = holdNothingLost(scenario) - before;
        assert.equal(published, missed, "every missed change is published");
        assert.ok(page.includes(`${missed} changes`), "the page says how many were recovered");
        const connected = scenario.events(ADA).at(-1);
        assert.equal(connected?.attributes["ce-type"], "mailbox.connected", "she is back");
        assert.equal(connected?.json["recoveredChanges"], missed, "the event says how many, too");
        assert.equal(scenario.stored(ADA).status, "active", "the user document is active");
        assert.ok(watchOf(scenario).active, "Gmail watches her mailbox again");
        return [
          `${missed} missed changes published from where the cursor had stopped, in order.`,
          "Compared with everything that ever happened in her mailbox: nothing is lost.",
        ];
      },
    },
    {
      does: "A mail arrives as before, and the used link is tried once more.",
      async run(scenario) {
        scenario.emulator.deliver(ADA, { subject: "Welcome back" });
        await scenario.settled();
        holdNothingLost(scenario);
        assert.equal((await openBrowser().get(link)).status, 410, "the used link is gone");
        return ["The mail is published; the link answers 410 Gone."];
      },
    },
    {
      does: "Ada disconnects.",
      async run(scenario) {
        const { emulator, publicUrl } = scenario;
        const page = await (await browser.get(`${publicUrl}/`)).text();
        const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
        const { status } = await browser.post(`${publicUrl}/disconnect`, { csrf });
        assert.equal(status, 200, "the page says so");
        const { refreshTokens, watches } = truthOf(scenario);
        assert.equal(refreshTokens.length, 0, "the grant is revoked at Google");
        assert.ok(!watches.some(({ active }) => active), "Gmail watches her mailbox no more");
        assert.equal(types(scenario).at(-1), "mailbox.disconnected", "it is announced");
        const { grant } = stored(scenario);
        assert.equal(grant.refreshToken, undefined, "no token of hers is kept");
        assert.equal(grant.accessToken, undefined, "no token of hers is kept");
        const published = changesOf(scenario).length;
        emulator.deliver(ADA, { subject: "Nobody listens" });
        await scenario.settled();
        assert.equal(changesOf(scenario).length, published, "her mail is no longer published");
        holdNoSecret(scenario);
        return [
          "Watch stopped, grant revoked at Google, tokens removed, mailbox.disconnected published.",
          "No token, code or client secret appears in any event, log line or stored document.",
        ];
      },
    },
  ];
}

async function reauthorize(scenario: Scenario, browser: Browser, link: string): Promise<string> {
  const opened = await browser.get(link);
  assert.equal(opened.status, 200, "the link opens a page");
  const sent = await browser.post(link, {});
  assert.ok(sent.headers.has("location"), "its button leads to Google");
  const response = await throughGoogle(scenario.emulator, browser, sent, { account: ADA });
  assert.equal(response.status, 200, "the page that she ends on is no error");
  const page = await response.text();
  await scenario.settled();
  return page;
}

function truthOf({ emulator }: Scenario): AccountTruth {
  return emulator.account(ADA);
}

function watchOf(scenario: Scenario): AccountTruth["watches"][number] {
  const [watch] = truthOf(scenario).watches;
  assert.ok(watch !== undefined, "Gmail knows a watch");
  return watch;
}

function stored(scenario: Scenario) {
  const { sub } = truthOf(scenario);
  const user = scenario.users.dump().users.find(({ id }) => id === sub);
  assert.ok(user !== undefined, "a user document is stored");
  return user;
}

function types(scenario: Scenario): string[] {
  return scenario.events(ADA).map(({ attributes }) => attributes["ce-type"] ?? "");
}

function announcements({ topic }: Scenario): PubsubCloudEvent[] {
  return topic.published.filter(
    ({ attributes }) => attributes["ce-type"] === "mailbox.reauthorization_required",
  );
}

/** What subscribers were told of her messages, in the order in which they first heard it. */
function changesOf(scenario: Scenario): string[] {
  return scenario
    .events(ADA)
    .filter(({ json }) => "messageId" in json)
    .map(({ attributes, json }) => {
      const { messageId, labelIds } = json as { messageId: string; labelIds?: string[] };
      const isOfLabels = attributes["ce-type"]?.startsWith("mailbox.labels.") === true;
      return change(attributes["ce-type"] ?? "", messageId, isOfLabels ? labelIds : undefined);
    });
}

/** Drafts are left out unless asked for, since every autosave is a new message. */
function isMail({ labelIds }: { labelIds: readonly string[] }): boolean {
  return !labelIds.includes("DRAFT");
}

/** What happened in her mailbox since the beginning, as Gmail itself wrote it down. */
function changesThatHappened({ history }: AccountTruth): string[] {
  return history.flatMap(({ messagesAdded, messagesDeleted, labelsAdded, labelsRemoved }) => [
    ...messagesAdded.filter(isMail).map(({ id }) => change("mailbox.message.added", id)),
    ...messagesDeleted.filter(isMail).map(({ id }) => change("mailbox.message.deleted", id)),
    ...labelsAdded.map((it) => change("mailbox.labels.added", it.message.id, it.labelIds)),
    ...labelsRemoved.map((it) => change("mailbox.labels.removed", it.message.id, it.labelIds)),
  ]);
}

function change(type: string, messageId: string, labelIds?: readonly string[]): string {
  return [type, messageId, ...(labelIds ?? [])].join(" ");
}

function missedSince(scenario: Scenario, published: number): number {
  return changesThatHappened(truthOf(scenario)).length - published;
}

/** Everything that happened is published, in order, and nothing else; answers how many changes. */
function holdNothingLost(scenario: Scenario): number {
  const published = changesOf(scenario);
  const happened = changesThatHappened(truthOf(scenario));
  assert.deepEqual(published, happened, "what is published is what happened, in the same order");
  return published.length;
}

function holdNoSecret({ emulator, topic, users, logs }: Scenario): void {
  const shown = JSON.stringify([topic.published, users.dump(), logs]);
  const found = emulator.secretsIssued().filter((secret) => shown.includes(secret));
  assert.equal(found.length, 0, "no secret is published, stored in clear or logged");
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
