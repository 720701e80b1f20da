import type { Clock } from "../../functions/src/domain/clock.ts";
import type { GoogleEndpoints } from "../../functions/src/google/endpoints.ts";
import { type Gmail, type GmailUsers, gmailOf } from "../../functions/src/google/gmail.ts";
import type { VerifyIdToken } from "../../functions/src/google/id-token.ts";
import { type OAuth, type OAuthClient, googleOAuth } from "../../functions/src/google/oauth.ts";
import { parseEmailAddress } from "../../functions/src/domain/email-address.ts";
import { readClaims } from "../../functions/src/security-events/event.ts";
import type { Verification } from "../../functions/src/security-events/verification.ts";
import { err, ok } from "../../functions/src/domain/result.ts";
import { parseUserId } from "../../functions/src/domain/user.ts";
import type { Answer } from "../gmail-emulator/answer.ts";
import { ISSUER } from "../gmail-emulator/authorization.ts";
import { oauthError } from "../gmail-emulator/errors.ts";
import type { GmailRequest } from "../gmail-emulator/gmail-api.ts";
import { type GmailModel, createGmailModel } from "../gmail-emulator/model.ts";
import type { Notification } from "../gmail-emulator/notifications.ts";
import type { Preset } from "../gmail-emulator/presets.ts";
import type { Effect, Limit, Outcome } from "./effects.ts";
import type { Instance } from "./fleet.ts";
import { createGoogleFaults } from "./google-faults.ts";
import type { World } from "./world.ts";

/** One call that reached Google. */
export interface GoogleCall {
  /** When the oldest of the runs began that were under way in its instance as it was sent. */
  runSince: number;
  /** The number of those runs. */
  runs: number;
  method: string;
  /** The account that its token or code is of. */
  sub: string;
  /** Made with a token that a person's own authorization has just brought. */
  isOfAuthorization: boolean;
}

export interface Token {
  sub: string;
  kind: "refresh" | "access";
  issuedAt: number;
  /** By an authorization, not by a refresh. */
  isOfAuthorization: boolean;
  endedAt?: number;
  /** It ended because a refresh brought another. */
  isRotated?: boolean;
}

/** Google as the instances reach it, and as the checks know it. */
export interface SimulatedGoogle {
  model: GmailModel;
  tokens: Map<string, Token>;
  /** The refresh token of which this digest is stored. */
  findRefreshToken(sub: string, digest: string | undefined): Token | undefined;
  /** The person allows another program to use our client; returns the refresh token. */
  grantElsewhere(email: string): string;
  /** Every refresh and access token of this account is dead from now on. */
  endTokens(sub: string): void;
  /** The next call of this account's Gmail gets this answer. */
  failOnce(sub: string, preset: Preset): void;
  onCall: (call: GoogleCall) => void;
  gmailFor(instance: Instance, effect: Effect, clock: Clock): Gmail;
  oauthFor(instance: Instance, effect: Effect, clock: Clock, client: OAuthClient): OAuth;
  verifyIdTokenFor(effect: Effect): VerifyIdToken;
  verifySecurityEventFor(effect: Effect): (body: string) => Promise<Verification>;
}

const GMAIL_TIMEOUT_MS = 20_000;
const TOKEN_TIMEOUT_MS = 15_000;
/** Fewer, and a recovery's pages would shift by more than any real ones. */
const MESSAGES_PAGE_MIN = 8;

export const CLIENT: OAuthClient = {
  clientId: "simulated.apps.googleusercontent.com",
  clientSecret: "GOCSPX-the-right-client-secret",
};

/** Of another environment: nobody is sent back to ours by it. */
export const OTHER_CLIENT: OAuthClient = {
  clientId: "another.apps.googleusercontent.com",
  clientSecret: "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",
};

