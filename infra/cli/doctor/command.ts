import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { type Command, InvalidArgumentError } from "commander";
import { usageError } from "../errors.ts";
import { type Environment, type Session, printResult } from "../session.ts";
import { allChecks, pickChecks, runChecks } from "./checks.ts";
import { googleCloud } from "./cloud.ts";
import { cloudDeployment, localDeployment } from "./deployment.ts";
import { endpointsOf } from "./endpoints.ts";
import { exitCodeOf, linesOf, summaryOf } from "./report.ts";

const HELP = `
It asks Google's APIs with the application default credentials (gcloud auth application-default
login), reads the settings that the functions were deployed with, and changes nothing. What you may
not see is "could not check", with the role that would show it. roles/viewer sees nearly all;
the content of the secrets needs roles/secretmanager.secretAccessor, and TOKEN_KEYS
roles/cloudkms.cryptoKeyDecrypter.`;

const LOCAL_VARIABLES = ["FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "GMAIL_EMULATOR_HOST"];

interface Options {
  project?: string;
  region: string;
  mailbox?: string;
  wait: number;
  only: string[];
  local?: true | string;
}

/**
 * Defines `gmail-push doctor`, which says what is wrong with a deployment or with the local stack.
 */
export function defineDoctor(doctor: Command, session: Session): void {
  doctor
    .option("--project <project>", "the Google Cloud project (GOOGLE_CLOUD_PROJECT unless given)")
    .option("--region <region>", "of the functions", session.env["REGION"] || "us-central1")
    .option("--only <check>", "this check, or those below it (functions); repeatable", collect, [])
    .option("--mailbox <address>", "wait until a mail that you send there has come through")
    .option("--wait <seconds>", "for that mail, at most", readSeconds, 120)
    .option(
      "--local [file]",
      "the local stack, with its settings from an env file, or the environment",
    )
    .addHelpText("after", HELP)
    .action((options: Options) => examine(options, session));
}

async function examine(options: Options, session: Session): Promise<void> {
  const { only, region, mailbox, wait, local } = options;
  const env = readEnvironment(local, session.env);
  const endpoints = endpointsOf(env);
  const isLocal =
    local !== undefined ||
    (!env["GOOGLE_CLOUD_EMULATOR_HOST"] && LOCAL_VARIABLES.some((name) => env[name]));
  const projectId = options.project ?? env["GOOGLE_CLOUD_PROJECT"] ?? "";
  if (!isLocal && !/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(projectId)) {
    throw usageError("--project needs a project id");
  }
  const say = (line: string) => session.terminal.note(line);
  const watching =
    mailbox === undefined ? undefined : { emailAddress: mailbox, waitMs: wait * 1_000, say };
  const all = allChecks(endpoints, watching);
  const checks = pickChecks(all, only);
  if (checks.length === 0) {
    const names = all.map(({ name }) => name).join(", ");
    throw usageError(`there is no check ${only.join(", ")}. There are: ${names}`);
  }
  const deployment = isLocal
    ? localDeployment(env, (id) => googleCloud(endpoints, id))
    : cloudDeployment(projectId, region, googleCloud(endpoints, projectId));
  const findings = await runChecks(checks, deployment);
  const { kind } = deployment;
  await printResult(
    session,
    { kind, projectId: deployment.projectId, region: deployment.region, findings },
    [...linesOf(findings), "", summaryOf(findings)],
  );
  session.endWith(exitCodeOf(findings));
}

function readEnvironment(local: Options["local"], env: Environment): Environment {
  if (typeof local !== "string") return env;
  try {
    return { ...env, ...parseEnv(readFileSync(local, "utf8")) };
  } catch {
    throw usageError(`${local} cannot be read`);
  }
}

function collect(value: string, all: readonly string[]): string[] {
  return [...all, value];
}

function readSeconds(value: string): number {
  const seconds = Number(value);
  if (/^\d{1,4}$/.test(value) && seconds > 0) return seconds;
  throw new InvalidArgumentError("It is not a number of seconds, at most 9999.");
}
