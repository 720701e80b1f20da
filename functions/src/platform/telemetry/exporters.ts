import type { TelemetryConfig } from "./telemetry.ts";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { AggregationTemporality, type PushMetricExporter } from "@opentelemetry/sdk-metrics";
import type { SpanExporter } from "@opentelemetry/sdk-trace-base";
import { describeUnknown } from "../log.ts";
import { type Delivery, EXPORT_MS_MAX } from "./delivery.ts";

type Send<T> = (items: T, done: Parameters<SpanExporter["export"]>[1]) => void;

/**
 * `ExportResultCode` of `@opentelemetry/core`, which is only meant for implementers of exporters.
 */
const SUCCEEDED = 0;
const FAILED = 1;

/**
 * Returns exporters of OTLP over HTTP in JSON (OTLP 1.x, "OTLP/HTTP"), to the paths below the
 * endpoint.
 */
export function otlpExporters(
  { endpoint, headers }: TelemetryConfig,
  delivery: Delivery,
): { spans: SpanExporter; metrics: PushMetricExporter } {
  const to = (path: string) => ({
    url: `${endpoint}/v1/${path}`,
    headers: { ...headers },
    timeoutMillis: EXPORT_MS_MAX,
  });
  const traceExporter = new OTLPTraceExporter(to("traces"));
  const metricExporter = new OTLPMetricExporter(to("metrics"));
  return {
    spans: {
      export: noting((spans, done) => traceExporter.export(spans, done), delivery),
      shutdown: () => traceExporter.shutdown(),
    },
    metrics: {
      export: noting((metrics, done) => metricExporter.export(metrics, done), delivery),
      forceFlush: () => metricExporter.forceFlush(),
      shutdown: () => metricExporter.shutdown(),
      // An instance that ends would lose its totals.
      selectAggregationTemporality: () => AggregationTemporality.DELTA,
    },
  };
}

/** Records how each export ends. Drops exports while they are paused. */
function noting<T>(send: Send<T>, delivery: Delivery): Send<T> {
  return (items, done) => {
    if (delivery.isResting()) return done({ code: FAILED });
    send(items, (result) => {
      if (result.code === SUCCEEDED) delivery.exported();
      else delivery.failed(reasonOf(result.error));
      done(result);
    });
  };
}

/** The exporter's own errors are plain ones: it stopped waiting. */
function reasonOf(error: unknown): string {
  const described = describeUnknown(error);
  return described === "Error" ? "no_answer" : described;
}
