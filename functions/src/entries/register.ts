import { http } from "@google-cloud/functions-framework";
import type { After } from "../domain/clock.ts";
import type { Reading } from "./limit-bodies.ts";
import { serve, servePush, serveScheduled } from "../platform/http.ts";
import { serveStream } from "../platform/http-stream.ts";
import type { Receiver } from "../receiver.ts";

/** How the functions that are registered here read a body, unless it is held and parsed. */
export const READINGS: Readonly<Partial<Record<string, Reading>>> = {
  gmailNotification: "raw",
  gmailApi: "left",
};

/** Registers the six functions with the functions-framework under their deployed names. */
export function registerFunctions(getReceiver: () => Promise<Receiver>, after: After): void {
  // Not `cloudEvent`: the framework would refuse what it cannot read, and would need a domain.
  http("gmailNotification", (request, response) =>
    servePush(request, response, getReceiver, (receiver, push) => receiver.gmailNotification(push)),
  );
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
