import type { Stream } from "./random.ts";
import { type Rudeness, POLITE, deriveRudeness } from "./rudeness.ts";

/**
 * `reconciled`: every fault, notifications lost too, and the reconciliation to make it good.
 * `notified`: no reconciliation and nothing that needs one, so that work acknowledged before it is
 * done stays undone. `prompt`: only what passes, and quiet mailboxes looked at so rarely that what
 * has no due time of its own comes late. `calm`: no fault at all, to count calls. `fleet`: many
 * mailboxes whose grants all end at once, which is more than people do.
 */
export type Family = "reconciled" | "notified" | "prompt" | "calm" | "fleet";

/** How often each fault strikes. Probabilities are of one effect, unless they say otherwise. */
export interface Rates {
  googleRefusesBefore: number;
  googleFailsAfter: number;
  googleThrottles: number;
  googleUnauthorized: number;
  tokenRotates: number;
  storeFailsBefore: number;
  storeFailsAfter: number;
  storeRefuses: number;
  storeAppliedRefused: number;
  publishFailsBefore: number;
  publishFailsAfter: number;
  crash: number;
  freeze: number;
  notificationLost: number;
  notificationRepeated: number;
  notificationLate: number;
  scheduleSkipped: number;
  scheduleDoubled: number;
  /** Of long latencies, seconds to minutes. */
  slow: number;
}

