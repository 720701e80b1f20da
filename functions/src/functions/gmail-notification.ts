import { type SyncOutcome, reportSync } from "../mailbox/report.ts";
import type { MailboxContext } from "../mailbox/context.ts";
import { type Log, describeUnknown } from "../platform/log.ts";
import { latestOf } from "../domain/history-id.ts";
import { Redeliver } from "../platform/http.ts";
import { parseNotification } from "../pubsub/notification.ts";
import { sync } from "../mailbox/sync.ts";
import { mayPass } from "../platform/store-error.ts";

/**
 * Syncs a mailbox after Gmail's notification. Returning acknowledges the message, throwing
 * redelivers it; only this function decides which. Malformed and unknown-mailbox messages are
 * acknowledged, because retrying cannot help, and so are errors of our own code. A failure of
 * Google is scheduled and acknowledged. Only a store that does not answer causes a redelivery.
 */
export async function gmailNotification(
  data: unknown,
  log: Log,
  context: MailboxContext,
): Promise<void> {
  const notification = parseNotification(data);
  if (!notification.ok) {
    return log.error("notification_malformed", "dropped a malformed notification", {
      why: notification.error,
    });
  }
  const { emailAddress, historyId, messageId, publishedAt } = notification.value;
  const fields = { pubsubMessageId: messageId, notifiedHistoryId: historyId };
  try {
    // One run serves all notifications of a mailbox that arrive during another run.
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
      // Thrown again at each delivery, it would cause retries for as long as the message lives.
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
