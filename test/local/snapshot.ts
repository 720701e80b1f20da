import type { Call } from "../gmail-emulator/calls.ts";
import type { AccountTruth } from "../gmail-emulator/truth.ts";
import type { StoredUser } from "../support/memory-users.ts";

/** What the page shows of everything at this moment. Nothing in it is a secret. */
export interface Snapshot {
  accounts: ShownAccount[];
  users: { id: string; document: unknown }[];
  /** When each schedule runs next. */
  schedules: Record<string, string>;
  /** How far the time is ahead of this machine's. */
  aheadMs: number;
}

interface ShownAccount {
  sub: string;
  email: string;
  name: string;
  standing: string;
  mailService: string;
  isBlockedByAdmin: boolean;
  /** Whether Gmail tells the receiver of changes. */
  isNotifying: boolean;
  messageCount: number;
  /** The newest first. */
  messages: ShownMessage[];
}

interface ShownMessage {
  id: string;
  threadId: string;
  from: string;
  to: string;
  subject: string;
  text: string;
  at: string;
  labelIds: readonly string[];
}

const MESSAGES_SHOWN_MAX = 100;
const TEXT_CHARACTERS_MAX = 1_000;
const HEADER_CHARACTERS_MAX = 200;

export function showAccount(truth: AccountTruth): ShownAccount {
  const { sub, email, name, standing, mailService, adminPolicyEnforced, messages, watches } = truth;
  return {
    sub,
    email,
    name,
    standing,
    mailService,
    isBlockedByAdmin: adminPolicyEnforced,
    isNotifying:
      standing === "active" && mailService === "on" && watches.some(({ active }) => active),
    messageCount: messages.length,
    messages: messages
      .slice(-MESSAGES_SHOWN_MAX)
      .toReversed()
      .map(({ id, threadId, from, to, subject, text, internalDate, labelIds }) => ({
        id,
        threadId,
        from: from.slice(0, HEADER_CHARACTERS_MAX),
        to: to.slice(0, HEADER_CHARACTERS_MAX),
        subject: subject.slice(0, HEADER_CHARACTERS_MAX),
        text: text.slice(0, TEXT_CHARACTERS_MAX),
        at: new Date(internalDate).toISOString(),
        labelIds,
      })),
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

/** A call of the receiver to Google. */
export interface ShownCall {
  at: string;
  account: string;
  method: string;
  status: number;
  durationMs: number;
}

/** What the person's own browser asked of Google is no call of the receiver. */
const BROWSER_CALLS = "auth.";

/** Returns `undefined` for what was no call of the receiver. */
export function showCall({
  method,
  account = "",
  status,
  at,
  durationMs,
}: Call): ShownCall | undefined {
  if (method.startsWith(BROWSER_CALLS)) return undefined;
  return { at: new Date(at - durationMs).toISOString(), account, method, status, durationMs };
}
