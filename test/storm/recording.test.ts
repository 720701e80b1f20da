import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { judge } from "../checker/judge.ts";
import { readRecording } from "../checker/recording.ts";
import { type GmailEmulator, startGmailEmulator } from "../gmail-emulator/emulator.ts";
import { recordingOf } from "./recording.ts";
import type { Published, Sample } from "./witness.ts";

/** Goal: the recording of a storm says enough to be judged by it. */

const ADA = "ada@example.com";

describe("the recording of a storm", () => {
  let emulator: GmailEmulator;
  beforeAll(async () => {
    emulator = await startGmailEmulator();
  });
  afterAll(() => emulator.close());

  it("is judged with Gmail's truth: what is missing on the topic is lost", () => {
    const startedAt = Date.now();
    const { sub } = emulator.createAccount({ email: ADA });
    const connectedAt = emulator.account(ADA).historyId;
    for (const subject of ["first", "second"]) emulator.deliver(ADA, { subject });
    const account = emulator.account(ADA);
    const at = Date.now() + 1_000;

    const publish = (type: string, id: string, json: object): Published => ({
      order: 0n,
      at,
      userId: sub,
      eventId: id,
      type,
      attributes: { "ce-id": id, "ce-type": type },
      json: { userId: sub, emailAddress: ADA, ...json },
    });
    const published = [
      publish("mailbox.connected", `${sub}/connected/1`, {}),
      ...account.history.flatMap(({ id: historyId, messagesAdded }) =>
        messagesAdded.map(({ id: messageId, threadId, labelIds }) =>
          publish("mailbox.message.added", `${sub}/added/${messageId}`, {
            historyId,
            messageId,
            threadId,
            labelIds,
          }),
        ),
      ),
    ];
    const sample = (ms: number, historyId: string): Sample => ({
      userId: sub,
      at: ms,
      cursor: BigInt(historyId),
      recent: [],
      status: "active",
      generation: 1,
      document: {
        status: "active",
        statusAt: new Date(startedAt),
        historyId,
        grant: { generation: 1 },
      },
    });
    const samples = [sample(startedAt, connectedAt), sample(at, account.historyId)];
    const brokenIn = (events: readonly Published[]) => {
      const seen = { startedAt, endedAt: at, settleMs: 2_000, published: events, samples };
      const recording = recordingOf({ ...seen, mailboxes: [{ account, connectedAt }] });
      return judge(readRecording(recording)).broken.map(({ property }) => property);
    };

    expect(published).toHaveLength(3);
    expect(brokenIn(published)).toEqual([]);
    expect(brokenIn(published.slice(0, 2))).toEqual(["P4", "P1"]);
    const late = published.map((event, index) => (index === 2 ? { ...event, at: at + 1 } : event));
    expect(brokenIn(late)).toContain("P4");
  });
});
