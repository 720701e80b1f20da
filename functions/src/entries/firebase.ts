/**
 * The bundle that `firebase deploy` uploads and the Functions emulator runs: the same handlers.
 *
 * What has to be set is declared as parameters, so that the CLI asks for what is missing and keeps
 * the answers in `infra/.env.PROJECT`. They are never read here: they reach the functions as
 * environment variables, where `config/config.ts` reads them on first use.
 */
import { defineSecret, defineString, expr, projectID } from "firebase-functions/params";
import { type HttpsOptions, onRequest } from "firebase-functions/v2/https";
import { type MemoryOption, requiresRole } from "firebase-functions/v2/options";
import { onMessagePublished } from "firebase-functions/v2/pubsub";
import { onSchedule } from "firebase-functions/v2/scheduler";
import { VARIABLES } from "../config/variables.ts";
import { runScheduled, serve } from "../platform/http.ts";
import { serveStream } from "../platform/http-stream.ts";
import {
  after,
  getPublicInvoker,
  getReceiver,
  getTarget,
  isBalanced,
  libraryLog,
} from "../instance.ts";
import settings from "./functions.json" with { type: "json" };
import { leaveDomain } from "./domains.ts";
import { limitBodies } from "./limit-bodies.ts";
import { logPrinting } from "../platform/console-capture.ts";
import { readTraceparent } from "../platform/log.ts";

/** The id of `GMAIL_TOPIC`: the CLI needs it before any configuration is read. */
const GMAIL_TOPIC_ID = "gmail-notifications";

const region = defineString("REGION", {
  default: "us-central1",
  description: "The region of the functions.",
});
const projectNumber = defineString("PROJECT_NUMBER", {
  description:
    "Its number, for PUBLIC_URL: gcloud projects describe PROJECT --format='value(projectNumber)'",
  input: { text: { validationRegex: "^[0-9]{6,20}$", validationErrorMessage: "digits alone" } },
});
defineString("PUBLIC_URL", {
  // An origin of its own: all functions of a project share the one at cloudfunctions.net.
  default: expr`https://connect-${projectNumber}.${region}.run.app`,
  description: VARIABLES.publicUrl.meaning,
});
defineString("FIRESTORE_DATABASE", {
  default: "gmail-push",
  description: VARIABLES.firestore.databaseId.meaning,
});
defineString("OAUTH_CLIENT_ID", {
  description: VARIABLES.oauth.clientId.meaning,
});
defineString("GMAIL_TOPIC", {
  default: expr`projects/${projectID}/topics/${GMAIL_TOPIC_ID}`,
  description: VARIABLES.gmail.topic.meaning,
});
defineString("CHANGES_TOPIC", {
  default: "mailbox-changes",
  description: VARIABLES.changes.topic.meaning,
});
defineString("NODE_OPTIONS", {
  default: "--max-old-space-size=256",
  description: "Half of the memory for the heap: Google's build would give it 80 %.",
});

const SECRETS = {
  OAUTH_CLIENT_SECRET: defineSecret("OAUTH_CLIENT_SECRET", {
    description: VARIABLES.oauth.clientSecret.meaning,
  }),
  TOKEN_KEYS: defineSecret("TOKEN_KEYS", {
    description: VARIABLES.sealing.tokenKeys.meaning,
  }),
  RETURN_TO_SECRET: defineSecret("RETURN_TO_SECRET", {
    description: `${VARIABLES.returnTo.secret.meaning} Or none.`,
  }),
  NOTICE_SMTP_URL: defineSecret("NOTICE_SMTP_URL", {
    description: `${VARIABLES.notices.smtpUrl.meaning} Or none.`,
  }),
  OTEL_EXPORTER_OTLP_HEADERS: defineSecret("OTEL_EXPORTER_OTLP_HEADERS", {
    description: `${VARIABLES.telemetry.headers.meaning} Or none.`,
  }),
};

