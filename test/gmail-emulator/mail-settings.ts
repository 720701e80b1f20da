import { type Answer, noContent, ok } from "./answer.ts";
import { delegationRequired, invalidArgument, notFound } from "./errors.ts";
import type { Google } from "./google.ts";
import type { MethodCall } from "./methods.ts";

/** Settings that there is one of. */
export type Setting = "imap" | "pop" | "vacation";
/** Settings that are lists. */
export type SettingList = "filters" | "forwardingAddresses" | "sendAs";

type Fields = Record<string, unknown>;

/** The settings of one mailbox, as Gmail has them at first. */
export interface MailSettings {
  readonly one: Record<Setting, Fields>;
  /** By what names each in a path. */
  readonly lists: Record<SettingList, Map<string, Fields>>;
}

export function createSettings(email: string): MailSettings {
  const own = { sendAsEmail: email, isPrimary: true, isDefault: true, displayName: "" };
  return {
    one: {
      imap: { enabled: true, autoExpunge: true, expungeBehavior: "archive", maxFolderSize: 0 },
      pop: { accessWindow: "disabled", disposition: "leaveInInbox" },
      vacation: { enableAutoReply: false },
    },
    lists: {
      filters: new Map(),
      forwardingAddresses: new Map(),
      sendAs: new Map([[email, own]]),
    },
  };
}

/** What names an item in a path, where Gmail gives it no id. */
const KEY_FIELDS: Partial<Record<SettingList, string>> = {
  forwardingAddresses: "forwardingEmail",
  sendAs: "sendAsEmail",
};

/** Gmail's name of each list in a response. */
const LIST_FIELDS: Record<SettingList, string> = {
  filters: "filter",
  forwardingAddresses: "forwardingAddresses",
  sendAs: "sendAs",
};

type Run = (call: MethodCall) => Answer;

export const getSetting =
  (setting: Setting): Run =>
  ({ account }) =>
    ok(account.settings.one[setting]);

export const putSetting =
  (setting: Setting): Run =>
  ({ account, body }) => {
    const fields = readFields(body);
    if (fields === undefined) return invalidArgument("Invalid settings");
    account.settings.one[setting] = { ...account.settings.one[setting], ...fields };
    return ok(account.settings.one[setting]);
  };

export const listItems =
  (list: SettingList): Run =>
  ({ account }) => {
    const items = [...account.settings.lists[list].values()];
    return ok(items.length === 0 ? {} : { [LIST_FIELDS[list]]: items });
  };

export const getItem =
  (list: SettingList): Run =>
  ({ account, ids: [id = ""] }) => {
    const item = account.settings.lists[list].get(id);
    return item === undefined ? notFound() : ok(item);
  };

export const createItem =
  (list: SettingList): Run =>
  ({ google, account, body }) => {
    const fields = readFields(body);
    const item = fields && named(google, list, fields);
    if (item === undefined) return invalidArgument("Invalid settings");
    account.settings.lists[list].set(item.key, item.fields);
    return ok(item.fields);
  };

/** An item with what names it; `undefined` where that is missing. */
function named(google: Google, list: SettingList, fields: Fields) {
  const field = KEY_FIELDS[list];
  if (field === undefined) {
    google.serial += 1;
    const key = `ANe1Bm${google.serial}`;
    return { key, fields: { ...fields, id: key } };
  }
  const key = fields[field];
  if (typeof key !== "string" || key === "") return undefined;
  return { key, fields: { ...fields, verificationStatus: "accepted" } };
}

export const patchItem =
  (list: SettingList): Run =>
  ({ account, body, ids: [id = ""] }) => {
    const item = account.settings.lists[list].get(id);
    const fields = readFields(body);
    if (item === undefined) return notFound();
    if (fields === undefined) return invalidArgument("Invalid settings");
    account.settings.lists[list].set(id, { ...item, ...fields });
    return ok({ ...item, ...fields });
  };

export const deleteItem =
  (list: SettingList): Run =>
  ({ account, ids: [id = ""] }) =>
    account.settings.lists[list].delete(id) ? noContent() : notFound();

/** Gmail takes these from service accounts with domain-wide authority alone. */
export const forDelegates =
  (run: Run): Run =>
  (call) =>
    call.token.isDelegated === true ? run(call) : delegationRequired();

function readFields(body: unknown): Fields | undefined {
  return typeof body === "object" && body !== null ? { ...body } : undefined;
}
