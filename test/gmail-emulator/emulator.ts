import { once } from "node:events";
import { Server } from "node:http";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { batchRoutes } from "./batch-routes.ts";
import { type Call, createCallLog } from "./calls.ts";
import { type ConsentDecision, giveConsent } from "./consent.ts";
import { controlRoutes } from "./control-routes.ts";
import { createFaults, type Faults } from "./faults.ts";
import { gmailRoutes } from "./gmail-routes.ts";
import { metadataRoutes } from "./metadata-server.ts";
import { createGmailModel, type GmailModel, type ModelOptions, type NewClient } from "./model.ts";
import { oauthRoutes } from "./oauth-routes.ts";
import {
  createPushDelivery,
  DEFAULT_PUSH_POLICY,
  type Push,
  type PushCounters,
  type PushPolicy,
} from "./push.ts";
import { riscService } from "./risc.ts";
import type { RiscConsole } from "./risc-console.ts";
import type { ServiceAccountKey } from "./service-accounts.ts";
import { serveLoopbackOnly } from "../support/loopback-only.ts";

export interface EmulatorOptions extends Omit<ModelOptions, "publish"> {
  /** A free one unless said. */
  port?: number;
  /** Where notifications go; nowhere unless said. */
  push?: Push;
  pushPolicy?: Partial<PushPolicy>;
}

/** The client that is registered unless others are given. */
export const DEFAULT_CLIENT: NewClient = {
  clientId: "gmail-push-receiver.apps.googleusercontent.com",
  clientSecret: "GOCSPX-emulated-client-secret",
  redirectUris: ["http://127.0.0.1:8080/callback", "http://localhost:8080/callback"],
};

/** Google on loopback: its endpoints over HTTP, and the functions of the model. */
export interface GmailEmulator extends GmailModel, RiscConsole {
  /** Returns the key file of a new service account, with the emulator's token endpoint in it. */
  createServiceAccount(email: string, projectId?: string): ServedKey;
  /** `127.0.0.1:PORT`, for `GMAIL_EMULATOR_HOST`. */
  readonly host: string;
  readonly url: string;
  readonly faults: Faults;
  /** Every call that reached Google's endpoints, oldest first. */
  readonly calls: readonly Call[];
  /** How many calls of a method (or group of methods) there were, for one account or all. */
  countCalls(method?: string, account?: string): number;
  resetCalls(): void;
  /** Goes through the consent page as a person would; answers with the redirect's URL. */
  consent(authUrl: string, decision: ConsentDecision): Promise<string>;
  setPush(push: Push): void;
  /** Delivers the next messages once more although they were acknowledged. */
  redeliverNext(count: number): void;
  pushCounters(): PushCounters;
  /** Resolves when no notification is in flight or waiting for another attempt. */
  idle(): Promise<PushCounters>;
  close(): Promise<void>;
}

type ServedKey = ServiceAccountKey & { readonly token_uri: string };

const LOOPBACK = "127.0.0.1";
const KEEP_ALIVE_MS = 60_000;

export async function startGmailEmulator(options: EmulatorOptions = {}): Promise<GmailEmulator> {
  const { port = 0, push = { kind: "none" }, pushPolicy, ...modelOptions } = options;
  const now = options.now ?? Date.now;
  const calls = createCallLog();
  const faults = createFaults(now);
  const delivery = createPushDelivery({
    push,
    policy: { ...DEFAULT_PUSH_POLICY, ...pushPolicy },
    now,
    historyIdAs: () => model.settings.notificationHistoryId,
  });
  const model = createGmailModel({
    clients: [DEFAULT_CLIENT],
    ...modelOptions,
    publish: delivery.publish,
  });
  const controls = {
    createServiceAccount: (email: string, projectId?: string): ServedKey => ({
      ...model.createServiceAccount(email, projectId),
      token_uri: `http://${host()}/token`,
    }),
    faults,
    setPush: delivery.setPush,
    redeliverNext: delivery.redeliverNext,
    pushCounters: delivery.counters,
    idle: delivery.idle,
    calls: calls.calls,
    countCalls: calls.count,
    resetCalls: calls.reset,
  };

  const services = { calls, faults, now };
  const { clientId } = modelOptions.clients?.[0] ?? DEFAULT_CLIENT;
  const risc = riscService(model, clientId, services);
  const gmail = gmailRoutes(model, services);
  const app = new Hono<{ Bindings: HttpBindings }>()
    .route("/", oauthRoutes(model, services))
    .route("/", gmail)
    .route("/", batchRoutes(gmail))
    .route("/", risc.routes)
    .route("/", metadataRoutes(model, now))
    .route("/emulator", controlRoutes({ ...model, ...controls }));
  const server = createAdaptorServer({ fetch: app.fetch });
  if (server instanceof Server) {
    serveLoopbackOnly(server);
    // A process that makes a key is busy for seconds: it must not find its connection closed.
    server.keepAliveTimeout = KEEP_ALIVE_MS;
  }
  const host = () => `${LOOPBACK}:${portOf(server.address())}`;
  server.listen(port, LOOPBACK);
  await once(server, "listening");

  return {
    ...model,
    ...controls,
    ...risc.console,
    host: host(),
    url: `http://${host()}`,
    consent: giveConsent,
    async close() {
      faults.clear();
      await delivery.close();
      const closed = once(server, "close");
      server.close();
      if (server instanceof Server) server.closeAllConnections();
      await closed;
    },
  };
}

function portOf(address: ReturnType<Server["address"]>): number {
  if (address === null || typeof address === "string") throw new Error("not listening on a port");
  return address.port;
}
