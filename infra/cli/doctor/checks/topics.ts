import { z } from "zod";
import { type Deployment, accountsOf, lastPart } from "../deployment.ts";
import { type Verdict, Unchecked, failed, gcloud, passed, unlessAny } from "../verdict.ts";
import { isAllowed, readPolicy, withoutRight } from "../iam.ts";

/**
 * The account with which Gmail publishes (Gmail push guide, "Grant publish rights on your topic").
 */
export const GMAIL = "serviceAccount:gmail-api-push@system.gserviceaccount.com";
const VIEWER = "roles/pubsub.viewer";

/** Checks that `GMAIL_TOPIC` exists, in the project that owns the OAuth client. */
export async function gmailTopic(it: Deployment): Promise<Verdict> {
  const { gmail } = await it.config();
  return describeTopic(it, gmail.topic);
}

/** Checks that Gmail's own account may publish there, and no other. */
export async function gmailPublishes(it: Deployment): Promise<Verdict> {
  const { gmail } = await it.config();
  const policy = await readPolicy(it.cloud, "pubsub", gmail.topic, "roles/pubsub.admin");
  if (policy === undefined) throw new Unchecked("there is no topic (see gmail-topic)");
  if (isAllowed("publish", GMAIL, [policy])) return passed("Gmail may publish");
  return failed(
    'Gmail may not publish, so no mailbox can be watched. If a policy rejects the command: infra/docs/deploy-gcloud.md, "In an organization"',
    mayPublish(gmail.topic, GMAIL),
  );
}

/** Checks that `CHANGES_TOPIC` exists, and that every function may publish to it. */
export async function changesTopic(it: Deployment): Promise<Verdict> {
  const { changes } = await it.config();
  const described = await describeTopic(it, changes.topic);
  if (described.kind !== "ok" || it.kind === "local") return described;
  const policy = await readPolicy(it.cloud, "pubsub", changes.topic, "roles/pubsub.admin");
  const lacking = await withoutRight("publish", await accountsOf(it), policy, it.projectPolicy);
  return unlessAny(
    lacking.map((account) => ({
      what: `${account} may not publish on it`,
      fix: mayPublish(changes.topic, `serviceAccount:${account}`),
    })),
    described.said,
  );
}

async function describeTopic(it: Deployment, topic: string): Promise<Verdict> {
  const shape = z.object({ name: z.string() });
  const found = await it.cloud.ask({ api: "pubsub", path: topic, shape, role: VIEWER });
  if (found !== undefined) return passed(topic);
  const fix = gcloud(projectOf(topic), "pubsub", "topics", "create", lastPart(topic));
  return failed(`there is no topic ${topic}`, fix);
}

function mayPublish(topic: string, member: string): string {
  return gcloud(
    projectOf(topic),
    "pubsub",
    "topics",
    "add-iam-policy-binding",
    lastPart(topic),
    `--member=${member}`,
    "--role=roles/pubsub.publisher",
  );
}

function projectOf(topic: string): string {
  return topic.split("/")[1] ?? "";
}
