import { once } from "node:events";
import { type Firestore, type QueryDocumentSnapshot, Timestamp } from "@google-cloud/firestore";
import type { Message, PubSub } from "@google-cloud/pubsub";

/** A message as the topic took it. */
export interface Published {
  /** Rises with every message that the Pub/Sub emulator takes. */
  order: bigint;
  at: number;
  userId: string;
  eventId: string;
  type: string;
  attributes: Readonly<Record<string, string>>;
  json: Readonly<Record<string, unknown>>;
}

/** A user document at one moment. */
export interface Sample {
  userId: string;
  at: number;
  cursor: bigint;
  /** Records that count as read, and so as published, above the cursor. */
  recent: readonly bigint[];
  status: string;
  generation: number;
  /** All of it, with times as `Date`. */
  document: object;
}

/** Looks on from outside: at the topic as a subscriber, and at the stored users. */
export interface Witness {
  /** Everything published so far, each message once, in the order in which the topic took it. */
  published(): Published[];
  readonly samples: readonly Sample[];
  /** Deliveries of one key that came in another order than they were published. */
  misordered(): number;
  /** Publishes one more message for each of these users, and resolves once they have come. */
  drain(userIds: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

const SENTINEL = "storm.end";
const DRAIN_MS_MAX = 60_000;

export async function startWitness(
  database: Firestore,
  pubsub: PubSub,
  topicName: string,
): Promise<Witness> {
  const [topic] = await pubsub.createTopic(topicName);
  const [subscription] = await topic.createSubscription(`${topicName}-witness`, {
    enableMessageOrdering: true,
    ackDeadlineSeconds: 60,
  });
  const messages = new Map<string, Published>();
  const arrivals: Published[] = [];
  let ended = new Set<string>();
  subscription.on("message", (message: Message) => {
    const { id, attributes, orderingKey: userId = "", data, publishTime } = message;
    message.ack();
    const type = attributes["ce-type"] ?? "";
    if (type === SENTINEL) {
      ended = new Set([...ended, userId]);
      return void subscription.emit(SENTINEL);
    }
    if (messages.has(id)) return;
    const published = {
      order: BigInt(id),
      at: publishTime.getTime(),
      userId,
      eventId: attributes["ce-id"] ?? "",
      type,
      attributes,
      json: JSON.parse(data.toString("utf8")),
    };
    messages.set(id, published);
    arrivals.push(published);
  });

  const samples: Sample[] = [];
  const unsubscribe = database.collection("users").onSnapshot((snapshot) => {
    for (const { doc, type } of snapshot.docChanges()) {
      if (type !== "removed") samples.push(sampleOf(doc));
    }
  });

  return {
    published: () => [...messages.values()].sort((a, b) => (a.order < b.order ? -1 : 1)),
    samples,
    misordered() {
      const latest = new Map<string, bigint>();
      return arrivals.filter(({ userId, order }) => {
        const before = latest.get(userId) ?? 0n;
        if (order > before) latest.set(userId, order);
        return order < before;
      }).length;
    },
    async drain(userIds) {
      const ordered = pubsub.topic(topicName, { messageOrdering: true });
      for (const orderingKey of userIds) {
        await ordered.publishMessage({
          json: {},
          attributes: { "ce-type": SENTINEL },
          orderingKey,
        });
      }
      const signal = AbortSignal.timeout(DRAIN_MS_MAX);
      while (!userIds.every((userId) => ended.has(userId))) {
        await once(subscription, SENTINEL, { signal });
      }
    },
    async close() {
      unsubscribe();
      await subscription.close();
    },
  };
}

function sampleOf(document: QueryDocumentSnapshot): Sample {
  const recent: { historyId: string; isHead?: true; isNotified?: true }[] =
    document.get("sync.recent");
  return {
    userId: document.id,
    at: document.updateTime.toMillis(),
    cursor: BigInt(document.get("historyId")),
    recent: recent
      // Only a record counts as published: a head or a notified id has not been read.
      .filter(({ isHead, isNotified }) => isHead !== true && isNotified !== true)
      .map(({ historyId }) => BigInt(historyId)),
    status: document.get("status"),
    generation: document.get("grant.generation"),
    document: withDates(document.data()) as object,
  };
}

function withDates(value: unknown): unknown {
  if (value instanceof Timestamp) return value.toDate();
  if (Array.isArray(value)) return value.map(withDates);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withDates(each)]));
}
