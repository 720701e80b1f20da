/** One header field; a name may occur more than once. */
export interface Header {
  readonly name: string;
  readonly value: string;
}

/** A mail or a part of one (RFC 2045), decoded. */
export interface Part {
  readonly headers: readonly Header[];
  /** In lower case. */
  readonly mimeType: string;
  readonly charset: string;
  /** Empty for what is no file. */
  readonly filename: string;
  /** Without its transfer encoding; empty for what has parts. */
  readonly body: Buffer;
  readonly parts: readonly Part[];
}

/** What lies deeper is a body. */
const DEPTH_MAX = 20;
/** Of one multipart; the rest is left out. */
const PARTS_MAX = 1_000;

/** Reads a mail. Anything is one: what is no header is the body. */
export function parseMail(raw: Uint8Array): Part {
  // One character for each byte, so that bytes of every charset survive.
  return parsePart(Buffer.from(raw).toString("latin1"), DEPTH_MAX);
}

function parsePart(bytes: string, depth: number): Part {
  const { head, body } = divide(bytes);
  const headers = readHeaders(head);
  const type = parameters(valueOf(headers, "Content-Type") ?? "text/plain");
  const disposition = parameters(valueOf(headers, "Content-Disposition") ?? "");
  const boundary = type.of("boundary");
  const common = {
    headers,
    mimeType: type.value.toLowerCase(),
    charset: type.of("charset") ?? "utf-8",
    filename: disposition.of("filename") ?? type.of("name") ?? "",
  };
  if (common.mimeType.startsWith("multipart/") && boundary !== undefined && depth > 0) {
    const parts = partsBetween(body, boundary).map((part) => parsePart(part, depth - 1));
    return { ...common, body: Buffer.alloc(0), parts };
  }
  const encoding = valueOf(headers, "Content-Transfer-Encoding") ?? "";
  return { ...common, body: decodeTransfer(body, encoding.trim().toLowerCase()), parts: [] };
}

/** The head ends at the first empty line. */
function divide(bytes: string): { head: string; body: string } {
  if (/^\r?\n/.test(bytes)) return { head: "", body: bytes.replace(/^\r?\n/, "") };
  const end = /\r?\n\r?\n/.exec(bytes);
  if (end === null) return { head: bytes, body: "" };
  return { head: bytes.slice(0, end.index), body: bytes.slice(end.index + end[0].length) };
}

function readHeaders(head: string): Header[] {
  const lines = head.replaceAll(/\r?\n(?=[ \t])/g, "").split(/\r?\n/);
  return lines.flatMap((line) => {
    const [, name, value = ""] = /^([!-9;-~]+):[ \t]*(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [{ name, value: decodeWords(utf8(value.trimEnd())) }];
  });
}

/** Returns the first field of this name. */
export function valueOf(headers: readonly Header[], name: string): string | undefined {
  return headers.find((header) => header.name.toLowerCase() === name.toLowerCase())?.value;
}

/** `text/plain; charset="utf-8"` by its parts (RFC 2045 section 5.1, RFC 2231 section 4). */
function parameters(text: string) {
  const given = new Map<string, string>();
  for (const [, name = "", quoted, plain = ""] of text.matchAll(
    /;\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))/g,
  )) {
    given.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, "$1") ?? plain);
  }
  return {
    value: text.split(";")[0]?.trim() ?? "",
    of(name: string): string | undefined {
      const extended = /^[\w-]*'[^']*'(.*)$/.exec(given.get(`${name}*`) ?? "")?.[1];
      return extended === undefined ? given.get(name) : utf8(unescape(extended, "%"));
    },
  };
}

function partsBetween(body: string, boundary: string): string[] {
  const quoted = boundary.replaceAll(/[^\w]/g, String.raw`\$&`);
  const delimiter = new RegExp(`(?:^|\\r?\\n)--${quoted}(--)?[ \\t]*(?:\\r?\\n|$)`, "g");
  const parts: string[] = [];
  let begin: number | undefined;
  for (let found = delimiter.exec(body); found !== null; found = delimiter.exec(body)) {
    if (begin !== undefined) parts.push(body.slice(begin, found.index));
    begin = found.index + found[0].length;
    if (found[1] !== undefined || parts.length >= PARTS_MAX) return parts;
    // The line break that ends a delimiter may begin the next one.
    delimiter.lastIndex = begin - (found[0].endsWith("\n") ? 1 : 0);
  }
  if (begin !== undefined) parts.push(body.slice(begin));
  return parts;
}

function decodeTransfer(body: string, encoding: string): Buffer {
  switch (encoding) {
    case "base64":
      return Buffer.from(body, "base64");
    case "quoted-printable":
      return Buffer.from(unescape(body.replaceAll(/=[ \t]*\r?\n/g, ""), "="), "latin1");
    default:
      return Buffer.from(body, "latin1");
  }
}

/** `=E4` or `%E4` -> the byte, as one character. */
function unescape(text: string, sign: "=" | "%"): string {
  return text.replaceAll(new RegExp(`${sign}([0-9A-F]{2})`, "gi"), (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function utf8(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString();
}

/** Decodes a text of a charset; of an unknown one, as UTF-8. */
export function decodeText(bytes: Uint8Array, charset: string): string {
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes);
  }
}

/** `=?UTF-8?B?w4Rw?=` -> `Äp` (RFC 2047). */
function decodeWords(value: string): string {
  const word = /=\?([\w-]+)\?([BQ])\?([^?\s]*)\?=/gi;
  // The space between two encoded words is no part of the text.
  const joined = value.replaceAll(/(\?=)\s+(?==\?)/g, "$1");
  return joined.replaceAll(word, (_, charset: string, encoding: string, text: string) => {
    const bytes =
      encoding.toUpperCase() === "B"
        ? Buffer.from(text, "base64")
        : Buffer.from(unescape(text.replaceAll("_", " "), "="), "latin1");
    return decodeText(bytes, charset);
  });
}
