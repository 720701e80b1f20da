/**
 * The bundle that `firebase deploy` uploads and the Functions emulator runs: the same handlers.
 *
 * What has to be set is declared as parameters, so that the CLI asks for what is missing and keeps
 * the answers in `infra/.env.PROJECT`. They are never read here: they reach the functions as
 * environment variables, where `config.ts` reads them on first use.
 */
import { defineSecret, defineString, expr, projectID } from "firebase-functions/params";
import { type HttpsOptions, onRequest } from "firebase-functions/v2/https";
import { type MemoryOption, requiresRole } from "firebase-functions/v2/options";
import { onMessagePublished } from "firebase-functions/v2/pubsub";
import { onSchedule } from "firebase-functions/v2/scheduler";
import { runScheduled, serve } from "../http.ts";
import { after, getReceiver, libraryLog } from "../services.ts";
import settings from "./functions.json" with { type: "json" };
import { limitBodies } from "./limit-bodies.ts";
import { logPrinting } from "./printing.ts";
import { readTraceparent } from "./traceparent.ts";

/** The topic of `GMAIL_TOPIC`: the CLI needs its short name before any configuration is read. */
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
  description: "Where people reach `connect`: this, or a domain of your own, without a path.",
});
defineString("FIRESTORE_DATABASE", {
  default: "gmail-push",
  description: "The Firestore database that keeps the users: the one that firebase.json names.",
});
defineString("OAUTH_CLIENT_ID", {
  description: "Of an OAuth client of this project, with PUBLIC_URL/callback as redirect URI.",
});
defineString("GMAIL_TOPIC", {
  default: expr`projects/${projectID}/topics/${GMAIL_TOPIC_ID}`,
  description: "Where Gmail publishes its notifications. The function listens to no other topic.",
});
defineString("CHANGES_TOPIC", {
  default: "mailbox-changes",
  description: "Where changes are published.",
});

const SECRETS = {
  OAUTH_CLIENT_SECRET: defineSecret("OAUTH_CLIENT_SECRET", {
    description: "The secret of the OAuth client.",
  }),
  TOKEN_KEYS: defineSecret("TOKEN_KEYS", {
    description: 'The key ring: {"primary":"a","keys":{"a":"<`openssl rand -base64 32`>"}}.',
  }),
  RETURN_TO_SECRET: defineSecret("RETURN_TO_SECRET", {
    description: "32 characters or more, shared with the application at RETURN_TO_URLS; or none.",
  }),
  NOTICE_SMTP_URL: defineSecret("NOTICE_SMTP_URL", {
    description: "smtps://USER:PASSWORD@HOST of the mail server for notices to people; or none.",
  }),
  OTEL_EXPORTER_OTLP_HEADERS: defineSecret("OTEL_EXPORTER_OTLP_HEADERS", {
    description: "name=value,... that OTEL_EXPORTER_OTLP_ENDPOINT wants, such as a key; or none.",
  }),
};

// What the five functions do in the whole project. The CLI creates one service account with these
// roles, lets it read the secrets, and runs the functions as it. Eventarc and Cloud Scheduler call as
// it too. The CLI knows no IAM conditions, and without one `roles/datastore.user` opens every database
// of the project: the README has the command that grants it for FIRESTORE_DATABASE alone.
requiresRole("roles/pubsub.publisher");
requiresRole("roles/run.invoker");

/** What `functions.json` says of a function, in the words of the CLI. */
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
    ingressSettings: settings[name].public ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY",
  } satisfies HttpsOptions;
}

function scheduleOf(name: "watchRenewal" | "mailboxReconciliation") {
  const { schedule, retryCount, minBackoffSeconds } = settings[name];
  return { ...optionsOf(name), schedule, retryCount, minBackoffSeconds, timeZone: "Etc/UTC" };
}

logPrinting(console, libraryLog);
limitBodies(after);

export const gmailNotification = onMessagePublished(
  {
    ...optionsOf("gmailNotification"),
    topic: GMAIL_TOPIC_ID,
    retry: settings.gmailNotification.retry,
  },
  async ({ data, ...event }) => {
    const receiver = await getReceiver();
    await receiver.gmailNotification({ data, traceparent: readTraceparent(event) });
  },
);

export const watchRenewal = onSchedule(scheduleOf("watchRenewal"), () =>
  runScheduled(getReceiver, (receiver) => receiver.watchRenewal()),
);

export const mailboxReconciliation = onSchedule(scheduleOf("mailboxReconciliation"), () =>
  runScheduled(getReceiver, (receiver) => receiver.mailboxReconciliation()),
);

export const connect = onRequest(
  { ...optionsOf("connect"), invoker: "public" },
  (request, response) => serve(request, response, getReceiver, (receiver) => receiver.connect),
);

export const securityEvent = onRequest(
  { ...optionsOf("securityEvent"), invoker: "public" },
  (request, response) =>
    serve(request, response, getReceiver, (receiver) => receiver.securityEvent),
);
