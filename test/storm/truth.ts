import type { AccountTruth, HistoryTruth } from "../gmail-emulator/truth.ts";

/** What one history record has to be told as, worked out from Gmail's truth and the promise alone. */
export interface ExpectedRecord {
  historyId: bigint;
  /** When the index showed it. */
  readableAt: number;
  /** By event id. */
  events: ReadonlyMap<string, ExpectedEvent>;
}

export interface ExpectedEvent {
  type: string;
  json: Readonly<Record<string, unknown>>;
}

/** What has happened to a mailbox after this position, in the order of history. */
export function expectedRecords(account: AccountTruth, after: string): ExpectedRecord[] {
  return account.history
    .filter(({ id }) => BigInt(id) > BigInt(after))
    .map((record) => ({
      historyId: BigInt(record.id),
      readableAt: record.readableAt ?? Infinity,
      events: new Map(expectedEvents(account, record)),
    }));
}

function expectedEvents(
  { sub, email }: AccountTruth,
  record: HistoryTruth,
): [string, ExpectedEvent][] {
  const { id: historyId, messagesAdded, messagesDeleted, labelsAdded, labelsRemoved } = record;
  const data = ({ id: messageId, threadId }: { id: string; threadId: string }) => ({
    userId: sub,
    emailAddress: email,
    historyId,
    messageId,
    threadId,
  });
  return [
    ...messagesAdded.map((message): [string, ExpectedEvent] => [
      `${sub}/added/${message.id}`,
      {
        type: "mailbox.message.added",
        json: { ...data(message), labelIds: [...message.labelIds].sort() },
      },
    ]),
    ...messagesDeleted.map((message): [string, ExpectedEvent] => [
      `${sub}/${historyId}/deleted/${message.id}`,
      { type: "mailbox.message.deleted", json: data(message) },
    ]),
    ...(
      [
        ["labels.added", labelsAdded],
        ["labels.removed", labelsRemoved],
      ] as const
    ).flatMap(([kind, items]) =>
      items.map(({ message, labelIds }): [string, ExpectedEvent] => [
        `${sub}/${historyId}/${kind}/${message.id}`,
        { type: `mailbox.${kind}`, json: { ...data(message), labelIds: [...labelIds].sort() } },
      ]),
    ),
  ];
}
