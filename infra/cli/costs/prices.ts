import { GMAIL_UNITS as GMAIL_METHOD_UNITS } from "../../../functions/src/google/quota.ts";

/**
 * The list price of one item in US dollars, and what is free each month. Read in September 2026 for
 * a Tier 1 region (Cloud Run, Pub/Sub, Secret Manager, Cloud Scheduler), in March 2025 (Cloud KMS),
 * and in November 2026 in copies of Google's price pages (Firestore's operations, Cloud Logging);
 * `isVerified: false` is from memory. Check the price pages before an important decision.
 */
export interface Price {
  /** US dollars for one unit. */
  usd: number;
  /** Units that are free in a month. */
  free: number;
  isVerified: boolean;
}

const DAYS = 30;
/** Bytes in a GiB. */
export const GIB = 1024 ** 3;
const TIB = 1024 ** 4;

const verified = (usd: number, free = 0): Price => ({ usd, free, isVerified: true });
const fromMemory = (usd: number, free = 0): Price => ({ usd, free, isVerified: false });

/** The price of each item, by its unit. */
export const PRICES = {
  /** Cloud Run, request-based billing. */
  cpuSeconds: verified(0.000024, 180_000),
  memoryGibSeconds: verified(0.0000025, 360_000),
  requests: verified(0.4 / 1e6, 2e6),
  /** Firestore, US multi-region; its free quota is per day. A single region costs about half. */
  documentReads: verified(0.06 / 1e5, 50_000 * DAYS),
  documentWrites: verified(0.18 / 1e5, 20_000 * DAYS),
  storedGib: fromMemory(0.18, 1),
  /** Point-in-time recovery has no free quota. */
  recoverableGib: fromMemory(0.18),
  /** Pub/Sub: publishing and delivering both count. */
  pubsubBytes: verified(40 / TIB, 10 * GIB),
  retainedGib: fromMemory(0.27),
  logBytes: verified(0.5 / GIB, 50 * GIB),
  secretVersions: verified(0.06, 6),
  secretAccesses: verified(0.03 / 1e4, 10_000),
  kmsKeyVersions: verified(0.06),
  kmsOperations: verified(0.03 / 1e4),
  schedules: verified(0.1, 3),
  /** Cloud Monitoring charges for each condition of an alert policy since May 2026. */
  alertConditions: fromMemory(0.1),
} as const satisfies Record<string, Price>;

/** The conditions of all alert policies in `infra/alerts.tf`. */
export const ALERT_CONDITIONS = 8;

/**
 * Gmail API quota units of each method since May 2026. Free up to {@link GMAIL_UNITS_FREE_PER_DAY}.
 */
export const GMAIL_UNITS: Readonly<Record<string, number>> = {
  ...GMAIL_METHOD_UNITS,
  // Not a call of the Gmail API.
  "token.refresh": 0,
};
/** The Gmail API quota of a project, in units a minute. */
export const GMAIL_UNITS_PER_MINUTE = 1_200_000;
/** The units a day above which Google plans to charge, at an unknown price. */
export const GMAIL_UNITS_FREE_PER_DAY = 80_000_000;
/**
 * Firestore's limit for a collection with an index on a growing date (Firestore best practices).
 */
export const INDEXED_WRITES_PER_SECOND = 500;
/** The minimum that Pub/Sub counts for a request. */
export const PUBSUB_BYTES_MIN = 1_000;
