import { type Clock, later } from "./clock.ts";
import type { EmailAddress } from "./email-address.ts";
import type { HistoryId } from "./history-id.ts";

/**
 * Google's `sub`: stable for the life of the account, although addresses change and are reassigned.
 */
export type UserId = string & { readonly __brand: "UserId" };

/** The version of the document that was read: the precondition of the next write. */
export type Revision = string & { readonly __brand: "Revision" };

/**
 * When a document was read, by the store's clock, and by this instance's before and after the read.
 */
export interface ReadTimes {
  /** The store's time, the same for all instances. */
  at: Date;
  /** This instance's time just before the read. */
  localAt: Date;
  /** This instance's time when the response arrived. */
  receivedAt: Date;
}

/** The state of a user's connection. */
export type Status =
  | "active"
  | "reauthorization_required"
  | "mailbox_unavailable"
  /** By the operator: grant and cursor are kept, and nothing is done for the mailbox. */
  | "paused"
  | "disconnected";

/** One authorization. The tokens are removed when the user is flagged. */
export interface Grant {
  /**
   * One higher at every authorization, so that a late failure of an old grant never ends a newer
   * one. Never repeats for one user, even if the user was erased in between.
   */
  generation: number;
  /** The granted scopes, not the requested ones. */
  scopes: readonly string[];
  /** The OAuth client of the grant. Absent in older documents until a refresh. */
  clientId?: string;
  refreshToken?: Sealed;
  accessToken?: Sealed;
  accessTokenExpiresAt?: Date;
  /** How a security event can name the refresh token: keyed digests (`crypto/token-digest.ts`). */
  refreshTokenDigests?: { prefix: string; doubleHash: string };
  grantedAt: Date;
}

/** Gmail's promise to notify. Without `renewAt` it is not renewed. */
export interface Watch {
  expiresAt?: Date;
  renewAt?: Date;
  /** Consecutive failed renewals. */
  failures: number;
}

/** Why a mailbox is due. Only a quiet one may be postponed. */
export type DueReason = "quiet" | "lag" | "throttled" | "unfinished";

/** A position of the history that was read, and when. */
export interface ReadPosition {
  historyId: HistoryId;
  at: Date;
  /** A head that Gmail named: no record of that id has been read or published. */
  isHead?: true;
  /**
   * A notification announced this id, and no record of it has appeared: the cursor waits below it.
   * Once the wait ends, it is a head if it is marked as one, too.
   */
  isNotified?: true;
}

/** A page of `messages.list`, as it was when it was scanned. */
export interface WalkedPage {
  /** Absent: the first page. */
  token?: string;
  /** The newest message of the page: pages shift while mail arrives, and this shows how far. */
  firstMessageId: string;
}

/** The progress of recovering an expired history. */
export interface Recovery {
  fromHistoryId: HistoryId;
  /**
   * The head that was pinned before anything was listed: the cursor once the recovery is complete.
   */
  toHistoryId: HistoryId;
  reason: "history_expired" | "history_rewound";
  /** The time of the last sync: older messages have been published. */
  since: Date;
  /** When the head was pinned; absent in documents of an older version. */
  pinnedAt?: Date;
  /** The current listing, if there is one for each watched label. */
  listing: number;
  /** Newest first. Scanned from the newest, published from the oldest; only the oldest that fit. */
  pages: readonly WalkedPage[];
  /** The number of newer scanned pages that did not fit: another round scans them. */
  unnoted?: number;
  /** The number of consecutive pages, up to the last scanned one, with only old messages. */
  oldPages?: number;
  /** The scan has reached old messages, published messages, or the end. */
  isWalked: boolean;
  /** The messages where the published ones begin: a repeated scan ends there. */
  toldUpTo?: readonly string[];
  /** The newest messages at the start of the scan: the second pass looks for others among them. */
  newest?: readonly string[];
  /** Those among them that were missing when they should have been published. */
  untold?: readonly string[];
  /** Consecutive rejections of the same step. */
  refusals?: number;
  /** Everything scanned is published; late messages are still searched for. */
  isTold?: boolean;
}

