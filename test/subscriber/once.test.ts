import type { Firestore } from "@google-cloud/firestore";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { firestoreStore } from "../../functions/subscriber/firestore-store.ts";
import { memoryStore } from "../../functions/subscriber/memory-store.ts";
import { type OnceStore, once } from "../../functions/subscriber/once.ts";
import { firestoreForTests } from "../support/emulator-for-tests.ts";
import { openDatabase } from "../support/firestore-emulator.ts";

const EVENT = { id: "108/1001/labels.added/18b" };
const OTHER = { id: "108/1001/labels.added/18c" };
const CLAIM_MS = 60_000;

const firestore = firestoreForTests();
let database: Firestore | undefined;
afterEach(async () => {
  await database?.terminate();
  database = undefined;
});

describe.for([
  { kept: "in memory", isThere: true, open: () => memoryStore() },
  {
    kept: "in Firestore",
    isThere: firestore.isHad,
    open: () => {
      database = openDatabase(firestore);
      return firestoreStore(database);
    },
  },
])("once, kept $kept", ({ isThere, open }) => {
  describe.skipIf(!isThere)("a function", () => {
    let store: OnceStore;
    let now: Date;
    let handled: string[];
    beforeEach(() => {
      store = open();
      now = new Date("2026-11-20T12:00:00.000Z");
      handled = [];
    });

    const instance = () => once(store, { claimMs: CLAIM_MS, now: () => now });
    const note = (what: string) => () => {
      handled.push(what);
      return Promise.resolve();
    };

    it("handles an event once, and each event", async () => {
      const [one, other] = [instance(), instance()];
      expect(await one(EVENT, note("first"))).toBe("handled");
      expect(await one(EVENT, note("again"))).toBe("repeated");
      expect(await other(EVENT, note("elsewhere"))).toBe("repeated");
      expect(await other(OTHER, note("other"))).toBe("handled");
      now = new Date(now.getTime() + 10 * CLAIM_MS);
      expect(await one(EVENT, note("later"))).toBe("repeated");
      expect(handled).toEqual(["first", "other"]);
    });

    it("lets one of many instances handle an event that all of them get at once", async () => {
      let finish = () => {};
      const finished = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const all = Array.from({ length: 8 }, () =>
        instance()(EVENT, async () => {
          handled.push("once");
          await finished;
        }),
      );
      // The one that handles waits for this; the others do not.
      while ((await settledOf(all)) < all.length - 1) await new Promise(setImmediate);
      finish();
      const outcomes = await Promise.all(all);
      expect(outcomes.toSorted()).toEqual([...Array<string>(7).fill("busy"), "handled"]);
      expect(handled).toEqual(["once"]);
      expect(await instance()(EVENT, note("again"))).toBe("repeated");
    });

    it("handles an event again, at once, when the handler failed", async () => {
      const failing = instance()(EVENT, () => Promise.reject(new Error("no ticket")));
      await expect(failing).rejects.toThrow("no ticket");
      expect(await instance()(EVENT, note("again"))).toBe("handled");
    });

    it("handles an event again, after the claim, when the process died before it was noted", async () => {
      const dying: OnceStore = { ...store, finish: () => Promise.reject(new Error("died")) };
      const run = once(dying, { claimMs: CLAIM_MS, now: () => now });
      await expect(run(EVENT, note("first"))).rejects.toThrow("died");
      expect(await instance()(EVENT, note("too early"))).toBe("busy");
      now = new Date(now.getTime() + CLAIM_MS);
      expect(await instance()(EVENT, note("second"))).toBe("handled");
      expect(await instance()(EVENT, note("third"))).toBe("repeated");
      expect(handled).toEqual(["first", "second"]);
    });

    it("keeps the claim of the run that took over when the slow run before it fails", async () => {
      let fail = (_: Error) => {};
      const slow = instance()(EVENT, () => {
        handled.push("slow");
        return new Promise((_, reject) => {
          fail = reject;
        });
      });
      while (handled.length === 0) await new Promise(setImmediate);
      now = new Date(now.getTime() + CLAIM_MS);
      let finish = () => {};
      const second = instance()(EVENT, () => {
        handled.push("second");
        return new Promise((resolve) => {
          finish = resolve;
        });
      });
      while (handled.length === 1) await new Promise(setImmediate);
      fail(new Error("too slow"));
      await expect(slow).rejects.toThrow("too slow");
      expect(await instance()(EVENT, note("third"))).toBe("busy");
      finish();
      expect(await second).toBe("handled");
    });
  });
});

/** How many of these promises have settled by now. */
async function settledOf(promises: readonly Promise<unknown>[]): Promise<number> {
  const pending = Symbol("pending");
  const states = await Promise.all(
    promises.map((promise) => Promise.race([promise, Promise.resolve(pending)])),
  );
  return states.filter((state) => state !== pending).length;
}

describe("the store in memory", () => {
  it("forgets the oldest events first, and holds no more than it may", async () => {
    const run = once(memoryStore({ idsMax: 2 }));
    const handle = () => Promise.resolve();
    for (const id of ["1", "2", "3"]) await run({ id }, handle);
    expect(await run({ id: "3" }, handle)).toBe("repeated");
    expect(await run({ id: "1" }, handle)).toBe("handled");
  });
});

describe.skipIf(!firestore.isHad)("the store in Firestore", () => {
  it("keeps one document for each event, with a date for a TTL policy", async () => {
    database = openDatabase(firestore);
    const now = new Date("2026-11-20T12:00:00.000Z");
    const store = firestoreStore(database, { collection: "tickets", keepMs: 3_600_000 });
    await once(store, { now: () => now })(EVENT, () => Promise.resolve());
    const { docs } = await database.collection("tickets").get();
    expect(docs.map((document) => document.id)).toEqual([encodeURIComponent(EVENT.id)]);
    expect(docs[0]?.get("isHandled")).toBe(true);
    expect(docs[0]?.get("expireAt").toDate()).toEqual(new Date("2026-11-20T13:00:00.000Z"));
  });
});
