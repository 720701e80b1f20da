import counts from "../../operation-counts.json" with { type: "json" };
import { SYNC_UNTIL } from "../../../functions/src/functions/mailbox-reconciliation.ts";
import { PROJECT_SHARE } from "../../../functions/src/gmail-api/pacing.ts";
import { PROJECT_SHARE as DETAIL_SHARE } from "../../../functions/src/mailbox/detail-units.ts";
import { FUNCTIONS, SECRETS } from "../functions.ts";
import { defaultConfig } from "../stand-ins.ts";
import {
  ALERT_CONDITIONS,
  GIB,
  GMAIL_UNITS,
  GMAIL_UNITS_FREE_PER_DAY,
  GMAIL_UNITS_PER_MINUTE,
  INDEXED_WRITES_PER_SECOND,
  PRICES,
  PUBSUB_BYTES_MIN,
} from "./prices.ts";

/** Assumptions that only the operator can know; each has a default and an option. */
export interface Assumptions {
  /** Per mailbox. Gmail sends at most one a second. */
  notificationsPerDay: number;
  changesPerNotification: number;
  /** The part of the notifications that causes a re-check a minute later. */
  rechecks: number;
  /** Messages that subscribers read through `gmailApi`, per mailbox. */
  readsPerDay: number;
  /** Messages whose details are read for their events (`CHANGES_DETAIL`), per mailbox. */
  detailsPerDay: number;
  /**
   * From receiving a notification, or a call of a subscriber, to answering it, in milliseconds;
   * mostly waiting for Google.
   */
  functionMs: number;
  subscribers: number;
  /** The bytes of a change as a message: its JSON, attributes and key. */
  changeBytes: number;
  /** The bytes of the receiver's log line and Cloud Run's own, for one request. */
  logBytes: number;
  documentBytes: number;
  instanceStartsPerDay: number;
  /** The ratio of the busiest minutes of a day to the mean. */
  peak: number;
}

/** The assumptions of `gmail-push costs` without options. */
export const DEFAULTS: Assumptions = {
  notificationsPerDay: 20,
  changesPerNotification: 1.5,
  rechecks: 1,
  readsPerDay: 0,
  detailsPerDay: 0,
  functionMs: 300,
  subscribers: 1,
  changeBytes: 1_000,
  logBytes: 2_000,
  documentBytes: 4_096,
  instanceStartsPerDay: 100,
  peak: 3,
};

/** Secrets that every starting instance reads. */
const SECRET_COUNT = SECRETS.length;
/** The number of versions after a year of a key that is rotated every 90 days. */
const KMS_KEY_VERSIONS = 5;
const RETENTION_DAYS = 7;

const DAYS = 30;
const DAY_SECONDS = 86_400;
const MINUTES = 1_440;
/** Renewals come after 80 to 100 % of the interval, polls after 50 to 100 %: the means of these. */
const RENEWAL_SPREAD_MEAN = 0.9;
const LOOK_SPREAD_MEAN = 0.75;
const RENEWAL_RUNS_PER_DAY = MINUTES / 10;
const BILLED_MS_MIN = 100;
/** A renewal makes three calls one after the other, with the refresh; a poll makes two. */
const RENEWAL_LASTS = 1.5;

type Situation = keyof typeof counts;

/** How often each thing happens in a day, for one mailbox. */
function timesPerDay(given: Assumptions): Record<Situation, number> {
  const day = DAY_SECONDS * 1_000;
  const { sync, renewal } = defaultConfig();
  const renewals = day / (renewal.afterMs * RENEWAL_SPREAD_MEAN);
  return {
    notification: given.notificationsPerDay,
    recheck: given.notificationsPerDay * given.rechecks,
    renewal: renewals,
    // Gmail notifies at once after users.watch.
    staleNotification: renewals,
    quietLook: day / (sync.reconcileAfterMs * LOOK_SPREAD_MEAN),
    // A mailbox that has been read in the meantime is postponed instead of polled, which costs no
    // more.
    postponedLook: 0,
    // An access token lasts an hour.
    tokenRefresh: Math.min(24, given.notificationsPerDay + 4),
    emptyReconciliation: 0,
    emptyRenewal: 0,
    messageRead: given.readsPerDay,
    messageDetail: given.detailsPerDay,
  };
}