/** The progress of publishing the mail that was already in the mailbox (`domain/snapshot.ts`). */
export interface Snapshot {
  /** Part of the ids of its events: when it was requested, in epoch milliseconds. */
  id: string;
  /** Older messages are left out. */
  since: Date;
  /** The cursor when it was requested: everything later is in the stream. */
  upToHistoryId: HistoryId;
  requestedAt: Date;
  /** The number of published messages. */
  messages: number;
  /** The current listing, if there is one for each watched label. */
  listing: number;
  /** The next page. Absent: the first. */
  token?: string;
  /** The last messages of the page before. */
  edge?: readonly string[];
  /** Gmail rejected the token: pages are skipped from the first one to the end of `edge`. */
  isSeeking?: true;
  /** The number of consecutive pages with only old messages. */
  oldPages?: number;
  /** The consecutive failures since the last page. They stay when the snapshot is given up. */
  failure?: SyncFailure;
  /** When `mailbox.snapshot.completed` was published. */
  completedAt?: Date;
  /** When `mailbox.snapshot.failed` was published. */
  failedAt?: Date;
}

/** The consecutive failures of this mailbox. Absent after a success. */
export interface SyncFailure {
  /** When the first of the consecutive failures of this family happened. */
  since: Date;
  /** When the last failure happened. */
  at: Date;
  /** Whose failure it is: `ours` counts against no mailbox. */
  family: "ours" | "mailbox" | "credentials" | "account" | "throttled";
  /** A short stable code for the last failure. */
  reason: string;
  /** The number of consecutive failures of all families; the waits grow with it. */
  count: number;
  /** The call of the last failure. */
  call: string;
}

/** The state of a mailbox's stream. */
export interface Sync {
  dueAt?: Date;
  dueReason?: DueReason;
  /** Consecutive due runs that did not finish their work; the waits grow with it. */
  retries: number;
  /** The highest notification that has been served completely. */
  notifiedHistoryId?: HistoryId;
  /** When the last notification that brought something new was served. */
  notifiedAt?: Date;
  /** Positions read too recently to be settled, ascending. */
  recent: readonly ReadPosition[];
  /** A notified id never appeared as a record, and none has appeared exactly since. */
  isNotifiedAhead?: true;
  /** The highest head that Gmail ever named: a lower one means that the history was rewound. */
  highestHead?: HistoryId;
  /** When the last complete listing began. */
  syncedAt?: Date;
  /**
   * The last poll of the quiet mailbox, and the number of changes that no notification had
   * announced. A poll that ran out of pages counts what it had found.
   */
  unannounced?: { at: Date; changes: number };
  recovery?: Recovery;
  /** Recoveries since history was last listed, and when the latest began: the pauses grow. */
  recoveries?: { count: number; at: Date };
  /** Rejections of the cursor as malformed since history was last listed, and the first of them. */
  cursorRefusals?: { count: number; since: Date };
  failure?: SyncFailure;
  /** Since when more may have happened than is published. Absent while the mailbox is complete. */
  behindSince?: Date;
  /** When `mailbox.delayed` was published for this `behindSince`. */
  delayedAt?: Date;
}

/** Work outside the stream. None is due without `dueAt`. */
export interface FollowUp {
  dueAt?: Date;
  /** The last published status. A new outage starts without it. */
  announced?: { status: Status; generation: number };
  /**
   * From 2 on: the mailbox was unavailable or paused and came back under one grant, so `active`,
   * `mailbox_unavailable` and `paused` are published again. Absent until then, and with every new
   * grant.
   */
  episode?: number;
  /** Mails about the end of this generation's grant, and whether no more is sent. */
  notices?: { generation: number; sent: number; isOver?: true };
  /** Consecutive failed attempts. */
  failures: number;
}

