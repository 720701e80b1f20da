import { NO_INCIDENTS, NO_RATES, type Parameters, impolite } from "./parameters.ts";
import type { Rude } from "./rudeness.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/**
 * Workloads that bring about what chance alone brings about in one run of thousands. Each says
 * what it makes of a run of the family `reconciled`.
 */
export const FOCUS = {
  /** Answers that come long after they were asked for, about records that show late. */
  slow: (parameters) => ({
    ...parameters,
    instances: 2,
    settleMs: 2 * MINUTE,
    quietMs: 10 * MINUTE,
    chaosMs: 8 * HOUR,
    acts: 60,
    pagesMax: 40,
    pageMax: 500,
    skewMsMax: 0,
    lagMsMax: 2 * MINUTE,
    rates: { ...parameters.rates, slow: 0.25, freeze: 0.02, notificationLost: 0.3, crash: 0 },
    incidents: { ...parameters.incidents, historyExpires: 0, googleDown: 0, storeDown: 0 },
  }),
  /** Histories that expire again and again, over mailboxes of many pages. */
  recovery: (parameters) => ({
    ...parameters,
    quietMs: 20 * MINUTE,
    chaosMs: 10 * HOUR,
    acts: 60,
    pageMax: 1,
    lagMsMax: 0,
    rates: { ...parameters.rates, storeRefuses: 0.2, notificationLost: 0.5 },
    incidents: { ...parameters.incidents, historyExpires: 15, headRewinds: 0 },
  }),
  /** Grants that end and are renewed while runs of the old one are still under way. */
  grants: (parameters) => ({
    ...parameters,
    instances: 3,
    quietMs: 10 * MINUTE,
    renewAfterMs: HOUR,
    chaosMs: 10 * HOUR,
    acts: 60,
    rates: { ...parameters.rates, slow: 0.1, freeze: 0.03, crash: 0, notificationLost: 0 },
    incidents: { ...parameters.incidents, grantEnds: 20, disconnects: 0, storeDown: 0 },
  }),
  /**
   * Google tells that grants have ended, and that accounts are disabled and enabled: twice, late,
   * or when it is no longer so.
   */
  security: (parameters) => ({
    ...parameters,
    securityEvents: true,
    instances: 2,
    quietMs: 10 * MINUTE,
    chaosMs: 10 * HOUR,
    acts: 30,
    rates: { ...parameters.rates, slow: 0.05, notificationLost: 0.3 },
    incidents: {
      ...parameters.incidents,
      grantEnds: 10,
      mailOff: 10,
      disconnects: 0,
      storeDown: 0,
    },
  }),
  /** An operator deploys the functions with the OAuth client of another environment. */
  clients: (parameters) => ({
    ...parameters,
    quietMs: 10 * MINUTE,
    chaosMs: 10 * HOUR,
    acts: 30,
    incidents: { ...parameters.incidents, otherClient: 2, grantEnds: 0, mailOff: 0 },
  }),
  /** Many people whose grants all end in their first hour. */
  young: (parameters) => ({
    ...impolite(parameters, new Set()),
    mailboxes: 26,
    quietMs: HOUR,
    chaosMs: 20 * MINUTE,
    acts: 0,
    rates: NO_RATES,
    incidents: NO_INCIDENTS,
    allGrantsEnd: true,
  }),
  /** Mailboxes that Google refuses, one at a time, for minutes and for days. */
  refusals: (parameters) => ({
    ...rudely(parameters, ["refused mailboxes", "bursts of 401", "invalid account states"]),
    instances: 2,
    mailboxes: 2,
    quietMs: HOUR,
    chaosMs: 60 * HOUR,
    acts: 40,
  }),
  /** Histories that are lost, lists that are out of order, answers that are wrong once. */
  histories: (parameters) => ({
    ...rudely(parameters, ["lost histories", "unsorted lists", "stray answers", "watched labels"]),
    quietMs: 20 * MINUTE,
    chaosMs: 14 * HOUR,
    acts: 60,
  }),
  /** People who are renamed and send drafts, clocks that are wrong, documents that were edited. */
  life: (parameters) => ({
    ...rudely(parameters, [
      "renames",
      "second spellings",
      "sent drafts",
      "missing fields",
      "wrong clocks",
      "edited documents",
    ]),
    chaosMs: 14 * HOUR,
    acts: 60,
    renewAfterMs: HOUR,
  }),
} satisfies Record<string, (parameters: Parameters) => Parameters>;

function rudely(parameters: Parameters, rude: readonly Rude[]): Parameters {
  return impolite(parameters, new Set(rude));
}

export type Focus = keyof typeof FOCUS;
