import type { SyncOutcome } from "./report.ts";
import type { GrantContext } from "../grant/context.ts";
import type { DetailUnits } from "./detail-units.ts";
import type { InTurn } from "./in-turn.ts";

/** What the work on one mailbox uses. */
export interface MailboxContext extends GrantContext {
  /** The runs of this instance for one mailbox, one after the other. */
  mailboxes: InTurn<SyncOutcome>;
  /** What Gmail's quota leaves for details of messages. */
  detailUnits: DetailUnits;
}
