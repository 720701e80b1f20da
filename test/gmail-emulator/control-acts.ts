import { z } from "zod";
import type { Call } from "./calls.ts";
import type { Faults, Hold } from "./faults.ts";
import type { GmailModel } from "./model.ts";
import { PRESET_NAMES } from "./presets.ts";
import type { Push, PushCounters } from "./push.ts";
import { settingsSchema } from "./settings-schema.ts";

/** What may be done over the control API: all that an emulator's methods do, except `consent`. */
export interface Controlled extends GmailModel {
  readonly faults: Faults;
  readonly calls: readonly Call[];
  resetCalls(): void;
  setPush(push: Push): void;
  redeliverNext(count: number): void;
  pushCounters(): PushCounters;
  idle(): Promise<PushCounters>;
}

/** Does what its JSON says, or throws: a `ZodError` when it says nothing that can be done. */
export type Act = (emulator: Controlled, body: unknown) => unknown;

function act<Schema extends z.ZodType>(
  schema: Schema,
  run: (emulator: Controlled, body: z.output<Schema>) => unknown,
): Act {
  return (emulator, body) => run(emulator, schema.parse(body));
}

const text = z.string().min(1);
const historyId = z.string().regex(/^\d{1,20}$/);
/** Milliseconds since the epoch that are a date in JavaScript. */
const time = z.number().nonnegative().max(8.64e15);
const count = z.union([z.int().positive(), z.literal("all")]).exactOptional();
const account = { account: text };
const messages = { ...account, messageIds: z.union([text, z.array(text)]) };
const labelled = z.strictObject({ ...messages, labelIds: z.array(text) });
const file = z.strictObject({
  filename: text,
  mimeType: text,
  data: z.base64().transform((data) => Buffer.from(data, "base64")),
});
const mail = {
  from: text.exactOptional(),
  to: text.exactOptional(),
  cc: text.exactOptional(),
  bcc: text.exactOptional(),
  subject: z.string().exactOptional(),
  text: z.string().exactOptional(),
  html: z.string().exactOptional(),
  attachments: z.array(file).exactOptional(),
  headers: z.record(z.string(), z.string()).exactOptional(),
  raw: text.exactOptional(),
  threadId: text.exactOptional(),
  labelIds: z.array(text).exactOptional(),
  internalDate: time.exactOptional(),
  listedAt: time.exactOptional(),
};
const newAccount = {
  name: text.exactOptional(),
  sub: text.exactOptional(),
  emailVerified: z.boolean().exactOptional(),
  hostedDomain: text.exactOptional(),
  historyId: historyId.exactOptional(),
};
const target = {
  method: text,
  account: text.exactOptional(),
  count,
  afterEffect: z.boolean().exactOptional(),
};
const substitute = {
  preset: z.enum(PRESET_NAMES).exactOptional(),
  status: z.int().min(200).max(599).exactOptional(),
  body: z.unknown().exactOptional(),
  headers: z.record(z.string(), z.string()).exactOptional(),
};
const onAccount = z.strictObject(account);
const onMessages = z.strictObject(messages);
const nothing = z.strictObject({});

