import { type MailboxEvent, eventId } from "../domain/events.ts";
import type { StoredChange, User } from "../domain/user.ts";

/** A CloudEvent 1.0 in binary mode, as the Pub/Sub protocol binding carries it. */
export interface PubsubCloudEvent {
  attributes: Record<string, string>;
  json: Record<string, unknown>;
  orderingKey: string;
}

/**
 * The event that subscribers receive. Its id depends on what changed and on nothing else, so that a
 * repeated publication is recognised; `ce-time` is when it was published. With a `traceparent` it
 * carries the trace that it was published in (CloudEvents distributed tracing extension).
 */
export function toCloudEvent(
  user: Pick<User, "id" | "emailAddress">,
  event: MailboxEvent,
  now: Date,
  traceparent?: string,
): PubsubCloudEvent {
  return {
    attributes: {
      "ce-specversion": "1.0",
      "ce-id": eventId(user.id, event),
      "ce-type": eventType(event),
      "ce-source": `//gmail.googleapis.com/users/${user.id}`,
      "ce-subject": "messageId" in event ? `messages/${event.messageId}` : "mailbox",
      "ce-time": now.toISOString(),
      ...(traceparent !== undefined && { "ce-traceparent": traceparent }),
      "content-type": "application/json",
    },
    json: { userId: user.id, emailAddress: user.emailAddress, ...eventData(event) },
    orderingKey: user.id,
  };
}

/** What the Firestore sink keeps: the same id, type and data. */
export function toStoredChange(
  user: Pick<User, "id" | "emailAddress">,
  event: MailboxEvent,
  now: Date,
): StoredChange {
  const { attributes, json } = toCloudEvent(user, event, now);
  return { id: eventId(user.id, event), type: attributes["ce-type"] ?? "", time: now, data: json };
}

function eventType({ kind }: MailboxEvent): string {
  switch (kind) {
    case "added":
    case "deleted":
      return `mailbox.message.${kind}`;
    case "labels.added":
    case "labels.removed":
    case "gap":
    case "connected":
    case "reauthorization_required":
    case "unavailable":
    case "disconnected":
    case "address_changed":
    case "delayed":
    case "caught_up":
      return `mailbox.${kind}`;
  }
}

function eventData({ kind: _, ...data }: MailboxEvent): Record<string, unknown> {
  if ("since" in data) return { ...data, since: data.since.toISOString() };
  if ("changeId" in data) return { previousEmailAddress: data.previousEmailAddress };
  if (!("episode" in data)) return data;
  // Only the id tells episodes apart.
  const { episode: __, ...rest } = data;
  return rest;
}