export function createSimulatedGoogle(
  world: World,
  endpoints: GoogleEndpoints,
  options: {
    redirectUri: string;
    publish: (notification: Notification) => void;
    /** What is stored of a refresh token, to know it again. */
    digestOf: (refreshToken: string) => string;
  },
): SimulatedGoogle {
  const { parameters, scheduler } = world;
  const { idStepMax, pageMax, emptyPages, notificationIdAhead, startAboveHead } = parameters;
  const random = world.random("google-world");
  const model = createGmailModel({
    now: () => Math.round(scheduler.now()),
    random: world.random("google").next,
    signer: { sign: unsigned, rotate() {}, jwks: () => ({ keys: [] }), pems: () => ({}) },
    clients: [
      { ...CLIENT, redirectUris: [options.redirectUri] },
      { ...OTHER_CLIENT, redirectUris: [] },
    ],
    settings: {
      historyIdStepMax: idStepMax,
      historyPageMax: pageMax,
      emptyHistoryPages: emptyPages,
      notificationIdAhead,
      startAboveHead,
      ...(parameters.rude.has("page tokens that expire") && {
        pageTokenMs: Math.round(random.between(600_000, 3_600_000)),
      }),
    },
    publish: options.publish,
  });
  const tokens = new Map<string, Token>();
  const faults = createGoogleFaults(world, model);

  const limit = (ms: number): Limit => ({
    ms,
    error() {
      world.count("google timed out");
      return Object.assign(new Error("timeout"), { code: "ETIMEDOUT" });
    },
  });

  function endTokens(sub: string): void {
    for (const token of tokens.values()) {
      if (token.sub === sub) token.endedAt ??= scheduler.now();
    }
  }

  const google: SimulatedGoogle = {
    model,
    tokens,
    endTokens,
    failOnce: faults.failOnce,
    grantElsewhere(email) {
      const checked = model.checkAuthorization(
        new URLSearchParams({
          client_id: CLIENT.clientId,
          redirect_uri: options.redirectUri,
          response_type: "code",
          scope: "openid email https://www.googleapis.com/auth/gmail.metadata",
          access_type: "offline",
          prompt: "consent",
        }),
      );
      if (checked.kind !== "request") throw new Error("the other program asks wrongly");
      const { request } = checked;
      const scopes = request.scopes.filter((scope) => scope.includes("/gmail."));
      const decided = model.decideAuthorization(request, { account: email, allow: true, scopes });
      const code = new URL(decided.kind === "redirect" ? decided.url : "about:blank").searchParams;
      const form = new URLSearchParams({
        grant_type: "authorization_code",
        code: code.get("code") ?? "",
        redirect_uri: options.redirectUri,
        client_id: CLIENT.clientId,
        client_secret: CLIENT.clientSecret,
      });
      const answer = issue(form, model.account(email).sub, "token.code");
      return String((answer.body as Record<string, unknown>)["refresh_token"]);
    },
    findRefreshToken(sub, digest) {
      return [...tokens].find(
        ([text, token]) =>
          token.sub === sub && token.kind === "refresh" && options.digestOf(text) === digest,
      )?.[1];
    },
    onCall: () => {},

    gmailFor(instance, effect, clock) {
      const call = async (
        request: Omit<GmailRequest, "userId">,
        bearer: string,
        timeoutMs: number = GMAIL_TIMEOUT_MS,
      ) => {
        const accessToken = bearer.slice("Bearer ".length);
        const token = tokens.get(accessToken);
        const runs = runsOf(instance);
        if (request.method === "messages.list") {
          const asked = Number(request.query?.get("maxResults"));
          const size = Math.min(asked, Math.max(pageMax, MESSAGES_PAGE_MIN));
          request.query?.set("maxResults", String(size));
        }
        return effect<{ data: unknown }>(
          request.method,
          () => {
            const { method } = request;
            if (token !== undefined) note(runs, method, token);
            return asClient(
              faults.around(method, token?.sub ?? "", () =>
                model.gmail({ ...request, accessToken, userId: "me" }),
              ),
            );
          },
          limit(timeoutMs),
        );
      };
      return gmailOf(gmailUsers(call), clock);
    },

    oauthFor(instance, effect, clock, client) {
      const post = async (url: string, form: URLSearchParams) => {
        const isRevoke = url === endpoints.revoke;
        const method = isRevoke ? "token.revoke" : tokenMethod(form);
        const runs = runsOf(instance);
        const { data } = await effect<{ data: unknown }>(
          method,
          () => {
            const secret = form.get("token") ?? form.get("refresh_token") ?? form.get("code") ?? "";
            const sub = subOf(secret);
            const token = tokens.get(secret) ?? newToken(sub, "access", method === "token.code");
            note(runs, method, token);
            const answer = faults.around(method, sub, () =>
              isRevoke ? revoke(secret) : issue(form, sub, method),
            );
            return asClient(answer);
          },
          limit(TOKEN_TIMEOUT_MS),
        );
        return data;
      };
      return googleOAuth(client, endpoints, clock, post);
    },

    verifyIdTokenFor: (effect) => (idToken, nonce) =>
      effect("jwks", () => ({ value: readIdToken(idToken, nonce) }), limit(TOKEN_TIMEOUT_MS)),

    verifySecurityEventFor: (effect) => (body) =>
      effect("jwks", () => ({ value: readSecurityEvent(body) }), limit(TOKEN_TIMEOUT_MS)),
  };

  function readSecurityEvent(body: string): Verification {
    return readClaims(claimsOf(body), `${ISSUER}/`, new Date(scheduler.now()));
  }

  function note(runs: Runs, method: string, token: Token): void {
    const { sub, isOfAuthorization } = token;
    google.onCall({ ...runs, method, sub, isOfAuthorization });
  }

  function subOf(secret: string): string {
    return model.subOf(secret) ?? "";
  }

  function newToken(sub: string, kind: Token["kind"], isOfAuthorization: boolean): Token {
    return { sub, kind, issuedAt: scheduler.now(), isOfAuthorization };
  }

  function issue(form: URLSearchParams, sub: string, method: string): Answer {
    const isRotated = method === "token.refresh" && random.chance(world.rates.tokenRotates);
    model.settings.refreshTokenRotations = isRotated ? 1 : 0;
    model.settings.rotatedTokenDies = random.chance(0.5);
    const answer = model.token(form);
    if (isOfOtherClient(answer) && random.chance(0.5))
      return oauthError(400, "invalid_grant", "Bad Request");
    if (answer.status !== 200) return answer;
    const { access_token: access, refresh_token: refresh } = answer.body as Record<string, string>;
    const isOfAuthorization = method === "token.code";
    if (access !== undefined) tokens.set(access, newToken(sub, "access", isOfAuthorization));
    if (refresh === undefined) return answer;
    tokens.set(refresh, newToken(sub, "refresh", isOfAuthorization));
    if (isOfAuthorization) return answer;
    world.count("refresh token rotated");
    const old = tokens.get(form.get("refresh_token") ?? "");
    if (old === undefined || !model.settings.rotatedTokenDies) return answer;
    old.isRotated = old.endedAt === undefined;
    old.endedAt ??= scheduler.now();
    return answer;
  }

  function revoke(secret: string): Answer {
    const answer = model.revoke(secret);
    if (answer.status === 200) endTokens(tokens.get(secret)?.sub ?? "");
    return answer;
  }

  return google;
}

