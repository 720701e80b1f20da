import {
  type Sealed,
  type DueCursor,
  type DueList,
  type StoredChange,
  type User,
  type UserContent,
  type UserId,
  type UserPatch,
  type UserStore,
  parseUserId,
} from "../../functions/src/domain/user.ts";
import type { Firestore } from "@google-cloud/firestore";
import { Timestamp } from "@google-cloud/firestore";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Clock } from "../../functions/src/domain/clock.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { type EmailAddress, parseEmailAddress } from "../../functions/src/domain/email-address.ts";
import { type HistoryId, parseHistoryId } from "../../functions/src/domain/history-id.ts";
import { isStoreError } from "../../functions/src/platform/store-error.ts";
import { firestoreUsers } from "../../functions/src/store/users.ts";
import { firestoreForTests } from "../support/emulator-for-tests.ts";
import { openDatabase } from "../support/firestore-emulator.ts";
import { memoryUsers } from "../support/memory-users.ts";
import { askedBy, timeless } from "../support/read-times.ts";

/** An empty store, and what an operator could do to it past the interface. */
interface Subject {
  users: UserStore;
  /** The kept changes of a user by document id, as a reader of the database finds them. */
  changes(id: UserId): Promise<Record<string, Omit<StoredChange, "id">>>;
  remove(id: UserId): Promise<void>;
  close(): Promise<void>;
}

/** The clock of the instance that asks; the store has its own. */
type LocalClock = Pick<Clock, "now">;

const CLOCK: LocalClock = { now: () => new Date() };

function openMemory(clock = CLOCK): Subject {
  const users = memoryUsers();
  return {
    users: askedBy(users, clock),
    changes(id) {
      const kept = users.dump().changes[id] ?? [];
      const entries = kept.map(({ id: changeId, ...change }) => [
        changeId.replaceAll("/", ":"),
        change,
      ]);
      return Promise.resolve(Object.fromEntries(entries));
    },
    remove: (id) => Promise.resolve(users.remove(id)),
    close: () => Promise.resolve(),
  };
}

function openFirestore(database: Firestore, lines: string[] = [], clock = CLOCK): Subject {
  const documents = database.collection("users");
  return {
    users: firestoreUsers(
      database,
      createLog((line) => void lines.push(line)),
      clock,
    ),
    async changes(id) {
      const { docs } = await documents.doc(id).collection("changes").get();
      const entries = docs.map((document) => {
        const { time, ...change } = document.data();
        return [document.id, { ...change, time: (time as Timestamp).toDate() }];
      });
      return Object.fromEntries(entries);
    },
    remove: async (id) => void (await documents.doc(id).delete()),
    close: () => database.terminate(),
  };
}

const ADA = address("ada@example.com");
const NOW = new Date("2026-11-20T12:00:00.000Z");
/** What is due now, with no date that is taken for a mistake. */
const UP_TO_NOW = { upTo: NOW, beyond: new Date("2100-01-01") };
const DUE_LISTS: readonly DueList[] = ["watch.renewAt", "sync.dueAt", "followUp.dueAt"];

