import assert from "node:assert/strict";
import { type Firestore, Timestamp } from "@google-cloud/firestore";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLog } from "../../functions/src/platform/log.ts";
import { type User, type UserId, parseUserId } from "../../functions/src/domain/user.ts";
import { firestoreUsers } from "../../functions/src/store/users.ts";
import { firestoreForTests } from "../support/emulator-for-tests.ts";
import { openDatabase } from "../support/firestore-emulator.ts";
import { RUNS_FACTOR, holdsForAll } from "./entry.ts";
import { anyJson, oneByteChanged, oneMissing, oneReplaced, rawBytes } from "./inputs.ts";

/**
 * Goal: a document that an older version wrote, or that a person has edited, affects its own mailbox
 * and no other: it is read as it is meant, or not at all, and then it is told which fields are wrong
 * and nothing of what they hold.
 */

const NOW = Timestamp.fromMillis(Date.UTC(2026, 10, 20, 12));
const SEALED = "v1.canary.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA";
const CLOCK = { now: () => new Date() };
const SECRETIVE = "do-not-log-this-value";
/** A machine that has much else to do starts the emulator slowly. */
const SLOW = { timeout: 120_000 };

/** Every field that there is. */
const DOCUMENT = {
  emailAddress: "ada@example.com",
  status: "active",
  statusReason: "authorized",
  statusAt: NOW,
  grant: {
    generation: 7,
    scopes: ["openid", "email"],
    refreshToken: SEALED,
    accessToken: SEALED,
    accessTokenExpiresAt: NOW,
    refreshTokenDigests: { prefix: "a", doubleHash: "b" },
    grantedAt: NOW,
  },
  historyId: "9007199254740993",
  watch: { expiresAt: NOW, renewAt: NOW, failures: 0 },
  sync: {
    dueAt: NOW,
    dueReason: "quiet",
    retries: 0,
    notifiedHistoryId: "9007199254740994",
    recent: [{ historyId: "9007199254740995", at: NOW, isHead: true }],
    syncedAt: NOW,
    recovery: {
      fromHistoryId: "1",
      toHistoryId: "2",
      reason: "history_expired",
      since: NOW,
      listing: 0,
      pages: [{ token: "t", firstMessageId: "m" }],
      isWalked: true,
    },
  },
  followUp: { dueAt: NOW, announced: { status: "active", generation: 7 }, failures: 0 },
  signedOutAt: NOW,
};

const id = parse("10769150350006150715113082367");

function parse(text: string): UserId {
  const parsed = parseUserId(text);
  if (parsed === undefined) throw new Error(`no user id: ${text}`);
  return parsed;
}

/** What Firestore can hold in addition to JSON. */
const stored = fc.oneof(
  anyJson,
  fc.constantFrom(
    NOW,
    new Timestamp(253_402_300_799, 999_999_999),
    new Timestamp(-62_135_596_800, 0),
    Buffer.from("bytes"),
    Number.NaN,
    Number.POSITIVE_INFINITY,
    SECRETIVE,
    { seconds: 5, nanoseconds: 0 },
    new Date(Number.NaN),
  ),
);

const lines: string[] = [];
const log = createLog((line) => void lines.push(line));

/** A database in which every document has this content. */
function holding(content: unknown): Firestore {
  const updateTime = NOW;
  const snapshot = { id, exists: true, updateTime, readTime: updateTime, data: () => content };
  const get = () => Promise.resolve(snapshot);
  return { collection: () => ({ doc: () => ({ get }) }) } as unknown as Firestore;
}

/** The user as it is read, or `undefined`; what was not read, or not as it stands, is logged. */
async function read(content: unknown): Promise<User | undefined> {
  const user = await firestoreUsers(holding(content), log, CLOCK).find(id);
  const logged = lines.splice(0);
  assert(logged.length === 1 || (logged.length === 0 && user !== undefined));
  for (const line of logged) {
    const record = JSON.parse(line) as Record<string, unknown>;
    const event = user === undefined ? "user_document_invalid" : "user_repaired";
    expect(record).toMatchObject({ event, severity: "ERROR", userId: id });
    for (const field of record["fields"] as string[]) expect(field).toMatch(/^[a-zA-Z0-9.]*$/);
    expect(line).not.toContain(SECRETIVE);
  }
  return user;
}

