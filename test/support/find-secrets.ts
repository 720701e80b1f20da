/**
 * How much of a secret in a row counts as the secret. Parts are taken at every ninth character, so
 * that any 26 in a row, and each half of a token, hold one.
 */
const PART_CHARACTERS = 18;
const STEP_CHARACTERS = PART_CHARACTERS / 2;

/**
 * The secrets of which the text holds 18 characters in a row, in whatever case: as they are or
 * percent-encoded, escaped for HTML or JSON, in base64, base64url, hex or as a list of bytes, and
 * one of these inside another. A shorter secret is looked for as a whole.
 */
export function findSecrets(searched: string, secrets: readonly string[]): string[] {
  const owners = new Map<string, Set<string>>();
  for (const secret of secrets) {
    for (const part of partsOf(secret.toLowerCase())) {
      owners.set(part, (owners.get(part) ?? new Set()).add(secret));
    }
  }
  const found = new Set<string>();
  const lengths = new Set([...owners.keys()].map((part) => part.length));
  for (const form of formsOf(searched)) {
    for (const length of lengths) collect(form.toLowerCase(), length, owners, found);
  }
  return secrets.filter((secret) => found.has(secret));
}

function partsOf(secret: string): string[] {
  const last = Math.max(0, secret.length - PART_CHARACTERS);
  const starts = Array.from(
    { length: Math.floor(last / STEP_CHARACTERS) + 1 },
    (_, index) => index * STEP_CHARACTERS,
  );
  return starts.map((at) => secret.slice(at, at + PART_CHARACTERS));
}

const HASHES = 1 << 16;
const hash = (text: string, at: number) =>
  (text.charCodeAt(at) * 31 * 31 + text.charCodeAt(at + 1) * 31 + text.charCodeAt(at + 2)) % HASHES;

/** Looks at every position; the first three characters tell most of them apart. */
function collect(
  text: string,
  length: number,
  owners: ReadonlyMap<string, ReadonlySet<string>>,
  found: Set<string>,
): void {
  const beginnings = new Uint8Array(HASHES);
  for (const part of owners.keys()) beginnings[hash(part, 0)] = 1;
  for (let at = 0; at + length <= text.length; at++) {
    if (beginnings[hash(text, at)] === 0) continue;
    for (const secret of owners.get(text.slice(at, at + length)) ?? []) found.add(secret);
  }
}

/** Of encodings inside of one another. */
const DEPTH = 2;

function formsOf(text: string, depth = DEPTH): string[] {
  const plain = unescape(unescape(text));
  const forms = plain === text ? [text] : [text, plain];
  if (depth === 0) return forms;
  const decoded = decodedFrom(plain);
  return decoded === "" ? forms : [...forms, ...formsOf(decoded, depth - 1)];
}

/** Percent-encoding, character references of HTML, escapes of JSON. */
function unescape(text: string): string {
  return text
    .replace(/%([\da-f]{2})/gi, (_, hex: string) => fromHex(hex))
    .replace(/&#x([\da-f]{1,4});|\\u([\da-f]{4})/gi, (_, html: string, json: string) =>
      String.fromCharCode(Number.parseInt(html ?? json, 16)),
    )
    .replace(/&#(\d{1,5});/g, (_, decimal: string) => String.fromCharCode(Number(decimal)))
    .replace(/&(amp|quot|lt|gt|sol);/g, (_, name: string) => NAMED[name] ?? "")
    .replace(/\\([/"\\])/g, "$1");
}

const NAMED: Readonly<Record<string, string>> = {
  amp: "&",
  quot: '"',
  lt: "<",
  gt: ">",
  sol: "/",
};

const fromHex = (hex: string) => Buffer.from(hex, "hex").toString("latin1");

/** What every stretch decodes to that may be base64, hex or a list of bytes. */
function decodedFrom(text: string): string {
  const decoded: string[] = [];
  for (const [stretch] of text.matchAll(/[A-Za-z\d+/_-]{16,}/g)) {
    // Where the encoding began, nobody knows.
    for (let skip = 0; skip < 4; skip++) {
      decoded.push(Buffer.from(stretch.slice(skip), "base64").toString("latin1"));
    }
  }
  for (const [stretch] of text.matchAll(/(?:[\da-f]{2}[ :]?){10,}/gi)) {
    const digits = stretch.replace(/[ :]/g, "");
    decoded.push(fromHex(digits), fromHex(digits.slice(1)));
  }
  for (const [stretch] of text.matchAll(/\d{1,3}(?:,\s*\d{1,3}){9,}/g)) {
    decoded.push(Buffer.from(stretch.split(",").map(Number)).toString("latin1"));
  }
  return decoded.join("\n");
}
