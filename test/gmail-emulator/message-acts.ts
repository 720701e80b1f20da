import { type Answer, noContent, ok } from "./answer.ts";
import { invalidArgument, notFound } from "./errors.ts";
import type { MethodCall } from "./methods.ts";
import { isTexts, readMessage } from "./message-request.ts";
import { parseMail, valueOf } from "./mime.ts";
import {
  type LabelChange,
  type MessageAct,
  deleteMessage,
  deliver,
  modifyLabels,
  send,
} from "./people.ts";

/** Gmail `users.messages.modify`. */
export function modifyOne(call: MethodCall): Answer {
  const change = readChange(call.body);
  if (change === undefined) return invalidArgument("Invalid label change");
  return changeMessages(call, call.ids.slice(0, 1), change) ?? messageOf(call);
}

/** Gmail `users.messages.batchModify`: all messages change in one record. */
export function modifyMany(call: MethodCall): Answer {
  const change = readChange(call.body);
  const { ids } = (call.body ?? {}) as Record<string, unknown>;
  if (change === undefined || !isTexts(ids)) return invalidArgument("Invalid ids");
  return changeMessages(call, ids, change) ?? noContent();
}

/** Gmail `users.messages.trash` and `untrash`. */
export const trashOne =
  (act: "add" | "remove") =>
  (call: MethodCall): Answer =>
    changeMessages(call, call.ids.slice(0, 1), { [act]: ["TRASH"] }) ?? messageOf(call);

/**
 * Gmail `users.messages.insert` and `import`, which differ in what dates a message unless
 * `internalDateSource` says. Without `labelIds`, neither puts it into the inbox.
 */
export const insertMessage =
  (standard: "receivedTime" | "dateHeader") =>
  ({ google, account, query, body }: MethodCall): Answer => {
    const mail = readMessage(body);
    if (mail?.raw === undefined) return rawRequired();
    const source = query.get("internalDateSource") ?? standard;
    const date = source === "dateHeader" ? sentAt(mail.raw) : undefined;
    const dated = { labelIds: [], ...mail, ...(date !== undefined && { internalDate: date }) };
    return added(deliver(google, account.email, dated), mail.labelIds ?? []);
  };

function sentAt(raw: string | Uint8Array): number | undefined {
  const at = Date.parse(valueOf(parseMail(Buffer.from(raw)).headers, "Date") ?? "");
  return Number.isNaN(at) ? undefined : at;
}

function rawRequired(): Answer {
  return invalidArgument("'raw' RFC822 payload message string is required");
}

/** Gmail `users.messages.send`. */
export function sendMessage({ google, account, body }: MethodCall): Answer {
  const mail = readMessage(body);
  if (mail === undefined) return rawRequired();
  const act = send(google, account.email, mail);
  return added(act, account.mailbox.messages.get(act.messageId)?.labelIds ?? []);
}

function added({ messageId: id, threadId }: MessageAct, labelIds: readonly string[]): Answer {
  return ok({ id, threadId, labelIds });
}

/** Gmail `users.messages.delete`: for good, without the trash. */
export function deleteOne(call: MethodCall): Answer {
  return deleteMessages(call, call.ids.slice(0, 1));
}

/** Gmail `users.messages.batchDelete`: ids that are not there do no harm. */
export function deleteMany(call: MethodCall): Answer {
  const { ids } = (call.body ?? {}) as Record<string, unknown>;
  if (!isTexts(ids) || ids.length === 0) return invalidArgument("Invalid ids");
  const { messages } = call.account.mailbox;
  return deleteMessages(
    call,
    [...new Set(ids)].filter((id) => messages.has(id)),
  );
}

/** Deletes these messages in one record, if every one is there. */
export function deleteMessages({ google, account }: MethodCall, ids: readonly string[]): Answer {
  if (!ids.every((id) => account.mailbox.messages.has(id))) return notFound();
  if (ids.length > 0) deleteMessage(google, account.email, ids);
  return noContent();
}

/** Changes labels; answers only what is wrong. */
export function changeMessages(
  { google, account }: MethodCall,
  ids: readonly string[],
  change: LabelChange,
): Answer | undefined {
  if (!ids.every((id) => account.mailbox.messages.has(id))) return notFound();
  modifyLabels(google, account.email, ids, change);
  return undefined;
}

export function readChange(body: unknown): LabelChange | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const { addLabelIds: add = [], removeLabelIds: remove = [] } = body as Record<string, unknown>;
  return isTexts(add) && isTexts(remove) ? { add, remove } : undefined;
}

function messageOf({ account, ids: [id = ""] }: MethodCall): Answer {
  const message = account.mailbox.messages.get(id);
  return message === undefined
    ? notFound()
    : ok({ id, threadId: message.threadId, labelIds: message.labelIds });
}
