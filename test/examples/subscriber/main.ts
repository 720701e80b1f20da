import { serve } from "@hono/node-server";
import { gmail } from "gmail-push-subscriber/gmail";
import { memoryStore } from "gmail-push-subscriber";
import { helpDesk } from "./application.ts";
import { openDesk } from "./help-desk.ts";

/** Where `npm start -- --push http://localhost:4000/changes` has everything. */
const LOCAL = {
  PORT: "4000",
  PUSH_AUDIENCE: "http://localhost:4000/changes",
  PUSH_SERVICE_ACCOUNT: "pubsub-push@demo-gmail-push.iam.gserviceaccount.com",
  PUSH_CERTS_URL: "http://127.0.0.1:8090/oauth2/v3/certs",
  GMAIL_API_URL: "http://127.0.0.1:8081",
  METADATA_URL: "http://127.0.0.1:8090",
};

const env: Partial<Record<string, string>> = process.argv.includes("--local")
  ? { ...LOCAL, ...process.env }
  : process.env;
const { PUSH_AUDIENCE, PUSH_SERVICE_ACCOUNT, PUSH_CERTS_URL, GMAIL_API_URL, METADATA_URL } = env;
if (!PUSH_AUDIENCE || !PUSH_SERVICE_ACCOUNT || !GMAIL_API_URL) {
  console.error("set PUSH_AUDIENCE, PUSH_SERVICE_ACCOUNT and GMAIL_API_URL, or give --local");
  process.exit(2);
}

/** An ID token of the emulated metadata server. In the cloud, Google's library asks the real one. */
async function localToken(): Promise<string> {
  const path = "/computeMetadata/v1/instance/service-accounts/default/identity";
  const query = new URLSearchParams({ audience: GMAIL_API_URL ?? "" });
  const headers = { "metadata-flavor": "Google" };
  return (await fetch(`${METADATA_URL}${path}?${query}`, { headers })).text();
}

const { fetch: answer } = helpDesk({
  subscription: {
    audience: PUSH_AUDIENCE,
    serviceAccount: PUSH_SERVICE_ACCOUNT,
    ...(PUSH_CERTS_URL && { certsUrl: PUSH_CERTS_URL }),
  },
  gmailFor: (userId) =>
    gmail(userId, { url: GMAIL_API_URL, ...(METADATA_URL && { idToken: localToken }) }),
  // One instance, and tickets in memory: a real help desk uses firestoreStore and a database.
  store: memoryStore(),
  desk: openDesk(),
  log: console.log,
});
const port = Number(env["PORT"] ?? 8080);
const server = serve({ fetch: answer, port }, () =>
  console.log(`tickets: http://localhost:${port}/`),
);
server.once("error", ({ code, message }: NodeJS.ErrnoException) => {
  const inUse = `port ${port} is in use: end the program that has it, or set PORT`;
  console.error(code === "EADDRINUSE" ? inUse : message);
  process.exit(1);
});
