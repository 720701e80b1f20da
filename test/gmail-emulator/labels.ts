import { type Answer, noContent, ok } from "./answer.ts";
import { invalidArgument, labelExists, notFound } from "./errors.ts";
import type { Mailbox, Message } from "./mailbox.ts";
import { isSystemLabel, SYSTEM_LABELS } from "./messages.ts";
import type { MethodCall } from "./methods.ts";
import { modifyLabels } from "./people.ts";

/** Gmail `users.labels.list`. */
export function listLabels({ account: { mailbox } }: MethodCall): Answer {
  const own = [...mailbox.userLabels.keys()];
  return ok({ labels: [...SYSTEM_LABELS, ...own].map((id) => labelOf(mailbox, id)) });
}

/** Gmail `users.labels.get`, with the counts that only this method tells. */
export function getLabel({ account: { mailbox }, ids: [id = ""] }: MethodCall): Answer {
  const label = labelOf(mailbox, id);
  if (label === undefined) return notFound();
  const its = [...mailbox.messages.values()].filter(({ labelIds }) => labelIds.includes(id));
  const unread = its.filter(({ labelIds }) => labelIds.includes("UNREAD"));
  const threads = (messages: Message[]) => new Set(messages.map(({ threadId }) => threadId)).size;
  return ok({
    ...label,
    messagesTotal: its.length,
    messagesUnread: unread.length,
    threadsTotal: threads(its),
    threadsUnread: threads(unread),
  });
}

/** Gmail `users.labels.create`. */
export function createLabelOf({ google, account: { mailbox }, body }: MethodCall): Answer {
  const fields = readFields(body);
  const { name } = fields ?? {};
  if (fields === undefined || typeof name !== "string" || name === "") {
    return invalidArgument("Invalid label name");
  }
  if (isTaken(mailbox, name)) return labelExists();
  google.serial += 1;
  const id = `Label_${google.serial}`;
  mailbox.userLabels.set(id, fields);
  return ok(labelOf(mailbox, id));
}

/** Gmail `users.labels.update` and `patch`. */
export function updateLabel({ account: { mailbox }, body, ids: [id = ""] }: MethodCall): Answer {
  const present = mailbox.userLabels.get(id);
  const fields = readFields(body);
  if (present === undefined) return notFound();
  if (fields === undefined) return invalidArgument("Invalid label");
  const { name } = fields;
  if (typeof name === "string" && isTaken(mailbox, name, id)) return labelExists();
  mailbox.userLabels.set(id, { ...present, ...fields });
  return ok(labelOf(mailbox, id));
}

/** Gmail `users.labels.delete`: the label goes from every message, too. */
export function deleteLabel({ google, account, ids: [id = ""] }: MethodCall): Answer {
  const { mailbox, email } = account;
  if (!mailbox.userLabels.has(id)) return notFound();
  const its = [...mailbox.messages.values()].filter(({ labelIds }) => labelIds.includes(id));
  const messageIds = its.map((message) => message.id);
  modifyLabels(google, email, messageIds, { remove: [id] });
  mailbox.userLabels.delete(id);
  return noContent();
}

/** Whether another label has this name; letters of either case are the same. */
function isTaken(mailbox: Mailbox, name: string, own?: string): boolean {
  const others = [...mailbox.userLabels.keys()].filter((id) => id !== own);
  const names = others.map((id) => String(labelOf(mailbox, id)?.["name"]).toLowerCase());
  return names.includes(name.toLowerCase()) || isSystemLabel(name.toUpperCase());
}

function labelOf({ userLabels }: Mailbox, id: string): Record<string, unknown> | undefined {
  if (isSystemLabel(id)) return { id, name: id, type: "system" };
  const fields = userLabels.get(id);
  return fields && { name: id, ...fields, id, type: "user" };
}

function readFields(body: unknown): Record<string, unknown> | undefined {
  return typeof body === "object" && body !== null ? { ...body } : undefined;
}
