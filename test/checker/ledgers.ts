import type { HistoryTruth } from "./evidence.ts";
import { type MailboxLedger, type Rules, createLedger, refresh } from "./ledger.ts";

/** The ledgers of all mailboxes. */
export interface Ledgers {
  /** The mailbox has changed at Gmail. */
  touched(sub: string): void;
  /** The ledger as Gmail's truth is now. */
  current(sub: string): MailboxLedger;
  /** So many records are new in a mailbox. */
  onRecords: (sub: string, count: number) => void;
}

/** Opens the ledgers of what has happened at Gmail, to be told as these rules say. */
export function createLedgers(
  historyOf: (sub: string) => readonly HistoryTruth[],
  rules: Rules,
): Ledgers {
  const ledgers = new Map<string, MailboxLedger>();
  const dirty = new Set<string>();

  function ledgerOf(sub: string): MailboxLedger {
    const present = ledgers.get(sub);
    if (present !== undefined) return present;
    const made = createLedger(sub, rules);
    ledgers.set(sub, made);
    return made;
  }

  const ledgersOfAll: Ledgers = {
    onRecords: () => {},
    touched: (sub) => void dirty.add(sub),
    current(sub) {
      const ledger = ledgerOf(sub);
      if (!dirty.delete(sub)) return ledger;
      const { length } = ledger.records;
      refresh(ledger, historyOf(sub));
      const made = ledger.records.length - length;
      if (made > 0) ledgersOfAll.onRecords(sub, made);
      return ledger;
    },
  };
  return ledgersOfAll;
}

/** How often the mailbox's head has gone back. */
export function epochOf(ledger: MailboxLedger): number {
  return ledger.records.at(-1)?.epoch ?? 0;
}
