import type { Answer } from "./answer.ts";
import {
  apiDisabled,
  delegationDenied,
  insufficientScope,
  invalidCredentials,
  loginRequired,
  mailServiceNotEnabled,
} from "./errors.ts";
import type { Google } from "./google.ts";
import { type GmailMethod, METHODS, type Method } from "./methods.ts";
import { takeQuota } from "./quota.ts";
import { refusalOf } from "./refusals.ts";
import { liveAccessToken } from "./tokens.ts";

/** One call of the Gmail API, without its transport. */
export interface GmailRequest {
  readonly method: GmailMethod;
  readonly accessToken?: string;
  /** `me` or an address. */
  readonly userId: string;
  readonly query?: URLSearchParams;
  /** The request's JSON. */
  readonly body?: unknown;
  /** What the path names, such as a message. */
  readonly id?: string;
  /** The same, where it names more than one thing. */
  readonly ids?: readonly string[];
}

/** Gmail's own name of a method in what it says of a missing scope: `messages.get` is `GetMessage`. */
function rpcOf(method: GmailMethod): string {
  const [resource = "", act = ""] = [method.split(".").at(-2), method.split(".").at(-1)];
  const subject = act === "list" ? resource : resource.replace(/s$/, "");
  return /^(get|list|create|update|patch|delete|modify|import|insert|send|trash|untrash)$/.test(act)
    ? `${capitalized(act)}${capitalized(subject)}`
    : capitalized(act);
}

function capitalized(word: string): string {
  return `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`;
}

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
  const method: Method = METHODS[request.method];
  if (!method.scopes.some((scope) => token.scopes.has(scope))) {
    return insufficientScope(`caribou.api.proto.MailboxService.${rpcOf(request.method)}`);
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
  const refused = takeQuota(google, project, account.sub, method.units);
  if (refused !== undefined) return refused;
  const { query = new URLSearchParams(), body, id } = request;
  const ids = request.ids ?? (id === undefined ? [] : [id]);
  return method.run({ google, account, token, query, body, ids });
}
