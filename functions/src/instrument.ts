import type { Readable } from "node:stream";
import type { CallbackClaims } from "./domain/callback-claims.ts";
import type { SeenEvents } from "./domain/seen-events.ts";
import type { UserStore } from "./domain/user.ts";
import type { PassThrough } from "./google/gmail-pass-through.ts";
import type { Gmail } from "./google/gmail.ts";
import type { OAuth } from "./google/oauth.ts";
import type { SendNotice } from "./domain/notice.ts";
import { FailedCall, type Call } from "./domain/failure.ts";
import { type MailboxEvent, type Publish, PublishFailure } from "./domain/events.ts";
import { ReceiverError } from "./platform/log.ts";
import type { Span, SpanOptions, Telemetry } from "./platform/telemetry/telemetry.ts";

/** The ports whose calls are traced and counted. */
export interface InstrumentedPorts {
  users: UserStore;
  seenEvents: SeenEvents;
  callbackClaims: CallbackClaims;
  publish: Publish;
  gmail: Gmail;
  /** Gmail, for the calls of subscribers. */
  passThrough: PassThrough;
  oauth: OAuth;
  /** Absent: no mail is sent to people. */
  sendNotice?: SendNotice;
}

/**
 * Returns the parts with a span for each call; publications and failures are counted. Spans are
 * named by Google's methods and by the store's, and contain no arguments.
 */
export function instrument<Parts extends InstrumentedPorts>(
  parts: Parts,
  telemetry: Telemetry,
): Parts {
  const { callbackClaims, gmail, oauth, passThrough, publish, seenEvents, sendNotice, users } =
    parts;
  const google = callsOf(telemetry);
  const store = <T>(name: string, run: () => Promise<T>) =>
    telemetry.span(name, { kind: "client", attributes: { "db.system.name": "firestore" } }, run);

  return {
    ...parts,
    gmail: {
      listHistory: (...args) =>
        google("users.history.list", "history.list", () => gmail.listHistory(...args)),
      getProfile: (...args) =>
        google("users.getProfile", "users.getProfile", () => gmail.getProfile(...args)),
      listMessages: (...args) =>
        google("users.messages.list", "messages.list", () => gmail.listMessages(...args)),
      getInternalDate: (...args) =>
        google("users.messages.get", "messages.get", () => gmail.getInternalDate(...args)),
      getLabelIds: (...args) =>
        google("users.messages.get", "messages.get", () => gmail.getLabelIds(...args)),
      watch: (...args) => google("users.watch", "users.watch", () => gmail.watch(...args)),
      stop: (...args) => google("users.stop", "users.stop", () => gmail.stop(...args)),
    },
    passThrough: (accessToken, request) =>
      new Promise((resolve, reject) => {
        const call = async () => {
          const response = await passThrough(accessToken, request);
          resolve(response);
          if (response.ok) await endOf(response.value.body, request.signal);
        };
        google("gmail.api", "gmail.api", call).catch(reject);
      }),
    oauth: {
      exchangeCode: (...args) =>
        google("token.code", "token.code", () => oauth.exchangeCode(...args)),
      refresh: (...args) => google("token.refresh", "token.refresh", () => oauth.refresh(...args)),
      revoke: (...args) => google("token.revoke", "token.revoke", () => oauth.revoke(...args)),
    },
    users: {
      ...users,
      find: (...args) => store("users.find", () => users.find(...args)),
      exists: (...args) => store("users.exists", () => users.exists(...args)),
      findByEmailAddress: (...args) =>
        store("users.findByEmailAddress", () => users.findByEmailAddress(...args)),
      findByTokenDigest: (...args) =>
        store("users.findByTokenDigest", () => users.findByTokenDigest(...args)),
      listDue: (...args) => store("users.listDue", () => users.listDue(...args)),
      postpone: (...args) => store("users.postpone", () => users.postpone(...args)),
      update: (...args) => store("users.update", () => users.update(...args)),
      keepMissing: (...args) => store("users.keepMissing", () => users.keepMissing(...args)),
      noteFlagging: (...args) => store("users.noteFlagging", () => users.noteFlagging(...args)),
      countFlaggings: (...args) =>
        store("users.countFlaggings", () => users.countFlaggings(...args)),
      readFleetGuard: () => store("users.readFleetGuard", () => users.readFleetGuard()),
      authorize: (...args) => store("users.authorize", () => users.authorize(...args)),
      create: (...args) => store("users.create", () => users.create(...args)),
    },
    callbackClaims: {
      claim: (...args) => store("callbacks.claim", () => callbackClaims.claim(...args)),
      settle: (...args) => store("callbacks.settle", () => callbackClaims.settle(...args)),
      find: (...args) => store("callbacks.find", () => callbackClaims.find(...args)),
    },
    seenEvents: {
      has: (...args) => store("securityEvents.has", () => seenEvents.has(...args)),
      add: (...args) => store("securityEvents.add", () => seenEvents.add(...args)),
    },
    publish: publishing(publish, telemetry),
    ...(sendNotice !== undefined && { sendNotice: sending(sendNotice, telemetry) }),
  };
}

