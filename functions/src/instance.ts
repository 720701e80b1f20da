import { type Context, createContext } from "./context.ts";
import { randomBytes, randomUUID } from "node:crypto";
import { getHeapStatistics } from "node:v8";
import { Firestore } from "@google-cloud/firestore";
import { PubSub } from "@google-cloud/pubsub";
import { firestoreCallbackClaims } from "./store/callback-claims.ts";
import { pubsubPublisher } from "./pubsub/publisher.ts";
import type { After, Clock } from "./domain/clock.ts";
import { type Config, readConfig } from "./config/config.ts";
import { googleEndpoints } from "./google/endpoints.ts";
import { cloudKeyManagement, unwrapKeyRing } from "./google/key-management.ts";
import { googleClients } from "./google-clients.ts";
import type { KeyRing } from "./crypto/sealing.ts";
import { type Log, createLog } from "./platform/log.ts";
import { sampleRepeats } from "./platform/log-sampling.ts";
import { smtpNotices } from "./notices/smtp.ts";
import { type Receiver, createReceiver } from "./receiver.ts";
import { firestoreSeenEvents } from "./store/seen-events.ts";
import { startOnce } from "./platform/start-once.ts";
import type { ExportedTelemetry } from "./platform/telemetry/telemetry.ts";
import { openTelemetry } from "./platform/telemetry/open.ts";
import { firestoreUsers } from "./store/users.ts";

/** The clock of this machine. */
export const clock: Clock = {
  now: () => new Date(),
  sleep: (ms) => new Promise((resolve) => void setTimeout(resolve, ms)),
};

/** Returns the name of the function that this instance serves, as Google's build sets it; else "". */
export function getTarget(): string {
  return process.env["FUNCTION_TARGET"] ?? "";
}

/** Returns whether `connect` is behind a load balancer, for the Firebase CLI; see {@link getPublicInvoker}. */
export function isBalanced(): boolean {
  return Number(process.env["LOAD_BALANCERS"] ?? 0) > 0;
}

/**
 * Returns who may call the public functions, for the Firebase CLI, which loads them with the variables of
 * `infra/.env.PROJECT`. With `INVOKER_IAM_CHECK=false` it gives no right to `allUsers`, which a policy of the
 * organization refuses, and `infra/deploy/open-pages.sh` opens the functions afterwards.
 */
export function getPublicInvoker(): "public" | "private" {
  return process.env["INVOKER_IAM_CHECK"] === "false" ? "private" : "public";
}

/** Timers of this machine. */
export const after: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

const writeLine = (line: string) => void process.stdout.write(`${line}\n`);

/** The log of this instance: its standard output, which Cloud Logging reads. */
export const instanceLog = createLog(writeLine);

/** The log of what libraries print, which strangers can cause. */
export const libraryLog = sampleRepeats(instanceLog, clock);

/** Returns the receiver of this instance, created on first use: configuration, keys and clients. */
export const getReceiver: () => Promise<Receiver> = startOnce(buildReceiver, clock);

async function buildReceiver(): Promise<Receiver> {
  const config = readConfigAloud();
  const { K_SERVICE: service, K_REVISION: revision } = process.env;
  const instance = {
    ...(service !== undefined && { "faas.name": service }),
    ...(revision !== undefined && { "faas.version": revision }),
    "service.instance.id": randomUUID(),
  };
  const telemetry = await openTelemetry(config, { instance, clock, log: instanceLog });
  const log = telemetry === undefined ? instanceLog : createLog(writeLine, {}, telemetry.logFields);
  const receiver = createReceiver(await openContext(config, log, { telemetry }));
  const heapLimitMib = Math.round(getHeapStatistics().heap_size_limit / 2 ** 20);
  const { compileCache } = globalThis as { compileCache?: string };
  log.info("instance_started", "this instance is ready", { heapLimitMib, compileCache });
  return receiver;
}

/** The clients of this project's store and topics. */
export interface Clients {
  database: Firestore;
  pubsub: PubSub;
}

/** Opens the clients. Makes no call. */
export function openClients({ projectId, firestore: { databaseId } }: Config): Clients {
  return {
    database: new Firestore({ projectId, databaseId }),
    pubsub: new PubSub({ projectId }),
  };
}

/**
 * Returns the key ring of `TOKEN_KEYS`, decrypted by Cloud KMS if it is encrypted. Throws
 * `KeysUnusable`.
 */
export function unwrapKeys({ sealing }: Config, log: Log): Promise<KeyRing> {
  return unwrapKeyRing(sealing, cloudKeyManagement(sealing.kmsEmulatorHost), log);
}

/**
 * Returns the context of this machine: its clock and its randomness, the project's store and
 * topics, Google.
 */
export async function openContext(
  config: Config,
  log: Log,
  {
    clients = openClients(config),
    telemetry,
  }: { clients?: Clients; telemetry?: ExportedTelemetry | undefined } = {},
): Promise<Context> {
  const endpoints = googleEndpoints(config.gmail.emulatorHost);
  const ring = await unwrapKeys(config, log);
  const { database, pubsub } = clients;
  const { notices, app } = config;
  return createContext(config, ring, endpoints, {
    users: firestoreUsers(database, log, clock),
    seenEvents: firestoreSeenEvents(database),
    callbackClaims: firestoreCallbackClaims(database, after),
    publish: pubsubPublisher(pubsub, config.changes.topic, clock),
    ...googleClients(config, endpoints, clock),
    ...(notices !== undefined && { sendNotice: smtpNotices(notices, app, clock) }),
    ...(telemetry !== undefined && { telemetry }),
    clock,
    random: Math.random,
    randomBytes,
    log,
  });
}

/** Returns the environment for the configuration, for another project if one is named. */
export function readEnvironment(): Record<string, string | undefined> {
  // The Firebase CLI sets only the other name of the project, and does not allow this one.
  const GOOGLE_CLOUD_PROJECT =
    process.env["GOOGLE_CLOUD_PROJECT"] || process.env["GCLOUD_PROJECT"] || undefined;
  return { ...process.env, GOOGLE_CLOUD_PROJECT };
}

function readConfigAloud(): Config {
  try {
    return readConfig(readEnvironment());
  } catch (error) {
    instanceLog.alert(
      "config_invalid",
      "invalid configuration; this function does nothing until it is fixed",
      {
        problems: error instanceof Error && "problems" in error ? (error.problems as string[]) : [],
      },
    );
    throw error;
  }
}
