import type { Answer } from "./answer.ts";
import {
  type AuthorizationRequest,
  checkAuthorization,
  type Decision,
  decideAuthorization,
  ISSUER,
  selectableAccounts,
  silentRedirect,
} from "./authorization.ts";
import { answerGmail, type GmailRequest } from "./gmail-api.ts";
import {
  type Account,
  accountOf,
  DEFAULT_SETTINGS,
  findAccount,
  type Google,
  type OAuthClient,
  type Refusal,
  type Settings,
} from "./google.ts";
import type { Random } from "./ids.ts";
import {
  expireHistory,
  type IndexLag,
  type Omitted,
  revealRecords,
  rewindHead,
} from "./mailbox.ts";
import {
  type Notification,
  publishNotification,
  type ReleaseOrder,
  releaseNotifications,
} from "./notifications.ts";
import {
  appendRawRecord,
  createAccount,
  createLabel,
  deleteAccount,
  deleteMessage,
  deliver,
  type Mail,
  type MessageIds,
  modifyLabels,
  moveAddress,
  type NewAccount,
  renameAddress,
  saveDraft,
  send,
  sendDraft,
} from "./people.ts";
import { refuse, stopRefusing } from "./refusals.ts";
import { loadState, saveState } from "./saved-state.ts";
import { type SecurityEvent, securityEventToken } from "./security-event.ts";
import {
  createServiceAccount,
  delegateDomain,
  type ServiceAccount,
  type ServiceAccountKey,
} from "./service-accounts.ts";
import { createSigner, type Signer } from "./signing.ts";
import { answerRevoke, answerToken, answerTokenInfo } from "./token-endpoint.ts";
import { endAccessTokens, endGrant, endMailTokens, endRefreshTokens } from "./tokens.ts";
import {
  type AccountTruth,
  type HistoryTruth,
  type MessageTruth,
  historyOf,
  messageTruth,
  truthOf,
} from "./truth.ts";

/** An OAuth client to start with. */
export interface NewClient {
  clientId: string;
  clientSecret: string;
  redirectUris: readonly string[];
  /** `demo-gmail-push` unless said. */
  projectId?: string;
  /** For a client in "testing": its refresh tokens die after this time. */
  refreshTokenMs?: number;
}

export interface ModelOptions {
  now?: () => number;
  /** Like `Math.random`; the same numbers make the same ids and tokens. */
  random?: Random;
  /** RSA keys made at first use, unless given. */
  signer?: Signer;
  projectId?: string;
  clients?: readonly NewClient[];
  /** Full names; `projects/{projectId}/topics/gmail-notifications` unless said. */
  topics?: readonly string[];
  settings?: Partial<Settings>;
  /** Called for each notification that reaches its topic, before the act that caused it returns. */
  publish?: (notification: Notification) => void;
}

const DEFAULT_PROJECT = "demo-gmail-push";
const PROJECT_NUMBER = 123_456_789_000;

/**
 * Google as a value: accounts, mail, history, watches, tokens, and the answers of its endpoints,
 * without a server. Everything happens at once when called; time and randomness are the caller's.
 */
