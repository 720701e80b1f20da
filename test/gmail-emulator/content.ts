import { type Composition, composeMail } from "./compose.ts";
import type { Message } from "./mailbox.ts";
import { type Part, decodeText, parseMail } from "./mime.ts";

/** A mail as it arrived, or what it is made of. */
export type Content = { readonly raw: Buffer } | Composition;

/** The bytes of a mail. */
export function rawOf(content: Content): Buffer {
  return "raw" in content ? content.raw : composeMail(content);
}

/** What was read once is known as long as the message is there. */
const known = new WeakMap<Content, Part>();

/** What a mail says. */
export function rootOf(content: Content): Part {
  const root = known.get(content) ?? parseMail(rawOf(content));
  known.set(content, root);
  return root;
}

/** The files of a mail, in the order in which it has them. */
export function filesOf({ content }: Message): Part[] {
  return leaves(rootOf(content)).filter(isFile);
}

export function isFile({ filename, parts }: Part): boolean {
  return filename !== "" && parts.length === 0;
}

/** The text of a mail, for search and snippets: what its HTML says where there is no plain text. */
export function textOf(root: Part): string {
  const texts = leaves(root).filter((part) => !isFile(part));
  const plain = texts.find(({ mimeType }) => mimeType === "text/plain");
  if (plain !== undefined) return decodeText(plain.body, plain.charset);
  const page = texts.find(({ mimeType }) => mimeType === "text/html");
  if (page === undefined) return "";
  return decodeText(page.body, page.charset)
    .replaceAll(/<(style|script)\b[^]*?<\/\1>|<[^>]*>/gi, " ")
    .replaceAll("&nbsp;", " ")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}

function leaves(part: Part): Part[] {
  return part.parts.length === 0 ? [part] : part.parts.flatMap(leaves);
}
