/**
 * What a record may say beside its message. A closed type: an error object has no way in, and with
 * it none of the tokens that the errors of the Google libraries carry.
 */
export type LogFields = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>;

/** Severities of Cloud Logging's `LogSeverity` that are used here. */
type Severity = "DEBUG" | "INFO" | "WARNING" | "ERROR" | "CRITICAL";

/** `event` is a stable code to search and count by; `message` is for people. */
type Write = (event: string, message: string, fields?: LogFields) => void;

export interface Log {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  /** For the operator, now: only a person can mend it, and alerts are built on `CRITICAL`. */
  readonly alert: Write;
  /** The same log with fields that every record carries. */
  with(fields: LogFields): Log;
}

const STRING_CHARACTERS_MAX = 1_000;
const LIST_ITEMS_MAX = 100;

/**
 * A log of one JSON object per line, in the fields that Cloud Logging knows (structured logging:
 * `severity`, `message`, `logging.googleapis.com/trace`), and `event` and our own beside them.
 * `current` is asked at each record for what holds at that moment.
 */
export function createLog(
  write: (line: string) => void,
  fields: LogFields = {},
  current: () => LogFields = () => ({}),
): Log {
  const at =
    (severity: Severity): Write =>
    (event, message, own = {}) =>
      // What makes it a record comes last: no field can pass for it.
      write(line({ ...fields, ...current(), ...own, severity, event, message }));
  return {
    debug: at("DEBUG"),
    info: at("INFO"),
    warn: at("WARNING"),
    error: at("ERROR"),
    alert: at("CRITICAL"),
    with: (more) => createLog(write, { ...fields, ...more }, current),
  };
}

function line(record: LogFields): string {
  const fields = Object.entries(record).map(([name, value]) => [name, bounded(value)]);
  const json = JSON.stringify(Object.fromEntries(fields));
  // JSON escapes C0 only; a terminal also obeys DEL and C1, and some readers break lines at these.
  return json.replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Checked once more at run time: what came through an `as` is left out, whatever it is. */
function bounded(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value
      .slice(0, LIST_ITEMS_MAX)
      .filter((item) => typeof item === "string")
      .map(capped);
  }
  if (typeof value === "string") return capped(value);
  return typeof value === "number" || typeof value === "boolean" ? value : undefined;
}

function capped(text: string): string {
  return text.length <= STRING_CHARACTERS_MAX ? text : `${text.slice(0, STRING_CHARACTERS_MAX)}…`;
}

/** An error whose message we wrote ourselves, without values, so that it may be logged. */
export interface Loggable extends Error {
  readonly isLoggable: true;
}

/**
 * An error that this project throws. Its message is a fixed sentence without values, so that
 * {@link describeUnknown} keeps it. The code throws this class, never a bare `Error`.
 */
export class ReceiverError extends Error implements Loggable {
  override name = "ReceiverError";
  readonly isLoggable = true;
}

/** As a library names its error and numbers its fault; nothing a token could look like. */
const NAME = /^[A-Za-z_$][A-Za-z_$]{0,63}$/;
const CODE = /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/;
const CODE_CHARACTERS_MAX = 40;

/**
 * What may be logged of something thrown: its class and its code, and the message only of our own
 * assertions and of a {@link Loggable}. A library's message can hold a token, a code or a whole
 * JWT. Never throws.
 */
export function describeUnknown(error: unknown): string {
  try {
    if (!(error instanceof Error)) return `not an error: ${error === null ? "null" : typeof error}`;
    const { name, code, generatedMessage, isLoggable } = error as Error & Record<string, unknown>;
    // `name` is "Error" for most classes that do not set it, the constructor's for a DOMException
    // says little: the telling one of the two.
    const names: unknown[] = [name === "Error" ? undefined : name, error.constructor?.name];
    const known = names.find((it) => typeof it === "string" && NAME.test(it)) ?? "Error";
    const label = `${String(known)}${describeCode(code)}`;
    const isOurs = isLoggable === true || (code === "ERR_ASSERTION" && generatedMessage === false);
    return isOurs ? `${label}: ${error.message}` : label;
  } catch {
    return "unreadable";
  }
}

function describeCode(code: unknown): string {
  const isShort =
    typeof code === "number" ||
    (typeof code === "string" && code.length <= CODE_CHARACTERS_MAX && CODE.test(code));
  return isShort ? ` (${code})` : "";
}

/** Where in a trace something happens: the trace, the span, and whether anybody keeps it. */
export interface TraceContext {
  traceId: string;
  spanId?: string | undefined;
  isSampled: boolean;
}

/**
 * Reads a `traceparent` header (W3C Trace Context §3.2) or `X-Cloud-Trace-Context`. `undefined`
 * for anything else.
 */
export function parseTrace(header: string | undefined): TraceContext | undefined {
  const w3c = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(header ?? "");
  const google = /^([0-9a-fA-F]{32})(?:\/(\d{1,20}))?(?:;o=(\d))?$/.exec(header ?? "");
  const traceId = (w3c?.[1] ?? google?.[1])?.toLowerCase();
  if (traceId === undefined || /^0+$/.test(traceId)) return undefined;
  const isSampled =
    w3c === null ? google?.[3] === "1" : (Number.parseInt(w3c[3] ?? "", 16) & 1) === 1;
  return { traceId, spanId: w3c?.[2] ?? parseSpanId(google?.[2]), isSampled };
}

/** The fields by which Cloud Logging shows a record with its trace. */
export function traceFields(trace: TraceContext | undefined, projectId: string): LogFields {
  if (trace === undefined) return {};
  return {
    "logging.googleapis.com/trace": `projects/${projectId}/traces/${trace.traceId}`,
    "logging.googleapis.com/spanId": trace.spanId,
    "logging.googleapis.com/trace_sampled": trace.isSampled,
  };
}

/** The same, of the request that brought this header. */
export function parseTraceHeader(header: string | undefined, projectId: string): LogFields {
  return traceFields(parseTrace(header), projectId);
}

/** `X-Cloud-Trace-Context` has the span in decimal, Cloud Logging in 16 hexadecimal digits. */
function parseSpanId(decimal: string | undefined): string | undefined {
  const digits = decimal === undefined ? "" : BigInt(decimal).toString(16);
  return digits === "" || digits.length > 16 ? undefined : digits.padStart(16, "0");
}