/** A billed item: a key of {@link PRICES}. */
export type Item = keyof typeof PRICES;

/** Returns what is billed in a month, by item, in the units of {@link PRICES}. */
export function billedPerMonth(mailboxes: number, given: Assumptions): Record<Item, number> {
  const times = timesPerDay(given);
  const total = (field: "reads" | "writes" | "logLines") =>
    Object.entries(times).reduce((sum, [name, n]) => sum + n * counts[name as Situation][field], 0);
  const all = (perMailboxAndDay: number) => mailboxes * DAYS * perMailboxAndDay;

  // These run even without a single mailbox.
  const runs = { emptyReconciliation: MINUTES, emptyRenewal: RENEWAL_RUNS_PER_DAY };
  const idle = (field: "reads" | "logLines") =>
    Object.entries(runs).reduce((sum, [name, n]) => sum + n * counts[name as Situation][field], 0);
  const runsPerDay = runs.emptyReconciliation + runs.emptyRenewal;

  const { notification, staleNotification, recheck, renewal, quietLook } = times;
  const notified = notification + staleNotification;
  // Each notification has an instance to itself here, the most expensive case; a run shares its
  // own.
  const { concurrency } = defaultConfig().reconciliation;
  const seconds =
    all(notification * given.functionMs + staleNotification * BILLED_MS_MIN) / 1_000 +
    all((recheck + renewal * RENEWAL_LASTS + quietLook) * (given.functionMs / concurrency)) /
      1_000 +
    (DAYS * runsPerDay * BILLED_MS_MIN) / 1_000;
  const readSeconds = all(times.messageRead * given.functionMs) / 1_000;
  const { gmailNotification, gmailApi } = FUNCTIONS;

  const changes = notification * given.changesPerNotification * counts.notification.published;
  const changeBytes = Math.max(given.changeBytes, PUBSUB_BYTES_MIN);
  const starts = given.instanceStartsPerDay * DAYS;
  return {
    cpuSeconds: seconds * gmailNotification.cpu + readSeconds * gmailApi.cpu,
    memoryGibSeconds:
      (seconds * gmailNotification.memoryMiB + readSeconds * gmailApi.memoryMiB) / 1_024,
    requests: all(notified + times.messageRead) + DAYS * runsPerDay,
    documentReads: all(total("reads")) + DAYS * idle("reads"),
    documentWrites: all(total("writes")),
    storedGib: (mailboxes * given.documentBytes) / GIB,
    // Billed by the size of the database, regardless of changes.
    recoverableGib: (mailboxes * given.documentBytes) / GIB,
    pubsubBytes: all(
      2 * notified * PUBSUB_BYTES_MIN + changes * changeBytes * (1 + given.subscribers),
    ),
    retainedGib: (mailboxes * RETENTION_DAYS * changes * given.changeBytes) / GIB,
    logBytes: (all(total("logLines")) + DAYS * idle("logLines")) * given.logBytes,
    secretVersions: SECRET_COUNT,
    secretAccesses: starts * SECRET_COUNT,
    kmsKeyVersions: KMS_KEY_VERSIONS,
    kmsOperations: starts,
    schedules: 2,
    alertConditions: ALERT_CONDITIONS,
  };
}

/** The bill of a month. */
export interface Bill {
  mailboxes: number;
  /** US dollars a month, by item. */
  items: Record<Item, number>;
  total: number;
}

