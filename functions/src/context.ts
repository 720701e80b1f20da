import type { Clock, Random } from "./domain/clock.ts";
import type { CallbackClaims } from "./domain/callback-claims.ts";
import type { Publish } from "./domain/events.ts";
import type { SeenEvents } from "./domain/seen-events.ts";
import type { UserStore } from "./domain/user.ts";
import type { Gmail } from "./google/gmail.ts";
import type { IdentityCheck } from "./google/id-token.ts";
import type { OAuth } from "./google/oauth.ts";
import type { SendNotice } from "./notices/series.ts";
import type { Log } from "./platform/log.ts";
import type { ExportedTelemetry } from "./platform/telemetry/telemetry.ts";
import type { Verification } from "./security-events/verification.ts";

/** Everything outside of us, and what is not the same twice. */
export interface Surroundings {
  users: UserStore;
  seenEvents: SeenEvents;
  callbackClaims: CallbackClaims;
  publish: Publish;
  gmail: Gmail;
  oauth: OAuth;
  verifyIdToken(idToken: string, nonce: string): Promise<IdentityCheck>;
  /** Absent: nobody is written to. */
  sendNotice?: SendNotice;
  verifySecurityEvent(body: string): Promise<Verification>;
  clock: Clock;
  random: Random;
  randomBytes(size: number): Uint8Array;
  log: Log;
  /** Absent: nothing is traced or measured. */
  telemetry?: ExportedTelemetry;
}
