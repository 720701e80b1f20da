import { type Firestore, Timestamp } from "@google-cloud/firestore";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLog } from "../../functions/src/platform/log.ts";
import { firestoreUsers } from "../../functions/src/store/users.ts";
import { type LocalStack, startLocalStack } from "../local/stack.ts";
import { openBrowser, throughGoogle } from "../support/browser.ts";
import { firestoreForTests } from "../support/emulator-for-tests.ts";
import { openDatabase } from "../support/firestore-emulator.ts";
import { type MemoryTopic, memoryTopic } from "../support/memory-topic.ts";
import { inTimeOf } from "../support/read-times.ts";
import { type MovableClock, movableClock } from "../support/scenario.ts";

const ADA = "ada@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const RUNS = 30;
const SLOW = { timeout: 300_000 };

const firestore = firestoreForTests();

type Content = Record<string, unknown>;

/** Values of a type that we never write there. */
const other = fc.constantFrom<unknown>(
  null,
  "",
  "2026-11-20T12:00:00Z",
  -1,
  1.5,
  Number.NaN,
  true,
  [],
  {},
  new Timestamp(-62_135_596_800, 0),
  new Timestamp(253_402_300_799, 999_999_999),
);

/** Positions around the cursor, in any order, some more than once. */
function positions(cursor: bigint): fc.Arbitrary<unknown[]> {
  // Far enough above it that no record of the run has the id.
  const offset = fc.oneof(
    fc.bigInt({ min: -1_000n, max: 0n }),
    fc.bigInt({ min: 10n ** 9n, max: 10n ** 9n + 5n }),
  );
  const date = fc
    .integer({ min: -400, max: 400 })
    .map((hours) => Timestamp.fromMillis(Date.now() + hours * HOUR_MS));
  const position = fc.record({
    historyId: offset.map((by) => String(cursor + by)),
    at: fc.oneof({ weight: 9, arbitrary: date }, other),
    isHead: fc.constantFrom(true, undefined, false),
    isNotified: fc.constantFrom(true, undefined, undefined),
  });
  return fc.array(position.map(withoutUndefined), { maxLength: 12 });
}

function withoutUndefined(content: Content): Content {
  return Object.fromEntries(Object.entries(content).filter(([, value]) => value !== undefined));
}

/** One edit of a sound document, as an operator may make it by hand, or a restore. */
function edits(document: Content): fc.Arbitrary<Content> {
  const { sync, watch, followUp } = document as Record<string, Content>;
  const cursor = BigInt(String(document["historyId"]));
  const inMap = (name: string, map: Content = {}) => {
    const member = fc.constantFrom(...Object.keys(map));
    return fc.oneof(
      fc.tuple(member, other).map(([key, value]) => ({ [name]: { ...map, [key]: value } })),
      member.map((key) => {
        const { [key]: _, ...rest } = map;
        return { [name]: rest };
      }),
      other.map((value) => ({ [name]: value })),
    );
  };
  const id = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(String);
  return fc.oneof(
    { weight: 4, arbitrary: positions(cursor).map((recent) => ({ sync: { ...sync, recent } })) },
    { weight: 3, arbitrary: inMap("sync", sync) },
    inMap("watch", watch),
    inMap("followUp", followUp),
    id.map((highestHead) => ({ sync: { ...sync, highestHead } })),
    id.map((notifiedHistoryId) => ({ sync: { ...sync, notifiedHistoryId } })),
    fc.string().map((more) => ({ sync: { ...sync, more } })),
    fc.bigInt({ min: 1n, max: 500n }).map((by) => ({ historyId: String(cursor - by) })),
    fc.bigInt({ min: 1n, max: 10n ** 12n }).map((by) => ({ historyId: String(cursor + by) })),
  );
}

/** For every document: the mailbox continues, or an error names the document. */
describe.runIf(firestore.isHad)("a document that was edited by hand", () => {
  let database: Firestore;
  let clock: MovableClock;
  let topic: MemoryTopic;
  let stack: LocalStack;
  const lines: string[] = [];

  beforeAll(async () => {
    database = openDatabase(firestore, `demo-edited-${process.pid}`);
    clock = movableClock();
    topic = memoryTopic(clock.now);
    const log = createLog((line) => void lines.push(line));
    const users = inTimeOf(firestoreUsers(database, log, clock), clock);
    stack = await startLocalStack({ users, publish: topic.publish, clock });
    stack.emulator.createAccount({ email: ADA });
    const browser = openBrowser();
    const begun = await browser.get(`${stack.publicUrl}/start`);
    await throughGoogle(stack.emulator, browser, begun, { account: ADA });
    stack.emulator.deliver(ADA);
    await stack.emulator.idle();
  }, 120_000);
  afterAll(async () => {
    await stack.close();
    await database.terminate();
  });

  const isTold = (messageId: string) =>
    topic.published.some(({ json }) => json["messageId"] === messageId);
  const isReported = () => lines.some((line) => line.includes("user_document_invalid"));

  it("is repaired or reported, and never causes a retry storm", SLOW, async () => {
    const [found] = (await database.collection("users").get()).docs;
    if (found === undefined) throw new Error("no user is stored");
    const sound = found.data();
    const repaired = new Set<string>();
    await fc.assert(
      fc.asyncProperty(edits(sound), async (edit) => {
        // The sound document of now: its cursor and its tokens are the ones that Google knows.
        const { ref } = found;
        const current = (await ref.get()).data() ?? sound;
        await ref.set({ ...current, ...edit });
        lines.length = 0;
        const before = topic.published.length;
        clock.advance(MINUTE_MS);
        const { messageId } = stack.emulator.deliver(ADA);
        await stack.emulator.idle();
        // Longer than anything waits that is not a daily limit.
        for (let looks = 0; looks < 60 && !isTold(messageId) && !isReported(); looks++) {
          clock.advance(looks < 30 ? MINUTE_MS : HOUR_MS);
          await stack.runSchedule("mailboxReconciliation");
          await stack.runSchedule("watchRenewal");
          await stack.emulator.idle();
        }
        const published = topic.published.length - before;
        for (const line of lines) {
          if (line.includes("user_repaired")) repaired.add(String(Object.keys(edit)));
        }
        const isUnreadable = isReported();
        if (!isTold(messageId) || isUnreadable) await ref.set(current);
        expect(isUnreadable || isTold(messageId)).toBe(true);
        expect(stack.logs.filter((line) => line.includes("sync_crashed"))).toEqual([]);
        expect(published).toBeLessThan(2 * stack.emulator.account(ADA).messages.length + 50);
      }),
      { numRuns: RUNS },
    );
    expect(repaired.size).toBeGreaterThan(0);
  });
});