/** What the document of every user holds. */
interface UserFields {
  id: UserId;
  revision: Revision;
  read: ReadTimes;
  /**
   * Lower case; the address that subscribers and people see. If two users have one address for a
   * while, notifications with it belong to the one that got it last (see {@link latestHolder}).
   */
  emailAddress: EmailAddress;
  /** The address in Gmail's profile and notifications, if it differs from `emailAddress`. */
  notifiedAs?: EmailAddress;
  /** When `emailAddress` was stored. Absent in documents of older versions. */
  addressSince?: Date;
  statusReason: string;
  statusAt: Date;
  grant: Grant;
  /** The cursor: everything up to it is published and settled. */
  historyId: HistoryId;
  followUp: FollowUp;
  /**
   * When the published history begins. A re-authorization keeps it; a connection after a disconnect
   * starts a new history. Absent in documents of an older version.
   */
  connectedAt?: Date;
  /** What the application said about this connection in a start ticket: at most 10 short texts. */
  tags?: Readonly<Record<string, string>>;
  /** The language of the page on which the person last allowed access (BCP 47). */
  language?: string;
  /** The last snapshot of this history, running or complete. */
  snapshot?: Snapshot;
  /**
   * Browser sessions that began before this time have ended: Google said that the account is at
   * risk.
   */
  signedOutAt?: Date;
}

/** A user for whom the receiver works: the watch is renewed, and the mailbox is read when it is due. */
export interface ActiveUser extends UserFields {
  status: "active";
  watch: Watch;
  sync: Sync;
}

/** A user for whom the stream stands still. Nothing is due but the follow-up, so it costs nothing. */
export interface InactiveUser extends UserFields {
  status: Exclude<Status, "active">;
  watch: Watch & { renewAt?: never };
  sync: Sync & { dueAt?: never; dueReason?: never };
}

/** `users/{userId}`: everything that the receiver stores about one connected Gmail account. */
export type User = ActiveUser | InactiveUser;

/** A user document as it is stored. One that a person has edited may hold any parts together. */
export interface UserRecord extends UserFields {
  status: Status;
  watch: Watch;
  sync: Sync;
}

/** Returns the user of a stored document. Due dates of a user who is not active are ignored. */
export function toUser(stored: UserRecord): User {
  const { status } = stored;
  if (status === "active") return { ...stored, status };
  const { renewAt: _, ...watch } = stored.watch;
  const { dueAt: __, dueReason: ___, ...sync } = stored.sync;
  return { ...stored, status, watch, sync };
}

/** The content of a user document; the rest says which document was read, and when. */
export type UserContent = Omit<UserRecord, "id" | "revision" | "read">;

/**
 * Whole top-level fields to replace. A map that omits a member removes that member; `undefined`
 * removes the field.
 */
export type UserPatch = Partial<Omit<UserContent, "notifiedAs">> & {
  notifiedAs?: EmailAddress | undefined;
};

/** The version of a document that a write requires. */
export type UserVersion = Pick<User, "id" | "revision">;

/** A change in the Firestore sink: `users/{userId}/changes/{id}`. */
export interface StoredChange {
  id: string;
  type: string;
  time: Date;
  data: Readonly<Record<string, unknown>>;
}

/** The three lists of due work, each one indexed timestamp. */
export type DueList = "watch.renewAt" | "sync.dueAt" | "followUp.dueAt";

/** Which dates count as due: past ones, and those too far ahead to be real. */
export interface DueRange {
  upTo: Date;
  beyond: Date;
}

/** A place in a due list. Only the store that returned it can interpret it. */
export type DueCursor = string & { readonly __brand: "DueCursor" };

/** A due document that cannot be decoded. Its id may not be a user id. */
export interface DueDocument {
  id: string;
  revision: Revision;
}

/** Part of a due list. */
export interface DuePage {
  users: readonly User[];
  /** The documents on this page that cannot be decoded. The store has logged them. */
  unreadable: readonly DueDocument[];
  /** Where the next page starts; absent at the end of the list. */
  next?: DueCursor;
  /** The store's time, even if no user is due. */
  readAt: Date;
}

/** Why users of failed grants are held instead of flagged: `fleet/guard`. */
export interface FleetGuardState {
  /** When the guard latched, or last learned something about the OAuth client. */
  latchedAt: Date;
  /** When the client is probed next. */
  probeAt: Date;
  /** `sound`: Google accepts the client, so failing grants have really ended. */
  verdict?: "sound" | "unsound";
}

