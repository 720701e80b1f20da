import type { Mail } from "./people.ts";

/** As much of a mail (RFC 5322) as the emulator keeps: four headers, and the text after them. */
export function readMail(raw: string): Mail & { messageId?: string } {
  const text = Buffer.from(raw, "base64url").toString();
  const end = /\r?\n\r?\n/.exec(text);
  const head = end === null ? text : text.slice(0, end.index);
  const body = end === null ? "" : text.slice(end.index + end[0].length);
  const header = (name: string) =>
    new RegExp(`^${name}:[ \\t]*(.*)$`, "im")
      .exec(head.replaceAll(/\r?\n[ \t]+/g, " "))?.[1]
      ?.trim();
  const [from, to, subject] = [header("From"), header("To"), header("Subject")];
  return {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(subject !== undefined && { subject }),
    text: body,
  };
}

/** The JSON of a message in a request (`raw`, `labelIds`, `threadId`); `undefined` for anything else. */
export function readMessage(body: unknown): Mail | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const { raw, labelIds, threadId } = body as Record<string, unknown>;
  if (typeof raw !== "string" || raw === "") return undefined;
  return {
    ...readMail(raw),
    ...(typeof threadId === "string" && { threadId }),
    ...(isTexts(labelIds) && { labelIds }),
  };
}

export function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
