import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Firestore, Timestamp } from "@google-cloud/firestore";
import {
  DEFAULT_CLIENT,
  type GmailEmulator,
  startGmailEmulator,
} from "../gmail-emulator/emulator.ts";
import { judge as judgeRecording } from "../checker/judge.ts";
import { readRecording } from "../checker/recording.ts";
import { UNLIMITED, requiredEnv } from "../local/environment.ts";
import { type Stream, randomStreams } from "../simulation/random.ts";
import { openBrowser, throughGoogle } from "../support/browser.ts";
import { type Missing, startEmulator } from "../support/emulator-source.ts";
import { findFirestoreEmulator, openDatabase } from "../support/firestore-emulator.ts";
import { findPubsubEmulator, openPubsub } from "../support/pubsub-emulator.ts";
import { type FunctionProcess, createFunctionProcess } from "./function-process.ts";
import { createPeople } from "./people.ts";
import { recordingOf } from "./recording.ts";
import { type Verdict, judge } from "./verdict.ts";
import { type Witness, startWitness } from "./witness.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** What `gcloud functions deploy` uploads. */
const BUILT_FOLDER = path.join(ROOT, "functions/dist/gcloud");

const ALERTS_SHOWN_MAX = 10;
const BROKEN_SHOWN_MAX = 10;
const SETTLE_MS = 2_000;
const ADDRESSES = [
  "ada@example.com",
  "bob@example.com",
  "cyd@example.com",
  "dan@example.com",
] as const;

export interface StormOptions {
  seed: number;
  /** Of the two processes that are notified. */
  kills: number;
  /** A built folder; the project's own unless said. */
  built?: string;
  onProgress?: (line: string) => void;
  /** Takes the recording of the storm (`npm run check-recording`). */
  record?: (recording: string) => void;
}

export interface StormReport extends Verdict {
  kills: number;
  /** Of the processes that the schedules call. */
  scheduleKills: number;
  notifications: number;
  deliveries: number;
  redeliveries: number;
  /** Notifications given up. */
  abandoned: number;
  samples: number;
  /** Deliveries of the subscription that were not in the order of publication. */
  misordered: number;
  /** Mailboxes that never came to rest at their head. */
  unsettled: number;
  /** Promises that the checker of recordings finds broken. */
  broken: number;
  /** CRITICAL lines. */
  alerts: number;
  seconds: number;
}

/** Whether all that the storm needs is there. */
export function findStage(built = BUILT_FOLDER): { kind: "found" } | Missing {
  if (!existsSync(path.join(built, "functions.js"))) {
    const why = `${path.relative(ROOT, built)} is not there: run \`npm run build\``;
    return { kind: "missing", why };
  }
  const firestore = findFirestoreEmulator();
  return firestore.kind === "missing" ? firestore : findPubsubEmulator();
}

interface Stage {
  emulator: GmailEmulator;
  database: Firestore;
  witness: Witness;
  /** The two that notifications go to. */
  notified: readonly FunctionProcess[];
  reconciliation: FunctionProcess;
  renewal: FunctionProcess;
  random: (label: string) => Stream;
}

/**
 * Two processes of `gmailNotification` on one Firestore and one Pub/Sub emulator, killed and started
 * again while Gmail tells them of everything, some of it twice, late, in another order or not at
 * all. Then there is peace, and what subscribers have heard is compared with what happened. The
 * seed decides what is done; when exactly it takes effect is up to the machine.
 */
export async function runStorm(options: StormOptions): Promise<StormReport> {
  const startedAt = Date.now();
  const { seed, kills, onProgress = () => {} } = options;
  // Ended in reverse, whether all of them were started or not.
  const started: (() => Promise<unknown>)[] = [];
  try {
    const { stage, connected, processes } = await setUp(options, started);
    onProgress(`seed ${seed}: ${connected.size} mailboxes connected`);
    const killed = await rage(stage, kills, onProgress);
    onProgress("the storm is over");
    const unsettled = await settle(stage);
    const { emulator, witness } = stage;
    const { published, attempts, abandoned } = emulator.pushCounters();
    const endedAt = Date.now();
    await witness.drain([...connected.keys()]);

    const all = witness.published();
    const mailboxes = [...connected].map(([sub, connectedAt]) => ({
      account: emulator.account(sub),
      connectedAt,
    }));
    const recording = recordingOf({
      startedAt,
      endedAt,
      settleMs: SETTLE_MS,
      mailboxes,
      published: all,
      samples: witness.samples,
    });
    options.record?.(recording);
    const broken = judgeRecording(readRecording(recording)).broken.map(
      ({ property, what }) => `${property}: ${what}`,
    );
    const verdict = judge(
      mailboxes.map(({ account, connectedAt }) => ({
        account,
        connectedAt,
        published: all.filter(({ userId }) => userId === account.sub),
        samples: witness.samples.filter(({ userId }) => userId === account.sub),
      })),
    );
    const alerts = processes.flatMap((each) => linesOf(each.output(), '"severity":"CRITICAL"'));
    return {
      ...killed,
      notifications: published,
      deliveries: attempts,
      redeliveries: attempts - published,
      abandoned,
      ...verdict,
      findings: [
        ...verdict.findings,
        ...broken.slice(0, BROKEN_SHOWN_MAX),
        ...unsettled,
        ...alerts.slice(0, ALERTS_SHOWN_MAX),
      ],
      samples: witness.samples.length,
      misordered: witness.misordered(),
      unsettled: unsettled.length,
      broken: broken.length,
      alerts: alerts.length,
      seconds: Math.round((Date.now() - startedAt) / 1000),
    };
  } finally {
    for (const end of started.toReversed()) await end();
  }
}

