import { type Account, accountOf, findAccount, type Google } from "./google.ts";
import { accountId, messageId } from "./ids.ts";
import { createSettings } from "./mail-settings.ts";
import { withHeaders } from "./compose.ts";
import { type Content, rawOf, rootOf, textOf } from "./content.ts";
import {
  type Attachment,
  appendRecord,
  createMailbox,
  type HistoryItem,
  type HistoryRecord,
  type Mailbox,
  type Message,
  refOf,
} from "./mailbox.ts";
import { isSystemLabel } from "./messages.ts";
import { type Header, parseMail, valueOf } from "./mime.ts";
import { endAccessTokens, endRefreshTokens } from "./tokens.ts";
import { notifyWatchers } from "./watch.ts";

export interface NewAccount {
  email: string;
  name?: string;
  sub?: string;
  /** True unless said; what ID tokens tell. */
  emailVerified?: boolean;
  hostedDomain?: string;
  /** Where this mailbox starts counting; beyond 2^53 unless said. */
  historyId?: string;
}

export function createAccount(google: Google, account: NewAccount): Account {
  const { email, name = email.split("@")[0] ?? email, hostedDomain, historyId } = account;
  google.serial += 1;
  const { sub = accountId(google.random, google.serial), emailVerified = true } = account;
  if (findAccount(google, email) !== undefined) throw new Error(`${email} exists already`);
  if (google.accounts.has(sub)) throw new Error(`an account ${sub} exists already`);
  const created: Account = {
    sub,
    email,
    name,
    emailVerified,
    ...(hostedDomain !== undefined && { hostedDomain }),
    standing: "active",
    mailService: "on",
    adminPolicyEnforced: false,
    refusals: [],
    mailbox: createMailbox(google, historyId === undefined ? undefined : BigInt(historyId)),
    settings: createSettings(email),
    drafts: new Map(),
    consents: new Map(),
    watches: new Map(),
    refreshTokens: [],
    accessTokens: [],
  };
  google.accounts.set(sub, created);
  google.addresses.set(email.toLowerCase(), created);
  return created;
}

export interface Mail {
  from?: string;
  /** One address or several with commas between them, as in the header field. */
  to?: string;
  cc?: string;
  bcc?: string;
  subject?: string;
  text?: string;
  html?: string;
  attachments?: readonly Attachment[];
  /** Other header fields. */
  headers?: Readonly<Record<string, string>>;
  /** The whole mail (RFC 5322), in place of everything above. */
  raw?: string | Uint8Array;
  /** Makes it a reply. */
  threadId?: string;
  /** `INBOX` and `UNREAD` unless said. */
  labelIds?: readonly string[];
  /** When it reached the mailbox, in milliseconds; now unless said. */
  internalDate?: number;
  /** Its place in `messages.list`, which Gmail does not always sort: its `internalDate` unless said. */
  listedAt?: number;
}

/** What an act made or changed. `historyId` is the id of its last record, or the head. */
export interface Act {
  historyId: string;
}

export interface MessageAct extends Act {
  messageId: string;
  threadId: string;
}

/** A mail reaches the mailbox. */
export function deliver(google: Google, address: string, mail: Mail = {}): MessageAct {
  const account = accountOf(google, address);
  const message = addMessage(google, account, { to: account.email, ...mail }, ["UNREAD", "INBOX"]);
  notifyWatchers(google, account, [message.added]);
  return messageAct(message);
}

/** A person sends a mail; it arrives at each receiver who has an account here. */
export function send(google: Google, address: string, mail: Mail = {}): MessageAct {
  const account = accountOf(google, address);
  const own = signed(account, mail);
  const receivers = receiversOf(google, fieldsOf(own));
  const labels = receivers.includes(account) ? ["UNREAD", "SENT", "INBOX"] : ["SENT"];
  const message = addMessage(google, account, own, labels);
  notifyWatchers(google, account, [message.added]);
  arrive(google, account, message, receivers);
  return messageAct(message);
}

/** Gmail lets nobody send under an address that is not theirs. */
function signed(account: Account, mail: Mail): Mail {
  const own = [account.email, ...account.settings.lists.sendAs.keys()];
  const [, from = ""] = /([^\s<>,"]+@[^\s<>,"]+)/.exec(fieldsOf(mail)("From") ?? "") ?? [];
  if (own.some((address) => address.toLowerCase() === from.toLowerCase())) return mail;
  const { email } = account;
  return mail.raw === undefined
    ? { ...mail, from: email }
    : { ...mail, raw: withHeaders(Buffer.from(mail.raw), { From: email }) };
}

type Fields = (name: "From" | "To" | "Cc" | "Bcc") => string | undefined;

function fieldsOf({ raw, from, to, cc, bcc }: Mail): Fields {
  if (raw === undefined) return (name) => ({ From: from, To: to, Cc: cc, Bcc: bcc })[name];
  const { headers } = parseMail(Buffer.from(raw));
  return (name) => valueOf(headers, name);
}

