import { parseEmailAddress } from "../domain/email-address.ts";
import { SIGN_IN_SCOPES, canonicalScope } from "../domain/scope.ts";

/** How the text of a variable is checked and read. */
export interface Format<T> {
  /** What the text has to be, for errors and documentation: "a project id". */
  readonly what: string;
  /** Returns the value, or `undefined` if the text does not have this format. */
  parse(text: string): T | undefined;
}

/** A format whose value is the text itself, without white space at its start or end. */
export function text(what: string, check: (value: string) => boolean): Format<string> {
  return {
    what,
    parse: (value) => (value === value.trim() && check(value) ? value : undefined),
  };
}

/** A key ring, in plain text or encrypted. Its content depends on `TOKEN_KEYS_KMS_KEY`. */
export const keyRing: Format<string> = { what: "a key ring", parse: (value) => value };

/** A whole number from `min` to `max`. */
export function number(min: number, max: number): Format<number> {
  return {
    what: `a whole number from ${min} to ${max}`,
    parse(value) {
      const isNumber = /^\d{1,15}$/.test(value) && Number(value) >= min && Number(value) <= max;
      return isNumber ? Number(value) : undefined;
    },
  };
}

/** One of two words, the first of which means `true`. */
export function either(yes: string, no: string): Format<boolean> {
  return {
    what: `${yes} or ${no}`,
    parse: (value) => (value === yes ? true : value === no ? false : undefined),
  };
}

/** The sinks that changes can be written to. */
export const sink: Format<"pubsub" | "firestore"> = {
  what: "pubsub or firestore",
  parse: (value) => (value === "pubsub" || value === "firestore" ? value : undefined),
};

/** The groups of Gmail methods that `gmailApi` can pass on. */
export const METHOD_GROUPS = ["read", "modify", "settings", "compose", "import", "token"] as const;
/** A group of Gmail methods. */
export type MethodGroup = (typeof METHOD_GROUPS)[number];

/** Groups of Gmail methods, each once. */
export const methodGroups: Format<readonly MethodGroup[]> = {
  what: `a list of ${METHOD_GROUPS.join(", ")}`,
  parse(value) {
    const names = new Set(value.split(/[\s,]+/).filter((name) => name !== ""));
    const known = METHOD_GROUPS.filter((group) => names.has(group));
    return known.length === names.size ? known : undefined;
  },
};

/** A list of items, separated by spaces or commas. `map` turns the checked items into the value. */
export function list(
  what: string,
  check: (items: readonly string[]) => boolean,
  map: (items: readonly string[]) => readonly string[] = (items) => items,
): Format<readonly string[]> {
  return {
    what: `a list of ${what}`,
    parse(value) {
      const items = value.split(/[\s,]+/).filter((item) => item !== "");
      return check(items) ? map(items) : undefined;
    },
  };
}

const PROJECT = "(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,61}[a-z0-9]";
const TOPIC_ID = "(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}";

/** The id of a Google Cloud project. */
export const projectId = matching("a project id", new RegExp(`^${PROJECT}$`));

