import type { gmail_v1 } from "googleapis/build/src/apis/gmail/index.js";

/** What a help desk wants of a mail. */
export interface Mail {
  from: string;
  subject: string;
  text: string;
}

/** Mail is written by strangers: parts can be nested without end. */
const DEPTH_MAX = 20;

/** Reads a message of the format `full` (Gmail `users.messages.get`). */
export function toMail({ payload, snippet }: gmail_v1.Schema$Message): Mail {
  const header = (name: string) =>
    payload?.headers?.find((each) => each.name?.toLowerCase() === name)?.value ?? "";
  return {
    from: header("from"),
    subject: header("subject"),
    // Gmail's snippet stands in for a mail that has no plain text.
    text: textOf(payload, DEPTH_MAX) ?? snippet ?? "",
  };
}

/** The first plain text that is no attachment. */
function textOf(part: gmail_v1.Schema$MessagePart | undefined, depth: number): string | undefined {
  if (part === undefined || depth === 0) return undefined;
  const { mimeType, filename, body, parts = [] } = part;
  if (mimeType === "text/plain" && !filename && body?.data) {
    return Buffer.from(body.data, "base64url").toString("utf8").trim();
  }
  for (const each of parts) {
    const text = textOf(each, depth - 1);
    if (text !== undefined) return text;
  }
  return undefined;
}
