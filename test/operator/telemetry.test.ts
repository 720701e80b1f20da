import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PublishFailure } from "../../functions/src/domain/events.ts";
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";
import { pushBody } from "../gmail-emulator/push.ts";
import { PROJECT } from "../local/environment.ts";
import { localIdToken } from "../local/id-token.ts";
import { findSecrets } from "../support/find-secrets.ts";
import { startMailSink } from "../support/mail-sink.ts";
import {
  type Health,
  type OtlpReceiver,
  type ReceivedSpan,
  startOtlpReceiver,
} from "./otlp-receiver.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const TOPIC = `projects/${PROJECT}/topics/gmail-notifications`;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const CALLER = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
const TRACEPARENT = `00-${CALLER.traceId}-${CALLER.spanId}-01`;
const KIND = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 };
/** What delivery may take, and what else happens on a busy machine. */
const BOUND_MS = 2_000 + 2_000;

let collector: OtlpReceiver;
let scenario: Scenario;

beforeEach(async () => {
  collector = await startOtlpReceiver();
});
afterEach(async () => {
  await scenario.close();
  await collector.close();
});

/** Connected, and from then on nothing comes to the function but what is pushed by hand. */
async function connected(env: Record<string, string> = {}): Promise<void> {
  scenario = await startScenario({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint, ...env },
    emulator: { push: { kind: "none" } },
  });
  await scenario.connect(ADA);
  collector.clear();
}

/** Pushes a notification of the mailbox's present head, as Pub/Sub does, `ageMs` after it came. */
async function notify(ageMs = 0): Promise<number> {
  const { historyId } = scenario.emulator.account(ADA);
  const data = Buffer.from(`{"emailAddress":"${ADA}","historyId":${historyId}}`);
  const response = await fetch(`${scenario.urls.gmailNotification}/${TOPIC}`, {
    method: "POST",
    headers: { "content-type": "application/json", traceparent: TRACEPARENT },
    body: pushBody(TOPIC, {
      data: data.toString("base64"),
      messageId: "11032",
      publishTime: new Date(scenario.clock.now().getTime() - ageMs).toISOString(),
    }),
  });
  return response.status;
}

/** A trace as names within names, in the order in which the spans ended. */
type Tree = [name: string, kind: number, ...parts: Tree[]];

function treeOf({ name, kind, spanId }: ReceivedSpan): Tree {
  const parts = collector.spans.filter(({ parentSpanId }) => parentSpanId === spanId);
  return [name, kind, ...parts.map((part) => treeOf(part))];
}

function spanOf(name: string): ReceivedSpan {
  const found = collector.spans.filter((span) => span.name === name);
  if (found[0] === undefined || found.length > 1) throw new Error(`${found.length} of ${name}`);
  return found[0];
}

/** The points of a metric, as the attributes that tell them apart and their sums. */
function measured(name: string): [Record<string, unknown>, number][] {
  const sums = new Map<string, number>();
  for (const { attributes, value } of collector.points.filter((point) => point.name === name)) {
    const key = JSON.stringify(attributes);
    sums.set(key, (sums.get(key) ?? 0) + value);
  }
  return [...sums].map(([key, value]) => [JSON.parse(key) as Record<string, unknown>, value]);
}

