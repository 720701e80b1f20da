import { CloudEvent, HTTP } from "cloudevents";
import { describe, expect, it } from "vitest";
import { EVENT_TYPES } from "../../functions/subscriber/events.ts";
import { parse } from "../../functions/subscriber/parse.ts";
import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import { simulate } from "../simulation/simulate.ts";

const ADDED: PubsubCloudEvent = {
  attributes: {
    "ce-specversion": "1.0",
    "ce-id": "108/added/18b",
    "ce-type": "mailbox.message.added",
    "ce-source": "//gmail.googleapis.com/users/108",
    "ce-subject": "messages/18b",
    "ce-time": "2026-11-20T12:00:00.123Z",
    "ce-dataschema": "urn:gmail-push-receiver:event:mailbox.message.added:1",
    "content-type": "application/json",
    "label-INBOX": "1",
    "tag-customer": "acme",
  },
  orderingKey: "108",
  json: {
    userId: "108",
    emailAddress: "ada@example.com",
    historyId: "1001",
    messageId: "18b",
    threadId: "18a",
    labelIds: ["INBOX", "Label_1"],
  },
};

const EVENT = {
  id: "108/added/18b",
  type: "mailbox.message.added",
  source: "//gmail.googleapis.com/users/108",
  subject: "messages/18b",
  time: new Date("2026-11-20T12:00:00.123Z"),
  dataSchema: "urn:gmail-push-receiver:event:mailbox.message.added:1",
  labels: ["INBOX"],
  tags: { customer: "acme" },
  data: ADDED.json,
};

const bytes = (json: unknown) => Buffer.from(JSON.stringify(json));
const base64 = (json: unknown) => bytes(json).toString("base64");

/** As a push request carries it (Pub/Sub, "Receive push messages"). */
function pushed({ attributes, json, orderingKey }: PubsubCloudEvent) {
  const publishTime = "2026-11-20T12:00:00.200Z";
  const message = { attributes, data: base64(json), messageId: "7", publishTime, orderingKey };
  return { message, subscription: "projects/p/subscriptions/s", deliveryAttempt: 1 };
}

/** The event with other attributes, or other data. */
function changed(attributes: Record<string, string | undefined>, json: object = {}) {
  const all = Object.entries({ ...ADDED.attributes, ...attributes });
  const present = all.filter((entry): entry is [string, string] => entry[1] !== undefined);
  return pushed({
    ...ADDED,
    attributes: Object.fromEntries(present),
    json: { ...ADDED.json, ...json },
  });
}

describe("parse", () => {
  it.each([
    ["a push request", pushed(ADDED)],
    ["a pulled message of the REST API", { ...pushed(ADDED).message, ackId: "a" }],
    [
      "a pulled message of the client library",
      { id: "7", attributes: ADDED.attributes, data: bytes(ADDED.json), orderingKey: "108" },
    ],
    [
      "a message of a library that has bytes and not a Buffer",
      { attributes: ADDED.attributes, data: new Uint8Array(bytes(ADDED.json)) },
    ],
    [
      "a CloudEvent of Eventarc",
      {
        specversion: "1.0",
        type: "google.cloud.pubsub.topic.v1.messagePublished",
        source: "//pubsub.googleapis.com/projects/p/topics/mailbox-changes",
        id: "7",
        data: pushed(ADDED),
      },
    ],
  ])("reads %s", (_, message) => {
    expect(parse(message)).toEqual({ kind: "event", event: EVENT });
  });

  it("reads the event itself, as the CloudEvents SDK and as structured JSON have it", () => {
    const request = { headers: ADDED.attributes, body: JSON.stringify(ADDED.json) };
    const event = HTTP.toEvent(request) as CloudEvent<unknown>;
    // Labels and tags are attributes of Pub/Sub, and no part of the CloudEvent.
    const expected = { kind: "event", event: { ...EVENT, labels: [], tags: {} } };
    expect(parse(event)).toEqual(expected);
    expect(parse(event.toJSON())).toEqual(expected);
  });

  it("reads everything that the simulated receiver publishes", async () => {
    const types = new Set<string>();
    for (let seed = 0; seed < 4; seed += 1) {
      for (const published of (await simulate(seed)).published) {
        const parsed = parse(pushed(published));
        if (parsed.kind !== "event") throw new Error(JSON.stringify(parsed));
        expect(parsed.event.data).toEqual(published.json);
        types.add(parsed.event.type);
      }
    }
    expect(types.size).toBeGreaterThan(EVENT_TYPES.length / 2);
  }, 60_000);

  it("hands on the fields that a later version of the receiver has added", () => {
    const parsed = parse(changed({ "ce-later": "1" }, { snippet: "Hello" }));
    expect(parsed).toMatchObject({ kind: "event", event: { data: { snippet: "Hello" } } });
  });

  it("hands on an event of a type that a later version has added, as unknown", () => {
    const parsed = parse(changed({ "ce-type": "mailbox.message.moved" }));
    expect(parsed).toEqual({
      kind: "unknown",
      event: { ...EVENT, type: "mailbox.message.moved" },
    });
  });

  it.each([
    [undefined, "the message is not an object"],
    ["{}", "the message is not an object"],
    [[], "the message is not an object"],
    [{}, "the message has no attributes: it is neither a Pub/Sub message nor a CloudEvent"],
    [{ message: {} }, "the message has no attributes"],
    [{ attributes: ADDED.attributes }, "the message has no data"],
    [{ attributes: ADDED.attributes, data: "" }, "the data is not a JSON object"],
    [{ attributes: ADDED.attributes, data: base64([1]) }, "the data is not a JSON object"],
    [{ attributes: ADDED.attributes, data: "!!" }, "the data is not a JSON object"],
    [changed({ "ce-specversion": "0.3" }), "ce-specversion is not 1.0"],
    [changed({ "ce-id": undefined }), "ce-id is missing"],
    [changed({ "ce-type": undefined }), "ce-type is missing"],
    [changed({ "ce-source": "" }), "ce-source is missing"],
    [
      { specversion: "1.0", type: "google.cloud.pubsub.topic.v1.messagePublished", data: {} },
      "the CloudEvent of Eventarc has no message",
    ],
    [{ specversion: "1.0", id: "1" }, "the data of the CloudEvent is not an object"],
  ])("says what is wrong with %j", (message, why) => {
    expect(parse(message)).toEqual({ kind: "malformed", why });
  });

  it("names the fields that are wrong, and nothing of what they hold", () => {
    const wrong = { historyId: "secret", labelIds: "secret", messageId: undefined };
    const parsed = parse(changed({}, wrong));
    expect(parsed.kind === "malformed" && parsed.why).toMatch(
      /^the data of mailbox\.message\.added: historyId: .*; messageId: .*; labelIds: /,
    );
    expect(JSON.stringify(parsed)).not.toContain("secret");
  });

  it("is not confused by names that every object has", () => {
    const message = changed({ "ce-type": "constructor", "tag-constructor": "x" });
    expect(parse(message)).toMatchObject({ kind: "unknown", event: { type: "constructor" } });
  });
});
