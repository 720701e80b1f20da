import { type PubSub, v1 } from "@google-cloud/pubsub";
import type { Clock } from "../domain/clock.ts";
import { type Publish, PublishFailure } from "../domain/events.ts";
import { type PubsubCloudEvent, toCloudEvent } from "./cloud-event.ts";

/** The limit of one RPC with its retries: the sync has its own limit, and retries by itself. */
const RPC_TIMEOUT_MS = 10_000;
const PUBLISH_TIMEOUT_MS = 20_000;
const CALL_OPTIONS = {
  timeout: RPC_TIMEOUT_MS,
  // Else the client waits for the messages of other calls.
  isBundling: false,
  retry: {
    retryCodes: [1, 2, 4, 8, 10, 13, 14],
    backoffSettings: {
      initialRetryDelayMillis: 100,
      retryDelayMultiplier: 2,
      maxRetryDelayMillis: 5_000,
      initialRpcTimeoutMillis: RPC_TIMEOUT_MS,
      rpcTimeoutMultiplier: 1,
      maxRpcTimeoutMillis: RPC_TIMEOUT_MS,
      totalTimeoutMillis: PUBLISH_TIMEOUT_MS,
    },
  },
};
/** Pub/Sub accepts 1,000 messages, and 10 MB, in one request. */
const REQUEST_MESSAGES_MAX = 1_000;
const REQUEST_BYTES_MAX = 3_000_000;
/** What the encoding adds to a message, at most, for each of its attributes and itself. */
const FIELD_BYTES = 16;

/** gRPC codes that a retry does not fix: the topic's name, its permissions, the request. */
const MISCONFIGURED = new Map<unknown, string>([
  [3, "invalid_argument"],
  [5, "topic_not_found"],
  [7, "permission_denied"],
  [9, "failed_precondition"],
  [16, "unauthenticated"],
]);

interface Message {
  data: Buffer;
  attributes: Record<string, string>;
  orderingKey: string;
}

/**
 * Returns a publisher to `CHANGES_TOPIC` (the full name of a topic), with an ordering key for each
 * user. Calls with one key are served in turn, and a failure rejects those that wait for it: they
 * must not be published before it. It sends `projects.topics.publish` itself: a `Topic` waits for
 * messages of other callers, copies each, and replaces `{{projectId}}` in it.
 */
export function pubsubPublisher(pubsub: PubSub, topic: string, clock: Pick<Clock, "now">): Publish {
  let opened: Promise<v1.PublisherClient> | undefined;
  const latest = new Map<string, Promise<void>>();

  function open(): Promise<v1.PublisherClient> {
    opened ??= openClient(pubsub).catch((error: unknown) => {
      // Else the instance would never publish again.
      opened = undefined;
      throw error;
    });
    return opened;
  }

  async function send(messages: readonly Message[], before: Promise<void> | undefined) {
    await before;
    try {
      const client = await open();
      for (const part of toRequests(messages)) {
        await client.publish({ topic, messages: part }, CALL_OPTIONS);
      }
    } catch (error) {
      throw failureOf(error);
    }
  }

  return async (user, events, traceparent) => {
    const now = clock.now();
    const messages = events.map((event) => toMessage(toCloudEvent(user, event, now, traceparent)));
    const { orderingKey } = messages[0] ?? {};
    if (orderingKey === undefined) return;
    const sent = send(messages, latest.get(orderingKey));
    latest.set(orderingKey, sent);
    try {
      await sent;
    } finally {
      if (latest.get(orderingKey) === sent) latest.delete(orderingKey);
    }
  };
}

function failureOf(error: unknown): PublishFailure {
  const reason = MISCONFIGURED.get((error as { code?: unknown } | null)?.code);
  return reason === undefined
    ? new PublishFailure("transient", "publish_failed")
    : new PublishFailure("misconfigured", reason);
}

/** Opens the client that `pubsub` would open, with its project and, locally, its emulator. */
async function openClient(pubsub: PubSub): Promise<v1.PublisherClient> {
  const config = await pubsub.getClientConfig();
  return new v1.PublisherClient(config as ConstructorParameters<typeof v1.PublisherClient>[0]);
}

function toMessage({ attributes, json, orderingKey }: PubsubCloudEvent): Message {
  return { data: Buffer.from(JSON.stringify(json)), attributes, orderingKey };
}

/** Splits messages into requests; all messages of one have the same ordering key. */
function toRequests(messages: readonly Message[]): Message[][] {
  const requests: Message[][] = [];
  let bytes = 0;
  for (const message of messages) {
    const last = requests.at(-1);
    const size = sizeOf(message);
    const isFull =
      last === undefined ||
      last.length === REQUEST_MESSAGES_MAX ||
      bytes + size > REQUEST_BYTES_MAX ||
      last[0]?.orderingKey !== message.orderingKey;
    if (isFull) requests.push([message]);
    else last.push(message);
    bytes = isFull ? size : bytes + size;
  }
  return requests;
}

/** Returns the bytes of a message in a request, or a few more: a character has three at most. */
function sizeOf({ data, attributes, orderingKey }: Message): number {
  let bytes = data.length + orderingKey.length + FIELD_BYTES;
  for (const name in attributes) {
    bytes += 3 * (name.length + (attributes[name]?.length ?? 0)) + FIELD_BYTES;
  }
  return bytes;
}
