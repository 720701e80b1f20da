import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { readOptions } from "../support/options.ts";
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
  --pubsub-host HOST:PORT  a Pub/Sub emulator to publish them to instead
  --state FILE             continue from this file if it exists, with its accounts and clients, and
                           write everything to it at the end`;

const { values } = readOptions(USAGE, {
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
    state: { type: "string" },
  },
});

const { project, state } = values;
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
if (state !== undefined && existsSync(state)) emulator.load(await readFile(state));
else for (const email of values.account) emulator.createAccount({ email });
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void end());
console.log(`GMAIL_EMULATOR_HOST=${emulator.host}`);

async function end(): Promise<void> {
  if (state !== undefined) await writeFile(state, emulator.save(), { mode: 0o600 });
  await emulator.close();
}

function pushOf(url: string | undefined, host: string | undefined): Push {
  if (url !== undefined) return { kind: "push", url };
  return host === undefined ? { kind: "none" } : { kind: "pubsub_emulator", host };
}