/** The accounts here that a mail is addressed to. */
function receiversOf(google: Google, field: Fields): Account[] {
  const named = [field("To"), field("Cc"), field("Bcc")].join(",");
  const addresses = named.match(/[^\s<>,;"]+@[^\s<>,;"]+/g) ?? [];
  const found = addresses.map((address) => findAccount(google, address));
  return [...new Set(found)].filter((account) => account !== undefined);
}

/** The same mail reaches the receivers, without what says who else got it unseen. */
function arrive(
  google: Google,
  sender: Account,
  { content, internalDate, listedAt }: Message,
  receivers: readonly Account[],
): void {
  for (const receiver of receivers) {
    if (receiver === sender) continue;
    const raw = withHeaders(rawOf(content), { Bcc: undefined });
    deliver(google, receiver.email, { raw, internalDate, listedAt });
  }
}

/** Saves a draft. With `replaces`, as an autosave does: a new message takes the old one's place. */
export function saveDraft(
  google: Google,
  address: string,
  { replaces, ...mail }: Mail & { replaces?: string } = {},
): MessageAct {
  const account = accountOf(google, address);
  const previous = replaces === undefined ? undefined : messageOf(account, replaces);
  const draftId = previous && draftIdOf(account, previous.id);
  const removed = previous === undefined ? [] : [removeMessages(google, account, [previous])];
  const draft = addMessage(
    google,
    account,
    { from: account.email, ...(previous && { threadId: previous.threadId }), ...mail },
    ["DRAFT"],
  );
  account.drafts.set(draftId ?? `r-${draft.id}`, draft.id);
  notifyWatchers(google, account, [...removed, draft.added]);
  return messageAct(draft);
}

/** The id that a draft keeps while one message after the other is it. */
export function draftIdOf({ drafts }: Account, id: string): string | undefined {
  return [...drafts].find(([, each]) => each === id)?.[0];
}

/**
 * Sends a draft: the message keeps its id, and its label `DRAFT` becomes `SENT`. It arrives at each
 * receiver who has an account here.
 */
export function sendDraft(google: Google, address: string, id: string): Act {
  const account = accountOf(google, address);
  const message = messageOf(account, id);
  const receivers = receiversOf(google, (name) => valueOf(message.headers, name));
  const arrived = receivers.includes(account) ? ["UNREAD", "INBOX"] : [];
  const act = modifyLabels(google, address, id, { add: ["SENT", ...arrived], remove: ["DRAFT"] });
  account.drafts.delete(draftIdOf(account, id) ?? "");
  arrive(google, account, message, receivers);
  return act;
}

/** Makes a label that no message has yet. */
export function createLabel(google: Google, address: string, labelId: string): void {
  accountOf(google, address).mailbox.userLabels.set(labelId, {});
}

function addMessage(
  google: Google,
  account: Account,
  mail: Mail,
  labels: readonly string[],
): Message {
  google.serial += 1;
  const { mailbox } = account;
  const { internalDate = google.now(), listedAt = internalDate, labelIds = labels } = mail;
  const id = messageId(google.random, google.serial);
  const content = contentOf(mail, id, internalDate);
  const { headers, text } = told(content);
  const { threadId = threadOf(mailbox, headers) ?? id } = mail;
  const added = appendRecord(google, mailbox, [
    { kind: "messageAdded", message: { id, threadId, labelIds: [...labelIds] } },
  ]);
  const message: Message = {
    id,
    threadId,
    serial: google.serial,
    internalDate,
    listedAt,
    headers,
    text,
    content,
    added,
    labelIds: [...labelIds],
    historyId: added.id,
  };
  mailbox.messages.set(id, message);
  rememberLabels(account, labelIds);
  return message;
}

/** What a mail is made of, with the header fields that every mail has. */
function contentOf(mail: Mail, id: string, at: number): Content {
  const standard = {
    "Message-ID": `<${id}@mail.example.com>`,
    Date: new Date(at).toUTCString(),
  };
  if (mail.raw !== undefined) {
    const raw = Buffer.from(mail.raw);
    const { headers } = parseMail(raw);
    const lacking = Object.entries(standard).filter(([name]) => !valueOf(headers, name));
    return { raw: lacking.length === 0 ? raw : withHeaders(raw, Object.fromEntries(lacking)) };
  }
  const { from = "sender@example.com", to, cc, bcc, subject = "(no subject)" } = mail;
  const { html, text = html === undefined ? "" : undefined, attachments = [] } = mail;
  const fields = { ...standard, From: from, To: to, Cc: cc, Bcc: bcc, Subject: subject };
  const headers = Object.entries({ ...fields, ...mail.headers }).flatMap(
    ([name, value]): Header[] => (value === undefined ? [] : [{ name, value }]),
  );
  return {
    headers,
    ...(text !== undefined && { text }),
    ...(html !== undefined && { html }),
    attachments,
  };
}

/** What a mail says, without writing and reading it where it is plain. */
function told(content: Content): { headers: readonly Header[]; text: string } {
  if (!("raw" in content) && content.text !== undefined) {
    return { headers: content.headers, text: content.text };
  }
  const root = rootOf(content);
  return { headers: root.headers, text: textOf(root) };
}

