import { type PubsubCloudEvent, toCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import type { Clock } from "../../functions/src/domain/clock.ts";
import {
  type MailboxEvent,
  type Publish,
  PublishFailure,
} from "../../functions/src/domain/events.ts";
import type { Effect, Limit } from "./effects.ts";
import type { Instance } from "./fleet.ts";
import type { World } from "./world.ts";

/** The topic that subscribers read. */
export interface SimulatedTopic {
  published: PubsubCloudEvent[];
  /** Users for whom publishing throws what is not the topic's doing. */
  throwing: Set<string>;
  onPublished: (event: PubsubCloudEvent, instance: Instance) => void;
  publishFor(instance: Instance, effect: Effect, clock: Clock): Publish;
}

const PUBLISH_TIMEOUT_MS = 20_000;

export function createSimulatedTopic(world: World): SimulatedTopic {
  const random = world.random("publish-faults");
  const { count } = world;
  const limit: Limit = { ms: PUBLISH_TIMEOUT_MS, error: () => failure("transient") };

  const topic: SimulatedTopic = {
    published: [],
    throwing: new Set(),
    onPublished: () => {},
    publishFor: (instance, effect, clock) => (user, events) =>
      effect(
        `publish ${events.length}`,
        () => {
          const isOfMail = events.some((event) => "messageId" in event);
          if (isOfMail && topic.throwing.has(user.id))
            return { error: new TypeError("a bug of our own") };
          if (world.outages.changesTopic) {
            count("changes topic misconfigured");
            return { error: failure("misconfigured") };
          }
          if (random.chance(world.rates.publishFailsBefore)) {
            count("publish failed before");
            return { error: failure("transient") };
          }
          const isCut = events.length > 1 && random.chance(world.rates.publishFailsAfter);
          const accepted = isCut ? events.slice(0, random.int(1, events.length - 1)) : events;
          for (const event of accepted) accept(user, event, instance, clock);
          if (isCut) {
            count("publish cut short");
            return { error: failure("transient") };
          }
          if (random.chance(world.rates.publishFailsAfter)) {
            count("publish unknown");
            return { error: failure("transient") };
          }
          return { value: undefined };
        },
        limit,
      ),
  };

  function accept(
    user: Parameters<Publish>[0],
    event: MailboxEvent,
    instance: Instance,
    clock: Clock,
  ): void {
    const published = toCloudEvent(user, event, clock.now());
    world.trace(() => `${instance.name} PUBLISHED ${published.attributes["ce-id"]}`);
    topic.published.push(published);
    topic.onPublished(published, instance);
  }

  return topic;
}

function failure(kind: PublishFailure["kind"]): PublishFailure {
  return new PublishFailure(kind, "publish_failed");
}
