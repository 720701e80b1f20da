import { type Failure, type Call } from "../domain/failure.ts";
import { type Answer, isPage, readAnswer } from "./answer.ts";

/**
 * Classifies anything that a Google client, `fetch` or a parser can throw, or a response (`{
 * status, headers, data }`). Never throws; what it cannot parse is `transient`. It uses the HTTP
 * status, the codes in the body and the call; prose only where Google gives no code.
 */
export function classify(call: Call, error: unknown, now: Date): Failure {
  try {
    return classifyAnswer(call, readAnswer(error), now);
  } catch {
    return { kind: "transient", reason: "unreadable" };
  }
}

function classifyAnswer(call: Call, answer: Answer, now: Date): Failure {
  const { status, codes, reason } = answer;
  if (status === undefined && codes.length === 0) return classifyLocal(answer);
  if (isRateLimit(answer)) return rateLimited(answer, now);
  if (status !== undefined && isPassing(status)) return { kind: "transient", reason };
  switch (call) {
    case "token.refresh":
    case "token.code":
    case "token.revoke":
      return classifyTokenAnswer(call, answer);
    case "jwks":
    case "risc.configuration":
      return { kind: "transient", reason };
    case "users.watch":
    case "users.stop":
    case "users.getProfile":
    case "history.list":
    case "messages.list":
    case "messages.get":
      return classifyGmailAnswer(call, answer);
    case "gmail.api":
      return classifyPassedOn(answer);
  }
}

/** Redirects, unexpected successes, timeouts (408, 499) and server errors: temporary responses. */
function isPassing(status: number): boolean {
  return status < 400 || status >= 500 || status === 408 || status === 499;
}

/** No response from Google: the network, a timeout, or the client library itself. */
function classifyLocal({ text, reason }: Answer): Failure {
  return /^No (access, )?refresh token\b/i.test(text)
    ? { kind: "bad_request", reason: "no_refresh_token" }
    : { kind: "transient", reason };
}

/** Handles the codes of RFC 6749 §5.2 and Google's additions; without a code nothing is proven. */
function classifyTokenAnswer(
  call: "token.refresh" | "token.code" | "token.revoke",
  { status, oauthError, codes, text, reason }: Answer,
): Failure {
  switch (oauthError) {
    case undefined:
      return { kind: "transient", reason };

    case "invalid_grant":
      // A used or damaged code says nothing about the stored grant.
      if (call === "token.code") return { kind: "bad_request", reason };
      if (call === "token.revoke") return { kind: "gone", reason: "gone" };
      // Only the text shows an assertion (RFC 7523): a service account's, so it is our
      // configuration.
      if (/\bJWT\b|\bRobot is\b|account not found|invalid signature/i.test(text)) {
        return { kind: "misconfigured", reason };
      }
      // An administrator's limit of the session length; `error_subtype` may be missing.
      return [...codes, text].some((it) => /\b(invalid_rapt|rapt_required)\b/.test(it))
        ? { kind: "reauthorize", reason: "invalid_rapt" }
        : { kind: "reauthorize", reason };

    case "admin_policy_enforced":
      return { kind: "reauthorize", reason };

    case "access_denied":
      if (/Account restricted/i.test(text)) {
        return { kind: "mailbox_unavailable", reason: "account_disabled" };
      }
      // About a client, it is our configuration; otherwise the person or the administrator denies
      // access.
      if (call !== "token.refresh" || /\bclient\b/i.test(text)) {
        return { kind: "misconfigured", reason };
      }
      return { kind: "reauthorize", reason };

    case "invalid_request":
      // A missing client id or secret is a configuration error; anything else is a bug.
      return /client.?(id|secret)/i.test(text)
        ? { kind: "misconfigured", reason }
        : { kind: "bad_request", reason };

    case "internal_failure":
    case "server_error":
    case "temporarily_unavailable":
      return { kind: "transient", reason };

    default:
      if (CLIENT_ERRORS.has(oauthError)) return { kind: "misconfigured", reason };
      if (status === undefined) return { kind: "transient", reason };
      if (call === "token.revoke" && oauthError === "invalid_token")
        return { kind: "gone", reason: "gone" };
      // Codes that Google adds later concern the person or the administrator: those about the
      // client are known.
      return call === "token.refresh" && !REQUEST_ERRORS.has(oauthError)
        ? { kind: "reauthorize", reason: oauthError }
        : { kind: "bad_request", reason };
  }
}

