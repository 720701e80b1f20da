import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Firestore } from "@google-cloud/firestore";
import {
  DEFAULT_CLIENT,
  type GmailEmulator,
  startGmailEmulator,
} from "../gmail-emulator/emulator.ts";
import { type Missing, javaVersion, startEmulator } from "../support/emulator-source.ts";
import { type FirebaseEmulators, startFirebaseEmulators } from "../support/firebase-cli.ts";
import { findFirestoreEmulator, openDatabase } from "../support/firestore-emulator.ts";
import { freePort } from "../support/program.ts";
import {
  type Received,
  type Subscriber,
  findPubsubLauncher,
  openPubsub,
  subscribe,
} from "../support/pubsub-emulator.ts";
import { PROJECT, requiredEnv } from "./environment.ts";
import type { ScheduleName } from "./schedules.ts";

/** The built functions in the Functions emulator, and everything that they talk to. */
export interface FirebaseStack {
  emulator: GmailEmulator;
  /** Where `connect` is. */
  publicUrl: string;
  gmailApiUrl: string;
  firestoreHost: string;
  pubsubHost: string;
  database: Firestore;
  /** Of the changes topic. */
  subscriber: Subscriber;
  /** Runs the schedule's function over HTTP; the emulator has no clock for it. Resolves to the status. */
  runSchedule(name: ScheduleName): Promise<number>;
  /** What an operator's program is configured by, as a file for `--env-file`. */
  operatorEnvFile: string;
  /** What each program has logged so far, by name. */
  logs(): Promise<Record<string, string>>;
  close(): Promise<void>;
}

export interface FirebaseStackOptions {
  /** For the functions, in addition to what the stack sets itself. */
  env?: Record<string, string>;
  /** Take the emulators' usual ports where they are free, so that addresses stay the same. */
  wantsUsualPorts?: boolean;
  onChange?: (change: Received) => void;
  /** Everything that the Firebase CLI shows. */
  onOutput?: (text: string) => void;
}

const REGION = "us-central1";
/** As every way of deploying names it. */
const DATABASE = "gmail-push";
const USUAL_PORTS = { functions: 5001, pubsub: 8085, gmail: 8090 };

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BUNDLE = path.join(ROOT, "functions/dist/firebase");

/** Whether all that the stack needs is there. */
export function findFirebaseStack(): { kind: "found" } | Missing {
  if (!existsSync(path.join(BUNDLE, "functions.js"))) {
    return { kind: "missing", why: "functions/dist/firebase is not there: run `npm run build`" };
  }
  if (javaVersion() === 0) {
    return { kind: "missing", why: "there is no Java, which the emulators need" };
  }
  return findFirestoreEmulator();
}

