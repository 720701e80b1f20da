import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import type { Instance } from "./fleet.ts";
import type { World } from "./world.ts";

/** Looks at the details of messages: they are those of the message, and no event waits for them. */
export interface DetailChecks {
  /** An instance asks Gmail for the details of one message. */
  onAsked(instance: Instance, sub: string): void;
  /** It publishes events of the mailbox, with or without what it asked for. */
  onPublishing(instance: Instance, sub: string): void;
  onPublished(event: PubsubCloudEvent): void;
}

/** What the receiver promises, and a moment for the scheduler. */
const WAIT_MS_MAX = 2_000 + 100;

export function createDetailChecks({ scheduler, count, violate }: World): DetailChecks {
  /** When an instance first asked since it last published, by its name and the mailbox. */
  const asked = new Map<string, number>();
  const keyOf = ({ name }: Instance, sub: string) => `${name}/${sub}`;

  return {
    onAsked(instance, sub) {
      const key = keyOf(instance, sub);
      if (!asked.has(key)) asked.set(key, scheduler.now());
    },

    onPublishing(instance, sub) {
      const key = keyOf(instance, sub);
      const since = asked.get(key);
      asked.delete(key);
      if (since === undefined || instance.wasFrozen) return;
      const waitedMs = scheduler.now() - since;
      if (waitedMs > WAIT_MS_MAX) {
        violate("P11", `events of ${sub} waited ${Math.round(waitedMs)} ms for details`);
      }
    },

    onPublished({ attributes, json }) {
      const { headers, headersMissing, messageId } = json;
      if (headersMissing !== undefined) count("message told without its details");
      if (headers === undefined) return;
      count("message told with its details");
      const own = (headers as Record<string, unknown>)["messageId"];
      if (headersMissing !== undefined || own !== `<${String(messageId)}@mail.example.com>`) {
        violate("P2", `${attributes["ce-id"]} carries the details of ${String(own)}`);
      }
    },
  };
}
