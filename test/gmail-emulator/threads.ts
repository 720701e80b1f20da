import { type Answer, ok } from "./answer.ts";
import { invalidArgument, notFound } from "./errors.ts";
import { isSeen, type Message } from "./mailbox.ts";
import { changeMessages, deleteMessages, readChange } from "./message-acts.ts";
import { getMessage, listMessages } from "./messages.ts";
import type { MethodCall } from "./methods.ts";

/** Gmail `users.threads.list`: the threads of the messages that `messages.list` would tell. */
export function listThreads({ google, account, token, query }: MethodCall): Answer {
  const listed = listMessages(google, account.mailbox, token.scopes, query);
  if (listed.status !== 200) return listed;
  const { messages = [], ...rest } = listed.body as { messages?: { threadId: string }[] };
  const threadIds = [...new Set(messages.map(({ threadId }) => threadId))];
  const threads = threadIds.map((id) => ({ id, historyId: latest(messagesOf(account, id)) }));
  return ok({ ...rest, ...(threads.length > 0 && { threads }) });
}

/** Gmail `users.threads.get`. */
export function getThread({ google, account, token, query, ids: [id = ""] }: MethodCall): Answer {
  const { mailbox } = account;
  const its = messagesOf(account, id).filter(({ added }) => isSeen(google, mailbox, added));
  if (its.length === 0) return notFound();
  const answers = its.map((each) => getMessage(google, mailbox, token.scopes, each.id, query));
  const refused = answers.find(({ status }) => status !== 200);
  if (refused !== undefined) return refused;
  return ok({ id, historyId: latest(its), messages: answers.map(({ body }) => body) });
}

/** Gmail `users.threads.modify`. */
export function modifyThread(call: MethodCall): Answer {
  const change = readChange(call.body);
  return change === undefined ? invalidArgument("Invalid label change") : changed(call, change);
}

/** Gmail `users.threads.trash` and `untrash`. */
export const trashThread =
  (act: "add" | "remove") =>
  (call: MethodCall): Answer =>
    changed(call, { [act]: ["TRASH"] });

/** Gmail `users.threads.delete`: all of its messages, for good. */
export function deleteThread(call: MethodCall): Answer {
  const [id = ""] = call.ids;
  const messageIds = messagesOf(call.account, id).map((message) => message.id);
  return messageIds.length === 0 ? notFound() : deleteMessages(call, messageIds);
}

function changed(call: MethodCall, change: Parameters<typeof changeMessages>[2]): Answer {
  const [id = ""] = call.ids;
  const its = messagesOf(call.account, id);
  if (its.length === 0) return notFound();
  const messageIds = its.map((message) => message.id);
  return changeMessages(call, messageIds, change) ?? ok({ id, historyId: latest(its) });
}

function messagesOf({ mailbox }: MethodCall["account"], threadId: string): Message[] {
  return [...mailbox.messages.values()].filter((message) => message.threadId === threadId);
}

function latest(messages: readonly Message[]): string {
  const ids = messages.map(({ historyId }) => historyId);
  return String(ids.reduce((highest, id) => (id > highest ? id : highest), 0n));
}