export async function startFirebaseStack(
  options: FirebaseStackOptions = {},
): Promise<FirebaseStack> {
  const { onChange, onOutput, wantsUsualPorts = false } = options;
  // Stopped in reverse, whether all of them were started or not.
  const started: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const stop of started.splice(0).toReversed()) await stop();
  };
  try {
    const firestore = await startEmulator(findFirestoreEmulator());
    started.push(() => firestore.stop());
    const usual = wantsUsualPorts ? USUAL_PORTS : undefined;
    const ports = {
      functions: await freePort(usual?.functions),
      pubsub: await freePort(usual?.pubsub),
    };
    const functionsUrl = `http://127.0.0.1:${ports.functions}`;
    const urlOf = (name: string) => `${functionsUrl}/${PROJECT}/${REGION}/${name}`;
    const publicUrl = urlOf("connect");
    const pubsubHost = `127.0.0.1:${ports.pubsub}`;

    const emulator = await startGmailEmulator({
      port: await freePort(usual?.gmail),
      clients: [{ ...DEFAULT_CLIENT, redirectUris: [`${publicUrl}/callback`] }],
      push: { kind: "pubsub_emulator", host: pubsubHost },
    });
    started.push(() => emulator.close());

    const folder = await mkdtemp(path.join(tmpdir(), "firebase-stack-"));
    started.push(() => rm(folder, { recursive: true, force: true }));
    const { GOOGLE_CLOUD_PROJECT, OAUTH_CLIENT_SECRET, TOKEN_KEYS, ...told } = requiredEnv(
      PROJECT,
      publicUrl,
    );
    const secrets = {
      OAUTH_CLIENT_SECRET,
      TOKEN_KEYS,
      RETURN_TO_SECRET: "none",
      NOTICE_SMTP_URL: "none",
      OTEL_EXPORTER_OTLP_HEADERS: "none",
    };
    const functionsEnv = {
      REGION,
      FIRESTORE_DATABASE: DATABASE,
      NODE_OPTIONS: "--max-old-space-size=256",
      // The CLI asks for it, although PUBLIC_URL is set.
      PROJECT_NUMBER: "123456789012",
      ...told,
      GMAIL_EMULATOR_HOST: emulator.host,
      ...options.env,
    };
    await layOut(folder, secrets, functionsEnv);
    const operatorEnvFile = path.join(folder, "operator.env");
    await writeEnv(operatorEnvFile, {
      ...secrets,
      ...functionsEnv,
      GOOGLE_CLOUD_PROJECT,
      FIRESTORE_EMULATOR_HOST: firestore.host,
      PUBSUB_EMULATOR_HOST: pubsubHost,
      METADATA_SERVER_DETECTION: "none",
    });
    const firebase = await startFirebaseEmulators({
      folder,
      projectId: PROJECT,
      ports,
      config: readConfig(),
      env: { FIRESTORE_EMULATOR_HOST: firestore.host, ...(await pubsubEnv(folder)) },
      ...(onOutput !== undefined && { onOutput }),
    });
    started.push(() => firebase.stop());

    const database = openDatabase(firestore, PROJECT, DATABASE);
    started.push(() => database.terminate());
    const pubsub = openPubsub({ host: pubsubHost }, PROJECT);
    started.push(() => pubsub.close());
    const subscriber = await subscribe(pubsub, told.CHANGES_TOPIC, onChange);
    started.push(() => subscriber.close());

    return {
      emulator,
      publicUrl,
      gmailApiUrl: urlOf("gmailApi"),
      firestoreHost: firestore.host,
      pubsubHost,
      database,
      subscriber,
      async runSchedule(name) {
        // The emulator names a trigger after its function, with its place among several.
        const trigger = `${REGION}-${name}-0`;
        const url = `${functionsUrl}/functions/projects/${PROJECT}/triggers/${trigger}`;
        const { status } = await fetch(url, { method: "POST" });
        return status;
      },
      operatorEnvFile,
      logs: () => readLogs(folder, firebase, firestore.output()),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The project's own `firebase.json` without what a running emulator has no use for. */
function readConfig(): Record<string, unknown> {
  const { functions } = JSON.parse(readFileSync(path.join(ROOT, "firebase.json"), "utf8"));
  const [{ predeploy: _, configDir: __, ...codebase }] = functions;
  return { functions: [{ ...codebase, source: "functions" }] };
}

/**
 * A project of the Firebase CLI: the built folder, an env file for this project and the secrets as
 * the emulator reads them, and our own `node_modules`, which is where the CLI looks for its SDKs.
 */
async function layOut(
  folder: string,
  secrets: Record<string, string>,
  env: Record<string, string>,
): Promise<void> {
  const functions = path.join(folder, "functions");
  await mkdir(functions);
  await cp(BUNDLE, functions, { recursive: true });
  await symlink(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
  await writeEnv(path.join(functions, `.env.${PROJECT}`), env);
  await writeEnv(path.join(functions, ".secret.local"), secrets);
}

async function writeEnv(file: string, env: Record<string, string>): Promise<void> {
  const lines = Object.entries(env).map(([name, value]) => `${name}='${value}'\n`);
  await writeFile(file, lines.join(""), { mode: 0o600 });
}

/**
 * Makes the CLI run the gcloud SDK's Pub/Sub emulator where there is one. Through a script of ours,
 * because the CLI changes the mode of what it is pointed at, which only its owner may.
 */
async function pubsubEnv(folder: string): Promise<Record<string, string>> {
  const launcher = findPubsubLauncher();
  if (launcher === undefined) return {};
  const script = path.join(folder, "pubsub-emulator.sh");
  await writeFile(script, `#!/bin/sh\nexec '${launcher}' "$@"\n`, { mode: 0o755 });
  return { PUBSUB_EMULATOR_BINARY_PATH: script };
}

async function readLogs(
  folder: string,
  firebase: FirebaseEmulators,
  firestore: string,
): Promise<Record<string, string>> {
  return {
    firebase: firebase.output(),
    firebaseDebug: await firebase.debugLog(),
    pubsub: await readFile(path.join(folder, "pubsub-debug.log"), "utf8"),
    firestore,
  };
}
