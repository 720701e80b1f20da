import { ALL_VARIABLES, type Variable } from "./src/config/variables.ts";
import functions from "./src/entries/functions.json" with { type: "json" };
import { LOG_EVENTS, type LogEvent } from "./src/platform/log-events.ts";
import { METRICS, type MetricName } from "./src/platform/telemetry/telemetry.ts";

/**
 * The files that are generated from the registries of the source, by their path in the repository.
 * `npm run generate` writes them, and `test/deploy/generated.test.ts` fails when one is out of date.
 */
export function generatedFiles(): Record<string, string> {
  return {
    "functions/docs/configuration.md": configurationPage(),
    "infra/docs/logs-and-metrics.md": logsAndMetricsPage(),
    "infra/log-events.json": `${JSON.stringify(logEventsForTerraform(), undefined, 2)}\n`,
  };
}

const events: readonly [name: string, event: LogEvent][] = Object.entries(LOG_EVENTS);

function logsAndMetricsPage(): string {
  return `${NOTICE}

# Logs and metrics

## Log events

The functions write one JSON line for each outcome. \`event\` is its stable name, \`message\` is for people, and the
[runbook](runbook.md) explains the other fields. No record contains a token, a code, a secret or an email address:
a record takes no error object, and of an error only its class and code.

Terraform makes an alert policy for each event with an alert of its \`own\`. One \`shared\` policy covers every other
record at CRITICAL. A name links to its section in the runbook.

${table(["event", "severity", "alert", "meaning"], events.map(eventRow))}

## Metrics

Metrics are sent to the collector at \`OTEL_EXPORTER_OTLP_ENDPOINT\`. Counters are deltas. No metric causes a read or a
write.

${table(["metric", "kind", "unit", "attributes", "meaning"], Object.entries(METRICS).map(metricRow))}
`;
}

function eventRow([name, event]: (typeof events)[number]): string[] {
  const { severities, meaning, alert } = event;
  const shown = isInRunbook(event) ? `[\`${name}\`](runbook.md#${name})` : `\`${name}\``;
  const policy = severities.includes("CRITICAL") ? "shared" : "";
  return [shown, severities.join(", "), alert === undefined ? policy : "own", meaning];
}

/** Whether the runbook has a section for an event: it has one for each from WARNING on. */
export function isInRunbook({ severities }: LogEvent): boolean {
  return severities.some((severity) => severity !== "INFO" && severity !== "DEBUG");
}

function metricRow([name, metric]: [string, (typeof METRICS)[MetricName]]): string[] {
  const attributes = metric.attributes.map((attribute) => `\`${attribute}\``).join(", ");
  return [`\`${name}\``, metric.kind, metric.unit, attributes, metric.description];
}

function configurationPage(): string {
  return `${NOTICE}

# Configuration

Every function reads environment variables when it starts. An empty variable counts as not set, and so does \`none\`,
because a secret of Secret Manager cannot be empty. If anything is wrong, the function does nothing and logs
\`config_invalid\` with every problem. Lists are separated by spaces or commas, and times are in milliseconds. Limits per
minute hold for each instance, and twice as much may come at once.

${table(["variable", "default", "secret of", "meaning", "format"], ALL_VARIABLES.map(variableRow))}

With a collector, the OpenTelemetry SDK also reads \`OTEL_TRACES_SAMPLER\`, \`OTEL_TRACES_SAMPLER_ARG\` and
\`OTEL_RESOURCE_ATTRIBUTES\`.
`;
}

function variableRow({ name, format, meaning, isRequired, default: preset }: Variable<unknown>) {
  const fallback = isRequired ? "required" : preset ? `\`${preset}\`` : "none";
  return [`\`${name}\``, fallback, readersOf(name), meaning, format.what];
}

/** The functions that receive a secret, as `functions.json` has it; empty for any other variable. */
function readersOf(name: string): string {
  const all = Object.entries(functions);
  const readers = all.filter(([, { secrets }]) => secrets.includes(name));
  return readers.length === all.length ? "all" : readers.map(([reader]) => reader).join(", ");
}

const NOTICE = "<!-- Generated from functions/src by `npm run generate`. Do not edit. -->";

/** What `infra/events.tf` reads: the alert policies, and the chart that counts an event. */
function logEventsForTerraform() {
  const alerts: Record<string, { severity: string; note: string }> = {};
  const charts: Record<string, string> = {};
  for (const [name, { alert, chart }] of events) {
    if (alert !== undefined) alerts[name] = { severity: alert.from, note: alert.note };
    if (chart !== undefined) charts[name] = chart;
  }
  return { alerts, charts };
}

/** A Markdown table with aligned columns, as the formatter would write it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, column) => (cells[column] ?? "").padEnd(width)).join(" | ")} |`;
  const rule = widths.map((width) => "-".repeat(width));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}
