import type { Court, GmailTruth, PublishedEvent } from "./evidence.ts";
import type { MailboxLedger } from "./ledger.ts";
import { type Ledgers, epochOf } from "./ledgers.ts";

/** Looks at everything that is published: P2, P3, P9, and that nothing is made up. */
export interface StreamChecks {
  onPublished(event: PublishedEvent): void;
  /** From now on no start id of this mailbox is found, or they are again. */
  lostHistory(sub: string, isLost: boolean): void;
}

/** What events are compared with; without it they are compared with each other only. */
export interface Truth {
  gmail: GmailTruth;
  /** Whether a status was ever stored that has to be told under this id. */
  isAnnouncement(eventId: string): boolean;
}

/** A run that began while the history was lost may tell of it so much later. */
const LOST_LASTS_MS = 45 * 60_000;
/** How Google's tokens and client secrets begin. */
const SECRET = /\bya29\.|\bGOCSPX-|(?<![\w/+])1\/\/0/;

export function createStreamChecks(
  { now, count, violate }: Court,
  ledgers: Ledgers,
  truth?: Truth,
): StreamChecks {
  /** Until when a mailbox's history counts as lost. */
  const lostUntil = new Map<string, number>();

  return {
    lostHistory: (sub, isLost) =>
      void lostUntil.set(sub, isLost ? Infinity : now() + LOST_LASTS_MS),

    onPublished(event) {
      const { attributes, json, orderingKey } = event;
      const id = attributes["ce-id"] ?? "";
      const [sub = ""] = id.split("/");
      const ledger = ledgers.current(sub);
      const key = "snapshotId" in json ? `${sub}/snapshot` : sub;
      if (orderingKey !== key || json["userId"] !== sub) {
        violate("P3", `${id} is on the ordering key ${orderingKey}`);
      }
      checkSecrets(event);
      const first = ledger.firsts.get(id);
      if (first !== undefined) {
        count("repeated publication");
        const isGap = attributes["ce-type"] === "mailbox.gap";
        const isSame = !ledger.reused.has(id) && !(isGap && ledger.isEdited);
        if (isSame) checkRepeat(first.event, event);
      } else {
        ledger.firsts.set(id, { order: ledger.firsts.size, at: now(), event });
      }
      // A check of its own looks at snapshots.
      if ("snapshotId" in json) return;
      const isPassing = checkPassing(event);
      if (attributes["ce-type"] === "mailbox.gap") noteGap(ledger, event, first === undefined);
      else if (truth === undefined || isPassing) return;
      else if ("messageId" in json) checkChange(ledger, event);
      else if (!truth.isAnnouncement(id)) violate("P7", `${id} announces what never was`);
    },
  };

  /** What a person wrote in a header field is no secret of the receiver's. */
  function checkSecrets({ attributes, json }: PublishedEvent): void {
    const { headers: _, snippet: __, ...own } = json;
    const found = SECRET.exec(JSON.stringify([attributes, own]));
    if (found !== null) violate("P9", `${attributes["ce-id"]} contains ${found[0]}…`);
  }

  /** An event of no status: it says how a mailbox is doing, or what it is called. */
  function checkPassing({ attributes, json }: PublishedEvent): boolean {
    const type = attributes["ce-type"];
    if (type === "mailbox.address_changed") {
      count("address change told");
      return true;
    }
    if (type !== "mailbox.delayed" && type !== "mailbox.caught_up") return false;
    const since = Date.parse(String(json["since"]));
    const kind = type.slice("mailbox.".length);
    const id = `${String(json["userId"])}/${kind}/${since}`;
    if (attributes["ce-id"] !== id) violate("P2", `${attributes["ce-id"]} should be ${id}`);
    return true;
  }

  function checkRepeat(first: PublishedEvent, event: PublishedEvent): void {
    const isRecovered = first.json["recovered"] === true || event.json["recovered"] === true;
    const told = ({ attributes, json }: PublishedEvent) => {
      // The address may have changed in between.
      const { emailAddress: ________, lagSeconds: _________, ...steady } = json;
      const { recovered: _, reauthorizeUrl: __, recoveredChanges: ___, ...detailed } = steady;
      // Details that could not be had in time may be there the next time, or the other way round.
      const {
        headers: _h,
        headersMissing: _m,
        internalDate: _d,
        sizeEstimate: _s,
        snippet: _n,
        ...rest
      } = detailed;
      // History can leave the thread out; a recovery's list does not.
      const { labelIds: ____, historyId: _____, threadId: ______________, ...sure } = rest;
      // Where a record could not be read, or never showed, the bounds are those of its neighbours.
      const { since: ______, fromHistoryId: _______, ...unreadable } = rest;
      const isUnreadable =
        json["reason"] === "unreadable_record" || json["reason"] === "notified_unseen";
      // Two runs can find one mailbox late for different reasons.
      const { reason: _______________, ...delay } = rest;
      if ("lagSeconds" in json) return JSON.stringify([attributes["ce-type"], delay]);
      const same = isRecovered ? sure : isUnreadable ? unreadable : rest;
      return JSON.stringify([attributes["ce-type"], same]);
    };
    if (told(first) !== told(event)) {
      violate("P2", `${event.attributes["ce-id"]}: ${told(first)} and then ${told(event)}`);
    }
  }

  function noteGap(ledger: MailboxLedger, { json }: PublishedEvent, isNew: boolean): void {
    const from = BigInt(String(json["fromHistoryId"]));
    const to = BigInt(String(json["toHistoryId"]));
    const { reason } = json;
    const isOfRecord = reason === "unreadable_record";
    const isUnseen = reason === "notified_unseen";
    const isRewound = reason === "history_rewound";
    count("gap published");
    if (isRewound) count("gap after a rewind");
    if (to < from && !isRewound) {
      violate("P2", `a gap from ${from} to ${to} is of ${String(reason)}, and not of a rewind`);
    }
    if (isUnseen) count("gap of a notified id that never showed");
    // An older document repeats the gap that it told of then, whatever Gmail knows by now.
    const isOfThen = !isNew && ledger.isEdited;
    if (truth !== undefined && !isUnseen && !isOfThen) {
      checkBounds(ledger, { from, to, isOfRecord }, truth);
    }
    // What came between the gap and its repetition came after the pinned head: history tells of it.
    const isRecoverable = isNew && !isOfRecord && !isUnseen;
    ledger.gaps.push({
      from,
      to,
      epoch: epochOf(ledger),
      at: now(),
      isRewound,
      recoveredSince: isRecoverable ? Date.parse(String(json["since"])) : undefined,
      isRecovered: false,
      isOfRecord,
    });
  }

  /** A gap is honest: Gmail has forgotten what is in it, and it ends where the mailbox does. */
  function checkBounds(
    ledger: MailboxLedger,
    { from, to, isOfRecord }: { from: bigint; to: bigint; isOfRecord: boolean },
    { gmail }: Truth,
  ): void {
    const { head, oldest } = gmail.position(ledger.sub);
    const isLost = now() < (lostUntil.get(ledger.sub) ?? -Infinity);
    const isRewound = epochOf(ledger) > 0;
    const isForgotten = from < oldest || isRewound || isLost;
    if (!isOfRecord && !isForgotten && from <= head) {
      violate("P1", `a gap from ${from}, which Gmail still knows (${oldest})`);
    }
    if (to > head && !isRewound) violate("P1", `a gap up to ${to}, above the head ${head}`);
  }

  function checkChange(ledger: MailboxLedger, { attributes, json }: PublishedEvent): void {
    const id = attributes["ce-id"] ?? "";
    const expected = ledger.expected.get(id);
    if (json["recovered"] === true) {
      count("recovered message published");
      // It may carry a watched label by now although it had none when it came.
      const threadId = ledger.threads.get(String(json["messageId"]));
      if (threadId !== json["threadId"]) violate("P2", `${id} is not Gmail's`);
      return;
    }
    if (expected === undefined) return violate("P2", `${id} never happened`);
    if (ledger.reused.has(id)) return;
    const { event } = expected;
    const labels = (value: unknown) => JSON.stringify([value].flat().map(String).sort());
    const isSame =
      attributes["ce-type"] === event.type &&
      json["historyId"] === event.historyId &&
      json["messageId"] === event.messageId &&
      json["threadId"] === event.threadId &&
      (event.labelIds === undefined || labels(json["labelIds"]) === labels(event.labelIds));
    if (!isSame) violate("P2", `${id} tells ${JSON.stringify(json)}`);
  }
}
