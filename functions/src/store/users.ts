import { parseTags } from "../domain/tags.ts";
import {
  type Sealed,
  type DueCursor,
  type ReadTimes,
  type Revision,
  type User,
  type UserContent,
  type UserPatch,
  type UserStore,
  latestHolder,
  parseUserId,
  toUser,
} from "../domain/user.ts";
import {
  type DocumentData,
  type DocumentReference,
  type DocumentSnapshot,
  FieldPath,
  FieldValue,
  Filter,
  type Firestore,
  type Query,
  type QueryDocumentSnapshot,
  Timestamp,
  type WriteResult,
} from "@google-cloud/firestore";
import assert from "node:assert/strict";
import * as z from "zod";
import type { Clock } from "../domain/clock.ts";
import { parseEmailAddress } from "../domain/email-address.ts";
import { parseHistoryId } from "../domain/history-id.ts";
import { type PositionCodec, positionCodec } from "./position-codec.ts";
import { type Log, ReceiverError } from "../platform/log.ts";
import { repairDocument } from "./user-repair.ts";

/** gRPC status codes of a conditional write that Firestore did not apply. */
const REFUSED = new Set<unknown>([
  5 /* NOT_FOUND */, 9 /* FAILED_PRECONDITION */, 10 /* ABORTED */,
]);

/** Users of one address, including disconnected ones. */
const SAME_ADDRESS_MAX = 20;

/** Two matches are enough to know that a name is ambiguous. */
const SAME_TOKEN_MAX = 2;
/** The maximum number of values of an `in` query. */
const IN_VALUES_MAX = 30;

/** Pages of incomplete mailboxes that are read at a time, beyond documents that cannot be decoded. */
const BEHIND_PAGES_MAX = 10;
/** The size of a page after such documents, even if one user is wanted. */
const BEHIND_PAGE_MIN = 100;

/** Changes that are looked up, and stored if missing, in one transaction. */
const KEPT_AT_ONCE_MAX = 200;

/**
 * Returns the users in Firestore: `users/{userId}`, and with the Firestore sink
 * `users/{userId}/changes/{id}`. The precondition of a write is the update time of the document
 * that was read.
 */
