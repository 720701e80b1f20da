import type { User } from "../domain/user.ts";
import type { GmailApiContext } from "../gmail-api/context.ts";
import { callerOf } from "../gmail-api/caller.ts";
import { type OwnResponse, json, ownError, tryLater } from "../gmail-api/errors.ts";
import { type Passed, handOutToken, passOn, refusalFor } from "../gmail-api/pass-on.ts";
import { type Target, type UserName, parseTarget } from "../gmail-api/target.ts";
import { userState } from "../gmail-api/user-state.ts";
import { logFailed } from "../platform/http.ts";
import type { StreamLimits, StreamRequest, StreamResponse } from "../platform/http-stream.ts";
import type { Log, LogFields } from "../platform/log.ts";
import { mayPass } from "../platform/store-error.ts";
import { reportFailure } from "../mailbox/report.ts";

/**
 * Below the timeout of the function, so that the response is cut off here. A message of Gmail has 50
 * MB at most, and is encoded twice in `format=raw`.
 */
export const GMAIL_API_LIMITS: StreamLimits = {
  timeMsMax: 110_000,
  bytesMax: 128 * 1024 * 1024,
};

/** Ways to make a request another than it looks like. Google's front ends understand them. */
const OVERRIDES = ["x-http-method-override", "x-http-method", "x-method-override"];

const METHODS_WITH_BODY = new Set(["POST", "PUT", "PATCH"]);
/** The only content type of these methods in Gmail: others belong to uploads and form posts. */
const JSON_TYPE = /^application\/json *(;|$)/i;

/**
 * Gmail's own API at another address: `/gmail/v1/users/{userId}/...` with the receiver's user id, or
 * the email address, in place of `me`. `GET /users/{userId}` responds with what the receiver knows of
 * a user, `POST /users/{userId}/access-token` with an access token. Each call writes one record
 * `gmail_api_called`, which never holds content.
 */
export async function gmailApi(
  request: StreamRequest,
  log: Log,
  context: GmailApiContext,
): Promise<StreamResponse> {
  const caller = callerOf(request.headers);
  const target = parseTarget(request.method, request.target, context.config.gmail.apiMethods);
  const audit: LogFields = { caller, ...describeTarget(target) };
  let response: StreamResponse;
  let userId: string | undefined;
  try {
    const passed = await answer(request, caller, target, context, (user) => {
      userId = user.id;
    });
    ({ response } = passed);
    // A client that has gone ends its call: that is no failure.
    if (passed.failed !== undefined && !request.signal.aborted && context.reports.take()) {
      reportFailure(log, passed.failed.failure, { userId, call: passed.failed.call });
    }
  } catch (error) {
    logFailed(log, error);
    response = mayPass(error)
      ? tryLater("backendError", "The store did not respond.", 1)
      : ownError("internalError", "Something went wrong.");
  }
  const { status } = response;
  return {
    ...response,
    onEnd: ({ bytes, isComplete }) =>
      log.info("gmail_api_called", "a subscriber called Gmail through gmailApi", {
        ...audit,
        userId,
        status,
        bytes,
        ...(!isComplete && { isComplete }),
      }),
  };
}

async function answer(
  request: StreamRequest,
  caller: string | undefined,
  target: Target,
  context: GmailApiContext,
  onUser: (user: User) => void,
): Promise<Passed> {
  if (request.bodyRefusal === 413) {
    return own(ownError("requestTooLarge", "The request body is longer than 32 MiB."));
  }
  if (request.bodyRefusal === 415) {
    return own(ownError("unsupportedMediaType", "The request body is encoded."));
  }
  if (caller === undefined) {
    return own(ownError("unauthenticated", "The request has no ID token of a service account."));
  }
  if (OVERRIDES.some((name) => request.headers[name] !== undefined)) {
    return own(ownError("badRequest", "The HTTP method cannot be overridden."));
  }
  if (request.body !== undefined) {
    if (!METHODS_WITH_BODY.has(request.method)) {
      return own(ownError("badRequest", `A ${request.method} request has no body.`));
    }
    if (!JSON_TYPE.test(request.headers["content-type"] ?? "")) {
      return own(ownError("unsupportedMediaType", "The request body is not JSON."));
    }
  }
  if (target.kind === "invalid") return own(ownError("badRequest", `Rejected: ${target.what}.`));
  if (target.kind === "not_allowed") return own(notAllowed(target));
  const user = await findUser(target.user, context);
  if (user === undefined) return own(ownError("notFound", "There is no such user."));
  onUser(user);
  const { links, clock } = context;
  if (target.kind === "state") {
    const isEnded = user.status === "reauthorization_required";
    const url = isEnded ? links.to(user) : undefined;
    return own(json(200, userState(user, clock.now(), url)));
  }
  const refused = refusalFor(user, links);
  if (refused !== undefined) return own(refused);
  if (target.kind === "token") return handOutToken(user, context);
  return passOn(target, user, request, context);
}

async function findUser(name: UserName, { users }: GmailApiContext): Promise<User | undefined> {
  switch (name.kind) {
    case "id":
      return users.find(name.userId);
    case "email":
      return users.findByEmailAddress(name.emailAddress);
    case "none":
      return undefined;
  }
}

function describeTarget(target: Target): LogFields {
  switch (target.kind) {
    case "state":
      return { method: "state" };
    case "token":
      return { method: "token" };
    case "method": {
      const { method, id } = target;
      const isOfMessage = method.path.startsWith("messages/{id}");
      return { method: method.name, ...(isOfMessage && { messageId: id }) };
    }
    case "not_allowed":
    case "invalid":
      return { method: target.kind };
  }
}

function notAllowed({ allow, group }: Extract<Target, { kind: "not_allowed" }>): OwnResponse {
  const why =
    group === undefined
      ? "gmailApi does not pass this method on."
      : `This method is in the group ${group}, which GMAIL_API_METHODS does not allow.`;
  return ownError("methodNotAllowed", why, { headers: { allow: allow.join(", ") } });
}

function own(response: OwnResponse): Passed {
  return { response };
}
