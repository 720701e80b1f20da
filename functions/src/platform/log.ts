import type { EventAt, Severity } from "./log-events.ts";

/**
 * The fields of a record besides its message. The type is closed: an error object does not fit, so
 * none of the tokens that errors of Google's libraries carry can get into the log.
 */
export type LogFields = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>;

/**
 * Writes one record. `event` is a stable name of `LOG_EVENTS` to search and count by; `message` says
 * what happened and what follows, for people.
 */
export type Write<S extends Severity> = (
  event: EventAt<S>,
  message: string,
  fields?: LogFields,
) => void;

/** The log, by severity. An event that `log-events.ts` does not list there does not compile. */
export interface Log {
  readonly debug: Write<"DEBUG">;
  readonly info: Write<"INFO">;
  readonly warn: Write<"WARNING">;
  readonly error: Write<"ERROR">;
  /** Only a person can fix it. Every record at `CRITICAL` raises an alert. */
  readonly alert: Write<"CRITICAL">;
  /** Returns this log with fields that every record carries. */
  with(fields: LogFields): Log;
}

const STRING_CHARACTERS_MAX = 1_000;
const LIST_ITEMS_MAX = 100;

/**
 * Creates a log that writes one JSON object per line: the fields that Cloud Logging knows (structured
 * logging: `severity`, `message`, `logging.googleapis.com/trace`), `event` and our own. `current`
 * returns further fields at each record, such as those of the active span.
 */
export function createLog(
  write: (line: string) => void,
  fields: LogFields = {},
  current: () => LogFields = () => ({}),
): Log {
  const at =
    <S extends Severity>(severity: S): Write<S> =>
    (event, message, own = {}) =>
      // `severity`, `event` and `message` come last, so that no other field can replace them.
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

/** Drops values of any other type at run time too, because a cast gets past the compiler. */
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

/** An error whose message is our own fixed sentence, without values, so that it may be logged. */
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

/** Allowed shapes for an error's `name` and `code`. Neither can match a token. */
const NAME = /^[A-Za-z_$][A-Za-z_$]{0,63}$/;
const CODE = /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/;
const CODE_CHARACTERS_MAX = 40;

/**
 * Describes something thrown, for the log: its class and its code, and its message if it is one of
 * our own assertions or a {@link Loggable}. The message of a library can contain a token, a code or a
 * whole JWT. Never throws.
 */
export function describeUnknown(error: unknown): string {
  try {
    if (!(error instanceof Error)) return `not an error: ${error === null ? "null" : typeof error}`;
    const { name, code, generatedMessage, isLoggable } = error as Error & Record<string, unknown>;
    // Subclasses often leave `name` as "Error", and `DOMException`'s constructor name is generic. Use
    // whichever is specific.
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

/** A position in a trace: the trace, the span, and whether the trace is sampled. */
export interface TraceContext {
  traceId: string;
  spanId?: string | undefined;
  isSampled: boolean;
}

/**
 * Reads a `traceparent` header (W3C Trace Context §3.2) or `X-Cloud-Trace-Context`. Returns
 * `undefined` for anything else.
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

/** Returns the fields by which Cloud Logging shows a record with its trace. */
export function traceFields(trace: TraceContext | undefined, projectId: string): LogFields {
  if (trace === undefined) return {};
  return {
    "logging.googleapis.com/trace": `projects/${projectId}/traces/${trace.traceId}`,
    "logging.googleapis.com/spanId": trace.spanId,
    "logging.googleapis.com/trace_sampled": trace.isSampled,
  };
}

/** Returns the fields by which Cloud Logging shows a record with the trace of a request header. */
export function parseTraceHeader(header: string | undefined, projectId: string): LogFields {
  return traceFields(parseTrace(header), projectId);
}

/** Converts the decimal span id of `X-Cloud-Trace-Context` to the 16 hex digits of Cloud Logging. */
function parseSpanId(decimal: string | undefined): string | undefined {
  const digits = decimal === undefined ? "" : BigInt(decimal).toString(16);
  return digits === "" || digits.length > 16 ? undefined : digits.padStart(16, "0");
}

/**
 * Returns the trace that an event belongs to (CloudEvents distributed tracing extension), if it has
 * one.
 */
export function readTraceparent(event: object): string | undefined {
  const { traceparent } = event as { traceparent?: unknown };
  return typeof traceparent === "string" ? traceparent : undefined;
}
