import { type Answer, ok } from "./answer.ts";
import {
  apiDisabled,
  delegationDenied,
  insufficientScope,
  invalidCredentials,
  loginRequired,
  mailServiceNotEnabled,
} from "./errors.ts";
import type { Account, Google } from "./google.ts";
import { listHistory } from "./history-list.ts";
import { seenHead } from "./mailbox.ts";
import { getMessage, listLabels, listMessages } from "./messages.ts";
import { takeQuota } from "./quota.ts";
import { refusalOf } from "./refusals.ts";
import { SCOPES_OF_METHOD } from "./scopes.ts";
import { type AccessToken, liveAccessToken } from "./tokens.ts";
import { startWatch, stopWatch } from "./watch.ts";

export type GmailMethod = keyof typeof SCOPES_OF_METHOD;

/** One call of the Gmail API, whoever carried it here. */
export interface GmailRequest {
  readonly method: GmailMethod;
  readonly accessToken?: string;
  /** `me` or an address. */
  readonly userId: string;
  readonly query?: URLSearchParams;
  /** The request's JSON, for `users.watch`. */
  readonly body?: unknown;
  /** The message, for `messages.get`. */
  readonly id?: string;
}

const RPC_OF_METHOD: Record<GmailMethod, string> = {
  "history.list": "ListHistory",
  "users.watch": "Watch",
  "users.stop": "Stop",
  "users.getProfile": "GetProfile",
  "messages.list": "ListMessages",
  "messages.get": "GetMessage",
  "labels.list": "ListLabels",
};

/** Answers one call, after the checks that every Gmail method makes. */
export function answerGmail(google: Google, request: GmailRequest): Answer {
  if (request.accessToken === undefined) return loginRequired();
  const token = liveAccessToken(google, request.accessToken);
  const account = token === undefined ? undefined : google.accounts.get(token.sub);
  const project = token === undefined ? undefined : google.projects.get(token.projectId);
  if (token === undefined || account === undefined || project === undefined) {
    return invalidCredentials();
  }
  if (!project.gmailApiEnabled) return apiDisabled(project.projectNumber);
  const opening: readonly string[] = SCOPES_OF_METHOD[request.method];
  if (!opening.some((scope) => token.scopes.has(scope))) {
    return insufficientScope(`caribou.api.proto.MailboxService.${RPC_OF_METHOD[request.method]}`);
  }
  const { userId } = request;
  const { email, mailAddress = email } = account;
  const isOwn = [email, mailAddress].some((own) => userId.toLowerCase() === own.toLowerCase());
  if (userId !== "me" && !isOwn) {
    return delegationDenied(account.email);
  }
  if (account.standing !== "active" || account.mailService === "off") {
    return mailServiceNotEnabled();
  }
  const refusal = refusalOf(google, account, request.method);
  if (refusal !== undefined) return refusal;
  const refused = takeQuota(google, project, account.sub, request.method);
  return refused ?? answerMethod(google, account, token, request);
}

function answerMethod(
  google: Google,
  account: Account,
  token: AccessToken,
  { method, query = new URLSearchParams(), body, id = "" }: GmailRequest,
): Answer {
  const { mailbox } = account;
  switch (method) {
    case "history.list":
      return listHistory(google, mailbox, query);
    case "users.watch":
      return startWatch(google, account, token.projectId, body);
    case "users.stop":
      return stopWatch(google, account, token.projectId);
    case "users.getProfile":
      return ok({
        emailAddress: account.mailAddress ?? account.email,
        messagesTotal: mailbox.messages.size,
        threadsTotal: new Set([...mailbox.messages.values()].map(({ threadId }) => threadId)).size,
        historyId: String(seenHead(google, mailbox)),
      });
    case "messages.list":
      return listMessages(google, mailbox, token.scopes, query);
    case "messages.get":
      return getMessage(google, mailbox, token.scopes, id, query);
    case "labels.list":
      return listLabels(mailbox);
  }
}