/** Returns the bill of a month for this many mailboxes, in US dollars. */
export function bill(mailboxes: number, given: Assumptions): Bill {
  const billed = billedPerMonth(mailboxes, given);
  const priced = Object.entries(PRICES).map(([item, { usd, free }]) => [
    item,
    Math.max(0, billed[item as Item] - free) * usd,
  ]);
  const items = Object.fromEntries(priced) as Record<Item, number>;
  return { mailboxes, items, total: Object.values(items).reduce((sum, usd) => sum + usd, 0) };
}

/** A free quota or a limit that is used up, and at how many mailboxes. */
export interface End {
  what: string;
  mailboxes: number;
}

/** Returns at how many mailboxes each free quota is used up. */
export function freeEnds(given: Assumptions): End[] {
  const none = billedPerMonth(0, given);
  const some = billedPerMonth(1_000_000, given);
  return Object.entries(PRICES)
    .map(([what, { free }]) => {
      const each = (some[what as Item] - none[what as Item]) / 1_000_000;
      return { what, mailboxes: each > 0 && free > 0 ? (free - none[what as Item]) / each : 0 };
    })
    .filter(({ mailboxes }) => mailboxes > 0)
    .sort((a, b) => a.mailboxes - b.mailboxes);
}

/** Returns at how many mailboxes each limit is reached, the lowest first. */
export function limits(given: Assumptions): End[] {
  const times = timesPerDay(given);
  const units = (name: Situation) => {
    const calls = Object.entries(counts[name].calls);
    const each = calls.reduce((sum, [call, c]) => sum + c * (GMAIL_UNITS[call] ?? NaN), 0);
    return times[name] * each;
  };
  const unitsPerDay = Object.keys(times).reduce((sum, name) => sum + units(name as Situation), 0);
  const { notification, recheck, renewal, quietLook } = times;
  const perSecond = (perDay: number) => (perDay * given.peak) / DAY_SECONDS;
  const secondsEach = given.functionMs / 1_000;

  const { reconciliation, renewal: renewals } = defaultConfig();
  const reconciledPerSecond =
    (reconciliation.concurrency / secondsEach) * ((reconciliation.timeMsMax * SYNC_UNTIL) / 60_000);
  const renewedPerSecond =
    Math.min(
      renewals.concurrency / (secondsEach * RENEWAL_LASTS),
      GMAIL_UNITS_PER_MINUTE / 2 / 100 / 60,
    ) *
    (renewals.timeMsMax / 600_000);
  const { maxInstances, concurrency } = FUNCTIONS.gmailNotification;
  const ends: [what: string, of: number, each: number][] = [
    ["Gmail, 1.2 M units a minute", GMAIL_UNITS_PER_MINUTE / 60, perSecond(unitsPerDay)],
    ["Gmail, 80 M units a day free", GMAIL_UNITS_FREE_PER_DAY, unitsPerDay],
    // A notification sets a re-check and the poll clears it: the date moves twice.
    [
      "Firestore, 500 writes/s of sync.dueAt",
      INDEXED_WRITES_PER_SECOND,
      perSecond(2 * recheck + quietLook),
    ],
    ["mailboxReconciliation, as configured", reconciledPerSecond, perSecond(recheck + quietLook)],
    ["watchRenewal, as configured", renewedPerSecond, renewal / DAY_SECONDS],
    [
      "gmailNotification, as configured",
      (maxInstances * concurrency) / secondsEach,
      perSecond(notification),
    ],
    [
      "gmailApi, its share of Gmail's quota",
      (GMAIL_UNITS_PER_MINUTE * PROJECT_SHARE) / 60,
      perSecond(units("messageRead")),
    ],
    [
      "CHANGES_DETAIL, its share of Gmail's quota",
      (GMAIL_UNITS_PER_MINUTE * DETAIL_SHARE) / 60,
      perSecond(units("messageDetail")),
    ],
  ];
  return ends
    .filter(([, , each]) => each > 0)
    .map(([what, of, each]) => ({ what, mailboxes: of / each }))
    .sort((a, b) => a.mailboxes - b.mailboxes);
}
