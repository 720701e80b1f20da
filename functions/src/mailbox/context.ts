import type { SyncOutcome } from "./report.ts";
import type { GrantContext } from "../grant/context.ts";
import type { DetailUnits } from "./detail-units.ts";
import type { InTurn } from "./in-turn.ts";

/** What the work on one mailbox uses. */
export interface MailboxContext extends GrantContext {
  /** The runs of this instance for one mailbox, one after the other. */
  mailboxes: InTurn<SyncOutcome>;
  /** Where the next run continues among the older delays. Without a date: at the oldest. */
  behindPlace: { from?: Date | undefined };
  /** What Gmail's quota leaves for details of messages. */
  detailUnits: DetailUnits;
}
