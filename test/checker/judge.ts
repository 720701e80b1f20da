import { createCursorChecks } from "./cursors.ts";
import { createDocumentChecks } from "./documents.ts";
import type { Court, GmailTruth, HistoryTruth, StoredUser } from "./evidence.ts";
import { isTold } from "./ledger.ts";
import { createLedgers } from "./ledgers.ts";
import { checkOrder } from "./order.ts";
import type { Entry, GmailLine, IncidentLine, Recording } from "./recording.ts";
import { createStatusChecks } from "./statuses.ts";
import { createStreamChecks } from "./stream.ts";

/** A promise that was broken. */
export interface Broken {
  property: string;
  what: string;
  at: number;
}

/** What a recording shows. */
export interface Verdict {
  broken: readonly Broken[];
  /** What it cannot show, and why. */
  unjudged: readonly string[];
  events: number;
  documents: number;
  mailboxes: number;
}

/** Looks at a recording from its beginning to its end. */
export function judge({ settings, entries }: Recording): Verdict {
  const broken: Broken[] = [];
  let at = entries[0]?.at ?? 0;
  const court: Court = {
    now: () => at,
    count: () => {},
    violate: (property, what) => void broken.push({ property, what, at }),
  };
  const firstEvent = entries.find(({ kind }) => kind === "published")?.at;
  const from = settings.from ?? firstEvent ?? Infinity;
  const gmail = rememberGmail();
  const hasTruth = entries.some(({ kind }) => kind === "gmail");
  const ledgers = createLedgers((sub) => gmail.account(sub).history, settings);
  const statuses = createStatusChecks(court);
  const documents = createDocumentChecks(court, ledgers, from);
  const cursors = hasTruth
    ? createCursorChecks(court, gmail, ledgers, settings.settleMs)
    : undefined;
  const truth = { gmail, isAnnouncement: statuses.isAnnouncement };
  const stream = createStreamChecks(court, ledgers, hasTruth ? truth : undefined);
  const stored = new Map<string, StoredUser>();
  const pulled = new Set<string>();
  const mailboxes = new Set<string>();
  let states = 0;

  function look(entry: Entry): void {
    switch (entry.kind) {
      case "published": {
        // Pub/Sub may deliver one message several times.
        const { event, messageId } = entry;
        if (messageId !== undefined && pulled.has(messageId)) return;
        if (messageId !== undefined) pulled.add(messageId);
        mailboxes.add(String(event.json["userId"]));
        stream.onPublished(event);
        return documents.onPublished(event);
      }
      case "stored": {
        const { user: after, write: kind } = entry;
        const written = { before: stored.get(after.id), after, ...(kind && { kind }) };
        stored.set(after.id, after);
        mailboxes.add(after.id);
        states += 1;
        statuses.onWritten(written);
        documents.onWritten(written);
        return cursors?.onWritten(written);
      }
      case "erased":
        return void stored.delete(entry.userId);
      case "gmail":
        gmail.take(entry.truth);
        return ledgers.touched(entry.truth.userId);
      case "incident":
        return note(entry.incident);
    }
  }

  function note({ kind, userId, historyId = "" }: IncidentLine): void {
    switch (kind) {
      case "history_lost":
      case "history_found":
        return stream.lostHistory(userId, kind === "history_lost");
      case "rewound":
        return cursors?.rewound(userId);
      case "edited":
        ledgers.current(userId).isEdited = true;
        return;
      case "acknowledged":
        return void ledgers.current(userId).acknowledged.add(historyId);
    }
  }

  function checkFinally(): void {
    if (settings.isReconciled) documents.checkFinally();
    for (const user of hasTruth ? stored.values() : []) {
      const ledger = ledgers.current(user.id);
      checkOrder(court, ledger);
      if (user.status !== "active" || ledger.since === undefined) continue;
      for (const record of ledger.records.slice(ledger.since)) {
        const isDue = record.readableAt <= (settings.completeUpTo ?? -Infinity);
        if (!isDue || isTold(ledger, record)) continue;
        court.violate("P1", `${record.id} of ${user.id} is neither published nor in a gap`);
      }
    }
  }

  for (const entry of entries) {
    ({ at } = entry);
    look(entry);
  }
  checkFinally();
  return {
    broken,
    unjudged: unjudged({ hasTruth, states, users: stored.size, from }),
    events: pulled.size,
    documents: states,
    mailboxes: mailboxes.size,
  };
}

/** Gmail's truth, as the lines of a recording have told it so far. */
function rememberGmail(): GmailTruth & { take(line: GmailLine): void } {
  interface Known extends Omit<GmailLine, "history"> {
    /** By epoch and id, in the order in which they happened. */
    history: Map<string, HistoryTruth>;
  }
  const mailboxes = new Map<string, Known>();
  return {
    take({ history, ...line }) {
      const known = mailboxes.get(line.userId)?.history ?? new Map<string, HistoryTruth>();
      for (const record of history) known.set(`${record.epoch}/${record.id}`, record);
      mailboxes.set(line.userId, { ...line, history: known });
    },
    account(sub) {
      const { history, messages = [] } = mailboxes.get(sub) ?? {};
      return { history: [...(history?.values() ?? [])], messages };
    },
    position: (sub) => mailboxes.get(sub) ?? { head: 0n, oldest: 0n },
  };
}

function unjudged(known: {
  hasTruth: boolean;
  states: number;
  users: number;
  from: number;
}): string[] {
  const { hasTruth, states, users, from } = known;
  const list: string[] = [];
  if (Number.isFinite(from)) {
    list.push(`all: what was published before ${new Date(from).toISOString()}`);
  }
  if (!hasTruth) {
    list.push(
      "P1, P2: that every change of Gmail's history was published, as it was: only Gmail knows its history",
      "P3: that the changes of a mailbox came in Gmail's order: only Gmail knows when it showed each",
    );
  }
  if (states === 0) list.push("P4, P7, P8, P13: the recording has no documents");
  else if (states <= users) {
    list.push("P4, P8: that no cursor or grant went back: each document was read only once");
  }
  list.push("P5, P6, P10, P11, P12: neither events nor documents show them");
  return list;
}
