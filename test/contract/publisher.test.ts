import type { PubSub } from "@google-cloud/pubsub";
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pubsubPublisher } from "../../functions/src/pubsub/publisher.ts";
import { type EmailAddress } from "../../functions/src/domain/email-address.ts";
import {
  type Change,
  type MailboxEvent,
  type Publish,
  PublishFailure,
} from "../../functions/src/domain/events.ts";
import type { HistoryId } from "../../functions/src/domain/history-id.ts";
import type { UserId } from "../../functions/src/domain/user.ts";
import { type StubPubsub, startStubPubsub } from "../bench/stub-pubsub.ts";
import { pubsubForTests } from "../support/emulator-for-tests.ts";
import { type Subscriber, openPubsub, subscribe } from "../support/pubsub-emulator.ts";
import { type TcpProxy, startTcpProxy } from "../support/tcp-proxy.ts";

const NOW = new Date("2026-11-20T12:00:00.123Z");
const TOPIC = "mailbox-changes";
const ADA = { id: "108" as UserId, emailAddress: "ada@example.com" as EmailAddress };
const BOB = { id: "207" as UserId, emailAddress: "bob@example.com" as EmailAddress };

function added(messageId: string): Change & { kind: "added" } {
  return {
    kind: "added",
    historyId: "1001" as HistoryId,
    messageId,
    threadId: "18a",
    labelIds: ["INBOX"],
  };
}

const emulator = pubsubForTests();

