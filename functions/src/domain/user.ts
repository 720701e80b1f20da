import { type Clock, later } from "./clock.ts";
import type { EmailAddress } from "./email-address.ts";
import type { HistoryId } from "./history-id.ts";

/** Google's `sub`: stable for the life of the account, while addresses change and are reassigned. */
export type UserId = string & { readonly __brand: "UserId" };

/** Which version of the stored document was read: the precondition of the next write. */
export type Revision = string & { readonly __brand: "Revision" };

/** When a document was read: by the store's clock, and by this instance's before and after. */
export interface ReadTimes {
  /** The store's own time, one for all instances. */
  at: Date;
  /** This instance's time just before it asked. */
  localAt: Date;
  /** This instance's time when the answer was there. */
  receivedAt: Date;
}

export type Status = "active" | "reauthorization_required" | "mailbox_unavailable" | "disconnected";

/** What one authorization allows us. The tokens are gone once the user is flagged. */
export interface Grant {
  /**
   * +1 at every authorization, so that a late failure of an old grant never ends a newer one. Never
   * repeats for one user, not even when the user was erased in between.
   */
  generation: number;
  /** The scopes that were granted, not the ones that were asked for. */
  scopes: readonly string[];
  /** The OAuth client that the grant was given to. Absent in older documents until a refresh. */
  clientId?: string;
  refreshToken?: Sealed;
  accessToken?: Sealed;
  accessTokenExpiresAt?: Date;
  /** How a security event can name our refresh token: keyed digests (`crypto/token-digest.ts`). */
  refreshTokenDigests?: { prefix: string; doubleHash: string };
  grantedAt: Date;
}

/** Gmail's promise to notify. Without `renewAt` it is not renewed. */
export interface Watch {
  expiresAt?: Date;
  renewAt?: Date;
  /** Renewals that failed in a row. */
  failures: number;
}

/** Why a mailbox is due. Only a quiet one may be put off. */
export type DueReason = "quiet" | "lag" | "throttled" | "unfinished";

/** A position of the history that was read, and when. */
export interface ReadPosition {
  historyId: HistoryId;
  at: Date;
  /** A head that Gmail named: nothing of that id has been read or published. */
  isHead?: true;
  /**
   * A notification named it, and no record of that id has shown: the cursor waits below it. Once the
   * wait ends it is a head, if it is marked as one too.
   */
  isNotified?: true;
}

/** A page of `messages.list`, as it was when it was walked over. */
export interface WalkedPage {
  /** Absent: the first page. */
  token?: string;
  /** Its newest message: pages shift while mail arrives, and this tells how far. */
  firstMessageId: string;
}

/** How far an expired history has been made good. */
export interface Recovery {
  fromHistoryId: HistoryId;
  /** The head pinned before anything was listed: the cursor once the recovery is complete. */
  toHistoryId: HistoryId;
  reason: "history_expired" | "history_rewound";
  /** The last sync before: what is older has been told. */
  since: Date;
  /** When the head was pinned; absent in what an older version has stored. */
  pinnedAt?: Date;
  /** Which listing is under way, where there is one for each watched label. */
  listing: number;
  /** Newest first. Walked over from the newest, published from the oldest; the oldest that fit. */
  pages: readonly WalkedPage[];
  /** Newer pages that were walked over and did not fit: another round comes back for them. */
  unnoted?: number;
  /** Pages in a row, the last ones walked over, that hold nothing but old messages. */
  oldPages?: number;
  /** The walk has reached what is old, what has been told, or the end. */
  isWalked: boolean;
  /** The oldest page is where the walk came upon old messages, or the end; not upon told ones. */
  isAtEdge?: boolean;
  /** Messages where the told ones begin: a walk that starts again ends there. */
  toldUpTo?: readonly string[];
  /** The newest messages of when the walk began: the second pass looks for others among them. */
  newest?: readonly string[];
  /** Those among them that were not found again when they were to be told. */
  untold?: readonly string[];
  /** Refusals of the same step in a row. */
  refusals?: number;
  /** Everything walked over is told; what showed late is still looked for. */
  isTold?: boolean;
}

