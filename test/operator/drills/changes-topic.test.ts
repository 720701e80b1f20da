import { randomBytes } from "node:crypto";
import type { PubSub, Subscription } from "@google-cloud/pubsub";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pubsubPublisher } from "../../../functions/src/pubsub/publisher.ts";
import { type LocalStack, startLocalStack } from "../../local/stack.ts";
import { openBrowser, throughGoogle } from "../../support/browser.ts";
import { pubsubForTests } from "../../support/emulator-for-tests.ts";
import { memoryUsers } from "../../support/memory-users.ts";
import { openPubsub, subscribe } from "../../support/pubsub-emulator.ts";
import { type MovableClock, movableClock } from "../../support/scenario.ts";

/**
 * Goal: a topic of changes that is gone holds everything back and loses nothing of it; and what a
 * subscriber could not take is kept as dead letters, whole.
 */

const ADA = "ada@example.com";
const TOPIC = "mailbox-changes";
const ARRIVAL = { timeout: 20_000 };
const emulator = pubsubForTests();

describe.skipIf(!emulator.isHad)("the topic of changes", () => {
  let pubsub: PubSub;
  let clock: MovableClock;
  let stack: LocalStack;
  let subscription: Subscription;

  beforeEach(async () => {
    const project = `demo-${randomBytes(6).toString("hex")}`;
    pubsub = openPubsub(emulator, project);
    clock = movableClock();
    await pubsub.createTopic(TOPIC);
    const publish = pubsubPublisher(pubsub, `projects/${project}/topics/${TOPIC}`, clock);
    stack = await startLocalStack({ users: memoryUsers(), publish, clock });
  });
  afterEach(async () => {
    await stack.close();
    await subscription?.close();
    await pubsub.close();
  });

  async function connect(): Promise<void> {
    stack.emulator.createAccount({ email: ADA });
    const browser = openBrowser();
    const start = await browser.get(`${stack.publicUrl}/start`);
    await throughGoogle(stack.emulator, browser, start, { account: ADA });
    await stack.emulator.idle();
  }
  async function deliver(): Promise<string> {
    const { messageId } = stack.emulator.deliver(ADA);
    await stack.emulator.idle();
    return messageId;
  }

  it("deleted: an alert, the cursor stays, and everything is published once the topic exists", async () => {
    await connect();
    await pubsub.topic(TOPIC).delete();
    const missed = [await deliver(), await deliver()];
    const alerts = stack.logs.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(alerts.filter(({ severity }) => severity === "CRITICAL")).toMatchObject([
      { event: "misconfigured", reason: "topic_not_found" },
      { event: "misconfigured", reason: "topic_not_found" },
    ]);

    const subscriber = await subscribe(pubsub, TOPIC);
    clock.advance(3_600_000);
    expect(await stack.runSchedule("mailboxReconciliation")).toBe(204);
    await vi.waitFor(() => expect(subscriber.received).toHaveLength(4), ARRIVAL);
    expect(subscriber.received.map(({ json }) => json["messageId"])).toEqual([
      undefined,
      ...missed,
      undefined,
    ]);
    await subscriber.close();
  });

  it("with dead letters: a message that a subscriber rejects is kept complete, for the fixed subscriber", async () => {
    await pubsub.createTopic("dead-letters");
    const [letters] = await pubsub.topic("dead-letters").createSubscription("dead-letters-kept");
    [subscription] = await pubsub.topic(TOPIC).createSubscription("application", {
      deadLetterPolicy: {
        deadLetterTopic: pubsub.topic("dead-letters").name,
        maxDeliveryAttempts: 5,
      },
      retryPolicy: { minimumBackoff: { seconds: 0 }, maximumBackoff: { seconds: 1 } },
    });
    const poison: string[] = [];
    const taken: string[] = [];
    subscription.on("message", (message) => {
      const { messageId } = JSON.parse(message.data.toString()) as { messageId?: string };
      const isPoison = messageId !== undefined && poison.includes(messageId);
      if (!isPoison && messageId !== undefined) taken.push(messageId);
      if (isPoison) message.nack();
      else message.ack();
    });
    await connect();
    const { messageId } = stack.emulator.deliver(ADA);
    poison.push(messageId);
    await stack.emulator.idle();
    const fine = await deliver();
    await vi.waitFor(() => expect(taken).toContain(fine), ARRIVAL);

    const kept: { id: string | undefined; json: Record<string, unknown> }[] = [];
    letters.on("message", (message) => {
      const json = JSON.parse(message.data.toString()) as Record<string, unknown>;
      kept.push({ id: message.attributes["ce-id"], json });
      message.ack();
    });
    await vi.waitFor(() => expect(kept).toHaveLength(1), ARRIVAL);
    await letters.close();
    expect(kept[0]?.id).toMatch(new RegExp(`/added/${messageId}$`));
    expect(kept[0]?.json).toMatchObject({ emailAddress: ADA, messageId });
    expect(taken).not.toContain(messageId);
  }, 60_000);
});
