import { setMaxListeners } from "node:events";
import pLimit from "p-limit";
import { type Notification, notificationData } from "./notifications.ts";

/** A Pub/Sub message in the JSON of its REST interface. */
export interface PubsubMessage {
  readonly messageId: string;
  readonly publishTime: string;
  /** Base64. */
  readonly data: string;
}

export interface PushedMessage {
  readonly topicName: string;
  readonly message: PubsubMessage;
  readonly notification: Notification;
}

/** Where notifications go. */
export type Push =
  | { kind: "none" }
  /** Acknowledges by returning; throwing or rejecting asks for the message again. */
  | { kind: "callback"; deliver: (pushed: PushedMessage) => void | Promise<void> }
  /** Publishes to a topic of the Pub/Sub emulator on this host, which does the rest. */
  | { kind: "pubsub_emulator"; host: string }
  /** Plays Pub/Sub and Eventarc: posts CloudEvents to a function until it acknowledges. */
  | { kind: "push"; url: string | ((topicName: string) => string | undefined) };

/** How often a message that was not acknowledged is delivered again. */
export interface PushPolicy {
  /** The time a subscriber has to answer. */
  timeoutMs: number;
  /** The first pause; each further one is twice as long. */
  backoffMsMin: number;
  backoffMsMax: number;
  attemptsMax: number;
  ageMsMax: number;
  /** Deliveries at one time. */
  inFlightMax: number;
}

export const DEFAULT_PUSH_POLICY: PushPolicy = {
  timeoutMs: 30_000,
  backoffMsMin: 50,
  backoffMsMax: 2_000,
  attemptsMax: 20,
  ageMsMax: 10 * 60_000,
  inFlightMax: 50,
};

export interface PushCounters {
  /** Messages taken over from Gmail. */
  published: number;
  attempts: number;
  acknowledged: number;
  refused: number;
  /** Given up: too many attempts, or too old. */
  abandoned: number;
  pending: number;
}

export interface PushDelivery {
  publish(notification: Notification): void;
  /** Sends everything elsewhere from now on, what is still pending too. */
  setPush(push: Push): void;
  /** Delivers the next messages once more although they were acknowledged. */
  redeliverNext(count: number): void;
  counters(): PushCounters;
  /** Resolves when nothing is in flight or waiting for another attempt. */
  idle(): Promise<PushCounters>;
  close(): Promise<void>;
}

/** What Pub/Sub takes for an acknowledgement; everything else is delivered again. */
const ACKNOWLEDGING = [102, 200, 201, 202, 204];
const FIRST_MESSAGE_ID = 10_000_000_000;

export function createPushDelivery(options: {
  push: Push;
  policy: PushPolicy;
  now: () => number;
  historyIdAs: () => "number" | "string";
}): PushDelivery {
  const { policy, now } = options;
  let { push } = options;
  let repeats = 0;
  const counts = { published: 0, attempts: 0, acknowledged: 0, refused: 0, abandoned: 0 };
  const pending = new Set<Promise<void>>();
  const closing = new AbortController();
  // Every message that waits for another attempt listens, until it is tried again: no leak.
  setMaxListeners(0, closing.signal);
  const limit = pLimit(policy.inFlightMax);

  const attempt = async (pushed: PushedMessage): Promise<boolean> => {
    counts.attempts += 1;
    try {
      const timeout = AbortSignal.timeout(policy.timeoutMs);
      const signal = AbortSignal.any([closing.signal, timeout]);
      return await deliverOnce(push, pushed, signal);
    } catch {
      return false;
    }
  };

  const deliver = async (pushed: PushedMessage): Promise<void> => {
    for (let attempts = 1; attempts <= policy.attemptsMax; attempts += 1) {
      if (closing.signal.aborted || now() - pushed.notification.at > policy.ageMsMax) break;
      if (await limit(() => attempt(pushed))) {
        counts.acknowledged += 1;
        if (repeats <= 0) return;
        repeats -= 1;
        continue;
      }
      counts.refused += 1;
      const backoff = Math.min(policy.backoffMsMin * 2 ** (attempts - 1), policy.backoffMsMax);
      if (attempts < policy.attemptsMax) await pause(backoff, closing.signal);
    }
    counts.abandoned += 1;
  };

  const counters = () => ({ ...counts, pending: pending.size });
  const idle = async () => {
    while (pending.size > 0) await Promise.all(pending);
    return counters();
  };

  return {
    publish(notification) {
      if (push.kind === "none") return;
      counts.published += 1;
      const message = {
        messageId: String(FIRST_MESSAGE_ID + counts.published),
        publishTime: new Date(notification.at).toISOString(),
        data: notificationData(notification, options.historyIdAs()),
      };
      const delivery = deliver({ topicName: notification.topicName, message, notification });
      const settled = delivery.finally(() => pending.delete(settled));
      pending.add(settled);
    },
    setPush(other) {
      push = other;
    },
    redeliverNext(count) {
      repeats += count;
    },
    counters,
    idle,
    async close() {
      closing.abort();
      await idle();
    },
  };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

/** True when it was acknowledged. */
async function deliverOnce(
  push: Push,
  pushed: PushedMessage,
  signal: AbortSignal,
): Promise<boolean> {
  switch (push.kind) {
    case "none":
      return true;
    case "callback":
      await push.deliver(pushed);
      return true;
    case "pubsub_emulator":
      return publishTo(push.host, pushed, signal);
    case "push": {
      const url = typeof push.url === "string" ? push.url : push.url(pushed.topicName);
      return url === undefined ? false : postEvent(url, pushed, signal);
    }
  }
}

async function publishTo(
  host: string,
  { topicName, message }: PushedMessage,
  signal: AbortSignal,
): Promise<boolean> {
  const response = await fetch(`http://${host}/v1/${topicName}:publish`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ data: message.data }] }),
    signal,
  });
  await response.arrayBuffer();
  return response.ok;
}

async function postEvent(
  url: string,
  { topicName, message }: PushedMessage,
  signal: AbortSignal,
): Promise<boolean> {
  const response = await fetch(url, { ...eventRequest(topicName, message), signal });
  await response.arrayBuffer();
  return ACKNOWLEDGING.includes(response.status);
}

/** CloudEvents HTTP binding, binary mode, as Eventarc delivers a message of a topic. */
export function eventRequest(topicName: string, message: PubsubMessage): RequestInit {
  return {
    method: "POST",
    redirect: "manual",
    headers: {
      "content-type": "application/json",
      "ce-specversion": "1.0",
      "ce-id": message.messageId,
      "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
      "ce-source": `//pubsub.googleapis.com/${topicName}`,
      "ce-time": message.publishTime,
      "ce-datacontenttype": "application/json",
    },
    body: pushBody(topicName, message),
  };
}

/** The body of a Pub/Sub push, with each name in both its spellings. */
export function pushBody(topicName: string, message: PubsubMessage): string {
  const { data, messageId, publishTime } = message;
  return JSON.stringify({
    message: {
      attributes: {},
      data,
      messageId,
      message_id: messageId,
      publishTime,
      publish_time: publishTime,
    },
    subscription: `${topicName.replace("/topics/", "/subscriptions/")}-push`,
  });
}