function expectWellFormed(user: User): void {
  expect(user.historyId).toMatch(/^[1-9]\d{0,19}$/);
  expect([
    "active",
    "reauthorization_required",
    "mailbox_unavailable",
    "paused",
    "disconnected",
  ]).toContain(user.status);
  const { grant, watch, sync, followUp } = user;
  const dates = [user.statusAt, grant.grantedAt, grant.accessTokenExpiresAt, watch.renewAt];
  for (const date of [...dates, watch.expiresAt, sync.dueAt, sync.syncedAt, followUp.dueAt]) {
    assert(date === undefined || +Timestamp.fromDate(date).toDate() === +date);
  }
  for (const count of [grant.generation, watch.failures, sync.retries, followUp.failures]) {
    expect(Number.isSafeInteger(count) && count >= 0).toBe(true);
  }
}

describe("a stored document", () => {
  it("is read when it is complete", async () => {
    expect(await read(DOCUMENT)).toMatchObject({ id, historyId: DOCUMENT.historyId });
  });

  describe("of any kind", () => {
    const optional = fc.constantFrom(
      DOCUMENT,
      { ...DOCUMENT, extra: { deep: [1] } },
      { ...DOCUMENT, signedOutAt: NOW, watch: { failures: 3 } },
    );
    holdsForAll<unknown>(
      {
        valid: optional,
        oneFieldReplaced: fc.oneof(oneReplaced(DOCUMENT, stored), oneMissing(DOCUMENT)),
        oneByteChanged: fc
          .constantFrom("emailAddress", "status", "statusReason", "historyId")
          .chain((name) =>
            oneByteChanged(Buffer.from(String(DOCUMENT[name as keyof typeof DOCUMENT]))).map(
              (bytes) => ({ ...DOCUMENT, [name]: bytes.toString() }),
            ),
          ),
        rawBytes: fc.oneof(
          fc.dictionary(fc.constantFrom(...Object.keys(DOCUMENT)), stored),
          rawBytes.map((bytes) => ({ ...DOCUMENT, grant: bytes })),
        ),
      },
      async (content, kind) => {
        const user = await read(content);
        if (user !== undefined) expectWellFormed(user);
        assert(kind !== "valid" || user !== undefined);
      },
    );
  });
});

const firestore = firestoreForTests();

describe.runIf(firestore.isHad)("a stored document in Firestore", () => {
  let database: Firestore;
  beforeAll(() => {
    database = openDatabase(firestore);
  });
  afterAll(() => database.terminate());

  it("that is invalid keeps no other user from being due or found", SLOW, async () => {
    const users = firestoreUsers(database, log, CLOCK);
    const count = Math.ceil(120 * RUNS_FACTOR);
    const bad = fc.sample(fc.oneof(oneReplaced(DOCUMENT, stored), oneMissing(DOCUMENT)), count);
    const sound = bad.map((_, index) => `good-${index}`);
    const write = async (name: string, content: unknown) => {
      await database.doc(`users/${name}`).set(content as Record<string, unknown>);
    };
    await Promise.all(
      sound.map((name) => write(name, { ...DOCUMENT, emailAddress: `${name}@a.b` })),
    );
    // Firestore itself does not hold this, so no reader can meet it.
    await Promise.allSettled(bad.map((content, index) => write(`bad-${index}`, content)));

    for (const list of ["sync.dueAt", "watch.renewAt", "followUp.dueAt"] as const) {
      const range = { upTo: NOW.toDate(), beyond: new Date("2100-01-01") };
      const { users: due } = await users.listDue(list, range, 10 * count);
      const ids: string[] = due.map((user) => user.id);
      expect(ids).toEqual(expect.arrayContaining(sound));
      due.forEach(expectWellFormed);
    }
    for (const good of sound.slice(0, 10)) {
      const found = await users.findByEmailAddress(`${good}@a.b` as User["emailAddress"]);
      expect(found?.id).toBe(good);
    }
    expect(lines.length).toBeGreaterThan(count / 2);
    expect(lines.join()).not.toContain(SECRETIVE);
    lines.splice(0);
  });
});
