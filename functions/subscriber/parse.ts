import * as z from "zod";
import { EVENT_DEFINITIONS } from "../src/domain/event-definitions.ts";
import { EVENT_TYPES, type EventData } from "./events.ts";

/** The types of events that this version of the package knows. */
export type EventType = keyof EventData;

/** What every event has. */
export interface Envelope {
  /** The same for every repetition of this event, and for no other event. */
  id: string;
  /** `//gmail.googleapis.com/users/{userId}` */
  source: string;
  /** `messages/{messageId}`, or `mailbox`. */
  subject?: string;
  /** When it was published; not when the change happened. */
  time?: Date;
  /** The `$id` of the JSON Schema of the data. */
  dataSchema?: string;
  /** Gmail's own labels among `data.labelIds`, from the attributes that filters use. */
  labels: string[];
  /** The tags of the connection, as the start ticket had them. */
  tags: Record<string, string>;
}

/** An event of a type that this version knows. */
export type MailboxEvent = {
  [Type in EventType]: Envelope & { type: Type; data: EventData[Type] };
}[EventType];

/** An event of a type that a later version of the receiver has added. */
export interface UnknownEvent extends Envelope {
  type: string;
  data: Record<string, unknown>;
}

/** The result of {@link parse}. */
export type Parsed =
  | { kind: "event"; event: MailboxEvent }
  /** Acknowledge it: it will have the same type when it is delivered again. */
  | { kind: "unknown"; event: UnknownEvent }
  /** `why` says what is wrong, and holds nothing of the content. */
  | { kind: "malformed"; why: string };

/**
 * Reads an event in any form in which Pub/Sub delivers it: the JSON body of a push request, a message
 * of a pull subscription (of the client library or of the REST API), or a CloudEvent: one of Eventarc
 * that holds a Pub/Sub message, or the event itself. Never throws.
 */
export function parse(message: unknown): Parsed {
  const found = find(message);
  if (typeof found === "string") return { kind: "malformed", why: found };
  const { attributes, data } = found;

  const id = attributes["ce-id"];
  const type = attributes["ce-type"];
  const source = attributes["ce-source"];
  if (attributes["ce-specversion"] !== "1.0") return malformed("ce-specversion is not 1.0");
  if (id === undefined || id === "") return malformed("ce-id is missing");
  if (type === undefined || type === "") return malformed("ce-type is missing");
  if (source === undefined || source === "") return malformed("ce-source is missing");

  const time = new Date(attributes["ce-time"] ?? Number.NaN);
  const subject = attributes["ce-subject"];
  const dataSchema = attributes["ce-dataschema"];
  const envelope: Envelope = {
    id,
    source,
    ...(subject !== undefined && { subject }),
    ...(!Number.isNaN(time.getTime()) && { time }),
    ...(dataSchema !== undefined && { dataSchema }),
    labels: startingWith("label-", attributes).map(([label]) => label),
    tags: Object.fromEntries(startingWith("tag-", attributes)),
  };

  const check = CHECKS.get(type);
  if (check === undefined) return { kind: "unknown", event: { ...envelope, type, data } };
  const { error } = check.safeParse(data);
  if (error !== undefined) return malformed(`the data of ${type}: ${inWords(error)}`);
  // The check has just compared the data with the definition that the types are generated from.
  return { kind: "event", event: { ...envelope, type, data } as unknown as MailboxEvent };
}

/** Fields of a later version are let through, and handed on. */
const CHECKS: ReadonlyMap<string, z.ZodType> = new Map(
  Object.values(EVENT_DEFINITIONS).map(({ type, data }) => [type, z.looseObject(data.shape)]),
);

/** Whether this version knows the type. */
export function isKnown(type: string): type is EventType {
  return (EVENT_TYPES as readonly string[]).includes(type);
}

function malformed(why: string): Parsed {
  return { kind: "malformed", why };
}

interface Found {
  attributes: Record<string, string>;
  data: Record<string, unknown>;
}

/** The event in which Eventarc, and with it a Cloud Run function, delivers a Pub/Sub message. */
const EVENTARC_TYPE = "google.cloud.pubsub.topic.v1.messagePublished";

/** Attributes and data, or what is wrong. */
function find(message: unknown): Found | string {
  if (!isObject(message)) return "the message is not an object";
  if (isObject(message["message"])) return fromPubsub(message["message"]);
  const { type, data } = message;
  if (type === EVENTARC_TYPE) {
    return isObject(data) && isObject(data["message"])
      ? fromPubsub(data["message"])
      : "the CloudEvent of Eventarc has no message";
  }
  if ("specversion" in message) return fromCloudEvent(message);
  if ("attributes" in message) return fromPubsub(message);
  return "the message has no attributes: it is neither a Pub/Sub message nor a CloudEvent";
}

function fromPubsub({ attributes, data }: Record<string, unknown>): Found | string {
  if (!isObject(attributes)) return "the message has no attributes";
  const text = decode(data);
  if (text === undefined) return "the message has no data";
  const content = parseJson(text);
  if (!isObject(content)) return "the data is not a JSON object";
  return { attributes: strings(attributes), data: content };
}

/** Reads an event in the JSON format of CloudEvents: its context attributes are at the top level. */
function fromCloudEvent(event: Record<string, unknown>): Found | string {
  const { data } = event;
  const content = typeof data === "string" ? parseJson(data) : data;
  if (!isObject(content)) return "the data of the CloudEvent is not an object";
  const attributes: Record<string, string> = {};
  for (const [name, value] of Object.entries(strings(event))) attributes[`ce-${name}`] = value;
  if (event["time"] instanceof Date) attributes["ce-time"] = event["time"].toISOString();
  return { attributes, data: content };
}

/** A client library hands over bytes; JSON has them as base64. */
function decode(data: unknown): string | undefined {
  if (data instanceof Uint8Array) return new TextDecoder().decode(data);
  if (typeof data !== "string") return undefined;
  return Buffer.from(data, "base64").toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function strings(values: Record<string, unknown>): Record<string, string> {
  const entries = Object.entries(values);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

function startingWith(prefix: string, attributes: Record<string, string>): [string, string][] {
  return Object.entries(attributes)
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, value]) => [name.slice(prefix.length), value]);
}

function inWords({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => `${path.join(".") || "all"}: ${message}`).join("; ");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
