import { type Answer, ok } from "./answer.ts";
import {
  accountStateInvalid,
  apiDisabled,
  backendError,
  callerForbidden,
  domainPolicy,
  insufficientScope,
  invalidArgument,
  invalidCredentials,
  loginRequired,
  mailServiceNotEnabled,
  notFound,
  oauthError,
  otherPushClientActive,
  preconditionFailed,
  rateLimited,
  tokenRevoked,
  tooManyConcurrent,
  unavailable,
} from "./errors.ts";

const RETRY_AFTER_MS = 60_000;

const html = (status: number, body: string): Answer => ({
  status,
  body,
  headers: { "content-type": "text/html; charset=UTF-8" },
});

/** Answers of Google that were seen in the field, by name. */
const PRESETS = {
  backendError: () => backendError(),
  unavailable: () => unavailable(),
  html502: () => html(502, "<html><title>502 Server Error</title><h1>Server Error</h1></html>"),
  html403: () => html(403, "<html><title>403 Forbidden</title></html>"),
  empty200: (): Answer => ({ status: 200, body: "" }),
  emptyObject200: () => ok({}),
  truncatedJson200: (): Answer => ({
    status: 200,
    body: '{"historyId":"90071992547',
    headers: { "content-type": "application/json; charset=UTF-8" },
  }),
  userRateLimitExceeded: (now: number) => rateLimited(now + RETRY_AFTER_MS),
  tooManyConcurrent: () => tooManyConcurrent(),
  invalidCredentials: () => invalidCredentials(),
  loginRequired: () => loginRequired(),
  insufficientScope: () => insufficientScope("caribou.api.proto.MailboxService.ListHistory"),
  domainPolicy: () => domainPolicy(),
  accessNotConfigured: () => apiDisabled("1234567890"),
  callerForbidden: () => callerForbidden(),
  accountStateInvalid: () => accountStateInvalid(),
  mailServiceNotEnabled: () => mailServiceNotEnabled(),
  preconditionFailed: () => preconditionFailed(),
  notFound: () => notFound(),
  invalidArgument: () => invalidArgument("Request contains an invalid argument."),
  invalidPageToken: () => invalidArgument("Invalid pageToken"),
  otherPushClientActive: () => otherPushClientActive(),
  invalidGrant: () => tokenRevoked(),
  invalidRapt: () =>
    oauthError(400, "invalid_grant", "reauth related error (invalid_rapt)", "invalid_rapt"),
  consentRequired: () => oauthError(400, "consent_required"),
  userDisabled: () => oauthError(400, "user_disabled"),
  adminPolicyEnforced: () => oauthError(400, "admin_policy_enforced"),
  policyEnforced: () => oauthError(400, "policy_enforced"),
  accountRestricted: () => oauthError(403, "access_denied", "Account restricted"),
  invalidClient: () => oauthError(401, "invalid_client", "Unauthorized"),
  unauthorizedClient: () => oauthError(401, "unauthorized_client", "Unauthorized"),
  deletedClient: () => oauthError(401, "deleted_client", "The OAuth client was deleted."),
  orgInternal: () =>
    oauthError(403, "org_internal", "This client is restricted to users within its organization."),
  internalFailure: () => oauthError(503, "internal_failure"),
  tokenRateLimited: (): Answer => ({ status: 429, body: "" }),
} satisfies Record<string, (now: number) => Answer>;

export type Preset = keyof typeof PRESETS;

/** An answer that takes the place of Google's: a preset, or its parts. */
export interface Substitute {
  preset?: Preset;
  status?: number;
  /** A string is sent as it is. */
  body?: unknown;
  headers?: Record<string, string>;
}

export const PRESET_NAMES = Object.keys(PRESETS) as Preset[];

export function answerOfPreset(preset: Preset, now: number): Answer {
  return PRESETS[preset](now);
}

/** The answer that a substitute describes; 500 with an empty body where it says nothing. */
export function answerOf({ preset, status, body, headers }: Substitute, now: number): Answer {
  const answer: Answer =
    preset === undefined ? { status: 500, body: "" } : answerOfPreset(preset, now);
  return {
    ...answer,
    ...(status !== undefined && { status }),
    ...(body !== undefined && { body }),
    ...(headers !== undefined && { headers: { ...answer.headers, ...headers } }),
  };
}