function address(text: string): EmailAddress {
  const parsed = parseEmailAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

function at(text: string): HistoryId {
  const parsed = parseHistoryId(text);
  if (parsed === undefined) throw new Error(`not a history id: ${text}`);
  return parsed;
}

function sub(text: string): UserId {
  const parsed = parseUserId(text);
  if (parsed === undefined) throw new Error(`not a user id: ${text}`);
  return parsed;
}

function minutes(count: number): Date {
  return new Date(NOW.getTime() + count * 60_000);
}

type Content = UserContent;

/** A user with nothing that may be absent. */
function plain(over: Partial<Content> = {}): Content {
  return {
    emailAddress: ADA,
    status: "active",
    statusReason: "authorized",
    statusAt: NOW,
    grant: { generation: 1, scopes: ["openid"], grantedAt: NOW },
    historyId: at("1000"),
    watch: { failures: 0 },
    sync: { retries: 0, recent: [] },
    followUp: { failures: 0 },
    ...over,
  };
}

/** A user with every field that there is. Times to the millisecond, an id beyond 2^53. */
/** The same with every optional member, also of the members. */
type Complete<T> = T extends Date | string | number | boolean | readonly unknown[]
  ? T
  : { [Key in keyof T]-?: Complete<NonNullable<T[Key]>> };

/** Every field and member there is: one that is added to the document has to be in it, too. */
const FULL: Complete<Content> = {
  emailAddress: ADA,
  notifiedAs: address("a.da@gmail.com"),
  addressSince: new Date("2026-10-01T08:00:00.001Z"),
  status: "active",
  statusReason: "reauthorized",
  statusAt: new Date("2026-11-20T11:59:59.123Z"),
  grant: {
    generation: 7,
    scopes: ["openid", "https://www.googleapis.com/auth/gmail.metadata"],
    clientId: "1234.apps.googleusercontent.com",
    refreshToken: "v1.local.aXY.cmVmcmVzaA.dGFn" as Sealed,
    accessToken: "v1.local.aXY.YWNjZXNz.dGFn" as Sealed,
    accessTokenExpiresAt: minutes(59),
    refreshTokenDigests: { prefix: "cHJlZml4", doubleHash: "aGFzaA" },
    grantedAt: minutes(-60),
  },
  historyId: at("9007199254740993"),
  watch: { expiresAt: minutes(7 * 24 * 60), renewAt: minutes(24 * 60), failures: 2 },
  sync: {
    dueAt: minutes(6 * 60),
    dueReason: "throttled",
    retries: 3,
    notifiedHistoryId: at("18446744073709551615"),
    notifiedAt: minutes(-3),
    recent: [
      { historyId: at("9007199254740994"), at: minutes(-1) },
      { historyId: at("9007199254740995"), at: minutes(0), isHead: true },
      { historyId: at("9007199254740996"), at: minutes(0), isNotified: true },
    ],
    isNotifiedAhead: true,
    highestHead: at("9007199254740997"),
    syncedAt: minutes(-2),
    unannounced: { at: minutes(-4), changes: 2 },
    recovery: {
      fromHistoryId: at("9007199254740990"),
      toHistoryId: at("9007199254740999"),
      reason: "history_expired",
      since: minutes(-9),
      listing: 1,
      pages: [{ firstMessageId: "18f" }, { token: "17", firstMessageId: "18e" }],
      isWalked: true,
      pinnedAt: minutes(-8),
      unnoted: 3,
      oldPages: 1,
      toldUpTo: ["18d", "18c"],
      newest: ["19a", "19b"],
      untold: ["19b"],
      refusals: 2,
      isTold: false,
    },
    recoveries: { count: 2, at: minutes(-8) },
    cursorRefusals: { count: 1, since: minutes(-1) },
    failure: {
      since: minutes(-50),
      at: minutes(-1),
      family: "mailbox",
      reason: "forbidden",
      count: 6,
      call: "history.list",
    },
    behindSince: minutes(-50),
    delayedAt: minutes(-20),
  },
  followUp: {
    dueAt: minutes(5),
    announced: { status: "reauthorization_required", generation: 6 },
    episode: 2,
    notices: { generation: 6, sent: 2, isOver: true },
    failures: 1,
  },
  connectedAt: minutes(-90),
  tags: { team: "blue" },
  language: "de",
  snapshot: {
    id: "1764000000000",
    since: minutes(-9_000),
    upToHistoryId: at("9007199254740980"),
    requestedAt: minutes(-90),
    messages: 1_200,
    listing: 1,
    token: "17",
    edge: ["18a", "18b"],
    isSeeking: true,
    oldPages: 1,
    failure: {
      since: minutes(-40),
      at: minutes(-2),
      family: "throttled",
      reason: "rateLimitExceeded",
      count: 4,
      call: "messages.list",
    },
    completedAt: minutes(-10),
    failedAt: minutes(-9),
  },
  signedOutAt: minutes(-70),
};

function put(users: UserStore, id: string, content: Content): Promise<User> {
  return users.authorize(sub(id), () => content);
}

async function read(users: UserStore, id: string): Promise<User> {
  const user = await users.find(sub(id));
  if (user === undefined) throw new Error(`no user ${id}`);
  return user;
}

/** A user who is due in one list at this time, and in no other. */
function dueIn(list: DueList, date: Date | undefined, name: string): Content {
  const due = date === undefined ? {} : { dueAt: date };
  const emailAddress = address(`${name}@example.com`);
  switch (list) {
    case "watch.renewAt": {
      const renewal = date === undefined ? {} : { renewAt: date };
      return plain({ emailAddress, watch: { failures: 0, ...renewal } });
    }
    case "sync.dueAt":
      return plain({ emailAddress, sync: { retries: 0, recent: [], ...due } });
    case "followUp.dueAt":
      return plain({ emailAddress, followUp: { failures: 0, ...due } });
  }
}

const firestore = firestoreForTests();

/** What every store of users does. Other tests rely on it and use the store in memory. */
describe.for([
  { store: "memory", isThere: true, open: openMemory },
  {
    store: "Firestore",
    isThere: firestore.isHad,
    open: (clock?: LocalClock) => openFirestore(openDatabase(firestore), [], clock),
  },
])("users in $store", ({ isThere, open }) => {
  describe.skipIf(!isThere)("a store", () => {
    let subject: Subject;
    let users: UserStore;

    beforeEach(() => {
      subject = open();
      users = timeless(subject.users);
    });
    afterEach(() => subject.close());

    describe("find", () => {
      it("returns undefined for an unknown user", async () => {
        expect(await users.find(sub("nobody"))).toBeUndefined();
        expect(await users.findByEmailAddress(ADA)).toBeUndefined();
      });

      it.each([
        ["every field that there is", FULL],
        ["no field that may be absent", plain()],
      ])("gives back exactly what was stored, with %s", async (_, content) => {
        const stored = await put(users, "1", content);
        const { id, revision, read: __, ...found } = await read(users, "1");
        expect(found).toStrictEqual(content);
        expect(id).toBe("1");
        expect(revision).toBe(stored.revision);
        expect(await users.findByEmailAddress(ADA)).toStrictEqual(stored);
      });
    });

    describe("the time of a read", () => {
      const BEHIND_MS = 600_000;
      let own: Subject;
      beforeEach(() => {
        own = open({ now: () => new Date(Date.now() - BEHIND_MS) });
      });
      afterEach(() => own.close());

      /** What the read brought, and whether its times are between those before and after it. */
      async function timed(act: (store: UserStore) => Promise<(Pick<User, "read"> | undefined)[]>) {
        const before = Date.now();
        const found = await act(own.users);
        const after = Date.now();
        return found.map((user) => {
          if (user === undefined) throw new Error("nothing was read");
          const { at: readAt, localAt, receivedAt } = user.read;
          return {
            isOfTheStore: readAt.getTime() >= before && readAt.getTime() <= after,
            isOfTheInstance:
              localAt.getTime() >= before - BEHIND_MS &&
              localAt <= receivedAt &&
              receivedAt.getTime() <= after - BEHIND_MS,
          };
        });
      }

      const both = { isOfTheStore: true, isOfTheInstance: true };

      it.each<[string, (store: UserStore) => Promise<(User | undefined)[]>]>([
        ["find", async (store) => [await store.find(sub("1"))]],
        ["findByEmailAddress", async (store) => [await store.findByEmailAddress(ADA)]],
        ["listByEmailAddress", (store) => store.listByEmailAddress(ADA)],
        ["findByTokenDigest", (store) => store.findByTokenDigest("prefix", ["cHJlZml4"])],
        [
          "listDue",
          async (store) => {
            const range = { ...UP_TO_NOW, upTo: minutes(9 * 60) };
            return [...(await store.listDue("sync.dueAt", range, 10)).users];
          },
        ],
        ["listAll", async (store) => (await store.listAll(undefined, 10)).users],
      ])("is the store's, and the instance's before and after, from %s", async (_, act) => {
        await put(own.users, "1", FULL);
        expect(await timed(act)).toEqual([both]);
      });

      it("is set on the result of authorize and on the user that it replaces", async () => {
        await put(own.users, "1", FULL);
        let seen: User | undefined;
        const taken = await timed(async (store) => {
          const user = await store.authorize(sub("1"), (stored) => {
            seen = stored;
            return plain();
          });
          return [user, seen];
        });
        expect(taken).toEqual([both, both]);
      });

      it("is known to authorize and create, even if the document does not exist", async () => {
        const taken = await timed(async (store) => {
          const seen: Pick<User, "read">[] = [];
          await store.authorize(sub("1"), (_, __, times) => {
            seen.push({ read: times });
            return plain();
          });
          await store.create(sub("2"), (_, times) => {
            seen.push({ read: times });
            return plain();
          });
          return seen;
        });
        expect(taken).toEqual([both, both]);
      });

      it("never goes back, and is not stored", async () => {
        const first = await put(own.users, "1", FULL);
        const second = await read(own.users, "1");
        expect(second.read.at >= first.read.at).toBe(true);
        expect(await own.users.update(second, { statusReason: "why" })).not.toBe("refused");
        const { id: _, revision: __, read: ___, ...content } = await read(own.users, "1");
        expect(content).toStrictEqual({ ...FULL, statusReason: "why" });
      });
    });

    describe("exists", () => {
      it("is true for a stored user until the document is gone", async () => {
        expect(await users.exists(sub("1"))).toBe(false);
        await put(users, "1", plain());
        expect(await users.exists(sub("1"))).toBe(true);
        await subject.remove(sub("1"));
        expect(await users.exists(sub("1"))).toBe(false);
      });
    });

    describe("findByEmailAddress", () => {
      it("finds the user who is not disconnected", async () => {
        const gone = { status: "disconnected", statusReason: "user_request" } as const;
        await put(users, "1", plain(gone));
        await put(users, "2", plain());
        await put(users, "3", plain({ emailAddress: address("bob@example.com") }));
        expect((await users.findByEmailAddress(ADA))?.id).toBe("2");
      });

      it("finds no user once the holder is disconnected", async () => {
        await users.update(await put(users, "1", plain()), { status: "disconnected" });
        expect(await users.findByEmailAddress(ADA)).toBeUndefined();
      });

      it.each(["reauthorization_required", "mailbox_unavailable"] as const)(
        "finds a user whose status is %s",
        async (status) => {
          await put(users, "1", plain({ status }));
          expect((await users.findByEmailAddress(ADA))?.id).toBe("1");
        },
      );

      it("finds a user by the address that notifications name, too", async () => {
        const notifiedAs = address("ada@gmail.com");
        await put(users, "1", plain({ emailAddress: address("ada@googlemail.com"), notifiedAs }));
        expect((await users.findByEmailAddress(notifiedAs))?.id).toBe("1");
        expect((await users.findByEmailAddress(address("ada@googlemail.com")))?.id).toBe("1");
        await users.update(await read(users, "1"), { notifiedAs: undefined });
        expect(await users.findByEmailAddress(notifiedAs)).toBeUndefined();
        expect(await read(users, "1")).not.toHaveProperty("notifiedAs");
      });

      it("finds the latest of several users with one address", async () => {
        await put(users, "1", plain({ addressSince: minutes(1) }));
        await put(users, "3", plain({ addressSince: minutes(3) }));
        await put(users, "2", plain({ addressSince: minutes(2) }));
        // A document of an older version: its address was confirmed when the grant was given.
        await put(users, "0", plain());
        expect((await users.findByEmailAddress(ADA))?.id).toBe("3");
        await users.update(await read(users, "3"), { status: "disconnected" });
        expect((await users.findByEmailAddress(ADA))?.id).toBe("2");

        const emailAddress = address("bob@example.com");
        await put(users, "4", plain({ emailAddress, notifiedAs: ADA, addressSince: minutes(4) }));
        expect((await users.findByEmailAddress(ADA))?.id).toBe("4");
      });

      it("finds an address in every spelling of a notification", async () => {
        await put(users, "1", plain());
        expect((await users.findByEmailAddress(address("ADA@Example.COM")))?.id).toBe("1");
      });
    });

    describe("findByTokenDigest", () => {
      const withDigests = (name: string, prefix: string, doubleHash: string) =>
        plain({
          emailAddress: address(`${name}@example.com`),
          grant: {
            generation: 1,
            scopes: [],
            refreshTokenDigests: { prefix, doubleHash },
            grantedAt: NOW,
          },
        });
      const ids = async (...asked: Parameters<UserStore["findByTokenDigest"]>) =>
        (await users.findByTokenDigest(...asked)).map(({ id }) => id);

      it("finds the users whose token has any of the given digests", async () => {
        await put(users, "a", withDigests("a", "k1.p-a", "k1.h-a"));
        await put(users, "b", withDigests("b", "k2.p-b", "k2.h-b"));
        await put(users, "c", plain({ emailAddress: address("c@example.com") }));
        expect(await ids("prefix", ["k2.p-a", "k1.p-a"])).toEqual(["a"]);
        expect(await ids("doubleHash", ["k2.h-b"])).toEqual(["b"]);
        expect(await ids("doubleHash", ["k2.p-b", "k1.p-a"])).toEqual([]);
        expect(await ids("prefix", [])).toEqual([]);
      });

      it("splits digests over several queries", async () => {
        await put(users, "a", withDigests("a", "k99.p-a", "k99.h-a"));
        const digests = Array.from({ length: 100 }, (_, key) => `k${key}.p-a`);
        expect(await ids("prefix", digests)).toEqual(["a"]);
      });

      it("returns two of the users who share a digest, enough to know that it is ambiguous", async () => {
        for (const name of ["a", "b", "c"])
          await put(users, name, withDigests(name, "k1.p", "k1.h"));
        expect(await ids("prefix", ["k1.p"])).toHaveLength(2);
      });

      it("finds no user once the token is gone", async () => {
        const user = await put(users, "a", withDigests("a", "k1.p-a", "k1.h-a"));
        await users.update(user, { grant: { generation: 1, scopes: [], grantedAt: NOW } });
        expect(await ids("prefix", ["k1.p-a"])).toEqual([]);
      });
    });

    describe("listByEmailAddress", () => {
      it("lists every user who has or had the address, and no other", async () => {
        const gone = { status: "disconnected", statusReason: "address_moved" } as const;
        const emailAddress = address("bob@example.com");
        const holders = [
          await put(users, "1", plain(gone)),
          await put(users, "2", plain()),
          await put(users, "2b", plain({ emailAddress, notifiedAs: ADA })),
        ];
        await put(users, "3", plain({ emailAddress }));
        expect(await users.listByEmailAddress(ADA)).toStrictEqual(holders);
        expect(await users.listByEmailAddress(address("eve@example.com"))).toEqual([]);
      });
    });

    describe.each(DUE_LISTS)("listDue %s", (list) => {
      it("lists due users, the longest overdue first, up to the limit", async () => {
        await put(users, "a", dueIn(list, minutes(-1), "a"));
        await put(users, "b", dueIn(list, minutes(-3), "b"));
        await put(users, "c", dueIn(list, minutes(0), "c"));
        await put(users, "d", dueIn(list, minutes(-2), "d"));
        await put(users, "later", dueIn(list, new Date(NOW.getTime() + 1), "later"));
        await put(users, "never", dueIn(list, undefined, "never"));
        const ids = async (limit: number) =>
          (await users.listDue(list, UP_TO_NOW, limit)).users.map(({ id }) => id);
        expect(await ids(10)).toEqual(["b", "d", "a", "c"]);
        expect(await ids(2)).toEqual(["b", "d"]);
      });

      it("pages through the whole list, also where users share a date", async () => {
        for (const id of ["e", "b", "d", "a", "c"]) {
          await put(users, id, dueIn(list, minutes(id === "a" ? -2 : -1), id));
        }
        const walked: string[][] = [];
        let after: DueCursor | undefined;
        do {
          const page = await users.listDue(list, UP_TO_NOW, 2, after);
          walked.push(page.users.map(({ id }) => id));
          after = page.next;
        } while (after !== undefined);
        expect(walked).toEqual([["a", "b"], ["c", "d"], ["e"]]);
      });

      it("continues after users who moved back in the meantime", async () => {
        const first = await put(users, "a", dueIn(list, minutes(-3), "a"));
        await put(users, "b", dueIn(list, minutes(-2), "b"));
        await put(users, "c", dueIn(list, minutes(-1), "c"));
        const { next } = await users.listDue(list, UP_TO_NOW, 1);
        expect(next).toBeDefined();
        const { watch, sync, followUp } = dueIn(list, minutes(60), "a");
        await users.update(first, { watch, sync, followUp });
        const rest = await users.listDue(list, UP_TO_NOW, 10, next);
        expect(rest.users.map(({ id }) => id)).toEqual(["b", "c"]);
        expect(rest.next).toBeUndefined();
      });

      it("lists users with an absurd date after those who are due", async () => {
        const limit = minutes(60);
        await put(users, "absurd", dueIn(list, new Date(limit.getTime() + 1), "absurd"));
        await put(users, "later", dueIn(list, limit, "later"));
        await put(users, "now", dueIn(list, minutes(0), "now"));
        const range = { upTo: NOW, beyond: limit };
        const page = await users.listDue(list, range, 10);
        expect(page.users.map(({ id }) => id)).toEqual(["now", "absurd"]);
        const { next } = await users.listDue(list, range, 1);
        const rest = await users.listDue(list, range, 1, next);
        expect(rest.users.map(({ id }) => id)).toEqual(["absurd"]);
      });

      it("lists no user who is due only in another list", async () => {
        for (const other of DUE_LISTS.filter((each) => each !== list)) {
          const name = other.replace(".", "-");
          await put(users, name, dueIn(other, minutes(-1), name.toLowerCase()));
        }
        expect((await users.listDue(list, UP_TO_NOW, 10)).users).toEqual([]);
      });

      it("returns users as stored, so that they can be written", async () => {
        const stored = await put(users, "a", dueIn(list, minutes(-1), "a"));
        const [due] = (await users.listDue(list, UP_TO_NOW, 10)).users;
        expect(due).toStrictEqual(stored);
        expect(await users.update(stored, { historyId: at("1001") })).not.toBe("refused");
      });
    });

    describe("listAll", () => {
      const names = ["10", "9", "a", "B", "a-b", "_x"];
      const ordered = ["10", "9", "B", "_x", "a", "a-b"];

      beforeEach(async () => {
        for (const [index, name] of names.entries()) {
          const status = index % 2 === 0 ? "active" : "disconnected";
          await put(users, name, plain({ emailAddress: address(`u${index}@example.com`), status }));
        }
      });

      it("lists every user once, page by page, in the order of their ids", async () => {
        const pages: string[][] = [];
        let after: UserId | undefined;
        do {
          const { users: page } = await users.listAll(after, 2);
          pages.push(page.map(({ id }) => id));
          after = page.at(-1)?.id;
        } while (after !== undefined);
        expect(pages).toEqual([ordered.slice(0, 2), ordered.slice(2, 4), ordered.slice(4, 6), []]);
        expect((await users.listAll(undefined, 100)).users.map(({ id }) => id)).toEqual(ordered);
      });

      it("continues after an id that does not exist", async () => {
        await subject.remove(sub("B"));
        expect((await users.listAll(sub("B"), 2)).users.map(({ id }) => id)).toEqual(["_x", "a"]);
        expect((await users.listAll(sub("Zz"), 1)).users.map(({ id }) => id)).toEqual(["_x"]);
      });

      it("returns users as stored, so that they can be written", async () => {
        const {
          users: [first],
        } = await users.listAll(undefined, 1);
        expect(first).toStrictEqual(await read(users, "10"));
        expect(first && (await users.update(first, { historyId: at("1001") }))).not.toBe("refused");
      });
    });

    describe("update", () => {
      it("writes the fields of the patch and nothing else", async () => {
        const user = await put(users, "1", FULL);
        const patch = { historyId: at("2000"), statusReason: "why" };
        const written = await users.update(user, patch);
        const { id: _, revision, read: __, ...found } = await read(users, "1");
        expect(found).toStrictEqual({ ...FULL, ...patch });
        expect(revision).not.toBe(user.revision);
        expect(written).toBe(revision);
      });

      it("replaces a whole map: members that the patch omits are removed", async () => {
        const user = await put(users, "1", FULL);
        const grant = { generation: 7, scopes: [], grantedAt: NOW };
        await users.update(user, { grant, sync: { retries: 0, recent: [] } });
        const found = await read(users, "1");
        expect(found.grant).toStrictEqual(grant);
        expect(found.sync).toStrictEqual({ retries: 0, recent: [] });
        expect(found.watch).toStrictEqual(FULL.watch);
      });

      it.each([
        ["of another field", { watch: { failures: 9 } }],
        ["of the same field", { historyId: at("1500") }],
      ] as [string, UserPatch][])("refuses after a write %s", async (_, patch) => {
        const user = await put(users, "1", plain());
        expect(await users.update(user, patch)).not.toBe("refused");
        expect(await users.update(user, { historyId: at("2000") })).toBe("refused");
        const current = await read(users, "1");
        expect(current.historyId).not.toBe("2000");
        expect(await users.update(current, { historyId: at("2000") })).not.toBe("refused");
      });

      it("is refused after the user has authorized again", async () => {
        const user = await put(users, "1", plain());
        await put(users, "1", plain({ grant: { generation: 2, scopes: [], grantedAt: NOW } }));
        expect(await users.update(user, { status: "reauthorization_required" })).toBe("refused");
        expect((await read(users, "1")).status).toBe("active");
      });

      it("is refused when the document was deleted, and does not recreate it", async () => {
        const user = await put(users, "1", plain());
        await subject.remove(user.id);
        expect(await users.update(user, { historyId: at("2000") })).toBe("refused");
        expect(await users.find(user.id)).toBeUndefined();
      });

      it("lets exactly one checkpoint win of those that start from the same read", async () => {
        const user = await put(users, "1", plain());
        const cursors = [...Array(6).keys()].map((index) => at(String(2000 + index)));
        const outcomes = await Promise.all(
          cursors.map((historyId) => users.update(user, { historyId })),
        );
        const winners = cursors.filter((_, index) => outcomes[index] !== "refused");
        expect(winners).toHaveLength(1);
        expect((await read(users, "1")).historyId).toBe(winners[0]);
      });

      it("removes a user from the lists whose dates the patch omits", async () => {
        const { watch, sync } = FULL;
        const user = await put(users, "1", FULL);
        const { renewAt: _, ...watchKept } = watch;
        const { dueAt: __, dueReason: ___, ...syncKept } = sync;
        await users.update(user, {
          status: "reauthorization_required",
          watch: watchKept,
          sync: syncKept,
        });
        const far = minutes(365 * 24 * 60);
        const due = async (list: DueList) =>
          (await users.listDue(list, { upTo: far, beyond: far }, 10)).users;
        expect(await due("watch.renewAt")).toEqual([]);
        expect(await due("sync.dueAt")).toEqual([]);
        expect(await due("followUp.dueAt")).toHaveLength(1);
      });
    });

    describe("kept changes", () => {
      const changes: StoredChange[] = [
        {
          id: "1/1001/labels.added/18c",
          type: "mailbox.labels.added",
          time: NOW,
          data: { userId: "1", historyId: "1001", messageId: "18c", labelIds: ["INBOX", "UNREAD"] },
        },
        {
          id: "1/added/18d",
          type: "mailbox.message.added",
          time: minutes(1),
          data: { userId: "1", historyId: "1002", messageId: "18d", labelIds: [], recovered: true },
        },
      ];
      const kept = {
        "1:1001:labels.added:18c": withoutId(changes[0]),
        "1:added:18d": withoutId(changes[1]),
      };

      it("are written with the cursor, under the event's id", async () => {
        const user = await put(users, "1", plain());
        expect(await users.update(user, { historyId: at("1002") }, changes)).not.toBe("refused");
        expect(await subject.changes(user.id)).toEqual(kept);
        expect((await read(users, "1")).historyId).toBe("1002");
      });

      it("are not written when the cursor is refused", async () => {
        const user = await put(users, "1", plain());
        await users.update(user, { watch: { failures: 1 } });
        expect(await users.update(user, { historyId: at("1002") }, changes)).toBe("refused");
        expect(await subject.changes(user.id)).toEqual({});
      });

      it("are added where they are missing, and left unchanged where they exist", async () => {
        const user = await put(users, "1", plain());
        await users.update(user, { historyId: at("1002") }, changes);
        const poorer = changes.map((change) => ({ ...change, data: { poorer: true } }));
        const missing = { id: "1/added/18f", type: "mailbox.message.added", time: NOW, data: {} };
        const stored = await read(users, "1");
        expect(await users.keepMissing(stored, [...poorer, missing])).toBe("written");
        expect(await users.keepMissing(stored, [missing])).toBe("written");
        expect(await subject.changes(sub("1"))).toEqual({
          ...kept,
          "1:added:18f": withoutId(missing),
        });
        expect((await read(users, "1")).revision).toBe(stored.revision);
      });

      it("are added where they are missing, in more than one commit", async () => {
        const user = await put(users, "1", plain());
        const many = Array.from({ length: 450 }, (_, nth) => ({
          id: `1/added/${nth}`,
          type: "mailbox.message.added",
          time: NOW,
          data: {},
        }));
        expect(await users.keepMissing(user, many)).toBe("written");
        expect(Object.keys(await subject.changes(user.id))).toHaveLength(450);
      });

      it("are not added for a document that has changed or is gone", async () => {
        const user = await put(users, "1", plain());
        await users.update(user, { watch: { failures: 1 } });
        expect(await users.keepMissing(user, changes)).toBe("refused");
        expect(await users.erase(await read(users, "1"))).toBe("erased");
        expect(await users.keepMissing(user, changes)).toBe("refused");
        expect(await subject.changes(user.id)).toEqual({});
      });

      it("exist once, however often they are written", async () => {
        await users.update(await put(users, "1", plain()), { historyId: at("1002") }, changes);
        await users.update(await read(users, "1"), { historyId: at("1002") }, changes);
        expect(await subject.changes(sub("1"))).toEqual(kept);
      });

      it("fit into one write, as many as a page of history can have", async () => {
        const user = await put(users, "1", plain());
        const [change] = changes;
        const many = [...Array(1_200).keys()].map((index) => ({
          ...(change as StoredChange),
          id: `1/added/${index}`,
        }));
        expect(await users.update(user, { historyId: at("1002") }, many)).not.toBe("refused");
        expect(Object.keys(await subject.changes(user.id))).toHaveLength(many.length);
      });

      it("stay when the user authorizes again", async () => {
        await users.update(await put(users, "1", plain()), { historyId: at("1002") }, changes);
        await put(users, "1", plain());
        expect(await subject.changes(sub("1"))).toEqual(kept);
      });
    });

    describe("authorize", () => {
      it("stores a new user", async () => {
        const seen: (User | undefined)[] = [];
        const user = await users.authorize(sub("1"), (stored) => {
          seen.push(stored);
          return FULL;
        });
        expect(seen).toEqual([undefined]);
        expect(user).toStrictEqual(await read(users, "1"));
      });

      it("makes the new document from the stored one, and replaces it", async () => {
        const before = await put(users, "1", FULL);
        const user = await users.authorize(sub("1"), (stored, generation) => {
          expect(stored).toStrictEqual(before);
          return plain({ grant: { generation, scopes: [], grantedAt: NOW } });
        });
        expect(user.grant.generation).toBe(8);
        expect(user.grant.refreshToken).toBeUndefined();
        expect(user.notifiedAs).toBeUndefined();
        expect(user.sync).toStrictEqual({ retries: 0, recent: [] });
      });

      it("leaves every other user of the same address as it is", async () => {
        const holder = await put(users, "holder", FULL);
        await put(users, "new", plain());
        expect(await read(users, "holder")).toStrictEqual(holder);
      });

      it("counts both of two simultaneous authorizations of one account", async () => {
        const again = (stored: User | undefined) =>
          plain({
            grant: { generation: (stored?.grant.generation ?? 0) + 1, scopes: [], grantedAt: NOW },
          });
        await Promise.all([1, 2].map(() => users.authorize(sub("1"), again)));
        expect((await read(users, "1")).grant.generation).toBe(2);
      });
    });

    describe("create", () => {
      it("stores a new user, with the first generation", async () => {
        const user = await users.create(sub("1"), (generation) =>
          plain({ grant: { generation, scopes: [], grantedAt: NOW } }),
        );
        expect(user?.grant.generation).toBe(1);
        expect(user).toStrictEqual(await read(users, "1"));
      });

      it("leaves a stored user as it is", async () => {
        const before = await put(users, "1", FULL);
        expect(await users.create(sub("1"), () => plain())).toBeUndefined();
        expect(await read(users, "1")).toStrictEqual(before);
      });

      it("stores one of two simultaneous users of one account", async () => {
        const made = await Promise.all(
          ["1001", "1002"].map((id) => users.create(sub("1"), () => plain({ historyId: at(id) }))),
        );
        expect(made.filter((user) => user !== undefined)).toStrictEqual([await read(users, "1")]);
      });
    });

    describe("generations", () => {
      const generationOf = (id: string): Promise<number> =>
        users
          .authorize(sub(id), (_, generation) =>
            plain({
              emailAddress: address(`person${id}@example.com`),
              grant: { generation, scopes: [], grantedAt: NOW },
            }),
          )
          .then(({ grant }) => grant.generation);

      it("count from 1, for each user", async () => {
        expect([await generationOf("1"), await generationOf("1")]).toEqual([1, 2]);
        expect(await generationOf("2")).toBe(1);
      });

      it("never repeat for a user who was erased and is created again", async () => {
        expect([await generationOf("1"), await generationOf("1")]).toEqual([1, 2]);
        await users.erase(await read(users, "1"));
        const user = await users.create(sub("1"), (generation) =>
          plain({ grant: { generation, scopes: [], grantedAt: NOW } }),
        );
        expect(user?.grant.generation).toBe(3);
      });

      it("never repeat for a user who was erased and authorizes again", async () => {
        for (const expected of [1, 2, 3]) expect(await generationOf("1")).toBe(expected);
        expect(await users.erase(await read(users, "1"))).toBe("erased");
        expect(await generationOf("1")).toBe(4);
        expect(await users.erase(await read(users, "1"))).toBe("erased");
        expect([await generationOf("1"), await generationOf("1")]).toEqual([5, 6]);
      });

      it("are not raised by a refused erasure, and never lowered", async () => {
        const stale = await put(users, "1", FULL);
        await users.update(stale, { statusReason: "changed" });
        expect(await users.erase(stale)).toBe("refused");
        expect(await generationOf("2")).toBe(1);
        expect(await users.erase(await read(users, "1"))).toBe("erased");
        expect(await users.erase(await read(users, "2"))).toBe("erased");
        expect(await generationOf("2")).toBe(8);
      });
    });

    describe("erase", () => {
      const changes = [...Array(1_200).keys()].map((index) => ({
        id: `1/added/${index}`,
        type: "mailbox.message.added",
        time: NOW,
        data: { userId: "1" },
      }));

      it("deletes the user with everything below it, and no other user", async () => {
        const bob = await put(users, "2", plain({ emailAddress: address("bob@example.com") }));
        await users.update(bob, { historyId: at("1001") }, changes.slice(0, 2));
        await users.update(await put(users, "1", FULL), { historyId: at("1002") }, changes);
        expect(await users.erase(await read(users, "1"))).toBe("erased");
        expect(await users.find(sub("1"))).toBeUndefined();
        expect(await subject.changes(sub("1"))).toEqual({});
        expect((await read(users, "2")).historyId).toBe("1001");
        expect(Object.keys(await subject.changes(sub("2")))).toHaveLength(2);
      });

      it("is refused after any other write, and erases nothing", async () => {
        const user = await put(users, "1", plain());
        await users.update(user, { historyId: at("1002") }, changes.slice(0, 2));
        expect(await users.erase(user)).toBe("refused");
        expect((await read(users, "1")).historyId).toBe("1002");
        expect(Object.keys(await subject.changes(sub("1")))).toHaveLength(2);
      });

      it("is refused when the document is gone", async () => {
        const user = await put(users, "1", plain());
        await subject.remove(user.id);
        expect(await users.erase(user)).toBe("refused");
      });
    });
  });
});

function withoutId({ id: _, ...change }: StoredChange = { id: "", type: "", time: NOW, data: {} }) {
  return change;
}

/** What is seen only in the database itself, or comes only from there. */
describe.skipIf(!firestore.isHad)("users in Firestore, past the interface", () => {
  let db: Firestore;
  let lines: string[];
  let subject: Subject;
  let users: UserStore;

  beforeEach(() => {
    db = openDatabase(firestore);
    lines = [];
    subject = openFirestore(db, lines);
    ({ users } = subject);
  });
  afterEach(() => subject.close());

  it("are stored as documented: times as timestamps, history ids as strings", async () => {
    await put(users, "1", FULL);
    const time = (date: Date | undefined) => Timestamp.fromDate(date ?? new Date(Number.NaN));
    const { grant, watch, sync, followUp, snapshot } = FULL;
    expect((await db.doc("users/1").get()).data()).toStrictEqual({
      emailAddress: "ada@example.com",
      notifiedAs: "a.da@gmail.com",
      addressSince: time(FULL.addressSince),
      status: "active",
      statusReason: "reauthorized",
      statusAt: time(FULL.statusAt),
      grant: {
        generation: 7,
        scopes: ["openid", "https://www.googleapis.com/auth/gmail.metadata"],
        clientId: "1234.apps.googleusercontent.com",
        refreshToken: "v1.local.aXY.cmVmcmVzaA.dGFn",
        accessToken: "v1.local.aXY.YWNjZXNz.dGFn",
        accessTokenExpiresAt: time(grant.accessTokenExpiresAt),
        refreshTokenDigests: { prefix: "cHJlZml4", doubleHash: "aGFzaA" },
        grantedAt: time(grant.grantedAt),
      },
      historyId: "9007199254740993",
      watch: { expiresAt: time(watch.expiresAt), renewAt: time(watch.renewAt), failures: 2 },
      sync: {
        dueAt: time(sync.dueAt),
        dueReason: "throttled",
        retries: 3,
        notifiedHistoryId: "18446744073709551615",
        notifiedAt: time(sync.notifiedAt),
        recent: [
          { historyId: "9007199254740994", at: time(sync.recent[0]?.at) },
          { historyId: "9007199254740995", at: time(sync.recent[1]?.at), isHead: true },
          { historyId: "9007199254740996", at: time(sync.recent[2]?.at), isNotified: true },
        ],
        isNotifiedAhead: true,
        highestHead: "9007199254740997",
        syncedAt: time(sync.syncedAt),
        unannounced: { at: time(sync.unannounced.at), changes: 2 },
        recovery: {
          fromHistoryId: "9007199254740990",
          toHistoryId: "9007199254740999",
          reason: "history_expired",
          since: time(sync.recovery.since),
          listing: 1,
          pages: [{ firstMessageId: "18f" }, { token: "17", firstMessageId: "18e" }],
          isWalked: true,
          pinnedAt: time(sync.recovery.pinnedAt),
          unnoted: 3,
          oldPages: 1,
          toldUpTo: ["18d", "18c"],
          newest: ["19a", "19b"],
          untold: ["19b"],
          refusals: 2,
          isTold: false,
        },
        recoveries: { count: 2, at: time(sync.recoveries.at) },
        cursorRefusals: { count: 1, since: time(sync.cursorRefusals.since) },
        failure: {
          since: time(sync.failure.since),
          at: time(sync.failure.at),
          family: "mailbox",
          reason: "forbidden",
          count: 6,
          call: "history.list",
        },
        behindSince: time(sync.behindSince),
        delayedAt: time(sync.delayedAt),
      },
      followUp: {
        dueAt: time(followUp.dueAt),
        announced: { status: "reauthorization_required", generation: 6 },
        episode: 2,
        notices: { generation: 6, sent: 2, isOver: true },
        failures: 1,
      },
      connectedAt: time(FULL.connectedAt),
      tags: { team: "blue" },
      language: "de",
      snapshot: {
        id: "1764000000000",
        since: time(snapshot.since),
        upToHistoryId: "9007199254740980",
        requestedAt: time(snapshot.requestedAt),
        messages: 1_200,
        listing: 1,
        token: "17",
        edge: ["18a", "18b"],
        isSeeking: true,
        oldPages: 1,
        failure: {
          ...snapshot.failure,
          since: time(snapshot.failure.since),
          at: time(snapshot.failure.at),
        },
        completedAt: time(snapshot.completedAt),
        failedAt: time(snapshot.failedAt),
      },
      signedOutAt: time(FULL.signedOutAt),
    });
  });

  it("are patched field by field in the stored document", async () => {
    const user = await put(users, "1", FULL);
    await users.update(user, { watch: { failures: 0, renewAt: NOW } });
    const data = (await db.doc("users/1").get()).data();
    expect(data?.["watch"]).toStrictEqual({ failures: 0, renewAt: Timestamp.fromDate(NOW) });
    expect(Object.keys(data ?? {}).toSorted()).toEqual(Object.keys(FULL).toSorted());
  });

  it("store a burst of unsettled positions compactly, and return every one of them", async () => {
    const recent = Array.from({ length: 50_000 }, (_, index) => ({
      historyId: at(String(9_007_199_254_750_000n + BigInt(index) * 7n)),
      at: minutes(index % 3),
    }));
    const special = [
      { historyId: at("9007199254740995"), at: NOW, isNotified: true as const },
      { historyId: at("9007199255999999"), at: NOW, isHead: true as const },
    ];
    const [first, last] = special;
    const positions = [first, ...recent, last].filter((position) => position !== undefined);
    await put(users, "1", plain({ sync: { retries: 0, recent: positions } }));
    const { sync } = await read(users, "1");
    expect(sync.recent).toStrictEqual(positions);
    const stored = (await db.doc("users/1").get()).data()?.["sync"] as Record<string, unknown>;
    expect(stored["recent"]).toHaveLength(special.length);
    expect(String(stored["more"]).length).toBeLessThan(250_000);
    await users.update(await read(users, "1"), { sync: { ...sync, recent: special } });
    expect((await db.doc("users/1").get()).data()?.["sync"]).not.toHaveProperty("more");
  });

  it("return positions in order, each id once, and none at or below the cursor", async () => {
    await put(users, "1", plain({ historyId: at("1000") }));
    const recent = ["1005", "999", "1000", "1003", "1005", "1007"].map((historyId) => ({
      historyId,
      at: NOW,
    }));
    const more = `${NOW.getTime().toString(36)}:${(1006).toString(36)},b;rubbish;1:!;:`;
    await db.doc("users/1").update({ "sync.recent": recent, "sync.more": more });
    const { sync } = await read(users, "1");
    expect(sync.recent.map(({ historyId }) => historyId)).toEqual([
      "1003",
      "1005",
      "1006",
      "1007",
      "1017",
    ]);
  });

  it("are read without a language that is no text", async () => {
    await put(users, "1", plain({ language: "pt-BR" }));
    expect((await read(users, "1")).language).toBe("pt-BR");
    await db.doc("users/1").update({ language: 1 });
    expect(await read(users, "1")).not.toHaveProperty("language");
  });

  it("store tags as a map, and are read without tags that are invalid", async () => {
    const tags = { team: "blue", "plan-2": "" };
    await put(users, "1", plain({ tags }));
    expect((await db.doc("users/1").get()).data()?.["tags"]).toStrictEqual(tags);
    expect((await read(users, "1")).tags).toStrictEqual(tags);
    for (const unreadable of ["blue", ["blue"], { team: 1 }, { Team: "blue" }, null]) {
      await db.doc("users/1").update({ tags: unreadable });
      expect(await read(users, "1")).not.toHaveProperty("tags");
    }
  });

  it("store a change as a document of its own below the user", async () => {
    const data = { userId: "1", emailAddress: ADA, historyId: "1002", labelIds: ["INBOX"] };
    const change = { id: "1/added/18d", type: "mailbox.message.added", time: NOW, data };
    await users.update(await put(users, "1", plain()), { historyId: at("1002") }, [change]);
    expect((await db.doc("users/1/changes/1:added:18d").get()).data()).toStrictEqual({
      type: "mailbox.message.added",
      time: Timestamp.fromDate(NOW),
      data,
    });
  });

  it("reject with an error that is recognized as the store's", async () => {
    const rejected = await db
      .doc("users/none")
      .update({ status: "active" })
      .catch((error: unknown) => error);
    expect(isStoreError(rejected)).toBe(true);
  });

  describe("a document of the wrong shape", () => {
    /** Due in every list, before anybody else, at the address that is looked for. */
    const foreign: Record<string, unknown> = {
      ...FULL,
      watch: { ...FULL.watch, renewAt: minutes(-60) },
      sync: { ...FULL.sync, dueAt: minutes(-60) },
      followUp: { ...FULL.followUp, dueAt: minutes(-60) },
    };
    const DAMAGES: [string, Record<string, unknown>, string][] = [
      ["a history id that is none", { historyId: "head" }, "historyId"],
      ["an unknown status", { status: "retired" }, "status"],
      ["no grant", { grant: null }, "grant"],
      ["a date that is a string", { statusAt: NOW.toISOString() }, "statusAt"],
    ];
    const NOW_DUE = new Date(0);
    const REPAIRS: [string, Record<string, unknown>, string, Partial<User>][] = [
      [
        "a position without its time",
        { sync: { retries: 0, recent: [{ historyId: "9007199254740994" }], dueAt: minutes(-60) } },
        "sync.recent.0.at",
        { sync: { retries: 0, recent: [], dueAt: minutes(-60) } },
      ],
      [
        "no list of positions, and no counter",
        { sync: { dueAt: minutes(-60) } },
        "sync.retries",
        { sync: { retries: 0, recent: [], dueAt: minutes(-60) } },
      ],
      [
        "a due date that is a string",
        { sync: { retries: 0, recent: [], dueAt: NOW.toISOString() } },
        "sync.dueAt",
        { sync: { retries: 0, recent: [], dueAt: NOW_DUE } },
      ],
      [
        "a recovery that cannot be read",
        { sync: { retries: 0, recent: [], recovery: "under way" } },
        "sync.recovery",
        { sync: { retries: 0, recent: [] } },
      ],
      [
        "a date of the watch that is null",
        { watch: { renewAt: null, failures: 0 } },
        "watch.renewAt",
        { watch: { renewAt: NOW_DUE, failures: 0 } },
      ],
      [
        "nothing of the work",
        { sync: null },
        "sync",
        { sync: { retries: 0, recent: [], dueAt: NOW_DUE, dueReason: "unfinished" } },
      ],
    ];

    it.each(REPAIRS)(
      "with %s is reported by field, and its work is repeated",
      async (_, bad, path, repaired) => {
        await db.doc("users/foreign").set({ ...foreign, ...bad });
        expect(await users.find(sub("foreign"))).toMatchObject(repaired);
        expect(lines.map((line) => JSON.parse(line))).toMatchObject([
          { severity: "ERROR", event: "user_repaired", userId: "foreign" },
        ]);
        expect(lines.map((line) => JSON.parse(line))[0]?.fields).toContain(path);
      },
    );

    it.each(DAMAGES)("with %s is reported by field and read as no user", async (_, bad, path) => {
      await db.doc("users/foreign").set({ ...foreign, ...bad });
      expect(await users.find(sub("foreign"))).toBeUndefined();
      expect(lines.map((line) => JSON.parse(line))).toMatchObject([
        { severity: "ERROR", event: "user_document_invalid", userId: "foreign", fields: [path] },
      ]);
      expect(lines.join()).not.toContain("v1.local");
    });

    it("still exists", async () => {
      await db.doc("users/foreign").set({ ...foreign, historyId: "head" });
      expect(await users.exists(sub("foreign"))).toBe(true);
    });

    it("keeps no other user from being found by the same address", async () => {
      await db.doc("users/foreign").set({ ...foreign, historyId: "head" });
      await put(users, "zoe", plain());
      expect((await users.findByEmailAddress(ADA))?.id).toBe("zoe");
    });

    it.each(DUE_LISTS)("is named in %s, where it can be postponed", async (list) => {
      for (const id of ["foreign-1", "foreign-2", "strange 3"]) {
        await db.doc(`users/${id}`).set({ ...foreign, historyId: "head" });
      }
      await put(users, "bob", dueIn(list, minutes(-2), "bob"));
      const page = await users.listDue(list, UP_TO_NOW, 3);
      expect(page.users).toEqual([]);
      expect(page.unreadable.map(({ id }) => id)).toEqual(["foreign-1", "foreign-2", "strange 3"]);
      const rest = await users.listDue(list, UP_TO_NOW, 3, page.next);
      expect(rest.users.map(({ id }) => id)).toEqual(["bob"]);

      const [moved, late] = page.unreadable;
      if (moved === undefined || late === undefined) throw new Error("three are on the page");
      const before = (await db.doc(`users/${moved.id}`).get()).data();
      expect(await users.postpone(list, moved, minutes(60))).toBe("written");
      const after = await db.doc(`users/${moved.id}`).get();
      expect(after.get(list)).toEqual(Timestamp.fromDate(minutes(60)));
      const [map = "", field = ""] = list.split(".");
      expect(after.data()).toEqual({
        ...before,
        [map]: { ...before?.[map], [field]: Timestamp.fromDate(minutes(60)) },
      });
      await db.doc(`users/${late.id}`).update({ fixed: true });
      expect(await users.postpone(list, late, minutes(60))).toBe("refused");
      expect((await users.listDue(list, UP_TO_NOW, 10)).unreadable).toHaveLength(2);
    });

    it("pages past dates of finer precision, which only a person writes", async () => {
      const fine = (nanoseconds: number) =>
        new Timestamp(minutes(-60).getTime() / 1_000, nanoseconds);
      for (const [index, nanoseconds] of [1_000, 2_000, 3_000].entries()) {
        const watch = { ...FULL.watch, renewAt: fine(nanoseconds) };
        await db.doc(`users/fine-${index}`).set({ ...FULL, watch });
      }
      const first = await users.listDue("watch.renewAt", UP_TO_NOW, 2);
      const rest = await users.listDue("watch.renewAt", UP_TO_NOW, 2, first.next);
      expect(first.users.map(({ id }) => id)).toEqual(["fine-0", "fine-1"]);
      expect(rest.users.map(({ id }) => id)).toEqual(["fine-2"]);
    });

    it("is named separately in the list of all users, and does not end it", async () => {
      for (const id of ["b1", "b2", "b3", "d"]) {
        await db.doc(`users/${id}`).set({ ...foreign, historyId: "head" });
      }
      for (const id of ["a", "c", "e"]) {
        await put(users, id, plain({ emailAddress: address(`${id}@example.com`) }));
      }
      const list = async (after: string | undefined, limit: number) => {
        const page = await users.listAll(after === undefined ? after : sub(after), limit);
        return [page.users.map(({ id }) => id), page.unreadable];
      };
      expect(await list(undefined, 1)).toEqual([["a"], []]);
      expect(await list("a", 1)).toEqual([["c"], ["b1", "b2", "b3"]]);
      expect(await list("a", 2)).toEqual([
        ["c", "e"],
        ["b1", "b2", "b3", "d"],
      ]);
      expect(await list("c", 2)).toEqual([["e"], ["d"]]);
      expect(lines.join()).toContain('"userId":"b2"');
    });

    it("is not replaced when its user authorizes again, which would lose its cursor", async () => {
      await db.doc("users/foreign").set({ ...foreign, historyId: "head" });
      await expect(put(users, "foreign", plain())).rejects.toThrow("unreadable");
      expect((await db.doc("users/foreign").get()).get("historyId")).toBe("head");
    });
  });
});
