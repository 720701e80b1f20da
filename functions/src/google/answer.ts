/** What can be read from a failed call. Only the codes and `reason` may leave this folder. */
export interface Answer {
  status: number | undefined;
  /** The `error` of an OAuth body (RFC 6749 §5.2). */
  oauthError: string | undefined;
  /** Every code in the body, the most specific first. */
  codes: readonly string[];
  reason: string;
  /** Prose, for matching only. */
  text: string;
  format: Format;
  retryAfter: string;
  authenticate: string;
}

/** The format of the body; `none` when the error does not contain the response. */
export type Format = "json" | "html" | "text" | "empty" | "none";

/**
 * Returns whether a body was not written by a Google API, which uses JSON, but by a front end or a
 * proxy.
 */
export function isPage(format: Format): boolean {
  return format === "html" || format === "text" || format === "empty";
}

/** Longer than Google's messages, so that searches stay small. */
const TEXT_CHARACTERS_MAX = 4_000;
const BODY_CHARACTERS_MAX = 100_000;
const CODES_MAX = 20;
/** The depth of causes, which can be circular. */
const CAUSES_MAX = 5;

/** The members of a thrown value that are read. Any may be missing or of another type. */
interface Thrown {
  name?: unknown;
  message?: unknown;
  code?: unknown;
  type?: unknown;
  status?: unknown;
  headers?: unknown;
  data?: unknown;
  error?: unknown;
  errors?: unknown;
  cause?: unknown;
  response?: Thrown | null;
}

/** Google's API error body, new (AIP-193) and old, and OAuth's, combined. */
interface Body {
  error?:
    | string
    | { code?: unknown; status?: unknown; message?: unknown; errors?: unknown; details?: unknown }
    | null;
  error_description?: unknown;
  error_subtype?: unknown;
  errors?: unknown;
}

/**
 * Parses anything that was thrown: an OAuth error body (RFC 6749 §5.2), Google's API error body,
 * new (AIP-193) or old, an HTML page, any version of `GaxiosError`, a system error of Node or
 * undici, or a response (`{ status, headers, data }`). Never by `instanceof`, since several
 * versions of one client can be loaded. Throws only what the error's own getters throw.
 */
export function readAnswer(error: unknown): Answer {
  const thrown = error as Thrown | string | null | undefined;
  const shell: Thrown = typeof thrown === "object" && thrown !== null ? thrown : {};
  const message = typeof thrown === "string" ? thrown : asText(shell.message);
  const response = shell.response ?? shell;
  const { body, format, prose } = readBody(response.data, message, shell);

  const detail = body.error;
  const oauthError = typeof detail === "string" ? asCode(detail) : undefined;
  const api = typeof detail === "object" && detail !== null ? detail : undefined;
  const codes = [
    oauthError,
    asCode(body.error_subtype),
    ...members(api?.details, "reason").map(asCode),
    ...members(api?.errors ?? body.errors, "reason").map(asCode),
    asCode(api?.status),
  ].filter((code) => code !== undefined);

  const sent = asStatus(response.status) ?? asStatus(shell.status) ?? asStatus(shell.code);
  const written = asStatus(api?.code);
  // A part of a batch, or a body passed by itself, contains its own status.
  const status = sent === undefined || sent < 300 ? (written ?? sent) : sent;
  const texts = [
    prose,
    body.error_description,
    api?.message,
    ...members(api?.errors, "message"),
    message,
  ];
  return {
    status,
    oauthError,
    codes,
    reason: codes[0] ?? ownReason(status, format, shell),
    text: texts
      .filter((text) => typeof text === "string")
      .join("\n")
      .slice(0, TEXT_CHARACTERS_MAX),
    format,
    retryAfter: header(response.headers, "retry-after"),
    authenticate: header(response.headers, "www-authenticate"),
  };
}

/** A parsed body; `prose` only if it is not JSON. */
interface ReadBody {
  body: Body;
  format: Format;
  prose?: string;
}

function readBody(data: unknown, message: string, shell: Thrown): ReadBody {
  if (typeof data === "string") return parseBody(data);
  if (typeof data === "object" && data !== null) return { body: firstOf(data), format: "json" };
  // Without the response, its body may be the message (google-auth-library does that for messages
  // with "reauth") or, in older clients, a part of the error itself.
  const spoken = parseBody(message);
  if (spoken.format === "json" || spoken.format === "html") return spoken;
  // Or "code" or "code: description", the message that the token endpoint's body is turned into.
  const [, error, description] = /^([a-z]+(?:_[a-z]+)+)(?:: (.*))?$/s.exec(message) ?? [];
  if (error !== undefined) {
    return { body: { error, error_description: description }, format: "none" };
  }
  return { body: shell as Body, format: "none" };
}

function parseBody(text: string): ReadBody {
  const trimmed = text.slice(0, BODY_CHARACTERS_MAX).trim();
  if (trimmed === "") return { body: {}, format: "empty" };
  if (trimmed.startsWith("<")) return { body: {}, format: "html", prose: trimmed };
  try {
    const parsed: unknown = JSON.parse(trimmed);
    if (typeof parsed === "object" && parsed !== null) {
      return { body: firstOf(parsed), format: "json" };
    }
  } catch {
    // Not JSON: prose.
  }
  return { body: {}, format: "text", prose: trimmed };
}

/** Some front ends of Google wrap the error in an array. */
function firstOf(parsed: object): Body {
  const first: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
  return typeof first === "object" && first !== null ? first : {};
}

function members(list: unknown, name: "reason" | "message"): unknown[] {
  if (!Array.isArray(list)) return [];
  return list
    .slice(0, CODES_MAX)
    .map((item: { reason?: unknown; message?: unknown } | null | undefined) => item?.[name]);
}

function ownReason(status: number | undefined, format: Format, thrown: Thrown): string {
  if (status === undefined) return faultOf(thrown);
  return format === "html" && status < 500 ? "html" : `http_${status}`;
}

/** Tells a timeout from another network failure, anywhere in the chain of causes. */
function faultOf(thrown: Thrown): "timeout" | "network" | "unreadable" {
  let isNetwork = false;
  let link: Thrown | undefined = thrown;
  for (let depth = 0; depth < CAUSES_MAX && link !== undefined; depth++) {
    const { name, code, type } = link;
    const labels = [name, code, type].filter((label) => typeof label === "string");
    if (labels.some((label) => /timed?[-_]?out|abort/i.test(label))) return "timeout";
    isNetwork ||= typeof code === "string" || type === "system";
    const next: unknown = link.cause ?? link.error;
    link = typeof next === "object" && next !== null ? next : undefined;
  }
  return isNetwork ? "network" : "unreadable";
}

/** Returns a code in Google's format: words without the digits that tokens and secrets have. */
function asCode(value: unknown): string | undefined {
  return typeof value === "string" &&
    value.length <= 64 &&
    /^[A-Za-z]+([_-][A-Za-z]+)*$/.test(value)
    ? value
    : undefined;
}

function asStatus(value: unknown): number | undefined {
  const status = typeof value === "string" && /^\d{3}$/.test(value) ? Number(value) : value;
  return typeof status === "number" && Number.isInteger(status) && status >= 100 && status < 600
    ? status
    : undefined;
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Reads a header of a `Headers` or of a plain object in any case. */
function header(headers: unknown, name: string): string {
  if (typeof headers !== "object" || headers === null) return "";
  if ("get" in headers && typeof headers.get === "function") return asText(headers.get(name));
  const entry = Object.entries(headers).find(([key]) => key.toLowerCase() === name);
  return asText(entry?.[1]).trim();
}