async function setUp(
  { seed, built = BUILT_FOLDER }: StormOptions,
  started: (() => Promise<unknown>)[],
) {
  const random = randomStreams(seed);
  const firestore = await startEmulator(findFirestoreEmulator());
  started.push(() => firestore.stop());
  const pubsubEmulator = await startEmulator(findPubsubEmulator());
  started.push(() => pubsubEmulator.stop());

  // An emulator that ran already may hold what others have left.
  const projectId = `demo-storm-${randomBytes(4).toString("hex")}`;
  const required = requiredEnv(projectId);
  const database = openDatabase(firestore, projectId);
  started.push(() => database.terminate());
  const pubsub = openPubsub(pubsubEmulator, projectId);
  started.push(() => pubsub.close());
  const witness = await startWitness(database, pubsub, required.CHANGES_TOPIC);
  started.push(() => witness.close());

  const folder = await mkdtemp(path.join(tmpdir(), "storm-"));
  started.push(() => rm(folder, { recursive: true, force: true }));
  // A copy, because the folder may be built again meanwhile.
  const source = path.join(folder, "gcloud");
  await cp(built, source, { recursive: true, filter: (file) => !file.endsWith(".map") });
  await symlink(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));

  const emulator = await startGmailEmulator({
    projectId,
    topics: [required.GMAIL_TOPIC],
    random: random("google").next,
    pushPolicy: { attemptsMax: 1_000 },
    // Otherwise an instance that is killed between the response and the store loses the grant for good.
    settings: { rotatedTokenDies: false },
  });
  started.push(() => emulator.close());

  const env = {
    ...required,
    ...UNLIMITED,
    // So that what takes hours otherwise is part of the storm.
    HISTORY_SETTLE_MS: String(SETTLE_MS),
    RECONCILE_AFTER_MS: "3000",
    WATCH_RENEW_AFTER_MS: "5000",
  };
  const hosts = { gmail: emulator.host, pubsub: pubsubEmulator.host, firestore: firestore.host };
  const processes: FunctionProcess[] = [];
  const run = async (target: string, publicUrl?: string) => {
    const made = await createFunctionProcess({
      target,
      source,
      folder,
      hosts,
      env: (ownUrl) => ({ ...env, PUBLIC_URL: publicUrl ?? ownUrl }),
    });
    started.push(() => made.close());
    processes.push(made);
    await made.start();
    return made;
  };
  const connect = await run("connect");
  emulator.setRedirectUris(DEFAULT_CLIENT.clientId, [`${connect.url}/callback`]);
  const connected = await connectAll(emulator, database, connect.url);
  // No one is connected any more.
  await connect.close();
  const stage: Stage = {
    emulator,
    database,
    witness,
    notified: [
      await run("gmailNotification", connect.url),
      await run("gmailNotification", connect.url),
    ],
    reconciliation: await run("mailboxReconciliation", connect.url),
    renewal: await run("watchRenewal", connect.url),
    random,
  };
  let turn = 0;
  emulator.setPush({
    kind: "push",
    url: () => {
      turn += 1;
      return stage.notified[turn % stage.notified.length]?.url;
    },
  });
  return { stage, processes, connected };
}

/** Where each mailbox starts, by user id. */
async function connectAll(
  emulator: GmailEmulator,
  database: Firestore,
  publicUrl: string,
): Promise<Map<string, string>> {
  const connected = new Map<string, string>();
  for (const email of ADDRESSES) {
    const { sub } = emulator.createAccount({ email });
    const browser = openBrowser();
    const toGoogle = await browser.get(`${publicUrl}/start`);
    const { status } = await throughGoogle(emulator, browser, toGoogle, { account: email });
    if (status !== 200) throw new Error(`${email} is not connected: ${status}`);
    const stored = await database.doc(`users/${sub}`).get();
    connected.set(sub, stored.get("historyId"));
  }
  return connected;
}

