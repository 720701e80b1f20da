import assert from "node:assert/strict";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { holdsForAll } from "./entry.ts";
import { anyJson, oneByteChanged, oneReplaced, rawBytes } from "./inputs.ts";
import { NOTIFICATION_CASES } from "./notification-cases.ts";
import { push } from "./request.ts";
import { type Subject, startSubject } from "./subject.ts";

/**
 * Goal: whatever is published to the topic, the receiver acknowledges what will never get better,
 * asks again only when its own store fails, and can be made to do next to nothing.
 */

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const CY = "cy@example.com";
/** A first listing, and three more while Gmail might lag; a refresh when the token has expired. */
const CALLS_MAX = { "history.list": 4, "token.refresh": 1 };

let subject: Subject;

beforeAll(async () => {
  subject = await startSubject();
  for (const email of [ADA, BOB]) await subject.connect(email);
  const { browser, page } = await subject.connect(CY);
  const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
  await browser.post(`${subject.publicUrl}/disconnect`, { csrf });
  subject.emulator.changePassword(BOB);
  subject.emulator.expireAccessTokens(BOB);
  await deliver(envelope({ emailAddress: BOB, historyId: ahead(BOB) }));
  assert.equal(subject.stored(BOB).status, "reauthorization_required");
  assert.equal(subject.stored(CY).status, "disconnected");
  subject.takeLogs();
});
afterAll(() => subject.close());

async function deliver(data: unknown): Promise<void> {
  assert.equal(await push(data), 204);
}

function ahead(email: string, by = 1n): string {
  return String(BigInt(subject.stored(email).historyId) + by);
}

function envelope(content: unknown, encoding: BufferEncoding = "base64"): unknown {
  const text = content instanceof Uint8Array ? content : JSON.stringify(content);
  return {
    message: {
      attributes: {},
      data: Buffer.from(text).toString(encoding),
      messageId: "136969346945",
      publishTime: "2026-11-20T13:02:03.749Z",
    },
    subscription: "projects/p/subscriptions/s",
  };
}

/** What the input names, if a lenient reader could make a notification of it. */
function readLeniently(
  data: unknown,
): { email: string; historyId: bigint; publishedAt: number } | undefined {
  try {
    const { message } = data as {
      message: { data: string; publishTime?: string; publish_time?: string };
    };
    const content = JSON.parse(Buffer.from(message.data, "base64").toString());
    return {
      email: content.emailAddress.toLowerCase(),
      historyId: BigInt(content.historyId),
      publishedAt: Date.parse(message.publishTime ?? message.publish_time ?? ""),
    };
  } catch {
    return undefined;
  }
}

async function check(data: unknown): Promise<void> {
  const { historyId: cursor } = subject.stored(ADA);
  const effects = subject.watch();
  await deliver(data);
  const { writes, published, calls } = effects();
  const logs = subject.takeLogs();

  expect(published).toBe(0);
  expect(subject.stored(ADA).historyId).toBe(cursor);
  expect(logs).toHaveLength(1);
  const hint = readLeniently(data);
  const isAhead = hint?.email === ADA && hint.historyId > BigInt(cursor);
  // Newer than all that was listed, and of an older id: the history may have been rewound.
  const syncedAt = Number(subject.stored(ADA).sync.syncedAt);
  const latest = subject.clock.now().getTime() + 60_000;
  const isLow = hint?.email === ADA && hint.publishedAt > syncedAt && hint.publishedAt <= latest;
  if (!isAhead && !isLow) return expect({ writes, calls }).toEqual({ writes: 0, calls: [] });
  // The due time at which it is looked at again.
  expect(writes).toBeLessThanOrEqual(1);
  for (const [method, max] of Object.entries(CALLS_MAX)) {
    expect(calls.filter((call) => call === method).length).toBeLessThanOrEqual(max);
  }
  expect(calls.filter((call) => !(call in CALLS_MAX))).toEqual([]);
}

