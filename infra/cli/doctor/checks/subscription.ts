import { z } from "zod";
import { FUNCTIONS } from "../../functions.ts";
import { type Deployment, addressesOf, deployed, lastPart } from "../deployment.ts";
import {
  type Problem,
  type Verdict,
  Unchecked,
  failed,
  gcloud,
  passed,
  unlessAny,
  warning,
} from "../verdict.ts";
import { readPolicy, withoutRight } from "../iam.ts";

/** Pub/Sub v1, `projects.subscriptions`. */
const Subscription = z.object({
  name: z.string(),
  state: z.string().default("ACTIVE"),
  ackDeadlineSeconds: z.number().default(10),
  retryPolicy: z.object({ minimumBackoff: z.string().optional() }).optional(),
  expirationPolicy: z.object({ ttl: z.string().optional() }).optional(),
  deadLetterPolicy: z.object({ deadLetterTopic: z.string().default("") }).optional(),
  pushConfig: z
    .object({
      pushEndpoint: z.string().optional(),
      oidcToken: z
        .object({ serviceAccountEmail: z.string().default(""), audience: z.string().optional() })
        .optional(),
    })
    .default({}),
});
type Subscription = z.infer<typeof Subscription>;

const VIEWER = "roles/pubsub.viewer";
/** The name of the topic in a subscription whose topic was deleted. */
const DELETED_TOPIC = "_deleted-topic_";

/**
 * Checks the subscription that calls `gmailNotification`, created by Eventarc or Terraform and
 * found by its push URL.
 */
export async function notifications(it: Deployment): Promise<Verdict> {
  const { subscription, addresses } = await findSubscription(it);
  const redeploy = await it.redeploy();
  if (subscription === undefined) {
    return failed("no subscription of the topic pushes to gmailNotification", redeploy);
  }
  const name = lastPart(subscription.name);
  const update = (...flags: string[]) =>
    gcloud(it.projectId, "pubsub", "subscriptions", "update", name, ...flags);
  const { timeoutSeconds } = FUNCTIONS.gmailNotification;
  const { oidcToken } = subscription.pushConfig;
  const problems: Problem[] = [];
  const add = (what: string, fix: string) => void problems.push({ what, fix });
  if (subscription.state !== "ACTIVE") add(`its state is ${subscription.state}`, redeploy);
  if (subscription.ackDeadlineSeconds < timeoutSeconds) {
    const { ackDeadlineSeconds } = subscription;
    const what = `a push is given up after ${ackDeadlineSeconds} s, the function takes up to ${timeoutSeconds}`;
    add(what, update("--ack-deadline=600"));
  }
  if (subscription.retryPolicy === undefined) {
    add(
      "what fails comes again at once",
      update("--min-retry-delay=10s", "--max-retry-delay=600s"),
    );
  }
  if (
    subscription.expirationPolicy?.ttl !== undefined ||
    subscription.expirationPolicy === undefined
  ) {
    add("it expires when nothing comes for a while", update("--expiration-period=never"));
  }
  if (oidcToken === undefined) add("its pushes are not signed", redeploy);
  else if (!addresses.includes(oidcToken.audience ?? "")) {
    const { pushEndpoint = "" } = subscription.pushConfig;
    add(
      `its audience is ${oidcToken.audience ?? "not set"}, not the function's URL`,
      gcloud(
        it.projectId,
        "pubsub",
        "subscriptions",
        "modify-push-config",
        name,
        `--push-endpoint=${pushEndpoint}`,
        `--push-auth-service-account=${oidcToken.serviceAccountEmail}`,
        `--push-auth-token-audience=${addresses[0] ?? ""}`,
      ),
    );
  }
  if (oidcToken !== undefined) {
    problems.push(...(await mayCall(it, "gmailNotification", oidcToken.serviceAccountEmail)));
  }
  return unlessAny(problems, name);
}