function callsOf(telemetry: Telemetry) {
  return <T>(name: string, call: Call, request: () => Promise<T>): Promise<T> =>
    telemetry.span(name, { kind: "client" }, async (span) => {
      try {
        return await request();
      } catch (error) {
        if (error instanceof FailedCall) failed(call, error.failure, span, telemetry);
        throw error;
      }
    });
}

/** Resolves when a body has been read to its end, rejects when it breaks off or its reader leaves. */
function endOf(body: Readable, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const brokeOff = () => reject(new ReceiverError("the body of a response broke off"));
    body.once("end", resolve);
    body.once("error", brokeOff);
    body.once("close", brokeOff);
    signal.addEventListener("abort", brokeOff, { once: true });
  });
}

/** Events contain the span that published them, so that subscribers can continue the trace. */
function publishing(publish: Publish, telemetry: Telemetry): Publish {
  return (user, events) => {
    const attributes = {
      "messaging.system": "gcp_pubsub",
      "messaging.batch.message_count": events.length,
      "user.id": user.id,
    };
    const options: SpanOptions = { kind: "producer", attributes };
    return telemetry.span("publish", options, async (span) => {
      try {
        await publish(user, events, span.traceparent);
      } catch (error) {
        if (error instanceof PublishFailure) failed("publish", error, span, telemetry);
        throw error;
      }
      for (const event of events) countPublished(event, telemetry);
    });
  };
}

function sending(sendNotice: SendNotice, telemetry: Telemetry): SendNotice {
  return (notice) =>
    telemetry.span("notice.send", { kind: "client" }, async (span) => {
      const outcome = await sendNotice(notice);
      span.set({ "gmail_receiver.outcome": outcome.kind });
      telemetry.count("gmail_receiver.notices", 1, { outcome: outcome.kind });
      return outcome;
    });
}

function countPublished(event: MailboxEvent, telemetry: Telemetry): void {
  switch (event.kind) {
    case "added":
    case "deleted":
    case "labels.added":
    case "labels.removed":
    case "existing":
      return telemetry.count("gmail_receiver.changes", 1, { kind: event.kind });
    case "gap":
      return telemetry.count("gmail_receiver.gaps", 1, { reason: event.reason });
    case "connected":
    case "reauthorization_required":
    case "unavailable":
    case "paused":
    case "disconnected":
    case "address_changed":
    case "delayed":
    case "caught_up":
    case "snapshot_completed":
    case "snapshot_failed":
      return;
    default:
      event satisfies never;
  }
}

function failed(
  call: Call | "publish",
  { kind, reason }: { kind: string; reason: string },
  span: Span,
  telemetry: Telemetry,
): void {
  span.set({ "error.type": kind, "gmail_receiver.reason": reason });
  telemetry.count("gmail_receiver.failures", 1, { call, kind });
}
