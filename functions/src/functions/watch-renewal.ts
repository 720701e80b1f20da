import type { MailboxContext } from "../mailbox/context.ts";
import type { Log } from "../platform/log.ts";
import { renewWatches } from "../mailbox/renewal.ts";
import { reportFailure } from "../mailbox/report.ts";

/** Runs on schedule: renews the watches that are due. Unfinished work stays due. */
export async function watchRenewal(log: Log, context: MailboxContext): Promise<void> {
  const { renewed, flagged, failed, isCutShort } = await renewWatches(context, (user, failure) =>
    reportFailure(log, failure, { userId: user.id }),
  );
  const isIdle = renewed + flagged + failed === 0;
  const write = isIdle ? log.debug : log.info;
  write("watches_renewed", "renewed the watches that were due", {
    renewed,
    flagged,
    failed,
    isCutShort,
  });
}
