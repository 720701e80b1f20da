import type { Firestore } from "@google-cloud/firestore";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLog } from "../../functions/src/log.ts";
import { parseEmailAddress } from "../../functions/src/mailbox/email-address.ts";
import { parseHistoryId } from "../../functions/src/mailbox/history-id.ts";
import { firestoreUsers } from "../../functions/src/user-store.ts";
import {
  type FlagAllowance,
  type User,
  type UserPatch,
  type UserStore,
  parseUserId,
} from "../../functions/src/user.ts";
import { emulatorForTests } from "../support/emulator-for-tests.ts";
import { findFirestoreEmulator, openDatabase } from "../support/firestore-emulator.ts";
import { memoryUsers } from "../support/memory-users.ts";
import { timeless } from "../support/read-times.ts";

const NOW = new Date("2026-11-20T12:00:30.000Z");
const MINUTE = 60_000;
const FLAGGED: UserPatch = {
  status: "reauthorization_required",
  sync: { retries: 0, recent: [] },
};
const TWO_IN_TEN_MINUTES: FlagAllowance = {
  now: NOW,
  windowMs: 10 * MINUTE,
  min: 2,
  share: 0,
};

function minutesLater(minutes: number): Date {
  return new Date(NOW.getTime() + minutes * MINUTE);
}

/** Somebody who is active, and due at some time unless told otherwise. */
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

const firestore = emulatorForTests(findFirestoreEmulator());
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

    it("counts whoever was flagged in the last ten minutes, to the minute", async () => {
      const [a, b, c, d] = await connectAll(users, ["a", "b", "c", "d"]);
      const flag = (user: User | undefined, minutes: number) =>
        user && users.flag(user, FLAGGED, { ...TWO_IN_TEN_MINUTES, now: minutesLater(minutes) });
      expect(await flag(a, 0)).toBe("written");
      expect(await flag(b, 5)).toBe("written");
      expect(await flag(c, 9)).toBe("guarded");
      // The minute of the first is over for ten minutes; that of the second is not.
      expect(await flag(c, 10)).toBe("written");
      expect(await flag(d, 14)).toBe("guarded");
      expect(await flag(d, 15)).toBe("written");
    });

    it("allows a part of the active users, and only those who are due are active", async () => {
      const fleet = await connectAll(users, ["a", "b", "c", "d"]);
      for (const name of ["e", "f", "g", "h", "i", "j"]) await connect(users, name, false);
      const half = { ...TWO_IN_TEN_MINUTES, min: 1, share: 0.5 };
      const outcomes = [];
      for (const user of fleet) outcomes.push(await users.flag(user, FLAGGED, half));
      // One was flagged and three are left: less than half. Two and two: no longer.
      expect(outcomes).toEqual(["written", "written", "guarded", "guarded"]);
    });

    it("counts every one of those who are flagged at once", async () => {
      const fleet = await connectAll(users, ["a", "b", "c", "d"]);
      const ample = { ...TWO_IN_TEN_MINUTES, min: 20 };
      const outcomes = await Promise.all(fleet.map((user) => users.flag(user, FLAGGED, ample)));
      expect(outcomes).toEqual(["written", "written", "written", "written"]);

      const next = await connect(users, "e");
      expect(await users.flag(next, FLAGGED, { ...ample, min: 4 })).toBe("guarded");
      expect(await users.flag(next, FLAGGED, { ...ample, min: 5 })).toBe("written");
    });

    it("leaves a guarded user as they were, to be flagged later with the same reading", async () => {
      const [a, b] = await connectAll(users, ["a", "b"]);
      if (a === undefined || b === undefined) throw new Error("two were connected");
      const one = { ...TWO_IN_TEN_MINUTES, min: 1 };
      expect(await users.flag(a, FLAGGED, one)).toBe("written");
      for (const _ of [1, 2, 3]) expect(await users.flag(b, FLAGGED, one)).toBe("guarded");
      expect(await users.find(b.id)).toStrictEqual(b);

      const later = { ...one, now: minutesLater(10) };
      expect(await users.flag(b, FLAGGED, later)).toBe("written");
    });

    it("refuses a second flag on one reading, and counts the first alone", async () => {
      const [a, b] = await connectAll(users, ["a", "b"]);
      if (a === undefined || b === undefined) throw new Error("two were connected");
      const outcomes = await Promise.all(
        [a, a].map((user) => users.flag(user, FLAGGED, TWO_IN_TEN_MINUTES)),
      );
      expect(outcomes.toSorted()).toEqual(["refused", "written"]);
      expect(await users.flag(b, FLAGGED, TWO_IN_TEN_MINUTES)).toBe("written");
    });

    it("keeps the reading good past a write that changes nothing", async () => {
      const user = await connect(users, "a");
      const { sync } = user;
      expect(await users.update(user, { sync })).toBe("written");
      expect(await users.update(user, { sync })).toBe("written");
      expect(await users.find(user.id)).toStrictEqual(user);
      expect(await users.update(user, { sync: { ...sync, retries: 1 } })).toBe("written");
      expect(await users.update(user, { sync })).toBe("refused");
    });
  });
});

describe.skipIf(!firestore.isHad)("the guard in Firestore, past the interface", () => {
  it("keeps the minutes of the window and forgets the ones before", async () => {
    const users = openFirestore();
    const stored = async () => (await database?.doc("fleet/flagging").get())?.get("minutes");
    const minuteOf = (date: Date) => String(Math.floor(date.getTime() / MINUTE));
    const [a, b, c, d] = await connectAll(users, ["a", "b", "c", "d"]);
    const flag = async (user: User | undefined, minutes: number, min = 20) => {
      const now = minutesLater(minutes);
      if (user !== undefined) await users.flag(user, FLAGGED, { ...TWO_IN_TEN_MINUTES, now, min });
    };

    await flag(a, 0);
    await flag(b, 0);
    expect(await stored()).toEqual({ [minuteOf(NOW)]: 2 });
    await flag(c, 12);
    expect(await stored()).toEqual({ [minuteOf(minutesLater(12))]: 1 });
    await flag(d, 13, 1);
    expect(await stored()).toEqual({ [minuteOf(minutesLater(12))]: 1 });
  });
});
