import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import { parseUserId } from "../../functions/src/domain/user.ts";
import { type MailboxLedger, isTold } from "../checker/ledger.ts";
import type { Ledgers } from "../checker/ledgers.ts";
import type { Person } from "./persons.ts";
import type { SimulatedStore } from "./store.ts";
import type { World } from "./world.ts";

/** Looks whether mailboxes that are incomplete for long are told of: P13. */
export interface DelayChecks {
  onPublished(event: PubsubCloudEvent): void;
  onLogged(record: LoggedRecord): void;
  /** From now on this mailbox's history is refused, or it is answered again. */
  refused(sub: string, isRefused: boolean): void;
  checkFinally(): void;
}

export interface LoggedRecord {
  severity: string;
  event: string;
  userId: string | undefined;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const LOOK_EVERY_MS = 10 * MINUTE;
/** What the receiver promises. */
const DELAYED_AFTER_MS = 30 * MINUTE;
/** The longest pause between two tries, and the tries that chance lets fail. */
const NOTICED_MS = 2 * HOUR;
/** For which outages ask in vain: the topic and the store have to be there for some time. */
const RECOVERED_MS = HOUR;
const END_AMONG_OTHERS_MS = DAY;
const END_ALONE_MS = 3 * DAY;

const ENDS: ReadonlySet<string> = new Set([
  "mailbox.reauthorization_required",
  "mailbox.unavailable",
  "mailbox.paused",
  "mailbox.disconnected",
]);

export function createDelayChecks(
  world: World,
  ledgers: Ledgers,
  store: SimulatedStore,
  persons: () => readonly Person[],
): DelayChecks {
  const { scheduler, parameters, count, violate } = world;
  /** By mailbox: the delay that subscribers believe to go on, by its `since`. */
  const heard = new Map<string, string>();
  /** The delays that have ended. */
  const over = new Set<string>();
  /** By mailbox: when subscribers heard that its stream ends, each time for the first time. */
  const endedAt = new Map<string, number>();
  const heardEnds = new Set<string>();
  const alerted = new Map<string, number>();
  const refusedSince = new Map<string, number>();
  /** By mailbox: the first record that may be untold. */
  const pointers = new Map<string, number>();
  const blamed = new Set<string>();
  /** By mailbox: when it was last in order, or out of reach. */
  const reachableSince = new Map<string, number>();
  let outageAt = -Infinity;

  if (parameters.tellsDelays && parameters.family === "reconciled") {
    scheduler.quietly(scheduler.now() + LOOK_EVERY_MS, look);
  }

  function look(): void {
    scheduler.quietly(scheduler.now() + LOOK_EVERY_MS, look);
    const { store: isStoreDown, changesTopic, google } = world.outages;
    if (isStoreDown || changesTopic || google) outageAt = scheduler.now();
    for (const person of persons()) {
      checkTold(person.sub);
      checkEnded(person.sub);
    }
  }

  function activeSince(sub: string): number | undefined {
    const id = parseUserId(sub);
    const user = id === undefined ? undefined : store.storedUser(id);
    return user?.status === "active" ? user.statusAt.getTime() : undefined;
  }

  /** A notified id that no record has had is still looked for: the next look may be after the end. */
  function isWaiting(sub: string): boolean {
    const id = parseUserId(sub);
    const { dueReason, dueAt } = (id && store.storedUser(id)?.sync) ?? {};
    return dueReason === "lag" && dueAt !== undefined && dueAt.getTime() > scheduler.now() - HOUR;
  }

  function checkTold(sub: string): void {
    const ledger = ledgers.current(sub);
    const since = activeSince(sub);
    const waiting = since === undefined ? undefined : firstUntold(ledger);
    if (waiting === undefined || since === undefined || ledger.isUnreachable) {
      reachableSince.set(sub, scheduler.now());
      return;
    }
    const from = Math.max(
      waiting,
      since,
      outageAt + RECOVERED_MS,
      reachableSince.get(sub) ?? -Infinity,
    );
    const noticedMs = NOTICED_MS + 1.5 * parameters.quietMs + 2 * parameters.skewMsMax;
    if (scheduler.now() <= from + DELAYED_AFTER_MS + noticedMs) return;
    count("mailbox incomplete for longer than the limit");
    const isSaid = heard.has(sub) && alerted.has(sub);
    if (isSaid || blamed.has(sub)) return;
    blamed.add(sub);
    const who = heard.has(sub) ? "the operator" : "subscribers";
    violate("P13", `${sub} is incomplete since ${new Date(from).toISOString()}, untold to ${who}`);
  }

  /** When the oldest record that is still to be told became readable. */
  function firstUntold(ledger: MailboxLedger): number | undefined {
    const { sub, records, since } = ledger;
    if (since === undefined) return undefined;
    const now = scheduler.now();
    let index = Math.max(since, pointers.get(sub) ?? 0);
    for (; index < records.length; index++) {
      const record = records[index];
      if (record === undefined || !isTold(ledger, record)) break;
    }
    pointers.set(sub, index);
    const waiting = records.slice(index).filter((it) => it.readableAt <= now);
    const first = waiting.find((it) => !isTold(ledger, it));
    return first?.readableAt;
  }

  /** A refusal that does not end becomes a status that says so. */
  function checkEnded(sub: string): void {
    const since = refusedSince.get(sub);
    const active = activeSince(sub);
    if (since === undefined || active === undefined || active > since) return;
    const others = persons().filter((it) => it.sub !== sub && activeSince(it.sub) !== undefined);
    const limitMs = others.length > 0 ? END_AMONG_OTHERS_MS : END_ALONE_MS;
    const lateMs = 6 * HOUR + 2 * parameters.quietMs;
    const from = Math.max(since, outageAt);
    if (scheduler.now() <= from + limitMs + lateMs || blamed.has(sub)) return;
    blamed.add(sub);
    violate("P13", `${sub} is refused since ${new Date(since).toISOString()} and still active`);
  }

  return {
    onPublished({ attributes, json }) {
      const sub = String(json["userId"]);
      const since = String(json["since"]);
      if (attributes["ce-type"] === "mailbox.delayed") {
        count("mailbox delayed, and told so");
        // A run that slept may tell of what is over: its id, or its time, says so.
        const isOver = Date.parse(since) < (endedAt.get(sub) ?? -Infinity);
        if (!isOver && !over.has(`${sub}/${since}`)) heard.set(sub, since);
      }
      if (attributes["ce-type"] === "mailbox.caught_up") {
        count("mailbox caught up, and told so");
        over.add(`${sub}/${since}`);
        heard.delete(sub);
      }
      // What is told of a status says more, and ends the delay.
      const id = attributes["ce-id"] ?? "";
      if (!ENDS.has(attributes["ce-type"] ?? "") || heardEnds.has(id)) return;
      heardEnds.add(id);
      endedAt.set(sub, scheduler.now());
      heard.delete(sub);
    },

    onLogged({ severity, event, userId }) {
      if (severity === "alert" && event === "mailbox_delayed" && userId !== undefined) {
        alerted.set(userId, scheduler.now());
      }
    },

    refused(sub, isRefused) {
      if (isRefused) refusedSince.set(sub, scheduler.now());
      else refusedSince.delete(sub);
      blamed.delete(sub);
    },

    checkFinally() {
      if (!parameters.tellsDelays) return;
      for (const { sub } of persons()) {
        const ledger = ledgers.current(sub);
        // A restored document knows nothing of a delay that was told after the backup.
        if (ledger.isEdited) continue;
        const isComplete = firstUntold(ledger) === undefined;
        if (activeSince(sub) === undefined || !isComplete || !heard.has(sub)) continue;
        if (isWaiting(sub)) continue;
        violate("P13", `subscribers were never told that ${sub} has caught up`);
      }
    },
  };
}
