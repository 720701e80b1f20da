import type { Answer } from "./answer.ts";

interface GmailError {
  code: number;
  message: string;
  reason: string;
  status?: string;
  domain?: string;
  /** The text inside `errors`, where it differs. */
  inner?: string;
  details?: Record<string, unknown>[];
  location?: { location: string; locationType: string };
  headers?: Record<string, string>;
}

/** An error in the JSON shape of Google's APIs: new fields and the old `errors` list together. */
function gmailError(error: GmailError): Answer {
  const { code, message, reason, status, details, headers } = error;
  const { domain = "global", inner = message, location = {} } = error;
  return {
    status: code,
    ...(headers !== undefined && { headers }),
    body: {
      error: {
        code,
        message,
        errors: [{ message: inner, domain, reason, ...location }],
        ...(status !== undefined && { status }),
        ...(details !== undefined && { details }),
      },
    },
  };
}

const CREDENTIAL_HELP =
  "Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.";
const IN_AUTHORIZATION = { location: "Authorization", locationType: "header" };
const WWW_AUTHENTICATE = 'Bearer realm="https://accounts.google.com/"';

export const invalidCredentials = (): Answer =>
  gmailError({
    code: 401,
    message: `Request had invalid authentication credentials. ${CREDENTIAL_HELP}`,
    inner: "Invalid Credentials",
    reason: "authError",
    status: "UNAUTHENTICATED",
    location: IN_AUTHORIZATION,
    headers: { "www-authenticate": `${WWW_AUTHENTICATE}, error="invalid_token"` },
  });

export const loginRequired = (): Answer =>
  gmailError({
    code: 401,
    message: `Request is missing required authentication credential. ${CREDENTIAL_HELP}`,
    inner: "Login Required.",
    reason: "required",
    status: "UNAUTHENTICATED",
    location: IN_AUTHORIZATION,
    headers: { "www-authenticate": WWW_AUTHENTICATE },
  });

export const insufficientScope = (rpc: string): Answer =>
  gmailError({
    code: 403,
    message: "Request had insufficient authentication scopes.",
    inner: "Insufficient Permission",
    reason: "insufficientPermissions",
    status: "PERMISSION_DENIED",
    details: [
      {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        reason: "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        domain: "googleapis.com",
        metadata: { method: rpc, service: "gmail.googleapis.com" },
      },
    ],
    headers: { "www-authenticate": `${WWW_AUTHENTICATE}, error="insufficient_scope"` },
  });

export const delegationDenied = (address: string): Answer =>
  gmailError({
    code: 403,
    message: `Delegation denied for ${address}`,
    reason: "forbidden",
    status: "PERMISSION_DENIED",
  });

export const apiDisabled = (projectNumber: string): Answer => {
  const url = `https://console.developers.google.com/apis/api/gmail.googleapis.com/overview?project=${projectNumber}`;
  const message = `Gmail API has not been used in project ${projectNumber} before or it is disabled. Enable it by visiting ${url} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.`;
  return gmailError({
    code: 403,
    message,
    reason: "accessNotConfigured",
    domain: "usageLimits",
    status: "PERMISSION_DENIED",
    details: [
      {
        "@type": "type.googleapis.com/google.rpc.Help",
        links: [{ description: "Google developers console API activation", url }],
      },
      {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        reason: "SERVICE_DISABLED",
        domain: "googleapis.com",
        metadata: { service: "gmail.googleapis.com", consumer: `projects/${projectNumber}` },
      },
    ],
  });
};

/** What Gmail says of one mailbox without saying why; a project's refusal can look the same. */
export const callerForbidden = (): Answer =>
  gmailError({
    code: 403,
    message: "The caller does not have permission",
    reason: "forbidden",
    status: "PERMISSION_DENIED",
  });

export const accountStateInvalid = (): Answer =>
  gmailError({
    code: 401,
    message: `Request had invalid authentication credentials. ${CREDENTIAL_HELP}`,
    inner: "Invalid Credentials",
    reason: "authError",
    status: "UNAUTHENTICATED",
    location: IN_AUTHORIZATION,
    details: [
      {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        reason: "ACCOUNT_STATE_INVALID",
        domain: "googleapis.com",
        metadata: { service: "gmail.googleapis.com" },
      },
    ],
  });

export const mailServiceNotEnabled = (): Answer =>
  gmailError({
    code: 400,
    message: "Mail service not enabled",
    reason: "failedPrecondition",
    status: "FAILED_PRECONDITION",
  });

