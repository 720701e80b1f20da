import type { gmail_v1 } from "googleapis/build/src/apis/gmail/index.js";
import type { MailboxEvent } from "gmail-push-subscriber";
import { type Mail, toMail } from "./mail.ts";

export interface Ticket extends Mail {
  /** Gmail's message id: the key of the ticket, so that one message never has two. */
  messageId: string;
  /** The mailbox that received it. */
  mailbox: string;
  /** The message has been deleted since. */
  isDeleted?: true;
}

/** What a person has to look at. */
export interface Notice {
  eventId: string;
  mailbox: string;
  text: string;
}

/** Where tickets are kept. A real help desk has a database. */
export interface Desk {
  tickets: Map<string, Ticket>;
  notices: Notice[];
}

export function openDesk(): Desk {
  return { tickets: new Map(), notices: [] };
}

/** Returns Google's Gmail client for the mailbox of a user: `gmail` of the subscriber's package. */
export type GmailFor = (userId: string) => Promise<gmail_v1.Gmail>;

/**
 * Does what an event asks for. Rejects when Gmail cannot be read now: the event then has to be
 * delivered again. Handling an event twice changes nothing.
 */
export async function handle(event: MailboxEvent, desk: Desk, gmailFor: GmailFor): Promise<void> {
  const mailbox = event.data.emailAddress;
  const notice = (text: string) => {
    if (desk.notices.some(({ eventId }) => eventId === event.id)) return;
    desk.notices.push({ eventId: event.id, mailbox, text });
  };

  switch (event.type) {
    case "mailbox.message.added": {
      const { userId, messageId, labelIds, recovered } = event.data;
      // A recovered message comes without its labels: Gmail knows them.
      if (recovered !== true && !labelIds.includes("INBOX")) return;
      const ticket = desk.tickets.get(messageId);
      if (ticket !== undefined) return;
      const read = await readMail(await gmailFor(userId), messageId);
      switch (read.kind) {
        case "read":
          if (recovered === true && !read.labelIds.includes("INBOX")) return;
          desk.tickets.set(messageId, { messageId, mailbox, ...read.mail });
          return;
        case "gone":
          // Deleted before we came: mailbox.message.deleted follows.
          return;
        case "refused":
          notice(`message ${messageId} cannot be read: ${read.why}`);
          return;
      }
      return;
    }
    case "mailbox.message.deleted": {
      const ticket = desk.tickets.get(event.data.messageId);
      if (ticket !== undefined) ticket.isDeleted = true;
      return;
    }
    case "mailbox.gap":
      notice(`compare the tickets with the inbox, from ${event.data.since} (${event.data.reason})`);
      return;
    case "mailbox.delayed":
      notice(`mail is late since ${event.data.since}`);
      return;
    case "mailbox.reauthorization_required":
    case "mailbox.unavailable":
      notice(`no mail arrives until its owner opens ${event.data.reauthorizeUrl}`);
      return;
    case "mailbox.disconnected":
      notice("no mail arrives any more");
      return;
    case "mailbox.paused":
      notice(`no mail arrives until the operator resumes the mailbox (${event.data.reason})`);
      return;
    // Mail from before the desk was opened is no ticket.
    case "mailbox.message.existing":
    case "mailbox.snapshot.completed":
    case "mailbox.snapshot.failed":
    case "mailbox.labels.added":
    case "mailbox.labels.removed":
    case "mailbox.connected":
    case "mailbox.address_changed":
    case "mailbox.caught_up":
      return;
  }
}

type Read =
  | { kind: "read"; mail: Mail; labelIds: string[] }
  | { kind: "gone" }
  | { kind: "refused"; why: string };

/** Reads a message through `gmailApi`. Rejects for what passes: throttling, 5xx, the network. */
async function readMail(client: gmail_v1.Gmail, id: string): Promise<Read> {
  try {
    const { data } = await client.users.messages.get({ id, format: "full" });
    return { kind: "read", mail: toMail(data), labelIds: data.labelIds ?? [] };
  } catch (error) {
    const { status, message } = error as { status?: number; message?: string };
    if (status === 404) return { kind: "gone" };
    // 409: the grant has ended. 403: the mailbox is unavailable, or the scope does not allow it.
    if (status === 403 || status === 409) return { kind: "refused", why: message ?? "" };
    throw error;
  }
}