const PEOPLE: Record<string, Act> = {
  "create-account": act(z.strictObject({ email: text, ...newAccount }), (emulator, body) =>
    emulator.createAccount(body),
  ),
  deliver: act(z.strictObject({ ...account, ...mail }), (emulator, { account: to, ...rest }) =>
    emulator.deliver(to, rest),
  ),
  send: act(z.strictObject({ ...account, ...mail }), (emulator, { account: from, ...rest }) =>
    emulator.send(from, rest),
  ),
  "save-draft": act(
    z.strictObject({ ...account, ...mail, replaces: text.exactOptional() }),
    (emulator, { account: by, ...rest }) => emulator.saveDraft(by, rest),
  ),
  "send-draft": act(z.strictObject({ ...account, messageId: text }), (emulator, body) =>
    emulator.sendDraft(body.account, body.messageId),
  ),
  "create-label": act(z.strictObject({ ...account, labelId: text }), (emulator, body) =>
    emulator.createLabel(body.account, body.labelId),
  ),
  "add-labels": act(labelled, (emulator, body) =>
    emulator.addLabels(body.account, body.messageIds, body.labelIds),
  ),
  "remove-labels": act(labelled, (emulator, body) =>
    emulator.removeLabels(body.account, body.messageIds, body.labelIds),
  ),
  archive: act(onMessages, (emulator, body) => emulator.archive(body.account, body.messageIds)),
  "mark-read": act(onMessages, (emulator, body) =>
    emulator.markRead(body.account, body.messageIds),
  ),
  "mark-unread": act(onMessages, (emulator, body) =>
    emulator.markUnread(body.account, body.messageIds),
  ),
  star: act(onMessages, (emulator, body) => emulator.star(body.account, body.messageIds)),
  trash: act(onMessages, (emulator, body) => emulator.trash(body.account, body.messageIds)),
  "delete-message": act(onMessages, (emulator, body) =>
    emulator.deleteMessage(body.account, body.messageIds),
  ),
  "change-password": act(onAccount, (emulator, body) => emulator.changePassword(body.account)),
  "revoke-access": act(
    z.strictObject({ ...account, projectId: text.exactOptional() }),
    (emulator, body) => emulator.revokeAccess(body.account, body.projectId),
  ),
  "expire-refresh-tokens": act(onAccount, (emulator, body) =>
    emulator.expireRefreshTokens(body.account),
  ),
  "expire-access-tokens": act(onAccount, (emulator, body) =>
    emulator.expireAccessTokens(body.account),
  ),
  "enforce-admin-policy": act(
    z.strictObject({ ...account, enforced: z.boolean().exactOptional() }),
    (emulator, body) => emulator.enforceAdminPolicy(body.account, body.enforced),
  ),
  suspend: act(onAccount, (emulator, body) => emulator.suspend(body.account)),
  reinstate: act(onAccount, (emulator, body) => emulator.reinstate(body.account)),
  "set-mail-service": act(
    z.strictObject({ ...account, state: z.enum(["on", "off"]) }),
    (emulator, body) => emulator.setMailService(body.account, body.state),
  ),
  "delete-account": act(onAccount, (emulator, body) => emulator.deleteAccount(body.account)),
  "rename-address": act(z.strictObject({ ...account, newAddress: text }), (emulator, body) =>
    emulator.renameAddress(body.account, body.newAddress),
  ),
  "set-mail-address": act(z.strictObject({ ...account, mailAddress: text }), (emulator, body) =>
    emulator.setMailAddress(body.account, body.mailAddress),
  ),
  "move-address": act(
    z.strictObject({ ...account, ...newAccount, formerAddress: text.exactOptional() }),
    (emulator, { account: address, ...to }) => emulator.moveAddress(address, to),
  ),
};

const HISTORY: Record<string, Act> = {
  "expire-history": act(
    z.strictObject({ ...account, upTo: historyId.exactOptional() }),
    (emulator, body) => emulator.expireHistory(body.account, body.upTo),
  ),
  "rewind-head": act(z.strictObject({ ...account, to: historyId }), (emulator, body) =>
    emulator.rewindHead(body.account, body.to),
  ),
  "set-history": act(
    z.strictObject({ ...account, state: z.enum(["kept", "lost"]) }),
    (emulator, body) => emulator.setHistory(body.account, body.state),
  ),
  "set-replica-behind": act(
    z.strictObject({ ...account, ms: z.number().nonnegative() }),
    (emulator, body) => emulator.setReplicaBehind(body.account, body.ms),
  ),
  "omit-from-history": act(
    z.strictObject({ ...account, fields: z.array(z.enum(["threadId", "labelIds"])) }),
    (emulator, body) => emulator.omitFromHistory(body.account, body.fields),
  ),
  refuse: act(
    z.strictObject({ ...account, method: text, ...substitute }),
    (emulator, { account: address, ...refusal }) => void emulator.refuse(address, refusal),
  ),
  "stop-refusing": act(
    z.strictObject({ ...account, method: text.exactOptional() }),
    (emulator, body) => emulator.stopRefusing(body.account, body.method),
  ),
  "set-index-lag": act(
    z.strictObject({
      ...account,
      lag: z.discriminatedUnion("kind", [
        z.strictObject({ kind: z.literal("none") }),
        z.strictObject({ kind: z.literal("delayed"), ms: z.number().nonnegative() }),
        z.strictObject({ kind: z.literal("held") }),
      ]),
    }),
    (emulator, body) => emulator.setIndexLag(body.account, body.lag),
  ),
  reveal: act(
    z.strictObject({ ...account, historyId: historyId.exactOptional() }),
    (emulator, body) => emulator.reveal(body.account, body.historyId),
  ),
  "reveal-all": act(nothing, (emulator) => emulator.revealAll()),
  "append-raw-record": act(
    z.strictObject({ ...account, raw: z.record(z.string(), z.unknown()) }),
    (emulator, body) => emulator.appendRawRecord(body.account, body.raw),
  ),
};

const NOTIFICATIONS: Record<string, Act> = {
  "lose-notifications": act(
    z.strictObject({ count: z.union([z.int().nonnegative(), z.literal("all")]).exactOptional() }),
    (emulator, body) => emulator.loseNotifications(body.count),
  ),
  "duplicate-notifications": act(
    z.strictObject({
      count: z.union([z.int().nonnegative(), z.literal("all")]).exactOptional(),
      copies: z.int().positive().max(100).exactOptional(),
    }),
    (emulator, body) => emulator.duplicateNotifications(body.count, body.copies),
  ),
  "hold-notifications": act(nothing, (emulator) => emulator.holdNotifications()),
  "release-notifications": act(
    z.strictObject({ order: z.enum(["in_order", "reversed", "shuffled"]).exactOptional() }),
    (emulator, body) => emulator.releaseNotifications(body.order),
  ),
  "publish-notification": act(
    z.strictObject({ emailAddress: text, historyId, topicName: text.exactOptional() }),
    (emulator, body) => emulator.publishNotification(body),
  ),
  "redeliver-next": act(z.strictObject({ count: z.int().positive() }), (emulator, body) =>
    emulator.redeliverNext(body.count),
  ),
  "set-push": act(
    z.discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("none") }),
      z.strictObject({ kind: z.literal("push"), url: z.url() }),
      z.strictObject({ kind: z.literal("pubsub_emulator"), host: text }),
    ]),
    (emulator, body) => emulator.setPush(body),
  ),
  idle: act(nothing, (emulator) => emulator.idle()),
};

