import type { Config } from "../config/config.ts";
import type { TokenSeal } from "../crypto/token-seal.ts";
import type { Clock, Random } from "../domain/clock.ts";
import type { Publish } from "../domain/events.ts";
import type { SendNotice } from "../domain/notice.ts";
import type { User, UserId, UserStore } from "../domain/user.ts";
import type { Circuit } from "../google/circuit.ts";
import type { Gmail } from "../google/gmail.ts";
import type { OAuth } from "../google/oauth.ts";
import type { Log } from "../platform/log.ts";
import type { Telemetry } from "../platform/telemetry/telemetry.ts";
import type { ReauthorizationLinks } from "./reauthorization-link.ts";

/** What the work on one user's grant uses. */
export interface GrantContext {
  config: Config;
  users: UserStore;
  publish: Publish;
  gmail: Gmail;
  oauth: OAuth;
  /** Seals and opens the tokens of users. */
  tokens: TokenSeal;
  links: ReauthorizationLinks;
  circuit: Circuit;
  fleetGuard: FleetGuard;
  /** Alerts, at most once an hour, that a stored grant belongs to another OAuth client. */
  alertOtherClient(userId: UserId): void;
  /** Absent: no mail is sent to people, there is only the event. */
  sendNotice?: SendNotice;
  clock: Clock;
  random: Random;
  /** Returns 256 random bits in base64url. */
  randomToken(): string;
  log: Log;
  telemetry: Telemetry;
}

/**
 * Decides whether one more user may be flagged, or whether the failures may all be our own mistake.
 */
export interface FleetGuard {
  /** Records that Google accepted this user's refresh token, and so the OAuth client. */
  noteRefreshed(user: User): void;
  admits(user: User): Promise<boolean>;
}
