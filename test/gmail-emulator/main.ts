import { parseArgs } from "node:util";
import { DEFAULT_CLIENT, startGmailEmulator } from "./emulator.ts";
import type { Push } from "./push.ts";

const USAGE = `Usage: npx tsx test/gmail-emulator/main.ts [options]
  --port N                 port on 127.0.0.1 (8025)
  --account ADDRESS        an account to start with; may be repeated (ada@example.com)
  --project ID             the project of the OAuth client (demo-gmail-push)
  --topic NAME             a topic of it; may be repeated (gmail-notifications)
  --client-id ID           the OAuth client
  --client-secret SECRET
  --redirect-uri URL       may be repeated
  --push-url URL           where notifications are posted as CloudEvents
  --pubsub-host HOST:PORT  a Pub/Sub emulator to publish them to instead`;

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "8025" },
    account: { type: "string", multiple: true, default: ["ada@example.com"] },
    project: { type: "string", default: "demo-gmail-push" },
    topic: { type: "string", multiple: true, default: ["gmail-notifications"] },
    "client-id": { type: "string", default: DEFAULT_CLIENT.clientId },
    "client-secret": { type: "string", default: DEFAULT_CLIENT.clientSecret },
    "redirect-uri": { type: "string", multiple: true, default: [...DEFAULT_CLIENT.redirectUris] },
    "push-url": { type: "string" },
    "pubsub-host": { type: "string" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(USAGE);
} else {
  const { project } = values;
  const emulator = await startGmailEmulator({
    port: Number(values.port),
    projectId: project,
    topics: values.topic.map((topic) => `projects/${project}/topics/${topic}`),
    clients: [
      {
        clientId: values["client-id"],
        clientSecret: values["client-secret"],
        redirectUris: values["redirect-uri"],
      },
    ],
    push: pushOf(values["push-url"], values["pubsub-host"]),
  });
  for (const email of values.account) emulator.createAccount({ email });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void emulator.close());
  }
  console.log(`GMAIL_EMULATOR_HOST=${emulator.host}`);
}

function pushOf(url: string | undefined, host: string | undefined): Push {
  if (url !== undefined) return { kind: "push", url };
  return host === undefined ? { kind: "none" } : { kind: "pubsub_emulator", host };
}
