import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../functions/src/domain/clock.ts";
import type {
  ReadTimes,
  Revision,
  User,
  UserId,
  UserStore,
  UserVersion,
} from "../../functions/src/domain/user.ts";
import { type MemoryUsers, memoryUsers } from "../support/memory-users.ts";

export interface PairedUsers extends MemoryUsers {
  /** Every operation whose two answers were not the same. */
  differences: string[];
}

/**
 * Users in memory and in another store at once. Each operation is performed in both; the answers
 * are compared, and it is the other store's that count. Time has to stand still until `hold` lets
 * it go on, so that one operation ends before the next begins.
 */
export function pairedUsers(
  other: UserStore,
  hold: (work: Promise<unknown>) => void,
  clock: Pick<Clock, "now">,
): PairedUsers {
  const memory = memoryUsers(clock);
  const differences: string[] = [];
  /** The revision in memory of a document that was read from the other store. */
  const revisions = new Map<string, Revision>();

  function inMemory<T extends UserVersion>(user: T): T {
    const revision = revisions.get(`${user.id} ${user.revision}`) ?? ("unknown" as Revision);
    return { ...user, revision };
  }

  function pair(mine: User | undefined, theirs: User | undefined): void {
    if (mine === undefined || theirs === undefined) return;
    revisions.set(`${theirs.id} ${theirs.revision}`, mine.revision);
    // Firestore's time is the real one.
    theirs.read = mine.read;
  }

  /** The other store's answer, once both are there. */
  function both<T>(
    operation: string,
    mine: Promise<T>,
    theirs: Promise<T>,
    usersIn: (answer: T) => readonly (User | undefined)[],
  ): Promise<T> {
    const answer = Promise.all([mine, theirs]).then(([expected, actual]) => {
      for (const [index, user] of usersIn(expected).entries()) pair(user, usersIn(actual)[index]);
      if (!isDeepStrictEqual(comparable(expected), comparable(actual))) {
        const [inMemoryIs, is] = [expected, actual].map((it) => JSON.stringify(comparable(it)));
        differences.push(`${operation}: ${is}, in memory ${inMemoryIs}`);
      }
      return actual;
    });
    hold(answer);
    return answer;
  }

  /** The times of a read from the other store: Firestore's time is the real one. */
  function readNow(): ReadTimes {
    const at = clock.now();
    return { at, localAt: at, receivedAt: at };
  }

  const nobody = () => [];

  return {
    differences,
    operations: memory.operations,
    dump: memory.dump,
    remove: (id: UserId) => memory.remove(id),
    overwrite: (id, patch) => memory.overwrite(id, patch),

    find: (id) => both("find", memory.find(id), other.find(id), (user) => [user]),

    exists: (id) => both("exists", memory.exists(id), other.exists(id), nobody),

    findByEmailAddress: (address) =>
      both(
        "findByEmailAddress",
        memory.findByEmailAddress(address),
        other.findByEmailAddress(address),
        (user) => [user],
      ),

    findByTokenDigest: (by, digests) =>
      both(
        `findByTokenDigest ${by}`,
        memory.findByTokenDigest(by, digests),
        other.findByTokenDigest(by, digests),
        (users) => users,
      ),

    listByEmailAddress: (address) =>
      both(
        "listByEmailAddress",
        memory.listByEmailAddress(address),
        other.listByEmailAddress(address),
        (users) => users,
      ),

    listDue(list, range, limit, after) {
      const mine = memory.listDue(list, range, limit, after);
      // Firestore's time is the real one.
      const theirs = other
        .listDue(list, range, limit, after)
        .then(async (page) => ({ ...page, readAt: (await mine).readAt }));
      return both(`listDue ${list}`, mine, theirs, (page) => page.users);
    },

    postpone: (list, document, dueAt) =>
      both("postpone", memory.postpone(list, document, dueAt), Promise.resolve("refused"), nobody),

    listBehind: (range, limit) =>
      both(
        "listBehind",
        memory.listBehind(range, limit),
        other.listBehind(range, limit),
        (users) => users,
      ),

    listAll: (after, limit) =>
      both(
        "listAll",
        memory.listAll(after, limit),
        other.listAll(after, limit),
        ({ users }) => users,
      ),

    async update(user, patch, changes) {
      const answers = Promise.all([
        memory.update(inMemory(user), patch, changes),
        other.update(user, patch, changes),
      ]);
      hold(answers);
      const [mine, theirs] = await answers;
      if ((mine === "refused") !== (theirs === "refused")) {
        differences.push(`update: ${theirs}, in memory ${mine}`);
      } else if (mine !== "refused") revisions.set(`${user.id} ${theirs}`, mine);
      return theirs;
    },

    keepMissing: (user, changes) =>
      both(
        "keepMissing",
        memory.keepMissing(inMemory(user), changes),
        other.keepMissing(user, changes),
        nobody,
      ),

    noteFlagging: (id, at) =>
      both("noteFlagging", memory.noteFlagging(id, at), other.noteFlagging(id, at), nobody),

    countFlaggings: (after) =>
      both("countFlaggings", memory.countFlaggings(after), other.countFlaggings(after), nobody),

    countActive: () => both("countActive", memory.countActive(), other.countActive(), nobody),

    readFleetGuard: () =>
      both("readFleetGuard", memory.readFleetGuard(), other.readFleetGuard(), nobody),

    writeFleetGuard: (state) =>
      both("writeFleetGuard", memory.writeFleetGuard(state), other.writeFleetGuard(state), nobody),

    authorize(id, make) {
      const theirs = other.authorize(id, (stored, generation) =>
        make(stored, generation, readNow()),
      );
      return both("authorize", memory.authorize(id, make), theirs, (user) => [user]);
    },

    create(id, make) {
      const theirs = other.create(id, (generation) => make(generation, readNow()));
      return both("create", memory.create(id, make), theirs, (user) => [user]);
    },

    erase: (user) => both("erase", memory.erase(inMemory(user)), other.erase(user), nobody),
  };
}

/** Revisions, and the times of reads, are each store's own. */
function comparable(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(comparable);
  if (typeof answer !== "object" || answer === null || answer instanceof Date) return answer;
  const members = Object.entries(answer).filter(([name]) => name !== "revision" && name !== "read");
  return Object.fromEntries(members.map(([name, value]) => [name, comparable(value)]));
}
