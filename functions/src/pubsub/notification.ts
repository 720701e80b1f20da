import { type EmailAddress, parseEmailAddress } from "../domain/email-address.ts";
import { type HistoryId, parseHistoryId } from "../domain/history-id.ts";
import { type Result, err, ok } from "../domain/result.ts";

/** Gmail's notification that a mailbox changed (Gmail push guide, "Receive notifications"). */
export interface Notification {
  emailAddress: EmailAddress;
  historyId: HistoryId;
  /**
   * When Pub/Sub received the message, and its id; for the log and the delay, never for a decision.
   */
  publishedAt?: Date;
  messageId?: string;
}

/** What is wrong with a malformed message: a fixed code without content of the message. */
export type Malformed =
  | "no_message"
  | "no_data"
  | "too_long"
  | "not_base64"
  | "not_json"
  | "no_email_address"
  | "bad_email_address"
  | "no_history_id"
  | "bad_history_id";

/** Gmail's messages have about 100 bytes. The bound makes a stranger's 10 MB cheap. */
const DATA_CHARACTERS_MAX = 16_384;
const MESSAGE_ID_CHARACTERS_MAX = 255;
/** Gmail documents base64url and Pub/Sub sends base64; both are accepted, padded or not. */
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
/** RFC 3339, as Pub/Sub writes `publishTime`: `Date.parse` alone would accept much more. */
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

/** The parts of Pub/Sub's envelope that are read; any of them may be missing or of another type. */
interface Envelope {
  message?: Partial<
    Record<"data" | "messageId" | "message_id" | "publishTime" | "publish_time", unknown>
  > | null;
}

/**
 * Parses Pub/Sub's envelope, `{ message: { data, messageId, publishTime } }`, as Pub/Sub pushes it or
 * firebase-functions hands it over. Never throws: what is malformed now is malformed on redelivery, too.
 */
export function parseNotification(data: unknown): Result<Notification, Malformed> {
  const message = (data as Envelope | null | undefined)?.message;
  if (typeof message !== "object" || message === null) return err("no_message");
  const { data: encoded } = message;
  if (typeof encoded !== "string" || encoded === "") return err("no_data");
  if (encoded.length > DATA_CHARACTERS_MAX) return err("too_long");

  const bytes = decode(encoded);
  if (bytes === undefined) return err("not_base64");
  const content = parseContent(bytes);
  if (content === undefined) return err("not_json");

  if (content.emailAddress === undefined) return err("no_email_address");
  const emailAddress = parseEmailAddress(content.emailAddress);
  if (emailAddress === undefined) return err("bad_email_address");
  if (content.historyId === undefined) return err("no_history_id");
  // A number at this point was not written as plain digits.
  const historyId =
    typeof content.historyId === "string" ? parseHistoryId(content.historyId) : undefined;
  if (historyId === undefined) return err("bad_history_id");

  const messageId = parseMessageId(message.messageId ?? message.message_id);
  const publishedAt = parseTimestamp(message.publishTime ?? message.publish_time);
  return ok({
    emailAddress,
    historyId,
    ...(publishedAt !== undefined && { publishedAt }),
    ...(messageId !== undefined && { messageId }),
  });
}

function decode(encoded: string): Buffer | undefined {
  if (!BASE64.test(encoded)) return undefined;
  const digits = encoded.replace(/=+$/, "");
  // Four characters make three bytes; a single remaining one makes none.
  return digits.length % 4 === 1 ? undefined : Buffer.from(digits, "base64");
}

/** Strings are matched whole, so that digits inside them stay unchanged. */
const STRINGS_AND_NUMBERS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * Parses the two members that matter without losing digits: Gmail's documentation shows `historyId`
 * as a string, and its messages carry a number, which `JSON.parse` rounds above 2^53. So every
 * plain integer is quoted first, once the text is known to be JSON.
 */
function parseContent(bytes: Buffer): { emailAddress?: unknown; historyId?: unknown } | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    JSON.parse(text);
    const quoted = text.replace(STRINGS_AND_NUMBERS, (token) =>
      /^\d+$/.test(token) ? `"${token}"` : token,
    );
    const content: unknown = JSON.parse(quoted);
    return typeof content === "object" && content !== null && !Array.isArray(content)
      ? content
      : undefined;
  } catch {
    return undefined;
  }
}

function parseMessageId(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" && value.length <= MESSAGE_ID_CHARACTERS_MAX
    ? value
    : undefined;
}

function parseTimestamp(value: unknown): Date | undefined {
  if (typeof value !== "string" || !TIMESTAMP.test(value)) return undefined;
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