/** What people do, one thing after the other. */
const ACT_PAUSE_MS_MAX = 120;
/** Between the start of a process and its end: a cold start, and some work done. */
const LIFE_MS_MIN = 200;
const LIFE_MS_MAX = 1_600;
/** Between two ends of a process that a schedule calls. */
const SCHEDULE_LIFE_MS_MIN = 3_000;
const SCHEDULE_LIFE_MS_MAX = 9_000;
/** How long an end waits for the moment that it is aimed at, and how far it misses. */
const AIM_MS_MAX = 1_000;
const AIM_MISSED_MS_MAX = 12;
const RECONCILIATION_PAUSE_MS = 1_500;
const RENEWAL_PAUSE_MS = 4_000;
const PROGRESS_EVERY_KILLS = 10;

/** The storm, until so many processes have been killed. */
async function rage(stage: Stage, kills: number, onProgress: (line: string) => void) {
  const { emulator, notified, reconciliation, renewal, random } = stage;
  const people = createPeople(emulator, ADDRESSES, random("people"));
  const killed = { kills: 0, scheduleKills: 0 };
  const isOver = () => killed.kills >= kills;
  const repeat = async (each: () => Promise<void>) => {
    while (!isOver()) await each();
  };

  const acting = repeat(async () => {
    people.act();
    await pause(random("pace").between(0, ACT_PAUSE_MS_MAX));
  });
  const scheduling = [
    repeat(() => callSchedule(reconciliation).then(() => pause(RECONCILIATION_PAUSE_MS))),
    repeat(() => callSchedule(renewal).then(() => pause(RENEWAL_PAUSE_MS))),
  ];
  const killing = notified.map((victim, index) => {
    const aim = random(`kills of ${index}`);
    return repeat(async () => {
      await pause(aim.between(LIFE_MS_MIN, LIFE_MS_MAX));
      await aimAt(victim, aim);
      if (isOver()) return;
      killed.kills += 1;
      if (killed.kills % PROGRESS_EVERY_KILLS === 0) onProgress(`${killed.kills} killed`);
      await victim.kill();
      await victim.start();
    });
  });
  const killingSchedules = repeat(async () => {
    const aim = random("kills of schedules");
    const victim = aim.pick([reconciliation, renewal]);
    await pause(aim.between(SCHEDULE_LIFE_MS_MIN, SCHEDULE_LIFE_MS_MAX));
    await aimAt(victim, aim);
    if (isOver()) return;
    killed.scheduleKills += 1;
    await victim.kill();
    await victim.start();
  });
  await Promise.all([acting, ...scheduling, ...killing, killingSchedules]);
  people.calm();
  return killed;
}

/** Any moment; or shortly after the process has sent something to one it depends on. */
async function aimAt(victim: FunctionProcess, aim: Stream): Promise<void> {
  const moment = aim.pick(["any", "gmail", "pubsub", "firestore"] as const);
  if (moment === "any") return;
  await victim.nextSent(moment, AIM_MS_MAX);
  await pause(aim.between(0, AIM_MISSED_MS_MAX));
}

/** As Cloud Scheduler does it, who minds no failure. */
async function callSchedule({ url }: FunctionProcess): Promise<void> {
  const signal = AbortSignal.timeout(SCHEDULE_MS_MAX);
  const answer = await fetch(url, { method: "POST", signal }).catch(() => undefined);
  await answer?.arrayBuffer().catch(() => undefined);
}

const SCHEDULE_MS_MAX = 60_000;
const SETTLE_MS_MAX = 120_000;
const SETTLE_POLL_MS = 500;

/**
 * Peace, until every notification is dealt with and every mailbox stands at its head and only waits
 * for its next quiet look. Resolves to what never got there.
 */
async function settle({ emulator, database, reconciliation }: Stage): Promise<string[]> {
  const deadline = Date.now() + SETTLE_MS_MAX;
  for (;;) {
    await callSchedule(reconciliation);
    const { pending } = emulator.pushCounters();
    const { docs } = await database.collection("users").get();
    const restless = docs.filter((document) => {
      const isQuiet = document.get("sync.dueReason") === "quiet";
      return !isQuiet || document.get("historyId") !== emulator.account(document.id).historyId;
    });
    if (pending === 0 && restless.length === 0) return [];
    if (Date.now() > deadline) {
      return [
        ...(pending > 0 ? [`unsettled: ${pending} notifications`] : []),
        ...restless.map((document) => `unsettled: ${JSON.stringify(document.get("sync"))}`),
      ];
    }
    for (const document of restless) {
      if (document.get("sync.dueReason") === "quiet") continue;
      // In place of waiting for half a minute: a later look is taken now. Refused when somebody
      // has written meanwhile, and then it is looked at again.
      const condition = { lastUpdateTime: document.updateTime };
      await document.ref.update({ "sync.dueAt": Timestamp.now() }, condition).catch(() => {});
    }
    await pause(SETTLE_POLL_MS);
  }
}

function linesOf(output: string, part: string): string[] {
  return output.split("\n").filter((line) => line.includes(part));
}
