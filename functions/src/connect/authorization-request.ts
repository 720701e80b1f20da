import { redirectUriOf } from "../config/config.ts";
import type { ConnectContext } from "./context.ts";
import { createHash, timingSafeEqual } from "node:crypto";
import * as z from "zod";
import { later } from "../domain/clock.ts";
import { canonicalScope } from "../domain/scope.ts";
import { parseUserId } from "../domain/user.ts";

/** How long a person may take on Google's pages. */
export const AUTHORIZATION_AGE_MS_MAX = 10 * 60_000;

/** The content of a pending authorization. */
const PENDING = z.object({
  state: z.string(),
  nonce: z.string(),
  codeVerifier: z.string(),
  expiresAt: z.number(),
  /** Consent was requested, so a response without a refresh token is final. */
  isConsentAsked: z.boolean(),
  /** Where the person goes afterwards; checked when the flow began. */
  returnTo: z.string().optional(),
  appState: z.string().optional(),
  /** The application's own user, from a start ticket. */
  appSub: z.string().optional(),
  /** From a start ticket. */
  tags: z.record(z.string(), z.string()).optional(),
  /** The user of a re-authorization; no other account may complete it. */
  userId: z.string().optional(),
  /** The link of a re-authorization: a refused one leads back to it. */
  link: z.string().optional(),
});

/** An authorization that a browser has begun and not completed. */
export type PendingAuthorization = z.infer<typeof PENDING>;

/** What an authorization should ask for, and for whom. */
export interface AuthorizationWish {
  returnTo?: string | undefined;
  appState?: string | undefined;
  appSub?: string | undefined;
  tags?: Readonly<Record<string, string>> | undefined;
  /** Sent to Google as `login_hint`, so that the right account is selected. */
  loginHint?: string | undefined;
  userId?: string | undefined;
  link?: string | undefined;
  /** Scopes that were granted before: all of them are requested again. */
  grantedScopes?: readonly string[] | undefined;
  /** A live refresh token is stored, so Google need not ask for consent again. */
  isRefreshTokenHeld?: boolean;
}

/** What a cookie of 4,096 bytes can hold in addition to the flow's own values. */
const BROUGHT_BYTES_MAX = 2_690;

/** Returns whether what an application wants back fits into the cookie of the flow. */
export function isKept({ returnTo, appState, appSub, tags }: AuthorizationWish): boolean {
  const brought = JSON.stringify({ returnTo, appState, appSub, tags });
  return Buffer.byteLength(brought) <= BROUGHT_BYTES_MAX;
}

/** Where to send the browser, and the cookie that it has to bring back. */
export interface AuthorizationRequest {
  url: string;
  /** Names the cookie, so that two flows in two tabs do not interfere. */
  flowId: string;
  cookie: string;
}

const FLOW_ID_LENGTH = 12;

/** Returns the id of the flow that a `state` belongs to. */
export function flowIdOf(state: string): string | undefined {
  return /^[A-Za-z0-9_-]{43}$/.test(state) ? state.slice(0, FLOW_ID_LENGTH) : undefined;
}

/**
 * Begins an authorization (RFC 6749 §4.1.1) with PKCE S256 (RFC 7636 §4.3), `state` and `nonce`.
 * Nothing is stored: what is pending is sealed in a cookie, so that it is bound to this browser.
 *
 * Scopes that the person granted to the project before are not asked for (no
 * `include_granted_scopes`): a stolen token must open no more than the receiver needs.
 */
export function requestAuthorization(
  wish: AuthorizationWish,
  context: ConnectContext,
): AuthorizationRequest {
  const { envelope, clock, randomToken } = context;
  const pending: PendingAuthorization = {
    state: randomToken(),
    nonce: randomToken(),
    codeVerifier: randomToken(),
    expiresAt: later(clock.now(), AUTHORIZATION_AGE_MS_MAX).getTime(),
    isConsentAsked: wish.isRefreshTokenHeld !== true,
    ...(wish.returnTo !== undefined && { returnTo: wish.returnTo }),
    ...(wish.appState !== undefined && { appState: wish.appState }),
    ...(wish.appSub !== undefined && { appSub: wish.appSub }),
    ...(wish.tags !== undefined && { tags: wish.tags }),
    ...(wish.userId !== undefined && { userId: wish.userId }),
    ...(wish.link !== undefined && { link: wish.link }),
  };
  const url = new URL(context.endpoints.authorize);
  url.search = new URLSearchParams({
    client_id: context.config.oauth.clientId,
    redirect_uri: redirectUriOf(context.config),
    response_type: "code",
    scope: [...new Set(["openid", "email", ...askedScopes(wish.grantedScopes, context)])].join(" "),
    access_type: "offline",
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: createHash("sha256").update(pending.codeVerifier).digest("base64url"),
    code_challenge_method: "S256",
    ...(pending.isConsentAsked && { prompt: "consent" }),
    ...(wish.loginHint !== undefined && { login_hint: wish.loginHint }),
    ...hostedDomainHint(context.config.allowedDomains),
  }).toString();
  const cookie = envelope.seal("authorization", pending);
  return { url: url.href, flowId: pending.state.slice(0, FLOW_ID_LENGTH), cookie };
}

/** Returns the hint for Google's page to offer the accounts of one domain. The ID token decides. */
function hostedDomainHint(allowedDomains: readonly string[]): { hd?: string } {
  const [hd, ...others] = allowedDomains;
  return hd === undefined || others.length > 0 ? {} : { hd };
}

/**
 * Returns the scopes to request in addition to `openid email`. A re-authorization requests every
 * scope that the user granted before.
 */
export function askedScopes(
  grantedBefore: readonly string[] | undefined,
  { config }: Pick<ConnectContext, "config">,
): string[] {
  const before = grantedBefore?.filter((scope) => scope.includes("://")) ?? [];
  return [...config.gmail.scopes, ...before.map(canonicalScope)];
}

/**
 * Returns the pending authorization that this browser began with this `state`; `undefined` if there
 * is none or it is too old.
 */
export function readPending(
  cookie: string | undefined,
  state: string,
  { envelope, clock }: Pick<ConnectContext, "envelope" | "clock">,
): PendingAuthorization | undefined {
  if (cookie === undefined) return undefined;
  const pending = envelope.open("authorization", cookie, PENDING);
  if (pending === undefined || pending.expiresAt <= clock.now().getTime()) return undefined;
  return isSame(pending.state, state) ? pending : undefined;
}

/** Compares in a time that does not depend on where the two differ. */
export function isSame(expected: string, given: string): boolean {
  const digest = (value: string) => createHash("sha256").update(value).digest();
  return timingSafeEqual(digest(expected), digest(given));
}

/** Returns the user of a pending re-authorization. */
export function expectedUserId({ userId }: PendingAuthorization) {
  return userId === undefined ? undefined : parseUserId(userId);
}