/** RFC 6749 §5.2: the request itself is wrong, which is a bug. */
const REQUEST_ERRORS = new Set(["unsupported_grant_type", "invalid_scope"]);

/** The OAuth client is wrong, deleted, disabled, or closed to the user: the same for every user. */
const CLIENT_ERRORS = new Set([
  "invalid_client",
  "unauthorized_client",
  "deleted_client",
  "disabled_client",
  "restricted_client",
  "org_internal",
  "redirect_uri_mismatch",
  "use_dpop_nonce",
  "invalid_dpop_proof",
]);

function classifyGmailAnswer(call: Call, answer: Answer): Failure {
  const { status, codes, text, reason, format, authenticate } = answer;
  const has = (code: string) => codes.includes(code);

  if (has("domainPolicy") || has("USER_BLOCKED_BY_ADMIN")) {
    return { kind: "mailbox_unavailable", reason: "domain_policy" };
  }
  if (codes.some((code) => ACCOUNT_ERRORS.has(code))) {
    return { kind: "mailbox_unavailable", reason: "account_disabled" };
  }
  // Both use codes that mean something else elsewhere; the second is a 401 that no new token fixes,
  // because the service is off for this account.
  if (/Mail service not enabled|Active session is invalid/i.test(text)) {
    return { kind: "mailbox_unavailable", reason: "mail_service_not_enabled" };
  }

  switch (status) {
    case 400:
      if (call === "users.watch" && /only one user push notification client/i.test(text)) {
        return { kind: "conflict", reason: "conflict" };
      }
      if (/\binvalid label\b/i.test(text)) return { kind: "bad_request", reason: "invalid_label" };
      if (call === "users.watch" && /\btopic/i.test(text)) return { kind: "misconfigured", reason };
      // Known to be temporary; a disabled mailbox has a message of its own (above).
      if (has("failedPrecondition") || has("FAILED_PRECONDITION")) {
        return { kind: "transient", reason };
      }
      return isPage(format) ? { kind: "transient", reason } : { kind: "bad_request", reason };

    case 401:
      // The request had no credentials, which says nothing about the stored ones.
      if (has("required") || has("CREDENTIALS_MISSING") || /Login Required/i.test(text)) {
        return { kind: "bad_request", reason };
      }
      return isPage(format)
        ? { kind: "transient", reason }
        : { kind: "unauthenticated", reason: "unauthenticated" };

    case 403:
      if (
        has("insufficientPermissions") ||
        has("ACCESS_TOKEN_SCOPE_INSUFFICIENT") ||
        /\berror="?insufficient_scope\b/.test(authenticate) ||
        /insufficient authentication scopes/i.test(text)
      ) {
        return { kind: "reauthorize", reason: "insufficient_scope" };
      }
      // "Unreg" is a request without credentials; the other is one for another person's mailbox.
      if (codes.some((code) => code.endsWith("Unreg")) || /^Delegation denied/i.test(text)) {
        return { kind: "bad_request", reason };
      }
      return isOfProject(call, answer)
        ? { kind: "misconfigured", reason }
        : { kind: "refused", reason };

    case 404:
      // A page comes from a front end: a wrong host or path, not Gmail's response about a mailbox.
      if (isPage(format)) return { kind: "bad_request", reason };
      if (call === "history.list") return { kind: "history_expired", reason: "history_expired" };
      if (call === "messages.get") return { kind: "gone", reason: "gone" };
      // A watch names the topic, and Gmail checks whether it exists.
      return { kind: call === "users.watch" ? "misconfigured" : "bad_request", reason };

    case undefined:
      return { kind: "transient", reason };

    default:
      return has("ABORTED") ? { kind: "transient", reason } : { kind: "bad_request", reason };
  }
}

/**
 * Classifies the failure of a subscriber's own call. Its request can be wrong in every way, and ask
 * for more than the person granted: that says nothing about the grant, the mailbox or our
 * configuration.
 */