/** Failures of this mailbox in a row. Absent after a success. */
export interface SyncFailure {
  /** When the first failure of this family in the row happened. */
  since: Date;
  /** When the last one happened. */
  at: Date;
  /** Whose failure it is: `ours` counts against no mailbox. */
  family: "ours" | "mailbox" | "credentials" | "account" | "throttled";
  /** A short stable code for the last one. */
  reason: string;
  /** Failures in the row, of all families: spaces out the next try. */
  count: number;
  /** What failed last. */
  call: string;
}

export interface Sync {
  dueAt?: Date;
  dueReason?: DueReason;
  /** Due runs in a row that did not get where they should; spaces out the next one. */
  retries: number;
  /** The highest notification that has been served to its end. */
  notifiedHistoryId?: HistoryId;
  /** When the last notification that brought something new was served. */
  notifiedAt?: Date;
  /** Positions read too recently to be settled, ascending. */
  recent: readonly ReadPosition[];
  /** A notified id never showed as a record, and none has shown exactly since. */
  isNotifiedAhead?: true;
  /** The highest head that Gmail ever named: a lower one means that its history was rewound. */
  highestHead?: HistoryId;
  /** When the last listing that reached the end began. */
  syncedAt?: Date;
  /**
   * The last look at the quiet mailbox, and how many changes it found that no notification had told
   * of. A look that ran out of pages counts what it had found by then.
   */
  unannounced?: { at: Date; changes: number };
  recovery?: Recovery;
  /** Recoveries since history was last listed, and when the latest began: they are spaced out. */
  recoveries?: { count: number; at: Date };
  /** Refusals of the cursor as malformed since history was last listed, and the first of them. */
  cursorRefusals?: { count: number; since: Date };
  failure?: SyncFailure;
  /** Since when more may have happened than is published. Absent while the mailbox is complete. */
  behindSince?: Date;
  /** When `mailbox.delayed` was published for this `behindSince`. */
  delayedAt?: Date;
}

/** What is owed outside the stream. Without `dueAt` nothing is. */
export interface FollowUp {
  dueAt?: Date;
  /** The status last told to subscribers. A new episode begins without it. */
  announced?: { status: Status; generation: number };
  /**
   * From 2 on: the mailbox was unavailable and came back under one grant, so `active` and
   * `mailbox_unavailable` are told again. Absent until then, and with every new grant.
   */
  episode?: number;
  /** Mails that told the person of the end of this generation's grant; whether no more is sent. */
  notices?: { generation: number; sent: number; isOver?: true };
  /** Tries in a row that failed. */
  failures: number;
}

/** `users/{userId}`: everything the receiver knows about one connected Gmail account. */
export interface User {
  id: UserId;
  revision: Revision;
  read: ReadTimes;
  /**
   * Lower case; what subscribers and people see. Where two users hold one address for a while, the
   * notifications that name it are of the one that got it last (see {@link latestHolder}).
   */
  emailAddress: EmailAddress;
  /** What Gmail's profile and notifications name, where it differs from `emailAddress`. */
  notifiedAs?: EmailAddress;
  /** When `emailAddress` was stored. Absent in documents of older versions. */
  addressSince?: Date;
  status: Status;
  statusReason: string;
  statusAt: Date;
  grant: Grant;
  /** The cursor: everything up to it is published and settled. */
  historyId: HistoryId;
  watch: Watch;
  sync: Sync;
  followUp: FollowUp;
  /**
   * When the history that is told began. A re-authorization keeps it; a connection after a
   * disconnect starts a new history. Absent in documents of an older version.
   */
  connectedAt?: Date;
  /** What the application said about this connection in a start ticket: at most 10 short texts. */
  tags?: Readonly<Record<string, string>>;
  /** Browser sessions that began until then have ended: Google said that the account is at risk. */
  signedOutAt?: Date;
}

/** What is written of a user; the rest says which document was read, and when. */
export type UserContent = Omit<User, "id" | "revision" | "read">;

/**
 * Whole top-level fields to replace. A map that leaves a member out removes that member;
 * `undefined` removes the field.
 */
export type UserPatch = Partial<Omit<UserContent, "notifiedAs">> & {
  notifiedAs?: EmailAddress | undefined;
};

