import type { Clock } from "../../functions/src/domain/clock.ts";
import {
  type DueCursor,
  type DueList,
  type User,
  type UserId,
  type UserStore,
  latestHolder,
} from "../../functions/src/domain/user.ts";
import {
  type Entry,
  type Key,
  type KeyRange,
  type StubIndex,
  createIndex,
} from "../bench/stub-index.ts";
import { type StoredUser, memoryUsers } from "../support/memory-users.ts";

/** What is looked up by an index; the store in memory looks at every user instead. */
const KEYS = {
  "watch.renewAt": ({ watch }) => watch.renewAt?.getTime(),
  "sync.dueAt": ({ sync }) => sync.dueAt?.getTime(),
  "followUp.dueAt": ({ followUp }) => followUp.dueAt?.getTime(),
  "sync.behindSince": ({ sync }) => sync.behindSince?.getTime(),
  emailAddress: ({ emailAddress }) => emailAddress,
  id: ({ id }) => id,
} as const satisfies Record<string, (user: StoredUser) => Key | undefined>;

type Field = keyof typeof KEYS;

/** The store in memory, with an index for each query of a fleet: no notified address differs here. */
export function indexedUsers(clock: Pick<Clock, "now">): UserStore {
  const users = memoryUsers(clock);
  const { find } = users;
  /** Made by the first query of the field. */
  const indexes = new Map<Field, StubIndex>();
  const stored = new Map<UserId, StoredUser>();

  users.onChanged = (id, next) => {
    const before = stored.get(id);
    for (const [field, index] of indexes) {
      const [old, key] = [before, next].map((user) => user && KEYS[field](user));
      if (old === key) continue;
      if (old !== undefined) index.remove(old, id);
      if (key !== undefined) index.add(key, id);
    }
    if (next === undefined) stored.delete(id);
    else stored.set(id, next);
  };

  async function read(ids: readonly string[]): Promise<User[]> {
    const found = await Promise.all(ids.map((id) => find(id as UserId)));
    return found.filter((user) => user !== undefined);
  }

  function indexOf(field: Field): StubIndex {
    const present = indexes.get(field);
    if (present !== undefined) return present;
    const keyed = [...stored.values()].map((user) => ({ key: KEYS[field](user), name: user.id }));
    const index = createIndex(
      keyed.flatMap(({ key, name }) => (key === undefined ? [] : [{ key, name }])),
    );
    indexes.set(field, index);
    return index;
  }

  function idsIn(field: Field, range: KeyRange, limit: number, after?: Entry): string[] {
    return indexOf(field).names(range, limit, after);
  }

  return {
    ...users,
    async listByEmailAddress(address) {
      return read(idsIn("emailAddress", { from: address, to: address }, 20));
    },
    async findByEmailAddress(address) {
      return latestHolder(await read(idsIn("emailAddress", { from: address, to: address }, 20)));
    },
    async listBehind({ from, upTo }, limit) {
      return read(idsIn("sync.behindSince", { from: from?.getTime(), to: upTo.getTime() }, limit));
    },
    async listDue(list, { upTo, beyond }, limit, after) {
      const place = after === undefined ? undefined : toPlace(after);
      const come = idsIn(list, { to: upTo.getTime() }, limit, place);
      const ahead = { from: beyond.getTime() + 1 };
      const ids = [...come, ...idsIn(list, ahead, limit - come.length, place)];
      const last = ids.length < limit ? undefined : stored.get(ids.at(-1) as UserId);
      return {
        users: await read(ids),
        unreadable: [],
        readAt: clock.now(),
        ...(last !== undefined && { next: toCursor(list, last) }),
      };
    },
    async listAll(after, limit) {
      const place = after === undefined ? undefined : { key: after, name: after };
      return { users: await read(idsIn("id", {}, limit, place)), unreadable: [] };
    },
    async countActive() {
      return indexOf("sync.dueAt").count({});
    },
  };
}

function toCursor(list: DueList, user: StoredUser): DueCursor {
  return `${KEYS[list](user)}/${user.id}` as DueCursor;
}

function toPlace(cursor: DueCursor): Entry {
  const end = cursor.indexOf("/");
  return { key: Number(cursor.slice(0, end)), name: cursor.slice(end + 1) };
}
