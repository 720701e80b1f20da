import { once } from "node:events";
import { Transform } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { Unanswered } from "../domain/access.ts";
import { FailedCall, type Failure } from "../domain/failure.ts";
import { endingOf } from "../domain/failure-streak.ts";
import { type Result, err, ok } from "../domain/result.ts";
import { type User, storeNow, toUser } from "../domain/user.ts";
import type { PassedError, PassedRequest } from "../google/gmail-pass-through.ts";
import { flag } from "../grant/flagging.ts";
import type { ReauthorizationLinks } from "../grant/reauthorization-link.ts";
import type { StreamRequest, StreamResponse } from "../platform/http-stream.ts";
import { type OwnResponse, json, ownError, reauthorizationRequired, tryLater } from "./errors.ts";
import type { GmailApiContext } from "./context.ts";
import { keepToken, openReady } from "./ready-access.ts";
import type { Target } from "./target.ts";

/** The response to a subscriber, and what failed if the response is not Gmail's own. */
export interface Passed {
  response: StreamResponse;
  failed?: FailedCall;
}

type MethodTarget = Extract<Target, { kind: "method" }>;

/** A body up to this length is kept, so that it can be sent again with a new access token. */
const KEPT_BYTES_MAX = 1024 * 1024;
/** A longer body passes through once. Cloud Run passes no more to a server of HTTP/1. */
const REQUEST_BYTES_MAX = 32 * 1024 * 1024;
/** After a change this recent, a mailbox may have messages that Gmail does not show yet. */
const FRESH_MS = 2 * 60_000;
/** The waits before the retries of a 404 for a fresh mailbox. */
const FRESH_WAITS_MS = [1_000, 2_000];
const READS_ONE = new Set(["messages.get", "messages.attachments.get", "threads.get"]);

const RETRY_SECONDS = 1;
/** Only a change of the configuration helps. */
const MISCONFIGURED_SECONDS = 60;
const MS_PER_SECOND = 1_000;

/**
 * Calls Gmail for a subscriber with the stored grant of an active user, and hands on what Gmail
 * responds. The grant is refreshed, confirmed and flagged as by the sync. Nothing but a 401 and a
 * 404 of a fresh message is repeated: the subscriber's client knows better what may be.
 */
export async function passOn(
  target: MethodTarget,
  opened: User,
  request: StreamRequest,
  context: GmailApiContext,
): Promise<Passed> {
  const { method } = target;
  if (!method.scopes.some((scope) => opened.grant.scopes.includes(scope))) {
    return own(
      ownError(
        "insufficientPermissions",
        `The person has not granted a scope of ${method.name}: ${method.scopes.join(", ")}`,
      ),
    );
  }
  const paced = context.pacing.take(opened.id, method.units);
  if (paced.kind === "wait") return own(throttled(paced.seconds));
  const read = await readBody(request);
  if (!read.ok) return own(read.error);
  const body = read.value;

  const ready = await openReady(opened, context);
  if (!ready.ok) return fail(opened, ready.error, undefined, context);
  const { user, access } = ready.value;
  for (let tries = 0; ; tries++) {
    let isSent = false;
    let failed: PassedError | undefined;
    const answer = await access.call("gmail.api", async (token) => {
      failed = undefined;
      const isStream = body !== undefined && !Buffer.isBuffer(body);
      if (isStream && isSent) {
        throw new FailedCall("gmail.api", { kind: "transient", reason: "body_sent" });
      }
      isSent = true;
      const passed = await context.passThrough(token, {
        method: method.http,
        path: target.query === "" ? target.path : `${target.path}?${target.query}`,
        ...(body !== undefined && { body }),
        signal: request.signal,
      });
      if (passed.ok) return passed.value;
      failed = passed.error;
      throw new FailedCall("gmail.api", failed.failure);
    });
    if (access.obtained() !== undefined) await keepToken(user, access, context);
    if (answer.ok) {
      const { status, contentType, body: stream } = answer.value;
      return { response: { status, headers: typed(contentType), body: stream } };
    }
    if (answer.error === "superseded") return own(changed());
    const waitMs = FRESH_WAITS_MS[tries];
    const isMissing = failed?.status === 404 && READS_ONE.has(method.name);
    if (waitMs === undefined || !isMissing || !(await isFresh(user, context))) {
      return fail(user, answer.error, failed, context);
    }
    await context.clock.sleep(waitMs);
    if (context.pacing.take(user.id, method.units).kind === "wait") {
      return fail(user, answer.error, failed, context);
    }
  }
}

/** Returns the access token itself (group `token`). */
export async function handOutToken(opened: User, context: GmailApiContext): Promise<Passed> {
  const ready = await openReady(opened, context);
  if (!ready.ok) return fail(opened, ready.error, undefined, context);
  const { user, access } = ready.value;
  const token = await access.token();
  if (!token.ok) return fail(user, token.error, undefined, context);
  if ((await keepToken(user, access, context)) === "superseded") return own(changed());
  const { accessTokenExpiresAt: expiresAt } = access.obtained() ?? user.grant;
  const { scopes } = user.grant;
  return own(json(200, { accessToken: token.value, expiresAt: expiresAt?.toISOString(), scopes }));
}

