import type { PubsubCloudEvent } from "../../functions/src/pubsub/cloud-event.ts";
import { type Config, readConfig } from "../../functions/src/config/config.ts";
import type { Publish } from "../../functions/src/domain/events.ts";
import type { Gmail } from "../../functions/src/google/gmail.ts";
import { googleEndpoints } from "../../functions/src/google/endpoints.ts";
import type { KeyRing } from "../../functions/src/crypto/sealing.ts";
import { digestsOf } from "../../functions/src/crypto/token-digest.ts";
import { createContext } from "../../functions/src/context.ts";
import { createReceiver } from "../../functions/src/receiver.ts";
import type { User } from "../../functions/src/domain/user.ts";
import type { MemoryUsers } from "../support/memory-users.ts";
import { ringOf } from "../support/test-keys.ts";
import { checkCosts, watchCosts } from "./costs.ts";
import { type Checks, WATCHED_LABELS, createChecks, rulesOf } from "./checks.ts";
import { type Counts, createCounters } from "./counters.ts";
import { type Director, type Plan, createClock } from "./effects.ts";
import { checkFinally } from "./final-checks.ts";
import { createDetailChecks } from "./detail-checks.ts";
import { createDelayChecks } from "./delay-checks.ts";
import { type Fleet, createFleet } from "./fleet.ts";
import { CLIENT, OTHER_CLIENT, type SimulatedGoogle, createSimulatedGoogle } from "./google.ts";
import { startImports } from "./imports.ts";
import { startIncidents } from "./incidents.ts";
import { type LogListeners, createSimulatedLog } from "./log-counts.ts";
import { SNAPSHOT_MS, startMail } from "./mail.ts";
import { type SimulatedMailServer, createSimulatedMailServer } from "./mail-server.ts";
import { createNoticeChecks } from "./notice-checks.ts";
import { NO_RATES, type Parameters, deriveParameters } from "./parameters.ts";
import { type Persons, createPersons } from "./persons.ts";
import { createSimulatedTopic } from "./publisher.ts";
import { createSimulatedPubsub } from "./pubsub.ts";
import { type Stream, hash, randomStreams } from "./random.ts";
import { recordRun } from "./recorder.ts";
import { createRewinds } from "./rewinds.ts";
import { type Scheduler, createScheduler } from "./scheduler.ts";
import { type Calls, startSchedules } from "./schedules.ts";
import { createSnapshotChecks } from "./snapshot-checks.ts";
import { createSecurityEvents } from "./security-events.ts";
import { watchSituations } from "./situations.ts";
import { type HourlyCost, createStandingCosts } from "./standing-costs.ts";
import { type SimulatedStore, createSimulatedStore } from "./store.ts";
import { type Violation, type World, endFaults } from "./world.ts";

export interface Result {
  seed: number;
  parameters: Parameters;
  violations: Violation[];
  counts: Counts;
  events: number;
  /** Of everything that happened, in order. */
  traceHash: number;
  trace: string[];
  /** What is stored, and what subscribers have heard, at the end. */
  users: readonly User[];
  published: readonly PubsubCloudEvent[];
  /** The mails that were taken by the mail server. */
  mails: SimulatedMailServer["mails"];
  /** What each mailbox cost in each hour. */
  hours: readonly HourlyCost[];
}

/** The parts of a run, for whoever directs what happens in it. */
export interface Stage {
  world: World;
  fleet: Fleet;
  google: SimulatedGoogle;
  checks: Checks;
  persons: Persons;
  store: SimulatedStore;
  published: readonly PubsubCloudEvent[];
}

