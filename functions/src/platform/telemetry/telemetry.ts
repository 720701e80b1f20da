import type { LogFields } from "../log.ts";

/**
 * The attributes of a span or a measurement: names and numbers, never a token, a code or an
 * address.
 */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** A part of a current trace. */
export interface Span {
  /** The span in the form that a successor needs (W3C Trace Context §3.2). */
  readonly traceparent?: string;
  set(attributes: Attributes): void;
}

/** OpenTelemetry's span kinds. */
export type SpanKind = "internal" | "client" | "server" | "producer" | "consumer";

/** How a span is started. */
export interface SpanOptions {
  kind?: SpanKind;
  attributes?: Attributes;
}

/**
 * Every metric, under a name that dashboards and alerts are built on.
 *
 * | kind        | its value                                         |
 * | ----------- | ------------------------------------------------- |
 * | `counter`   | what has happened since the last export           |
 * | `gauge`     | what was found last                               |
 * | `histogram` | how many values lay within which `bounds`         |
 */
export const METRICS = {
  "gmail_receiver.delay": {
    kind: "histogram",
    unit: "s",
    description:
      "How long a page of changes took from the notification's publish time in Pub/Sub to its own publication. Syncs without a notification are not measured.",
    attributes: [],
    bounds: [0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 900, 3_600, 21_600],
  },
  "gmail_receiver.changes": {
    kind: "counter",
    unit: "{change}",
    description: "Changes published, including repeats.",
    attributes: ["kind"],
  },
  "gmail_receiver.gaps": {
    kind: "counter",
    unit: "{gap}",
    description: "Gaps published, including repeats.",
    attributes: ["reason"],
  },
  "gmail_receiver.syncs": {
    kind: "counter",
    unit: "{sync}",
    description:
      "Syncs of one mailbox. The trigger `due` found what no notification announced in time.",
    attributes: ["trigger", "outcome"],
  },
  "gmail_receiver.flags": {
    kind: "counter",
    unit: "{user}",
    description: "Users flagged.",
    attributes: ["status", "reason"],
  },
  "gmail_receiver.renewals": {
    kind: "counter",
    unit: "{renewal}",
    description: "Renewals of one watch.",
    attributes: ["outcome"],
  },
  "gmail_receiver.notices": {
    kind: "counter",
    unit: "{mail}",
    description: "Reminders to people whose grant has ended.",
    attributes: ["outcome"],
  },
  "gmail_receiver.security_events": {
    kind: "counter",
    unit: "{token}",
    description: "Security events that Google delivered (Cross-Account Protection).",
    attributes: ["outcome"],
  },
  "gmail_receiver.failures": {
    kind: "counter",
    unit: "{failure}",
    description: "Calls to Google and publications that failed, by what the failure means.",
    attributes: ["call", "kind"],
  },
  "gmail_receiver.due": {
    kind: "gauge",
    unit: "{user}",
    description:
      "Users that the last scheduled run found due. There are more if the run was cut short.",
    attributes: ["list"],
  },
  "gmail_receiver.overdue": {
    kind: "gauge",
    unit: "s",
    description:
      "How long the first user of a scheduled run had been due. It grows when the schedules do not keep up.",
    attributes: ["list"],
  },
  "gmail_receiver.behind": {
    kind: "gauge",
    unit: "s",
    description: "How long the oldest incomplete mailbox has been incomplete; 0 if none is.",
    attributes: [],
  },
} as const satisfies Record<string, Metric>;

interface Metric {
  kind: "counter" | "gauge" | "histogram";
  unit: string;
  description: string;
  attributes: readonly string[];
  bounds?: readonly number[];
}

/** The name of a metric. */
export type MetricName = keyof typeof METRICS;

/** The name of a metric that counts. */
export type CounterName = {
  [N in MetricName]: (typeof METRICS)[N]["kind"] extends "counter" ? N : never;
}[MetricName];

/** Records spans and measurements. It never fails, and nothing depends on it. */
export interface Telemetry {
  /** Runs a function as a part of the current span, and ends that part with it. */
  span<T>(name: string, options: SpanOptions, run: (span: Span) => Promise<T>): Promise<T>;
  count(name: CounterName, n: number, attributes?: Attributes): void;
  record(name: Exclude<MetricName, CounterName>, value: number, attributes?: Attributes): void;
}

/** Telemetry of a deployed function's calls. */
export interface InvocationTelemetry extends Telemetry {
  /**
   * A span for one call of a deployed function, which goes on from the caller's `traceparent`.
   * Everything so far is exported, or given up after a bounded time, before this returns: an
   * instance may be frozen once it has answered.
   */
  invocation<T>(
    name: string,
    kind: SpanKind,
    traceparent: string | undefined,
    run: (span: Span) => Promise<T>,
  ): Promise<T>;
}

/** Telemetry with a collector. */
export interface ExportedTelemetry extends InvocationTelemetry {
  /** Returns the fields by which Cloud Logging shows a record with the current span. */
  logFields(): LogFields;
}

const NO_SPAN: Span = { set: () => {} };

/** Telemetry without a collector: every call passes straight through. */
export const NO_TELEMETRY: InvocationTelemetry = {
  span: (_name, _options, run) => run(NO_SPAN),
  count: () => {},
  record: () => {},
  invocation: (_name, _kind, _traceparent, run) => run(NO_SPAN),
};

/** The collector of traces and metrics: OpenTelemetry's OTLP over HTTP. */
export interface TelemetryConfig {
  /** Without a trailing slash. `/v1/traces` and `/v1/metrics` are appended to it. */
  readonly endpoint: string;
  /** Often secret, such as the key of an account at the collector. */
  readonly headers: Readonly<Record<string, string>>;
  readonly serviceName: string;
}