/** The id of a Firestore database. */
export const databaseId = matching(
  "the id of a Firestore database, or (default)",
  /^(?:\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$/,
);

/** The full name of a Pub/Sub topic. */
export const fullTopicName = matching(
  "a full topic name, projects/PROJECT/topics/TOPIC",
  new RegExp(`^projects/${PROJECT}/topics/${TOPIC_ID}$`),
);

/** The short or full name of a Pub/Sub topic. */
export const topicName = matching(
  "a topic name, TOPIC or projects/PROJECT/topics/TOPIC",
  new RegExp(`^(?:projects/${PROJECT}/topics/)?${TOPIC_ID}$`),
);

/** The full name of a Cloud KMS key, without a version. */
export const kmsKeyName = matching(
  "a Cloud KMS key, projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY",
  new RegExp(
    `^projects/${PROJECT}/locations/[a-z0-9-]+/keyRings/[\\w-]{1,63}/cryptoKeys/[\\w-]{1,63}$`,
  ),
);

function matching(what: string, pattern: RegExp): Format<string> {
  return text(what, (value) => pattern.test(value));
}

/** An OAuth client id or secret: visible ASCII characters. */
export function credential(what: string): Format<string> {
  return text(what, isVisibleAscii);
}

/** OAuth client ids. */
export const clientIds = list("OAuth client ids", (ids) => ids.every(isVisibleAscii));

function isVisibleAscii(value: string): boolean {
  return /^[\x21-\x7e]{1,512}$/.test(value);
}

/** Up to `max` printable characters. People see them, and mail headers contain them. */
export function oneLine(max: number): Format<string> {
  const pattern = new RegExp(`^\\P{C}{1,${max}}$`, "u");
  return matching(`1 to ${max} characters on one line`, pattern);
}

/** The https URL of a page or service. `http` is allowed on loopback only. */
export const publicUrl = text(
  "an https URL (http on loopback only) without user, query or fragment",
  (value) => {
    const url = parseUrl(value);
    if (url === undefined || /[?#\s\\]/.test(value)) return false;
    return isHttpsOrLoopback(url) && url.username === "" && url.password === "";
  },
);

/** As {@link publicUrl}, normalized and without a trailing slash: paths are appended to it. */
export const baseUrl: Format<string> = {
  what: publicUrl.what,
  parse(value) {
    const url = publicUrl.parse(value);
    return url === undefined ? undefined : new URL(url).href.replace(/\/+$/, "");
  },
};

/** A pending authorization stores this URL in a cookie, which has little room. */
const RETURN_TO_URL_CHARS_MAX = 200;

/** The exact URLs that `return_to` may name. */
export const returnToUrls = list(
  `exact https URLs (http on loopback only), each with its path, as the URL parser writes it, without user, fragment or a connection parameter, at most ${RETURN_TO_URL_CHARS_MAX} characters`,
  (urls) => urls.every(isReturnToUrl),
);

function isReturnToUrl(value: string): boolean {
  const url = parseUrl(value);
  if (url === undefined || value.length > RETURN_TO_URL_CHARS_MAX) return false;
  const { href, username, password, searchParams } = url;
  if (href !== value || /[#\\]/.test(value) || searchParams.has("connection")) return false;
  return isHttpsOrLoopback(url) && username === "" && password === "";
}

function isHttpsOrLoopback({ protocol, hostname }: URL): boolean {
  if (protocol === "http:") return isLoopback(hostname);
  // A URL may contain `*` in its host. No setting has wildcards.
  return protocol === "https:" && !hostname.includes("*");
}

/**
 * Returns whether the host of a URL is this machine, so that unencrypted traffic never leaves it.
 */
export function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}

/**
 * Returns whether `value` is a host and port of this machine: an emulator receives real tokens and
 * codes.
 */
export function isLoopbackHostAndPort(value: string): boolean {
  const [, host = "", port = ""] = /^(.+):(\d{1,5})$/.exec(value) ?? [];
  // The URL parser rejects a port or a part of an IP address that is too large.
  return isLoopback(host) && Number(port) > 0 && parseUrl(`http://${value}`) !== undefined;
}

/** The host and port of an emulator. */
export const emulatorHost = text("host:port on loopback", isLoopbackHostAndPort);

/** The URL of a mail server, with its login. */
export const smtpUrl = text(
  "an smtp:// or smtps:// URL of a host, with a user and password at most",
  (value) => {
    const url = parseUrl(value);
    if (url === undefined || /[?#\s\\]/.test(value)) return false;
    const { protocol, hostname, pathname, username, password } = url;
    const isServer = /^smtps?:$/.test(protocol) && hostname !== "" && /^\/?$/.test(pathname);
    return isServer && isDecodable(username) && isDecodable(password);
  },
);

/** The sender of a mail. */
export const sender = text("an address, or a name and an address in <>", (value) => {
  const address = /^[^<>\p{Cc}]*<([^<>]+)>$/u.exec(value)?.[1] ?? value;
  return parseEmailAddress(address) !== undefined;
});

/** An email address. */
export const emailAddress = text("an address", (value) => parseEmailAddress(value) !== undefined);

/** Names of domains. The value is in lower case, each once. */
export const domains = list(
  "domains, such as example.com",
  (names) => names.every(isDomain),
  (names) => [...new Set(names.map((domain) => domain.toLowerCase()))],
);

function isDomain(value: string): boolean {
  const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
  return value.length <= 253 && new RegExp(`^${label}(?:\\.${label})+$`, "i").test(value);
}

/** Ids of Gmail labels. */
export const labelIds = list("label ids", (ids) => ids.every((id) => /^[\w-]{1,225}$/.test(id)));

/** The scopes that `users.watch` and `users.history.list` accept. Any one of them is enough. */
const WATCH_SCOPES = new Set([
  "https://www.googleapis.com/auth/gmail.metadata",
  "https://www.googleapis.com/auth/gmail.readonly",
  "https://www.googleapis.com/auth/gmail.modify",
  "https://mail.google.com/",
]);
const OPENID_SCOPES: ReadonlySet<string> = new Set(SIGN_IN_SCOPES);

/** Gmail's scopes, short or in full. The value is in full, each once, without the OpenID scopes. */
export const scopes = list(
  "Gmail scopes, one of which allows users.watch",
  (names) => {
    const all = names.map(fullScope);
    return all.some((scope) => WATCH_SCOPES.has(scope)) && all.every(isKnownScope);
  },
  (names) => [...new Set(names.map(fullScope))].filter((scope) => !OPENID_SCOPES.has(scope)),
);

function isKnownScope(scope: string): boolean {
  const isOfGoogle = /^https:\/\/www\.googleapis\.com\/auth\/[a-z0-9._-]+$/.test(scope);
  return OPENID_SCOPES.has(scope) || WATCH_SCOPES.has(scope) || isOfGoogle;
}

function fullScope(name: string): string {
  const scope = canonicalScope(name);
  if (scope.startsWith("https://") || scope === "openid") return scope;
  return name === "mail.google.com"
    ? "https://mail.google.com/"
    : `https://www.googleapis.com/auth/${name}`;
}

/** Headers as the OTLP exporter specifies them: W3C Baggage, with percent-encoded values. */
export const headers: Format<Readonly<Record<string, string>>> = {
  what: "a list of name=value, the values percent-encoded",
  parse(value) {
    const read: Record<string, string> = {};
    for (const pair of value.split(",")) {
      const [, name, encoded = ""] = /^([\w-]+)=([\x21-\x7e]*)$/.exec(pair.trim()) ?? [];
      if (name === undefined || !isDecodable(encoded)) return undefined;
      read[name.toLowerCase()] = decodeURIComponent(encoded);
    }
    return Object.values(read).every((decoded) => /^[\x20-\x7e]*$/.test(decoded))
      ? read
      : undefined;
  },
};

function isDecodable(part: string): boolean {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

function parseUrl(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined;
}