/** What a subscriber of the topic gets, through the real client and the emulator's server. */
describe.skipIf(!emulator.isHad)("the publisher", () => {
  let proxy: TcpProxy;
  let pubsub: PubSub;
  let direct: PubSub;
  let publish: Publish;
  let subscriber: Subscriber;

  beforeEach(async () => {
    const projectId = `demo-${randomBytes(6).toString("hex")}`;
    proxy = await startTcpProxy(emulator.host);
    direct = openPubsub(emulator, projectId);
    pubsub = openPubsub(proxy, projectId);
    const clock = { now: () => NOW, sleep: () => Promise.resolve() };
    publish = pubsubPublisher(pubsub, `projects/${projectId}/topics/${TOPIC}`, clock);
    subscriber = await subscribe(direct, TOPIC);
  });
  afterEach(async () => {
    await subscriber.close();
    await Promise.all([pubsub.close(), direct.close()]);
    await proxy.close();
  });

  const arrived = (count: number) =>
    vi.waitFor(() => expect(subscriber.received).toHaveLength(count), { timeout: 10_000 });

  async function failureOf(publishing: Promise<void>): Promise<PublishFailure> {
    const error: unknown = await publishing.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof PublishFailure)) throw new Error("it did not fail as documented");
    return error;
  }

  it("sends an event as a CloudEvent in binary mode, on the user's ordering key", async () => {
    const tags = { team: "blue", plan: "" };
    await publish({ ...ADA, tags }, [{ ...added("18b"), recovered: true }]);
    await arrived(1);
    expect(subscriber.received[0]).toEqual({
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
        "tag-team": "blue",
        "tag-plan": "",
      },
      orderingKey: "108",
      text: expect.any(String),
      json: {
        userId: "108",
        emailAddress: "ada@example.com",
        historyId: "1001",
        messageId: "18b",
        threadId: "18a",
        labelIds: ["INBOX"],
        recovered: true,
      },
    });
  });

  const place = { historyId: "1002" as HistoryId, messageId: "18b", threadId: "18a" };
  const reauthorizeUrl = "https://receiver.example.com/reauthorize/v1.link";
  it.each<[MailboxEvent, string, string, Record<string, unknown>]>([
    [{ kind: "deleted", ...place }, "mailbox.message.deleted", "108/1002/deleted/18b", place],
    [
      { kind: "labels.added", ...place, labelIds: ["STARRED"] },
      "mailbox.labels.added",
      "108/1002/labels.added/18b",
      { ...place, labelIds: ["STARRED"] },
    ],
    [
      { kind: "labels.removed", ...place, labelIds: ["UNREAD"] },
      "mailbox.labels.removed",
      "108/1002/labels.removed/18b",
      { ...place, labelIds: ["UNREAD"] },
    ],
    [
      {
        kind: "gap",
        fromHistoryId: "1000" as HistoryId,
        toHistoryId: "2000" as HistoryId,
        since: NOW,
        reason: "history_expired",
      },
      "mailbox.gap",
      "108/gap/1000",
      {
        fromHistoryId: "1000",
        toHistoryId: "2000",
        since: "2026-11-20T12:00:00.123Z",
        reason: "history_expired",
      },
    ],
    [
      { kind: "connected", generation: 2, recoveredChanges: 3 },
      "mailbox.connected",
      "108/connected/2",
      { generation: 2, recoveredChanges: 3 },
    ],
    [
      { kind: "reauthorization_required", generation: 2, reason: "invalid_grant", reauthorizeUrl },
      "mailbox.reauthorization_required",
      "108/reauthorization_required/2",
      { generation: 2, reason: "invalid_grant", reauthorizeUrl },
    ],
    [
      { kind: "unavailable", generation: 2, reason: "domain_policy", reauthorizeUrl },
      "mailbox.unavailable",
      "108/unavailable/2",
      { generation: 2, reason: "domain_policy", reauthorizeUrl },
    ],
    [
      { kind: "unavailable", generation: 2, episode: 3, reason: "domain_policy", reauthorizeUrl },
      "mailbox.unavailable",
      "108/unavailable/2/3",
      { generation: 2, reason: "domain_policy", reauthorizeUrl },
    ],
    [
      { kind: "disconnected", generation: 2, reason: "user_request" },
      "mailbox.disconnected",
      "108/disconnected/2",
      { generation: 2, reason: "user_request" },
    ],
  ])("says of %o what is documented", async (event, type, id, data) => {
    await publish(ADA, [event]);
    await arrived(1);
    const [received] = subscriber.received;
    expect(received?.attributes).toMatchObject({ "ce-type": type, "ce-id": id });
    expect(received?.json).toEqual({ userId: "108", emailAddress: "ada@example.com", ...data });
  });

  it("continues the trace in each event (CloudEvents distributed tracing extension)", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await publish(ADA, [added("18b"), added("18c")], traceparent);
    await arrived(2);
    expect(subscriber.received.map(({ attributes }) => attributes["ce-traceparent"])).toEqual([
      traceparent,
      traceparent,
    ]);
  });

  it("keeps the order of a mailbox over several requests and with other mailboxes", async () => {
    // No page waits for the one before it, and together they are more than one request takes.
    const names = (prefix: string) => [...Array(1_200).keys()].map((index) => `${prefix}${index}`);
    const pages = (user: typeof ADA, ids: string[]) =>
      [0, 400, 800].map((start) => publish(user, ids.slice(start, start + 400).map(added)));
    await Promise.all([...pages(ADA, names("a")), ...pages(BOB, names("b"))]);
    await arrived(2_400);
    for (const [{ id }, prefix] of [[ADA, "a"] as const, [BOB, "b"] as const]) {
      const own = subscriber.received.filter(({ orderingKey }) => orderingKey === id);
      expect(own.map(({ json }) => json["messageId"])).toEqual(names(prefix));
    }
  });

  it("sends no request for an empty list", async () => {
    await publish(ADA, []);
    expect(subscriber.received).toEqual([]);
  });

  it("resolves only when the topic has accepted every event", async () => {
    proxy.hold();
    let isDone = false;
    const publishing = publish(ADA, [added("18b")]).finally(() => {
      isDone = true;
    });
    await vi.waitFor(() => expect(proxy.heldBytes()).toBeGreaterThan(0), { timeout: 10_000 });
    expect(isDone).toBe(false);
    proxy.release();
    await publishing;
    await arrived(1);
  });

  it("rejects as misconfigured while the topic is missing, and works once it exists", async () => {
    await publish(ADA, [added("before")]);
    await arrived(1);
    await direct.topic(TOPIC).delete();

    const events = [added("18b"), added("18c")];
    const failures = await Promise.all([
      failureOf(publish(ADA, events)),
      failureOf(publish(ADA, events)),
      failureOf(publish(BOB, events)),
    ]);
    for (const { kind, reason } of failures) {
      expect({ kind, reason }).toEqual({ kind: "misconfigured", reason: "topic_not_found" });
    }
    expect((await failureOf(publish(ADA, events))).kind).toBe("misconfigured");
    const existing: MailboxEvent = {
      kind: "existing",
      snapshotId: "1764000000000",
      historyId: "9" as HistoryId,
      messageId: "17a",
      labelIds: [],
    };
    expect((await failureOf(publish(ADA, [existing]))).kind).toBe("misconfigured");

    await subscriber.close();
    await direct.subscription(`${TOPIC}-subscriber`).delete();
    subscriber = await subscribe(direct, TOPIC);
    await publish(ADA, events);
    await publish(BOB, events);
    // Events of a snapshot have a key of their own, which the client has to resume, too.
    await publish(ADA, [existing]);
    await arrived(5);
    const ofSnapshot = subscriber.received.filter(({ json }) => "snapshotId" in json);
    expect(ofSnapshot.map(({ orderingKey }) => orderingKey)).toEqual([`${ADA.id}/snapshot`]);
    for (const { id } of [ADA, BOB]) {
      const own = subscriber.received.filter(({ orderingKey }) => orderingKey === id);
      expect(own.map(({ json }) => json["messageId"])).toEqual(["18b", "18c"]);
    }
  });

  it("rejects as transient while Pub/Sub is unreachable, and works once it is reachable", async () => {
    await publish(ADA, [added("before")]);
    proxy.cut();
    const startedAt = Date.now();
    const failure = await failureOf(publish(ADA, [added("18b"), added("18c")]));
    expect({ kind: failure.kind, reason: failure.reason }).toEqual({
      kind: "transient",
      reason: "publish_failed",
    });
    // A run has its own limit, and has to be left time to say that it failed.
    expect(Date.now() - startedAt).toBeLessThan(25_000);

    proxy.mend();
    await publish(ADA, [added("18b"), added("18c")]);
    await arrived(3);
    const ids = subscriber.received.map(({ json }) => json["messageId"]);
    expect(ids).toEqual(["before", "18b", "18c"]);
  }, 60_000);
});

