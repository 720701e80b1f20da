import { type Answer, ok } from "./answer.ts";
import {
  createDraft,
  deleteDraft,
  getDraft,
  listDrafts,
  sendDraftOf,
  updateDraft,
} from "./drafts.ts";
import type { Account, Google } from "./google.ts";
import { listHistory } from "./history-list.ts";
import { createLabelOf, deleteLabel, getLabel, listLabels, updateLabel } from "./labels.ts";
import {
  type Setting,
  createItem,
  deleteItem,
  forDelegates,
  getItem,
  getSetting,
  listItems,
  patchItem,
  putSetting,
} from "./mail-settings.ts";
import { seenHead } from "./mailbox.ts";
import {
  deleteMany,
  deleteOne,
  insertMessage,
  modifyMany,
  modifyOne,
  sendMessage,
  trashOne,
} from "./message-acts.ts";
import { getAttachment, getMessage, listMessages } from "./messages.ts";
import { GMAIL_SCOPES } from "./scopes.ts";
import { deleteThread, getThread, listThreads, modifyThread, trashThread } from "./threads.ts";
import type { AccessToken } from "./tokens.ts";
import { startWatch, stopWatch } from "./watch.ts";

/** One call of a Gmail method that has passed the checks of every method. */
export interface MethodCall {
  readonly google: Google;
  readonly account: Account;
  readonly token: AccessToken;
  readonly query: URLSearchParams;
  readonly body: unknown;
  /** What the path names, in its order. */
  readonly ids: readonly string[];
}

export interface Method {
  readonly http: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below `/gmail/v1/users/{userId}/`; `:` marks an id. */
  readonly path: string;
  /** Any one is enough (Gmail reference, per method). */
  readonly scopes: readonly string[];
  /** Gmail's quota units since May 2026. */
  readonly units: number;
  readonly run: (call: MethodCall) => Answer;
}

const { full, modify, readonly, metadata, compose, send, insert, labels, settingsBasic } =
  GMAIL_SCOPES;
const { settingsSharing } = GMAIL_SCOPES;
const READING = [metadata, readonly, modify, full];
const BODIES = [readonly, modify, full];
const DRAFTS = [...BODIES, compose];
const CHANGING = [modify, full];
const COMPOSING = [compose, modify, full];
const IMPORTING = [insert, modify, full];
const LABELING = [labels, modify, full];
const SETTINGS = [...BODIES, settingsBasic];

