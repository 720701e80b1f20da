import { type RedirectAnswer, type ConnectContext } from "./context.ts";
import { later } from "../domain/clock.ts";
import { type Authorization, completeAuthorization } from "./authorization.ts";
import {
  AUTHORIZATION_AGE_MS_MAX,
  type PendingAuthorization,
  flowIdOf,
  readPending,
} from "./authorization-request.ts";
import { type CallbackId, type CallbackOutcome, callbackIdOf } from "../domain/callback-claims.ts";
import { returnUrl } from "./return-to.ts";
import { SESSION_AGE_MS_MAX, startSession } from "./session.ts";
import { GOOGLE_ISSUER } from "../google/endpoints.ts";
import { logFailed } from "../platform/http.ts";
import type { Log } from "../platform/log.ts";
import { type PageError, parsePageError } from "../texts/texts.ts";
import type { User } from "../domain/user.ts";
import { type ConnectRequest, USED_TICKET, redirect, toGoogle } from "./connect-request.ts";
import { FLOW_DONE, cookie, flowCookieName, readCookie, sessionCookieName } from "./cookies.ts";

/**
 * Handles Google's redirect back (RFC 6749 §4.1.2). It is never a page: it always redirects at
 * once, so that code and state leave the address bar and the history. Each response is exchanged
 * once: a repeated request gets the same result, or a page that says it is done.
 */
export async function callback(
  { url, headers, frame, log, client }: ConnectRequest,
  context: ConnectContext,
): Promise<Response> {
  const { publicUrl } = context.pageLinks;
  const params = readCallback(url.searchParams);
  const flowId = params && flowIdOf(params.state);
  if (params === undefined || flowId === undefined) return notPending("session_lost");
  const name = flowCookieName(flowId, publicUrl);
  const kept = readCookie(headers, name);
  if (kept === FLOW_DONE) return notPending("already_done");
  const pending = readPending(kept, params.state, context);
  if (pending === undefined) {
    if (headers.get("cookie") === null) {
      log.warn(
        "callback_without_cookie",
        "a browser came back from Google without any cookie; if many do, a proxy drops cookies",
        {
          hint: "if many do, a proxy in front of connect drops cookies: npm run doctor finds it",
        },
      );
    }
    return notPending("session_lost");
  }

  const { to, cookies } = await context.callbacks.run(params.state, () =>
    answerOnce(params, pending, { frame, log, client }, context),
  );
  return redirect({ to, cookies: [cookie(name, FLOW_DONE, AUTHORIZATION_AGE_MS_MAX), ...cookies] });

  /** Not a response that this browser waits for; nothing of it is used. */
  function notPending(reason: PageError): Response {
    log.info(
      "authorization_refused",
      "rejected a response from Google that belongs to no pending authorization",
      { reason },
    );
    return redirect(refused(reason, undefined, context));
  }
}

type Callback = { state: string } & ({ code: string } | { error: string });

/** RFC 6749 §4.1.2, RFC 9207 §2: each parameter once, and from the issuer of the request. */
function readCallback(params: URLSearchParams): Callback | undefined {
  const names = ["state", "code", "error", "iss"];
  if (names.some((name) => params.getAll(name).length > 1)) return undefined;
  const [state, code, error, issuer] = names.map((name) => params.get(name));
  if (issuer !== null && issuer !== GOOGLE_ISSUER) return undefined;
  if (state === null || state === undefined) return undefined;
  if (typeof error === "string") return typeof code === "string" ? undefined : { state, error };
  return typeof code === "string" && code !== "" ? { state, code } : undefined;
}

/** Between two checks for the result of another request with the same response. */
const POLL_MS = 1_000;
const POLLS_MAX = 30;

/**
 * Across all instances, one request exchanges the code; the others wait for its result and answer
 * in the same way, since their cookie proves the same flow. Google may end the grant of a code that
 * is exchanged twice (RFC 6749 §4.1.2), so every failure here is a result, and is not retried.
 */
async function answerOnce(
  params: Callback,
  pending: PendingAuthorization,
  { frame, log, client }: Pick<ConnectRequest, "frame" | "log" | "client">,
  context: ConnectContext,
): Promise<RedirectAnswer> {
  try {
    if ("error" in params) return redirectOf(declined(params.error, log), pending, context);
    const { exchanges, failedExchanges } = context.publicLimits;
    if (!exchanges.take(client) || !failedExchanges.take()) {
      log.warn(
        "client_limited",
        "received more authorization codes than the limit; asked the browser to wait",
        {},
      );
      return refused("busy", pending, context);
    }
    const { callbackClaims, clock, randomToken } = context;
    const id = callbackIdOf(params.state);
    const expireAt = later(clock.now(), AUTHORIZATION_AGE_MS_MAX);
    const isFirst = await callbackClaims.claim(id, randomToken(), expireAt);
    if (!isFirst) {
      failedExchanges.giveBack();
      return redirectOf(await outcomeOfFirst(id, context), pending, context);
    }

    const outcome = await complete(params.code, pending, { frame, log }, context);
    const { emailAddress: _, user: __, ...stored } = outcome;
    // Without it, a second request asks the person to try again; this one has its result.
    await callbackClaims.settle(id, stored).catch((error: unknown) => logFailed(log, error));
    return await redirectOf(outcome, pending, context);
  } catch (error) {
    logFailed(log, error);
    return refused("try_later", pending, context);
  }
}

/** The result of a response, with what only the request that exchanged the code knows. */
type Outcome = CallbackOutcome & { emailAddress?: string; user?: User };

