import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Context,
  SpanKind as Kind,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  isSpanContextValid,
  trace,
} from "@opentelemetry/api";
import { type TraceContext, describeUnknown, parseTrace } from "../log.ts";
import type { ExportedTelemetry, Span, SpanKind, SpanOptions } from "./telemetry.ts";

const KINDS: Record<SpanKind, Kind> = {
  internal: Kind.INTERNAL,
  client: Kind.CLIENT,
  server: Kind.SERVER,
  producer: Kind.PRODUCER,
  consumer: Kind.CONSUMER,
};

/** Nested spans: each run knows the span that it belongs to. */
export interface Spans {
  span: ExportedTelemetry["span"];
  rootSpan: ExportedTelemetry["invocation"];
  /** Returns the current span, if any. */
  current(): TraceContext | undefined;
}

/** Returns spans of this tracer. */
export function openSpans(tracer: Tracer): Spans {
  const active = new AsyncLocalStorage<Context>();

  async function within<T>(
    parent: Context,
    name: string,
    { kind = "internal", attributes = {} }: SpanOptions,
    run: (span: Span) => Promise<T>,
  ): Promise<T> {
    const span = tracer.startSpan(name, { kind: KINDS[kind], attributes }, parent);
    try {
      return await active.run(trace.setSpan(parent, span), () => run(toSpan(span)));
    } catch (error) {
      // Not `recordException`: messages and stacks of libraries can contain tokens.
      span.setStatus({ code: SpanStatusCode.ERROR, message: describeUnknown(error) });
      throw error;
    } finally {
      span.end();
    }
  }

  return {
    span: (name, options, run) => within(active.getStore() ?? ROOT_CONTEXT, name, options, run),
    rootSpan: (name, kind, traceparent, run) => within(remote(traceparent), name, { kind }, run),
    current() {
      const context = active.getStore();
      const span = context && trace.getSpanContext(context);
      return span && { ...span, isSampled: (span.traceFlags & TraceFlags.SAMPLED) !== 0 };
    },
  };
}

function toSpan(span: OtelSpan): Span {
  const { traceId, spanId, traceFlags } = span.spanContext();
  const flags = traceFlags.toString(16).padStart(2, "0");
  return {
    traceparent: `00-${traceId}-${spanId}-${flags}`,
    set: (attributes) => void span.setAttributes(attributes),
  };
}

/** Returns the caller's span, if there is one. */
function remote(traceparent: string | undefined): Context {
  const { traceId, spanId = "", isSampled } = parseTrace(traceparent) ?? {};
  if (traceId === undefined) return ROOT_CONTEXT;
  const traceFlags = isSampled === true ? TraceFlags.SAMPLED : TraceFlags.NONE;
  const context = { traceId, spanId, traceFlags, isRemote: true };
  return isSpanContextValid(context) ? trace.setSpanContext(ROOT_CONTEXT, context) : ROOT_CONTEXT;
}