/** Every Gmail method that there is here, by Gmail's name. */
export const METHODS = {
  "history.list": on("GET", "history", READING, 2, ({ google, account, query }) =>
    listHistory(google, account.mailbox, query),
  ),
  "users.watch": on("POST", "watch", READING, 100, ({ google, account, token, body }) =>
    startWatch(google, account, token.projectId, body),
  ),
  "users.stop": on("POST", "stop", READING, 50, ({ google, account, token }) =>
    stopWatch(google, account, token.projectId),
  ),
  "users.getProfile": on("GET", "profile", [...READING, compose], 1, getProfile),

  "messages.list": on("GET", "messages", READING, 5, ({ google, account, token, query }) =>
    listMessages(google, account.mailbox, token.scopes, query),
  ),
  "messages.get": on("GET", "messages/:id", READING, 20, ({ google, account, token, ...call }) =>
    getMessage(google, account.mailbox, token.scopes, call.ids[0] ?? "", call.query),
  ),
  "messages.attachments.get": on("GET", "messages/:id/attachments/:id", BODIES, 20, getAttachment),
  "messages.modify": on("POST", "messages/:id/modify", CHANGING, 5, modifyOne),
  "messages.batchModify": on("POST", "messages/batchModify", CHANGING, 50, modifyMany),
  "messages.trash": on("POST", "messages/:id/trash", CHANGING, 20, trashOne("add")),
  "messages.untrash": on("POST", "messages/:id/untrash", CHANGING, 20, trashOne("remove")),
  "messages.delete": on("DELETE", "messages/:id", [full], 20, deleteOne),
  "messages.batchDelete": on("POST", "messages/batchDelete", [full], 50, deleteMany),
  "messages.send": on("POST", "messages/send", [...COMPOSING, send], 100, sendMessage),
  "messages.import": on("POST", "messages/import", IMPORTING, 25, insertMessage("dateHeader")),
  "messages.insert": on("POST", "messages", IMPORTING, 25, insertMessage("receivedTime")),

  "threads.list": on("GET", "threads", READING, 10, listThreads),
  "threads.get": on("GET", "threads/:id", READING, 40, getThread),
  "threads.modify": on("POST", "threads/:id/modify", CHANGING, 10, modifyThread),
  "threads.trash": on("POST", "threads/:id/trash", CHANGING, 20, trashThread("add")),
  "threads.untrash": on("POST", "threads/:id/untrash", CHANGING, 20, trashThread("remove")),
  "threads.delete": on("DELETE", "threads/:id", [full], 20, deleteThread),

  "drafts.list": on("GET", "drafts", DRAFTS, 5, listDrafts),
  "drafts.get": on("GET", "drafts/:id", DRAFTS, 20, getDraft),
  "drafts.create": on("POST", "drafts", COMPOSING, 10, createDraft),
  "drafts.update": on("PUT", "drafts/:id", COMPOSING, 15, updateDraft),
  "drafts.delete": on("DELETE", "drafts/:id", COMPOSING, 10, deleteDraft),
  "drafts.send": on("POST", "drafts/send", COMPOSING, 100, sendDraftOf),

  "labels.list": on("GET", "labels", [...READING, labels], 1, listLabels),
  "labels.get": on("GET", "labels/:id", [...READING, labels], 1, getLabel),
  "labels.create": on("POST", "labels", LABELING, 5, createLabelOf),
  "labels.update": on("PUT", "labels/:id", LABELING, 5, updateLabel),
  "labels.patch": on("PATCH", "labels/:id", LABELING, 5, updateLabel),
  "labels.delete": on("DELETE", "labels/:id", LABELING, 5, deleteLabel),

  ...single("imap", "Imap"),
  ...single("pop", "Pop"),
  ...single("vacation", "Vacation"),
  ...listed("filters", {
    create: on("POST", "settings/filters", [settingsBasic], 5, createItem("filters")),
    delete: on("DELETE", "settings/filters/:id", [settingsBasic], 5, deleteItem("filters")),
  }),
  ...listed("forwardingAddresses", sharedWriting("forwardingAddresses")),
  ...listed("sendAs", {
    ...sharedWriting("sendAs"),
    update: on("PUT", "settings/sendAs/:id", [settingsBasic], 100, patchItem("sendAs")),
    patch: on("PATCH", "settings/sendAs/:id", [settingsBasic], 100, patchItem("sendAs")),
  }),
} as const satisfies Record<string, Method>;

export type GmailMethod = keyof typeof METHODS;

function on(
  http: Method["http"],
  path: string,
  scopes: readonly string[],
  units: number,
  run: Method["run"],
): Method {
  return { http, path, scopes, units, run };
}

function single<Name extends string>(setting: Setting, name: Name) {
  const path = `settings/${setting}`;
  return {
    [`settings.get${name}`]: on("GET", path, SETTINGS, 1, getSetting(setting)),
    [`settings.update${name}`]: on("PUT", path, [settingsBasic], 5, putSetting(setting)),
  } as Record<`settings.get${Name}` | `settings.update${Name}`, Method>;
}

function sharedWriting(name: "forwardingAddresses" | "sendAs") {
  const path = `settings/${name}`;
  const create = forDelegates(createItem(name));
  const remove = forDelegates(deleteItem(name));
  return {
    create: on("POST", path, [settingsSharing], 100, create),
    delete: on("DELETE", `${path}/:id`, [settingsSharing], 5, remove),
  };
}

function listed<Name extends "filters" | "forwardingAddresses" | "sendAs", Act extends string>(
  name: Name,
  acts: Record<Act, Method>,
) {
  const path = `settings/${name}`;
  const all = {
    list: on("GET", path, SETTINGS, 1, listItems(name)),
    get: on("GET", `${path}/:id`, SETTINGS, 1, getItem(name)),
    ...acts,
  };
  return Object.fromEntries(
    Object.entries<Method>(all).map(([act, method]) => [`settings.${name}.${act}`, method]),
  ) as Record<`settings.${Name}.${Act | "list" | "get"}`, Method>;
}

function getProfile({ google, account }: MethodCall): Answer {
  const { mailbox, email, mailAddress = email } = account;
  return ok({
    emailAddress: mailAddress,
    messagesTotal: mailbox.messages.size,
    threadsTotal: new Set([...mailbox.messages.values()].map(({ threadId }) => threadId)).size,
    historyId: String(seenHead(google, mailbox)),
  });
}
