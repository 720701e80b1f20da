import type { HistoryTruth, PublishedEvent } from "./evidence.ts";

/** One record of Gmail's history, and what has to be heard of it. */
export interface RecordTruth {
  id: bigint;
  /** Counts the rewinds of the head; ids rise within each. */
  epoch: number;
  at: number;
  readableAt: number;
  /** By event id. */
  events: readonly ExpectedEvent[];
  /** It cannot be read, so only a gap can tell of it. */
  isUnreadable: boolean;
  /** It showed later than is promised for, and nothing had told of it before the cursor passed. */
  isExcused?: boolean;
}

export interface ExpectedEvent {
  id: string;
  type: string;
  messageId: string;
  /** Absent where history left it out. */
  threadId: string | undefined;
  historyId: string;
  labelIds: readonly string[] | undefined;
}

/** What is published, as the deployment is configured. */
export interface Rules {
  publishesDrafts: boolean;
  /** Empty: every label. */
  watchedLabels: readonly string[];
}

export interface PublishedGap {
  from: bigint;
  to: bigint;
  /** The epoch of the mailbox when it was published. */
  epoch: number;
  at: number;
  /** It tells that the mailbox counts anew, so that nothing of before will be listed. */
  isRewound: boolean;
  /** From when on its messages have to be told one by one; absent where one record is meant. */
  recoveredSince: number | undefined;
  isRecovered: boolean;
  /** It speaks of one record that could not be read. */
  isOfRecord: boolean;
}

/** What Gmail's history holds of one mailbox, and what subscribers have heard. */
export interface MailboxLedger {
  readonly sub: string;
  readonly rules: Rules;
  records: RecordTruth[];
  expected: Map<string, { record: RecordTruth; event: ExpectedEvent }>;
  /** Event ids of two changes: a rewound mailbox gives ids to other records. */
  readonly reused: Set<string>;
  /** The thread of every message that history ever told of. */
  readonly threads: Map<string, string>;
  /** First publications by event id, in order. */
  readonly firsts: Map<string, { order: number; at: number; event: PublishedEvent }>;
  readonly gaps: PublishedGap[];
  /** Index of the first record that this connection has to tell of; absent while there is none. */
  since: number | undefined;
  /** How often the head had gone back when this connection began. */
  sinceEpoch: number;
  /** Records before this one are known to be told. */
  toldUpTo: number;
  /** An operator has changed its user's document: an old cursor may expire for a second time. */
  isEdited: boolean;
  /** Its user's document cannot be read: nothing can be told. */
  isUnreachable: boolean;
  /** The ids of notifications that were acknowledged. */
  readonly acknowledged: Set<string>;
}

export function createLedger(sub: string, rules: Rules): MailboxLedger {
  return {
    sub,
    rules,
    records: [],
    expected: new Map(),
    reused: new Set(),
    threads: new Map(),
    firsts: new Map(),
    gaps: [],
    since: undefined,
    sinceEpoch: 0,
    toldUpTo: 0,
    isEdited: false,
    isUnreachable: false,
    acknowledged: new Set(),
  };
}

/** Takes in what has happened to the mailbox since. */
export function refresh(ledger: MailboxLedger, history: readonly HistoryTruth[]): void {
  const { records } = ledger;
  for (const [index, truth] of history.entries()) {
    const known = records[index];
    if (known !== undefined) {
      known.readableAt = truth.readableAt ?? Infinity;
      continue;
    }
    const record: RecordTruth = {
      id: BigInt(truth.id),
      epoch: truth.epoch,
      at: truth.at,
      readableAt: truth.readableAt ?? Infinity,
      events: truth.raw === undefined ? expectedEvents(ledger, truth) : [],
      isUnreadable: truth.raw !== undefined,
    };
    records.push(record);
    for (const { id: messageId, threadId } of truth.messagesAdded) {
      ledger.threads.set(messageId, threadId);
    }
    for (const event of record.events) {
      const { epoch } = ledger.expected.get(event.id)?.record ?? record;
      if (epoch !== record.epoch) ledger.reused.add(event.id);
      ledger.expected.set(event.id, { record, event });
    }
  }
}

/** What one record has to be told as, worked out from Gmail's truth and the promise alone. */
function expectedEvents({ sub, rules }: MailboxLedger, truth: HistoryTruth): ExpectedEvent[] {
  const { id: historyId, omits } = truth;
  const { publishesDrafts, watchedLabels } = rules;
  const common = ({ id: messageId, threadId }: { id: string; threadId: string }) => ({
    messageId,
    threadId: omits.includes("threadId") ? undefined : threadId,
    historyId,
  });
  const isHeard = (
    { labelIds }: { labelIds: readonly string[] },
    changed: readonly string[] = [],
  ): boolean => {
    if (!publishesDrafts && labelIds.includes("DRAFT")) return false;
    if (watchedLabels.length === 0) return true;
    return watchedLabels.some((label) => labelIds.includes(label) || changed.includes(label));
  };
  // A draft that is sent is a message that was added, as far as subscribers know.
  const sent = publishesDrafts
    ? []
    : truth.labelsRemoved.filter(({ labelIds }) => labelIds.includes("DRAFT"));
  return [
    ...[...truth.messagesAdded, ...sent.map(({ message }) => message)]
      .filter((message) => isHeard(message))
      .map((message) => ({
        ...common(message),
        id: `${sub}/added/${message.id}`,
        type: "mailbox.message.added",
        labelIds: message.labelIds,
      })),
    ...truth.messagesDeleted
      .filter((message) => isHeard(message))
      .map((message) => ({
        ...common(message),
        id: `${sub}/${historyId}/deleted/${message.id}`,
        type: "mailbox.message.deleted",
        labelIds: undefined,
      })),
    ...truth.labelsAdded
      .filter(({ message, labelIds }) => isHeard(message, labelIds))
      .map(({ message, labelIds }) => ({
        ...common(message),
        id: `${sub}/${historyId}/labels.added/${message.id}`,
        type: "mailbox.labels.added",
        labelIds,
      })),
    ...truth.labelsRemoved
      .filter(({ message, labelIds }) => isHeard(message, labelIds))
      .map(({ message, labelIds }) => ({
        ...common(message),
        id: `${sub}/${historyId}/labels.removed/${message.id}`,
        type: "mailbox.labels.removed",
        labelIds,
      })),
  ];
}

/** True when every event of the record has been published, or a published gap names it. */
export function isTold({ firsts, gaps }: MailboxLedger, record: RecordTruth): boolean {
  const isHeard = !record.isUnreadable && record.events.every(({ id }) => firsts.has(id));
  if (isHeard || record.isExcused === true) return true;
  return gaps.some((gap) => (record.isUnreadable || !gap.isOfRecord) && isWithin(gap, record));
}

/** True when a published gap names the record. */
export function isInGap({ gaps }: MailboxLedger, record: RecordTruth): boolean {
  return gaps.some((gap) => isWithin(gap, record));
}

function isWithin({ from, to, epoch, at, isRewound }: PublishedGap, record: RecordTruth): boolean {
  if (record.at > at) return false;
  if (record.epoch < epoch) return isRewound || (from < record.id && record.id <= to);
  if (record.epoch > epoch) return false;
  return record.id <= to && (isRewound || record.id > from);
}