export interface Parameters {
  seed: number;
  family: Family;
  instances: number;
  mailboxes: number;
  /** Until the faults stop. */
  chaosMs: number;
  /** Acts of people in that time, for each mailbox. */
  acts: number;
  settleMs: number;
  quietMs: number;
  renewAfterMs: number;
  pagesMax: number;
  /** Records in a page of history, and messages in a page of messages. */
  pageMax: number;
  emptyPages: number;
  idStepMax: number;
  notificationIdAhead: "no" | "with_head" | "past_head";
  startAboveHead: "empty" | "not_found";
  /** Clocks of instances are off by up to this. */
  skewMsMax: number;
  /** How late records become readable, at most; and whether one can overtake another. */
  lagMsMax: number;
  rates: Rates;
  /** In which ways the world is not polite. */
  rude: Rudeness;
  /** Whether delays have to be told of: P13. */
  tellsDelays: boolean;
  /** Whether what a mailbox costs in an hour is limited, whatever goes wrong: P12. */
  limitsCosts: boolean;
  /** The longest of the long latencies. */
  slowMsMax: number;
  /** Of all records, those that cannot be read. */
  unreadable: number;
  /** Whether people whose grants have ended ever allow the receiver again. */
  comeBack: boolean;
  /** Every grant ends in one instant. */
  allGrantsEnd?: boolean;
  /** Google tells of what happens to accounts and tokens. */
  securityEvents?: boolean;
  /** Incidents in the whole run, on average. */
  incidents: {
    historyExpires: number;
    headRewinds: number;
    grantEnds: number;
    mailOff: number;
    adminBlocks: number;
    disconnects: number;
    accessTokensEnd: number;
    wrongSecret: number;
    topicClosed: number;
    apiDisabled: number;
    googleDown: number;
    storeDown: number;
    changesTopicClosed: number;
    mailServerDown: number;
    otherClient: number;
  };
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

export const NO_RATES: Rates = {
  googleRefusesBefore: 0,
  googleFailsAfter: 0,
  googleThrottles: 0,
  googleUnauthorized: 0,
  tokenRotates: 0,
  storeFailsBefore: 0,
  storeFailsAfter: 0,
  storeRefuses: 0,
  storeAppliedRefused: 0,
  publishFailsBefore: 0,
  publishFailsAfter: 0,
  crash: 0,
  freeze: 0,
  notificationLost: 0,
  notificationRepeated: 0,
  notificationLate: 0,
  scheduleSkipped: 0,
  scheduleDoubled: 0,
  slow: 0,
};

export const NO_INCIDENTS: Parameters["incidents"] = {
  historyExpires: 0,
  headRewinds: 0,
  grantEnds: 0,
  mailOff: 0,
  adminBlocks: 0,
  disconnects: 0,
  accessTokensEnd: 0,
  wrongSecret: 0,
  topicClosed: 0,
  apiDisabled: 0,
  googleDown: 0,
  storeDown: 0,
  changesTopicClosed: 0,
  mailServerDown: 0,
  otherClient: 0,
};

/** More than may be flagged within ten minutes. */
const FLEET = 26;

/** One run in nine is calm, two are without reconciliation, one watches how long things take. */
export function familyOf(seed: number): Family {
  if (seed % 250 === 7) return "fleet";
  const rest = seed % 9;
  if (rest === 0) return "calm";
  if (rest === 2) return "prompt";
  return rest === 4 || rest === 8 ? "notified" : "reconciled";
}

/** Everything about a run that its seed decides before it starts: each fault is on or off. */
export function deriveParameters(seed: number, random: Stream, rudeness: Stream): Parameters {
  const family = familyOf(seed);
  const isSparse = family === "notified" || family === "prompt";
  const common = {
    seed,
    family,
    instances: family === "calm" ? 1 : random.int(1, 3),
    mailboxes: family === "fleet" ? FLEET : random.pick([1, 1, 1, 1, 2, 2, 2, 3]),
    settleMs: random.pick([20 * SECOND, 2 * MINUTE, 2 * MINUTE]),
    quietMs:
      family === "prompt"
        ? 48 * HOUR
        : family === "fleet"
          ? 20 * MINUTE
          : random.pick([10 * MINUTE, HOUR, 6 * HOUR]),
    // Whatever a renewal would sync must not hide what a notification has left undone.
    renewAfterMs: isSparse ? 144 * HOUR : random.pick([HOUR, 6 * HOUR, 24 * HOUR]),
    idStepMax: random.pick([1, 40]),
    slowMsMax: 2 * MINUTE,
    unreadable: 0.02,
    comeBack: true,
    rude: POLITE,
    tellsDelays: true,
    limitsCosts: true,
  };
  switch (family) {
    case "calm":
      return { ...common, ...calm(random) };
    case "notified":
      return { ...common, ...notified(random) };
    case "prompt":
      return { ...common, ...prompt(random) };
    case "fleet":
      return { ...common, ...calm(random), chaosMs: 3 * HOUR, acts: 2, allGrantsEnd: true };
    case "reconciled":
      return impolite(
        { ...common, ...reconciled(random, common) },
        deriveRudeness(family, rudeness),
      );
  }
}

/** The same run in a world that is rude, with the numbers that this makes reasonable. */
export function impolite(parameters: Parameters, drawn: Rudeness): Parameters {
  const isRefused = drawn.has("refused snapshots");
  const rude: Rudeness = isRefused ? new Set([...drawn, "snapshots"]) : drawn;
  return {
    ...parameters,
    rude,
    ...(rude.has("moved addresses") && { mailboxes: Math.max(2, parameters.mailboxes) }),
    ...(rude.has("wrong clocks") && {
      skewMsMax: 10 * MINUTE,
      instances: 3,
      lagMsMax: Math.max(parameters.lagMsMax, parameters.settleMs / 2),
    }),
    ...(rude.has("page tokens that expire") && {
      pagesMax: Math.min(parameters.pagesMax, 2),
      emptyPages: 0,
      incidents: {
        ...parameters.incidents,
        historyExpires: Math.max(parameters.incidents.historyExpires, 3),
      },
    }),
    // Thousands of pages of one record would be told one a minute.
    ...(rude.has("bursts") && {
      pageMax: Math.max(parameters.pageMax, 50),
      pagesMax: Math.max(parameters.pagesMax, 5),
      // One failure repeats hundreds of changes.
      limitsCosts: false,
    }),
    // Each added message costs another call.
    ...(rude.has("detailed changes") && { limitsCosts: false }),
    ...(rude.has("unsorted lists") && {
      incidents: {
        ...parameters.incidents,
        historyExpires: Math.max(parameters.incidents.historyExpires, 3),
      },
    }),
    // A failure repeats a page of messages.
    ...(rude.has("snapshots") && { limitsCosts: false }),
    // Ten days at the pace of a fleet that is looked at every few minutes would take minutes.
    ...(rude.has("many days") && {
      chaosMs: 9 * 24 * HOUR,
      quietMs: 6 * HOUR,
      renewAfterMs: 24 * HOUR,
      mailboxes: 1,
    }),
    // A snapshot is given up after three days.
    ...(isRefused && {
      chaosMs: 6 * 24 * HOUR,
      quietMs: 6 * HOUR,
      renewAfterMs: 24 * HOUR,
      mailboxes: 1,
      incidents: NO_INCIDENTS,
    }),
  };
}

type Rest = Omit<
  Parameters,
  | "seed"
  | "family"
  | "instances"
  | "mailboxes"
  | "settleMs"
  | "quietMs"
  | "renewAfterMs"
  | "idStepMax"
  | "slowMsMax"
  | "unreadable"
  | "comeBack"
  | "rude"
  | "tellsDelays"
  | "limitsCosts"
>;

function calm(random: Stream): Rest {
  return {
    chaosMs: random.between(2 * HOUR, 12 * HOUR),
    acts: random.int(0, 25),
    pagesMax: 40,
    pageMax: 500,
    emptyPages: 0,
    notificationIdAhead: random.pick(["no", "past_head"]),
    startAboveHead: "empty",
    skewMsMax: 0,
    lagMsMax: 0,
    rates: NO_RATES,
    incidents: NO_INCIDENTS,
  };
}

function notified(random: Stream): Rest {
  const rate = (max: number) => (random.chance(0.5) ? random.between(0, max) : 0);
  return {
    chaosMs: random.between(2 * HOUR, 12 * HOUR),
    acts: random.int(5, 60),
    pagesMax: 1_000,
    pageMax: random.pick([1, 2, 3, 500]),
    emptyPages: random.pick([0, 0, 1]),
    notificationIdAhead: "no",
    startAboveHead: "empty",
    skewMsMax: random.pick([0, 2 * SECOND]),
    lagMsMax: 0,
    rates: {
      ...NO_RATES,
      storeFailsBefore: rate(0.05),
      storeFailsAfter: rate(0.05),
      storeRefuses: rate(0.05),
      storeAppliedRefused: rate(0.03),
      crash: rate(0.02),
      notificationRepeated: rate(0.3),
      notificationLate: rate(0.3),
    },
    incidents: NO_INCIDENTS,
  };
}

function prompt(random: Stream): Rest {
  const rate = (max: number) => (random.chance(0.5) ? random.between(0, max) : 0);
  return {
    chaosMs: random.between(2 * HOUR, 10 * HOUR),
    acts: random.int(5, 40),
    pagesMax: random.pick([1, 2, 40]),
    pageMax: random.pick([1, 2, 3, 500]),
    emptyPages: 0,
    notificationIdAhead: random.pick(["no", "past_head"]),
    startAboveHead: "empty",
    skewMsMax: 0,
    lagMsMax: random.pick([0, 15 * SECOND]),
    rates: {
      ...NO_RATES,
      googleRefusesBefore: rate(0.15),
      googleThrottles: rate(0.1),
      tokenRotates: rate(0.1),
      publishFailsBefore: rate(0.1),
      publishFailsAfter: rate(0.05),
      notificationRepeated: rate(0.2),
    },
    incidents: { ...NO_INCIDENTS, changesTopicClosed: rate(1) },
  };
}

function reconciled(
  random: Stream,
  { settleMs, quietMs }: Pick<Parameters, "settleMs" | "quietMs">,
): Rest {
  const rate = (max: number) => (random.chance(0.5) ? random.between(0, max) : 0);
  const skewMsMax = random.pick([0, 500, settleMs / 20]);
  const isLagging = random.chance(0.6);
  const pagesMax = random.pick([1, 2, 3, 40, 40]);
  return {
    // A mailbox that is looked at every few minutes takes more of our time for the same.
    chaosMs: random.between(2 * HOUR, quietMs < HOUR ? 6 * HOUR : 18 * HOUR),
    acts: random.int(5, 60),
    pagesMax,
    pageMax: random.pick([1, 2, 3, 5, 500]),
    emptyPages: random.pick([0, 0, 0, 1]),
    notificationIdAhead: random.pick(["no", "no", "with_head", "past_head"]),
    startAboveHead: random.pick(["empty", "not_found"]),
    skewMsMax,
    // Two clocks are involved: of whoever read first, and of whoever lists again.
    lagMsMax: isLagging ? random.between(SECOND, settleMs - 2 * skewMsMax) : 0,
    rates: {
      googleRefusesBefore: rate(0.08),
      googleFailsAfter: rate(0.05),
      googleThrottles: rate(0.04),
      googleUnauthorized: rate(0.02),
      tokenRotates: rate(0.05),
      storeFailsBefore: rate(0.04),
      storeFailsAfter: rate(0.04),
      storeRefuses: rate(0.05),
      storeAppliedRefused: rate(0.03),
      publishFailsBefore: rate(0.05),
      publishFailsAfter: rate(0.05),
      crash: rate(0.015),
      freeze: rate(0.004),
      notificationLost: random.pick([0, 0.1, 0.5, 1]),
      notificationRepeated: rate(0.3),
      notificationLate: rate(0.3),
      scheduleSkipped: rate(0.3),
      scheduleDoubled: rate(0.2),
      slow: rate(0.05),
    },
    incidents: {
      historyExpires: rate(5),
      headRewinds: random.chance(0.15) ? random.between(0, 2) : 0,
      grantEnds: rate(4),
      mailOff: rate(1.5),
      adminBlocks: rate(1),
      disconnects: rate(1.5),
      accessTokensEnd: rate(2),
      wrongSecret: rate(1.5),
      topicClosed: rate(1),
      apiDisabled: rate(1),
      googleDown: rate(2),
      storeDown: rate(2),
      changesTopicClosed: rate(1.5),
      mailServerDown: rate(1.5),
      otherClient: 0.05,
    },
  };
}
