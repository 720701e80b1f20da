import { type Ports, createContext } from "../../functions/src/context.ts";
import type { SeenEvents } from "../../functions/src/domain/seen-events.ts";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout } from "node:timers/promises";
import { getTestServer } from "@google-cloud/functions-framework/testing";
import type { After, Clock } from "../../functions/src/domain/clock.ts";
import { type Config, readConfig } from "../../functions/src/config/config.ts";
import { limitBodiesOf } from "../../functions/src/entries/limit-bodies.ts";
import { READINGS, registerFunctions } from "../../functions/src/entries/register.ts";
import { googleEndpoints } from "../../functions/src/google/endpoints.ts";
import { googleClients } from "../../functions/src/google-clients.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import type { CallbackClaims } from "../../functions/src/domain/callback-claims.ts";
import { smtpNotices } from "../../functions/src/notices/smtp.ts";
import type { UserStore } from "../../functions/src/domain/user.ts";
import type { Publish } from "../../functions/src/domain/events.ts";
import { type Receiver, createReceiver } from "../../functions/src/receiver.ts";
import type { Operator } from "../../infra/cli/operator.ts";
import { openTelemetry } from "../../functions/src/platform/telemetry/open.ts";
import {
  DEFAULT_CLIENT,
  type EmulatorOptions,
  type GmailEmulator,
  startGmailEmulator,
} from "../gmail-emulator/emulator.ts";
import { memoryCallbackClaims } from "../support/memory-callback-claims.ts";
import { serveLoopbackOnly } from "../support/loopback-only.ts";
import { memorySeenEvents } from "../support/memory-seen-events.ts";
import { ringOf } from "../support/test-keys.ts";
import { FUNCTIONS, type FunctionName, PROJECT, requiredEnv } from "./environment.ts";

/** The functions as they are served, each on its own port of loopback. */
export interface LocalStack {
  emulator: GmailEmulator;
  /** Where `connect` is. */
  publicUrl: string;
  /** Addresses of the six functions, by name. */
  urls: Record<FunctionName, string>;
  config: Config;
  /** Runs the schedule's function over HTTP, as Cloud Scheduler would; resolves to the status. */
  runSchedule(name: "watchRenewal" | "mailboxReconciliation"): Promise<number>;
  /** Every line logged so far. */
  logs: string[];
  /** Google as the functions reach it. */
  google: Pick<Ports, "gmail" | "oauth">;
  /** The same deployment for an operator's program, which shares no memory with the functions. */
  operator(own: Pick<Ports, "log"> & Partial<Ports>): Operator;
  close(): Promise<void>;
}

export interface LocalStackOptions {
  users: UserStore;
  /** In memory unless given. */
  seenEvents?: SeenEvents;
  /** In memory unless given. */
  callbackClaims?: CallbackClaims;
  publish: Publish;
  clock: Clock;
  random?: () => number;
  /** For the limit on the time of a request's body; by real time unless given. */
  after?: After;
  /** In addition to what the stack sets itself. */
  env?: Record<string, string>;
  emulator?: EmulatorOptions;
  onLog?: (line: string) => void;
  /** By function; a free one for each that is not named. */
  ports?: Readonly<Partial<Record<string, number>>>;
}

const LOOPBACK = "127.0.0.1";
const KEEP_ALIVE_MS = 60_000;
/** Exporters run by real time, not by the receiver's clock. */
const REAL_CLOCK: Clock = { now: () => new Date(), sleep: (ms) => setTimeout(ms) };

/** By real time. */
export const realAfter: After = (ms, run) => {
  const canceled = new AbortController();
  void setTimeout(ms, undefined, { signal: canceled.signal }).then(run, () => {});
  return () => canceled.abort();
};

/** The receiver in this process: served by the functions-framework, against the Gmail emulator. */
export async function startLocalStack(options: LocalStackOptions): Promise<LocalStack> {
  const { clock, users, publish, random = Math.random } = options;
  const {
    seenEvents = memorySeenEvents(),
    callbackClaims = memoryCallbackClaims(),
    after = realAfter,
  } = options;
  // There is no metadata server here: Google's libraries look for one, and warn, unless told so.
  process.env["METADATA_SERVER_DETECTION"] ??= "none";
  const logs: string[] = [];
  const write = (line: string) => {
    logs.push(line);
    options.onLog?.(line);
  };

  const receiver = deferred<Receiver>();
  registerFunctions(() => receiver.promise, after);
  const servers = {} as Record<FunctionName, Server>;
  const urls = {} as Record<FunctionName, string>;
  for (const name of FUNCTIONS) {
    const server = getTestServer(name);
    limitBodiesOf(server, after, READINGS[name]);
    // Client and server share a process: one that is busy must not find its connection closed.
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    // The others answer for themselves what a browser is refused.
    if (name !== "connect" && name !== "securityEvent") serveLoopbackOnly(server);
    server.listen(options.ports?.[name] ?? 0, LOOPBACK);
    await once(server, "listening");
    servers[name] = server;
    urls[name] = `http://${LOOPBACK}:${(server.address() as AddressInfo).port}`;
  }
  const publicUrl = urls.connect;

  const emulator = await startGmailEmulator({
    now: () => clock.now().getTime(),
    clients: [{ ...DEFAULT_CLIENT, redirectUris: [`${publicUrl}/callback`] }],
    push: { kind: "push", url: urls.gmailNotification },
    ...options.emulator,
  });

  const config = readConfig({
    ...requiredEnv(PROJECT, publicUrl),
    GMAIL_EMULATOR_HOST: emulator.host,
    ...options.env,
  });
  const ring = ringOf(config.sealing.tokenKeys);
  const endpoints = googleEndpoints(config.gmail.emulatorHost);
  const telemetry = await openTelemetry(config, {
    instance: { "service.instance.id": "local" },
    clock: REAL_CLOCK,
    log: createLog(write),
  });
  const ports: Ports = {
    users,
    seenEvents,
    callbackClaims,
    publish,
    ...googleClients(config, endpoints, clock),
    ...(config.notices && { sendNotice: smtpNotices(config.notices, config.app, clock) }),
    clock,
    random,
    randomBytes,
    log: createLog(write, {}, telemetry?.logFields),
    ...(telemetry !== undefined && { telemetry }),
  };
  receiver.resolve(createReceiver(createContext(config, ring, endpoints, ports)));

  return {
    emulator,
    publicUrl,
    urls,
    config,
    logs,
    google: { gmail: ports.gmail, oauth: ports.oauth },
    operator(own) {
      const theirs = { ...ports, ...own };
      return {
        users: theirs.users,
        clock,
        log: theirs.log,
        getKeyRing: () => Promise.resolve(ring),
        getContext: () => Promise.resolve(createContext(config, ring, endpoints, theirs)),
        close: () => Promise.resolve(),
      };
    },
    async runSchedule(name) {
      const { status } = await fetch(urls[name], { method: "POST" });
      return status;
    },
    async close() {
      await emulator.close();
      for (const server of Object.values(servers)) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: ((value: T) => void) | undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve: (value) => resolve?.(value) };
}
