import type { SecurityEventId, SeenEvents } from "../../functions/src/domain/seen-events.ts";
import type { Firestore } from "@google-cloud/firestore";
import { Timestamp } from "@google-cloud/firestore";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { firestoreSeenEvents } from "../../functions/src/store/seen-events.ts";
import { firestoreForTests } from "../support/emulator-for-tests.ts";
import { openDatabase } from "../support/firestore-emulator.ts";
import { memorySeenEvents } from "../support/memory-seen-events.ts";

const ONE = "1".repeat(64) as SecurityEventId;
const OTHER = "2".repeat(64) as SecurityEventId;
const SOON = new Date("2026-12-20T12:00:00.123Z");
const LATE = new Date("2027-01-20T12:00:00.000Z");

const firestore = firestoreForTests();
let database: Firestore | undefined;

afterEach(async () => {
  await database?.terminate();
  database = undefined;
});

function openFirestore(): { seen: SeenEvents; dump: () => Promise<Record<string, unknown>> } {
  const opened = openDatabase(firestore);
  database = opened;
  return {
    seen: firestoreSeenEvents(opened),
    async dump() {
      const { docs } = await opened.collection("securityEvents").get();
      const entries = docs.map((document) => {
        const { expireAt, ...rest } = document.data();
        // A TTL policy looks at timestamps only.
        if (!(expireAt instanceof Timestamp)) throw new Error("not a timestamp");
        return [document.id, { ...rest, expireAt: expireAt.toDate() }];
      });
      return Object.fromEntries(entries);
    },
  };
}

function openMemory(): ReturnType<typeof openFirestore> {
  const seen = memorySeenEvents();
  return { seen, dump: () => Promise.resolve(seen.dump()) };
}

describe.for([
  { store: "memory", isThere: true, open: openMemory },
  { store: "Firestore", isThere: firestore.isHad, open: openFirestore },
])("seen security events in $store", ({ isThere, open }) => {
  describe.skipIf(!isThere)("a store", () => {
    let subject: ReturnType<typeof openFirestore>;
    beforeEach(() => {
      subject = open();
    });

    it("contains what was added, and nothing else", async () => {
      const { seen } = subject;
      expect(await seen.has(ONE)).toBe(false);
      await seen.add(ONE, SOON);
      expect(await seen.has(ONE)).toBe(true);
      expect(await seen.has(OTHER)).toBe(false);
    });

    it("stores only the expiry of an event", async () => {
      await subject.seen.add(ONE, SOON);
      expect(await subject.dump()).toEqual({ [ONE]: { expireAt: SOON } });
    });

    it("accepts the same event from two simultaneous deliveries", async () => {
      const { seen, dump } = subject;
      await Promise.all([seen.add(ONE, SOON), seen.add(ONE, SOON)]);
      await seen.add(ONE, LATE);
      expect(await dump()).toEqual({ [ONE]: { expireAt: LATE } });
    });
  });
});
