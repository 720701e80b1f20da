import { type Command, InvalidArgumentError } from "commander";
import { usageError } from "../errors.ts";
import { type Session, printResult } from "../session.ts";
import { type Where, checkProjectId, isLocalStack, whereOptions, withLocalFile } from "../where.ts";
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

interface Options extends Where {
  mailbox?: string;
  wait: number;
  only: string[];
}

/**
 * Defines `gmail-push doctor`, which says what is wrong with a deployment or with the local stack.
 */
export function defineDoctor(doctor: Command, session: Session): void {
  whereOptions(doctor, session.env)
    .option("--only <check>", "this check, or those below it (functions); repeatable", collect, [])
    .option("--mailbox <address>", "wait until a mail that you send there has come through")
    .option("--wait <seconds>", "for that mail, at most", readSeconds, 120)
    .addHelpText("after", HELP)
    .action((options: Options) => examine(options, session));
}

async function examine(options: Options, session: Session): Promise<void> {
  const { only, region, mailbox, wait, local } = options;
  const env = withLocalFile(local, session.env);
  const endpoints = endpointsOf(env);
  const isLocal = isLocalStack(local, env);
  const projectId = options.project ?? env["GOOGLE_CLOUD_PROJECT"] ?? "";
  if (!isLocal) checkProjectId(projectId);
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

function collect(value: string, all: readonly string[]): string[] {
  return [...all, value];
}

function readSeconds(value: string): number {
  const seconds = Number(value);
  if (/^\d{1,4}$/.test(value) && seconds > 0) return seconds;
  throw new InvalidArgumentError("It is not a number of seconds, at most 9999.");
}