describe("the trace of a notification", () => {
  beforeEach(() => connected());

  it("goes from the caller's span to the publication, with named steps", async () => {
    scenario.emulator.deliver(ADA);
    scenario.clock.advance(2 * HOUR_MS);
    expect(await notify()).toBe(204);

    const { client, internal, producer, consumer } = KIND;
    const root = spanOf("gmailNotification");
    expect(treeOf(root)).toEqual([
      "gmailNotification",
      consumer,
      ["users.findByEmailAddress", client],
      [
        "sync",
        internal,
        ["token.refresh", client],
        ["users.history.list", client],
        ["publish", producer],
        ["checkpoint", internal, ["users.update", client]],
      ],
    ]);
    expect(root).toMatchObject({ traceId: CALLER.traceId, parentSpanId: CALLER.spanId });
    expect(new Set(collector.spans.map(({ traceId }) => traceId))).toEqual(
      new Set([CALLER.traceId]),
    );
    const { id } = scenario.stored(ADA);
    expect(spanOf("sync").attributes).toEqual({
      "user.id": id,
      "gmail_receiver.trigger": "notified",
      "gmail_receiver.outcome": "caught_up",
      "gmail_receiver.changes": 1,
    });
    expect(collector.resource()).toMatchObject({
      "service.name": "gmail-push-receiver",
      "service.instance.id": "local",
      "cloud.account.id": PROJECT,
    });
  });

  it("continues in the change: subscribers get the span that published it", async () => {
    scenario.emulator.deliver(ADA);
    await notify();
    const change = scenario.topic.published.at(-1);
    expect(change?.attributes["ce-type"]).toBe("mailbox.message.added");
    expect(change?.attributes["ce-traceparent"]).toBe(
      `00-${CALLER.traceId}-${spanOf("publish").spanId}-01`,
    );
  });

  it("continues in the change although no one keeps it, when Google does not sample it", async () => {
    scenario.emulator.deliver(ADA);
    await scenario.runSchedule("watchRenewal");
    collector.clear();
    const unsampled = TRACEPARENT.replace(/01$/, "00");
    const response = await fetch(scenario.urls.watchRenewal, {
      method: "POST",
      headers: { traceparent: unsampled },
    });
    expect(response.status).toBe(204);
    scenario.clock.advance(25 * HOUR_MS);
    await fetch(scenario.urls.mailboxReconciliation, {
      method: "POST",
      headers: { traceparent: unsampled },
    });
    expect(collector.spans).toEqual([]);
    expect(scenario.topic.published.at(-1)?.attributes["ce-traceparent"]).toMatch(
      new RegExp(`^00-${CALLER.traceId}-[0-9a-f]{16}-00$`),
    );
  });

  it("is named by each log record, with the span that it was written in", async () => {
    scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    await notify();
    const trace = `projects/${PROJECT}/traces/${CALLER.traceId}`;
    const written = (event: string) => scenario.logged(event).at(-1);
    expect(written("mailbox_synced")).toMatchObject({
      "logging.googleapis.com/trace": trace,
      "logging.googleapis.com/spanId": spanOf("gmailNotification").spanId,
      "logging.googleapis.com/trace_sampled": true,
    });
    expect(written("history_gap")).toMatchObject({
      "logging.googleapis.com/trace": trace,
      "logging.googleapis.com/spanId": spanOf("sync").spanId,
    });
  });

  it("names what failed, by its class", async () => {
    scenario.emulator.deliver(ADA);
    scenario.topic.failure = new PublishFailure("misconfigured", "topic_not_found");
    expect(await notify()).toBe(204);
    expect(spanOf("publish")).toMatchObject({
      status: { code: 2, message: "PublishFailure" },
      attributes: {
        "error.type": "misconfigured",
        "gmail_receiver.reason": "topic_not_found",
        "messaging.batch.message_count": 1,
      },
    });
    expect(spanOf("sync")).toMatchObject({
      status: { code: 0 },
      attributes: { "gmail_receiver.outcome": "failed" },
    });
  });

  it("is exported although the notification is redelivered", async () => {
    scenario.emulator.deliver(ADA);
    scenario.topic.onPublished = () => {
      throw Object.assign(new Error("secret-in-a-message"), { code: 14 });
    };
    expect(await notify()).toBe(500);
    expect(spanOf("gmailNotification").status).toEqual({
      code: 2,
      message: "Redeliver: the store did not answer",
    });
    expect(JSON.stringify(collector.requests)).not.toContain("secret-in-a-message");
  });

  it("is separate from another that runs at the same time", async () => {
    const bob = "bob@example.com";
    await scenario.connect(bob);
    collector.clear();
    scenario.emulator.deliver(ADA);
    scenario.emulator.deliver(bob);
    scenario.clock.advance(7 * HOUR_MS);
    await Promise.all([notify(), scenario.runSchedule("mailboxReconciliation")]);
    const traces = new Map(collector.spans.map(({ spanId, traceId }) => [spanId, traceId]));
    const within = collector.spans.filter(({ parentSpanId = "" }) => traces.has(parentSpanId));
    expect(within.length).toBeGreaterThan(6);
    expect(within.map(({ parentSpanId = "" }) => traces.get(parentSpanId))).toEqual(
      within.map(({ traceId }) => traceId),
    );
    expect(spanOf("gmailNotification").traceId).not.toBe(spanOf("mailboxReconciliation").traceId);
    expect(spanOf("mailboxReconciliation")).not.toHaveProperty("parentSpanId");
  });
});

