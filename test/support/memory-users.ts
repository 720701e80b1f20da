import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../functions/src/domain/clock.ts";
import {
  type DueCursor,
  type DueList,
  type FleetGuardState,
  type ReadTimes,
  type Revision,
  type StoredChange,
  type User,
  type UserId,
  type UserPatch,
  type UserStore,
  latestHolder,
  patched,
  toUser,
  type UserRecord,
} from "../../functions/src/domain/user.ts";
import { frozenCopy } from "./frozen-copy.ts";

/** A document as it is stored, without what belongs to one reading of it. */
export type StoredUser = Omit<UserRecord, "read">;

/** Users in memory, with the same conditions on a write as the Firestore store. */
export interface MemoryUsers extends UserStore {
  /** Everything stored, as a dump of the database would show it. */
  dump(): { users: StoredUser[]; changes: Record<string, StoredChange[]> };
  /** Documents read and written, as Firestore would bill them. */
  operations: { reads: number; writes: number };
  /** As an operator would delete the document; changes below it stay. */
  remove(id: UserId): void;
  /** Edits the document as an operator would, without a condition on its content. */
  overwrite(id: UserId, patch: UserPatch): void;
}

/** Users that can be taken over into another process. */
export interface SavableUsers extends MemoryUsers {
  /** All of it as plain data. */
  save(): SavedUsers;
  load(saved: SavedUsers): void;
  /** Called when a document has changed, or is gone. */
  onChanged: (id: UserId, user: StoredUser | undefined) => void;
}

/** What a store in memory holds. */
export interface SavedUsers {
  users: ReadonlyMap<UserId, StoredUser>;
  changes: ReadonlyMap<UserId, ReadonlyMap<string, StoredChange>>;
  flaggings: ReadonlyMap<UserId, Date>;
  guard: FleetGuardState | undefined;
  writes: number;
  floor: number;
}