/** Some users, in the order of their ids. */
export interface UserPage {
  users: User[];
  /** The ids of invalid documents up to the last of them, or to the end. */
  unreadable: string[];
}

/** Stores the users. Every returned user carries the time of the read. */
export interface UserStore {
  /** Returns `undefined` for an unknown user, and for a document that cannot be read. */
  find(id: UserId): Promise<User | undefined>;

  /** Returns whether there is a document of this user, even one that cannot be read. */
  exists(id: UserId): Promise<boolean>;

  /**
   * Returns the user who is not `disconnected` and whose notifications name this address: the
   * {@link latestHolder} of those who have it as `emailAddress` or as `notifiedAs`. One query.
   */
  findByEmailAddress(address: EmailAddress): Promise<User | undefined>;

  /**
   * Returns users whose refresh token has one of these digests; two at most, since a name that fits
   * several tokens is ambiguous.
   */
  findByTokenDigest(
    by: keyof NonNullable<Grant["refreshTokenDigests"]>,
    digests: readonly string[],
  ): Promise<User[]>;

  /**
   * Returns every user who has or had this address in either field, disconnected ones, too. One
   * query.
   */
  listByEmailAddress(address: EmailAddress): Promise<User[]>;

  /**
   * Returns users whose date in the list is within the range, the earliest first: at most `limit`
   * documents after the given place, or from the start. One query.
   */
  listDue(list: DueList, range: DueRange, limit: number, after?: DueCursor): Promise<DuePage>;

  /**
   * Returns users whose mailbox is incomplete (`sync.behindSince`), the oldest first: those since
   * `from`, or all without it, up to `upTo`. One query; documents that cannot be decoded are left
   * out.
   */
  listBehind(range: { from?: Date; upTo: Date }, limit: number): Promise<User[]>;

  /** Changes the date of a document that cannot be decoded, and nothing else of it. */
  postpone(list: DueList, document: DueDocument, dueAt: Date): Promise<"written" | "refused">;

  /**
   * Returns all users of any status in the order of their ids: the first `limit` after the given
   * id, or from the start. Fewer than `limit` only at the end.
   */
  listAll(after: UserId | undefined, limit: number): Promise<UserPage>;

  /**
   * Writes the patch (and the changes, in the same commit) if the document is still the one that
   * was read; returns the revision that it has then. `refused` means that another writer changed
   * it, or that this write was applied although it seemed to fail: read again.
   */
  update(
    user: UserVersion,
    patch: UserPatch,
    changes?: readonly StoredChange[],
  ): Promise<Revision | "refused">;

  /**
   * Stores changes that may have been stored before: each is written only if its id does not exist
   * yet, in as many commits as necessary. `refused`: the document is not the one that was read.
   */
  keepMissing(user: User, changes: readonly StoredChange[]): Promise<"written" | "refused">;

  /** Records that this user's grant has failed: one small document per user, kept for a day. */
  noteFlagging(id: UserId, at: Date): Promise<void>;

  /** Returns the number of distinct users whose grants failed after this time. One count query. */
  countFlaggings(after: Date): Promise<number>;

  /** Returns the number of active users. One count query. */
  countActive(): Promise<number>;

  readFleetGuard(): Promise<FleetGuardState | undefined>;

  writeFleetGuard(state: FleetGuardState): Promise<void>;

  /**
   * Stores a new authorization in one transaction: `make` receives the stored user, if any, the
   * generation of the new grant, and the times of the read, and returns what to store. `make` may
   * run several times and has no effects.
   */
  authorize(
    id: UserId,
    make: (stored: User | undefined, generation: number, read: ReadTimes) => UserContent,
  ): Promise<User>;

  /**
   * Stores the first authorization of an unknown user in one transaction; `make` as in `authorize`.
   * Resolves to `undefined`, and stores nothing, if there is a document, even one that cannot be read.
   */
  create(
    id: UserId,
    make: (generation: number, read: ReadTimes) => UserContent,
  ): Promise<User | undefined>;

