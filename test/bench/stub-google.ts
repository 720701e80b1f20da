import type { IncomingHttpHeaders } from "node:http";
import { serveHttp } from "./stub-server.ts";

/**
 * As much of Google's token endpoint and of Gmail as a notification, a catch-up and a renewal use.
 * The refresh token `refresh-N` gives the access token `access-N`, and that is the mailbox N. Its
 * history has a record for every id up to its head.
 */
export interface StubGoogle {
  /** For `GMAIL_EMULATOR_HOST`. */
  host: string;
  setHead(mailbox: number, head: number): void;
  /** So many messages are in the mailbox, all of today. */
  setMessages(mailbox: number, count: number): void;
  /** Calls by method since the last reset. */
  calls: Map<string, number>;
  close(): void;
}

/** As base64: 25 MB of a file. */
export const ATTACHMENT_BYTES = Math.ceil((25_000_000 * 4) / 3);
const ATTACHMENT = { size: 25_000_000, data: "a".repeat(ATTACHMENT_BYTES) };

const PAGE = 500;
const WATCH_MS = 7 * 24 * 3_600_000;

export async function startStubGoogle(): Promise<StubGoogle> {
  const heads = new Map<number, number>();
  const messages = new Map<number, number>();
  const calls = new Map<string, number>();
  const count = (method: string) => calls.set(method, (calls.get(method) ?? 0) + 1);

  function route(path: string, body: Buffer, { authorization }: IncomingHttpHeaders) {
    const { pathname, searchParams } = new URL(path, "http://stub");
    if (pathname === "/token") {
      count("token.refresh");
      const refreshToken = new URLSearchParams(body.toString()).get("refresh_token") ?? "";
      const access_token = refreshToken.replace("refresh", "access");
      return { access_token, expires_in: 3599, token_type: "Bearer" };
    }
    const head = heads.get(Number(authorization?.replace("Bearer access-", ""))) ?? 1;
    if (pathname.endsWith("/history")) {
      count("history.list");
      const from = searchParams.get("pageToken") ?? searchParams.get("startHistoryId");
      return historyPage(Number(from), head);
    }
    if (pathname.endsWith("/profile")) {
      count("users.getProfile");
      const mailbox = authorization?.replace("Bearer access-", "");
      return { emailAddress: `person${mailbox}@example.com`, historyId: String(head) };
    }
    if (pathname.includes("/attachments/")) return ATTACHMENT;
    if (pathname.endsWith("/messages")) {
      count("messages.list");
      if (searchParams.get("labelIds") === "DRAFT") return {};
      const mailbox = Number(authorization?.replace("Bearer access-", ""));
      return messagePage(Number(searchParams.get("pageToken") ?? 0), messages.get(mailbox) ?? 0);
    }
    if (pathname.includes("/messages/")) {
      count("messages.get");
      return { id: pathname.split("/").at(-1), internalDate: String(Date.now()) };
    }
    if (!pathname.endsWith("/watch")) throw new Error(`not answered by this stub: ${pathname}`);
    count("users.watch");
    return { historyId: String(head), expiration: String(Date.now() + WATCH_MS) };
  }

  const { host, close } = await serveHttp(route);
  return {
    host,
    setHead: (mailbox, head) => void heads.set(mailbox, head),
    setMessages: (mailbox, many) => void messages.set(mailbox, many),
    calls,
    close,
  };
}

/** The messages from this one on, as `users.messages.list` answers. */
function messagePage(from: number, count: number): unknown {
  const until = Math.min(count, from + PAGE);
  const messages = Array.from({ length: until - from }, (_, index) => {
    const id = `17e00${from + index}`;
    return { id, threadId: id };
  });
  return { messages, ...(until < count && { nextPageToken: String(until) }) };
}

/** The records after `from`, as `users.history.list` answers: a message arrived in each. */
function historyPage(from: number, head: number): unknown {
  const until = Math.min(head, from + PAGE);
  const history = [];
  for (let id = from + 1; id <= until; id++) {
    const message = { id: `18f0a${id}`, threadId: `18f0a${id}` };
    history.push({
      id: String(id),
      messages: [message],
      messagesAdded: [{ message: { ...message, labelIds: ["UNREAD", "INBOX"] } }],
    });
  }
  return {
    historyId: String(head),
    ...(history.length > 0 && { history }),
    ...(until < head && { nextPageToken: String(until) }),
  };
}
