import type { Call } from "../gmail-emulator/calls.ts";
import type { AccountTruth } from "../gmail-emulator/truth.ts";
import type { StoredUser } from "../support/memory-users.ts";

/** What the page shows of everything at this moment. Nothing in it is a secret. */
export interface Snapshot {
  accounts: ShownAccount[];
  users: { id: string; document: unknown }[];
  calls: CallCount[];
  /** When each schedule runs next. */
  schedules: Record<string, string>;
}

interface ShownAccount {
  sub: string;
  email: string;
  standing: string;
  mailService: string;
  isBlockedByAdmin: boolean;
  /** Whether Gmail tells the receiver of changes. */
  isNotifying: boolean;
  messageCount: number;
  /** The newest first. */
  messages: { id: string; subject: string; labelIds: readonly string[] }[];
}

interface CallCount {
  account: string;
  method: string;
  count: number;
  /** How many of them were answered with an error. */
  refused: number;
}

const MESSAGES_SHOWN_MAX = 20;

export function showAccount(truth: AccountTruth): ShownAccount {
  const { sub, email, standing, mailService, adminPolicyEnforced, messages, watches } = truth;
  return {
    sub,
    email,
    standing,
    mailService,
    isBlockedByAdmin: adminPolicyEnforced,
    isNotifying:
      standing === "active" && mailService === "on" && watches.some(({ active }) => active),
    messageCount: messages.length,
    messages: messages
      .slice(-MESSAGES_SHOWN_MAX)
      .toReversed()
      .map(({ id, subject, labelIds }) => ({ id, subject, labelIds })),
  };
}

/** The user document as it is stored, times as text, and of a sealed token only that it is one. */
export function showUser(user: StoredUser): { id: string; document: unknown } {
  const { id, revision: _, ...document } = user;
  const json = JSON.stringify(document, (_name, value: unknown) =>
    typeof value === "string" ? showText(value) : value,
  );
  return { id, document: JSON.parse(json) };
}

/** `v2.{key id}.{iv}.{ciphertext}.{tag}`, as tokens are sealed. */
const SEALED = /^v[12]\.([\w-]+)\.[\w-]{16}\.[\w-]*\.[\w-]{22}$/;

function showText(text: string): string {
  const keyId = SEALED.exec(text)?.[1];
  return keyId === undefined
    ? text
    : `sealed: AES-256-GCM, key ${keyId}, ${text.length} characters`;
}

/** What the person's own browser asked of Google is no call of the receiver. */
const BROWSER_CALLS = "auth.";

export function countCalls(calls: readonly Call[]): CallCount[] {
  const counts = new Map<string, CallCount>();
  for (const { method, account = "", status } of calls) {
    if (method.startsWith(BROWSER_CALLS)) continue;
    const key = `${account} ${method}`;
    const count = counts.get(key) ?? { account, method, count: 0, refused: 0 };
    count.count += 1;
    if (status < 200 || status >= 300) count.refused += 1;
    counts.set(key, count);
  }
  return [...counts.values()].toSorted(
    (a, b) => compare(a.account, b.account) || compare(a.method, b.method),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
