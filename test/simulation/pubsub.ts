import type { Receiver } from "../../functions/src/receiver.ts";
import { type Notification, notificationData } from "../gmail-emulator/notifications.ts";
import type { End, Fleet, Instance } from "./fleet.ts";
import type { World } from "./world.ts";

/** The subscription that brings Gmail's notifications: each at least once, in any order. */
export interface SimulatedPubsub {
  accept(notification: Notification): void;
  /** Messages that have not been acknowledged. */
  pending(): number;
  attempts(): number;
  onAttempt: (notification: Notification, instance: Instance) => void;
  onAcknowledged: (notification: Notification, messageId: string) => void;
  /** A message is on its way, for as long as it takes. */
  onDelivery: (notification: Notification) => void;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const BACKOFF_MS_MIN = 10 * SECOND;
const BACKOFF_MS_MAX = 600 * SECOND;
/** A push that is not answered in this time is made again, whether or not it is at work still. */
const ACK_DEADLINE_MS = 10 * MINUTE;

export function createSimulatedPubsub(
  world: World,
  invoke: () => Fleet["invoke"],
): SimulatedPubsub {
  const random = world.random("pubsub");
  const { scheduler, count } = world;
  let pending = 0;
  let attempts = 0;
  let serial = 0;

  function deliver(notification: Notification): void {
    serial += 1;
    pubsub.onDelivery(notification);
    const messageId = String(serial);
    const message = {
      data: notificationData(notification, random.chance(0.5) ? "number" : "string"),
      messageId,
      publishTime: new Date(notification.at).toISOString(),
    };
    let isAcknowledged = false;
    let tries = 0;
    pending += 1;

    function attempt(): void {
      if (isAcknowledged) return;
      tries += 1;
      attempts += 1;
      if (tries > 1) count("notification redelivered");
      const number = tries;
      let isEnded = false;
      const run = (receiver: Receiver) => receiver.gmailNotification({ data: { message } });
      const ended = (end: End<void>) => {
        isEnded = true;
        if (end.kind === "resolved") acknowledge();
        else if (number === tries) retry();
      };
      const instance = invoke()(
        "gmailNotification",
        `notification #${messageId} ${notification.historyId}`,
        run,
        ended,
      );
      pubsub.onAttempt(notification, instance);
      scheduler.at(scheduler.now() + ACK_DEADLINE_MS, () => {
        if (isEnded || isAcknowledged || number !== tries) return;
        count("notification redelivered while in flight");
        attempt();
      });
    }

    function retry(): void {
      const backoffMs = Math.min(BACKOFF_MS_MIN * 2 ** (tries - 1), BACKOFF_MS_MAX);
      scheduler.at(scheduler.now() + backoffMs * random.between(0.8, 1.2), attempt);
    }

    function acknowledge(): void {
      if (!isAcknowledged) pending -= 1;
      pubsub.onAcknowledged(notification, messageId);
      isAcknowledged = true;
    }

    scheduler.at(scheduler.now() + delay(), attempt);
  }

  function delay(): number {
    if (!random.chance(world.rates.notificationLate)) return random.between(20, 2 * SECOND);
    count("notification late");
    return random.between(2 * SECOND, random.chance(0.1) ? 180 * MINUTE : 5 * MINUTE);
  }

  const pubsub: SimulatedPubsub = {
    pending: () => pending,
    attempts: () => attempts,
    onAttempt: () => {},
    onAcknowledged: () => {},
    onDelivery: () => {},
    accept(notification) {
      world.trace(() => `Gmail notifies of ${notification.historyId}`);
      if (random.chance(world.rates.notificationLost)) {
        count("notification lost");
        return;
      }
      deliver(notification);
      if (!random.chance(world.rates.notificationRepeated)) return;
      count("notification repeated");
      for (let copies = random.int(1, 3); copies > 0; copies--) deliver(notification);
    },
  };
  return pubsub;
}
