import type { Config } from "./config/config.ts";
import type { ConnectContext } from "./connect/context.ts";
import { onceEach } from "./connect/once-each.ts";
import { envelopes } from "./crypto/envelope.ts";
import type { KeyRing } from "./crypto/sealing.ts";
import { tokenSeal } from "./crypto/token-seal.ts";
import type { Clock, Random } from "./domain/clock.ts";
import { createCircuit } from "./google/circuit.ts";
import type { GoogleEndpoints } from "./google/endpoints.ts";
import type { GmailApiContext } from "./gmail-api/context.ts";
import { pacing } from "./gmail-api/pacing.ts";
import type { VerifyIdToken } from "./google/id-token.ts";
import { createFleetGuard } from "./grant/fleet-guard.ts";
import { otherClientAlert } from "./grant/other-client.ts";
import { reauthorizationLinks } from "./grant/reauthorization-link.ts";
import { type InstrumentedPorts, instrument } from "./instrument.ts";
import { detailUnits } from "./mailbox/detail-units.ts";
import { inTurn } from "./mailbox/in-turn.ts";
import type { NoticeContext } from "./notices/context.ts";
import type { Log } from "./platform/log.ts";
import { publicLimits, rateLimit } from "./platform/rate-limit.ts";
import {
  type ExportedTelemetry,
  type InvocationTelemetry,
  NO_TELEMETRY,
} from "./platform/telemetry/telemetry.ts";
import type { SecurityEventContext } from "./security-events/context.ts";
import type { Verification } from "./security-events/verification.ts";

/**
 * The ports: everything outside the receiver, and everything that varies. A test or a simulation
 * passes its own.
 */
export interface Ports extends InstrumentedPorts {
  verifyIdToken: VerifyIdToken;
  verifySecurityEvent(body: string): Promise<Verification>;
  clock: Clock;
  random: Random;
  randomBytes(size: number): Uint8Array;
  log: Log;
  /** Absent: nothing is traced or measured. */
  telemetry?: ExportedTelemetry;
}

/** The named parts of one instance. Each room's functions take the context of that room. */
export interface Context
  extends ConnectContext, NoticeContext, SecurityEventContext, GmailApiContext {
  telemetry: InvocationTelemetry;
}

/** Callbacks of Google that one instance remembers, so that each of them is used once. */
const CALLBACKS_MAX = 1_000;

/** Each of them can be an alert. */
const REPORTS = { perMinute: 1 };

/** Creates the context. Makes no call before one of its parts is used. */
export function createContext(
  config: Config,
  ring: KeyRing,
  endpoints: GoogleEndpoints,
  { randomBytes, telemetry, ...bare }: Ports,
): Context {
  const ports = telemetry === undefined ? bare : instrument(bare, telemetry);
  const { clock, log } = ports;
  const { publicUrl, app, disconnectRevokes } = config;
  const envelope = envelopes(ring, randomBytes);
  const guarded = {
    ...ports,
    config,
    endpoints,
    telemetry: telemetry ?? NO_TELEMETRY,
    envelope,
    tokens: tokenSeal(ring, randomBytes, log),
    links: reauthorizationLinks(publicUrl, envelope, clock),
    circuit: createCircuit(clock, log),
    alertOtherClient: otherClientAlert(clock, log),
    randomToken: () => Buffer.from(randomBytes(32)).toString("base64url"),
  };
  return {
    ...guarded,
    fleetGuard: createFleetGuard(guarded),
    mailboxes: inTurn(),
    behindPlace: {},
    detailUnits: detailUnits(config.gmail.unitsPerMinute, clock),
    mailServer: {},
    callbacks: onceEach(CALLBACKS_MAX),
    publicLimits: publicLimits(config.limits, clock),
    refreshes: new Map(),
    reports: rateLimit(REPORTS, clock),
    pacing: pacing(config.gmail.unitsPerMinute, clock),
    pageLinks: {
      publicUrl,
      googleOrigin: new URL(endpoints.authorize).origin,
      app,
      disconnectRevokes,
    },
  };
}
