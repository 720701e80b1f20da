import type { FollowUpContext } from "./follow-up.ts";
import type { Log } from "../platform/log.ts";
import { reconcile } from "./reconciliation.ts";

/** Runs on schedule: does what is due. Unfinished work stays due. */
export async function mailboxReconciliation(log: Log, context: FollowUpContext): Promise<void> {
  const { synced, postponed, followedUp, isCutShort } = await reconcile(context);
  const isIdle = synced + postponed + followedUp === 0;
  const write = isIdle ? log.debug : log.info;
  write("mailboxes_reconciled", "synced the mailboxes that were due", {
    synced,
    postponed,
    followedUp,
    isCutShort,
  });
}
