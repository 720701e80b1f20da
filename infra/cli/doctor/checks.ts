import { type Watching, mailbox } from "./checks/mailbox.ts";
import { apis, configuration, credentials, project } from "./checks/project.ts";
import { changesTopic, gmailPublishes, gmailTopic } from "./checks/topics.ts";
import { database, indexes, rules, ttl } from "./checks/firestore.ts";
import { deadLetters, notifications } from "./checks/subscription.ts";
import { builds, images } from "./checks/builds.ts";
import { deployedFunction } from "./checks/functions.ts";
import { kmsKey, tokenKeys } from "./checks/keys.ts";
import { mailServer } from "./checks/mail-server.ts";
import { newestSecrets, secrets } from "./checks/secrets.ts";
import { oauthClient, oauthProject } from "./checks/oauth-client.ts";
import { publicUrl, redirectUri } from "./checks/pages.ts";
import { requestLogs } from "./checks/request-logs.ts";
import { schedule } from "./checks/schedules.ts";
import { securityEvents } from "./checks/security-events.ts";
import { users } from "./checks/users.ts";
import { FUNCTION_NAMES } from "../functions.ts";
import type { Deployment } from "./deployment.ts";
import type { Endpoints } from "./endpoints.ts";
import { type Verdict, Unchecked } from "./verdict.ts";

/** One question about a deployment. It changes nothing. */
export interface Check {
  name: string;
  /** Whether the local stack has what this check looks at. */
  isLocal: boolean;
  run(it: Deployment): Promise<Verdict>;
}

/** Returns every check, in the order of a deployment. */
export function allChecks(endpoints: Endpoints, watching: Watching | undefined): Check[] {
  return [
    cloudOnly("credentials", credentials(endpoints)),
    cloudOnly("project", project),
    cloudOnly("apis", apis),
    anywhere("configuration", configuration),
    ...FUNCTION_NAMES.map((name) => cloudOnly(`functions/${name}`, deployedFunction(name))),
    cloudOnly("builds", builds),
    cloudOnly("builds/images", images),
    cloudOnly("secrets", secrets),
    cloudOnly("secrets/newest", newestSecrets),
    cloudOnly("kms-key", kmsKey),
    anywhere("token-keys", tokenKeys),
    anywhere("gmail-topic", gmailTopic),
    cloudOnly("gmail-publishes", gmailPublishes),
    anywhere("changes-topic", changesTopic),
    cloudOnly("notifications", notifications),
    cloudOnly("dead-letters", deadLetters),
    cloudOnly("schedules/watchRenewal", schedule("watchRenewal")),
    cloudOnly("schedules/mailboxReconciliation", schedule("mailboxReconciliation")),
    cloudOnly("firestore", database),
    cloudOnly("firestore/indexes", indexes),
    cloudOnly("firestore/ttl", ttl),
    cloudOnly("firestore/rules", rules),
    cloudOnly("request-logs", requestLogs),
    anywhere("public-url", publicUrl(endpoints)),
    anywhere("oauth-client", oauthClient(endpoints)),
    cloudOnly("oauth-project", oauthProject),
    anywhere("redirect-uri", redirectUri(endpoints)),
    cloudOnly("security-events", securityEvents(endpoints)),
    anywhere("mail-server", mailServer),
    anywhere("users", users),
    ...(watching === undefined ? [] : [anywhere("mailbox", mailbox(watching))]),
  ];
}

/** The verdict of one check, with the check's name. */
export type Finding = { check: string } & Verdict;

/**
 * Returns the checks of these names and those below them (`functions` has one for each function);
 * all checks if no name is given.
 */
export function pickChecks(checks: readonly Check[], only: readonly string[]): Check[] {
  if (only.length === 0) return [...checks];
  return checks.filter(({ name }) =>
    only.some((one) => name === one || name.startsWith(`${one}/`)),
  );
}

/**
 * Runs the checks in parallel. An {@link Unchecked} becomes a result; any other error is thrown.
 */
export function runChecks(checks: readonly Check[], it: Deployment): Promise<Finding[]> {
  return Promise.all(
    checks.map(async ({ name, isLocal, run }): Promise<Finding> => {
      if (it.kind === "local" && !isLocal) {
        return { check: name, kind: "absent", said: "not on the local stack" };
      }
      return findingOf(name, () => run(it));
    }),
  );
}

/** Returns what one check finds. */
export async function findingOf(check: string, run: () => Promise<Verdict>): Promise<Finding> {
  try {
    return { check, ...(await run()) };
  } catch (error) {
    if (!(error instanceof Unchecked)) throw error;
    const { message: said, fix } = error;
    return { check, kind: "unchecked", said, ...(fix !== undefined && { fix }) };
  }
}

function cloudOnly(name: string, run: Check["run"]): Check {
  return { name, isLocal: false, run };
}

function anywhere(name: string, run: Check["run"]): Check {
  return { name, isLocal: true, run };
}
