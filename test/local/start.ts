import { parseArgs } from "node:util";
import { isLoopbackOrigin } from "../support/loopback-only.ts";
import { type Playground, startPlayground } from "./playground.ts";
import { type Delivery, PUSH_ACCOUNT } from "./push-subscription.ts";

const USAGE = `Usage: npm start [-- --push URL]

  --push URL   deliver every change to this URL on this machine, as a Pub/Sub push subscription would`;

const push = readPush();
if (push === undefined) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  const playground = await startPlayground({
    pagePort: 3000,
    connectPort: 8080,
    gmailApiPort: 8081,
    googlePort: 8090,
    ...(push !== "" && { push, onDelivery: (delivery) => console.log(inWords(delivery)) }),
  });
  console.log(introduction(playground));
  if (push !== "") console.log(pushed(push, playground));
  console.log("\nCtrl-C ends it.");
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void playground.close());
  }
}

/** The URL of `--push`, empty without it; `undefined` when the command line is wrong. */
function readPush(): string | undefined {
  try {
    const { push: url = "" } = parseArgs({ options: { push: { type: "string" } } }).values;
    const isFine = url === "" || (url.startsWith("http://") && isLoopbackOrigin(url));
    return isFine ? url : undefined;
  } catch {
    return undefined;
  }
}

function introduction({ url }: Playground): string {
  return `
The receiver runs on this machine, against an emulated Google. Open

  ${url}/

1. Connect ada@example.com; Google's consent page opens in a new tab.
2. Deliver a mail and watch the change arrive. Then change her password and deliver another.
3. Open the link in the re-authorization event, or in the mail to her, and allow access: what was
   missed arrives.`;
}

function pushed(endpoint: string, { stack }: Playground): string {
  const { url } = stack.emulator;
  const settings = [
    ["PUSH_AUDIENCE", endpoint],
    ["PUSH_SERVICE_ACCOUNT", PUSH_ACCOUNT],
    ["PUSH_CERTS_URL", `${url}/oauth2/v3/certs`],
    ["GMAIL_API_URL", stack.urls.gmailApi],
    ["METADATA_URL", url],
  ];
  return `
Every change is delivered to ${endpoint} until it is acknowledged. To verify a delivery and to
read mail, a subscriber needs

${settings.map(([name, value]) => `  ${name}=${value}`).join("\n")}`;
}

/** One line for each delivery, and one for each refusal. */
function inWords({ event, outcome, isAcknowledged, retryMs }: Delivery): string {
  const { "ce-type": type, "ce-id": id } = event.attributes;
  const again = isAcknowledged ? "" : `, again in ${retryMs / 1_000} s`;
  return `${outcome}  ${type}  ${id}${again}`;
}
