import { once } from "node:events";
import { type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A span as it arrived (OTLP/HTTP in JSON, `ExportTraceServiceRequest`). */
export interface ReceivedSpan {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number;
  attributes: Attributes;
  /** 0 unset, 2 error. */
  status: { code: number; message?: string };
}

/** One point of a metric. `value` is the sum of a histogram, of which `count` is the number. */
export interface ReceivedPoint {
  name: string;
  unit: string;
  attributes: Attributes;
  value: number;
  count?: number;
  /** 1 delta, 2 cumulative; none of a gauge. */
  temporality?: number;
}

type Attributes = Record<string, string | number | boolean>;

/** How the collector is: `silent` never answers, `trickling` never comes to the end of an answer. */
export type Health = "well" | "silent" | "trickling" | { status: number };

/** A collector of OTLP over HTTP, on loopback. */
export interface OtlpReceiver {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  endpoint: string;
  spans: ReceivedSpan[];
  points: ReceivedPoint[];
  /** Every request as it came: its path, its headers and its body. */
  requests: { path: string; headers: NodeJS.Dict<string | string[]>; body: string }[];
  /** Resource attributes of what came last. */
  resource(): Attributes;
  health: Health;
  /** Forgets what has come so far. */
  clear(): void;
  close(): Promise<void>;
}

const TRICKLE_MS = 100;

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    receiver.requests.push({ path: request.url ?? "", headers: request.headers, body });
    if (receiver.health === "well") take(JSON.parse(body));
    answer(receiver.health, response);
  });
  let resource: Attributes = {};

  function take({ resourceSpans = [], resourceMetrics = [] }: ExportRequest): void {
    for (const { resource: own, scopeSpans } of resourceSpans) {
      resource = toAttributes(own.attributes);
      receiver.spans.push(
        ...scopeSpans.flatMap(({ spans }) =>
          spans.map((span) => ({ ...span, attributes: toAttributes(span.attributes) })),
        ),
      );
    }
    for (const { scopeMetrics } of resourceMetrics) {
      receiver.points.push(
        ...scopeMetrics.flatMap(({ metrics }) => metrics.flatMap((metric) => toPoints(metric))),
      );
    }
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const receiver: OtlpReceiver = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: [],
    points: [],
    requests: [],
    resource: () => resource,
    health: "well",
    clear() {
      receiver.spans.length = receiver.points.length = receiver.requests.length = 0;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return receiver;
}

function answer(health: Health, response: ServerResponse): void {
  if (health === "silent") return;
  response.writeHead(typeof health === "object" ? health.status : 200, {
    "content-type": "application/json",
  });
  if (health !== "trickling") return void response.end("{}");
  const timer = setInterval(() => response.write(" "), TRICKLE_MS);
  response.on("close", () => clearInterval(timer));
}

interface ExportRequest {
  resourceSpans?: {
    resource: { attributes: KeyValue[] };
    scopeSpans: { spans: (Omit<ReceivedSpan, "attributes"> & { attributes: KeyValue[] })[] }[];
  }[];
  resourceMetrics?: { scopeMetrics: { metrics: Metric[] }[] }[];
}

interface KeyValue {
  key: string;
  value: {
    stringValue?: string;
    boolValue?: boolean;
    doubleValue?: number;
    intValue?: number | string;
  };
}

interface Metric {
  name: string;
  unit: string;
  sum?: Points;
  gauge?: Points;
  histogram?: Points;
}

interface Points {
  aggregationTemporality?: number;
  dataPoints: {
    attributes: KeyValue[];
    asDouble?: number;
    asInt?: number | string;
    sum?: number;
    count?: number;
  }[];
}

function toAttributes(pairs: KeyValue[]): Attributes {
  return Object.fromEntries(
    pairs.map(({ key, value: { stringValue, boolValue, doubleValue, intValue } }) => [
      key,
      stringValue ?? boolValue ?? doubleValue ?? Number(intValue),
    ]),
  );
}

function toPoints({ name, unit, ...metric }: Metric): ReceivedPoint[] {
  const { aggregationTemporality: temporality, dataPoints } = metric.sum ??
    metric.gauge ??
    metric.histogram ?? { dataPoints: [] };
  return dataPoints.map(({ attributes, asDouble, asInt, sum, count }) => ({
    name,
    unit,
    attributes: toAttributes(attributes),
    value: asDouble ?? sum ?? Number(asInt),
    ...(count !== undefined && { count }),
    ...(temporality !== undefined && { temporality }),
  }));
}
