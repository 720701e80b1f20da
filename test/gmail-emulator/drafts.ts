import { type Answer, ok } from "./answer.ts";
import { invalidArgument, notFound } from "./errors.ts";
import type { Account } from "./google.ts";
import { getMessage } from "./messages.ts";
import type { MethodCall } from "./methods.ts";
import { deleteMessages } from "./message-acts.ts";
import { readMessage } from "./message-request.ts";
import { type Mail, type MessageAct, draftIdOf, saveDraft, sendDraft } from "./people.ts";

/** Gmail `users.drafts.list`. A draft's id outlives the messages that replace each other under it. */
export function listDrafts({ account }: MethodCall): Answer {
  const drafts = [...account.drafts].map(([id, messageId]) => ({
    id,
    message: { id: messageId, threadId: account.mailbox.messages.get(messageId)?.threadId },
  }));
  return ok({ ...(drafts.length > 0 && { drafts }), resultSizeEstimate: drafts.length });
}

/** Gmail `users.drafts.get`. */
export function getDraft({ google, account, token, query, ids: [id = ""] }: MethodCall): Answer {
  const messageId = account.drafts.get(id);
  if (messageId === undefined) return notFound();
  const answer = getMessage(google, account.mailbox, token.scopes, messageId, query);
  return answer.status === 200 ? ok({ id, message: answer.body }) : answer;
}

/** Gmail `users.drafts.create`. */
export function createDraft({ google, account, body }: MethodCall): Answer {
  const mail = readDraft(body);
  if (mail === undefined) return invalidArgument("Missing draft message");
  return saved(account, saveDraft(google, account.email, mail));
}

/** Gmail `users.drafts.update`: a new message takes the place of the old one. */
export function updateDraft({ google, account, body, ids: [id = ""] }: MethodCall): Answer {
  const replaces = account.drafts.get(id);
  const mail = readDraft(body);
  if (replaces === undefined) return notFound();
  if (mail === undefined) return invalidArgument("Missing draft message");
  return saved(account, saveDraft(google, account.email, { ...mail, replaces }));
}

function saved(account: Account, { messageId, threadId }: MessageAct): Answer {
  const id = draftIdOf(account, messageId);
  return ok({ id, message: { id: messageId, threadId, labelIds: ["DRAFT"] } });
}

/** Gmail `users.drafts.delete`: for good, without the trash. */
export function deleteDraft(call: MethodCall): Answer {
  const messageId = call.account.drafts.get(call.ids[0] ?? "");
  return messageId === undefined ? notFound() : deleteMessages(call, [messageId]);
}

/** Gmail `users.drafts.send`. */
export function sendDraftOf({ google, account, body }: MethodCall): Answer {
  const { id } = (body ?? {}) as Record<string, unknown>;
  const messageId = typeof id === "string" ? account.drafts.get(id) : undefined;
  if (messageId === undefined) return notFound();
  sendDraft(google, account.email, messageId);
  const { threadId, labelIds } = account.mailbox.messages.get(messageId) ?? {};
  return ok({ id: messageId, threadId, labelIds });
}

function readDraft(body: unknown): Mail | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const { labelIds: _, ...mail } = readMessage((body as Record<string, unknown>)["message"]) ?? {};
  return "raw" in mail ? mail : undefined;
}
