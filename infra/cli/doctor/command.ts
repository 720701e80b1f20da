/** `npm run doctor`: whether a deployment, or the local stack, is as it has to be. */
import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { Command, CommanderError } from "commander";
import { type Finding, allChecks, pickChecks, runChecks } from "./checks.ts";
import { googleCloud } from "./cloud.ts";
import { cloudDeployment, localDeployment } from "./deployment.ts";
import { WrongEmulatorHost, placesOf } from "./endpoints.ts";
import { exitCodeOf, linesOf, summaryOf } from "./report.ts";

const HELP = `
It asks Google's APIs with the application default credentials (gcloud auth application-default
login), reads the settings that the functions were deployed with, and changes nothing. What you may
not see is "could not check", with the role that would show it. roles/viewer sees nearly all;
the content of the secrets needs roles/secretmanager.secretAccessor, and TOKEN_KEYS
roles/cloudkms.cryptoKeyDecrypter.

Exit codes: 0 nothing is wrong (there may be warnings), 1 something is, 2 wrong usage, 3 nothing is
known to be wrong, but not everything could be checked.`;

const WRONG = 2;
const LOCAL_VARIABLES = ["FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "GMAIL_EMULATOR_HOST"];

interface Options {
  project?: string;
  region: string;
  json?: true;
  mailbox?: string;
  wait: number;
  only: string[];
  local?: true | string;
}

const program = new Command("doctor")
  .description("Checks a deployment, and says how to mend what is wrong. It changes nothing.")
  .option("--project <project>", "the Google Cloud project (GOOGLE_CLOUD_PROJECT unless said)")
  .option("--region <region>", "of the functions", process.env["REGION"] || "us-central1")
  .option("--json", "print the findings as JSON")
  .option("--only <check>", "this check, or those below it (functions); repeatable", collect, [])
  .option("--mailbox <address>", "wait until a mail that you send there has come through")
  .option("--wait <seconds>", "for that mail, at most", readSeconds, 120)
  .option(
    "--local [file]",
    "the local stack, with its settings from an env file, or the environment",
  )
  .addHelpText("after", HELP)
  .showHelpAfterError("(see --help)")
  .exitOverride();

try {
  program.parse();
  process.exitCode = await examine(program.opts<Options>());
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : WRONG;
  else if (error instanceof WrongEmulatorHost) refuse(error.message);
  else throw error;
}

async function examine(options: Options): Promise<number> {
  const { only, json = false } = options;
  const env = readEnvironment(options);
  const places = placesOf(env);
  const isLocal =
    options.local !== undefined ||
    (!env["GOOGLE_CLOUD_EMULATOR_HOST"] && LOCAL_VARIABLES.some((name) => env[name]));
  const projectId = options.project ?? env["GOOGLE_CLOUD_PROJECT"] ?? "";
  if (!isLocal && !/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(projectId)) {
    return refuse("--project needs a project id");
  }
  const watching = options.mailbox === undefined ? undefined : watch(options.mailbox, options.wait);
  const checks = pickChecks(allChecks(places, watching), only);
  if (checks.length === 0) {
    const names = allChecks(places, watching).map(({ name }) => name);
    return refuse(`there is no check ${only.join(", ")}. There are: ${names.join(", ")}`);
  }
  const it = isLocal
    ? localDeployment(env, (id) => googleCloud(places, id))
    : cloudDeployment(projectId, options.region, googleCloud(places, projectId));
  const findings = await runChecks(checks, it);
  print(json, { kind: it.kind, projectId: it.projectId, region: it.region, findings });
  return exitCodeOf(findings);
}

function readEnvironment({ local }: Options): Record<string, string | undefined> {
  if (typeof local !== "string") return process.env;
  return { ...process.env, ...parseEnv(readFileSync(local, "utf8")) };
}

function watch(emailAddress: string, seconds: number) {
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  return { emailAddress, waitMs: seconds * 1_000, say };
}

function print(
  isJson: boolean,
  report: { kind: string; projectId: string; region: string; findings: readonly Finding[] },
): void {
  const { findings } = report;
  const lines = isJson ? [JSON.stringify(report)] : [...linesOf(findings), "", summaryOf(findings)];
  process.stdout.write(`${lines.join("\n")}\n`);
}

function refuse(message: string): number {
  process.stderr.write(`doctor: ${message}\n`);
  process.exitCode = WRONG;
  return WRONG;
}

function collect(value: string, all: readonly string[]): string[] {
  return [...all, value];
}

function readSeconds(value: string): number {
  const seconds = Number(value);
  if (!/^\d{1,4}$/.test(value) || seconds === 0) {
    program.error("error: --wait needs a number of seconds", { exitCode: WRONG });
  }
  return seconds;
}
