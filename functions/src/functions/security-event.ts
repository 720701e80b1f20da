import type { SecurityEventContext } from "../security-events/context.ts";
import { isRootOf, refusal } from "../platform/http.ts";
import { type Log, type LogFields, describeUnknown } from "../platform/log.ts";
import type { SecurityEventToken } from "../security-events/event.ts";
import { type Reception, receive } from "../security-events/reception.ts";
import { type Refusal, type SetErrorCode, errorCodeOf } from "../security-events/refusal.ts";

/** RFC 8935 §2.3: a text with the code. Fixed, so that it reveals nothing to a stranger. */
const DESCRIPTIONS: Record<SetErrorCode, string> = {
  invalid_request: "the request is not a security event token that this receiver understands",
  invalid_key: "the token is not signed with a key of the issuer",
  invalid_issuer: "the token is not of the issuer",
  invalid_audience: "the token is not for this receiver",
  authentication_failed: "the signature of the token is not the issuer's",
};

const CONTENT_TYPE = "application/secevent+jwt";
/** The maximum length of a stranger's text in the log. */
const EVIDENCE_CHARACTERS_MAX = 100;

/**
 * Handles Cross-Account Protection: Google posts a signed token (RFC 8935 §2) when something
 * happens to a connected account. 202 once its effect is stored; 400 for what will never be
 * accepted; 503, so that Google retries, for what may be.
 */
export async function securityEvent(
  request: Request,
  log: Log,
  context: SecurityEventContext,
): Promise<Response> {
  if (!isRootOf(context.config.publicUrl, request.url)) return refusal(404);
  if (request.method !== "POST") return refusal(405, { allow: "POST" });
  const contentType = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  const fields: LogFields = contentType === CONTENT_TYPE ? {} : { contentType: cut(contentType) };
  try {
    const reception = await receive(await request.text(), context);
    context.telemetry.count("gmail_receiver.security_events", 1, { outcome: reception.kind });
    return answer(reception, log.with(fields), context.clock.now());
  } catch (error) {
    context.telemetry.count("gmail_receiver.security_events", 1, { outcome: "failed" });
    log.error(
      "security_event_failed",
      "could not process a security event; responded 503 so Google retries",
      {
        error: describeUnknown(error),
      },
    );
    return refusal(503);
  }
}

function answer(reception: Reception, log: Log, now: Date): Response {
  switch (reception.kind) {
    case "accepted": {
      const { token, reactions } = reception;
      log.info("security_event_received", "processed a security event from Google", {
        ...describeToken(token, now),
        userIds: reactions.map(({ userId }) => userId).filter((id) => id !== undefined),
        did: reactions.flatMap(({ did }) => did),
      });
      return new Response(null, { status: 202 });
    }
    case "repeated":
      log.info("security_event_repeated", "ignored a repeated security event", {
        ...describeToken(reception.token, now),
      });
      return new Response(null, { status: 202 });
    case "refused": {
      const { refusal: why } = reception;
      log.warn("security_event_refused", "rejected a security event token", evidence(why));
      return setError(errorCodeOf(why));
    }
    case "unavailable":
      log.warn(
        "security_event_retry",
        "could not fetch Google's signing keys; responded 503 so Google retries",
        {
          reason: reception.reason,
        },
      );
      return refusal(503);
  }
}

function describeToken({ jti, events, issuedAt }: SecurityEventToken, now: Date): LogFields {
  const states = events.flatMap((event) => (event.kind === "verification" ? [event.state] : []));
  const reasons = events.flatMap((event) => ("reason" in event ? [event.reason] : []));
  return {
    jti: cut(jti),
    events: events.map((event) => (event.kind === "unknown" ? cut(event.type) : event.kind) ?? ""),
    ageMs: now.getTime() - issuedAt.getTime(),
    ...(states.length > 0 && { state: states.join(" ") }),
    ...(reasons.length > 0 && { reason: reasons.join(" ") }),
  };
}

function evidence({ kind, ...shown }: Refusal): LogFields {
  const entries = Object.entries(shown).map(([name, value]: [string, string | number]) => [
    name,
    typeof value === "string" ? cut(value) : value,
  ]);
  return { reason: kind, ...Object.fromEntries(entries) };
}

function cut(text: string | undefined): string | undefined {
  return text?.slice(0, EVIDENCE_CHARACTERS_MAX);
}

function setError(code: SetErrorCode): Response {
  return new Response(JSON.stringify({ err: code, description: DESCRIPTIONS[code] }), {
    status: 400,
    headers: { "content-type": "application/json", "content-language": "en" },
  });
}
