import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import { parseUserId } from "../../functions/src/domain/user.ts";
import type { Checks } from "./checks.ts";
import type { SimulatedGoogle } from "./google.ts";
import { type MailboxLedger, type RecordTruth, isInGap, isTold } from "../checker/ledger.ts";
import { checkOrder } from "../checker/order.ts";
import type { Person, Persons } from "./persons.ts";
import type { SimulatedPubsub } from "./pubsub.ts";
import type { SimulatedStore } from "./store.ts";
import type { World } from "./world.ts";

export interface Finished {
  google: SimulatedGoogle;
  checks: Checks;
  persons: Persons;
  store: SimulatedStore;
  pubsub: SimulatedPubsub;
  published: readonly PubsubCloudEvent[];
  logged: readonly unknown[];
  /** Where each mailbox's head was long enough ago for the cursor to have followed. */
  heads: ReadonlyMap<string, string>;
  headsAt: number;
  /** When the last mail came to everybody, long after the faults. */
  lastMailAt: number;
}

/** What must be true once the faults have stopped and time has passed. */
export function checkFinally(world: World, finished: Finished): void {
  const { checks, persons, pubsub } = finished;
  for (const person of persons.all) {
    checks.touched(person.sub);
    const ledger = checks.current(person.sub);
    checkOrder(world, ledger);
    checkUser(world, person, ledger, finished);
  }
  if (pubsub.pending() > 0) {
    world.violate("P11", `${pubsub.pending()} notifications are still being redelivered`);
  }
  checkSecrets(world, finished);
}

function checkUser(
  world: World,
  { sub, wants, renamedAt = -Infinity }: Person,
  ledger: MailboxLedger,
  { checks, store, heads, headsAt, lastMailAt }: Finished,
): void {
  const id = parseUserId(sub);
  const user = id === undefined ? undefined : store.storedUser(id);
  if (user === undefined) {
    if (wants === "connected") world.violate("P8", `${sub} could never connect`);
    return;
  }
  const { status, historyId, sync } = user;
  const { family } = world.parameters;
  const isReconciled = family !== "notified";
  const announcement = checks.announcementOf(sub);
  if (isReconciled && (announcement === undefined || !ledger.firsts.has(announcement))) {
    world.violate("P7", `${sub} is ${status}, and ${announcement} was never published`);
  }
  if (isReconciled && status === "paused" && user.watch.expiresAt !== undefined) {
    world.violate("P7", `${sub} is paused, and its watch was never stopped`);
  }
  if (status !== "active" || ledger.since === undefined) return;

  const { skewMsMax, renewAfterMs } = world.parameters;
  // Until the next renewal nothing tells that notifications name another address.
  const isFound = renamedAt + 1.2 * renewAfterMs + 2 * HOUR_MS < lastMailAt;
  for (const record of ledger.records.slice(ledger.since)) {
    if (family === "prompt") checkPromptness(world, ledger, record);
    if (isTold(ledger, record) || (record.at === lastMailAt && !isFound)) continue;
    const at = new Date(record.at).toISOString();
    world.violate("P1", `${record.id} of ${sub}, of ${at}, is neither published nor in a gap`);
  }
  if (world.parameters.rude.has("firestore sink"))
    checkSink(world, ledger, store.keptChanges(user.id));
  const last = ledger.records.findLast(({ at }) => at === lastMailAt);
  const [heard] = last?.events ?? [];
  const heardAt = heard === undefined ? undefined : ledger.firsts.get(heard.id)?.at;
  const wasActive = user.statusAt.getTime() < lastMailAt - PROMPT_MS - skewMsMax;
  const promptMs = PROMPT_MS + 2 * skewMsMax;
  if (isFound && wasActive && heardAt !== undefined && heardAt > lastMailAt + promptMs) {
    world.violate("P11", `a change of ${sub} took ${heardAt - lastMailAt} ms without a fault`);
  }
  const head = heads.get(sub) ?? "0";
  const wasActiveLong = family !== "prompt" && user.statusAt.getTime() < headsAt;
  if (isReconciled && wasActiveLong && BigInt(historyId) < BigInt(head)) {
    world.violate("P11", `the cursor of ${sub} is ${historyId}, the head ${head}`);
  }
  if (wasActiveLong && sync.recovery !== undefined) {
    world.violate("P11", `the recovery of ${sub} does not end`);
  }
}

/**
 * What was published is kept below the user too, under the same ids; what expired between its
 * publication and the checkpoint is kept as a gap.
 */
function checkSink(world: World, ledger: MailboxLedger, kept: ReadonlySet<string>): void {
  const { sub, records, since = 0, firsts } = ledger;
  for (const record of records.slice(since)) {
    if (isInGap(ledger, record)) continue;
    for (const { id } of record.events) {
      if (firsts.has(id) && !kept.has(id))
        world.violate("P1", `${id} of ${sub} is not in the sink`);
    }
  }
}

/**
 * Where everything passes within minutes, so does what it has delayed. A record that others have
 * overtaken is not looked for: it comes with the next notification, or with the reconciliation.
 */
function checkPromptness(world: World, ledger: MailboxLedger, record: RecordTruth): void {
  if (record.readableAt > record.at) return;
  for (const { id } of record.events) {
    const at = ledger.firsts.get(id)?.at;
    if (at === undefined || at <= record.readableAt + LATE_MS) continue;
    const minutes = Math.round((at - record.readableAt) / 60_000);
    world.violate("P11", `${id} is published after ${minutes} minutes of passing faults`);
  }
}

/** The longest wait after a failure, twice, and the longest outage. */
const LATE_MS = 120 * 60_000;

const HOUR_MS = 60 * 60_000;

/** From a change to its publication, where nothing goes wrong. */
const PROMPT_MS = 5 * 60_000;

/** No token, code or secret in a log line, a document or an event. */
function checkSecrets(world: World, { google, store, published, logged }: Finished): void {
  const everything = JSON.stringify([logged, store.stored(), published]);
  const secrets = google.model.secretsIssued();
  // Hundreds of secrets begin in a few ways, and as a rule none of these is to be found.
  const beginnings = [...new Set(secrets.map(beginningOf))];
  const found = new Set(beginnings.filter((it) => everything.includes(it)));
  for (const secret of secrets.filter((it) => found.has(beginningOf(it)))) {
    if (everything.includes(secret)) {
      world.violate("P9", `${secret.slice(0, 6)}… is in a log line, a document or an event`);
    }
  }
}

function beginningOf(secret: string): string {
  return secret.slice(0, 5);
}
