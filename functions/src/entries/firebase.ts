/** The bundle that `firebase deploy` uploads and the Functions emulator runs: the same handlers. */
import { type HttpsOptions, onRequest } from "firebase-functions/v2/https";
import { onMessagePublished } from "firebase-functions/v2/pubsub";
import { onSchedule } from "firebase-functions/v2/scheduler";
import { serve } from "../http.ts";
import { readTraceparent } from "./traceparent.ts";
import { getReceiver } from "../services.ts";

/** The topic of `GMAIL_TOPIC`: the CLI needs its short name before any configuration is read. */
const GMAIL_TOPIC_ID = "gmail-notifications";

const pages: HttpsOptions = { invoker: "public", concurrency: 20, timeoutSeconds: 120 };

export const gmailNotification = onMessagePublished(
  { topic: GMAIL_TOPIC_ID, retry: true, concurrency: 20, timeoutSeconds: 180 },
  async ({ data, ...event }) => {
    const receiver = await getReceiver();
    await receiver.gmailNotification({ data, traceparent: readTraceparent(event) });
  },
);

export const watchRenewal = onSchedule(
  { schedule: "every 10 minutes", timeoutSeconds: 540 },
  async () => (await getReceiver()).watchRenewal(),
);

export const mailboxReconciliation = onSchedule(
  { schedule: "every 1 minutes", timeoutSeconds: 180 },
  async () => (await getReceiver()).mailboxReconciliation(),
);

export const connect = onRequest(pages, (request, response) =>
  serve(request, response, getReceiver, (receiver) => receiver.connect),
);

export const securityEvent = onRequest(pages, (request, response) =>
  serve(request, response, getReceiver, (receiver) => receiver.securityEvent),
);