describe("the pages and the schedules", () => {
  it("are traced, too, a page with its status", async () => {
    await connected();
    await fetch(`${scenario.publicUrl}/nowhere?code=secret`, {
      headers: { traceparent: TRACEPARENT },
    });
    const page = spanOf("connect");
    expect(page).toMatchObject({
      kind: KIND.server,
      attributes: { "http.response.status_code": 404 },
    });
    // Strangers do not decide what is kept: their sampled flag is part of what we do not go on from.
    expect(page).not.toHaveProperty("parentSpanId");
    expect(page.traceId).not.toBe(CALLER.traceId);
    await scenario.runSchedule("watchRenewal");
    expect(treeOf(spanOf("watchRenewal"))).toEqual([
      "watchRenewal",
      KIND.server,
      ["users.listDue", KIND.client],
    ]);
  });
});

describe("a call of a subscriber", () => {
  const CALLED = ["gmailApi", KIND.server, ["users.find", KIND.client], ["gmail.api", KIND.client]];

  /** Longer than what the connections hold. */
  const LONG = "x".repeat(16 * 1024 * 1024);

  beforeEach(() => connected({ GMAIL_SCOPES: "gmail.readonly" }));

  function read(messageId: string): Promise<Response> {
    const path = `gmail/v1/users/${scenario.stored(ADA).id}/messages/${messageId}`;
    const authorization = `Bearer ${localIdToken("desk@demo.iam.gserviceaccount.com")}`;
    return fetch(`${scenario.urls.gmailApi}/${path}`, { headers: { authorization } });
  }

  it("lasts until the body of the response has been sent, and is exported before its end", async () => {
    const { messageId } = scenario.emulator.deliver(ADA, { text: LONG });
    const response = await read(messageId);
    // Gmail's response has begun, and waits for its reader.
    expect(collector.spans).toEqual([]);
    const { length } = await response.text();
    expect(treeOf(spanOf("gmailApi"))).toEqual(CALLED);
    expect(spanOf("gmailApi").attributes).toEqual({
      "http.response.status_code": 200,
      "http.response.body.size": length,
    });
  });

  it("ends with the connection of a client that leaves", async () => {
    const { messageId } = scenario.emulator.deliver(ADA, { text: LONG });
    const response = await read(messageId);
    await response.body?.cancel();
    await vi.waitFor(() => expect(treeOf(spanOf("gmailApi"))).toEqual(CALLED));
    expect(spanOf("gmailApi").attributes).toMatchObject({ "error.type": "incomplete" });
    expect(spanOf("gmail.api").status).toMatchObject({ code: 2 });
  });

  it("lasts until a response of the receiver's own has been sent", async () => {
    expect((await read("not/a/message")).status).toBe(405);
    expect(spanOf("gmailApi").attributes).toMatchObject({ "http.response.status_code": 405 });
  });
});