/**
 * Waits until the request that claimed the response has a result; bounded, since it may have died.
 */
async function outcomeOfFirst(
  id: CallbackId,
  { callbackClaims, clock }: ConnectContext,
): Promise<Outcome> {
  for (let polls = 0; polls < POLLS_MAX; polls++) {
    const outcome = await callbackClaims.find(id);
    if (outcome !== undefined) return outcome;
    await clock.sleep(POLL_MS);
  }
  return { kind: "refused", reason: "try_later" };
}

function declined(error: string, log: Log): Outcome {
  log.info("authorization_refused", "Google sent a person back without an authorization code", {
    reason: /^[a-z_]{1,40}$/.test(error) ? error : "unreadable",
  });
  return { kind: "refused", reason: pageOf(error) };
}

async function complete(
  code: string,
  pending: PendingAuthorization,
  { frame, log }: Pick<ConnectRequest, "frame" | "log">,
  context: ConnectContext,
): Promise<Outcome> {
  let outcome: Authorization;
  try {
    outcome = await completeAuthorization(code, pending, frame.texts.language, context);
  } catch (error) {
    logFailed(log, error);
    return { kind: "refused", reason: "try_later" };
  }
  if (outcome.kind !== "code_refused" && outcome.kind !== "try_later") {
    context.publicLimits.failedExchanges.giveBack();
  }
  logAuthorization(log, outcome);
  switch (outcome.kind) {
    case "connected": {
      const { user, isRestored, recoveredChanges } = outcome;
      const { id: userId, grant } = user;
      const { generation } = grant;
      return {
        kind: "connected",
        userId,
        generation,
        ...(isRestored && { recoveredChanges }),
        user,
      };
    }
    case "consent_needed":
      return { kind: "consent_needed", emailAddress: outcome.emailAddress };
    case "code_refused":
      return { kind: "refused", reason: "session_lost" };
    default:
      return { kind: "refused", reason: outcome.kind };
  }
}

async function redirectOf(
  outcome: Outcome,
  pending: PendingAuthorization,
  context: ConnectContext,
): Promise<RedirectAnswer> {
  switch (outcome.kind) {
    case "connected": {
      const { userId, generation, recoveredChanges } = outcome;
      const user = outcome.user ?? (await context.users.find(userId));
      // Another connection has replaced the one of this response.
      if (user?.grant.generation !== generation) return refused("already_done", pending, context);
      return connected(user, recoveredChanges, pending, context);
    }
    case "consent_needed": {
      const { returnTo, appState, appSub, tags, userId, link } = pending;
      const loginHint = outcome.emailAddress;
      const wish = { returnTo, appState, appSub, tags, userId, link, loginHint };
      return toGoogle(wish, context);
    }
    case "refused":
      return refused(parsePageError(outcome.reason) ?? "try_later", pending, context);
  }
}

/** The errors of Google's authorization endpoint (RFC 6749 §4.1.2.1, and its own codes). */
function pageOf(error: string): PageError {
  switch (error) {
    case "access_denied":
      return "declined";
    case "server_error":
    case "temporarily_unavailable":
    case "internal_failure":
    case "rate_limit_exceeded":
      return "try_later";
    case "admin_policy_enforced":
    case "policy_enforced":
    case "org_internal":
    case "restricted_client":
    case "account_restricted":
      return "administrator_decides";
    default:
      return "google_refused";
  }
}

async function connected(
  user: User,
  recoveredChanges: number | undefined,
  { returnTo, appState, appSub }: PendingAuthorization,
  context: ConnectContext,
): Promise<RedirectAnswer> {
  const { publicUrl } = context.config;
  const session = startSession(user, recoveredChanges, context);
  const cookies = [cookie(sessionCookieName(publicUrl), session, SESSION_AGE_MS_MAX)];
  if (returnTo === undefined) return { to: `${publicUrl}/`, cookies };
  const to = await returnUrl(user, { returnTo, appState, appSub }, context);
  return { to, cookies };
}

/** Returns the page about a refusal: that of the link, or a page of its own. */
function refused(
  error: PageError,
  pending: PendingAuthorization | undefined,
  { config: { publicUrl } }: ConnectContext,
): RedirectAnswer {
  if (pending?.link !== undefined) {
    return { to: `${publicUrl}/reauthorize/${pending.link}?refused=${error}`, cookies: [] };
  }
  // The page offers to try again, and the application still has to get the result.
  const again = new URLSearchParams({
    ...(pending?.returnTo !== undefined && { return_to: pending.returnTo }),
    ...(pending?.appState !== undefined && { app_state: pending.appState }),
    ...(pending?.appSub !== undefined && { ticket: USED_TICKET }),
  });
  const query = again.size === 0 ? "" : `?${again}`;
  return { to: `${publicUrl}/refused/${error}${query}`, cookies: [] };
}

function logAuthorization(log: Log, outcome: Authorization): void {
  switch (outcome.kind) {
    case "connected": {
      const { user, isRestored, recoveredChanges, isCaughtUp, isWatched } = outcome;
      log.info("user_connected", "a person allowed access", {
        userId: user.id,
        generation: user.grant.generation,
        isRestored,
        recoveredChanges,
        isCaughtUp,
        isWatched,
      });
      return;
    }
    case "try_later": {
      const { failure } = outcome;
      const { reason } = failure;
      const isOurs = failure.kind === "misconfigured";
      const write = isOurs ? log.alert : log.warn;
      write("authorization_failed", "could not complete an authorization", { reason });
      return;
    }
    default:
      log.info("authorization_refused", "rejected an authorization", { reason: outcome.kind });
  }
}
