import type { PubSub } from "@google-cloud/pubsub";
import type { Clock } from "../domain/clock.ts";
import { type Publish, PublishFailure } from "../domain/events.ts";
import { orderingKeyOf, toCloudEvent } from "./cloud-event.ts";

/** The limit of one RPC with its retries: the sync has its own limit, and retries by itself. */
const RPC_TIMEOUT_MS = 10_000;
const PUBLISH_TIMEOUT_MS = 20_000;
/** The maximum number of messages in one Pub/Sub request. */
const BATCH_MESSAGES_MAX = 1_000;

/** gRPC codes that a retry does not fix: the topic's name, its permissions, the request. */
const MISCONFIGURED = new Map<unknown, string>([
  [3, "invalid_argument"],
  [5, "topic_not_found"],
  [7, "permission_denied"],
  [9, "failed_precondition"],
  [16, "unauthenticated"],
]);

/** Returns a publisher to `CHANGES_TOPIC`, with an ordering key for each user. */
export function pubsubPublisher(pubsub: PubSub, topicName: string, clock: Clock): Publish {
  const topic = pubsub.topic(topicName, {
    messageOrdering: true,
    // A batch belongs to one user and is complete when it is passed on, so it needs no delay.
    batching: { maxMessages: BATCH_MESSAGES_MAX, maxMilliseconds: 0 },
    gaxOpts: {
      timeout: RPC_TIMEOUT_MS,
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
    },
  });

  return async (user, events, traceparent) => {
    const now = clock.now();
    const published = await Promise.allSettled(
      events.map((event) => topic.publishMessage(toCloudEvent(user, event, now, traceparent))),
    );
    const failed = published.find(({ status }) => status === "rejected");
    if (failed?.status !== "rejected") return;
    // After a failure, the client rejects everything with the same key until publishing is resumed.
    for (const key of new Set(events.map((event) => orderingKeyOf(user, event)))) {
      topic.resumePublishing(key);
    }
    const reason = MISCONFIGURED.get((failed.reason as { code?: unknown } | null)?.code);
    throw reason === undefined
      ? new PublishFailure("transient", "publish_failed")
      : new PublishFailure("misconfigured", reason);
  };
}