describe("a notification", () => {
  const cases = NOTIFICATION_CASES.map((each) => [each.name, each] as const);
  it.each(cases)("%s is acknowledged", async (_, { data, why }) => {
    const effects = subject.watch();
    await deliver(data);
    expect(effects()).toEqual({ writes: 0, published: 0, calls: [] });
    const [record, ...more] = subject.takeLogs();
    expect(more).toEqual([]);
    expect(record).toMatchObject(
      why === "unknown"
        ? { event: "mailbox_synced", outcome: "unknown_mailbox" }
        : { event: "notification_malformed", severity: "ERROR", why },
    );
  });

  it("costs one read for a flagged or a disconnected user", async () => {
    for (const [email, outcome] of [
      [BOB, "inactive"],
      [CY, "unknown_mailbox"],
    ] as const) {
      const { reads } = subject.users.operations;
      const effects = subject.watch();
      await deliver(envelope({ emailAddress: email, historyId: ahead(email) }));
      expect(effects()).toEqual({ writes: 0, published: 0, calls: [] });
      expect(subject.users.operations.reads - reads).toBe(1);
      expect(subject.takeLogs()).toMatchObject([{ outcome }]);
    }
  });

  it("delivered a hundred times at once, ahead of all records, causes two listings at most", async () => {
    const effects = subject.watch();
    const absurd = envelope({ emailAddress: ADA, historyId: "18446744073709551615" });
    const startedAt = subject.clock.now().getTime();
    await Promise.all(Array.from({ length: 100 }, () => deliver(absurd)));
    const listings = effects().calls.filter((call) => call === "history.list").length;
    expect(listings).toBeLessThanOrEqual(8);
    // Never more than one a second for one mailbox, however many are forged.
    const seconds = (subject.clock.now().getTime() - startedAt) / 1_000;
    expect(listings).toBeLessThanOrEqual(1 + seconds);
    subject.takeLogs();
  });

  it("is redelivered when the store does not answer, and reveals nothing else", async () => {
    const { findByEmailAddress } = subject.users;
    subject.users.findByEmailAddress = () =>
      Promise.reject(Object.assign(new Error("ya29.a0ofsomebody00000"), { code: 14 }));
    expect(await push(envelope({ emailAddress: ADA, historyId: ahead(ADA) }))).toBe(500);
    subject.users.findByEmailAddress = findByEmailAddress;
    expect(subject.takeLogs()).toMatchObject([
      { event: "notification_failed", error: "Error (14)" },
    ]);
  });

  describe("of any kind", () => {
    const position = fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom("1", "2", "1000") },
      { weight: 1, arbitrary: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(String) },
    );
    const email = fc.oneof(
      fc.constantFrom(ADA, "Ada@Example.COM", BOB, CY),
      fc.stringMatching(/^[a-z0-9.+_-]{1,30}$/).map((local) => `${local}@example.org`),
    );
    const content = fc.record({ emailAddress: email, historyId: position });
    const encoding = fc.constantFrom<BufferEncoding>("base64", "base64url");
    const text = content.map((one) => Buffer.from(JSON.stringify(one)));

    holdsForAll(
      {
        valid: fc.tuple(content, encoding).map(([one, how]) => envelope(one, how)),
        oneFieldReplaced: fc.oneof(
          content.chain((one) => oneReplaced(one)).map((one) => envelope(one ?? null)),
          content.chain((one) => oneReplaced(envelope(one))),
        ),
        oneByteChanged: fc.oneof(
          text.chain(oneByteChanged).map((bytes) => envelope(bytes)),
          text
            .map((bytes) => Buffer.from(JSON.stringify(envelope(bytes))))
            .chain(oneByteChanged)
            .map((bytes) => parse(bytes)),
        ),
        rawBytes: fc.oneof(
          rawBytes.map((bytes) => envelope(bytes)),
          rawBytes,
          rawBytes.map((bytes) => bytes.toString("latin1")),
          fc.record({ message: fc.record({ data: anyJson, messageId: anyJson }) }),
        ),
      },
      check,
    );
  });
});

/** As the functions-framework hands a body over: parsed, or as it came. */
function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return bytes;
  }
}