/** Checks that undeliverable messages are kept where an operator can read them. */
export async function deadLetters(it: Deployment): Promise<Verdict> {
  const { subscription } = await findSubscription(it);
  if (subscription === undefined) throw new Unchecked("no subscription (see notifications)");
  const name = lastPart(subscription.name);
  const redeploy = await it.redeploy();
  const topic = subscription.deadLetterPolicy?.deadLetterTopic ?? "";
  if (topic === "") {
    // The reconciliation finds what dropped notifications announced.
    return warning(`${name} drops what cannot be delivered`, redeploy);
  }
  const { number } = await it.project();
  const agent = `service-${number}@gcp-sa-pubsub.iam.gserviceaccount.com`;
  const isGone =
    topic === DELETED_TOPIC ||
    (await it.cloud.ask({ api: "pubsub", path: topic, shape: z.object({}), role: VIEWER })) ===
      undefined;
  if (isGone) return failed(`the topic of dead letters is gone: ${topic}`, redeploy);
  const problems: Problem[] = [];
  if ((await subscriptionsOf(it, topic)).length === 0) {
    const flags = ["--message-retention-duration=7d", "--expiration-period=never"];
    problems.push({
      what: `${lastPart(topic)} has no subscription, so what arrives there is lost`,
      fix: gcloud(
        it.projectId,
        "pubsub",
        "subscriptions",
        "create",
        lastPart(topic),
        `--topic=${lastPart(topic)}`,
        ...flags,
      ),
    });
  }
  for (const [right, group, resource] of [
    ["publish", "topics", topic],
    ["subscribe", "subscriptions", subscription.name],
  ] as const) {
    const own = await readPolicy(it.cloud, "pubsub", resource, "roles/pubsub.admin");
    const lacking = await withoutRight(right, [agent], own, it.projectPolicy);
    const role = right === "publish" ? "roles/pubsub.publisher" : "roles/pubsub.subscriber";
    for (const account of lacking) {
      problems.push({
        what: `Pub/Sub itself may not ${right} on ${lastPart(resource)}`,
        fix: gcloud(
          it.projectId,
          "pubsub",
          group,
          "add-iam-policy-binding",
          lastPart(resource),
          `--member=serviceAccount:${account}`,
          `--role=${role}`,
        ),
      });
    }
  }
  return problems.length > 0 ? { kind: "failed", problems } : passed(lastPart(topic));
}

/** Returns whether this account may call one of the private functions. */
export async function mayCall(
  it: Deployment,
  name: "gmailNotification" | "watchRenewal" | "mailboxReconciliation",
  account: string,
): Promise<Problem[]> {
  const { service } = (await deployed(it, name)).serviceConfig;
  const own = await readPolicy(it.cloud, "run", service, "roles/run.viewer");
  const lacking = await withoutRight("invoke", [account], own, it.projectPolicy);
  return lacking.map(() => ({
    what: `${account} may not call ${name}`,
    fix: gcloud(
      it.projectId,
      "run",
      "services",
      "add-iam-policy-binding",
      lastPart(service),
      `--region=${it.region}`,
      `--member=serviceAccount:${account}`,
      "--role=roles/run.invoker",
    ),
  }));
}

async function findSubscription(
  it: Deployment,
): Promise<{ subscription: Subscription | undefined; addresses: string[] }> {
  const { gmail } = await it.config();
  const { number } = await it.project();
  const addresses = addressesOf(await deployed(it, "gmailNotification"), number, it.region);
  const all = await Promise.all(
    (await subscriptionsOf(it, gmail.topic)).map((path) =>
      it.cloud.ask({ api: "pubsub", path, shape: Subscription, role: VIEWER }),
    ),
  );
  const subscription = all.find((each) => {
    const endpoint = each?.pushConfig.pushEndpoint ?? "";
    return addresses.some((address) => isAt(endpoint, address));
  });
  return { subscription, addresses };
}

/** Whether a URL is the given one or below it. */
export function isAt(url: string, address: string): boolean {
  return url.startsWith(address) && /^([/?]|$)/.test(url.slice(address.length));
}

async function subscriptionsOf(it: Deployment, topic: string): Promise<string[]> {
  const question = { api: "pubsub", path: `${topic}/subscriptions`, role: VIEWER } as const;
  const names = await it.cloud.askAll(question, "subscriptions", z.string());
  if (names === undefined) throw new Unchecked(`there is no topic ${topic}`);
  return names;
}