/** Returns why a user's mailbox cannot be called, or `undefined` if it can. Makes no call. */
export function refusalFor(user: User, links: ReauthorizationLinks): OwnResponse | undefined {
  switch (user.status) {
    case "active":
      return undefined;
    case "reauthorization_required":
      return reauthorizationRequired(links.to(user));
    case "mailbox_unavailable":
      return unavailable(user.statusReason);
    case "paused":
      return ownError(
        "mailboxUnavailable",
        `The operator paused this mailbox: ${user.statusReason}`,
      );
    case "disconnected":
      return ownError("notFound", "The mailbox is disconnected.");
  }
}

/** A call without a value: flags the user if its failure proves that the grant or the mailbox has ended. */
async function fail(
  user: User,
  failed: Unanswered,
  response: PassedError | undefined,
  context: GmailApiContext,
): Promise<Passed> {
  if (failed === "superseded") return own(changed());
  const { failure, call } = failed;
  const ending = endingOf(user.sync.failure, failure, call, context.clock.now());
  if (ending?.kind === "flag") {
    const flagging = await flag(user, ending.failure, context);
    if (flagging.kind === "superseded") return own(changed());
    const mayBeValid = flagging.kind === "guarded" || flagging.kind === "outdated";
    if (mayBeValid) return { ...own(notNow(RETRY_SECONDS)), failed };
    const { status, reason: statusReason } = flagging;
    const flagged = toUser({ ...user, status, statusReason });
    return own(refusalFor(flagged, context.links) ?? changed());
  }
  if (response !== undefined && response.status >= 400 && isGmailsWord(failure)) {
    const { status, contentType, retryAfter, body } = response;
    const seconds = retryAfter ?? secondsUntilRetry(failure, context);
    const again = seconds === undefined ? {} : { "retry-after": String(seconds) };
    return { response: { status, headers: { ...typed(contentType), ...again }, body } };
  }
  switch (failure.kind) {
    case "mailbox_unavailable":
      return own(unavailable(failure.reason));
    case "rate_limited":
      return { ...own(throttled(secondsUntilRetry(failure, context) ?? RETRY_SECONDS)), failed };
    case "misconfigured":
      return { ...own(notNow(MISCONFIGURED_SECONDS)), failed };
    default:
      return { ...own(notNow(RETRY_SECONDS)), failed };
  }
}

/** Returns whether Gmail's error concerns the subscriber's request, and so is passed on. */
function isGmailsWord({ kind }: Failure): boolean {
  return kind === "bad_request" || kind === "rate_limited" || kind === "transient";
}

function secondsUntilRetry(
  failure: Failure,
  { clock }: Pick<GmailApiContext, "clock">,
): number | undefined {
  if (failure.kind !== "rate_limited") return undefined;
  const waitMs = (failure.retryAt?.getTime() ?? 0) - clock.now().getTime();
  return Math.max(RETRY_SECONDS, Math.ceil(waitMs / MS_PER_SECOND));
}

/**
 * Whether something changed in the mailbox a moment ago. Read again: an event is published before the
 * checkpoint of its sync is stored.
 */
async function isFresh({ id }: User, { users, clock }: GmailApiContext): Promise<boolean> {
  const user = await users.find(id);
  if (user?.status !== "active") return false;
  const { notifiedAt, recent } = user.sync;
  const times = [notifiedAt, recent.at(-1)?.at].filter((time) => time !== undefined);
  const now = storeNow(user, clock).getTime();
  return times.some((time) => now - time.getTime() <= FRESH_MS);
}

async function readBody({
  body,
  signal,
}: StreamRequest): Promise<Result<PassedRequest["body"], OwnResponse>> {
  if (body === undefined || body.bytes === 0) return ok(undefined);
  const { stream, bytes } = body;
  if (bytes !== undefined && bytes > REQUEST_BYTES_MAX) return err(tooLarge());
  if (bytes === undefined || bytes > KEPT_BYTES_MAX) {
    return ok({ ...body, stream: stream.pipe(upTo(REQUEST_BYTES_MAX)) });
  }
  const incomplete = err(ownError("badRequest", "The request body did not arrive."));
  if (signal.aborted) return incomplete;
  // The client has gone, or takes longer than a request may.
  const over = once(signal, "abort").then(() => incomplete);
  return Promise.race([buffer(stream).then(ok, () => incomplete), over]);
}

function upTo(bytesMax: number): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done(bytes > bytesMax ? new RangeError("the request is too long") : null, chunk);
    },
  });
}

function typed(contentType: string | undefined): Record<string, string> {
  return contentType === undefined ? {} : { "content-type": contentType };
}

function own(response: OwnResponse): { response: StreamResponse } {
  return { response };
}

function unavailable(reason: string): OwnResponse {
  return ownError("mailboxUnavailable", `Google gives no access to this mailbox: ${reason}`);
}

function changed(): OwnResponse {
  return tryLater("backendError", "The grant of this user has just changed.", RETRY_SECONDS);
}

function throttled(seconds: number): OwnResponse {
  return tryLater("rateLimitExceeded", "Too many calls for Gmail's quota.", seconds);
}

function notNow(seconds: number): OwnResponse {
  return tryLater("backendError", "Gmail could not be called for this user.", seconds);
}

function tooLarge(): OwnResponse {
  return ownError("requestTooLarge", "The request body is longer than 32 MiB.");
}