/** `clock` is the store's own; `askedBy` reads with the clock of an instance. */
export function memoryUsers(clock: Pick<Clock, "now"> = { now: () => new Date() }): SavableUsers {
  const users = new Map<UserId, StoredUser>();
  const changes = new Map<UserId, Map<string, StoredChange>>();
  const operations = { reads: 0, writes: 0 };
  let writes = 0;
  const flaggings = new Map<UserId, Date>();
  let guard: FleetGuardState | undefined;
  /** The highest generation of all erased users. */
  let floor = 0;

  function readTimes(): ReadTimes {
    const at = clock.now();
    return { at, localAt: at, receivedAt: at };
  }

  function read(user: StoredUser | undefined): User | undefined {
    operations.reads += 1;
    return user === undefined ? undefined : stamped(user);
  }

  function stamped(user: StoredUser): User {
    return toUser({ ...user, read: readTimes() });
  }

  /** As in Firestore, a write that changes nothing leaves the document at its revision. */
  function write(user: Omit<StoredUser, "revision">): void {
    operations.writes += 1;
    const stored = users.get(user.id);
    if (stored !== undefined && isSame(user, stored)) return;
    writes += 1;
    const changed = frozenCopy({ ...user, revision: String(writes) as Revision });
    users.set(user.id, changed);
    store.onChanged(user.id, changed);
  }

  function holders(address: string): StoredUser[] {
    return [...users.values()]
      .filter(({ emailAddress, notifiedAs }) => emailAddress === address || notifiedAs === address)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  const store: SavableUsers = {
    operations,
    onChanged: () => {},
    remove: (id) => void users.delete(id),
    overwrite(id, patch) {
      const stored = users.get(id);
      if (stored !== undefined) write(patched(stored, patch));
    },
    find: (id) => Promise.resolve(read(users.get(id))),

    exists(id) {
      operations.reads += 1;
      return Promise.resolve(users.has(id));
    },

    findByEmailAddress: (address) => Promise.resolve(read(latestHolder(holders(address)))),

    findByTokenDigest(by, digests) {
      const found = [...users.values()]
        .filter(({ grant }) => digests.includes(grant.refreshTokenDigests?.[by] ?? ""))
        .slice(0, 2);
      if (found.length === 0) operations.reads += 1;
      return Promise.resolve(found.map(read).filter((user) => user !== undefined));
    },

    listByEmailAddress(address) {
      const held = holders(address);
      if (held.length === 0) operations.reads += 1;
      return Promise.resolve(held.map(read).filter((it) => it !== undefined));
    },

    listBehind({ from = new Date(0), upTo }, limit) {
      const behind = [...users.values()]
        .map((user) => ({ user, at: user.sync.behindSince }))
        .filter((entry): entry is { user: StoredUser; at: Date } => entry.at !== undefined)
        .filter(({ at }) => at >= from && at <= upTo)
        .sort((a, b) => compare(a, b))
        .slice(0, limit);
      if (behind.length === 0) operations.reads += 1;
      return Promise.resolve(behind.map(({ user }) => read(user)).filter((it) => it !== undefined));
    },

    listDue(list, { upTo, beyond }, limit, after) {
      const page = [...users.values()]
        .map((user) => ({ user, at: dateOf(user, list) }))
        .filter((entry): entry is { user: StoredUser; at: Date } => entry.at !== undefined)
        .filter(({ at }) => at <= upTo || at > beyond)
        .sort((a, b) => compare(a, b))
        .filter((entry) => after === undefined || compare(entry, toEntry(after)) > 0)
        .slice(0, limit);
      if (page.length === 0) operations.reads += 1;
      const last = page.length < limit ? undefined : page.at(-1);
      return Promise.resolve({
        users: page.map(({ user }) => read(user)).filter((it) => it !== undefined),
        unreadable: [],
        readAt: clock.now(),
        ...(last !== undefined && { next: toCursor(last.at, last.user.id) }),
      });
    },

    // Everything here can be read.
    postpone: () => Promise.resolve("refused"),

    listAll(after = "" as UserId, limit) {
      const page = [...users.values()]
        .filter(({ id }) => id > after)
        .sort((a, b) => (a.id < b.id ? -1 : 1))
        .slice(0, limit);
      if (page.length === 0) operations.reads += 1;
      return Promise.resolve({
        users: page.map((user) => read(user)).filter((it) => it !== undefined),
        unreadable: [],
      });
    },

    update(user, patch, kept = []) {
      const stored = users.get(user.id);
      if (stored === undefined || stored.revision !== user.revision) {
        return Promise.resolve("refused");
      }
      write(patched(stored, patch));
      const own = changes.get(user.id) ?? new Map<string, StoredChange>();
      for (const change of kept) own.set(change.id.replaceAll("/", ":"), frozenCopy(change));
      changes.set(user.id, own);
      return Promise.resolve(users.get(user.id)?.revision ?? stored.revision);
    },

    keepMissing(user, kept) {
      if (users.get(user.id)?.revision !== user.revision) return Promise.resolve("refused");
      const own = changes.get(user.id) ?? new Map<string, StoredChange>();
      for (const change of kept) {
        const id = change.id.replaceAll("/", ":");
        if (!own.has(id)) own.set(id, frozenCopy(change));
      }
      changes.set(user.id, own);
      return Promise.resolve("written");
    },

    noteFlagging(id, at) {
      operations.writes += 1;
      flaggings.set(id, at);
      return Promise.resolve();
    },

    countFlaggings(after) {
      operations.reads += 1;
      return Promise.resolve([...flaggings.values()].filter((at) => at > after).length);
    },

    countActive() {
      operations.reads += 1;
      const active = [...users.values()].filter(({ sync }) => sync.dueAt !== undefined);
      return Promise.resolve(active.length);
    },

    readFleetGuard() {
      operations.reads += 1;
      return Promise.resolve(guard && structuredClone(guard));
    },

    writeFleetGuard(state) {
      operations.writes += 1;
      guard = structuredClone(state);
      return Promise.resolve();
    },

    authorize(id, make) {
      const stored = read(users.get(id));
      if (stored === undefined) operations.reads += 1;
      write({ ...make(stored, (stored?.grant.generation ?? floor) + 1, readTimes()), id });
      const user = read(users.get(id));
      if (user === undefined) throw new Error("just written");
      return Promise.resolve(user);
    },

    create(id, make) {
      operations.reads += 1;
      if (users.has(id)) return Promise.resolve(undefined);
      write({ ...make(floor + 1, readTimes()), id });
      return Promise.resolve(read(users.get(id)));
    },

    erase({ id, revision, grant }) {
      if (read(users.get(id))?.revision !== revision) return Promise.resolve("refused");
      operations.reads += 1;
      if (grant.generation > floor) operations.writes += 1;
      floor = Math.max(floor, grant.generation);
      operations.writes += 1 + (changes.get(id)?.size ?? 0);
      changes.delete(id);
      users.delete(id);
      store.onChanged(id, undefined);
      return Promise.resolve("erased");
    },

    save: () => ({ users, changes, flaggings, guard, writes, floor }),

    load(saved) {
      for (const [id, user] of saved.users) users.set(id, frozenCopy(user));
      for (const [id, own] of saved.changes) changes.set(id, new Map(own));
      for (const [id, at] of saved.flaggings) flaggings.set(id, at);
      ({ guard, writes, floor } = saved);
    },

    dump: () => ({
      users: [...users.values()],
      changes: Object.fromEntries([...changes].map(([id, own]) => [id, [...own.values()]])),
    }),
  };
  return store;
}

interface DueEntry {
  user: { id: string };
  at: Date;
}

function compare(a: DueEntry, b: DueEntry): number {
  const between = a.at.getTime() - b.at.getTime();
  return between || (a.user.id < b.user.id ? -1 : Number(a.user.id > b.user.id));
}

/** The same as a Firestore store's, so that the two can be walked side by side. */
function toCursor(at: Date, id: string): DueCursor {
  const ms = at.getTime();
  return `${Math.floor(ms / 1_000)}.${(ms % 1_000) * 1_000_000}/${id}` as DueCursor;
}

function toEntry(cursor: DueCursor): DueEntry {
  const [, seconds, nanoseconds, id = ""] = /^(\d+)\.(\d+)\/(.*)$/.exec(cursor) ?? [];
  const at = new Date(Number(seconds) * 1_000 + Number(nanoseconds) / 1_000_000);
  return { at, user: { id } };
}

function dateOf({ watch, sync, followUp }: StoredUser, list: DueList): Date | undefined {
  switch (list) {
    case "watch.renewAt":
      return watch.renewAt;
    case "sync.dueAt":
      return sync.dueAt;
    case "followUp.dueAt":
      return followUp.dueAt;
  }
}

/** What two versions share, as most of a document that is patched, need not be compared. */
function isSame(user: Omit<StoredUser, "revision">, stored: StoredUser): boolean {
  const before: Readonly<Record<string, unknown>> = { ...stored };
  const after: Readonly<Record<string, unknown>> = { ...user, revision: stored.revision };
  const names = Object.keys(after);
  if (names.length !== Object.keys(before).length) return false;
  return names.every(
    (name) =>
      Object.hasOwn(before, name) &&
      (before[name] === after[name] || isDeepStrictEqual(before[name], after[name])),
  );
}
