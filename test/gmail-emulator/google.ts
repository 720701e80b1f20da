import type { Random } from "./ids.ts";
import type { MailSettings } from "./mail-settings.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Notification, NotificationFaults } from "./notifications.ts";
import type { Substitute } from "./presets.ts";
import type { ServiceAccount } from "./service-accounts.ts";
import type { AccessToken, AuthorizationCode, RefreshToken } from "./tokens.ts";
import type { Signer } from "./signing.ts";
import type { Watch } from "./watch.ts";

/** An OAuth client, as its developer registered it. */
export interface OAuthClient {
  readonly clientId: string;
  clientSecret: string;
  /** A second secret that is enabled, as while it is being rotated. */
  addedSecret?: string;
  redirectUris: readonly string[];
  readonly projectId: string;
  state: "enabled" | "disabled" | "deleted";
  /** Set for a client in "testing": its refresh tokens die after this time (Google: 7 days). */
  refreshTokenMs?: number;
}

export interface Project {
  readonly projectId: string;
  readonly projectNumber: string;
  gmailApiEnabled: boolean;
}

export interface Topic {
  readonly name: string;
  /** Whether Gmail's service account may publish to it. */
  publishable: boolean;
}

/** What a person has allowed the clients of one project. */
export interface Consent {
  readonly scopes: Set<string>;
  /** Clients that were already given a refresh token: silence gives them no other. */
  readonly offlineClients: Set<string>;
}

export interface Account {
  readonly sub: string;
  email: string;
  /** How Gmail's profile and notifications spell the address, where ID tokens spell it otherwise. */
  mailAddress?: string;
  name: string;
  readonly emailVerified: boolean;
  /** The Workspace domain, absent for consumer accounts. */
  readonly hostedDomain?: string;
  standing: "active" | "suspended" | "deleted";
  mailService: "on" | "off";
  /** The administrator blocks the application: the token endpoint says `admin_policy_enforced`. */
  adminPolicyEnforced: boolean;
  /** What is refused to this account alone. */
  readonly refusals: Refusal[];
  readonly mailbox: Mailbox;
  readonly settings: MailSettings;
  /** The message of each draft, by the draft's id. */
  readonly drafts: Map<string, string>;
  /** By project. */
  readonly consents: Map<string, Consent>;
  /** By project: Gmail keeps one watch for each mailbox and project. */
  readonly watches: Map<string, Watch>;
  refreshTokens: RefreshToken[];
  accessTokens: AccessToken[];
  notifiedAt?: number;
}

/** Calls of one account that get another answer than Google's, until that is lifted. */
export interface Refusal extends Substitute {
  /** A method, or a group of them: see `isMethod`. */
  readonly method: string;
}

/** How Google behaves. Each may be changed while it runs. */
export interface Settings {
  /** Google says 3599. */
  accessTokenSeconds: number;
  authorizationCodeMs: number;
  /** Live refresh tokens of one account for one client; the oldest dies in silence. */
  refreshTokensMax: number;
  /** How many of the next refreshes bring a new refresh token. */
  refreshTokenRotations: number;
  /** Whether a refresh token dies when a refresh brings another. */
  rotatedTokenDies: boolean;
  /** The largest step between two history ids. */
  historyIdStepMax: number;
  /** The most records in a page of history, even if `maxResults` is higher. */
  historyPageMax: number;
  /** The most messages in a page of `messages.list`, even if `maxResults` is higher. */
  messagePageMax: number;
  /** Empty pages with a `nextPageToken`, put before each page of history. */
  emptyHistoryPages: number;
  /** How many of the next page tokens of history are refused, genuine as they are. */
  pageTokenRefusals: number;
  /** How long a page token works; 0: for ever. */
  pageTokenMs: number;
  /** How long the page tokens of messages are, at least; Gmail's can take a kilobyte. */
  pageTokenCharactersMin: number;
  /** What a label that the mailbox does not have brings: 400, or no message. */
  unknownLabel: "refused" | "empty";
  /** The answer to a `startHistoryId` above the head. Which one Gmail gives is not documented. */
  startAboveHead: "empty" | "not_found";
  quota: "off" | { unitsPerUserMinute: number; unitsPerProjectMinute: number };
  /** How a notification writes its `historyId`: Gmail has been seen doing both. */
  notificationHistoryId: "number" | "string";
  /**
   * Where a notification's id lies: `"no"` on the newest record; `"with_head"` above every record,
   * where the head is too; `"past_head"` above even the head.
   */
  notificationIdAhead: "no" | "with_head" | "past_head";
  /** Gmail drops what is more than one notification per second and user. */
  notificationLimit: "off" | "one_per_second";
  /** Whether notifications go on after the person ended the grant. Google does not say. */
  watchOutlivesGrant: boolean;
  /** How long notifications go on after `users.stop`. */
  stopDelayMs: number;
}

/** Everything Google knows: plain data, changed by the functions of this folder. */
export interface Google {
  readonly now: () => number;
  readonly random: Random;
  readonly signer: Signer;
  readonly settings: Settings;
  readonly clients: Map<string, OAuthClient>;
  readonly projects: Map<string, Project>;
  readonly topics: Map<string, Topic>;
  /** By address. */
  readonly serviceAccounts: Map<string, ServiceAccount>;
  /** By `sub`. */
  readonly accounts: Map<string, Account>;
  /** By lower-case address. */
  readonly addresses: Map<string, Account>;
  readonly codes: Map<string, AuthorizationCode>;
  readonly refreshTokens: Map<string, RefreshToken>;
  /** Live ones only: Gmail tells a dead access token from an unknown one in no way. */
  readonly accessTokens: Map<string, AccessToken>;
  /** Every token, code and client secret there ever was, with the `sub` of whom it is about. */
  readonly secrets: Map<string, string | undefined>;
  readonly notificationFaults: NotificationFaults;
  /** Hands a notification to the stand-in for Pub/Sub. */
  readonly publish: (notification: Notification) => void;
  /** Quota units used, by user or project. */
  readonly usage: Map<string, { since: number; units: number }>;
  serial: number;
}

export const DEFAULT_SETTINGS: Settings = {
  accessTokenSeconds: 3599,
  authorizationCodeMs: 10 * 60_000,
  refreshTokensMax: 100,
  refreshTokenRotations: 0,
  rotatedTokenDies: true,
  historyIdStepMax: 40,
  historyPageMax: 500,
  messagePageMax: 500,
  emptyHistoryPages: 0,
  pageTokenRefusals: 0,
  pageTokenMs: 0,
  pageTokenCharactersMin: 0,
  unknownLabel: "refused",
  startAboveHead: "empty",
  quota: "off",
  notificationHistoryId: "number",
  notificationIdAhead: "no",
  notificationLimit: "off",
  watchOutlivesGrant: true,
  stopDelayMs: 0,
};

/** The account that has this address or `sub` now. Throws if there is none, because the test is wrong. */
export function accountOf(google: Google, address: string): Account {
  const account = findAccount(google, address);
  if (account === undefined) throw new Error(`no account has the address ${address}`);
  return account;
}

/** Like {@link accountOf}; `undefined` when there is none. */
export function findAccount(google: Google, address: string): Account | undefined {
  return google.addresses.get(address.toLowerCase()) ?? google.accounts.get(address);
}
