import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { text } from "node:stream/consumers";
import type { PubSub } from "@google-cloud/pubsub";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pubsubForTests } from "../../support/emulator-for-tests.ts";
import { openPubsub } from "../../support/pubsub-emulator.ts";
import { type Scenario, startScenario } from "../../support/scenario.ts";

/** Goal: a subscriber in another language, without any library, reads the stream and the mail. */

const PROGRAM = path.resolve(import.meta.dirname, "pull.py");
const ADA = "ada@example.com";
const PROJECT = "demo-python";
/** The emulator and a program take their time to start on a busy machine. */
const TIMEOUT_MS = 120_000;

const emulator = pubsubForTests();

describe.skipIf(!emulator.isHad)("the subscriber in Python", () => {
  let scenario: Scenario;
  let pubsub: PubSub;
  beforeEach(async () => {
    scenario = await startScenario({ env: { GMAIL_SCOPES: "gmail.readonly" } });
    pubsub = openPubsub(emulator, PROJECT);
  });
  afterEach(async () => {
    await pubsub.close();
    await scenario.close();
  });

  it(
    "pulls the events in order, once each, and reads the subject of each new mail",
    async () => {
      const { emulator: google } = scenario;
      const [changes] = await pubsub.topic("mailbox-changes").get({ autoCreate: true });
      const name = `projects/${PROJECT}/subscriptions/python`;
      await changes.createSubscription(name, { enableMessageOrdering: true });
      const ordered = pubsub.topic("mailbox-changes", { messageOrdering: true });

      await scenario.connect(ADA);
      const { messageId } = google.deliver(ADA, { subject: "Größe?" });
      google.star(ADA, messageId);
      const gone = google.deliver(ADA, { subject: "Gone" });
      google.deleteMessage(ADA, gone.messageId);
      await scenario.settled();
      const events = scenario.events(ADA);
      // The first ones twice, as at-least-once delivery may do.
      for (const event of [...events.slice(0, 3), ...events]) await ordered.publishMessage(event);

      const child = spawn("python3", [PROGRAM], {
        env: {
          PATH: process.env["PATH"],
          PYTHONUTF8: "1",
          SUBSCRIPTION: name,
          PUBSUB_EMULATOR_HOST: emulator.host,
          GCE_METADATA_HOST: google.host,
          GMAIL_API_URL: scenario.urls.gmailApi,
          EVENTS_MAX: String(events.length),
        },
        stdio: ["ignore", "pipe", "inherit"],
      });
      const output = text(child.stdout);
      expect(await once(child, "exit")).toEqual([0, null]);
      const lines = (await output).trim().split("\n");
      expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
        { type: "mailbox.connected", mailbox: ADA },
        { type: "mailbox.message.added", mailbox: ADA, messageId, subject: "Größe?" },
        { type: "mailbox.labels.added", mailbox: ADA },
        { type: "mailbox.message.added", mailbox: ADA, messageId: gone.messageId, subject: null },
        { type: "mailbox.message.deleted", mailbox: ADA },
      ]);
    },
    TIMEOUT_MS,
  );

  it(
    "ends with Pub/Sub's reason when its subscription does not exist",
    async () => {
      const child = spawn("python3", [PROGRAM], {
        env: {
          PATH: process.env["PATH"],
          SUBSCRIPTION: `projects/${PROJECT}/subscriptions/missing`,
          PUBSUB_EMULATOR_HOST: emulator.host,
        },
        stdio: ["ignore", "inherit", "pipe"],
      });
      const output = text(child.stderr);
      expect(await once(child, "exit")).toEqual([1, null]);
      expect(await output).toContain("NOT_FOUND");
    },
    TIMEOUT_MS,
  );
});
