import type { MethodGroup } from "../config/formats.ts";

/** A Gmail method that `gmailApi` passes on. */
export interface PassedMethod {
  /** Gmail's name without `gmail.users.`, such as `messages.get`. */
  readonly name: string;
  readonly group: Exclude<MethodGroup, "token">;
  readonly http: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** The path below `/gmail/v1/users/{userId}/`. `{id}` and `{email}` stand for one segment. */
  readonly path: string;
  /** Any one of these opens the method (Gmail API reference, "Authorization scopes"). */
  readonly scopes: readonly string[];
  /** What one call takes of Gmail's quota (Gmail API, "Usage limits"). */
  readonly units: number;
}

const AUTH = "https://www.googleapis.com/auth/gmail.";
const FULL = "https://mail.google.com/";
const MODIFY = `${AUTH}modify`;
const READONLY = `${AUTH}readonly`;
const METADATA = `${AUTH}metadata`;
const COMPOSE = `${AUTH}compose`;
const SEND = `${AUTH}send`;
const INSERT = `${AUTH}insert`;
const LABELS = `${AUTH}labels`;
const BASIC = `${AUTH}settings.basic`;
const SHARING = `${AUTH}settings.sharing`;

const READING = [FULL, MODIFY, READONLY, METADATA];
const READING_BODIES = [FULL, MODIFY, READONLY];
const READING_DRAFTS = [FULL, MODIFY, COMPOSE, READONLY];
const READING_LABELS = [...READING, LABELS];
const READING_SETTINGS = [FULL, MODIFY, READONLY, BASIC];
const CHANGING = [FULL, MODIFY];
const CHANGING_LABELS = [FULL, MODIFY, LABELS];
const WRITING = [FULL, MODIFY, COMPOSE];
const IMPORTING = [FULL, MODIFY, INSERT];

/**
 * Every Gmail method that can be passed on, with the group that the operator has to allow. Methods
 * that delete for good (`messages.delete`, `messages.batchDelete`, `threads.delete`,
 * `drafts.delete`) are in no group, and neither are `watch`, `stop` and `history.list`, which are
 * the receiver's own. Uploads and batches have paths of their own and are not passed on.
 */
export const METHODS: readonly PassedMethod[] = [
  method("read", "GET", "profile", "getProfile", [...READING, COMPOSE], 1),
  method("read", "GET", "messages", "messages.list", READING, 5),
  method("read", "GET", "messages/{id}", "messages.get", READING, 20),
  method(
    "read",
    "GET",
    "messages/{id}/attachments/{id}",
    "messages.attachments.get",
    READING_BODIES,
    20,
  ),
  method("read", "GET", "threads", "threads.list", READING, 10),
  method("read", "GET", "threads/{id}", "threads.get", READING, 40),
  method("read", "GET", "drafts", "drafts.list", READING_DRAFTS, 5),
  method("read", "GET", "drafts/{id}", "drafts.get", READING_DRAFTS, 20),
  method("read", "GET", "labels", "labels.list", READING_LABELS, 1),
  method("read", "GET", "labels/{id}", "labels.get", READING_LABELS, 1),
  method("read", "GET", "settings/filters", "settings.filters.list", READING_SETTINGS, 1),
  method("read", "GET", "settings/filters/{id}", "settings.filters.get", READING_SETTINGS, 1),
  method(
    "read",
    "GET",
    "settings/forwardingAddresses",
    "settings.forwardingAddresses.list",
    READING_SETTINGS,
    1,
  ),
  method(
    "read",
    "GET",
    "settings/forwardingAddresses/{email}",
    "settings.forwardingAddresses.get",
    READING_SETTINGS,
    1,
  ),
  method("read", "GET", "settings/sendAs", "settings.sendAs.list", READING_SETTINGS, 1),
  method("read", "GET", "settings/sendAs/{email}", "settings.sendAs.get", READING_SETTINGS, 1),
  method("read", "GET", "settings/imap", "settings.getImap", READING_SETTINGS, 1),
  method("read", "GET", "settings/pop", "settings.getPop", READING_SETTINGS, 1),
  method("read", "GET", "settings/vacation", "settings.getVacation", READING_SETTINGS, 1),

  method("modify", "POST", "messages/{id}/modify", "messages.modify", CHANGING, 5),
  method("modify", "POST", "messages/batchModify", "messages.batchModify", CHANGING, 50),
  method("modify", "POST", "messages/{id}/trash", "messages.trash", CHANGING, 20),
  method("modify", "POST", "messages/{id}/untrash", "messages.untrash", CHANGING, 20),
  method("modify", "POST", "threads/{id}/modify", "threads.modify", CHANGING, 10),
  method("modify", "POST", "threads/{id}/trash", "threads.trash", CHANGING, 20),
  method("modify", "POST", "threads/{id}/untrash", "threads.untrash", CHANGING, 20),
  method("modify", "POST", "labels", "labels.create", CHANGING_LABELS, 5),
  method("modify", "PUT", "labels/{id}", "labels.update", CHANGING_LABELS, 5),
  method("modify", "PATCH", "labels/{id}", "labels.patch", CHANGING_LABELS, 5),
  method("modify", "DELETE", "labels/{id}", "labels.delete", CHANGING_LABELS, 5),

  method("settings", "POST", "settings/filters", "settings.filters.create", [BASIC], 5),
  method("settings", "DELETE", "settings/filters/{id}", "settings.filters.delete", [BASIC], 5),
  method(
    "settings",
    "POST",
    "settings/forwardingAddresses",
    "settings.forwardingAddresses.create",
    [SHARING],
    100,
  ),
  method(
    "settings",
    "DELETE",
    "settings/forwardingAddresses/{email}",
    "settings.forwardingAddresses.delete",
    [SHARING],
    5,
  ),
  method("settings", "POST", "settings/sendAs", "settings.sendAs.create", [SHARING], 100),
  method(
    "settings",
    "PUT",
    "settings/sendAs/{email}",
    "settings.sendAs.update",
    [BASIC, SHARING],
    100,
  ),
  method(
    "settings",
    "PATCH",
    "settings/sendAs/{email}",
    "settings.sendAs.patch",
    [BASIC, SHARING],
    100,
  ),
  method("settings", "DELETE", "settings/sendAs/{email}", "settings.sendAs.delete", [SHARING], 5),
  method("settings", "PUT", "settings/imap", "settings.updateImap", [BASIC], 5),
  method("settings", "PUT", "settings/pop", "settings.updatePop", [BASIC], 100),
  method("settings", "PUT", "settings/vacation", "settings.updateVacation", [BASIC], 5),

  method("compose", "POST", "drafts", "drafts.create", WRITING, 10),
  method("compose", "PUT", "drafts/{id}", "drafts.update", WRITING, 15),
  method("compose", "POST", "drafts/send", "drafts.send", WRITING, 100),
  method("compose", "POST", "messages/send", "messages.send", [...WRITING, SEND], 100),

  method("import", "POST", "messages/import", "messages.import", IMPORTING, 25),
  method("import", "POST", "messages", "messages.insert", IMPORTING, 25),
];

function method(
  group: PassedMethod["group"],
  http: PassedMethod["http"],
  path: string,
  name: string,
  scopes: readonly string[],
  units: number,
): PassedMethod {
  return { name, group, http, path, scopes, units };
}