/** The thread of the message that this one answers. */
function threadOf({ messages }: Mailbox, headers: readonly Header[]): string | undefined {
  const answered = ["In-Reply-To", "References"].flatMap(
    (name) => valueOf(headers, name)?.match(/<[^<>\s]+>/g) ?? [],
  );
  if (answered.length === 0) return undefined;
  return [...messages.values()].find((message) =>
    answered.includes(valueOf(message.headers, "Message-ID") ?? ""),
  )?.threadId;
}

function messageAct({ id, threadId, historyId }: Message): MessageAct {
  return { messageId: id, threadId, historyId: String(historyId) };
}

function messageOf({ email, mailbox }: Account, id: string): Message {
  const message = mailbox.messages.get(id);
  if (message === undefined) throw new Error(`${email} has no message ${id}`);
  return message;
}

function rememberLabels({ mailbox }: Account, labelIds: readonly string[]): void {
  for (const label of labelIds) {
    const isKnown = isSystemLabel(label) || mailbox.userLabels.has(label);
    if (!isKnown) mailbox.userLabels.set(label, {});
  }
}

/** Messages by id; several at a time change in one history record. */
export type MessageIds = string | readonly string[];

export interface LabelChange {
  add?: readonly string[];
  remove?: readonly string[];
}

/** Changes labels. What changes nothing leaves no record and sends no notification. */
export function modifyLabels(
  google: Google,
  address: string,
  ids: MessageIds,
  { add = [], remove = [] }: LabelChange,
): Act {
  const account = accountOf(google, address);
  const items = [ids].flat().flatMap((id): HistoryItem[] => {
    const message = messageOf(account, id);
    const added = add.filter((label) => !message.labelIds.includes(label));
    const removed = remove.filter((label) => message.labelIds.includes(label));
    message.labelIds = [...message.labelIds.filter((label) => !removed.includes(label)), ...added];
    const ref = refOf(message);
    return [
      ...(added.length > 0 ? [{ kind: "labelAdded", message: ref, labelIds: added } as const] : []),
      ...(removed.length > 0
        ? [{ kind: "labelRemoved", message: ref, labelIds: removed } as const]
        : []),
    ];
  });
  rememberLabels(account, add);
  return record(google, account, items);
}

function record(google: Google, account: Account, items: readonly HistoryItem[]): Act {
  if (items.length === 0) return { historyId: String(account.mailbox.head) };
  const written = appendRecord(google, account.mailbox, items);
  notifyWatchers(google, account, [written]);
  return { historyId: String(written.id) };
}

/** Deletes for good; moving to the trash is a change of labels. */
export function deleteMessage(google: Google, address: string, ids: MessageIds): Act {
  const account = accountOf(google, address);
  const messages = [ids].flat().map((id) => messageOf(account, id));
  const removed = removeMessages(google, account, messages);
  notifyWatchers(google, account, [removed]);
  return { historyId: String(removed.id) };
}

function removeMessages(
  google: Google,
  account: Account,
  messages: readonly Message[],
): HistoryRecord {
  const { mailbox, drafts } = account;
  for (const { id, labelIds } of messages) {
    mailbox.messages.delete(id);
    if (labelIds.includes("DRAFT")) drafts.delete(draftIdOf(account, id) ?? "");
  }
  return appendRecord(
    google,
    mailbox,
    messages.map((message) => ({ kind: "messageDeleted", message: refOf(message) })),
  );
}

/** Writes a record that is listed as given, for what Gmail has never been seen to list. */
export function appendRawRecord(
  google: Google,
  address: string,
  raw: Record<string, unknown>,
): Act {
  const account = accountOf(google, address);
  const written = appendRecord(google, account.mailbox, [], raw);
  notifyWatchers(google, account, [written]);
  return { historyId: String(written.id) };
}

/** The account gets another address; mail, history and tokens stay. */
export function renameAddress(google: Google, address: string, newAddress: string): void {
  const account = accountOf(google, address);
  const owner = google.addresses.get(newAddress.toLowerCase());
  if (owner !== undefined && owner !== account) throw new Error(`${newAddress} is taken`);
  google.addresses.delete(account.email.toLowerCase());
  account.email = newAddress;
  delete account.mailAddress;
  google.addresses.set(newAddress.toLowerCase(), account);
}

/** The address goes to a new account; the one that had it lives on under another. */
export function moveAddress(
  google: Google,
  address: string,
  { formerAddress, ...account }: Omit<NewAccount, "email"> & { formerAddress?: string } = {},
): Account {
  const former = accountOf(google, address);
  const { email } = former;
  renameAddress(google, email, formerAddress ?? `former.${former.sub}.${email}`);
  return createAccount(google, { ...account, email });
}

/** The account is gone: nothing that was issued for it works. */
export function deleteAccount(google: Google, address: string): void {
  const account = accountOf(google, address);
  account.standing = "deleted";
  endRefreshTokens(account, "account_deleted");
  endAccessTokens(google, account);
}
