import type { Clock } from "../../functions/src/domain/clock.ts";
import type { ReadTimes, User, UserStore } from "../../functions/src/domain/user.ts";

/** The store as an instance with a clock of its own reads it; the store's time stays the store's. */
export function askedBy(users: UserStore, clock: Pick<Clock, "now">): UserStore {
  return withReadTimes(users, () => {
    const localAt = clock.now();
    return ({ at }) => ({ at, localAt, receivedAt: clock.now() });
  });
}

/** A store whose own time is this clock's: for tests that move time. */
export function inTimeOf(users: UserStore, clock: Pick<Clock, "now">): UserStore {
  return withReadTimes(users, () => {
    const at = clock.now();
    return () => ({ at, localAt: at, receivedAt: clock.now() });
  });
}

const SAME = new Date(0);

/** For comparing what was read at different times. */
export function timeless(users: UserStore): UserStore {
  return withReadTimes(users, () => () => ({ at: SAME, localAt: SAME, receivedAt: SAME }));
}

/** `begin` is called before each read; what it returns makes the times of what was read. */
function withReadTimes(users: UserStore, begin: () => (read: ReadTimes) => ReadTimes): UserStore {
  type Stamp = <T extends User | undefined>(user: T) => T;

  type Times = (read: ReadTimes) => ReadTimes;

  async function reading<T>(read: (stamp: Stamp, times: Times) => Promise<T>): Promise<T> {
    const times = begin();
    return read((user) => user && { ...user, read: times(user.read) }, times);
  }

  return {
    ...users,
    find: (id) => reading(async (stamp) => stamp(await users.find(id))),
    findByEmailAddress: (address) =>
      reading(async (stamp) => stamp(await users.findByEmailAddress(address))),
    findByTokenDigest: (by, digests) =>
      reading(async (stamp) =>
        (await users.findByTokenDigest(by, digests)).map((user) => stamp(user)),
      ),
    listByEmailAddress: (address) =>
      reading(async (stamp) =>
        (await users.listByEmailAddress(address)).map((user) => stamp(user)),
      ),
    listBehind: (range, limit) =>
      reading(async (stamp) => (await users.listBehind(range, limit)).map((user) => stamp(user))),
    listDue: (list, range, limit, after) =>
      reading(async (stamp) => {
        const page = await users.listDue(list, range, limit, after);
        return { ...page, users: page.users.map((user) => stamp(user)) };
      }),
    listAll: (after, limit) =>
      reading(async (stamp) => {
        const page = await users.listAll(after, limit);
        return { ...page, users: page.users.map((user) => stamp(user)) };
      }),
    authorize: (id, make) =>
      reading(async (stamp, times) =>
        stamp(
          await users.authorize(id, (stored, generation, read) =>
            make(stamp(stored), generation, times(read)),
          ),
        ),
      ),
    create: (id, make) =>
      reading(async (stamp, times) =>
        stamp(await users.create(id, (generation, read) => make(generation, times(read)))),
      ),
  };
}
