import { type Surroundings } from "./context.ts";
import { toStoredChange } from "./pubsub/cloud-event.ts";
import type { Config } from "./config/config.ts";
import { createCircuit } from "./google/circuit.ts";
import type { GoogleEndpoints } from "./google/endpoints.ts";
import { openAccess, tryRefresh } from "./grant/access.ts";
import { settleHolders } from "./grant/address-holders.ts";
import { envelopes } from "./crypto/envelope.ts";
import { flag } from "./grant/flagging.ts";
import { createFleetGuard } from "./grant/fleet-guard.ts";
import { followUp } from "./functions/follow-up.ts";
import { onceEach } from "./connect/once-each.ts";
import { otherClientAlert } from "./grant/other-client.ts";
import { reauthorizationLinks } from "./grant/reauthorization-link.ts";
import type { KeyRing } from "./crypto/sealing.ts";
import { tokenSeal } from "./crypto/token-seal.ts";
import { connect } from "./connect/routes.ts";
import type { ConnectServices } from "./connect/connect-request.ts";
import { gmailNotification } from "./functions/gmail-notification.ts";
import { limitedEvents, limitedPages } from "./connect/limited.ts";
import { mailboxReconciliation } from "./functions/mailbox-reconciliation.ts";
import { reportSync } from "./functions/report.ts";
import { type SecurityEventServices, securityEvent } from "./functions/security-event.ts";
import { watchRenewal } from "./functions/watch-renewal.ts";
import type { HttpHandler, ServeOptions } from "./platform/http.ts";
import { type Log, parseTraceHeader } from "./platform/log.ts";
import { sampleRepeats } from "./platform/log-sampling.ts";
import { inTurn } from "./mailbox/in-turn.ts";
import type { ReconciliationServices } from "./functions/reconciliation.ts";
import type { RenewalServices } from "./mailbox/renewal.ts";
import type { SyncOutcome } from "./mailbox/sync-run.ts";
import { type MailServerTrouble, notify } from "./notices/series.ts";
import { publicLimits, rateLimit } from "./platform/rate-limit.ts";
import { observed } from "./instrument.ts";
import { NO_TELEMETRY, type Span } from "./platform/telemetry/telemetry.ts";
import type { User } from "./domain/user.ts";

/** A Pub/Sub message as a CloudEvent brings it. */
export interface NotificationEvent {
  data: unknown;
  traceparent?: string | undefined;
}

/** The five deployed functions, without the tools that serve them. */
export interface Receiver {
  /** Resolves to acknowledge, rejects to be delivered again. */
  gmailNotification(event: NotificationEvent): Promise<void>;
  watchRenewal(traceparent?: string): Promise<void>;
  mailboxReconciliation(traceparent?: string): Promise<void>;
  connect: HttpHandler;
  securityEvent: HttpHandler;
  /** How HTTP requests are served. */
  http: ServeOptions;
}

/** Answers of Google that one instance remembers, so that each of them is used once. */
const CALLBACKS_MAX = 1_000;

/** Each trace costs a request to the collector, and strangers can ask for as many pages as they like. */
const TRACED_PER_MINUTE_MAX = 150;

/** What the functions act with, and an operator's commands beside them. */
export type Services = ConnectServices &
  RenewalServices &
  ReconciliationServices &
  SecurityEventServices;

