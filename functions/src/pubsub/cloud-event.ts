import type { Config } from "../config/config.ts";
import type { Clock } from "../domain/clock.ts";
import { EVENT_DEFINITIONS, eventData, schemaId } from "../domain/event-definitions.ts";
import { type EventUser, type MailboxEvent, eventId } from "../domain/events.ts";
import type { StoredChange } from "../domain/user.ts";

/** A CloudEvent 1.0 in binary mode, as the Pub/Sub protocol binding carries it. */
export interface PubsubCloudEvent {
  attributes: Record<string, string>;
  json: Record<string, unknown>;
  orderingKey: string;
}

/** Pub/Sub accepts 100 attributes, and a message of Gmail has about five labels. */
const LABEL_ATTRIBUTES_MAX = 20;
/**
 * Gmail's own labels. The id of a person's label is `Label_` and a number. The bound keeps the name of
 * an attribute below Pub/Sub's 256 bytes: one that is longer would have the whole request refused.
 */
const SYSTEM_LABEL = /^[A-Z][A-Z_]{0,63}$/;

/**
 * Returns the event that subscribers receive. Its id depends only on what changed, so that a
 * repeated publication is recognized; `ce-time` is the time of publication. With a `traceparent` it
 * carries the trace that it was published in (CloudEvents distributed tracing extension). The
 * attributes `label-{id}` and `tag-{name}` are for the filters of subscriptions, which see no data.
 */
export function toCloudEvent(
  user: EventUser,
  event: MailboxEvent,
  now: Date,
  traceparent?: string,
): PubsubCloudEvent {
  const { type } = EVENT_DEFINITIONS[event.kind];
  return {
    attributes: {
      "ce-specversion": "1.0",
      "ce-id": eventId(user.id, event),
      "ce-type": type,
      "ce-source": `//gmail.googleapis.com/users/${user.id}`,
      "ce-subject": "messageId" in event ? `messages/${event.messageId}` : "mailbox",
      "ce-time": now.toISOString(),
      "ce-dataschema": schemaId(type),
      ...(traceparent !== undefined && { "ce-traceparent": traceparent }),
      "content-type": "application/json",
      ...labelAttributes(event),
      ...tagAttributes(user.tags),
    },
    json: eventData(user, event),
    orderingKey: orderingKeyOf(user, event),
  };
}

/**
 * Returns the ordering key: the user's, or that of their snapshots. Pub/Sub delivers what has one key
 * one after the other, and a live change must not wait for thousands of earlier messages.
 */
export function orderingKeyOf({ id }: Pick<EventUser, "id">, event: MailboxEvent): string {
  return "snapshotId" in event ? `${id}/snapshot` : id;
}

/**
 * Returns the changes that are stored with a checkpoint: all of them with the Firestore sink, else
 * none.
 */
export function storedChanges(
  user: EventUser,
  changes: readonly MailboxEvent[],
  { config, clock }: { config: Pick<Config, "changes">; clock: Pick<Clock, "now"> },
): StoredChange[] {
  if (config.changes.sink !== "firestore") return [];
  return changes.map((change) => toStoredChange(user, change, clock.now()));
}

/** The same id, type and data as the published event. */
function toStoredChange(user: EventUser, event: MailboxEvent, now: Date): StoredChange {
  const { type } = EVENT_DEFINITIONS[event.kind];
  return { id: eventId(user.id, event), type, time: now, data: eventData(user, event) };
}

/** One attribute for each system label in the event's `labelIds`. */
function labelAttributes(event: MailboxEvent): Record<string, string> {
  if (!("labelIds" in event)) return {};
  const labels = event.labelIds.filter((label) => SYSTEM_LABEL.test(label));
  return Object.fromEntries(
    labels.slice(0, LABEL_ATTRIBUTES_MAX).map((label) => [`label-${label}`, "1"]),
  );
}

/** One attribute for each tag of the connection: 10 at most, as the start ticket had them. */
function tagAttributes(tags: EventUser["tags"] = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(tags).map(([name, value]) => [`tag-${name}`, value]));
}