describe("a request of the publisher", () => {
  let stub: StubPubsub;
  let publish: Publish;
  /** The ordering keys of the messages of each request. */
  let requests: string[][];

  beforeEach(async () => {
    stub = await startStubPubsub();
    requests = [];
    stub.onRequest = (messages) => {
      requests.push(messages.map(({ orderingKey }) => orderingKey));
    };
    const clock = { now: () => NOW };
    publish = pubsubPublisher(openPubsub(stub, "demo"), `projects/demo/topics/${TOPIC}`, clock);
  });
  afterEach(() => stub.close());

  const many = (count: number) =>
    Array.from({ length: count }, (_, index) => added(`18b${String(index)}`));

  it("contains the events of one call only, and waits for no other call", async () => {
    await Promise.all([publish(ADA, many(2)), publish(BOB, many(3))]);
    expect(requests.toSorted()).toEqual([
      [ADA.id, ADA.id],
      [BOB.id, BOB.id, BOB.id],
    ]);
  });

  it("has at most 1,000 messages", async () => {
    await publish(ADA, many(1_200));
    expect(requests.map(({ length }) => length)).toEqual([1_000, 200]);
  });

  it("stays below the bytes that Pub/Sub accepts, whatever the tags", async () => {
    const names = Array.from({ length: 10 }, (_, index) => `${"n".repeat(40)}${String(index)}`);
    const tags = Object.fromEntries(names.map((name) => [name, "\u{20ac}".repeat(256)]));
    await publish({ ...ADA, tags }, many(1_000));
    const sizes = requests.map(({ length }) => length);
    expect(sizes.length).toBeGreaterThan(2);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(1_000);
  });

  it("has one ordering key: a snapshot has its own", async () => {
    await publish(ADA, [added("18b"), { ...added("18c"), kind: "existing", snapshotId: "1" }]);
    expect(requests).toEqual([[ADA.id], [`${ADA.id}/snapshot`]]);
  });

  it("is made again after the client could not be opened", async () => {
    const pubsub = openPubsub(stub, "demo");
    const opening = vi.spyOn(pubsub, "getClientConfig");
    opening.mockRejectedValueOnce(new Error("no project"));
    const again = pubsubPublisher(pubsub, `projects/demo/topics/${TOPIC}`, { now: () => NOW });
    await expect(again(ADA, many(1))).rejects.toThrow(PublishFailure);
    await again(ADA, many(1));
    expect(requests).toEqual([[ADA.id]]);
  });

  it("keeps a placeholder of the client library in a tag", async () => {
    let told: Record<string, string> = {};
    stub.onRequest = ([message]) => {
      told = message?.attributes ?? {};
    };
    await publish({ ...ADA, tags: { team: "{{projectId}}" } }, [added("18b")]);
    expect(told["tag-team"]).toBe("{{projectId}}");
  });
});
