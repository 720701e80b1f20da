import { filesOf, isFile, rootOf } from "./content.ts";
import type { Message } from "./mailbox.ts";
import type { Part } from "./mime.ts";

/** Gmail's `payload` with its bodies; files are only named, by ids for `attachments.get`. */
export function wholePayload(message: Message): Record<string, unknown> {
  const root = rootOf(message.content);
  const files = filesOf(message);
  const json = (part: Part, partId: string): Record<string, unknown> => {
    const { mimeType, filename, headers, parts } = part;
    return {
      partId,
      mimeType,
      filename,
      headers,
      body: bodyOf(part, files.indexOf(part)),
      ...(parts.length > 0 && {
        parts: parts.map((each, index) =>
          json(each, partId === "" ? `${index}` : `${partId}.${index}`),
        ),
      }),
    };
  };
  const bodyOf = (part: Part, index: number) => {
    const { body, parts } = part;
    if (parts.length > 0) return { size: 0 };
    return isFile(part)
      ? { attachmentId: attachmentId(message.id, index), size: body.length }
      : { size: body.length, data: body.toString("base64url") };
  };
  return json(root, "");
}

/** Gmail's `payload` without bodies, and with the headers that were asked for. */
export function headersOnly(message: Message, names: readonly string[]): Record<string, unknown> {
  const { mimeType, headers } = rootOf(message.content);
  const wanted = names.map((name) => name.toLowerCase());
  return {
    mimeType,
    headers: headers.filter(
      ({ name }) => wanted.length === 0 || wanted.includes(name.toLowerCase()),
    ),
  };
}

/** Returns the content of a file by the id that its payload gives it. */
export function attachmentOf(message: Message, id: string): Buffer | undefined {
  return filesOf(message).find((_, index) => attachmentId(message.id, index) === id)?.body;
}

function attachmentId(messageId: string, index: number): string {
  return Buffer.from(`attachment ${index} of ${messageId}`).toString("base64url");
}

const SNIPPET_MAX = 200;
const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** The beginning of the text in one line; Gmail writes it for a page. */
export function snippetOf({ text }: Message): string {
  const line = text
    .slice(0, SNIPPET_MAX * 2)
    .replaceAll(/\s+/g, " ")
    .trim();
  return line.slice(0, SNIPPET_MAX).replaceAll(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign);
}
