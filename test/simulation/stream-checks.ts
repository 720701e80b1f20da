import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import type { SimulatedGoogle } from "./google.ts";
import type { MailboxLedger } from "./ledger.ts";
import { type Ledgers, epochOf } from "./ledgers.ts";
import type { World } from "./world.ts";

/** A run that began while the history was lost may tell of it so much later. */
const LOST_LASTS_MS = 45 * 60_000;

/** Looks at everything that is published: P2, P3, and that nothing is made up. */
export function createStreamChecks(
  world: World,
  { model }: SimulatedGoogle,
  ledgers: Ledgers,
  /** Whether a status was ever stored that has to be told under this id. */
  isAnnouncement: (eventId: string) => boolean,
): {
  onPublished(event: PubsubCloudEvent): void;
  lostHistory(sub: string, isLost: boolean): void;
} {
  const { scheduler, count, violate } = world;
  /** Until when a mailbox's history counts as lost. */
  const lostUntil = new Map<string, number>();

  return {
    lostHistory: (sub, isLost) =>
      void lostUntil.set(sub, isLost ? Infinity : scheduler.now() + LOST_LASTS_MS),

    onPublished(event) {
      const { attributes, json, orderingKey } = event;
      const id = attributes["ce-id"] ?? "";
      const [sub = ""] = id.split("/");
      const ledger = ledgers.current(sub);
      const key = "snapshotId" in json ? `${sub}/snapshot` : sub;
      if (orderingKey !== key || json["userId"] !== sub) {
        violate("P3", `${id} is on the ordering key ${orderingKey}`);
      }
      const first = ledger.firsts.get(id);
      if (first !== undefined) {
        count("repeated publication");
        const isGap = attributes["ce-type"] === "mailbox.gap";
        const isSame = !ledger.reused.has(id) && !(isGap && ledger.isEdited);
        if (isSame) checkRepeat(first.event, event);
      } else {
        ledger.firsts.set(id, { order: ledger.firsts.size, at: scheduler.now(), event });
      }
      // Looked at where snapshots are.
      if ("snapshotId" in json) return;
      if (attributes["ce-type"] === "mailbox.gap") checkGap(ledger, event, first === undefined);
      else if ("messageId" in json) checkChange(ledger, event);
      else if (!isPassing(event) && !isAnnouncement(id))
        violate("P7", `${id} announces what never was`);
    },
  };

  /** An event of no status: it says how a mailbox is doing, or what it is called. */
  function isPassing({ attributes, json }: PubsubCloudEvent): boolean {
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

  function checkRepeat(first: PubsubCloudEvent, event: PubsubCloudEvent): void {
    const isRecovered = first.json["recovered"] === true || event.json["recovered"] === true;
    const told = ({ attributes, json }: PubsubCloudEvent) => {
      // The address may have changed in between.
      const { emailAddress: ________, lagSeconds: _________, ...steady } = json;
      const { recovered: _, reauthorizeUrl: __, recoveredChanges: ___, ...detailed } = steady;
      // Details that could not be had in time may be there the next time, or the other way round.
      const {
        headers: _h,
        headersMissing: _m,
        internalDate: _d,
        sizeEstimate: _s,
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

  function checkGap(ledger: MailboxLedger, { json }: PubsubCloudEvent, isNew: boolean): void {
    const from = BigInt(String(json["fromHistoryId"]));
    const to = BigInt(String(json["toHistoryId"]));
    const { head, oldest } = model.position(ledger.sub);
    const epoch = epochOf(ledger);
    count("gap published");
    if (to < from) count("gap after a rewind");
    const isUnreadable = json["reason"] === "unreadable_record";
    const isUnseen = json["reason"] === "notified_unseen";
    if (isUnseen) count("gap of a notified id that never showed");
    const isLost = scheduler.now() < (lostUntil.get(ledger.sub) ?? -Infinity);
    const isRewound = epoch > 0;
    const isForgotten = from < oldest || isRewound || isLost;
    const isAboveHead = from > head;
    if (!isUnreadable && !isUnseen && !isForgotten && !isAboveHead) {
      violate("P1", `a gap from ${from}, which Gmail still knows (${oldest})`);
    }
    if (to > head && !isRewound && !isUnseen) {
      violate("P1", `a gap up to ${to}, above the head ${head}`);
    }
    // What came between the gap and its repetition came after the pinned head: history tells of it.
    const isRecoverable = isNew && !isUnreadable && !isUnseen;
    const recoveredSince = isRecoverable ? Date.parse(String(json["since"])) : undefined;
    const at = scheduler.now();
    const isOfRecord = isUnreadable;
    const isRewind = to < from || json["reason"] === "history_rewound";
    ledger.gaps.push({
      from,
      to,
      epoch,
      at,
      isRewound: isRewind,
      recoveredSince,
      isRecovered: false,
      isOfRecord,
    });
  }

  function checkChange(ledger: MailboxLedger, { attributes, json }: PubsubCloudEvent): void {
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