export function createServices(
  config: Config,
  ring: KeyRing,
  endpoints: GoogleEndpoints,
  surroundings: Surroundings,
): Services {
  const { clock, log, randomBytes, telemetry } = surroundings;
  const outside = telemetry === undefined ? surroundings : observed(surroundings, telemetry);
  const { gmail, oauth, sendNotice } = outside;
  const { publicUrl } = config;
  const tokens = tokenSeal(ring, randomBytes, log);
  const envelope = envelopes(ring, randomBytes);

  const mailServer: MailServerTrouble = {};

  const services: Services = {
    ...outside,
    telemetry: telemetry ?? NO_TELEMETRY,
    publicUrl,
    mailboxes: inTurn<SyncOutcome>(),

    tokens,
    envelope,
    links: reauthorizationLinks(publicUrl, envelope, clock),
    randomToken: () => Buffer.from(randomBytes(32)).toString("base64url"),
    refresh: oauth.refresh,
    circuit: createCircuit(clock, log),
    alertOtherClient: otherClientAlert(clock, log),
    fleetGuard: createFleetGuard({
      ...outside,
      tryRefresh: (user) => tryRefresh(user, services),
      exchangeMadeUpCode: () =>
        oauth.exchangeCode(
          `4/${services.randomToken()}`,
          services.randomToken(),
          services.redirectUri,
        ),
    }),
    exchangeCode: oauth.exchangeCode,
    revoke: oauth.revoke,
    openAccess: (user: User, triesMax?: number) => openAccess(user, services, triesMax),
    flag: (user, failure) => flag(user, failure, services),
    settleHolders: (address, holder) => settleHolders(address, holder, services),
    followUp: (user) => followUp(user, services),
    ...(sendNotice !== undefined && {
      notify: (user: User) => notify(user, { ...services, sendNotice, mailServer }),
    }),

    listHistory: gmail.listHistory,
    getProfile: gmail.getProfile,
    getHead: async (accessToken) => (await gmail.getProfile(accessToken)).historyId,
    listMessages: gmail.listMessages,
    getInternalDate: gmail.getInternalDate,
    getLabelIds: gmail.getLabelIds,
    watch: (accessToken, labelIds) => gmail.watch(accessToken, config.gmail.topic, labelIds),
    stop: gmail.stop,

    toStoredChanges: (user, changes) =>
      config.changes.sink === "firestore"
        ? changes.map((change) => toStoredChange(user, change, clock.now()))
        : [],
    changeFilter: {
      publishDrafts: config.changes.publishDrafts,
      labelIds: config.gmail.watchLabelIds,
    },
    limits: {
      settleMs: config.sync.settleMs,
      quietMs: config.sync.reconcileAfterMs,
      delayedAfterMs: config.sync.delayedAfterMs,
      pagesMax: config.sync.pagesMax,
      timeMsMax: config.sync.timeMsMax,
    },
    renewAfterMs: config.renewal.afterMs,
    renewal: config.renewal,
    unitsPerMinute: config.gmail.unitsPerMinute,
    reconciliation: config.reconciliation,
    forgetAfterDays: config.forgetAfterDays,
    report: (user, outcome) => reportSync(log, outcome, { userId: user.id }),

    authorizeUrl: endpoints.authorize,
    clientId: config.oauth.clientId,
    redirectUri: `${publicUrl}/callback`,
    scopes: config.gmail.scopes,
    allowedDomains: config.allowedDomains,
    disconnectRevokes: config.disconnectRevokes,
    isProjectShared: config.risc.clientIds.length > 1,
    pageLinks: {
      publicUrl,
      googleOrigin: new URL(endpoints.authorize).origin,
      app: config.app,
      disconnectRevokes: config.disconnectRevokes,
    },
    returnTo: config.returnTo,
    callbacks: onceEach(CALLBACKS_MAX),
    publicLimits: publicLimits(config.limits, clock),
  };
  return services;
}

/** Puts the receiver together. Nothing happens before one of its functions is called. */
export function createReceiver(
  config: Config,
  ring: KeyRing,
  endpoints: GoogleEndpoints,
  surroundings: Surroundings,
): Receiver {
  const { log, telemetry, clock } = surroundings;
  const { projectId, publicUrl, loadBalancers } = config;
  const services = createServices(config, ring, endpoints, surroundings);

  const { invocation } = telemetry ?? NO_TELEMETRY;
  const traced = (traceparent: string | undefined) =>
    log.with(parseTraceHeader(traceparent, projectId));
  const scheduled = (name: string, run: (own: Log) => Promise<void>) => (traceparent?: string) =>
    invocation(name, "server", traceparent, () => run(traced(traceparent)));
  const tracedRequests = rateLimit({ perMinute: TRACED_PER_MINUTE_MAX }, clock);
  // A stranger's `traceparent` says nothing about what we trace: else it could have all of it kept.
  const served =
    (name: string, handle: HttpHandler): HttpHandler =>
    (...args) =>
      tracedRequests.take()
        ? invocation(name, "server", undefined, (span) => withStatus(span, handle(...args)))
        : handle(...args);

  return {
    gmailNotification: ({ data, traceparent }) =>
      invocation("gmailNotification", "consumer", traceparent, () =>
        gmailNotification(data, traced(traceparent), services),
      ),
    watchRenewal: scheduled("watchRenewal", (own) => watchRenewal(own, services)),
    mailboxReconciliation: scheduled("mailboxReconciliation", (own) =>
      mailboxReconciliation(own, services),
    ),
    connect: limitedPages(
      served("connect", (...args) => connect(...args, services)),
      services,
    ),
    securityEvent: limitedEvents(
      served("securityEvent", (request, own) => securityEvent(request, own, services)),
      services,
    ),
    http: { publicUrl, projectId, loadBalancers, log: sampleRepeats(log, clock) },
  };
}

async function withStatus(span: Span, response: Promise<Response>): Promise<Response> {
  const answered = await response;
  span.set({ "http.response.status_code": answered.status });
  return answered;
}