export function firestoreUsers(db: Firestore, log: Log, clock: Pick<Clock, "now">): UserStore {
  const users = db.collection("users");
  const flaggings = db.collection("flaggings");
  const guard = db.collection("fleet").doc("guard");
  const generations = db.collection("fleet").doc("generations");
  const codec = positionCodec();

  function decode(document: DocumentSnapshot, localAt: Date): User | undefined {
    const content = { ...document.data(), id: document.id };
    const decoded = DOCUMENT.safeParse(content);
    const fields = decoded.error?.issues.map(({ path }) => path.join(".")) ?? [];
    const repaired = decoded.success ? undefined : repairDocument(content, decoded.error.issues);
    const { data } = repaired === undefined ? decoded : DOCUMENT.safeParse(repaired);
    if (data === undefined || document.updateTime === undefined) {
      log.error(
        "user_document_invalid",
        "a user document is invalid; no work is done for this user",
        {
          userId: document.id,
          fields,
        },
      );
      return undefined;
    }
    if (repaired !== undefined) {
      log.error(
        "user_repaired",
        "replaced invalid parts of a user document with defaults; repeating the work",
        {
          userId: document.id,
          fields,
        },
      );
    }
    const read = readTimesOf(document, localAt);
    return toUser({ ...normalize(data, codec), revision: toRevision(document.updateTime), read });
  }

  function readTimesOf({ readTime }: DocumentSnapshot, localAt: Date): ReadTimes {
    return { at: toDate(readTime), localAt, receivedAt: clock.now() };
  }

  async function getUsers(
    query: Query,
  ): Promise<{ docs: QueryDocumentSnapshot[]; found: User[]; readAt: Date }> {
    const localAt = clock.now();
    const { docs, readTime } = await query.get();
    const found = docs.map((document) => decode(document, localAt));
    return { docs, found: found.filter((user) => user !== undefined), readAt: toDate(readTime) };
  }

  const store: UserStore = {
    async find(id) {
      const localAt = clock.now();
      const document = await users.doc(id).get();
      return document.exists ? decode(document, localAt) : undefined;
    },

    async exists(id) {
      return (await users.doc(id).get()).exists;
    },

    async findByEmailAddress(address) {
      return latestHolder(await store.listByEmailAddress(address));
    },

    async listByEmailAddress(address) {
      const either = Filter.or(
        Filter.where("emailAddress", "==", address),
        Filter.where("notifiedAs", "==", address),
      );
      return (await getUsers(users.where(either).limit(SAME_ADDRESS_MAX))).found;
    },

    async findByTokenDigest(by, digests) {
      const found: User[] = [];
      for (let first = 0; first < digests.length; first += IN_VALUES_MAX) {
        const values = digests.slice(first, first + IN_VALUES_MAX);
        const query = users.where(`grant.refreshTokenDigests.${by}`, "in", values);
        found.push(...(await getUsers(query.limit(SAME_TOKEN_MAX))).found);
      }
      return found.slice(0, SAME_TOKEN_MAX);
    },

    async listDue(list, { upTo, beyond }, limit, after) {
      const query = users
        .where(Filter.or(Filter.where(list, "<=", upTo), Filter.where(list, ">", beyond)))
        .orderBy(list)
        .orderBy(FieldPath.documentId())
        .limit(limit);
      const { docs, found, readAt } = await getUsers(
        after === undefined ? query : query.startAfter(...toPlace(after)),
      );
      const readable = new Set<string>(found.map(({ id }) => id));
      const last = docs.length < limit ? undefined : docs.at(-1);
      return {
        users: found,
        unreadable: docs
          .filter(({ id }) => !readable.has(id))
          .map(({ id, updateTime }) => ({ id, revision: toRevision(updateTime) })),
        readAt,
        ...(last !== undefined && { next: toCursor(last.get(list) as Timestamp, last.id) }),
      };
    },

    async listBehind({ from = new Date(0), upTo }, limit) {
      const ordered = users
        .where("sync.behindSince", ">=", from)
        .where("sync.behindSince", "<=", upTo)
        .orderBy("sync.behindSince");
      const behind: User[] = [];
      let size = limit;
      let query = ordered.limit(size);
      // A short answer means the end of the list: readable documents take the place of others.
      for (let pages = 0; pages < BEHIND_PAGES_MAX; pages++) {
        const { docs, found } = await getUsers(query);
        behind.push(...found);
        const last = docs.at(-1);
        if (last === undefined || docs.length < size || behind.length >= limit) break;
        size = Math.max(limit, BEHIND_PAGE_MIN);
        query = ordered.startAfter(last).limit(size);
      }
      return behind.slice(0, limit);
    },

    postpone(list, { id, revision }, dueAt) {
      const written = users
        .doc(id)
        .update({ [list]: dueAt }, { lastUpdateTime: toTimestamp(revision) });
      return unlessRefused(written.then(() => "written" as const));
    },

    async listAll(after, limit) {
      const ordered = users.orderBy(FieldPath.documentId()).limit(limit);
      let query = after === undefined ? ordered : ordered.startAfter(after);
      const all: { id: string; user: User | undefined }[] = [];
      let count = 0;
      // Ends with the collection: each query starts after the last document of the previous one.
      for (;;) {
        const localAt = clock.now();
        const { docs } = await query.get();
        for (const document of docs) {
          // Documents after the last user are read again with the next page.
          if (count === limit) break;
          const user = decode(document, localAt);
          if (user !== undefined) count += 1;
          all.push({ id: document.id, user });
        }
        const last = docs.at(-1);
        if (last === undefined || docs.length < limit || count === limit) break;
        query = ordered.startAfter(last.id);
      }
      return {
        users: all.map(({ user }) => user).filter((user) => user !== undefined),
        unreadable: all.filter(({ user }) => user === undefined).map(({ id }) => id),
      };
    },

    async update(user, patch, changes = []) {
      const document = users.doc(user.id);
      const batch = db.batch();
      batch.update(document, encode(patch, codec), { lastUpdateTime: toTimestamp(user.revision) });
      for (const { id, ...change } of changes) {
        batch.set(document.collection("changes").doc(id.replaceAll("/", ":")), change);
      }
      return unlessRefused(batch.commit().then(revisionOf));
    },

    async keepMissing(user, changes) {
      const document = users.doc(user.id);
      for (let first = 0; first < changes.length; first += KEPT_AT_ONCE_MAX) {
        const some = new Map(
          changes.slice(first, first + KEPT_AT_ONCE_MAX).map(({ id, ...change }) => {
            const kept = document.collection("changes").doc(id.replaceAll("/", ":"));
            return [kept.path, { kept, change }];
          }),
        );
        const isSame = await db.runTransaction(async (transaction) => {
          const references = [...some.values()].map(({ kept }) => kept);
          const [stored, ...found] = await transaction.getAll(document, ...references);
          if (stored?.updateTime === undefined) return false;
          if (toRevision(stored.updateTime) !== user.revision) return false;
          for (const { ref, exists } of found) {
            const missing = exists ? undefined : some.get(ref.path);
            if (missing !== undefined) transaction.create(missing.kept, missing.change);
          }
          return true;
        });
        if (!isSame) return "refused";
      }
      return "written";
    },

    async noteFlagging(id, at) {
      const expireAt = new Date(at.getTime() + FLAGGING_KEPT_MS);
      await flaggings.doc(id).set({ at, expireAt });
    },

    async countFlaggings(after) {
      return (await flaggings.where("at", ">", after).count().get()).data().count;
    },

    async countActive() {
      // Only active users are due: the index entries of one due list count them.
      const active = await users.where("sync.dueAt", ">", new Timestamp(0, 0)).count().get();
      return active.data().count;
    },

    async readFleetGuard() {
      const state = FLEET_GUARD.safeParse((await guard.get()).data());
      return state.data;
    },

    async writeFleetGuard(state) {
      await guard.set({ ...state });
    },

    async authorize(id, make) {
      const document: DocumentReference = users.doc(id);
      await db.runTransaction(async (transaction) => {
        const localAt = clock.now();
        const found = await transaction.get(document);
        const read = readTimesOf(found, localAt);
        const stored = found.exists ? decode(found, localAt) : undefined;
        // Treating it as a new user would silently reset the cursor.
        if (found.exists && stored === undefined)
          throw new ReceiverError("a user document is unreadable");
        const last = stored?.grant.generation ?? floorOf(await transaction.get(generations));
        const next = make(stored, last + 1, read);
        transaction.set(document, { ...next, sync: packed(next.sync, codec) });
      });
      const user = await store.find(id);
      if (user === undefined)
        throw new ReceiverError("an authorization was stored and is not there");
      return user;
    },

    async create(id, make) {
      const document = users.doc(id);
      const isCreated = await db.runTransaction(async (transaction) => {
        const localAt = clock.now();
        const [found, last] = await transaction.getAll(document, generations);
        if (found === undefined || last === undefined || found.exists) return false;
        const next = make(floorOf(last) + 1, readTimesOf(found, localAt));
        transaction.create(document, { ...next, sync: packed(next.sync, codec) });
        return true;
      });
      return isCreated ? store.find(id) : undefined;
    },

    async erase(user) {
      const document = users.doc(user.id);
      const { updateTime } = await document.get();
      if (updateTime === undefined || toRevision(updateTime) !== user.revision) return "refused";
      await db.runTransaction(async (transaction) => {
        const floor = floorOf(await transaction.get(generations));
        const { generation } = user.grant;
        if (generation > floor) transaction.set(generations, { floor: generation });
      });
      await db.recursiveDelete(document.collection("changes"));
      const deleted = document.delete({ lastUpdateTime: updateTime });
      return unlessRefused(deleted.then(() => "erased" as const));
    },
  };
  return store;
}

