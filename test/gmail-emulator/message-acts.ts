import { type Answer, noContent, ok } from "./answer.ts";
import { invalidArgument, notFound } from "./errors.ts";
import type { MethodCall } from "./methods.ts";
import { isTexts, readMessage } from "./mime.ts";
import { type LabelChange, type MessageAct, deliver, modifyLabels, send } from "./people.ts";

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

/** Gmail `users.messages.insert` and `import`. Without `labelIds`, neither puts it into the inbox. */
export function insertMessage({ google, account, body }: MethodCall): Answer {
  const mail = readMessage(body);
  if (mail === undefined) return invalidArgument("'raw' RFC822 payload message string is required");
  return added(deliver(google, account.email, { labelIds: [], ...mail }), mail.labelIds ?? []);
}

/** Gmail `users.messages.send`. */
export function sendMessage({ google, account, body }: MethodCall): Answer {
  const mail = readMessage(body);
  if (mail === undefined) return invalidArgument("'raw' RFC822 payload message string is required");
  return added(send(google, account.email, mail), ["SENT"]);
}

function added({ messageId: id, threadId }: MessageAct, labelIds: readonly string[]): Answer {
  return ok({ id, threadId, labelIds });
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
