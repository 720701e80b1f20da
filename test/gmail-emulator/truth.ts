import type { Account, Google } from "./google.ts";
import {
  isReadable,
  type HistoryRecord,
  type Message,
  type MessageRef,
  type Omitted,
} from "./mailbox.ts";
import { valueOf } from "./mime.ts";
import { isLive } from "./tokens.ts";
import { isActive } from "./watch.ts";

/** One record of history as it happened, listed or not. */
export interface HistoryTruth {
  id: string;
  /** How often the head had been rewound by then. */
  epoch: number;
  at: number;
  /** When the index shows it; `undefined` while it is held back. */
  readableAt?: number;
  /** Whether `history.list` would show it now, from a cursor that is still known. */
  listed: boolean;
  messagesAdded: MessageRef[];
  messagesDeleted: MessageRef[];
  labelsAdded: { message: MessageRef; labelIds: readonly string[] }[];
  labelsRemoved: { message: MessageRef; labelIds: readonly string[] }[];
  /** What its messages lack where they are listed. */
  omits: readonly Omitted[];
  raw?: Record<string, unknown>;
}

export interface MessageTruth extends MessageRef {
  internalDate: number;
  listedAt: number;
  historyId: string;
  from: string;
  to: string;
  subject: string;
  text: string;
}

export interface WatchTruth {
  projectId: string;
  topicName: string;
  labelIds: readonly string[];
  labelFilter: "include" | "exclude";
  expiration: number;
  active: boolean;
}

/** What is true of an account, for comparison with what was published. It holds no secret. */
export interface AccountTruth {
  sub: string;
  email: string;
  /** How Gmail's profile and notifications spell it. */
  mailAddress: string;
  name: string;
  hostedDomain?: string;
  standing: Account["standing"];
  mailService: Account["mailService"];
  adminPolicyEnforced: boolean;
  /** The head, as `getProfile` tells it. */
  historyId: string;
  /** The oldest `startHistoryId` that is still found. */
  oldestHistoryId: string;
  history: HistoryTruth[];
  messages: MessageTruth[];
  /** Live tokens, by what they open. */
  refreshTokens: { clientId: string; scopes: string[]; issuedAt: number }[];
  accessTokens: { clientId: string; scopes: string[]; expiresAt: number }[];
  watches: WatchTruth[];
}

export function truthOf(google: Google, account: Account): AccountTruth {
  const { sub, email, name, hostedDomain, standing, mailService, mailbox } = account;
  const { adminPolicyEnforced, refreshTokens, accessTokens, watches } = account;
  return {
    sub,
    email,
    mailAddress: account.mailAddress ?? email,
    name,
    ...(hostedDomain !== undefined && { hostedDomain }),
    standing,
    mailService,
    adminPolicyEnforced,
    historyId: String(mailbox.head),
    oldestHistoryId: String(mailbox.floor),
    history: historyOf(google, account),
    messages: [...mailbox.messages.values()].map(messageTruth),
    refreshTokens: refreshTokens
      .filter((token) => isLive(google, token))
      .map(({ clientId, scopes, issuedAt }) => ({ clientId, scopes: [...scopes], issuedAt })),
    accessTokens: accessTokens
      .filter(({ expiresAt }) => expiresAt > google.now())
      .map(({ clientId, scopes, expiresAt }) => ({ clientId, scopes: [...scopes], expiresAt })),
    watches: [...watches.values()].map(({ stopped: _, ...watch }) => ({
      ...watch,
      active: isActive(google, { ...watch, stopped: _ }),
    })),
  };
}

export function historyOf(google: Google, account: Account): HistoryTruth[] {
  return account.mailbox.history.map((record) => historyTruth(google, account, record));
}

export function messageTruth(message: Message): MessageTruth {
  const { id, threadId, labelIds, internalDate, listedAt, historyId, headers, text } = message;
  return {
    id,
    threadId,
    labelIds: [...labelIds],
    internalDate,
    listedAt,
    historyId: String(historyId),
    from: valueOf(headers, "From") ?? "",
    to: valueOf(headers, "To") ?? "",
    subject: valueOf(headers, "Subject") ?? "",
    text,
  };
}

function historyTruth(google: Google, { mailbox }: Account, record: HistoryRecord): HistoryTruth {
  const { id, at, readableAt, epoch, omits, raw, items } = record;
  const readable = isReadable(google, record);
  const added: MessageRef[] = [];
  const deleted: MessageRef[] = [];
  const labelsAdded: HistoryTruth["labelsAdded"] = [];
  const labelsRemoved: HistoryTruth["labelsRemoved"] = [];
  for (const item of items) {
    switch (item.kind) {
      case "messageAdded":
        added.push(item.message);
        break;
      case "messageDeleted":
        deleted.push(item.message);
        break;
      case "labelAdded":
        labelsAdded.push({ message: item.message, labelIds: item.labelIds });
        break;
      case "labelRemoved":
        labelsRemoved.push({ message: item.message, labelIds: item.labelIds });
        break;
      default:
        item satisfies never;
    }
  }
  return {
    id: String(id),
    epoch,
    at,
    ...(Number.isFinite(readableAt) && { readableAt }),
    listed: readable && epoch === mailbox.epoch && id > mailbox.floor,
    messagesAdded: added,
    messagesDeleted: deleted,
    labelsAdded,
    labelsRemoved,
    omits,
    ...(raw !== undefined && { raw }),
  };
}
