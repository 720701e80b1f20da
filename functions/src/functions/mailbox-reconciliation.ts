import type { Log } from "../platform/log.ts";
import { type ReconciliationServices, reconcile } from "./reconciliation.ts";

/** The schedule has come: does what is due. What is left is due next time. */
export async function mailboxReconciliation(
  log: Log,
  services: ReconciliationServices,
): Promise<void> {
  const { synced, postponed, followedUp, isCutShort } = await reconcile(services);
  const isIdle = synced + postponed + followedUp === 0;
  const write = isIdle ? log.debug : log.info;
  write("mailboxes_reconciled", "synced the mailboxes that were due", {
    synced,
    postponed,
    followedUp,
    isCutShort,
  });
}
