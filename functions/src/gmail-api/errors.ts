/** A response that the receiver makes itself. */
export interface OwnResponse {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: string;
}

/** The reasons of the receiver's own errors. Clients switch on them. */
export type ErrorReason =
  | "badRequest"
  | "unauthenticated"
  | "mailboxUnavailable"
  | "insufficientPermissions"
  | "notFound"
  | "methodNotAllowed"
  | "reauthorizationRequired"
  | "requestTooLarge"
  | "unsupportedMediaType"
  | "rateLimitExceeded"
  | "internalError"
  | "backendError";

/** The HTTP status and the canonical code (google.rpc.Code) of each reason. */
const STATUSES: Record<ErrorReason, readonly [code: number, status: string]> = {
  badRequest: [400, "INVALID_ARGUMENT"],
  unauthenticated: [401, "UNAUTHENTICATED"],
  mailboxUnavailable: [403, "PERMISSION_DENIED"],
  insufficientPermissions: [403, "PERMISSION_DENIED"],
  notFound: [404, "NOT_FOUND"],
  methodNotAllowed: [405, "UNIMPLEMENTED"],
  reauthorizationRequired: [409, "FAILED_PRECONDITION"],
  requestTooLarge: [413, "INVALID_ARGUMENT"],
  unsupportedMediaType: [415, "INVALID_ARGUMENT"],
  rateLimitExceeded: [429, "RESOURCE_EXHAUSTED"],
  internalError: [500, "INTERNAL"],
  backendError: [503, "UNAVAILABLE"],
};

/**
 * An error in the shape of Gmail's own, so that every client library reads it: the fields of AIP-193
 * and the older `errors` list. `domain` is the receiver's, which tells its errors from Gmail's.
 */
export function ownError(
  reason: ErrorReason,
  message: string,
  { headers, details }: { headers?: Record<string, string>; details?: readonly object[] } = {},
): OwnResponse {
  const [code, status] = STATUSES[reason];
  const errors = [{ message, domain: "gmail-push", reason }];
  const error = { code, message, errors, status, ...(details !== undefined && { details }) };
  return json(code, { error }, headers);
}

/** The error of a user whose grant has ended, with the page that restores it (google.rpc.Help). */
export function reauthorizationRequired(url: string): OwnResponse {
  return ownError("reauthorizationRequired", "The person has to allow access again.", {
    details: [
      {
        "@type": "type.googleapis.com/google.rpc.Help",
        links: [{ description: "The page where the person allows access again", url }],
      },
    ],
  });
}

/** An error that passes: the client tries again after that many seconds. */
export function tryLater(
  reason: "rateLimitExceeded" | "backendError",
  message: string,
  seconds: number,
): OwnResponse {
  return ownError(reason, message, { headers: { "retry-after": String(seconds) } });
}

/** Returns a response with this JSON body. */
export function json(
  status: number,
  content: unknown,
  headers: Record<string, string> = {},
): OwnResponse {
  return {
    status,
    headers: { ...headers, "content-type": "application/json; charset=UTF-8" },
    body: JSON.stringify(content),
  };
}
