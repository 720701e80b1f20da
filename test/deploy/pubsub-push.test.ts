import type { PubSub, Topic } from "@google-cloud/pubsub";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pushBody } from "../gmail-emulator/push.ts";
import { PROJECT } from "../local/environment.ts";
import { pubsubForTests } from "../support/emulator-for-tests.ts";
import { openPubsub } from "../support/pubsub-emulator.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const TOPIC = `projects/${PROJECT}/topics/gmail-notifications`;

/** Terraform has Pub/Sub push straight to the function, without Eventarc. */
describe("a push of Pub/Sub to gmailNotification", () => {
  let scenario: Scenario;
  let endpoint: string;

  beforeEach(async () => {
    // Nothing arrives but what is pushed here.
    scenario = await startScenario({ emulator: { push: { kind: "none" } } });
    endpoint = scenario.urls.gmailNotification;
    await scenario.connect(ADA);
  });
  afterEach(() => scenario.close());

  /** What Gmail publishes now, and the message that it tells of. */
  function deliver(): { data: Buffer; messageId: string } {
    const { messageId } = scenario.emulator.deliver(ADA, { subject: "one" });
    const { historyId } = scenario.emulator.account(ADA);
    return {
      data: Buffer.from(`{"emailAddress":"${ADA}","historyId":${historyId}}`),
      messageId,
    };
  }
  const published = () => scenario.events(ADA).flatMap(({ json }) => json["messageId"] ?? []);

  it("is a notification, although it is not a CloudEvent", async () => {
    const warned = vi.spyOn(console, "warn");
    const { data, messageId } = deliver();
    const response = await fetch(endpoint, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: pushBody(TOPIC, {
        data: data.toString("base64"),
        messageId: "11032",
        publishTime: new Date().toISOString(),
      }),
    });
    expect(response.status).toBe(204);
    expect(published()).toEqual([messageId]);
    expect(scenario.logged("mailbox_synced")).toMatchObject([{ pubsubMessageId: "11032" }]);
    expect(warned.mock.calls).toEqual([]);
    warned.mockRestore();
  });

  const emulator = pubsubForTests();
  describe.skipIf(!emulator.isHad)("by the Pub/Sub emulator", () => {
    let pubsub: PubSub;
    let topic: Topic;

    beforeEach(async () => {
      pubsub = openPubsub(emulator, PROJECT);
      [topic] = await pubsub.createTopic("gmail-notifications");
    });
    afterEach(async () => {
      await topic.delete();
      await pubsub.close();
    });

    it("arrives through a push subscription", async () => {
      await topic.createSubscription("push", { pushEndpoint: endpoint });
      const { data, messageId } = deliver();
      await topic.publishMessage({ data });
      await vi.waitFor(() => expect(published()).toEqual([messageId]), { timeout: 20_000 });
    });
  });
});
