import { type CloudEvent, cloudEvent, http } from "@google-cloud/functions-framework";
import type { After } from "../domain/clock.ts";
import { leaveDomain } from "./leave-domain.ts";
import { serve, serveScheduled } from "../platform/http.ts";
import { serveStream } from "../platform/http-stream.ts";
import type { Receiver } from "../receiver.ts";
import { readTraceparent } from "../platform/log.ts";

/** Registers the six functions with the functions-framework under their deployed names. */
export function registerFunctions(getReceiver: () => Promise<Receiver>, after: After): void {
  // One declared parameter: with two the framework waits for a callback.
  cloudEvent("gmailNotification", async ({ data, ...event }: CloudEvent<unknown>) => {
    leaveDomain();
    const receiver = await getReceiver();
    await receiver.gmailNotification({ data, traceparent: readTraceparent(event) });
  });
  http("watchRenewal", (request, response) =>
    serveScheduled(request, response, getReceiver, (receiver, traceparent) =>
      receiver.watchRenewal(traceparent),
    ),
  );
  http("mailboxReconciliation", (request, response) =>
    serveScheduled(request, response, getReceiver, (receiver, traceparent) =>
      receiver.mailboxReconciliation(traceparent),
    ),
  );
  http("connect", (request, response) =>
    serve(request, response, getReceiver, (receiver) => receiver.connect),
  );
  http("securityEvent", (request, response) =>
    serve(request, response, getReceiver, (receiver) => receiver.securityEvent),
  );
  http("gmailApi", (request, response) =>
    serveStream(request, response, getReceiver, (receiver) => receiver.gmailApi, after),
  );
}
