import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { readOptions } from "../support/options.ts";
import { DEFAULT_CLIENT, type GmailEmulator, startGmailEmulator } from "./emulator.ts";
import type { Push } from "./push.ts";

const USAGE = `Usage: gmail-emulator [options]
  --port N                 port on 127.0.0.1 (8025); 0 for a free one
  --account ADDRESS        an account to start with; may be repeated (ada@example.com)
  --project ID             the project of the OAuth client (demo-gmail-push)
  --topic NAME             a topic of it; may be repeated (gmail-notifications)
  --client-id ID           the OAuth client
  --client-secret SECRET
  --redirect-uri URL       may be repeated
  --push-url URL           where notifications are posted as CloudEvents
  --pubsub-host HOST:PORT  a Pub/Sub emulator to publish them to instead
  --state FILE             continue from this file if it exists, with its accounts and clients, and
                           write everything to it at the end

Prints GMAIL_EMULATOR_HOST=127.0.0.1:PORT when it serves. GET /emulator/state on that address shows
what there is; POST /emulator/deliver with {"account": "ada@example.com"} delivers a mail.`;

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

const { project, state, port } = values;
let emulator: GmailEmulator;
try {
  emulator = await startGmailEmulator({
    port: Number(port),
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
} catch (error) {
  console.error(problemOf(error));
  process.exit(1);
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void end());
console.log(`GMAIL_EMULATOR_HOST=${emulator.host}`);

function problemOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") return `Port ${port} is in use: choose another with --port, or 0.`;
  return code === "ERR_SOCKET_BAD_PORT" ? `--port ${port}: not a port` : message;
}

async function end(): Promise<void> {
  if (state !== undefined) await writeFile(state, emulator.save(), { mode: 0o600 });
  await emulator.close();
}

function pushOf(url: string | undefined, host: string | undefined): Push {
  if (url !== undefined) return { kind: "push", url };
  return host === undefined ? { kind: "none" } : { kind: "pubsub_emulator", host };
}