/** Which version of a document a write is made on the condition of. */
export type UserVersion = Pick<User, "id" | "revision">;

/** A change as the Firestore sink keeps it: `users/{userId}/changes/{id}`. */
export interface StoredChange {
  id: string;
  type: string;
  time: Date;
  data: Readonly<Record<string, unknown>>;
}

/** The three lists of due work, each one indexed timestamp. */
export type DueList = "watch.renewAt" | "sync.dueAt" | "followUp.dueAt";

/** Which dates count as due: those that have come, and those too far ahead to be real. */
export interface DueRange {
  upTo: Date;
  beyond: Date;
}

/** A place in a due list. It means something only to the store that returned it. */
export type DueCursor = string & { readonly __brand: "DueCursor" };

/** A due document that cannot be decoded. Its id may be no user id. */
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
  /** The store's time, also when nobody is due. */
  readAt: Date;
}

/** Why users of failed grants are held rather than flagged: `fleet/guard`. */
export interface FleetGuardState {
  /** When the guard latched, or last learned something about the OAuth client. */
  latchedAt: Date;
  /** When the client is probed next. */
  probeAt: Date;
  /** `sound`: Google takes our client, so grants that fail have really ended. */
  verdict?: "sound" | "unsound";
}

/** Some users, in the order of their ids. */
export interface UserPage {
  users: User[];
  /** The ids of the documents before the last of them, or to the end, that cannot be decoded. */
  unreadable: string[];
}

/** Every user that it returns carries the time of that read. */
export interface UserStore {
  /** `undefined` for nobody, and for a document that cannot be read. */
  find(id: UserId): Promise<User | undefined>;

  /** Whether there is a document of this user, also one that cannot be read. */
  exists(id: UserId): Promise<boolean>;

  /**
   * The user who is not `disconnected` and whose notifications name this address: the
   * {@link latestHolder} of those who have it as `emailAddress` or as `notifiedAs`. One query.
   */
  findByEmailAddress(address: EmailAddress): Promise<User | undefined>;

  /**
   * Users whose refresh token has one of these digests; two at most, since a name that fits more
   * than one token says nothing of any.
   */
  findByTokenDigest(
    by: keyof NonNullable<Grant["refreshTokenDigests"]>,
    digests: readonly string[],
  ): Promise<User[]>;

  /**
   * Every user who has or had this address, under either field, the disconnected ones too; one
   * query.
   */
  listByEmailAddress(address: EmailAddress): Promise<User[]>;

  /**
   * Users whose date in the list is within the range, the earliest first: at most `limit` documents
   * after the given place, or from the start; one query.
   */
  listDue(list: DueList, range: DueRange, limit: number, after?: DueCursor): Promise<DuePage>;

  /**
   * Users whose mailbox is incomplete (`sync.behindSince`), the oldest first: those since `from`, or
   * all without it, up to `upTo`. One query; what cannot be decoded is left out.
   */
  listBehind(range: { from?: Date; upTo: Date }, limit: number): Promise<User[]>;

  /** Changes the date of a document that cannot be decoded, and nothing else of it. */
  postpone(list: DueList, document: DueDocument, dueAt: Date): Promise<"written" | "refused">;

  /**
   * All users, whatever their status, in the order of their ids: the first `limit` after the given
   * id, or from the start. Fewer than `limit` only at the end.
   */
  listAll(after: UserId | undefined, limit: number): Promise<UserPage>;

  /**
   * Writes the patch (and the changes, in the same commit) if the document is still the one that
   * was read. `refused` means that somebody else wrote, or that this very write was applied
   * although it seemed to fail: read again.
   */
  update(
    user: UserVersion,
    patch: UserPatch,
    changes?: readonly StoredChange[],
  ): Promise<"written" | "refused">;

  /**
   * Keeps changes that may have been kept before: each is written only where there is none of its
   * id yet, in as many commits as it takes. `refused`: the document is not the one that was read.
   */
  keepMissing(user: User, changes: readonly StoredChange[]): Promise<"written" | "refused">;

  /** Notes that this user's grant has failed: one small document per user, kept for a day. */
  noteFlagging(id: UserId, at: Date): Promise<void>;

