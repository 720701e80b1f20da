import { type PubsubCloudEvent, toCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import { type Publish, PublishFailure } from "../../functions/src/domain/events.ts";

/** The topic that subscribers read, in memory. */
export interface MemoryTopic {
  publish: Publish;
  /** Everything published, in order, repeats among it. */
  published: PubsubCloudEvent[];
  /** Called for each event as it is published. */
  onPublished: (event: PubsubCloudEvent) => void;
  /** When set, publishing fails with it. */
  failure: PublishFailure | undefined;
}

export function memoryTopic(now: () => Date): MemoryTopic {
  const topic: MemoryTopic = {
    published: [],
    onPublished: () => {},
    failure: undefined,
    publish(user, events, traceparent) {
      if (topic.failure !== undefined) return Promise.reject(topic.failure);
      for (const event of events) {
        const published = toCloudEvent(user, event, now(), traceparent);
        topic.published.push(published);
        topic.onPublished(published);
      }
      return Promise.resolve();
    },
  };
  return topic;
}
