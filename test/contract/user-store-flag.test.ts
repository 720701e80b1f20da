import type { Firestore } from "@google-cloud/firestore";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLog } from "../../functions/src/platform/log.ts";
import { parseEmailAddress } from "../../functions/src/domain/email-address.ts";
import { parseHistoryId } from "../../functions/src/domain/history-id.ts";
import { firestoreUsers } from "../../functions/src/store/users.ts";
import {
  type User,
  type UserPatch,
  type UserStore,
  parseUserId,
} from "../../functions/src/domain/user.ts";
import { firestoreForTests } from "../support/emulator-for-tests.ts";
import { openDatabase } from "../support/firestore-emulator.ts";
import { memoryUsers } from "../support/memory-users.ts";
import { timeless } from "../support/read-times.ts";

const NOW = new Date("2026-11-20T12:00:30.000Z");
const MINUTE = 60_000;
const FLAGGED: UserPatch = {
  status: "reauthorization_required",
  sync: { retries: 0, recent: [] },
};

function minutesLater(minutes: number): Date {
  return new Date(NOW.getTime() + minutes * MINUTE);
}

/** A user who is active, and due at some time unless `over` says otherwise. */
async function connect(users: UserStore, name: string, isDue = true): Promise<User> {
  const id = parseUserId(name);
  const emailAddress = parseEmailAddress(`${name}@example.com`);
  const historyId = parseHistoryId("1000");
  if (id === undefined || emailAddress === undefined || historyId === undefined) {
    throw new Error(`not a user: ${name}`);
  }
  return users.authorize(id, () => ({
    emailAddress,
    status: "active",
    statusReason: "authorized",
    statusAt: NOW,
    grant: { generation: 1, scopes: [], grantedAt: NOW },
    historyId,
    watch: { failures: 0 },
    sync: { retries: 0, recent: [], ...(isDue && { dueAt: minutesLater(60) }) },
    followUp: { failures: 0 },
  }));
}

async function connectAll(users: UserStore, names: readonly string[]): Promise<User[]> {
  const fleet = [];
  for (const name of names) fleet.push(await connect(users, name));
  return fleet;
}

const firestore = firestoreForTests();
let database: Firestore | undefined;

afterEach(async () => {
  await database?.terminate();
  database = undefined;
});

function openFirestore(): UserStore {
  database = openDatabase(firestore);
  const users = firestoreUsers(
    database,
    createLog(() => {}),
    { now: () => new Date() },
  );
  return timeless(users);
}

describe.for([
  { store: "memory", isThere: true, open: () => timeless(memoryUsers()) },
  { store: "Firestore", isThere: firestore.isHad, open: openFirestore },
])("the guard of users in $store", ({ isThere, open }) => {
  describe.skipIf(!isThere)("a store", () => {
    let users: UserStore;

    beforeEach(() => {
      users = open();
    });

    it("counts each user whose grant failed once, after the given time", async () => {
      const [a, b] = await connectAll(users, ["a", "b"]);
      if (a === undefined || b === undefined) throw new Error("two were connected");
      expect(await users.countFlaggings(minutesLater(-10))).toBe(0);
      await users.noteFlagging(a.id, NOW);
      await users.noteFlagging(a.id, minutesLater(1));
      await users.noteFlagging(b.id, minutesLater(5));
      expect(await users.countFlaggings(minutesLater(-10))).toBe(2);
      expect(await users.countFlaggings(minutesLater(1))).toBe(1);
      expect(await users.countFlaggings(minutesLater(5))).toBe(0);
    });

    it("records notes and flags of many users at once", async () => {
      const names = Array.from({ length: 40 }, (_, index) => `user${index}`);
      const fleet = await connectAll(users, names);
      await Promise.all(fleet.map(({ id }) => users.noteFlagging(id, NOW)));
      const outcomes = await Promise.all(fleet.map((user) => users.update(user, FLAGGED)));
      expect(outcomes).not.toContain("refused");
      expect(await users.countFlaggings(minutesLater(-10))).toBe(40);
    });

    it("counts the active users: those with a due time", async () => {
      const [a] = await connectAll(users, ["a", "b", "c"]);
      await connect(users, "d", false);
      expect(await users.countActive()).toBe(3);
      if (a !== undefined) await users.update(a, FLAGGED);
      expect(await users.countActive()).toBe(2);
    });

    it("rejects a second flag after one read", async () => {
      const user = await connect(users, "a");
      const outcomes = await Promise.all([user, user].map((read) => users.update(read, FLAGGED)));
      expect(outcomes.filter((outcome) => outcome === "refused")).toHaveLength(1);
    });

    it("stores the state of the guard", async () => {
      expect(await users.readFleetGuard()).toBeUndefined();
      const latched = { latchedAt: NOW, probeAt: minutesLater(60) };
      await users.writeFleetGuard(latched);
      expect(await users.readFleetGuard()).toStrictEqual(latched);
      const judged = { latchedAt: NOW, probeAt: minutesLater(120), verdict: "sound" } as const;
      await users.writeFleetGuard(judged);
      expect(await users.readFleetGuard()).toStrictEqual(judged);
    });

    it("keeps a read document valid after a write that changes nothing", async () => {
      const user = await connect(users, "a");
      const { sync } = user;
      expect(await users.update(user, { sync })).toBe(user.revision);
      expect(await users.update(user, { sync })).toBe(user.revision);
      expect(await users.find(user.id)).toStrictEqual(user);
      expect(await users.update(user, { sync: { ...sync, retries: 1 } })).not.toBe("refused");
      expect(await users.update(user, { sync })).toBe("refused");
    });
  });
});

describe.skipIf(!firestore.isHad)("the guard in Firestore, past the interface", () => {
  it("stores when a note expires, and treats a damaged state as none", async () => {
    const users = openFirestore();
    const user = await connect(users, "a");
    await users.noteFlagging(user.id, NOW);
    const note = await database?.doc(`flaggings/${user.id}`).get();
    expect(note?.get("expireAt").toDate()).toEqual(minutesLater(24 * 60));
    await database?.doc("fleet/guard").set({ latchedAt: "yesterday" });
    expect(await users.readFleetGuard()).toBeUndefined();
  });
});
