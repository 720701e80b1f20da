import { type Composition, composeMail } from "./compose.ts";
import type { Message } from "./mailbox.ts";
import { type Part, decodeText, parseMail } from "./mime.ts";

/** A mail as it arrived, or what it is made of. */
export type Content = { readonly raw: Buffer } | Composition;

interface Read {
  readonly raw: Buffer;
  readonly root: Part;
}

/** What was read once is read again as long as the message is there. */
const readBefore = new WeakMap<Content, Read>();

/** The bytes of a mail, and what they say. */
export function read(content: Content): Read {
  const known = readBefore.get(content);
  if (known !== undefined) return known;
  const raw = "raw" in content ? content.raw : composeMail(content);
  const made = { raw, root: parseMail(raw) };
  readBefore.set(content, made);
  return made;
}

/** The files of a mail, in the order in which it has them. */
export function filesOf({ content }: Message): Part[] {
  return leaves(read(content).root).filter(isFile);
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