/** Returns the result of a conditional write. Rejects when the store failed. */
async function unlessRefused<T>(written: Promise<T>): Promise<T | "refused"> {
  try {
    return await written;
  } catch (error) {
    if (REFUSED.has((error as { code?: unknown }).code)) return "refused";
    throw error;
  }
}

/** Dates become timestamps by themselves; everything else is stored unchanged. */
function encode(patch: UserPatch, codec: PositionCodec): DocumentData {
  const { sync } = patch;
  const isRemoved = "notifiedAs" in patch && patch.notifiedAs === undefined;
  return {
    ...patch,
    ...(isRemoved && { notifiedAs: FieldValue.delete() }),
    ...(sync !== undefined && { sync: packed(sync, codec) }),
  };
}

/** With any number of positions, the document stays within Firestore's size limit. */
function packed(sync: User["sync"], codec: PositionCodec): DocumentData {
  return { ...sync, ...codec.pack(sync.recent) };
}

/**
 * Returns positions in order, each id once, none at or below the cursor: as the receiver writes
 * them, but not always as in a restored or edited document.
 */
function normalize(
  {
    sync: { more, ...sync },
    tags: storedTags,
    language,
    snapshot: storedSnapshot,
    ...user
  }: z.infer<typeof DOCUMENT>,
  codec: PositionCodec,
): UserContent & Pick<User, "id"> {
  const stored = { recent: sync.recent, ...(more !== undefined && { more }) };
  const tags = parseTags(storedTags);
  const snapshot = SNAPSHOT.safeParse(storedSnapshot).data;
  return {
    ...user,
    ...(tags !== undefined && { tags }),
    ...(typeof language === "string" && { language }),
    ...(snapshot !== undefined && { snapshot }),
    sync: { ...sync, recent: codec.unpack(stored, user.historyId) },
  };
}