const client = { clientId: text };
const topic = { topic: z.string().regex(/^projects\/[^/]+\/topics\/[^/\s]+$/) };

const CONSOLE: Record<string, Act> = {
  "add-client-secret": act(z.strictObject({ ...client, clientSecret: text }), (emulator, body) =>
    emulator.addClientSecret(body.clientId, body.clientSecret),
  ),
  "set-client-secret": act(z.strictObject({ ...client, clientSecret: text }), (emulator, body) =>
    emulator.setClientSecret(body.clientId, body.clientSecret),
  ),
  "set-redirect-uris": act(
    z.strictObject({ ...client, redirectUris: z.array(z.url()) }),
    (emulator, body) => emulator.setRedirectUris(body.clientId, body.redirectUris),
  ),
  "set-client-state": act(
    z.strictObject({ ...client, state: z.enum(["enabled", "disabled", "deleted"]) }),
    (emulator, body) => emulator.setClientState(body.clientId, body.state),
  ),
  "set-gmail-api": act(
    z.strictObject({ state: z.enum(["enabled", "disabled"]), projectId: text.exactOptional() }),
    (emulator, body) => emulator.setGmailApi(body.state, body.projectId),
  ),
  "add-topic": act(z.strictObject(topic), (emulator, body) => emulator.addTopic(body.topic)),
  "remove-topic": act(z.strictObject(topic), (emulator, body) => emulator.removeTopic(body.topic)),
  "set-topic-publishing": act(
    z.strictObject({ ...topic, state: z.enum(["allowed", "forbidden"]) }),
    (emulator, body) => emulator.setTopicPublishing(body.topic, body.state),
  ),
  "create-service-account": act(
    z.strictObject({ email: text, projectId: text.exactOptional() }),
    (emulator, body) => emulator.createServiceAccount(body.email, body.projectId),
  ),
  "delegate-domain": act(
    z.strictObject({ email: text, domain: text, scopes: z.array(text) }),
    (emulator, body) => emulator.delegateDomain(body.email, body.domain, body.scopes),
  ),
  "rotate-signing-key": act(nothing, (emulator) => emulator.rotateSigningKey()),
  "security-event": act(
    z.strictObject({
      type: text,
      audience: text,
      account: text.exactOptional(),
      detail: z.record(z.string(), z.unknown()).exactOptional(),
      at: z.number().exactOptional(),
    }),
    (emulator, body) => ({ token: emulator.securityEvent(body) }),
  ),
  settings: act(settingsSchema, (emulator, body) => Object.assign(emulator.settings, body)),
  "reset-calls": act(nothing, (emulator) => emulator.resetCalls()),
};

/** Holds made over HTTP are kept here until they are released. */
const HOLDS_MAX = 1000;

/** Every act by its path under `/emulator/`. Each server has its own holds. */
export function controlActs(): Record<string, Act> {
  return { ...PEOPLE, ...HISTORY, ...NOTIFICATIONS, ...CONSOLE, ...faultActs() };
}

function faultActs(): Record<string, Act> {
  const holds = new Map<string, Hold>();
  return {
    "faults/fail-next": act(z.strictObject({ ...target, ...substitute }), (emulator, body) =>
      emulator.faults.failNext(body),
    ),
    "faults/drop-next": act(z.strictObject(target), (emulator, body) =>
      emulator.faults.dropNext(body),
    ),
    "faults/delay-next": act(
      z.strictObject({ ...target, ms: z.int().nonnegative().max(600_000) }),
      (emulator, body) => emulator.faults.delayNext(body),
    ),
    "faults/hold": act(z.strictObject(target), (emulator, { method, ...rest }) => {
      if (holds.size >= HOLDS_MAX) throw new Error("too many holds");
      const holdId = String(holds.size + 1);
      holds.set(holdId, emulator.faults.hold(method, rest));
      return { holdId };
    }),
    "faults/release": act(z.strictObject({ holdId: text }), (_, { holdId }) => {
      const hold = holds.get(holdId);
      if (hold === undefined) throw new Error(`no hold ${holdId}`);
      hold.release();
    }),
    "faults/clear": act(nothing, (emulator) => emulator.faults.clear()),
  };
}