  /** Distinct users whose grants were noted to have failed after this time; one count query. */
  countFlaggings(after: Date): Promise<number>;

  /** How many users are active; one count query. */
  countActive(): Promise<number>;

  readFleetGuard(): Promise<FleetGuardState | undefined>;

  writeFleetGuard(state: FleetGuardState): Promise<void>;

  /**
   * Stores a new authorization in one transaction: `make` gets the stored user, if any, and the
   * generation of the new grant, and returns what to store. `make` may run several times and has
   * no effects.
   */
  authorize(
    id: UserId,
    make: (stored: User | undefined, generation: number) => UserContent,
  ): Promise<User>;

  /**
   * Deletes the kept changes, however many, and then the document if it is still the one that was
   * read: a crash in between leaves a document to come back to. `refused`: somebody else wrote it,
   * or it is gone. Before anything is deleted, the generation of the user is stored for the whole
   * fleet, so that a later user with the same id starts above it.
   */
  erase(user: UserVersion & Pick<User, "grant">): Promise<"erased" | "refused">;
}

/**
 * Of several users that hold one address, the one that got it last: Google named it for that user
 * then. `undefined` when all of them are `disconnected`.
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
 * Whether a stored user is still what was read, as far as a failure or a notification concerns it:
 * of the same grant, in the same status. False once the person connected again, or the user was
 * flagged, disconnected or erased.
 */
export function sameGrant<T extends Pick<User, "status" | "grant">>(
  { status, grant }: { status: Status; grant: Pick<Grant, "generation"> },
  stored: T | undefined,
): stored is T {
  return stored?.status === status && stored.grant.generation === grant.generation;
}

/** What a document is once the patch is written. */
export function patched<T extends Pick<User, "notifiedAs">>(user: T, patch: UserPatch): T {
  const { notifiedAs, ...rest } = patch;
  const next = { ...user, ...rest, ...(notifiedAs !== undefined && { notifiedAs }) };
  if ("notifiedAs" in patch && notifiedAs === undefined) delete next.notifiedAs;
  return next;
}

/** The address that notifications of this user name. Runs over one mailbox queue under it. */
export function notificationAddress({ emailAddress, notifiedAs }: User): EmailAddress {
  return notifiedAs ?? emailAddress;
}

/** Google's `sub`: 1 to 255 ASCII characters; ours also has to be a document id. */
export function parseUserId(value: unknown): UserId | undefined {
  return typeof value === "string" && /^[A-Za-z0-9_-]{1,255}$/.test(value)
    ? (value as UserId)
    : undefined;
}

/**
 * The store's time now, or a little later: the instances' clocks can be minutes apart, the store has
 * one. Only what passed since the read is taken from this instance's clock.
 */
export function storeNow({ read }: Pick<User, "read">, clock: Pick<Clock, "now">): Date {
  return later(read.at, elapsedMs(read.localAt, clock));
}

/** The store's time now, or a little earlier: for what must not be taken for later than it was. */
export function storeNowAtLeast({ read }: Pick<User, "read">, clock: Pick<Clock, "now">): Date {
  return later(read.at, elapsedMs(read.receivedAt, clock));
}

/** Never negative: a clock can be set back. */
function elapsedMs(since: Date, clock: Pick<Clock, "now">): number {
  return Math.max(0, clock.now().getTime() - since.getTime());
}

/** For so long what was read of a user is good enough to act on. */
const FRESH_MS = 5_000;

/** True of a user who was read so long ago that somebody may well have written since. */
export function isOutdated({ read }: Pick<User, "read">, clock: Pick<Clock, "now">): boolean {
  const ageMs = clock.now().getTime() - read.localAt.getTime();
  return ageMs > FRESH_MS || ageMs < 0;
}

/**
 * An encrypted text that describes itself: `v2.{key id}.{iv}.{ciphertext}.{tag}`, the last three in
 * base64url. Safe in a cookie, in a URL and in Firestore. `v2` is encrypted with a key derived for its
 * purpose, so that what strangers have us seal is never sealed with the key of tokens. `v1`, with the
 * key of the ring itself, still opens; `npm run keys -- reseal` replaces it.
 */
export type Sealed = string & { readonly __brand: "Sealed" };