function classifyPassedOn(answer: Answer): Failure {
  const failure = classifyGmailAnswer("gmail.api", answer);
  switch (failure.kind) {
    case "unauthenticated":
    case "transient":
      return failure;
    case "mailbox_unavailable":
      if (hasAccountCode(answer)) return failure;
      return { kind: "bad_request", reason: answer.reason };
    case "misconfigured":
      if (answer.codes.some((code) => PROJECT_ERRORS.has(code))) return failure;
      return { kind: "bad_request", reason: failure.reason };
    default:
      return { kind: "bad_request", reason: answer.reason };
  }
}

/**
 * Returns whether the codes agree that an account is unavailable. Gmail's text can repeat what a
 * request names ("Invalid label: ..."), so a subscriber could write it.
 */
function hasAccountCode({ status, codes }: Answer): boolean {
  return status === 401 || codes.some((code) => ACCOUNT_CODES.has(code));
}

/**
 * Returns whether a 403 names the project, the topic or the configured scope: the same for every
 * mailbox.
 */
function isOfProject(call: Call, { codes, text }: Answer): boolean {
  if (codes.some((code) => PROJECT_ERRORS.has(code))) return true;
  if (call === "users.watch" && /\btopic|Pub\/?Sub/i.test(text)) return true;
  return /\bquota project\b|^Metadata scope\b/im.test(text);
}

/** Google's reasons for rejecting a project (`google.api.ErrorReason`, and the older names). */
const PROJECT_ERRORS = new Set([
  "accessNotConfigured",
  "SERVICE_DISABLED",
  "SERVICE_NOT_VISIBLE",
  "CONSUMER_INVALID",
  "CONSUMER_SUSPENDED",
  "BILLING_DISABLED",
  "USER_PROJECT_DENIED",
  "projectSuspended",
  "keyInvalid",
  "API_KEY_INVALID",
  "API_KEY_SERVICE_BLOCKED",
  "SECURITY_POLICY_VIOLATED",
  "LOCATION_POLICY_VIOLATED",
  "ORG_RESTRICTION_VIOLATION",
]);

/** Google's global errors, old and new, that concern the person's account. */
const ACCOUNT_ERRORS = new Set([
  "accountDeleted",
  "accountDisabled",
  "accountUnverified",
  "ACCOUNT_STATE_INVALID",
]);

/** The codes of every error about the account; a precondition fails for other reasons, too. */
const ACCOUNT_CODES = new Set([
  ...ACCOUNT_ERRORS,
  "domainPolicy",
  "USER_BLOCKED_BY_ADMIN",
  "failedPrecondition",
  "FAILED_PRECONDITION",
]);

/** `userRateLimitExceeded`, `RATE_LIMIT_EXCEEDED`, `quotaExceeded` and many more. */
const RATE_LIMIT = /(limit|quota)_?exceeded$|^RESOURCE_EXHAUSTED$/i;

function isRateLimit({ status, codes, text, format }: Answer): boolean {
  if (status === 429 || codes.some((code) => RATE_LIMIT.test(code))) return true;
  // Google's abuse filter redirects a throttled IP address to a page of its own.
  if (status === 302) return /google\.com\/sorry\//.test(text);
  if (status !== 403 && status !== 503) return false;
  return (
    /(rate.?limit|quota) exceeded/i.test(text) || (format === "text" && /\bquota\b/i.test(text))
  );
}

/** Reads Gmail's retry time from prose; a header may name another time. */
function rateLimited({ codes, text, reason, retryAfter }: Answer, now: Date): Failure {
  const written = /Retry after (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z)/i.exec(text)?.[1];
  const times = [written === undefined ? Number.NaN : Date.parse(written)];
  if (/^\d{1,10}$/.test(retryAfter)) times.push(now.getTime() + Number(retryAfter) * 1000);
  else if (HTTP_DATE.test(retryAfter)) times.push(Date.parse(retryAfter));
  // An earlier retry would only be rejected again.
  const latest = Math.max(...times.filter((time) => !Number.isNaN(time)));
  const daily = codes.includes("dailyLimitExceeded") || /\bper day\b|daily limit/i.test(text);
  return Number.isFinite(latest)
    ? { kind: "rate_limited", reason, retryAt: new Date(latest), daily }
    : { kind: "rate_limited", reason, daily };
}

/** RFC 9110 §5.6.7: the one format that may be sent. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;
