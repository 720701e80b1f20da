import {
  type TelemetryConfig,
  type Attributes,
  type ExportedTelemetry,
  METRICS,
  type MetricName,
} from "./telemetry.ts";
import { detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { Clock } from "../../domain/clock.ts";
import { type Log, traceFields } from "../log.ts";
import { createDelivery } from "./delivery.ts";
import { otlpExporters } from "./exporters.ts";
import { openSpans } from "./spans.ts";

/** What telemetry needs of the instance. */
export interface OtlpSurroundings {
  projectId: string;
  /** What identifies this instance: OpenTelemetry's `faas.*` and `service.instance.id`. */
  instance: Attributes;
  /** A real clock: the exporters use real time. */
  clock: Clock;
  log: Log;
}

const SCOPE = "gmail-push-receiver";
/** Long runs also export before their end: spans when a batch is full, metrics at this interval. */
const METRICS_INTERVAL_MS = 60_000;
const SPANS_QUEUED_MAX = 2_048;
const SPANS_BATCH_MAX = 512;
const SPANS_DELAY_MS = 5_000;
/** The SDK's own limit: longer than the exporters' and ours, which record the failure. */
const GIVEN_UP_MS = 5_000;
/** Longer than any of our values; others are cut. */
const ATTRIBUTE_CHARACTERS_MAX = 256;

/**
 * Returns spans and metrics in OpenTelemetry's SDK, exported by OTLP over HTTP in JSON. Nothing is
 * registered globally, because the spans of libraries would reveal more. Metrics are deltas, since
 * an instance that ends would lose its totals.
 */
export function otlpTelemetry(
  config: TelemetryConfig,
  { projectId, instance, clock, log }: OtlpSurroundings,
): ExportedTelemetry {
  const delivery = createDelivery(clock, log);
  const resource = detectResources({ detectors: [envDetector] }).merge(
    resourceFromAttributes({
      "service.name": config.serviceName,
      "cloud.provider": "gcp",
      "cloud.account.id": projectId,
      ...instance,
    }),
  );
  const { spans, metrics } = otlpExporters(config, delivery);
  // No sampler is passed: the SDK reads OTEL_TRACES_SAMPLER.
  const tracers = new BasicTracerProvider({
    resource,
    spanLimits: { attributeValueLengthLimit: ATTRIBUTE_CHARACTERS_MAX },
    spanProcessors: [
      new BatchSpanProcessor(spans, {
        maxQueueSize: SPANS_QUEUED_MAX,
        maxExportBatchSize: SPANS_BATCH_MAX,
        scheduledDelayMillis: SPANS_DELAY_MS,
        exportTimeoutMillis: GIVEN_UP_MS,
      }),
    ],
  });
  const meters = new MeterProvider({
    resource,
    readers: [
      new PeriodicExportingMetricReader({
        exporter: metrics,
        exportIntervalMillis: METRICS_INTERVAL_MS,
        exportTimeoutMillis: GIVEN_UP_MS,
      }),
    ],
  });

  const { span, rootSpan, current } = openSpans(tracers.getTracer(SCOPE));
  const instruments = instrumentsOf(meters);

  return {
    span,
    count: (name, n, attributes) => instruments[name](n, attributes),
    record: (name, value, attributes) => instruments[name](value, attributes),

    async invocation(name, kind, traceparent, run) {
      try {
        return await rootSpan(name, kind, traceparent, run);
      } finally {
        await delivery.bounded(() => Promise.all([tracers.forceFlush(), meters.forceFlush()]));
      }
    },

    logFields: () => traceFields(current(), projectId),
  };
}

type Instrument = (value: number, attributes?: Attributes) => void;

function instrumentsOf(meters: MeterProvider): Record<MetricName, Instrument> {
  const meter = meters.getMeter(SCOPE);
  const instruments = Object.entries(METRICS).map(([name, metric]): [string, Instrument] => {
    const { kind, unit, description } = metric;
    switch (kind) {
      case "counter": {
        const counter = meter.createCounter(name, { unit, description });
        return [name, (value, attributes) => counter.add(value, attributes)];
      }
      case "gauge": {
        const gauge = meter.createGauge(name, { unit, description });
        return [name, (value, attributes) => gauge.record(value, attributes)];
      }
      case "histogram": {
        const advice = { explicitBucketBoundaries: [...metric.bounds] };
        const histogram = meter.createHistogram(name, { unit, description, advice });
        return [name, (value, attributes) => histogram.record(value, attributes)];
      }
    }
  });
  return Object.fromEntries(instruments) as Record<MetricName, Instrument>;
}