export const preconditionFailed = (): Answer =>
  gmailError({
    code: 400,
    message: "Precondition check failed.",
    reason: "failedPrecondition",
    status: "FAILED_PRECONDITION",
  });

export const invalidArgument = (message: string): Answer =>
  gmailError({ code: 400, message, reason: "invalidArgument", status: "INVALID_ARGUMENT" });

export const notFound = (): Answer =>
  gmailError({
    code: 404,
    message: "Requested entity was not found.",
    reason: "notFound",
    status: "NOT_FOUND",
  });

export const metadataScopeForbids = (what: string): Answer =>
  gmailError({
    code: 403,
    message: `Metadata scope ${what}`,
    reason: "forbidden",
    status: "PERMISSION_DENIED",
  });

export const labelExists = (): Answer =>
  gmailError({
    code: 409,
    message: "Label name exists or conflicts",
    reason: "aborted",
    status: "ABORTED",
  });

/** Gmail lets no person's grant do this, even with every scope. */
export const delegationRequired = (): Answer =>
  gmailError({
    code: 403,
    message: "Access restricted to service accounts that have been delegated domain-wide authority",
    reason: "forbidden",
    status: "PERMISSION_DENIED",
  });

export const otherPushClientActive = (): Answer =>
  invalidArgument(
    "Only one user push notification client allowed per developer (call /stop then try again)",
  );

export const topicOfOtherProject = (projectId: string): Answer =>
  invalidArgument(`Invalid topicName does not match projects/${projectId}/topics/*`);

export const topicNameMissing = (): Answer =>
  invalidArgument(
    "Invalid topic name format. Should follow 'projects/my-project-id/topics/my-topic-id'",
  );

const testMessageFailed = (topicName: string, why: string) =>
  `Error sending test message to Cloud PubSub ${topicName} : ${why}`;

export const topicNotFound = (topicName: string): Answer =>
  gmailError({
    code: 404,
    message: testMessageFailed(
      topicName,
      `Resource not found (resource=${topicName.split("/").at(-1)}).`,
    ),
    reason: "notFound",
    status: "NOT_FOUND",
  });

export const topicForbidden = (topicName: string): Answer =>
  gmailError({
    code: 403,
    message: testMessageFailed(topicName, "User not authorized to perform this action."),
    reason: "forbidden",
    status: "PERMISSION_DENIED",
  });

/** The time to come back at is in the text only, as Gmail has it. */
export const rateLimited = (retryAt: number): Answer =>
  gmailError({
    code: 403,
    message: `User-rate limit exceeded.  Retry after ${new Date(retryAt).toISOString()}`,
    reason: "rateLimitExceeded",
    domain: "usageLimits",
    status: "PERMISSION_DENIED",
  });

export const projectRateLimited = (projectNumber: string): Answer =>
  gmailError({
    code: 403,
    message: `Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'gmail.googleapis.com' for consumer 'project_number:${projectNumber}'.`,
    reason: "rateLimitExceeded",
    domain: "usageLimits",
    status: "PERMISSION_DENIED",
  });

export const tooManyConcurrent = (): Answer =>
  gmailError({
    code: 429,
    message: "Too many concurrent requests for user",
    reason: "rateLimitExceeded",
    domain: "usageLimits",
    status: "RESOURCE_EXHAUSTED",
  });

export const domainPolicy = (): Answer =>
  gmailError({
    code: 403,
    message: "The domain administrators have disabled Gmail apps.",
    reason: "domainPolicy",
  });

export const backendError = (): Answer =>
  gmailError({
    code: 500,
    message: "Internal error encountered.",
    reason: "backendError",
    status: "INTERNAL",
  });

export const unavailable = (): Answer =>
  gmailError({
    code: 503,
    message: "The service is currently unavailable.",
    reason: "backendError",
    status: "UNAVAILABLE",
  });

/** An error of the token or revocation endpoint (RFC 6749 section 5.2). */
export function oauthError(
  status: number,
  error: string,
  description?: string,
  subtype?: string,
): Answer {
  return {
    status,
    body: {
      error,
      ...(description !== undefined && { error_description: description }),
      ...(subtype !== undefined && { error_subtype: subtype }),
    },
  };
}

export const tokenRevoked = (): Answer =>
  oauthError(400, "invalid_grant", "Token has been expired or revoked.");