describe("the metrics", () => {
  beforeEach(() => connected());

  it("of a notification: the delay until it is published, and the changes by kind", async () => {
    const { messageId } = scenario.emulator.deliver(ADA);
    scenario.emulator.star(ADA, messageId);
    await notify(3_000);
    const [delay, ...more] = collector.points.filter(({ name }) => name === "gmail_receiver.delay");
    expect(more).toEqual([]);
    expect(delay).toMatchObject({ unit: "s", count: 1, temporality: 1 });
    expect(delay?.value).toBeGreaterThanOrEqual(3);
    expect(delay?.value).toBeLessThan(3 + BOUND_MS / 1_000);
    expect(measured("gmail_receiver.changes")).toEqual([
      [{ kind: "added" }, 1],
      [{ kind: "labels.added" }, 1],
    ]);
    expect(measured("gmail_receiver.syncs")).toEqual([
      [{ trigger: "notified", outcome: "caught_up" }, 1],
    ]);
  });

  it("count what has happened since the last export", async () => {
    for (const _ of [1, 2, 3]) {
      scenario.emulator.deliver(ADA);
      await notify();
    }
    const changes = collector.points.filter(({ name }) => name === "gmail_receiver.changes");
    expect(changes.map(({ value, temporality }) => [value, temporality])).toEqual([
      [1, 1],
      [1, 1],
      [1, 1],
    ]);
  });

  it("of a gap, by its reason, and of the calls that found and confirmed it", async () => {
    scenario.emulator.deliver(ADA);
    scenario.emulator.expireHistory(ADA);
    await notify();
    expect(measured("gmail_receiver.gaps")).toEqual([[{ reason: "history_expired" }, 1]]);
    expect(measured("gmail_receiver.failures")).toEqual([
      [{ call: "history.list", kind: "history_expired" }, 2],
    ]);
  });

  it("of a grant that has ended: every refusal, and one flag", async () => {
    scenario.emulator.deliver(ADA);
    scenario.emulator.changePassword(ADA);
    await notify();
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    expect(measured("gmail_receiver.flags")).toEqual([
      [{ status: "reauthorization_required", reason: "invalid_grant" }, 1],
    ]);
    expect(measured("gmail_receiver.failures")).toContainEqual([
      { call: "token.refresh", kind: "reauthorize" },
      2,
    ]);
    expect(measured("gmail_receiver.syncs")).toEqual([
      [{ trigger: "notified", outcome: "flagged" }, 1],
    ]);
  });

  it("of the due lists: how many were due, for how long, and what became of them", async () => {
    const { renewAt } = scenario.stored(ADA).watch;
    const untilMs = (renewAt?.getTime() ?? 0) - scenario.clock.now().getTime();
    scenario.clock.advance(untilMs + HOUR_MS);
    await scenario.runSchedule("watchRenewal");
    expect(measured("gmail_receiver.due")).toEqual([[{ list: "watch.renewAt" }, 1]]);
    const [[list, overdue] = [{}, 0]] = measured("gmail_receiver.overdue");
    expect(list).toEqual({ list: "watch.renewAt" });
    expect(overdue).toBeGreaterThanOrEqual(3_600);
    expect(overdue).toBeLessThan(3_600 + MINUTE_MS / 1_000);
    expect(measured("gmail_receiver.renewals")).toEqual([[{ outcome: "renewed" }, 1]]);

    collector.clear();
    await scenario.runSchedule("watchRenewal");
    expect(measured("gmail_receiver.due")).toEqual([[{ list: "watch.renewAt" }, 0]]);
    expect(measured("gmail_receiver.overdue")).toEqual([[{ list: "watch.renewAt" }, 0]]);
    expect(measured("gmail_receiver.renewals")).toEqual([]);
  });
});

describe("a mailbox that stays incomplete", () => {
  it("is measured by the age of the oldest one, and no longer once it is complete", async () => {
    await connected({});
    const fault = { method: "gmail", preset: "callerForbidden", count: "all" } as const;
    scenario.emulator.faults.failNext(fault);
    scenario.emulator.deliver(ADA);
    await notify();
    await scenario.reconcileAfter(HOUR_MS);
    const [[, age] = [{}, 0]] = measured("gmail_receiver.behind");
    expect(age).toBeGreaterThanOrEqual(3_600);
    expect(age).toBeLessThan(3_600 + MINUTE_MS / 1_000);

    scenario.emulator.faults.clear();
    await scenario.reconcileAfter(HOUR_MS);
    collector.clear();
    await scenario.reconcileAfter(MINUTE_MS);
    expect(measured("gmail_receiver.behind")).toEqual([[{}, 0]]);
  });
});

