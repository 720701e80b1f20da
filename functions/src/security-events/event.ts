import { type SecurityEventId } from "../domain/seen-events.ts";
import { createHash } from "node:crypto";
import * as z from "zod";
import { DOUBLE_HASH_BYTES, type TokenName } from "../crypto/token-digest.ts";
import { type UserId, parseUserId } from "../domain/user.ts";
import { type Result, err, ok } from "../domain/result.ts";
import type { Refusal } from "./refusal.ts";
import { isIssuer } from "./token.ts";

/** The account or token that an event is about. */
export type Subject =
  | { kind: "account"; userId: UserId }
  | { kind: "refresh_token"; name: TokenName }
  /** An unknown subject: another issuer's account, or another kind of token. */
  | { kind: "foreign" };

/** Google's event types, with `_` for `-`. */
export type AccountEventKind = (typeof ACCOUNT_EVENTS)[number];

/** An event about an account. */
export interface AccountEvent {
  kind: AccountEventKind;
  subject: Subject;
  /** Why an account was disabled, in Google's words: `hijacking`, `bulk-account`. */
  reason?: string;
}

/** Every event of Google's, parsed. */
export type SecurityEvent =
  | AccountEvent
  /** A test event. `state` is the text that was requested. */
  | { kind: "verification"; state: string }
  | { kind: "unknown"; type: string };

/** A token whose signature and claims have been verified. */
export interface SecurityEventToken {
  /** The same for every delivery of the same token, and valid as a document id. */
  id: SecurityEventId;
  jti: string;
  issuedAt: Date;
  /** When it happened: `toe` (RFC 8417 §2.2) if present, else `iat`. */
  happenedAt: Date;
  /** At least one. */
  events: readonly SecurityEvent[];
}

const ACCOUNT_EVENTS = [
  "sessions_revoked",
  "tokens_revoked",
  "token_revoked",
  "account_disabled",
  "account_enabled",
  "account_purged",
  "account_credential_change_required",
] as const;

/** How far Google's clock may be ahead of this instance's. */
const AHEAD_MS_MAX = 5 * 60_000;
/** A token states one occurrence; Google puts one event into each. */
const EVENTS_MAX = 20;
const STATE_CHARACTERS_MAX = 200;

/**
 * `token-revoked` and `tokens-revoked` are OAuth events and the rest RISC events, but senders and
 * libraries confuse the two prefixes, so only the name counts.
 */
const EVENT_TYPE =
  /^https:\/\/schemas\.openid\.net\/secevent\/(?:oauth|risc)\/event-type\/([a-z-]+)$/;

const CLAIMS = {
  iat: z.number().positive(),
  toe: z.number().positive(),
  jti: z.string().min(1),
  events: z.record(z.string(), z.record(z.string(), z.unknown())),
};
const SUBJECT = z.record(z.string(), z.unknown());

/**
 * Parses the claims of a token whose signature has been verified (RFC 8417 §2.2). There is no
 * `exp`: an event does not expire, and Google says not to check it. Pure.
 */
export function readClaims(
  claims: Readonly<Record<string, unknown>>,
  issuer: string,
  now: Date,
): Result<SecurityEventToken, Refusal> {
  const iat = CLAIMS.iat.safeParse(claims["iat"]).data;
  if (iat === undefined) return unusable("iat");
  const aheadMs = iat * 1_000 - now.getTime();
  if (aheadMs > AHEAD_MS_MAX) return err({ kind: "issued_in_future", aheadMs });
  const jti = CLAIMS.jti.safeParse(claims["jti"]).data;
  if (jti === undefined) return unusable("jti");
  const stated = Object.entries(CLAIMS.events.safeParse(claims["events"]).data ?? {});
  if (stated.length === 0 || stated.length > EVENTS_MAX) return unusable("events");
  const events = stated.map(([type, detail]) => readEvent(type, detail, issuer));
  if (events.includes(undefined)) return unusable("subject");

  const toe = Math.min(CLAIMS.toe.safeParse(claims["toe"]).data ?? iat, iat);
  return ok({
    id: createHash("sha256").update(`${issuer}\n${jti}`).digest("hex") as SecurityEventId,
    jti,
    issuedAt: new Date(iat * 1_000),
    happenedAt: new Date(toe * 1_000),
    events: events.filter((event) => event !== undefined),
  });
}

function unusable(claim: (Refusal & { kind: "claim_unusable" })["claim"]): Result<never, Refusal> {
  return err({ kind: "claim_unusable", claim });
}

/** Returns `undefined` if an event about an account or a token does not name it. */
function readEvent(
  type: string,
  detail: Readonly<Record<string, unknown>>,
  issuer: string,
): SecurityEvent | undefined {
  const name = EVENT_TYPE.exec(type)?.[1]?.replaceAll("-", "_");
  if (name === "verification") return { kind: "verification", state: readState(detail["state"]) };
  const kind = ACCOUNT_EVENTS.find((known) => known === name);
  if (kind === undefined) return { kind: "unknown", type };
  const subject = readSubject(detail["subject"], issuer);
  if (subject === undefined) return undefined;
  const { reason } = detail;
  const isCode = typeof reason === "string" && /^[a-z_-]{1,40}$/.test(reason);
  return { kind, subject, ...(isCode && { reason }) };
}

/** Returns the state of a `verification` event as visible ASCII. */
function readState(state: unknown): string {
  return typeof state === "string"
    ? state.slice(0, STATE_CHARACTERS_MAX).replace(/[^\x20-\x7e]/g, "?")
    : "";
}

/**
 * Parses Google's subjects: `iss-sub` and `id_token_claims` name an account by `sub` (an email
 * address is ignored, because addresses are reassigned); an OAuth token identifier names a refresh
 * token.
 */
function readSubject(value: unknown, issuer: string): Subject | undefined {
  const subject = SUBJECT.safeParse(value).data;
  if (subject === undefined || Object.keys(subject).length === 0) return undefined;
  const { iss, sub, token_type: tokenType, token_identifier_alg: algorithm, token } = subject;
  if (tokenType !== undefined || algorithm !== undefined) {
    const name = readTokenName(algorithm, token);
    const isRefreshToken = tokenType === "refresh_token" && name !== undefined;
    return isRefreshToken ? { kind: "refresh_token", name } : { kind: "foreign" };
  }
  const userId = parseUserId(sub);
  const isAccount = userId !== undefined && isIssuer(iss, issuer);
  return isAccount ? { kind: "account", userId } : { kind: "foreign" };
}

function readTokenName(algorithm: unknown, token: unknown): TokenName | undefined {
  if (typeof token !== "string") return undefined;
  if (algorithm === "prefix") return { by: "prefix", prefix: token };
  if (algorithm !== "hash_base64_sha512_sha512") return undefined;
  const hash = Buffer.from(token, "base64");
  return hash.length === DOUBLE_HASH_BYTES ? { by: "doubleHash", hash } : undefined;
}