export function createGmailModel(options: ModelOptions = {}) {
  const google = createGoogle(options);
  const account = (address: string) => accountOf(google, address);

  return {
    /** How Google behaves; assign to change it. */
    settings: google.settings,

    // Google's endpoints.

    gmail: (request: GmailRequest): Answer => answerGmail(google, request),
    token: (form: URLSearchParams): Answer => answerToken(google, form),
    revoke: (token: string | null): Answer => answerRevoke(google, token),
    tokenInfo: (token: string | null): Answer => answerTokenInfo(google, token),
    checkAuthorization: (query: URLSearchParams) => checkAuthorization(google, query),
    silentRedirect: (request: AuthorizationRequest) => silentRedirect(google, request),
    selectableAccounts: () => selectableAccounts(google),
    decideAuthorization: (request: AuthorizationRequest, decision: Decision) =>
      decideAuthorization(google, request, decision),
    jwks: () => google.signer.jwks(),
    pems: () => google.signer.pems(),

    // What people do. An address may be given as the account's `sub`, too.

    createAccount: (created: NewAccount): AccountTruth =>
      truthOf(google, createAccount(google, created)),
    deliver: (address: string, mail?: Mail) => deliver(google, address, mail),
    send: (address: string, mail?: Mail) => send(google, address, mail),
    saveDraft: (address: string, draft?: Mail & { replaces?: string }) =>
      saveDraft(google, address, draft),
    sendDraft: (address: string, id: string) => sendDraft(google, address, id),
    createLabel: (address: string, labelId: string) => createLabel(google, address, labelId),
    addLabels: (address: string, ids: MessageIds, labelIds: readonly string[]) =>
      modifyLabels(google, address, ids, { add: labelIds }),
    removeLabels: (address: string, ids: MessageIds, labelIds: readonly string[]) =>
      modifyLabels(google, address, ids, { remove: labelIds }),
    archive: (address: string, ids: MessageIds) =>
      modifyLabels(google, address, ids, { remove: ["INBOX"] }),
    markRead: (address: string, ids: MessageIds) =>
      modifyLabels(google, address, ids, { remove: ["UNREAD"] }),
    markUnread: (address: string, ids: MessageIds) =>
      modifyLabels(google, address, ids, { add: ["UNREAD"] }),
    star: (address: string, ids: MessageIds) =>
      modifyLabels(google, address, ids, { add: ["STARRED"] }),
    trash: (address: string, ids: MessageIds) =>
      modifyLabels(google, address, ids, { add: ["TRASH"], remove: ["INBOX"] }),
    deleteMessage: (address: string, ids: MessageIds) => deleteMessage(google, address, ids),

    /** Ends every token that opens Gmail, as a change of the password does. */
    changePassword: (address: string) => endMailTokens(google, account(address)),
    /** The person removes the application's access: every token and consent of the project. */
    revokeAccess: (address: string, projectId?: string) =>
      endGrant(google, account(address), projectId ?? firstProject(google)),
    /** Refresh tokens end as those do that were unused for six months. */
    expireRefreshTokens: (address: string) => endRefreshTokens(account(address), "expired"),
    /** Access tokens end before their time; refreshing still works. */
    expireAccessTokens: (address: string) => endAccessTokens(google, account(address)),
    /** The Workspace administrator blocks the application, or allows it again. */
    enforceAdminPolicy: (address: string, enforced = true) => {
      account(address).adminPolicyEnforced = enforced;
    },
    suspend: (address: string) => setStanding(account(address), "suspended"),
    reinstate: (address: string) => setStanding(account(address), "active"),
    setMailService: (address: string, state: Account["mailService"]) => {
      account(address).mailService = state;
    },
    deleteAccount: (address: string) => deleteAccount(google, address),
    renameAddress: (address: string, newAddress: string) =>
      renameAddress(google, address, newAddress),
    /** Gmail's profile and notifications spell the address like this; ID tokens as before. */
    setMailAddress: (address: string, mailAddress: string) => {
      account(address).mailAddress = mailAddress;
    },
    /** The address goes to a new account with a new `sub`. */
    moveAddress: (
      address: string,
      to?: Omit<NewAccount, "email"> & { formerAddress?: string },
    ): AccountTruth => truthOf(google, moveAddress(google, address, to)),

    // What happens to history.

    /** Gmail forgets records up to this id, or up to the head: older cursors are not found. */
    expireHistory: (address: string, upTo?: string) =>
      expireHistory(account(address).mailbox, upTo === undefined ? undefined : BigInt(upTo)),
    /** The head goes down to this id and counts on from there. */
    rewindHead: (address: string, to: string) =>
      rewindHead(google, account(address).mailbox, BigInt(to)),
    /** Whether any `startHistoryId` is found; while it is lost, not even the head is. */
    setHistory: (address: string, state: "kept" | "lost") => {
      account(address).mailbox.isHistoryLost = state === "lost";
    },
    /** Reads of this mailbox come from a replica that is so far behind; 0 ends it. */
    setReplicaBehind: (address: string, ms: number) => {
      account(address).mailbox.behindMs = ms;
    },
    /** Which fields the messages of records written from now on lack. */
    omitFromHistory: (address: string, fields: readonly Omitted[]) => {
      account(address).mailbox.omits = fields;
    },
    /** Every call of this account and method gets this answer, until `stopRefusing`. */
    refuse: (address: string, refusal: Refusal) => refuse(google, address, refusal),
    stopRefusing: (address: string, method?: string) => stopRefusing(google, address, method),
    /** How late records written from now on become readable. */
    setIndexLag: (address: string, lag: IndexLag) => {
      account(address).mailbox.lag = lag;
    },
    /** Shows one record that the index holds back, or all of them. */
    reveal: (address: string, historyId?: string) =>
      revealRecords(
        google,
        account(address).mailbox,
        historyId === undefined ? undefined : BigInt(historyId),
      ),
    /** Shows everything held back and ends every lag. */
    revealAll: () => {
      for (const { mailbox } of google.accounts.values()) {
        mailbox.lag = { kind: "none" };
        revealRecords(google, mailbox);
      }
    },
    /** A record that is listed as given, with its id. */
    appendRawRecord: (address: string, raw: Record<string, unknown>) =>
      appendRawRecord(google, address, raw),

    // What happens to notifications.

    /** The next notifications do not reach their topic. */
    loseNotifications: (count: number | "all" = "all") => {
      google.notificationFaults.lose = count === "all" ? Number.POSITIVE_INFINITY : count;
    },
    /** The next notifications are published more than once. */
    duplicateNotifications: (count: number | "all" = "all", copies = 1) => {
      const times = count === "all" ? Number.POSITIVE_INFINITY : count;
      google.notificationFaults.duplicate = { count: times, copies };
    },
    holdNotifications: () => {
      google.notificationFaults.held ??= [];
    },
    releaseNotifications: (order: ReleaseOrder = "in_order") => releaseNotifications(google, order),

    /** A notification that no change has caused: to an address and of an id that may be wrong. */
    publishNotification: (
      notification: Pick<Notification, "emailAddress" | "historyId"> & { topicName?: string },
    ) => publishNotification(google, { topicName: firstTopic(google), ...notification }),

    // What the developer does in the Cloud console.

    addClient: (client: NewClient) => void addClient(google, client),
    /** Adds a second secret: Google accepts either, until one of them is disabled. */
    addClientSecret: (clientId: string, clientSecret: string) => {
      clientOf(google, clientId).addedSecret = clientSecret;
      google.secrets.set(clientSecret, undefined);
    },
    /** Sets the only secret: Google refuses every other one from now on. */
    setClientSecret: (clientId: string, clientSecret: string) => {
      const client = clientOf(google, clientId);
      client.clientSecret = clientSecret;
      delete client.addedSecret;
      google.secrets.set(clientSecret, undefined);
    },
    setRedirectUris: (clientId: string, redirectUris: readonly string[]) => {
      clientOf(google, clientId).redirectUris = redirectUris;
    },
    setClientState: (clientId: string, state: OAuthClient["state"]) => {
      clientOf(google, clientId).state = state;
    },
    setGmailApi: (state: "enabled" | "disabled", projectId?: string) => {
      const project = google.projects.get(projectId ?? firstProject(google));
      if (project === undefined) throw new Error(`no project ${projectId}`);
      project.gmailApiEnabled = state === "enabled";
    },
    /** Returns the key file of a new service account. */
    createServiceAccount: (email: string, projectId?: string): ServiceAccountKey =>
      createServiceAccount(google, email, projectId ?? firstProject(google)),
    /** Domain-wide delegation, as the administrator of the domain grants it. */
    delegateDomain: (email: string, domain: string, scopes: readonly string[]) =>
      delegateDomain(google, email, domain, scopes),
    addTopic: (name: string) => void google.topics.set(name, { name, publishable: true }),
    removeTopic: (name: string) => void google.topics.delete(name),
    /** Whether Gmail's service account may publish to the topic. */
    setTopicPublishing: (name: string, state: "allowed" | "forbidden") =>
      void google.topics.set(name, { name, publishable: state === "allowed" }),
    /** A new key signs from now on; the one before stays published. */
    rotateSigningKey: () => google.signer.rotate(),

    /** Signs claims with Google's key, for tokens that Google itself would never issue. */
    sign: (claims: Record<string, unknown>): string => google.signer.sign(claims),
    /** A security event token (RFC 8417) as Cross-Account Protection signs it. */
    securityEvent: (event: SecurityEvent): string => securityEventToken(google, ISSUER, event),

    // The truth.

    account: (address: string): AccountTruth => truthOf(google, account(address)),
    /** Head and oldest id of a mailbox: a small part of `account`, for who asks often. */
    position: (address: string): { head: bigint; oldest: bigint } => {
      const { head, floor } = account(address).mailbox;
      return { head, oldest: floor };
    },
    /** The history of `account`. */
    history: (address: string): HistoryTruth[] => historyOf(google, account(address)),
    /** One message of `account`. */
    message: (address: string, id: string): MessageTruth | undefined => {
      const found = account(address).mailbox.messages.get(id);
      return found === undefined ? undefined : messageTruth(found);
    },
    findAccount: (address: string): AccountTruth | undefined => {
      const found = findAccount(google, address);
      return found === undefined ? undefined : truthOf(google, found);
    },
    accounts: (): AccountTruth[] =>
      [...google.accounts.values()].map((found) => truthOf(google, found)),
    /** The address of the account that a token or code is about, dead ones too. */
    ownerOf: (secret: string): string | undefined =>
      google.accounts.get(google.secrets.get(secret) ?? "")?.email,
    /** The same account's `sub`; `account` takes much longer. */
    subOf: (secret: string): string | undefined =>
      google.accounts.get(google.secrets.get(secret) ?? "")?.sub,
    /** The service accounts, by what they sign with. */
    serviceAccounts: (): Pick<ServiceAccount, "email" | "publicKey">[] =>
      [...google.serviceAccounts.values()].map(({ email, publicKey }) => ({ email, publicKey })),
    /** Every token and code issued and every client secret set, to look for where none may be. */
    secretsIssued: (): string[] => [...google.secrets.keys()],

    /** Everything Google knows, as bytes; secrets are among it. */
    save: (): Buffer => saveState(google),
    /** Replaces everything Google knows by what `save` returned, in this process or another. */
    load: (state: Uint8Array): void => loadState(google, state),
  };
}

