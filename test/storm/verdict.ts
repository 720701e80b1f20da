import { isDeepStrictEqual } from "node:util";
import type { AccountTruth } from "../gmail-emulator/truth.ts";
import { type ExpectedEvent, type ExpectedRecord, expectedRecords } from "./truth.ts";
import type { Published, Sample } from "./witness.ts";

/** What subscribers heard, held against what happened. */
export interface Verdict {
  changes: number;
  published: number;
  lost: number;
  /** Never happened, or not like that. */
  invented: number;
  /** The same change told once more, under the same id. */
  duplicates: number;
  /** First told after a later change, although Gmail showed it no later. */
  outOfOrder: number;
  /** First told after a later change, because Gmail showed it later. */
  shownLate: number;
  /** The stored cursor, or a position that counts as read, told of more than was published. */
  unpublishedPassed: number;
  cursorBack: number;
  /** Stored users that were anything but active, under their first grant. */
  flagged: number;
  /** A few of each kind, to look into. */
  findings: string[];
}

const FINDINGS_MAX = 40;

export interface MailboxEvidence {
  account: AccountTruth;
  /** Where the cursor stood when the mailbox was connected. */
  connectedAt: string;
  /** In the order of publication. */
  published: readonly Published[];
  /** In the order of writing. */
  samples: readonly Sample[];
}

export function judge(mailboxes: readonly MailboxEvidence[]): Verdict {
  const verdict: Verdict = {
    changes: 0,
    published: 0,
    lost: 0,
    invented: 0,
    duplicates: 0,
    outOfOrder: 0,
    shownLate: 0,
    unpublishedPassed: 0,
    cursorBack: 0,
    flagged: 0,
    findings: [],
  };
  for (const mailbox of mailboxes) judgeMailbox(mailbox, verdict);
  return verdict;
}

function judgeMailbox(evidence: MailboxEvidence, verdict: Verdict): void {
  const { account, connectedAt, samples } = evidence;
  const records = expectedRecords(account, connectedAt);
  const expected = new Map(
    records.flatMap((record) =>
      [...record.events].map(([id, event]) => [id, { record, event }] as const),
    ),
  );
  const note = (what: string) => {
    if (verdict.findings.length < FINDINGS_MAX) verdict.findings.push(what);
  };

  const firsts = new Map<string, Published>();
  for (const published of evidence.published) {
    const { eventId } = published;
    if (eventId === `${account.sub}/connected/1`) continue;
    verdict.published += 1;
    const told = expected.get(eventId);
    if (told === undefined || !isSame(told.event, published)) {
      verdict.invented += 1;
      note(`invented: ${eventId} ${JSON.stringify(published.json)}`);
    } else if (firsts.has(eventId)) verdict.duplicates += 1;
    else firsts.set(eventId, published);
  }

  verdict.changes += expected.size;
  for (const [id, { record }] of expected) {
    if (firsts.has(id)) continue;
    verdict.lost += 1;
    note(`lost: ${id} of record ${record.historyId}, readable at ${record.readableAt}`);
  }

  const order = [...firsts.keys()].flatMap((id) => expected.get(id)?.record ?? []);
  for (const [record, isLate] of overtaken(order)) {
    if (isLate) verdict.shownLate += 1;
    else {
      verdict.outOfOrder += 1;
      note(`out of order: record ${record.historyId} of ${account.sub}`);
    }
  }

  const toldAt = new Map(records.map((record) => [record.historyId, publishedAt(record, firsts)]));
  judgeSamples({ samples, toldAt, verdict, note });
}

function isSame({ type, json }: ExpectedEvent, published: Published): boolean {
  const { labelIds } = published.json;
  const sorted = Array.isArray(labelIds) ? { labelIds: labelIds.map(String).sort() } : {};
  return type === published.type && isDeepStrictEqual({ ...published.json, ...sorted }, json);
}

/** Records that come after a higher one, and whether they were shown after it too. */
function overtaken(order: readonly ExpectedRecord[]): [ExpectedRecord, boolean][] {
  return order.flatMap((record, index): [ExpectedRecord, boolean][] => {
    const ahead = order.slice(0, index).filter(({ historyId }) => historyId > record.historyId);
    if (ahead.length === 0) return [];
    return [[record, ahead.every(({ readableAt }) => readableAt < record.readableAt)]];
  });
}

/** When the last event of a record was first published. */
function publishedAt({ events }: ExpectedRecord, firsts: ReadonlyMap<string, Published>): number {
  return Math.max(...[...events.keys()].map((id) => firsts.get(id)?.at ?? Infinity));
}

function judgeSamples({
  samples,
  toldAt,
  verdict,
  note,
}: {
  samples: readonly Sample[];
  toldAt: ReadonlyMap<bigint, number>;
  verdict: Verdict;
  note: (what: string) => void;
}): void {
  const passed = new Set<bigint>();
  const unpassed = [...toldAt.keys()];
  let before: bigint | undefined;
  for (const { userId, at, cursor, recent, status, generation } of samples) {
    if (before !== undefined && cursor < before) {
      verdict.cursorBack += 1;
      note(`cursor of ${userId} back from ${before} to ${cursor}`);
    }
    before = cursor;
    if (status !== "active" || generation !== 1) {
      verdict.flagged += 1;
      note(`${userId} is ${status}, generation ${generation}`);
    }
    const next = unpassed.findIndex((id) => id > cursor);
    const under = unpassed.splice(0, next < 0 ? unpassed.length : next);
    for (const id of [...under, ...recent]) {
      if ((toldAt.get(id) ?? Infinity) <= at || passed.has(id)) continue;
      passed.add(id);
      note(`record ${id} of ${userId} counts as published at ${at}, told at ${toldAt.get(id)}`);
    }
  }
  verdict.unpublishedPassed += passed.size;
}
