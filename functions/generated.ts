import { eventFiles } from "./event-files.ts";
import { ALL_VARIABLES, type Variable } from "./src/config/variables.ts";
import functions from "./src/entries/functions.json" with { type: "json" };
import { LOG_EVENTS, type LogEvent } from "./src/platform/log-events.ts";
import { METRICS, type MetricName } from "./src/platform/telemetry/telemetry.ts";
import { table } from "./table.ts";

/**
 * The files that are generated from the registries of the source, by their path in the repository.
 * `npm run generate` writes them, and `test/deploy/generated.test.ts` fails when one is out of date.
 */
export function generatedFiles(): Record<string, string> {
  return {
    "functions/docs/configuration.md": configurationPage(),
    "infra/docs/logs-and-metrics.md": logsAndMetricsPage(),
    ...eventFiles(),
    "infra/log-events.json": `${JSON.stringify(logEventsForTerraform(), undefined, 2)}\n`,
  };
}

const events: readonly [name: string, event: LogEvent][] = Object.entries(LOG_EVENTS);

function logsAndMetricsPage(): string {
  return `${NOTICE}

# Logs and metrics

## Log events

The functions write one JSON line for each outcome. \`event\` is its stable name, \`message\` is for people, and the
[runbook](runbook.md) explains the other fields. \`platform/log-events.ts\` is the registry of all events; the type of the
log accepts no other event.

No record contains a token, a code, a secret or an email address: a record takes no error object, and of an error only its
class and code. \`platform/console-capture.ts\` reduces the output of libraries in the same way. \`CRITICAL\` is for the
operator.

The runbook explains each event from WARNING on; a name links to its section. Terraform
alerts on every record at CRITICAL, and on some events from a lower severity; the notification has a note about most of them.

${table(["event", "severity", "alert"], events.flatMap(alarmingRow))}

The other events need no operator:

${table(["event", "severity", "meaning"], events.flatMap(quietRow))}

## Traces

With \`OTEL_EXPORTER_OTLP_ENDPOINT\` set to a collector (https, or http on loopback; its keys go into the secret
\`OTEL_EXPORTER_OTLP_HEADERS\`), every call of a function is one trace, sent by OTLP over HTTP in JSON. It continues the
\`traceparent\` of the event or request, and every published event carries it on as \`ce-traceparent\`:

\`\`\`
gmailNotification
├─ users.findByEmailAddress
└─ sync
   ├─ token.refresh
   ├─ users.history.list
   ├─ publish               ─► ce-traceparent of the change
   └─ checkpoint
      └─ users.update
\`\`\`

Calls to Google have the names of Google's methods, calls to the store those of \`UserStore\`. Spans name users by their
id; they contain no email address, token, code, path or library error message. A log record written within a span names
that span. \`OTEL_TRACES_SAMPLER\` and \`OTEL_TRACES_SAMPLER_ARG\` decide which traces are kept; without them, those that
the caller keeps and all that begin here.

A function may be frozen once it has answered, so it exports what it measured before that, for two seconds at most. A call of
\`gmailApi\` lasts until the body of its response has been sent, and so does the span of Gmail's response in it (\`gmail.api\`). If the
collector fails, exports pause for 30 seconds, then ever longer, up to ten minutes. A failing collector never fails a call,
and \`telemetry_export_failed\` is logged once. Without a collector, none of the OpenTelemetry SDK is loaded: it is in a
file of its own next to the bundle.

## Metrics

The collector also receives these metrics. Counters are deltas. No metric causes a read or a write.

${table(["metric", "kind", "unit", "attributes", "meaning"], Object.entries(METRICS).map(metricRow))}
`;
}

/** Returns whether the runbook has a section for an event: it has one for each from WARNING on. */
export function isInRunbook({ meaning }: LogEvent): boolean {
  return meaning === undefined;
}

function alarmingRow([name, event]: (typeof events)[number]): string[][] {
  if (!isInRunbook(event)) return [];
  const { severities, alert } = event;
  const critical = severities[0] === "CRITICAL" ? "from CRITICAL" : "";
  const link = `[\`${name}\`](runbook.md#${name})`;
  return [
    [
      link,
      severities.join(", "),
      alert === undefined ? critical : `from ${alert.from}, with a note`,
    ],
  ];
}

function quietRow([name, { severities, meaning }]: (typeof events)[number]): string[][] {
  return meaning === undefined ? [] : [[`\`${name}\``, severities.join(", "), meaning]];
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