/**
 * `fleet/generations`: the highest generation of all erased users. An invalid value does not count
 * as 0, because generations would repeat.
 */
function floorOf(document: DocumentSnapshot): number {
  if (!document.exists) return 0;
  const { success, data } = COUNT.safeParse(document.get("floor"));
  if (!success) throw new ReceiverError("the document fleet/generations cannot be read");
  return data;
}

/** Longer than any period in which they are counted; a TTL policy removes them. */
const FLAGGING_KEPT_MS = 24 * 3_600_000;

/** Returns the revision of the document that is updated first in a commit. */
function revisionOf([updated]: readonly WriteResult[]): Revision {
  assert(updated !== undefined, "a commit has a result for each write");
  return toRevision(updated.writeTime);
}

function toRevision({ seconds, nanoseconds }: Timestamp): Revision {
  return `${seconds}.${nanoseconds}` as Revision;
}

function toTimestamp(revision: Revision): Timestamp {
  const [seconds, nanoseconds] = revision.split(".").map(Number);
  return new Timestamp(seconds ?? 0, nanoseconds ?? 0);
}

/** To the nanosecond: a date that a person wrote may be more precise than ours. */
function toCursor(date: Timestamp, id: string): DueCursor {
  return `${toRevision(date)}/${id}` as DueCursor;
}

function toPlace(cursor: DueCursor): [date: Timestamp, id: string] {
  const end = cursor.indexOf("/");
  return [toTimestamp(cursor.slice(0, end) as Revision), cursor.slice(end + 1)];
}

/**
 * To the earlier millisecond: `toDate` rounds, and rounds the last possible instant to an invalid
 * one.
 */
function toDate({ seconds, nanoseconds }: Timestamp): Date {
  return new Date(seconds * 1_000 + Math.floor(nanoseconds / 1_000_000));
}

const DATE = z.instanceof(Timestamp).transform(toDate);
const SEALED = z.string().transform((sealed) => sealed as Sealed);
const HISTORY_ID = parsed(parseHistoryId);
const COUNT = z.int().nonnegative();
const STATUS = z.enum([
  "active",
  "reauthorization_required",
  "mailbox_unavailable",
  "paused",
  "disconnected",
]);

const FLEET_GUARD = z.object({
  latchedAt: DATE,
  probeAt: DATE,
  verdict: z.enum(["sound", "unsound"]).exactOptional(),
});

/** Consecutive failures of a mailbox, or of its snapshot. */
const FAILURE = z.object({
  since: DATE,
  at: DATE,
  family: z.enum(["ours", "mailbox", "credentials", "account", "throttled"]),
  reason: z.string(),
  count: COUNT,
  call: z.string(),
});

