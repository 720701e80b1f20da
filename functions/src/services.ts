import { type Surroundings } from "./context.ts";
import { randomBytes, randomUUID } from "node:crypto";
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
import { type Receiver, type Services, createReceiver, createServices } from "./receiver.ts";
import { firestoreSeenEvents } from "./store/seen-events.ts";
import { startOnce } from "./platform/start-once.ts";
import { openTelemetry } from "./platform/telemetry/open.ts";
import { firestoreUsers } from "./store/users.ts";
import type { UserStore } from "./domain/user.ts";

const clock: Clock = {
  now: () => new Date(),
  sleep: (ms) => new Promise((resolve) => void setTimeout(resolve, ms)),
};

/** By the time of this machine. */
export const after: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

const writeLine = (line: string) => void process.stdout.write(`${line}\n`);

/** The log of this instance: its standard output, which Cloud Logging reads. */
export const instanceLog = createLog(writeLine);

/** Where what libraries print is logged: strangers can have them print. */
export const libraryLog = sampleRepeats(instanceLog, clock);

/** The receiver of this instance, put together on first use: configuration, keys and clients. */
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
  if (telemetry === undefined) return createReceiver(...(await prepare(config, instanceLog)));
  const log = createLog(writeLine, {}, telemetry.logFields);
  const [, ring, endpoints, surroundings] = await prepare(config, log);
  return createReceiver(config, ring, endpoints, { ...surroundings, telemetry });
}

/** The receiver's store and services for an operator's program, without its functions. */
export interface Operator {
  users: UserStore;
  clock: Clock;
  log: Log;
  /** The key ring of `TOKEN_KEYS`, unwrapped on first use. Throws `KeysUnusable`. */
  getKeyRing(): Promise<KeyRing>;
  /** What acts on Google and the topic, with the keys. */
  getServices(): Promise<Services>;
  /** Ends all connections, so that the program can end. */
  close(): Promise<void>;
}

/**
 * Reads the same configuration as the functions, for another project if one is named. Throws one
 * `ConfigError` that names every problem; nothing is called before it is used.
 */
export function openOperator(log: Log, projectId?: string): Operator {
  const config = readConfig(readEnvironment(projectId));
  const clients = openClients(config);
  let ring: Promise<KeyRing> | undefined;
  let services: Promise<Services> | undefined;
  return {
    users: firestoreUsers(clients.database, log, clock),
    clock,
    log,
    getKeyRing() {
      ring ??= unwrap(config, log);
      return ring;
    },
    getServices() {
      services ??= prepare(config, log, clients).then((parts) => createServices(...parts));
      return services;
    },
    async close() {
      await clients.pubsub.close();
      await clients.database.terminate();
    },
  };
}

interface Clients {
  database: Firestore;
  pubsub: PubSub;
}

function openClients({ projectId, firestore: { databaseId } }: Config): Clients {
  return {
    database: new Firestore({ projectId, databaseId }),
    pubsub: new PubSub({ projectId }),
  };
}

function unwrap({ sealing }: Config, log: Log): Promise<KeyRing> {
  return unwrapKeyRing(sealing, cloudKeyManagement(sealing.kmsEmulatorHost), log);
}

/** Everything that the receiver, or its services alone, are put together from. */
async function prepare(
  config: Config,
  log: Log,
  clients?: Clients,
): Promise<Parameters<typeof createServices>> {
  const endpoints = googleEndpoints(config.gmail.emulatorHost);
  const ring = await unwrap(config, log);
  const { database, pubsub } = clients ?? openClients(config);
  const { notices, app } = config;
  const surroundings: Surroundings = {
    users: firestoreUsers(database, log, clock),
    seenEvents: firestoreSeenEvents(database),
    callbackClaims: firestoreCallbackClaims(database, after),
    publish: pubsubPublisher(pubsub, config.changes.topic, clock),
    ...googleClients(config, endpoints, clock),
    ...(notices !== undefined && { sendNotice: smtpNotices(notices, app, clock) }),
    clock,
    random: Math.random,
    randomBytes,
    log,
  };
  return [config, ring, endpoints, surroundings];
}

function readEnvironment(projectId?: string): Record<string, string | undefined> {
  // The Firebase CLI sets only the other name of the project, and lets nobody set this one.
  const GOOGLE_CLOUD_PROJECT =
    projectId || process.env["GOOGLE_CLOUD_PROJECT"] || process.env["GCLOUD_PROJECT"] || undefined;
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
