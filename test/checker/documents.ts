import type { Court, PublishedEvent, StoredUser, Written } from "./evidence.ts";
import type { MailboxLedger } from "./ledger.ts";
import type { Ledgers } from "./ledgers.ts";
import { statusEventId } from "./statuses.ts";

/** Compares stored documents with what was published before: P1, P4, P7, P13. */
export interface DocumentChecks {
  /** Called after the event is in its ledger. */
  onPublished(event: PublishedEvent): void;
  onWritten(written: Written): void;
  /** Looks at what has been stored for long and should have been told by now. */
  checkFinally(): void;
}

const HOUR_MS = 3_600_000;
/** From a stored status to its event, where the topic is there: two retries of the reconciliation. */
const ANNOUNCED_MS = 2 * HOUR_MS;
/** Half an hour, and the longest pause between two tries. */
const DELAYED_MS = HOUR_MS / 2 + 2 * HOUR_MS;

/** `from`: what was published before is not known. */
export function createDocumentChecks(
  { now, violate }: Court,
  ledgers: Ledgers,
  from = -Infinity,
): DocumentChecks {
  const stored = new Map<string, StoredUser>();

  return {
    onPublished(event) {
      const { json, attributes } = event;
      const id = attributes["ce-id"] ?? "";
      const user = stored.get(String(json["userId"]));
      const isChange = "messageId" in json && !("snapshotId" in json) && json["recovered"] !== true;
      if (user === undefined || user.status === "disconnected" || !isChange) return;
      const ledger = ledgers.current(user.id);
      // A head that goes back gives the ids to other records.
      const isComparable = !ledger.isEdited && !ledger.gaps.some(({ isRewound }) => isRewound);
      if (!isComparable || ledger.firsts.get(id)?.event !== event) return;
      if (BigInt(String(json["historyId"])) > BigInt(user.historyId)) return;
      violate("P4", `${id} is published after the cursor ${user.historyId} has passed it`);
    },

    onWritten(written) {
      const { before, after } = written;
      stored.set(after.id, after);
      const ledger = ledgers.current(after.id);
      if (ledger.isEdited) return;
      checkAnnounced(ledger, after);
      checkDelayed(ledger, after);
      if (before === undefined || isNewConnection(before, after)) return;
      checkBack(ledger, before, after);
      checkRecovery(ledger, written, before);
    },

    checkFinally() {
      for (const user of stored.values()) checkOverdue(ledgers.current(user.id), user);
    },
  };

  function checkAnnounced(ledger: MailboxLedger, user: StoredUser): void {
    const { announced, episode } = user.followUp;
    const isNoted =
      announced?.status === user.status && announced.generation === user.grant.generation;
    const eventId = statusEventId(user, episode);
    if (!isNoted || user.statusAt.getTime() < from || ledger.firsts.has(eventId)) return;
    violate("P7", `${eventId} is noted as published, and was not`);
  }

  function checkDelayed(ledger: MailboxLedger, { id, sync }: StoredUser): void {
    const { behindSince, delayedAt } = sync;
    if (behindSince === undefined || delayedAt === undefined) return;
    const eventId = `${id}/delayed/${behindSince.getTime()}`;
    if (delayedAt.getTime() < from || ledger.firsts.has(eventId)) return;
    violate("P13", `${eventId} is noted as published, and was not`);
  }

  function checkBack({ gaps }: MailboxLedger, before: StoredUser, after: StoredUser): void {
    const [old, cursor] = [BigInt(before.historyId), BigInt(after.historyId)];
    if (cursor >= old || gaps.some(({ from: start, to }) => start >= old && to < start)) return;
    violate("P4", `the cursor of ${after.id} goes back from ${old} to ${cursor}`);
  }

  function checkRecovery(
    { gaps }: MailboxLedger,
    { kind, after: { id, historyId, sync } }: Written,
    before: StoredUser,
  ): void {
    const { recovery } = before.sync;
    const begun = recovery === undefined ? sync.recovery : undefined;
    if (begun !== undefined && kind !== undefined && begun.fromHistoryId !== before.historyId) {
      const where = `at ${begun.fromHistoryId}, not at the cursor ${before.historyId}`;
      violate("P1", `a recovery of ${id} begins ${where}`);
    }
    if (recovery === undefined || sync.recovery !== undefined) return;
    if (historyId !== recovery.toHistoryId) return;
    const [start, end] = [BigInt(recovery.fromHistoryId), BigInt(recovery.toHistoryId)];
    if (gaps.some((gap) => gap.from === start && gap.to === end)) return;
    violate("P1", `${id} has recovered from ${start} to ${end}, and no gap was published`);
  }

  function checkOverdue(ledger: MailboxLedger, user: StoredUser): void {
    const { id, status, statusAt, sync, followUp } = user;
    const eventId = statusEventId(user, followUp.episode);
    const since = statusAt.getTime();
    if (since >= from && since < now() - ANNOUNCED_MS && !ledger.firsts.has(eventId)) {
      violate("P7", `${id} is ${status} since ${statusAt.toISOString()}: ${eventId} is missing`);
    }
    const behind = sync.behindSince?.getTime() ?? Infinity;
    const isDelayed = status === "active" && behind >= from && behind < now() - DELAYED_MS;
    if (isDelayed && !ledger.firsts.has(`${id}/delayed/${behind}`)) {
      violate("P13", `${id} is incomplete since ${new Date(behind).toISOString()}, untold`);
    }
  }
}

/** Whether the stream begins anew: a person is back who had left. */
export function isNewConnection(before: StoredUser, after: StoredUser): boolean {
  return before.status === "disconnected" && after.grant.generation > before.grant.generation;
}
