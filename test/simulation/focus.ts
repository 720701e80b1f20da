import { NO_INCIDENTS, NO_RATES, type Parameters, impolite } from "./parameters.ts";
import type { Rude } from "./rudeness.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/**
 * Workloads that bring about what chance alone brings about in one run of thousands. Each says
 * what it makes of a run of the family `reconciled`.
 */
export const FOCUS = {
  /** Answers that take as long as a record may stay hidden, and as long as positions settle. */
  slow: (parameters) => ({
    ...impolite(parameters, new Set()),
    instances: 2,
    settleMs: 20 * SECOND,
    quietMs: 10 * MINUTE,
    chaosMs: 4 * HOUR,
    acts: 150,
    pagesMax: 40,
    pageMax: 500,
    skewMsMax: 0,
    lagMsMax: 20 * SECOND,
    slowMsMax: 15 * SECOND,
    rates: { ...NO_RATES, slow: 0.4 },
    incidents: NO_INCIDENTS,
  }),
  /** Records that show minutes after their notifications, in mailboxes that fail now and then. */
  late: (parameters) => ({
    ...rudely(parameters, ["records late by minutes"]),
    settleMs: 20 * SECOND,
    quietMs: 10 * MINUTE,
    chaosMs: 8 * HOUR,
    acts: 100,
    skewMsMax: 0,
    lagMsMax: 10 * SECOND,
    notificationIdAhead: "no",
    rates: {
      ...NO_RATES,
      googleRefusesBefore: 0.1,
      googleThrottles: 0.1,
      notificationLate: 0.1,
      storeRefuses: 0.1,
    },
    incidents: NO_INCIDENTS,
  }),
  /** Failures that pass, in mailboxes that are not looked at for days. */
  prompt: (parameters) => ({
    ...impolite(parameters, new Set()),
    family: "prompt",
    quietMs: 48 * HOUR,
    renewAfterMs: 144 * HOUR,
    chaosMs: 10 * HOUR,
    acts: 40,
    emptyPages: 0,
    startAboveHead: "empty",
    skewMsMax: 0,
    lagMsMax: 0,
    rates: { ...NO_RATES, googleRefusesBefore: 0.15, googleThrottles: 0.1 },
    incidents: NO_INCIDENTS,
  }),
  /** Last bursts of mail, each record a page of its own, that several runs list at a time. */
  pages: (parameters) => ({
    ...impolite(parameters, new Set()),
    family: "notified",
    instances: 3,
    mailboxes: 12,
    renewAfterMs: 144 * HOUR,
    chaosMs: 2 * HOUR,
    acts: 8,
    pagesMax: 1_000,
    pageMax: 1,
    emptyPages: 0,
    notificationIdAhead: "no",
    startAboveHead: "empty",
    skewMsMax: 0,
    lagMsMax: 0,
    slowMsMax: 4 * SECOND,
    rates: { ...NO_RATES, slow: 0.3 },
    incidents: NO_INCIDENTS,
  }),
  /** Nothing goes wrong, so nothing may be done twice. */
  calm: (parameters) => ({
    ...impolite(parameters, new Set()),
    family: "calm",
    instances: 1,
    quietMs: 10 * MINUTE,
    chaosMs: 8 * HOUR,
    acts: 150,
    pagesMax: 40,
    pageMax: 500,
    emptyPages: 0,
    notificationIdAhead: "past_head",
    startAboveHead: "empty",
    skewMsMax: 0,
    lagMsMax: 0,
    rates: NO_RATES,
    incidents: NO_INCIDENTS,
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
  /** Histories that expire while a run sleeps between two pages, and others go on. */
  races: (parameters) => ({
    ...impolite(parameters, new Set()),
    instances: 3,
    quietMs: 20 * MINUTE,
    chaosMs: 6 * HOUR,
    acts: 120,
    pagesMax: 40,
    pageMax: 1,
    emptyPages: 0,
    skewMsMax: 0,
    lagMsMax: 0,
    limitsCosts: false,
    rates: { ...NO_RATES, freeze: 0.05, notificationRepeated: 0.5, notificationLost: 0.5 },
    incidents: { ...NO_INCIDENTS, historyExpires: 40 },
  }),
  /** Histories that expire, and answers to recoveries of which half are damaged. */
  damaged: (parameters) => ({
    ...impolite(parameters, new Set()),
    quietMs: 20 * MINUTE,
    chaosMs: 10 * HOUR,
    acts: 60,
    lagMsMax: 0,
    limitsCosts: false,
    rates: { ...NO_RATES, googleFailsAfter: 0.4 },
    incidents: { ...NO_INCIDENTS, historyExpires: 15 },
  }),
  /** Records that cannot be read, next to hidden ones and where histories expire. */
  gaps: (parameters) => ({
    ...impolite(parameters, new Set()),
    quietMs: 20 * MINUTE,
    chaosMs: 10 * HOUR,
    acts: 80,
    unreadable: 0.07,
    settleMs: 2 * MINUTE,
    skewMsMax: 0,
    lagMsMax: 2 * MINUTE,
    rates: NO_RATES,
    incidents: { ...NO_INCIDENTS, historyExpires: 10 },
  }),
  /** Every refresh brings another refresh token, to several runs at a time. */
  rotation: (parameters) => ({
    ...impolite(parameters, new Set()),
    instances: 3,
    quietMs: 10 * MINUTE,
    renewAfterMs: HOUR,
    chaosMs: 6 * HOUR,
    acts: 80,
    rates: { ...NO_RATES, tokenRotates: 1, notificationRepeated: 0.5 },
    incidents: { ...NO_INCIDENTS, accessTokensEnd: 60 },
  }),
  /** People who get mail, one after the other, and do not come back. */
  mails: (parameters) => ({
    ...impolite(parameters, new Set()),
    instances: 3,
    mailboxes: 8,
    quietMs: HOUR,
    chaosMs: 20 * HOUR,
    acts: 5,
    comeBack: false,
    rates: {
      ...NO_RATES,
      storeRefuses: 0.2,
      publishFailsBefore: 0.2,
      scheduleDoubled: 0.5,
      freeze: 0.05,
    },
    incidents: { ...NO_INCIDENTS, grantEnds: 30 },
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
  /** Mailboxes whose earlier mail is published while live mail comes, grants end and runs die. */
  snapshots: (parameters) => ({
    ...rudely(parameters, ["snapshots", "page tokens that expire"]),
    skewMsMax: 0,
    quietMs: HOUR,
    chaosMs: 6 * HOUR,
    acts: 60,
    pageMax: 3,
    rates: { ...parameters.rates, crash: 0.02, publishFailsAfter: 0.1 },
    incidents: { ...parameters.incidents, grantEnds: 10 },
  }),
  /** Snapshots of mailboxes with unsorted lists and much mail near the oldest date. */
  denseSnapshots: (parameters) => ({
    ...rudely(parameters, ["snapshots", "unsorted lists"]),
    quietMs: HOUR,
    chaosMs: HOUR,
    acts: 10,
    pageMax: 500,
  }),
  /** Snapshots of mailboxes whose lists Google refuses for hours, or for days. */
  refusedSnapshots: (parameters) => ({
    ...rudely(parameters, ["refused snapshots"]),
    acts: 20,
    rates: { ...parameters.rates, crash: 0.01, publishFailsAfter: 0.1 },
  }),
  /** Mailboxes that an operator pauses and resumes, while people authorize, leave and come back. */
  pauses: (parameters) => ({
    ...rudely(parameters, ["paused mailboxes"]),
    skewMsMax: 0,
    quietMs: HOUR,
    chaosMs: 12 * HOUR,
    acts: 60,
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
    ...rudely(parameters, [
      "lost histories",
      "unsorted lists",
      "old imports",
      "stray answers",
      "watched labels",
    ]),
    quietMs: 20 * MINUTE,
    chaosMs: 14 * HOUR,
    acts: 60,
  }),
  /** Histories that go back, by a few records or by many, where others are still unsettled. */
  rewinds: (parameters) => ({
    ...rudely(parameters, ["rewinds of every size"]),
    quietMs: 20 * MINUTE,
    chaosMs: 10 * HOUR,
    acts: 80,
    settleMs: 2 * MINUTE,
    incidents: { ...NO_INCIDENTS, headRewinds: 5 },
  }),
  /** Histories that have also expired when the receiver looks. */
  expiredRewinds: (parameters) => ({
    ...rudely(parameters, ["rewinds of every size"]),
    quietMs: 20 * MINUTE,
    chaosMs: 10 * HOUR,
    acts: 80,
    settleMs: 2 * MINUTE,
    incidents: { ...NO_INCIDENTS, headRewinds: 5, historyExpires: 10 },
  }),
  /** Messages whose details Gmail answers late, wrongly, or not at all. */
  details: (parameters) => ({
    ...rudely(parameters, ["detailed changes", "bursts of 401", "stray answers"]),
    quietMs: 20 * MINUTE,
    chaosMs: 6 * HOUR,
    acts: 60,
    slowMsMax: 30 * SECOND,
    rates: { ...NO_RATES, slow: 0.2, googleRefusesBefore: 0.1, googleThrottles: 0.05 },
    incidents: { ...NO_INCIDENTS, historyExpires: 2, grantEnds: 1 },
  }),
  /** Grants of another program that an operator imports while much fails. */
  imports: (parameters) => ({
    ...rudely(parameters, ["imported grants"]),
    mailboxes: 3,
    chaosMs: 6 * HOUR,
    acts: 30,
    slowMsMax: 30 * SECOND,
    rates: { ...parameters.rates, crash: 0.02, tokenRotates: 0.5, slow: 0.2 },
    incidents: { ...NO_INCIDENTS, googleDown: 1, grantEnds: 1 },
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
