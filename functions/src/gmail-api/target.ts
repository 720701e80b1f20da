import { type EmailAddress, parseEmailAddress } from "../domain/email-address.ts";
import { type UserId, parseUserId } from "../domain/user.ts";
import type { MethodGroup } from "../config/formats.ts";
import { METHODS, type PassedMethod } from "./methods.ts";

/** The user that a path names: by id, or by email address. */
export type UserName =
  | { kind: "id"; userId: UserId }
  | { kind: "email"; emailAddress: EmailAddress }
  /** `me`, or what can be neither. */
  | { kind: "none" };

/** What a request asks for. */
export type Target =
  | { kind: "state"; user: UserName }
  | { kind: "token"; user: UserName }
  | {
      kind: "method";
      method: PassedMethod;
      user: UserName;
      /** The path below `/gmail/v1/users/me/`, rebuilt from the checked segments. */
      path: string;
      /** The query without its `?`; empty if there is none. */
      query: string;
      /** The id of the message, thread, label... that the path names first. */
      id?: string;
    }
  /**
   * `allow`: the HTTP methods that are allowed at this path. `group`: the one that the operator would
   * have to allow.
   */
  | { kind: "not_allowed"; allow: readonly string[]; group?: MethodGroup }
  | { kind: "invalid"; what: string };

/** Longer than any path and query of a Gmail client. */
const TARGET_CHARACTERS_MAX = 8_192;
/** Attachment ids are the longest: some hundred characters. */
const ID = /^[A-Za-z0-9_-]{1,1024}$/;

/**
 * Query parameters of the Gmail methods, and those of every Google API that change only how a
 * response is written. Everything else is rejected: `key`, `access_token` and `oauth_token` would
 * name other credentials, `uploadType` another protocol, `callback` another content type.
 */
const PARAMETERS = new Set([
  "alt",
  "deleted",
  "fields",
  "format",
  "includeSpamTrash",
  "internalDateSource",
  "labelIds",
  "maxResults",
  "metadataHeaders",
  "neverMarkSpam",
  "pageToken",
  "prettyPrint",
  "processForCalendar",
  "q",
]);

/**
 * Reads the target of a request (RFC 9112 §3.2) as it came, never normalized: a segment is decoded
 * once and has to be an id, an address or a word of the table, so that `..`, `%2f`, a second slash or
 * another host match nothing. Only methods of the allowed groups are found.
 */
export function parseTarget(http: string, target: string, groups: readonly MethodGroup[]): Target {
  if (target.length > TARGET_CHARACTERS_MAX)
    return { kind: "invalid", what: "the URL is too long" };
  const [rawPath = "", rawQuery = "", ...more] = target.split("?");
  const segments = decodeSegments(rawPath);
  if (segments === undefined) return { kind: "invalid", what: "the path is not valid" };
  const [first, second, third, name = "", ...rest] = segments;
  if (first === "users" && segments.length <= 3) {
    return parseOwn(http, second ?? "", third, target, groups);
  }
  if (first !== "gmail" || second !== "v1" || third !== "users" || rest.length === 0) {
    return { kind: "not_allowed", allow: [] };
  }
  const candidates = METHODS.filter(({ path }) => matches(path, rest));
  // `messages/send` is a word of its own, not the id of a message.
  const exact = candidates.filter(({ path }) => !path.includes("{"));
  const method = [...exact, ...candidates].find((each) => each.http === http);
  if (method === undefined || !groups.includes(method.group)) {
    const allowed = candidates.filter(({ group }) => groups.includes(group));
    const allow = [...new Set(allowed.map((each) => each.http))];
    return { kind: "not_allowed", allow, ...(method !== undefined && { group: method.group }) };
  }
  const query = more.length === 0 ? parseQuery(rawQuery) : undefined;
  if (query === undefined) return { kind: "invalid", what: "a query parameter is not allowed" };
  const id = rest.find((_, index) => method.path.split("/")[index]?.startsWith("{"));
  return {
    kind: "method",
    method,
    user: parseUserName(name),
    path: rest.map(encodeURIComponent).join("/"),
    query,
    ...(id !== undefined && ID.test(id) && { id }),
  };
}

function parseOwn(
  http: string,
  name: string,
  what: string | undefined,
  target: string,
  groups: readonly MethodGroup[],
): Target {
  const [wanted, kind] =
    what === undefined ? ["GET", "state" as const] : ["POST", "token" as const];
  if (name === "" || (what !== undefined && what !== "access-token")) {
    return { kind: "not_allowed", allow: [] };
  }
  if (kind === "token" && !groups.includes("token")) {
    return { kind: "not_allowed", allow: [], group: "token" };
  }
  if (http !== wanted) return { kind: "not_allowed", allow: [wanted] };
  if (target.includes("?")) return { kind: "invalid", what: "a query parameter is not allowed" };
  return { kind, user: parseUserName(name) };
}

/** `undefined` for what is no absolute path, or cannot be decoded. */
function decodeSegments(path: string): string[] | undefined {
  if (!/^\/[!-~]*$/.test(path)) return undefined;
  try {
    return path.slice(1).split("/").map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

function matches(pattern: string, segments: readonly string[]): boolean {
  const parts = pattern.split("/");
  if (parts.length !== segments.length) return false;
  return parts.every((part, index) => {
    const segment = segments[index] ?? "";
    if (part === "{id}") return ID.test(segment);
    if (part === "{email}") return parseEmailAddress(segment) !== undefined;
    return part === segment;
  });
}

function parseUserName(segment: string): UserName {
  if (segment.includes("@")) {
    const emailAddress = parseEmailAddress(segment);
    return emailAddress === undefined ? { kind: "none" } : { kind: "email", emailAddress };
  }
  const userId = segment === "me" ? undefined : parseUserId(segment);
  return userId === undefined ? { kind: "none" } : { kind: "id", userId };
}

function parseQuery(text: string): string | undefined {
  const parameters = new URLSearchParams(text);
  for (const [name, value] of parameters) {
    if (!PARAMETERS.has(name) || (name === "alt" && value !== "json")) return undefined;
  }
  return parameters.toString();
}
