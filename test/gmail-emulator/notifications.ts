import { type Account, findAccount, type Google } from "./google.ts";
import { moveHead, nextHistoryId } from "./mailbox.ts";

/** What Gmail publishes: a hint that a mailbox has changed. */
export interface Notification {
  readonly topicName: string;
  /** Empty when no account has the address. */
  readonly sub: string;
  readonly emailAddress: string;
  readonly historyId: string;
  readonly at: number;
}

/** What goes wrong between Gmail and the topic. */
export interface NotificationFaults {
  /** How many of the next ones are lost. */
  lose: number;
  /** How many of the next ones are published more than once, and how many times more. */
  duplicate: { count: number; copies: number };
  /** Those held back until they are released; `undefined` while none are. */
  held: Notification[] | undefined;
}

export type ReleaseOrder = "in_order" | "reversed" | "shuffled";

/** Held notifications are few; more than this is a test that forgot to release them. */
const HELD_MAX = 100_000;
const LIMIT_MS = 1000;

/** Publishes one notification to a topic, unless Gmail's limiter or a fault is in the way. */
export function notify(google: Google, account: Account, topicName: string): void {
  const historyId = String(notifiedId(google, account));
  const now = google.now();
  if (google.settings.notificationLimit === "one_per_second") {
    if (account.notifiedAt !== undefined && now - account.notifiedAt < LIMIT_MS) return;
    account.notifiedAt = now;
  }
  const { sub, email, mailAddress = email } = account;
  send(google, { topicName, sub, emailAddress: mailAddress, historyId, at: now });
}

function notifiedId(google: Google, { mailbox }: Account): bigint {
  switch (google.settings.notificationIdAhead) {
    case "no":
      return mailbox.head;
    case "with_head":
      moveHead(google, mailbox, nextHistoryId(google, mailbox));
      return mailbox.head;
    case "past_head":
      return nextHistoryId(google, mailbox);
  }
}

/** Publishes what no watch asked for. Faults and a closed topic are in its way all the same. */
export function publishNotification(
  google: Google,
  notification: Pick<Notification, "topicName" | "emailAddress" | "historyId">,
): void {
  const { sub = "" } = findAccount(google, notification.emailAddress) ?? {};
  send(google, { ...notification, sub, at: google.now() });
}

function send(google: Google, notification: Notification): void {
  const faults = google.notificationFaults;
  if (faults.lose > 0) {
    faults.lose -= 1;
    return;
  }
  const copies = faults.duplicate.count > 0 ? faults.duplicate.copies : 0;
  if (copies > 0) faults.duplicate.count -= 1;
  for (let sent = 0; sent <= copies; sent += 1) {
    if (faults.held === undefined) deliver(google, notification);
    else if (faults.held.push(notification) > HELD_MAX) throw new Error("too many held back");
  }
}

/** A topic that is gone, or closed to Gmail, swallows what is published to it. */
function deliver(google: Google, notification: Notification): void {
  if (google.topics.get(notification.topicName)?.publishable !== true) return;
  google.publish(notification);
}

/** Ends the holding back; what was held is published in the order asked for. */
export function releaseNotifications(google: Google, order: ReleaseOrder): void {
  const held = google.notificationFaults.held ?? [];
  google.notificationFaults.held = undefined;
  for (const notification of inOrder(google, held, order)) deliver(google, notification);
}

function inOrder(google: Google, held: Notification[], order: ReleaseOrder): Notification[] {
  switch (order) {
    case "in_order":
      return held;
    case "reversed":
      return held.toReversed();
    case "shuffled":
      return held
        .map((notification) => ({ notification, place: google.random() }))
        .toSorted((a, b) => a.place - b.place)
        .map(({ notification }) => notification);
  }
}

/**
 * The `data` of the Pub/Sub message. Written by hand, since JSON.stringify would round a number
 * above 2^53.
 */
export function notificationData(
  { emailAddress, historyId }: Pick<Notification, "emailAddress" | "historyId">,
  writtenAs: "number" | "string",
): string {
  const id = writtenAs === "number" ? historyId : JSON.stringify(historyId);
  const json = `{"emailAddress":${JSON.stringify(emailAddress)},"historyId":${id}}`;
  return Buffer.from(json).toString("base64");
}
