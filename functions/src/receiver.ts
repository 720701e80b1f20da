import { setImmediate as turn } from "node:timers/promises";
import { connect } from "./connect/routes.ts";
import { gmailNotification } from "./functions/gmail-notification.ts";
import { limitedEvents, limitedPages } from "./connect/limited.ts";
import { mailboxReconciliation } from "./functions/mailbox-reconciliation.ts";
import { securityEvent } from "./functions/security-event.ts";
import { watchRenewal } from "./functions/watch-renewal.ts";
import { GMAIL_API_LIMITS, gmailApi } from "./functions/gmail-api.ts";
import type { HttpHandler, Push, ServeOptions } from "./platform/http.ts";
import type { StreamEnd, StreamHandler, StreamLimits } from "./platform/http-stream.ts";
import { type Log, parseTraceHeader } from "./platform/log.ts";
import { sampleRepeats } from "./platform/log-sampling.ts";
import { rateLimit } from "./platform/rate-limit.ts";
import { type Span } from "./platform/telemetry/telemetry.ts";
import type { Context } from "./context.ts";

/** The six deployed functions, without the tools that serve them. */
export interface Receiver {
  /** Resolves to acknowledge the message, rejects to redeliver it. */
  gmailNotification(push: Push): Promise<void>;
  watchRenewal(traceparent?: string): Promise<void>;
  mailboxReconciliation(traceparent?: string): Promise<void>;
  connect: HttpHandler;
  securityEvent: HttpHandler;
  /** Gmail's API for subscribers, as streams. */
  gmailApi: { handle: StreamHandler; limits: StreamLimits };
  /** How HTTP requests are served. */
  http: ServeOptions;
}

/** Each trace costs a request to the collector, and strangers can cause any number of requests. */
const TRACED_PER_MINUTE_MAX = 150;

/** Creates the receiver. Makes no call before one of its functions is called. */
export function createReceiver(context: Context): Receiver {
  const { log, clock, config } = context;
  const { projectId, publicUrl, loadBalancers } = config;
  const { invocation } = context.telemetry;
  const traced = (traceparent: string | undefined) =>
    log.with(parseTraceHeader(traceparent, projectId));
  const scheduled = (name: string, run: (own: Log) => Promise<void>) => (traceparent?: string) =>
    invocation(name, "server", traceparent, () => run(traced(traceparent)));
  const tracedRequests = rateLimit({ perMinute: TRACED_PER_MINUTE_MAX }, clock);
  // A stranger's `traceparent` must not decide what is traced, or all of it could be.
  const served =
    (name: string, handle: HttpHandler): HttpHandler =>
    (...args) =>
      tracedRequests.take()
        ? invocation(name, "server", undefined, (span) => withStatus(span, handle(...args)))
        : handle(...args);

  return {
    gmailNotification: ({ data, traceparent }) =>
      invocation("gmailNotification", "consumer", traceparent, () =>
        gmailNotification(data, traced(traceparent), context),
      ),
    watchRenewal: scheduled("watchRenewal", (own) => watchRenewal(own, context)),
    mailboxReconciliation: scheduled("mailboxReconciliation", (own) =>
      mailboxReconciliation(own, context),
    ),
    connect: limitedPages(
      served("connect", (...args) => connect(...args, context)),
      context,
    ),
    securityEvent: limitedEvents(
      served("securityEvent", (request, own) => securityEvent(request, own, context)),
      context,
    ),
    gmailApi: {
      handle: traceStream("gmailApi", context, (request, own) => gmailApi(request, own, context)),
      limits: GMAIL_API_LIMITS,
    },
    http: { publicUrl, projectId, loadBalancers, log: sampleRepeats(log, clock) },
  };
}

/** Traces a handler of streams: its span lasts until the body of the response has been sent. */
function traceStream(
  name: string,
  { telemetry }: Pick<Context, "telemetry">,
  handle: StreamHandler,
): StreamHandler {
  return (request, log) =>
    new Promise((resolve, reject) => {
      const traced = telemetry.invocation(name, "server", undefined, async (span) => {
        const answered = await handle(request, log);
        const { bytes, isComplete } = await new Promise<StreamEnd>((end) => {
          const beforeEnd = (ended: StreamEnd) => {
            end(ended);
            return traced;
          };
          resolve({ ...answered, beforeEnd });
        });
        span.set({
          "http.response.status_code": answered.status,
          "http.response.body.size": bytes,
          ...(!isComplete && { "error.type": "incomplete" }),
        });
        // The span of the call to Gmail, which made the body, ends first.
        await turn();
      });
      traced.catch(reject);
    });
}

async function withStatus(span: Span, response: Promise<Response>): Promise<Response> {
  const answered = await response;
  span.set({ "http.response.status_code": answered.status });
  return answered;
}