describe("a mail to a person", () => {
  it("is counted by its outcome, and its span names neither recipient nor content", async () => {
    const sink = await startMailSink();
    await connected({ NOTICE_SMTP_URL: sink.url, NOTICE_FROM: "sync@app.example" });
    scenario.emulator.changePassword(ADA);
    scenario.emulator.deliver(ADA);
    await notify();
    await scenario.runSchedule("mailboxReconciliation");
    await sink.close();
    expect(sink.mails).toHaveLength(1);
    expect(measured("gmail_receiver.notices")).toEqual([[{ outcome: "sent" }, 1]]);
    expect(spanOf("notice.send").attributes).toEqual({ "gmail_receiver.outcome": "sent" });
    expect(JSON.stringify(collector.requests)).not.toMatch(/example\.com|reauthorize\//);
  });
});

describe("a security event", () => {
  it("is counted by its outcome", async () => {
    await connected();
    const token = scenario.emulator.securityEvent({
      type: "risc/event-type/sessions-revoked",
      audience: DEFAULT_CLIENT.clientId,
      account: ADA,
    });
    const post = (body: string) =>
      fetch(scenario.urls.securityEvent, {
        method: "POST",
        headers: { "content-type": "application/secevent+jwt" },
        body,
      });
    expect((await post(token)).status).toBe(202);
    expect((await post(token)).status).toBe(202);
    expect((await post("no token")).status).toBe(400);
    expect(measured("gmail_receiver.security_events")).toEqual([
      [{ outcome: "accepted" }, 1],
      [{ outcome: "repeated" }, 1],
      [{ outcome: "refused" }, 1],
    ]);
  });
});

describe("L7: what is exported", () => {
  it("contains no secret and no email address, and is sent with the configured headers", async () => {
    await connected({
      OTEL_EXPORTER_OTLP_HEADERS: "X-Api-Key=key%2C%20with%20more,tenant=acme",
      OTEL_SERVICE_NAME: "mail",
    });
    scenario.emulator.deliver(ADA);
    scenario.clock.advance(2 * HOUR_MS);
    await notify();
    await scenario.connect("bob@example.com");
    scenario.emulator.changePassword(ADA);
    scenario.emulator.deliver(ADA);
    await notify();
    await fetch(`${scenario.publicUrl}/callback?state=s&code=4%2F0AeanSecretCode`);

    const { requests } = collector;
    expect(new Set(requests.map(({ path }) => path))).toEqual(
      new Set(["/v1/traces", "/v1/metrics"]),
    );
    for (const { headers } of requests) {
      expect(headers).toMatchObject({ "x-api-key": "key, with more", tenant: "acme" });
    }
    expect(collector.resource()["service.name"]).toBe("mail");
    const text = requests.map(({ body }) => body).join("\n");
    expect(text).toContain(scenario.stored(ADA).id);
    expect(text).not.toMatch(/example\.com|0AeanSecretCode|\/callback/);
    const secrets = scenario.emulator.secretsIssued();
    expect(secrets.length).toBeGreaterThan(5);
    expect(findSecrets(text, secrets)).toEqual([]);
    expect(scenario.logs.join("\n")).not.toContain("with more");
  });
});

describe("a collector that fails", () => {
  it.each<[string, Health, string]>([
    ["that answers 500", { status: 500 }, "OTLPExporterError (500)"],
    ["that answers 503", { status: 503 }, "OTLPExporterError"],
    ["that refuses our key", { status: 401 }, "OTLPExporterError (401)"],
    ["that never answers", "silent", "no_answer"],
    ["that never comes to an end", "trickling", "timeout"],
  ])(
    "%s: notifications are acknowledged in time, and it is logged once",
    async (_, health, reason) => {
      await connected();
      collector.health = health;
      for (const boundMs of [BOUND_MS, 1_500]) {
        scenario.emulator.deliver(ADA);
        const startedAt = performance.now();
        expect(await notify()).toBe(204);
        expect(performance.now() - startedAt).toBeLessThan(boundMs);
      }
      expect(scenario.events(ADA)).toHaveLength(3);
      expect(scenario.logged("telemetry_export_failed")).toMatchObject([
        { severity: "WARNING", reason },
      ]);
      // At rest, it is not even asked.
      const asked = collector.requests.length;
      await notify();
      expect(collector.requests).toHaveLength(asked);
    },
  );

  it("that is unreachable: the same", async () => {
    await connected();
    await collector.close();
    scenario.emulator.deliver(ADA);
    const startedAt = performance.now();
    expect(await notify()).toBe(204);
    expect(performance.now() - startedAt).toBeLessThan(BOUND_MS);
    expect(scenario.logged("telemetry_export_failed")).toMatchObject([
      { reason: "Error (ECONNREFUSED)" },
    ]);
    collector = await startOtlpReceiver();
  });
});

describe("without a collector", () => {
  it("changes carry no trace, and log records the caller's trace", async () => {
    scenario = await startScenario({ emulator: { push: { kind: "none" } } });
    await scenario.connect(ADA);
    scenario.emulator.deliver(ADA);
    expect(await notify()).toBe(204);
    expect(scenario.topic.published).toHaveLength(2);
    for (const { attributes } of scenario.topic.published) {
      expect(attributes).not.toHaveProperty("ce-traceparent");
    }
    expect(scenario.logged("mailbox_synced").at(-1)).toMatchObject({
      "logging.googleapis.com/spanId": CALLER.spanId,
    });
    expect(collector.requests).toEqual([]);
  });
});
