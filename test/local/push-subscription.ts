import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import { PROJECT } from "./environment.ts";

/** A push subscription of the changes topic: ordered, with an OIDC token, without dead letters. */
export interface PushSubscription {
  /** Takes over a message that was published. */
  publish(event: PubsubCloudEvent): void;
  /** Resolves when every message so far is acknowledged. */
  idle(): Promise<void>;
  /** Ends the deliveries. What is not acknowledged by then is lost. */
  close(): Promise<void>;
}

/** One delivery, and what became of it. */
export interface Delivery {
  event: PubsubCloudEvent;
  attempt: number;
  /** The status of the response, or why there was none. */
  outcome: number | "deadline exceeded" | "no response";
  isAcknowledged: boolean;
  /** The pause until the next attempt. */
  retryMs: number;
}

export interface PushPolicy {
  /** The time in which a request has to be answered. */
  ackDeadlineMs: number;
  /** The pause after the first refusal in a row; each further one is twice as long. */
  backoffMsMin: number;
  backoffMsMax: number;
  /** Requests at one time, each of another ordering key. */
  inFlightMax: number;
}

/** Pub/Sub's own, for a subscription that was created without options. */
export const DEFAULT_PUSH_POLICY: PushPolicy = {
  ackDeadlineMs: 10_000,
  backoffMsMin: 100,
  backoffMsMax: 60_000,
  inFlightMax: 100,
};

/** The service account that the token names. */
export const PUSH_ACCOUNT = `pubsub-push@${PROJECT}.iam.gserviceaccount.com`;
const SUBSCRIPTION = `projects/${PROJECT}/subscriptions/mailbox-changes-push`;

/**
 * Every other status is a refusal (Pub/Sub, "Receive push messages"). Pub/Sub takes 102 as well, which
 * an HTTP client never sees as the last one.
 */
const ACKNOWLEDGING = [200, 201, 202, 204];
const FIRST_MESSAGE_ID = 20_000_000_000;
const TOKEN_SECONDS = 3_600;

export interface PushSubscriptionOptions {
  /** The endpoint, which is also the audience of the token. */
  url: string;
  /** Signs as Google does. */
  sign(claims: Record<string, unknown>): string;
  now(): Date;
  policy?: Partial<PushPolicy>;
  onDelivery?: (delivery: Delivery) => void;
}

/**
 * Delivers what is published to an endpoint as Pub/Sub does: the wrapped body, at least once, one
 * message of an ordering key at a time, and again until the endpoint acknowledges it.
 */
export function pushSubscription(options: PushSubscriptionOptions): PushSubscription {
  const { url, sign, now, onDelivery = () => {} } = options;
  const policy = { ...DEFAULT_PUSH_POLICY, ...options.policy };
  const limit = pLimit(policy.inFlightMax);
  const closing = new AbortController();
  // Every request and every pause listens until it ends.
  setMaxListeners(0, closing.signal);
  /** The end of the last message of each ordering key. */
  const keys = new Map<string, Promise<void>>();
  let published = 0;

  async function deliver(event: PubsubCloudEvent, body: string): Promise<void> {
    for (let attempt = 1; !closing.signal.aborted; attempt += 1) {
      const outcome = await limit(() => post(body));
      const isAcknowledged = typeof outcome === "number" && ACKNOWLEDGING.includes(outcome);
      const doubled = policy.backoffMsMin * 2 ** Math.min(attempt - 1, 32);
      const retryMs = isAcknowledged ? 0 : Math.min(doubled, policy.backoffMsMax);
      if (closing.signal.aborted) return;
      onDelivery({ event, attempt, outcome, isAcknowledged, retryMs });
      if (isAcknowledged) return;
      await sleep(retryMs, undefined, { signal: closing.signal, ref: false }).catch(() => {});
    }
  }

  async function post(body: string): Promise<Delivery["outcome"]> {
    const deadline = AbortSignal.timeout(policy.ackDeadlineMs);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "user-agent": "CloudPubSub-Google",
          from: "noreply@google.com",
          authorization: `Bearer ${token()}`,
        },
        body,
        redirect: "manual",
        signal: AbortSignal.any([closing.signal, deadline]),
      });
      await response.body?.cancel();
      return response.status;
    } catch {
      return deadline.aborted ? "deadline exceeded" : "no response";
    }
  }

  /** As Pub/Sub has Google sign it ("Authenticate push subscriptions"). */
  function token(): string {
    const issuedAt = Math.floor(now().getTime() / 1_000);
    return sign({
      iss: "https://accounts.google.com",
      aud: url,
      azp: "113774264463038321964",
      sub: "113774264463038321964",
      email: PUSH_ACCOUNT,
      email_verified: true,
      iat: issuedAt,
      exp: issuedAt + TOKEN_SECONDS,
    });
  }

  function wrapped({ attributes, json, orderingKey }: PubsubCloudEvent): string {
    published += 1;
    const messageId = String(FIRST_MESSAGE_ID + published);
    const publishTime = now().toISOString();
    const message = {
      attributes,
      data: Buffer.from(JSON.stringify(json)).toString("base64"),
      messageId,
      message_id: messageId,
      orderingKey,
      publishTime,
      publish_time: publishTime,
    };
    return JSON.stringify({ message, subscription: SUBSCRIPTION });
  }

  const idle = async () => {
    while (keys.size > 0) await Promise.all(keys.values());
  };

  return {
    idle,
    publish(event) {
      const { orderingKey } = event;
      const body = wrapped(event);
      const before = keys.get(orderingKey) ?? Promise.resolve();
      const delivered = before
        .then(() => deliver(event, body))
        .finally(() => {
          if (keys.get(orderingKey) === delivered) keys.delete(orderingKey);
        });
      keys.set(orderingKey, delivered);
    },
    async close() {
      closing.abort();
      await idle();
    },
  };
}