export interface Options {
  /** Keeps the trace; it costs time. */
  isTraced?: boolean;
  /** Nothing is run, or looked at, after the first broken promise. */
  endsAtViolation?: boolean;
  /** Changes what the seed has decided. */
  adjust?: (parameters: Parameters) => Parameters;
  /** Strikes where it says, beside whatever chance does. */
  plan?: Plan;
  /** Decides what happens next whenever it is under way. */
  director?: Director;
  /** Takes chance out of a stream of randomness. */
  tame?: (label: string, stream: Stream) => Stream;
  /** Called before time begins. */
  direct?: (stage: Stage) => void;
  /** Takes each line of the recording of the run (see `npm run check-recording`). */
  record?: (line: object) => void;
  /** The documents, where they are not only in memory. */
  openUsers?: (scheduler: Scheduler) => MemoryUsers;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const START = Date.UTC(2026, 10, 1);
/** Everybody connects in this time, and in the families without it no fault disturbs them. */
const CONNECTING_MS = 15 * MINUTE;
/** The last scheduled calls, and the notifications that they cause, come to their end. */
const LAST_CALLS_MS = 20 * MINUTE;
const PUBLIC_URL = "https://connect.example.com";
const PROJECT = "demo-gmail-push";
const GMAIL_TOPIC = `projects/${PROJECT}/topics/gmail-notifications`;
/** One key for all runs: nothing about it is random to them. */
const TOKEN_KEYS = JSON.stringify({
  primary: "simulated",
  keys: { simulated: Buffer.alloc(32, 7).toString("base64") },
});

/** Derived from the one key, once. */
let ring: KeyRing | undefined;

/** One run of the receiver in a world that its seed decides. The same seed, the same run. */
export async function simulate(seed: number, options: Options = {}): Promise<Result> {
  const wild = randomStreams(seed);
  const { tame } = options;
  const random = tame === undefined ? wild : (label: string) => tame(label, wild(label));
  const derived = deriveParameters(seed, random("parameters"), random("rudeness"));
  const parameters = options.adjust?.(derived) ?? derived;
  const scheduler = createScheduler(START, random("ties"));
  const counters = createCounters();
  const violations: Violation[] = [];
  const trace: string[] = [];
  let traceHash = 0;
  const isReconciled = parameters.family === "reconciled";

  const world: World = {
    parameters,
    scheduler,
    random,
    count: counters.count,
    rates: isReconciled ? parameters.rates : NO_RATES,
    outages: { google: false, store: false, changesTopic: false, mailServer: false },
    isOtherClient: false,
    isHealing: false,
    ...(options.plan !== undefined && { plan: options.plan }),
    ...(options.director !== undefined && { director: options.director }),
    trace(line) {
      if (options.isTraced !== true) return;
      const text = `${new Date(scheduler.now()).toISOString().slice(8, 23)} ${line()}`;
      traceHash = hash(text, traceHash);
      trace.push(text);
    },
    violate(property, what) {
      violations.push({ property, what, at: scheduler.now() });
      world.trace(() => `VIOLATION ${property} ${what}`);
      if (options.endsAtViolation === true) scheduler.stop();
    },
  };

  const { config, ring: keys } = configured(parameters);
  const endpoints = googleEndpoints(undefined);
  const logged: unknown[] = [];
  const unattributed = new Set<string>();
  const logListeners: LogListeners = {
    onLogged(record) {
      delays.onLogged(record);
      snapshots.onLogged(record);
      checks.onLogged(record);
      standing.onLogged(record.userId);
    },
    onUnattributed: (messageId) => void unattributed.add(messageId),
  };
  const store = createSimulatedStore(world, options.openUsers?.(scheduler));
  const topic = createSimulatedTopic(world);
  const mailServer = createSimulatedMailServer(world);
  const pubsub = createSimulatedPubsub(world, () => fleet.invoke);
  const redirectUri = `${PUBLIC_URL}/callback`;
  const digestOf = (refreshToken: string) => digestsOf(keys, refreshToken).doubleHash;
  const google = createSimulatedGoogle(world, endpoints, {
    redirectUri,
    publish: pubsub.accept,
    digestOf,
  });

  const fleet: Fleet = createFleet(world, (instance, effect) => {
    const clock = createClock(world, instance);
    const gmail = google.gmailFor(instance, effect, clock);
    const client = world.isOtherClient ? OTHER_CLIENT : CLIENT;
    const deployed = { ...config, oauth: client };
    const ports = {
      users: store.usersFor(instance, effect, clock),
      seenEvents: store.seenEventsFor(effect),
      callbackClaims: store.callbackClaimsFor(effect),
      publish: ((...args) => {
        details.onPublishing(instance, args[0].id);
        return topic.publishFor(instance, effect, clock)(...args);
      }) satisfies Publish,
      gmail: {
        ...gmail,
        getDetail: ((...args) => {
          details.onAsked(instance, google.tokens.get(args[0])?.sub ?? "");
          return gmail.getDetail(...args);
        }) satisfies Gmail["getDetail"],
      },
      passThrough: () => Promise.reject(new Error("no subscriber calls in the simulation")),
      oauth: google.oauthFor(instance, effect, clock, client),
      verifyIdToken: google.verifyIdTokenFor(effect),
      sendNotice: mailServer.sendFor(effect),
      verifySecurityEvent: google.verifySecurityEventFor(effect),
      clock,
      random: random("product").next,
      randomBytes: (size: number) => bytesOf(random("product-bytes").next, size),
      log: createSimulatedLog(world, instance.name, logged, logListeners),
    };
    return {
      receiver: createReceiver(createContext(deployed, keys, endpoints, ports)),
      // Only an operator's command needs them, so they are made when one comes.
      get context() {
        return createContext(deployed, keys, endpoints, ports);
      },
    };
  });

  const checks: Checks = createChecks(world, google);
  const recorder =
    options.record &&
    recordRun(
      {
        now: scheduler.now,
        model: google.model,
        settings: { settleMs: parameters.settleMs, ...rulesOf(parameters), isReconciled },
      },
      options.record,
    );
  recorder?.follow(checks);
  const persons = createPersons(world, { fleet, google, store, publicUrl: PUBLIC_URL });
  const situations = watchSituations(world, { fleet, store, persons });
  const notices = createNoticeChecks(world, mailServer);
  const costs = watchCosts();
  const standing = createStandingCosts(world);
  const snapshots = createSnapshotChecks(world, google, checks, store);
  const details = createDetailChecks(world);
  const delays = createDelayChecks(world, checks, store, () => persons.all);
  pubsub.onAttempt = situations.onAttempt;
  pubsub.onDelivery = ({ sub }) => standing.onStimulus(sub);
  checks.onRecords = standing.onRecords;
  pubsub.onAcknowledged = (notification, messageId) => {
    // The receiver can keep nothing for a mailbox that it does not know by this address.
    if (!unattributed.has(messageId)) checks.onAcknowledged(notification);
  };
  google.onCall = (call) => {
    checks.onCall(call);
    costs.onCall(call);
    snapshots.onCall(call);
    standing.onCall(call);
    if (call.isOfAuthorization) standing.onStimulus(call.sub);
  };
  store.onCommit = (commit) => {
    situations.onCommit(commit);
    recorder?.onCommit(commit);
    checks.onCommit(commit);
    notices.onCommit(commit);
    imports.onCommit(commit);
    snapshots.onCommit(commit);
    standing.onCommit(commit);
  };
  mailServer.onAsked = notices.onAsked;
  mailServer.onTaken = (notice) => {
    notices.onTaken(notice);
    situations.onMail(notice);
  };
  topic.onPublished = (event) => {
    recorder?.onPublished(event);
    checks.onPublished(event);
    situations.onPublished(event);
    delays.onPublished(event);
    snapshots.onPublished(event);
    details.onPublished(event);
    standing.onPublished(event);
  };

  const rewinds = createRewinds(world, google, store, checks);
  const chaos = [START + CONNECTING_MS, START + CONNECTING_MS + parameters.chaosMs] as const;
  const calls: Calls = { overAt: Infinity, isAtRest: () => false };
  const imports = startImports(world, { fleet, google, persons, digestOf }, chaos);
  for (const person of persons.all) {
    const connectsAt = START + random("start").between(0, 5 * MINUTE);
    if (!imports.isOffered(person)) persons.connect(person, connectsAt);
    startMail(world, person, { google, checks, rewinds }, chaos);
  }
  startSchedules(world, fleet, store.stored, calls);
  const securityEvents = createSecurityEvents(world, { fleet, google, url: `${PUBLIC_URL}/` });
  const operated = { fleet, store, topic };
  const people = { google, checks, persons, rewinds, securityEvents, delays, snapshots, operated };
  const incidents = startIncidents(world, people, GMAIL_TOPIC, chaos);

  const pass = async (time: number) => {
    try {
      await scheduler.runUntil(time);
    } catch (error) {
      world.violate("P11", error instanceof Error ? error.message : "the run came to a stop");
    }
  };
  options.direct?.({ world, fleet, google, checks, persons, store, published: topic.published });
  await pass(chaos[0]);
  world.rates = parameters.rates;
  await pass(chaos[1]);

  world.trace(() => "HEALING: the faults stop");
  endFaults(world);
  incidents.end();
  google.model.revealAll();
  for (const person of persons.all) {
    if (!parameters.comeBack || person.wants !== "connected") continue;
    if (!random("healing").chance(0.85)) continue;
    for (let minute = 20; minute < 120; minute += 25) {
      persons.connect(person, chaos[1] + minute * MINUTE);
    }
  }
  const lastCallsAt = chaos[1] + healingMs(parameters, store.stored());
  const healedAt = lastCallsAt + LAST_CALLS_MS;
  calls.overAt = lastCallsAt;
  // The last looks for what a notification told, and two at a quiet mailbox, make the cursor follow.
  const { quietMs } = parameters;
  const lastLooksAt = Math.max(chaos[1], lastCallsAt - 30 * MINUTE - 2.6 * quietMs);
  calls.isAtRest = ({ id, historyId, sync }) =>
    sync.dueReason === "quiet" && historyId === String(google.model.position(id).head);
  await pass(lastLooksAt);
  calls.isAtRest = () => false;
  const headsAt = scheduler.now();
  const heads = new Map(google.model.accounts().map(({ sub, historyId }) => [sub, historyId]));
  await pass(lastCallsAt - 30 * MINUTE);
  const lastMailAt = Math.round(scheduler.now());
  // Without reconciliation, more mail would make good whatever was left undone.
  for (const { sub } of parameters.family === "notified" ? [] : persons.all) {
    google.model.setIndexLag(sub, { kind: "none" });
    google.model.deliver(sub);
    checks.touched(sub);
  }
  await pass(healedAt);

  const { published } = topic;
  if (!scheduler.isStopped()) checkEnd();
  const { counts } = counters;
  return {
    seed,
    parameters,
    violations,
    counts,
    events: scheduler.events(),
    traceHash,
    trace,
    users: store.stored(),
    published,
    mails: mailServer.mails,
    hours: standing.hours(),
  };

  function checkEnd(): void {
    recorder?.end(headsAt);
    checkFinally(world, {
      google,
      checks,
      persons,
      store,
      pubsub,
      published,
      logged,
      heads,
      headsAt,
      lastMailAt,
    });
    notices.checkFinally(store.stored());
    imports.checkFinally();
    checkCosts(world, costs, { published, pubsub, spanMs: healedAt - START });
    delays.checkFinally();
    snapshots.checkFinally(calls.overAt);
    if (parameters.limitsCosts) standing.check();
  }
}

/** Long enough for every due time, and for the cursor to follow the head of a quiet mailbox. */
function healingMs(parameters: Parameters, users: readonly User[]): number {
  const { family, quietMs, settleMs } = parameters;
  if (family === "notified" || family === "prompt") return 6 * HOUR;
  // An unavailable mailbox is looked at once a day.
  const probedMs = users.some(({ status }) => status === "mailbox_unavailable") ? 26 * HOUR : 0;
  // The longest pause between two recoveries, of a history that was lost or refused.
  const lostMs = users.some(({ sync }) => sync.recoveries !== undefined) ? 7 * HOUR : 0;
  return probedMs + lostMs + 4 * HOUR + 3 * quietMs + settleMs;
}

function configured(parameters: Parameters): { config: Config; ring: KeyRing } {
  const { rude } = parameters;
  const atATime = String(Math.min(parameters.mailboxes, 8));
  const config = readConfig({
    GOOGLE_CLOUD_PROJECT: PROJECT,
    GMAIL_TOPIC,
    CHANGES_TOPIC: "mailbox-changes",
    PUBLIC_URL,
    OAUTH_CLIENT_ID: CLIENT.clientId,
    OAUTH_CLIENT_SECRET: CLIENT.clientSecret,
    TOKEN_KEYS,
    HISTORY_SETTLE_MS: String(parameters.settleMs),
    RECONCILE_AFTER_MS: String(parameters.quietMs),
    WATCH_RENEW_AFTER_MS: String(parameters.renewAfterMs),
    SYNC_PAGES_MAX: String(parameters.pagesMax),
    // As many as there are mailboxes: more would wait for nothing in each of thousands of runs.
    RENEWAL_CONCURRENCY: atATime,
    RECONCILIATION_CONCURRENCY: atATime,
    // A few pages in each run: live changes and everything else come in between.
    ...(rude.has("snapshots") && {
      SNAPSHOT_DAYS: String(SNAPSHOT_MS / (24 * HOUR)),
      SNAPSHOT_QUOTA_PERCENT: parameters.pageMax < 3 ? "3" : "1",
      GMAIL_UNITS_PER_MINUTE: "6000",
    }),
    ...(rude.has("short runs") && { SYNC_TIME_MS_MAX: "3000" }),
    ...(rude.has("watched labels") && { WATCH_LABEL_IDS: WATCHED_LABELS.join(",") }),
    ...(rude.has("firestore sink") && { CHANGES_SINK: "firestore" }),
    // In no relation to the sink: half of the worlds leave grants at Google.
    ...(rude.has("published drafts") !== rude.has("firestore sink") && {
      DISCONNECT_REVOKES: "false",
    }),
    ...(rude.has("published drafts") && { PUBLISH_DRAFTS: "true" }),
    ...(rude.has("detailed changes") && { CHANGES_DETAIL: "headers" }),
  });
  ring ??= ringOf(config.sealing.tokenKeys);
  return { config, ring };
}

function bytesOf(next: () => number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, () => Math.floor(next() * 256));
}