/** The client library's calls, as far as they are made. */
function gmailUsers(
  call: (
    request: Omit<GmailRequest, "userId">,
    bearer: string,
    timeoutMs?: number,
  ) => Promise<{ data: unknown }>,
): GmailUsers {
  type Params = Record<string, unknown>;
  interface Options {
    headers: { authorization: string };
    timeout?: number;
  }
  const method =
    (name: GmailRequest["method"]) =>
    ({ userId: _, requestBody, id, ...query }: Params, { headers, timeout }: Options) =>
      call(
        {
          method: name,
          query: toQuery(query),
          ...(requestBody !== undefined && { body: requestBody }),
          ...(typeof id === "string" && { id }),
        },
        headers.authorization,
        timeout,
      );
  const users = {
    getProfile: method("users.getProfile"),
    watch: method("users.watch"),
    stop: method("users.stop"),
    history: { list: method("history.list") },
    messages: { list: method("messages.list"), get: method("messages.get") },
  };
  // Of the library's many overloads only the one that takes parameters and options is used.
  return users as unknown as GmailUsers;
}

function toQuery(params: Record<string, unknown>): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const each of [value].flat()) query.append(name, String(each));
  }
  return query;
}

/** What the client library makes of an answer: it resolves to the body, or throws the rest. */
function asClient(answer: Answer | { thrown: unknown }): Outcome<{ data: unknown }> {
  if ("thrown" in answer) return { error: answer.thrown };
  const { status, headers = {}, body: data = "" } = answer;
  return status < 300 ? { value: { data } } : { error: { status, headers, data } };
}

/** Google has been seen to answer a token of another client with either code. */
function isOfOtherClient({ body }: Answer): boolean {
  return (body as { error?: unknown } | undefined)?.error === "unauthorized_client";
}

function tokenMethod(form: URLSearchParams): "token.refresh" | "token.code" {
  return form.get("grant_type") === "refresh_token" ? "token.refresh" : "token.code";
}

type Runs = Pick<GoogleCall, "runSince" | "runs">;

function runsOf({ invocations }: Instance): Runs {
  const runSince = Math.min(...[...invocations].map(({ startedAt }) => startedAt));
  return { runSince, runs: invocations.size };
}

function unsigned(claims: Record<string, unknown>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none" })}.${part(claims)}.`;
}

/** The claims without the signature: that it is checked is tested elsewhere. */
function claimsOf(token: string): Record<string, unknown> {
  const [, part = ""] = token.split(".");
  return JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;
}

function readIdToken(
  ...[idToken, nonce]: Parameters<VerifyIdToken>
): Awaited<ReturnType<VerifyIdToken>> {
  const claims = claimsOf(idToken);
  const userId = parseUserId(claims["sub"]);
  const emailAddress = parseEmailAddress(claims["email"]);
  const isAnswer = nonce === "not_requested" || claims["nonce"] === nonce.requested;
  if (!isAnswer || userId === undefined || emailAddress === undefined) {
    return err({ kind: "refused", reason: "claims" });
  }
  return ok({ userId, emailAddress });
}
