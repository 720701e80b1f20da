import { type Message, PubSub } from "@google-cloud/pubsub";
import {
  type Emulator,
  type EmulatorSource,
  findInGcloudSdk,
  javaVersion,
  launchedEmulator,
  runningEmulator,
} from "./emulator-source.ts";
import { firebaseEmulator } from "./firebase-cli.ts";

/**
 * The Pub/Sub emulator: the one that `PUBSUB_EMULATOR_HOST` names, else the gcloud SDK's, else the
 * one that the Firebase CLI downloads.
 */
export function findPubsubEmulator(): EmulatorSource {
  const host = process.env["PUBSUB_EMULATOR_HOST"];
  if (host) return runningEmulator(host);
  if (javaVersion() === 0) {
    return { kind: "missing", why: "there is no Java, which the Pub/Sub emulator needs" };
  }
  const launcher = findPubsubLauncher();
  if (launcher === undefined) return firebaseEmulator("pubsub");
  return launchedEmulator(launcher, (port) => ["--host=127.0.0.1", `--port=${port}`]);
}

/** The gcloud SDK's launcher, which the Firebase CLI takes as `PUBSUB_EMULATOR_BINARY_PATH`. */
export function findPubsubLauncher(): string | undefined {
  return findInGcloudSdk("platform/pubsub-emulator/bin/cloud-pubsub-emulator");
}

export function openPubsub({ host }: Pick<Emulator, "host">, projectId: string): PubSub {
  // Without it the client asks the network whether this machine is one of Google's.
  process.env["METADATA_SERVER_DETECTION"] ??= "none";
  return new PubSub({ projectId, apiEndpoint: host, emulatorMode: true });
}

/** What a subscriber has received, in the order of arrival. */
export interface Subscriber {
  readonly received: readonly Received[];
  close(): Promise<void>;
}

export interface Received {
  attributes: Record<string, string>;
  orderingKey: string;
  /** The message as it came. */
  text: string;
  json: Record<string, unknown>;
}

/** Creates the topic if it is not there, and subscribes to it in the order of its keys. */
export async function subscribe(
  pubsub: PubSub,
  topicName: string,
  onReceived: (received: Received) => void = () => {},
): Promise<Subscriber> {
  const [topic] = await pubsub.topic(topicName).get({ autoCreate: true });
  const [subscription] = await topic.createSubscription(`${topicName}-subscriber`, {
    enableMessageOrdering: true,
    ackDeadlineSeconds: 60,
  });
  const received: Received[] = [];
  subscription.on("error", () => {
    // Its topic or the emulator is gone: a test that waits for a message will say so.
  });
  subscription.on("message", (message: Message) => {
    const { attributes, orderingKey = "", data } = message;
    const text = data.toString("utf8");
    const one = { attributes, orderingKey, text, json: JSON.parse(text) };
    received.push(one);
    onReceived(one);
    message.ack();
  });
  return { received, close: () => subscription.close() };
}
