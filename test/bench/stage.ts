import { createSecretKey, randomBytes } from "node:crypto";
import type { WriteBatch } from "@google-cloud/firestore";
import { type KeyRing, seal } from "../../functions/src/crypto/sealing.ts";
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";
import { openDatabase } from "../support/firestore-emulator.ts";
import type { Source } from "./function-process.ts";
import { type StubFirestore, startStubFirestore } from "./stub-firestore.ts";
import { type StubGoogle, startStubGoogle } from "./stub-google.ts";
import { type StubPubsub, startStubPubsub } from "./stub-pubsub.ts";

export const OURS: Source = {
  folder: "functions/dist/gcloud",
  target: "gmailNotification",
  signatureType: "cloudevent",
};
export const FLOOR: Source = { ...OURS, folder: "test/bench/baselines/floor" };

/** What a function calls, on loopback and counted, and the mailboxes that are stored there. */
export interface Stage {
  firestore: StubFirestore;
  pubsub: StubPubsub;
  google: StubGoogle;
  env: Record<string, string>;
  /** Stores so many mailboxes, from 0 on unless said, their cursor at 1. */
  store(count: number, options?: StoreOptions): Promise<void>;
  close(): void;
}

export interface StoreOptions {
  /** What they are due for; nothing unless said. */
  due?: "renewal" | "lag";
  isFlagged?: boolean;
  /** The first of them: else 0. */
  first?: number;
  /** A snapshot of all of its mail is due. */
  hasSnapshot?: boolean;
  /** Else there is only the refresh token. */
  hasAccessToken?: boolean;
  /** The short name of the Gmail scope that was granted. */
  scope?: string;
}

const PROJECT = "demo-bench";
const TOPIC = `projects/${PROJECT}/topics/gmail-notifications`;
const HOUR_MS = 3_600_000;
const BATCH = 500;

export const userId = (mailbox: number) => `user${mailbox}`;
const emailAddress = (mailbox: number) => `person${mailbox}@example.com`;

export async function setStage(env: Record<string, string> = {}): Promise<Stage> {
  // Else Google's client looks for the credentials of a machine of Google's, and warns of none.
  process.env["METADATA_SERVER_DETECTION"] ??= "none";
  const [firestore, pubsub, google] = await Promise.all([
    startStubFirestore(),
    startStubPubsub(),
    startStubGoogle(),
  ]);
  const key = randomBytes(32).toString("base64");
  const ring: KeyRing = {
    primary: "bench",
    keys: new Map([["bench", createSecretKey(key, "base64")]]),
  };
  const database = openDatabase(firestore, PROJECT);
  return {
    firestore,
    pubsub,
    google,
    env: {
      GOOGLE_CLOUD_PROJECT: PROJECT,
      GMAIL_TOPIC: TOPIC,
      CHANGES_TOPIC: "mailbox-changes",
      PUBLIC_URL: "http://127.0.0.1:8080",
      OAUTH_CLIENT_ID: DEFAULT_CLIENT.clientId,
      OAUTH_CLIENT_SECRET: DEFAULT_CLIENT.clientSecret,
      TOKEN_KEYS: JSON.stringify({ primary: "bench", keys: { bench: key } }),
      GMAIL_EMULATOR_HOST: google.host,
      FIRESTORE_EMULATOR_HOST: firestore.host,
      PUBSUB_EMULATOR_HOST: pubsub.host,
      ...env,
    },
    async store(count, options = {}) {
      const { first: start = 0 } = options;
      for (let first = start; first < start + count; first += BATCH) {
        const batch: WriteBatch = database.batch();
        for (let mailbox = first; mailbox < Math.min(start + count, first + BATCH); mailbox++) {
          const document = database.doc(`users/${userId(mailbox)}`);
          batch.set(document, toDocument(mailbox, ring, options));
        }
        await batch.commit();
      }
    },
    close() {
      void database.terminate();
      for (const stub of [firestore, pubsub, google]) stub.close();
    },
  };
}

/** A connected mailbox as the receiver stores it; the floor reads the token in clear. */
function toDocument(mailbox: number, ring: KeyRing, options: StoreOptions) {
  const { due, isFlagged = false, hasAccessToken = true, hasSnapshot = false } = options;
  const { scope = "gmail.metadata" } = options;
  const at = (ms: number) => new Date(Date.now() + ms);
  const sealed = (purpose: "refresh_token" | "access_token", token: string) =>
    seal(ring, token, { userId: userId(mailbox), purpose }, randomBytes);
  return {
    emailAddress: emailAddress(mailbox),
    status: isFlagged ? "reauthorization_required" : "active",
    statusReason: isFlagged ? "invalid_grant" : "authorized",
    statusAt: at(0),
    grant: {
      generation: 1,
      scopes: ["openid", "email", `https://www.googleapis.com/auth/${scope}`],
      refreshToken: sealed("refresh_token", `refresh-${mailbox}`),
      ...(hasAccessToken && {
        accessToken: sealed("access_token", `access-${mailbox}`),
        accessTokenExpiresAt: at(HOUR_MS),
      }),
      refreshTokenDigests: { prefix: "prefix", doubleHash: "doubleHash" },
      grantedAt: at(-24 * HOUR_MS),
    },
    historyId: "1",
    watch: {
      expiresAt: at(72 * HOUR_MS),
      ...(!isFlagged && { renewAt: at(due === "renewal" ? -HOUR_MS : HOUR_MS) }),
      failures: 0,
    },
    sync: {
      ...(!isFlagged && {
        dueAt: at(due === "lag" ? -1_000 : HOUR_MS),
        dueReason: due === "lag" ? due : "quiet",
      }),
      retries: due === "lag" ? 4 : 0,
      recent: [],
    },
    followUp: {
      announced: { status: "active", generation: 1 },
      failures: 0,
      ...(hasSnapshot && { dueAt: at(-1_000) }),
    },
    ...(hasSnapshot && {
      snapshot: {
        id: String(Date.now()),
        since: at(-90 * 24 * HOUR_MS),
        upToHistoryId: "1",
        requestedAt: at(-HOUR_MS),
        messages: 0,
        listing: 0,
      },
    }),
    plainAccessToken: `access-${mailbox}`,
  };
}

/** What Eventarc posts (CloudEvents HTTP binding, binary mode). */
export const NOTIFICATION_HEADERS = {
  "ce-specversion": "1.0",
  "ce-id": "11032",
  "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
  "ce-source": `//pubsub.googleapis.com/${TOPIC}`,
  "ce-time": "2026-11-20T12:00:00.000Z",
};

export function notificationOf(mailbox: number, historyId: number): string {
  const hint = JSON.stringify({ emailAddress: emailAddress(mailbox), historyId });
  return JSON.stringify({
    message: {
      data: Buffer.from(hint).toString("base64"),
      messageId: "11032",
      publishTime: "2026-11-20T12:00:00.000Z",
    },
    subscription: "projects/demo-bench/subscriptions/eventarc",
  });
}