export type GmailModel = ReturnType<typeof createGmailModel>;

function createGoogle(options: ModelOptions): Google {
  const { projectId = DEFAULT_PROJECT, clients = [], settings = {} } = options;
  const { topics = [`projects/${projectId}/topics/gmail-notifications`] } = options;
  const google: Google = {
    now: options.now ?? Date.now,
    random: options.random ?? Math.random,
    signer: options.signer ?? createSigner(),
    settings: { ...DEFAULT_SETTINGS, ...settings },
    clients: new Map(),
    projects: new Map(),
    topics: new Map(topics.map((name) => [name, { name, publishable: true }])),
    serviceAccounts: new Map(),
    accounts: new Map(),
    addresses: new Map(),
    codes: new Map(),
    refreshTokens: new Map(),
    accessTokens: new Map(),
    secrets: new Map(),
    notificationFaults: { lose: 0, duplicate: { count: 0, copies: 0 }, held: undefined },
    publish: options.publish ?? (() => undefined),
    usage: new Map(),
    serial: 0,
  };
  addProject(google, projectId);
  for (const client of clients) addClient(google, { projectId, ...client });
  return google;
}

function addProject(google: Google, projectId: string): void {
  if (google.projects.has(projectId)) return;
  const projectNumber = String(PROJECT_NUMBER + google.projects.size);
  google.projects.set(projectId, { projectId, projectNumber, gmailApiEnabled: true });
}

function addClient(google: Google, client: NewClient): void {
  const { clientId, clientSecret, redirectUris, refreshTokenMs } = client;
  const { projectId = firstProject(google) } = client;
  addProject(google, projectId);
  google.clients.set(clientId, {
    clientId,
    clientSecret,
    redirectUris,
    projectId,
    state: "enabled",
    ...(refreshTokenMs !== undefined && { refreshTokenMs }),
  });
  google.secrets.set(clientSecret, undefined);
}

function firstProject(google: Google): string {
  const [projectId] = google.projects.keys();
  if (projectId === undefined) throw new Error("there is no project");
  return projectId;
}

function firstTopic(google: Google): string {
  const [topicName] = google.topics.keys();
  if (topicName === undefined) throw new Error("there is no topic");
  return topicName;
}

function clientOf(google: Google, clientId: string): OAuthClient {
  const client = google.clients.get(clientId);
  if (client === undefined) throw new Error(`no client ${clientId}`);
  return client;
}

function setStanding(account: Account, standing: Account["standing"]): void {
  account.standing = standing;
}
