import { openSync, writeSync } from "node:fs";
import open from "open";
import { isLoopbackOrigin } from "../support/loopback-only.ts";
import { readOptions } from "../support/options.ts";
import { freePort } from "../support/program.ts";
import { type Playground, startPlayground } from "./playground.ts";
import { type Delivery, PUSH_ACCOUNT } from "./push-subscription.ts";
import { settingsFrom } from "./settings.ts";

const PORTS = { page: 3000, connect: 8080, gmailApi: 8081, google: 8090 };
const PORT_MAX = 65_535;

const USAGE = `Usage: npm start [-- OPTIONS]

  --push URL      deliver every change to this URL on this machine, as a Pub/Sub push subscription would
  --port N        the port of the page (${PORTS.page})
  --data FOLDER   continue from this folder, and keep everything in it: accounts, mail, users, events.
                  Without it, everything is gone at the end
  --seed N        the emulated Google makes the same ids and tokens for the same number
  --record FILE   write down what happens, for npm run check-recording; FILE is replaced
  --open          open the page in the browser
  --help          show this text

The receiver's settings are taken from the environment (functions/docs/configuration.md), as in
CHANGES_DETAIL=headers npm start`;

interface Options {
  push?: string;
  port?: number;
  data?: string;
  seed?: number;
  record?: string;
  open?: boolean;
}

const checked = checkOptions();
if (typeof checked === "string") fail(2, `${checked}\n\n${USAGE}`);
else await start(checked);

async function start(options: Options): Promise<void> {
  const { push, port, data, seed, record, open: isOpened = false } = options;
  if (port !== undefined && (await freePort(port)) !== port) {
    return fail(1, `port ${port} is in use: end the program that has it, or choose another --port`);
  }
  let recordLine: ((line: object) => void) | undefined;
  try {
    recordLine = record === undefined ? undefined : recordTo(record);
  } catch (error) {
    return fail(1, error instanceof Error ? error.message : String(error));
  }
  const playground = await startPlayground({
    pagePort: port ?? PORTS.page,
    connectPort: PORTS.connect,
    gmailApiPort: PORTS.gmailApi,
    googlePort: PORTS.google,
    env: settingsFrom(process.env),
    ...(push !== undefined && { push, onDelivery: (delivery) => console.log(inWords(delivery)) }),
    ...(data !== undefined && { data }),
    ...(seed !== undefined && { seed }),
    ...(recordLine !== undefined && { record: recordLine }),
  }).catch((error: unknown) => {
    fail(1, error instanceof Error ? error.message : String(error));
    // What was opened before the problem would keep this program running.
    process.exit();
  });
  if (playground === undefined) return;
  console.log(introduction(playground));
  for (const line of moved(playground, port)) console.log(line);
  if (push !== undefined) console.log(pushed(push, playground));
  if (record !== undefined) {
    console.log(`\nEverything is recorded: npm run check-recording -- ${record} judges it.`);
  }
  console.log("\nCtrl-C ends it.");
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => void playground.close());
  }
  if (isOpened) await open(`${playground.url}/`);
}

/** Returns what is wrong with the values as text. */
function checkOptions(): Options | string {
  const { values } = readOptions(USAGE, {
    options: {
      push: { type: "string" },
      port: { type: "string" },
      data: { type: "string" },
      seed: { type: "string" },
      record: { type: "string" },
      open: { type: "boolean" },
    },
  });
  const { push, port: portText, seed: seedText, ...rest } = values;
  if (push !== undefined && !(push.startsWith("http://") && isLoopbackOrigin(push))) {
    return "--push needs an http:// URL on this machine";
  }
  const port = numberOf(portText, 1, PORT_MAX);
  if (Number.isNaN(port)) return `--port needs a number from 1 to ${PORT_MAX}`;
  const seed = numberOf(seedText, 0, Number.MAX_SAFE_INTEGER);
  if (Number.isNaN(seed)) return "--seed needs a whole number";
  return {
    ...rest,
    ...(push !== undefined && { push }),
    ...(port !== undefined && { port }),
    ...(seed !== undefined && { seed }),
  };
}

/** Returns what writes lines of JSON to a file, at once: they are there when the program is killed. */
function recordTo(file: string): (line: object) => void {
  const opened = openSync(file, "w", 0o600);
  return (line) => void writeSync(opened, `${JSON.stringify(line)}\n`);
}

/** `NaN` for what is no whole number in the range. */
function numberOf(text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return number >= min && number <= max ? number : Number.NaN;
}

function fail(exitCode: number, text: string): undefined {
  console.error(text);
  process.exitCode = exitCode;
}

function introduction({ url }: Playground): string {
  return `
The receiver runs on this machine, against an emulated Google. Open

  ${url}/

The guide on the page leads through the whole story: connect ada@example.com, deliver a mail, see the
change, take the access away, allow it again, and see that nothing was lost.`;
}

/** Names the usual ports that other programs have. */
function moved({ url, stack }: Playground, port = PORTS.page): string[] {
  const places = [
    { what: "the page", wanted: port, at: url },
    { what: "connect", wanted: PORTS.connect, at: stack.urls.connect },
    { what: "gmailApi", wanted: PORTS.gmailApi, at: stack.urls.gmailApi },
    { what: "the emulated Google", wanted: PORTS.google, at: stack.emulator.url },
  ].filter(({ wanted, at }) => Number(new URL(at).port) !== wanted);
  const lines = places.map(
    ({ what, wanted, at }) => `  port ${wanted} is in use, so ${what} is at ${at}`,
  );
  return lines.length === 0 ? [] : ["", ...lines, "  Does another npm start run?"];
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
