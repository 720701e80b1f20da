import type { Attachment } from "./mailbox.ts";
import type { Header } from "./mime.ts";

/** What a mail is made of that no application has written. */
export interface Composition {
  readonly headers: readonly Header[];
  /** Left out where there is only HTML. */
  readonly text?: string;
  readonly html?: string;
  readonly attachments: readonly Attachment[];
}

interface Section {
  readonly headers: readonly Header[];
  readonly body: string;
}

const BASE64_LINE = 76;

/** Writes a mail: a text, with a page beside it and files behind it where there are some. */
export function composeMail({ headers, text, html, attachments }: Composition): Buffer {
  const texts = [
    ...(text === undefined ? [] : [textSection("plain", text)]),
    ...(html === undefined ? [] : [textSection("html", html)]),
  ];
  const [only = textSection("plain", "")] = texts;
  const said = texts.length === 2 ? multipart("alternative", texts) : only;
  const whole =
    attachments.length === 0 ? said : multipart("mixed", [said, ...attachments.map(fileSection)]);
  return Buffer.from(
    written({
      headers: [...headers, { name: "MIME-Version", value: "1.0" }, ...whole.headers],
      body: whole.body,
    }),
  );
}

function written({ headers, body }: Section): string {
  const head = headers.map(({ name, value }) => `${name}: ${encodeWords(value)}`);
  return [...head, "", body].join("\r\n");
}

function textSection(subtype: "plain" | "html", body: string): Section {
  const headers = [{ name: "Content-Type", value: `text/${subtype}; charset="UTF-8"` }];
  if (!isAscii(body)) headers.push({ name: "Content-Transfer-Encoding", value: "8bit" });
  return { headers, body };
}

function fileSection({ filename, mimeType, data }: Attachment): Section {
  const name = isAscii(filename)
    ? `filename="${filename.replaceAll(/["\\]/g, String.raw`\$&`)}"`
    : `filename*=UTF-8''${encodeURIComponent(filename)}`;
  const lines = Buffer.from(data)
    .toString("base64")
    .match(new RegExp(`.{1,${BASE64_LINE}}`, "g"));
  return {
    headers: [
      { name: "Content-Type", value: mimeType },
      { name: "Content-Disposition", value: `attachment; ${name}` },
      { name: "Content-Transfer-Encoding", value: "base64" },
    ],
    body: lines?.join("\r\n") ?? "",
  };
}

function multipart(subtype: "alternative" | "mixed", sections: readonly Section[]): Section {
  const boundary = `=_emulated_${subtype}`;
  const body = sections.map((section) => `--${boundary}\r\n${written(section)}\r\n`).join("");
  return {
    headers: [{ name: "Content-Type", value: `multipart/${subtype}; boundary="${boundary}"` }],
    body: `${body}--${boundary}--\r\n`,
  };
}

/** Replaces header fields of a mail, adds those that it has not, and removes those of `undefined`. */
export function withHeaders(
  raw: Uint8Array,
  fields: Readonly<Record<string, string | undefined>>,
): Buffer {
  const bytes = Buffer.from(raw).toString("latin1");
  const end = /^\r?\n|\r?\n\r?\n/.exec(bytes)?.index ?? bytes.length;
  const names = Object.keys(fields).join("|");
  const field = new RegExp(`^(?:${names}):.*(?:\\r?\\n[ \\t].*)*(?:\\r?\\n|$)`, "gim");
  const kept = bytes
    .slice(0, end)
    .replaceAll(field, "")
    .replace(/\r?\n$/, "");
  const added = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${encodeWords(value)}`],
  );
  const head = [...added, ...(kept === "" ? [] : [kept])].join("\r\n");
  const body = end === 0 && bytes !== "" ? `\r\n${bytes}` : bytes.slice(end);
  return Buffer.from(`${head}${body === "" ? "\r\n\r\n" : body}`, "latin1");
}

const WORD_CHARACTERS = 15;

/** `Äp` -> `=?UTF-8?B?w4Rw?=` (RFC 2047), where a header field is not in ASCII. */
function encodeWords(value: string): string {
  return value.replaceAll(/\S*[^\0-\x7F]\S*(?:\s+\S*[^\0-\x7F]\S*)*/g, (words) => {
    const characters = [...words];
    const encoded: string[] = [];
    for (let at = 0; at < characters.length; at += WORD_CHARACTERS) {
      const bytes = Buffer.from(characters.slice(at, at + WORD_CHARACTERS).join(""));
      encoded.push(`=?UTF-8?B?${bytes.toString("base64")}?=`);
    }
    return encoded.join("\r\n ");
  });
}

function isAscii(text: string): boolean {
  return /^[\0-\x7F]*$/.test(text);
}
