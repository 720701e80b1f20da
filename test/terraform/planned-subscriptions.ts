import path from "node:path";
import { SETTINGS, valuesOf } from "./planned.ts";
import type { PlannedResource } from "./terraform.ts";

/** Subscriptions that could lose a message by one of Pub/Sub's defaults. */
export function findLossySubscriptions(resources: PlannedResource[]): string[] {
  const all = valuesOf(resources, "google_pubsub_subscription").map(({ values }) => values);
  const kept = new Set(all.map(({ topic }) => topic));
  const members = [
    ...valuesOf(resources, "google_pubsub_subscription_iam_member"),
    ...valuesOf(resources, "google_pubsub_topic_iam_member"),
  ].map(({ values }) => values);
  const isMoved = (role: string, target: object) =>
    members.some((member) => {
      const wanted = { role, member: PUBSUB, ...target };
      return Object.entries(wanted).every(([name, value]) => member[name] === value);
    });
  const slowest = Math.max(...Object.values(SETTINGS).map(({ timeoutSeconds }) => timeoutSeconds));

  return all
    .filter((values) => {
      const [expiration] = (values["expiration_policy"] ?? []) as { ttl: string }[];
      if (expiration?.ttl !== "") return true;
      // Dead letters themselves are kept until somebody looks at them.
      if (String(values["name"]).endsWith("-dead-letters")) return false;
      const [deadLetters] = (values["dead_letter_policy"] ?? []) as { dead_letter_topic: string }[];
      const topic = deadLetters?.dead_letter_topic ?? "";
      return !(
        kept.has(topic) &&
        isMoved("roles/pubsub.publisher", { topic: path.basename(topic) }) &&
        isMoved("roles/pubsub.subscriber", { subscription: values["name"] }) &&
        Number(values["ack_deadline_seconds"]) > slowest &&
        (values["retry_policy"] as unknown[]).length === 1
      );
    })
    .map(({ name }) => String(name));
}

const PUBSUB = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com";