const SNAPSHOT = z.object({
  id: z.string(),
  since: DATE,
  upToHistoryId: HISTORY_ID,
  requestedAt: DATE,
  messages: COUNT,
  listing: COUNT,
  token: z.string().exactOptional(),
  edge: z.array(z.string()).exactOptional(),
  isSeeking: z.literal(true).exactOptional(),
  oldPages: COUNT.exactOptional(),
  failure: FAILURE.exactOptional(),
  completedAt: DATE.exactOptional(),
  failedAt: DATE.exactOptional(),
});

/** Documents of an older version are checked like any other input. */
const DOCUMENT = z.object({
  id: parsed(parseUserId),
  emailAddress: parsed(parseEmailAddress),
  notifiedAs: parsed(parseEmailAddress).exactOptional(),
  addressSince: DATE.exactOptional(),
  status: STATUS,
  statusReason: z.string(),
  statusAt: DATE,
  grant: z.object({
    generation: COUNT,
    scopes: z.array(z.string()),
    clientId: z.string().exactOptional(),
    refreshToken: SEALED.exactOptional(),
    accessToken: SEALED.exactOptional(),
    accessTokenExpiresAt: DATE.exactOptional(),
    refreshTokenDigests: z.object({ prefix: z.string(), doubleHash: z.string() }).exactOptional(),
    grantedAt: DATE,
  }),
  historyId: HISTORY_ID,
  watch: z.object({
    expiresAt: DATE.exactOptional(),
    renewAt: DATE.exactOptional(),
    failures: COUNT,
  }),
  sync: z.object({
    dueAt: DATE.exactOptional(),
    dueReason: z.enum(["quiet", "lag", "throttled", "unfinished"]).exactOptional(),
    retries: COUNT,
    notifiedHistoryId: HISTORY_ID.exactOptional(),
    notifiedAt: DATE.exactOptional(),
    recent: z.array(
      z.object({
        historyId: HISTORY_ID,
        at: DATE,
        isHead: z.literal(true).exactOptional(),
        isNotified: z.literal(true).exactOptional(),
      }),
    ),
    more: z.string().exactOptional(),
    isNotifiedAhead: z.literal(true).exactOptional(),
    highestHead: HISTORY_ID.exactOptional(),
    syncedAt: DATE.exactOptional(),
    unannounced: z.object({ at: DATE, changes: COUNT }).exactOptional(),
    recovery: z
      .object({
        fromHistoryId: HISTORY_ID,
        toHistoryId: HISTORY_ID,
        reason: z.enum(["history_expired", "history_rewound"]),
        since: DATE,
        listing: COUNT,
        pages: z.array(z.object({ token: z.string().exactOptional(), firstMessageId: z.string() })),
        isWalked: z.boolean(),
        pinnedAt: DATE.exactOptional(),
        unnoted: COUNT.exactOptional(),
        oldPages: COUNT.exactOptional(),
        toldUpTo: z.array(z.string()).exactOptional(),
        newest: z.array(z.string()).exactOptional(),
        untold: z.array(z.string()).exactOptional(),
        refusals: COUNT.exactOptional(),
        isTold: z.boolean().exactOptional(),
      })
      .exactOptional(),
    recoveries: z.object({ count: COUNT, at: DATE }).exactOptional(),
    cursorRefusals: z.object({ count: COUNT, since: DATE }).exactOptional(),
    failure: FAILURE.exactOptional(),
    behindSince: DATE.exactOptional(),
    delayedAt: DATE.exactOptional(),
  }),
  followUp: z.object({
    dueAt: DATE.exactOptional(),
    announced: z.object({ status: STATUS, generation: COUNT }).exactOptional(),
    episode: COUNT.exactOptional(),
    notices: z
      .object({ generation: COUNT, sent: COUNT, isOver: z.literal(true).exactOptional() })
      .exactOptional(),
    failures: COUNT,
  }),
  connectedAt: DATE.exactOptional(),
  // Checked in normalize: an invalid one does not end a connection.
  tags: z.unknown().optional(),
  language: z.unknown().optional(),
  snapshot: z.unknown().optional(),
  signedOutAt: DATE.exactOptional(),
});

function parsed<T>(parse: (value: unknown) => T | undefined) {
  return z.unknown().transform((value, context): T => {
    const result = parse(value);
    if (result !== undefined) return result;
    context.addIssue({ code: "custom", message: "unreadable" });
    return z.NEVER;
  });
}
