import { randomBytes } from "node:crypto";
import { Firestore } from "@google-cloud/firestore";
import { PubSub } from "@google-cloud/pubsub";
import { pubsubPublisher } from "./changes/publisher.ts";
import type { Clock } from "./clock.ts";
import { type Config, readConfig } from "./config.ts";
import { googleEndpoints } from "./google/endpoints.ts";
import { gmailClient } from "./google/gmail.ts";
import { idTokenVerifier } from "./google/id-token.ts";
import { cloudKeyManagement, unwrapKeyRing } from "./google/key-management.ts";
import { googleOAuth } from "./google/oauth.ts";
import { googleRiscKeys } from "./google/risc-keys.ts";
import { createLog } from "./log.ts";
import { smtpNotices } from "./notices/smtp.ts";
import { type Receiver, createReceiver } from "./receiver.ts";
import { securityEventVerifier } from "./security/verification.ts";
import { firestoreSeenEvents } from "./seen-events.ts";
import { firestoreUsers } from "./user-store.ts";

const clock: Clock = {
  now: () => new Date(),
  sleep: (ms) => new Promise((resolve) => void setTimeout(resolve, ms)),
};

const log = createLog((line) => process.stdout.write(`${line}\n`));

let receiver: Promise<Receiver> | undefined;

/**
 * The receiver of this instance, put together on first use: configuration, keys and clients. When
 * that fails, the next call tries again; what is wrong is alerted each time.
 */
export function getReceiver(): Promise<Receiver> {
  receiver ??= buildReceiver().catch((error: unknown) => {
    receiver = undefined;
    throw error;
  });
  return receiver;
}

async function buildReceiver(): Promise<Receiver> {
  const config = readConfigAloud();
  const endpoints = googleEndpoints(config.gmail.emulatorHost);
  const keyManagement = cloudKeyManagement(config.sealing.kmsEmulatorHost);
  const ring = await unwrapKeyRing(config.sealing, keyManagement, log);
  const { projectId, oauth, notices, app } = config;
  const database = new Firestore({ projectId });
  const riscKeys = googleRiscKeys(endpoints, clock);
  return createReceiver(config, ring, endpoints, {
    users: firestoreUsers(database, log),
    seenEvents: firestoreSeenEvents(database),
    publish: pubsubPublisher(new PubSub({ projectId }), config.changes.topic, clock),
    gmail: gmailClient(endpoints.gmail, clock),
    oauth: googleOAuth(oauth, endpoints, clock),
    verifyIdToken: idTokenVerifier(oauth.clientId, endpoints, clock),
    ...(notices !== undefined && { sendNotice: smtpNotices(notices, app, clock) }),
    verifySecurityEvent: securityEventVerifier(riscKeys, config.risc.clientIds, clock),
    clock,
    random: Math.random,
    randomBytes,
    log,
  });
}

function readConfigAloud(): Config {
  // The Firebase CLI sets only the other name of the project, and lets nobody set this one.
  const GOOGLE_CLOUD_PROJECT =
    process.env["GOOGLE_CLOUD_PROJECT"] || process.env["GCLOUD_PROJECT"] || undefined;
  try {
    return readConfig({ ...process.env, GOOGLE_CLOUD_PROJECT });
  } catch (error) {
    log.alert("configuration_unusable", "nothing works until the configuration is mended", {
      problems: error instanceof Error && "problems" in error ? (error.problems as string[]) : [],
    });
    throw error;
  }
}
