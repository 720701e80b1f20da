import { LOG_EVENTS, type LogEvent } from "./src/log-events.ts";
import { METRICS, type MetricName } from "./src/telemetry/telemetry.ts";

/**
 * The files that are generated from the registries of the source, by their path in the repository.
 * `npm run generate` writes them, and `test/deploy/generated.test.ts` fails when one is out of date.
 */
export function generatedFiles(): Record<string, string> {
  return {
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
[runbook](../RUNBOOK.md) explains the other fields. No record contains a token, a code, a secret or an email address:
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
  const shown = isInRunbook(event) ? `[\`${name}\`](../RUNBOOK.md#${name})` : `\`${name}\``;
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