// What the six functions do in the whole project. The CLI creates one service account with these
// roles, lets it read the secrets, and runs the functions as it. Eventarc and Cloud Scheduler call as
// it too. The CLI knows no IAM conditions, and without one `roles/datastore.user` opens every database
// of the project: infra/docs/deploy-firebase.md has the command that grants it for FIRESTORE_DATABASE alone.
requiresRole("roles/pubsub.publisher");
requiresRole("roles/run.invoker");

/** Returns the settings of a function in `functions.json`, in the CLI's format. */
function optionsOf(name: keyof typeof settings) {
  const { memoryMiB, cpu, concurrency, minInstances, maxInstances, timeoutSeconds } =
    settings[name];
  const secrets = settings[name].secrets as (keyof typeof SECRETS)[];
  return {
    region,
    memory: (memoryMiB < 1024 ? `${memoryMiB}MiB` : `${memoryMiB / 1024}GiB`) as MemoryOption,
    cpu,
    concurrency,
    minInstances,
    maxInstances,
    timeoutSeconds,
    secrets: secrets.map((secret) => SECRETS[secret]),
    ingressSettings: ingressOf(name),
  } satisfies HttpsOptions;
}

function ingressOf(name: keyof typeof settings) {
  if (settings[name].trigger === "topic") return "ALLOW_INTERNAL_ONLY";
  // A client that reaches `connect` without its load balancer could name any address as its own.
  if (name === "connect" && isBalanced()) return "ALLOW_INTERNAL_AND_GCLB";
  // IAM alone decides who may call: subscribers call from everywhere, and Cloud Scheduler calls the URL
  // at cloudfunctions.net that the CLI gives to a new job, where it does not count as internal.
  return "ALLOW_ALL";
}

function scheduleOf(name: "watchRenewal" | "mailboxReconciliation") {
  const { schedule, retryCount, minBackoffSeconds } = settings[name];
  return { ...optionsOf(name), schedule, retryCount, minBackoffSeconds, timeZone: "Etc/UTC" };
}

logPrinting(console, libraryLog);
limitBodies(after, getTarget() === "gmailApi" ? "left" : "held");

/** Syncs a mailbox after Gmail's notification. */
export const gmailNotification = onMessagePublished(
  {
    ...optionsOf("gmailNotification"),
    topic: GMAIL_TOPIC_ID,
    retry: settings.gmailNotification.retry,
  },
  async ({ data, ...event }) => {
    leaveDomain();
    const receiver = await getReceiver();
    await receiver.gmailNotification({ data, traceparent: readTraceparent(event) });
  },
);

/** Renews the watches that are due. */
export const watchRenewal = onSchedule(scheduleOf("watchRenewal"), () =>
  runScheduled(getReceiver, (receiver) => receiver.watchRenewal()),
);

/** Does what is due. */
export const mailboxReconciliation = onSchedule(scheduleOf("mailboxReconciliation"), () =>
  runScheduled(getReceiver, (receiver) => receiver.mailboxReconciliation()),
);

/** Serves the pages. */
export const connect = onRequest(
  { ...optionsOf("connect"), invoker: getPublicInvoker() },
  (request, response) => serve(request, response, getReceiver, (receiver) => receiver.connect),
);

/** Receives Google's security events. */
export const securityEvent = onRequest(
  { ...optionsOf("securityEvent"), invoker: getPublicInvoker() },
  (request, response) =>
    serve(request, response, getReceiver, (receiver) => receiver.securityEvent),
);

// Each deployment removes every member of `roles/run.invoker`. `roles/run.servicesInvoker` stays: that is
// the role to grant to subscribers (functions/docs/gmail-api.md).
/** Serves Gmail's API to subscribers. */
export const gmailApi = onRequest(
  { ...optionsOf("gmailApi"), invoker: "private" },
  (request, response) =>
    serveStream(request, response, getReceiver, (receiver) => receiver.gmailApi, after),
);
