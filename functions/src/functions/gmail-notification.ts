import type { SyncOutcome } from "../mailbox/sync-outcome.ts";
import type { MailboxContext } from "../mailbox/context.ts";
import { type Log, describeUnknown } from "../platform/log.ts";
import { latestOf } from "../domain/history-id.ts";
import { parseNotification } from "../pubsub/notification.ts";
import { sync } from "../mailbox/sync.ts";
import { mayPass } from "../platform/store-error.ts";
import { reportSync } from "../mailbox/report.ts";

/** Thrown to make Pub/Sub deliver the same message again, later. Carries nothing of the cause. */
export class Redeliver extends Error {
  override name = "Redeliver";
  readonly isLoggable = true;
}

/**
 * Gmail has told Pub/Sub of something new in a mailbox: syncs it. Returning acknowledges the
 * message, throwing asks for it again; only here it is decided which. What is malformed or of
 * nobody will be so next time too, and so will what our own code throws. What Google refuses now is
 * noted as due and acknowledged. Only a store that does not answer leaves nothing but redelivery.
 */
export async function gmailNotification(
  data: unknown,
  log: Log,
  context: MailboxContext,
): Promise<void> {
  const notification = parseNotification(data);
  if (notification.kind === "malformed") {
    return log.error("notification_malformed", "dropped a malformed notification", {
      why: notification.why,
    });
  }
  const { emailAddress, historyId, messageId, publishedAt } = notification;
  const fields = { pubsubMessageId: messageId, notifiedHistoryId: historyId };
  try {
    // One run for all notifications of a mailbox that arrive while another run is under way.
    const outcome = await context.mailboxes.runNotified(
      emailAddress,
      historyId,
      async (historyIds): Promise<SyncOutcome> => {
        const user = await context.users.findByEmailAddress(emailAddress);
        if (user === undefined) return { kind: "unknown_mailbox" };
        const highest = latestOf(historyId, historyIds);
        const trigger = { kind: "notified", historyId: highest, historyIds, publishedAt } as const;
        return sync(user, trigger, context);
      },
    );
    reportSync(log, outcome, fields);
  } catch (error) {
    const own = { ...fields, error: describeUnknown(error) };
    if (!mayPass(error)) {
      // Thrown again at each delivery, it would be a storm for as long as the message lives.
      return log.alert(
        "notification_crashed",
        "a notification failed because of an error in our own code; acknowledged it",
        own,
      );
    }
    log.error("notification_failed", "a notification failed; Pub/Sub will redeliver it", own);
    throw new Redeliver("the store did not answer");
  }
}