  /**
   * Deletes the stored changes, however many, and then the document if it is still the one that was
   * read: a crash in between leaves a document to continue from. `refused`: another writer changed
   * it, or it is gone. Before anything is deleted, the generation of the user is stored for the
   * whole fleet, so that a later user with the same id starts above it.
   */
  erase(user: UserVersion & Pick<User, "grant">): Promise<"erased" | "refused">;
}

/**
 * Returns the user that got an address last, of several that have it: Google named it for that user
 * then. `undefined` if all of them are `disconnected`.
 */
export function latestHolder<T extends Pick<User, "status" | "grant" | "addressSince">>(
  users: readonly T[],
): T | undefined {
  const since = ({ addressSince, grant }: T) => (addressSince ?? grant.grantedAt).getTime();
  return users
    .filter(({ status }) => status !== "disconnected")
    .toSorted((a, b) => since(b) - since(a))[0];
}

/**
 * Returns whether two states of a user have the same grant and status, so that a failure or a
 * notification still concerns it. False once the person connected again, or the user was flagged,
 * disconnected or erased.
 */
export function sameGrant<T extends Pick<User, "status" | "grant">>(
  { status, grant }: { status: Status; grant: Pick<Grant, "generation"> },
  stored: T | undefined,
): stored is T {
  return stored?.status === status && stored.grant.generation === grant.generation;
}

/** Returns the document after the patch is written. */
export function patched<T extends Pick<User, "notifiedAs">>(user: T, patch: UserPatch): T {
  const { notifiedAs, ...rest } = patch;
  const next = { ...user, ...rest, ...(notifiedAs !== undefined && { notifiedAs }) };
  if ("notifiedAs" in patch && notifiedAs === undefined) delete next.notifiedAs;
  return next;
}

/** Returns the address in notifications of this user. The runs of one mailbox queue under it. */
export function notificationAddress({ emailAddress, notifiedAs }: User): EmailAddress {
  return notifiedAs ?? emailAddress;
}

/** Parses Google's `sub`: 1 to 255 ASCII characters that are also a valid document id. */
export function parseUserId(value: unknown): UserId | undefined {
  return typeof value === "string" && /^[A-Za-z0-9_-]{1,255}$/.test(value)
    ? (value as UserId)
    : undefined;
}

/**
 * Returns the store's time now, or a little later. The clocks of instances can be minutes apart,
 * and there is only one store: only the time since the read is measured by this instance's clock.
 */
export function storeNow({ read }: Pick<User, "read">, clock: Pick<Clock, "now">): Date {
  return later(read.at, elapsedMs(read.localAt, clock));
}

/** Returns the store's time now, or a little earlier: for times that must not be too late. */
export function storeNowAtLeast({ read }: Pick<User, "read">, clock: Pick<Clock, "now">): Date {
  return later(read.at, elapsedMs(read.receivedAt, clock));
}

/**
 * Returns a time that this instance read from its own clock shortly before `read`, by the store's
 * clock, or a little earlier.
 */
export function inStoreTime(time: Date, { at, receivedAt }: ReadTimes): Date {
  return later(time, at.getTime() - receivedAt.getTime());
}

/** Never negative, although a clock can be set back. */
function elapsedMs(since: Date, clock: Pick<Clock, "now">): number {
  return Math.max(0, clock.now().getTime() - since.getTime());
}

/** For this long, a user that was read is current enough to act on. */
const FRESH_MS = 5_000;

/** Returns whether a user was read so long ago that another writer may have changed it. */
export function isOutdated({ read }: Pick<User, "read">, clock: Pick<Clock, "now">): boolean {
  const ageMs = clock.now().getTime() - read.localAt.getTime();
  return ageMs > FRESH_MS || ageMs < 0;
}

/**
 * An encrypted text that describes itself: `v2.{key id}.{iv}.{ciphertext}.{tag}`, the last three in
 * base64url. Safe in a cookie, in a URL and in Firestore. `v2` uses a key derived for the purpose,
 * so that values which strangers cause are never sealed with the key of tokens. `v1`, with the key
 * of the ring itself, still opens; `npm run keys -- reseal` replaces it.
 */
export type Sealed = string & { readonly __brand: "Sealed" };
