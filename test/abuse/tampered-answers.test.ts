import assert from "node:assert/strict";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseHistoryId } from "../../functions/src/domain/history-id.ts";
import { RUNS_FACTOR } from "./entry.ts";
import { oneReplaced } from "./inputs.ts";
import { push } from "./request.ts";
import { type Subject, startSubject } from "./subject.ts";

/**
 * Goal: one answer of Google's that is not what it should be delays a mailbox, and loses nothing of
 * it: what is stored stays readable, no user is flagged, and the next responses repair it.
 */

const ADA = "ada@example.com";
const HOUR_MS = 3_600_000;
const JSON_TYPE = { "content-type": "application/json" };

let subject: Subject;

beforeAll(async () => {
  // Far apart, so that no invented record has the id of a real one: of two that share an id, the
  // first is believed.
  subject = await startSubject({}, { settings: { historyIdStepMax: 1_000_000 } });
  await subject.connect(ADA);
  subject.takeLogs();
});
afterAll(() => subject.close());

const METHODS = ["history.list", "token.refresh", "users.watch", "users.getProfile"] as const;
type Method = (typeof METHODS)[number];

/** An answer such as Google's would be now, for a mailbox that has gone on by a few records. */
function sample(method: Method): unknown {
  const { historyId } = subject.stored(ADA);
  const id = (ahead: bigint) => String(BigInt(historyId) + ahead);
  const message = { id: "19a1", threadId: "19aa", labelIds: ["INBOX"] };
  switch (method) {
    case "history.list": {
      const added = (ahead: bigint) => ({ id: id(ahead), messagesAdded: [{ message }] });
      return { history: [added(1n), added(2n)], nextPageToken: "next", historyId: id(3n) };
    }
    case "token.refresh":
      return { access_token: "ya29.a0tampered", expires_in: 3599, scope: "openid email" };
    case "users.watch":
      return { historyId: id(3n), expiration: String(subject.clock.now().getTime() + HOUR_MS) };
    case "users.getProfile":
      return { emailAddress: ADA, historyId: id(3n) };
  }
}

const ACTS = {
  notification: () => notify(),
  renewal: () => subject.runSchedule("watchRenewal"),
  reconciliation: () => subject.runSchedule("mailboxReconciliation"),
};
type Act = keyof typeof ACTS;

async function notify(): Promise<void> {
  const { historyId } = subject.emulator.account(ADA);
  const data = Buffer.from(JSON.stringify({ emailAddress: ADA, historyId })).toString("base64");
  assert.equal(await push({ message: { data, messageId: "1" } }), 204);
}

function publishedIds(): Set<string> {
  return new Set(subject.events(ADA).map(({ attributes }) => attributes["ce-id"] ?? ""));
}

/** Every date can be stored, and every position read. */
function expectReadable(): void {
  const user = subject.stored(ADA);
  expect(user.status).toBe("active");
  expect(parseHistoryId(user.historyId)).toBe(user.historyId);
  for (const { historyId } of user.sync.recent) expect(parseHistoryId(historyId)).toBe(historyId);
  const { accessTokenExpiresAt } = user.grant;
  const { dueAt, syncedAt } = user.sync;
  const { expiresAt, renewAt } = user.watch;
  for (const date of [accessTokenExpiresAt, dueAt, syncedAt, expiresAt, renewAt]) {
    assert(date === undefined || date.getTime() < Date.UTC(9999, 0));
  }
}

describe("one answer that is not Google's", () => {
  it("delays a mailbox and loses nothing", { timeout: 60_000 * RUNS_FACTOR }, async () => {
    const plan = fc.record({
      // Half of them lists: what they leave out is what could be lost.
      method: fc.oneof(fc.constant<Method>("history.list"), fc.constantFrom<Method>(...METHODS)),
      act: fc.constantFrom<Act>("notification", "renewal", "reconciliation"),
      status: fc.constantFrom(200, 200, 200, 201, 400, 500),
    });
    await fc.assert(
      fc.asyncProperty(plan, fc.gen(), async ({ method, act, status }, gen) => {
        const { emulator, clock } = subject;
        clock.advance(30 * HOUR_MS);
        const { messageId } = emulator.deliver(ADA, { subject: "Hello" });
        // Well-formed and still untrue: nothing is there, up to the present head.
        const { historyId } = emulator.account(ADA);
        const answer = () => fc.oneof(oneReplaced(sample(method)), fc.constant({ historyId }));
        const body = JSON.stringify(gen(answer)) ?? "";
        emulator.faults.failNext({ method, status, body, headers: JSON_TYPE });
        await ACTS[act]();
        expectReadable();

        emulator.faults.clear();
        for (let looks = 0; looks < 4; looks++) {
          clock.advance(20 * 60_000);
          await subject.runSchedule("mailboxReconciliation");
        }
        await notify();
        expectReadable();
        expect(publishedIds()).toContain(`${subject.stored(ADA).id}/added/${messageId}`);
        const { event } =
          subject.takeLogs().find((record) => record["event"] === "due_user_failed") ?? {};
        expect(event).toBeUndefined();
      }),
      { numRuns: Math.ceil(100 * RUNS_FACTOR), endOnFailure: true },
    );
  });
});
