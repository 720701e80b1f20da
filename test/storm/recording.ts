import { createRecorder } from "../checker/recorder.ts";
import type { AccountTruth } from "../gmail-emulator/truth.ts";
import type { Published, Sample } from "./witness.ts";

/** A storm that is over, and came to rest. */
export interface Seen {
  startedAt: number;
  endedAt: number;
  settleMs: number;
  mailboxes: readonly { account: AccountTruth; connectedAt: string }[];
  published: readonly Published[];
  samples: readonly Sample[];
}

/** Returns a recording for `npm run check-recording`. */
export function recordingOf(seen: Seen): string {
  const { startedAt, endedAt, settleMs, mailboxes, published, samples } = seen;
  const lines: object[] = [];
  let at = startedAt;
  const time = (ms: number) => new Date(ms).toISOString();
  const recorder = createRecorder({
    now: () => at,
    // Known from the end: each record is a line of its own, at its time.
    mailboxOf: () => undefined,
    write: (line) => void lines.push(line),
  });
  recorder.settings({ from: time(startedAt), settleMs, completeUpTo: time(endedAt) });
  // What happened in one instant stays in the order of the lines: so causes come first.
  for (const { account, connectedAt } of mailboxes) {
    const { sub: userId, oldestHistoryId: oldest, history } = account;
    const gmail = { userId, oldest, messages: [] };
    lines.push({ gmail: { ...gmail, at: time(startedAt), head: connectedAt, history: [] } });
    for (const record of history) {
      lines.push({ gmail: { ...gmail, at: time(record.at), head: record.id, history: [record] } });
    }
  }
  for (const { attributes, json, userId: orderingKey, ...message } of published) {
    ({ at } = message);
    recorder.published({ attributes, json, orderingKey });
  }
  for (const { userId, document, ...sample } of samples) {
    ({ at } = sample);
    recorder.stored(userId, document);
  }
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}
