import { type Firestore, Timestamp } from "@google-cloud/firestore";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { firestoreCallbackClaims } from "../../functions/src/store/callback-claims.ts";
import {
  type CallbackClaims,
  type CallbackOutcome,
  callbackIdOf,
} from "../../functions/src/domain/callback-claims.ts";
import { after } from "../../functions/src/instance.ts";
import { mayPass } from "../../functions/src/platform/store-error.ts";
import { firestoreForTests } from "../support/emulator-for-tests.ts";
import { openDatabase } from "../support/firestore-emulator.ts";
import { memoryCallbackClaims } from "../support/memory-callback-claims.ts";
import { putUser } from "../support/users.ts";
import { memoryUsers } from "../support/memory-users.ts";

const STATE = "s".repeat(43);
const ONE = callbackIdOf(STATE);
const OTHER = callbackIdOf("t".repeat(43));
const SOON = new Date("2026-12-20T12:00:00.123Z");

const firestore = firestoreForTests();
let database: Firestore | undefined;

afterEach(async () => {
  await database?.terminate();
  database = undefined;
});

interface Subject {
  claims: CallbackClaims;
  dump(): Promise<Record<string, unknown>>;
}

function openFirestore(): Subject {
  const opened = openDatabase(firestore);
  database = opened;
  return {
    claims: firestoreCallbackClaims(opened, after),
    async dump() {
      const { docs } = await opened.collection("callbacks").get();
      const entries = docs.map((document) => {
        const { expireAt, ...rest } = document.data();
        // A TTL policy reads timestamps only.
        if (!(expireAt instanceof Timestamp)) throw new Error("not a timestamp");
        return [document.id, { ...rest, expireAt: expireAt.toDate() }];
      });
      return Object.fromEntries(entries);
    },
  };
}

function openMemory(): Subject {
  const claims = memoryCallbackClaims();
  return { claims, dump: () => Promise.resolve(claims.dump()) };
}

describe.for([
  { store: "memory", isThere: true, open: openMemory },
  { store: "Firestore", isThere: firestore.isHad, open: openFirestore },
])("authorization responses that were taken, in $store", ({ isThere, open }) => {
  describe.skipIf(!isThere)("a store", () => {
    let subject: Subject;
    beforeEach(() => {
      subject = open();
    });

    it("gives a response to one of many requests", async () => {
      const { claims } = subject;
      const taken = await Promise.all(
        ["a", "b", "c", "d"].map((claimant) => claims.claim(ONE, claimant, SOON)),
      );
      expect(taken.filter(Boolean)).toHaveLength(1);
      expect(await claims.claim(ONE, "e", SOON)).toBe(false);
      expect(await claims.claim(OTHER, "e", SOON)).toBe(true);
    });

    it("lets the request that has it repeat its claim", async () => {
      const { claims } = subject;
      expect(await claims.claim(ONE, "a", SOON)).toBe(true);
      expect(await claims.claim(ONE, "a", SOON)).toBe(true);
      expect(await claims.claim(ONE, "b", SOON)).toBe(false);
    });

    it("returns the stored outcome unchanged", async () => {
      const { claims } = subject;
      const userId = await putUser(memoryUsers(), "1", {});
      const outcomes: CallbackOutcome[] = [
        { kind: "connected", userId, generation: 3 },
        { kind: "connected", userId, generation: 4, recoveredChanges: 0 },
        { kind: "consent_needed" },
        { kind: "refused", reason: "scopes_missing" },
      ];
      expect(await claims.find(ONE)).toBeUndefined();
      await claims.claim(ONE, "a", SOON);
      expect(await claims.find(ONE)).toBeUndefined();
      for (const outcome of outcomes) {
        await claims.settle(ONE, outcome);
        expect(await claims.find(ONE)).toEqual(outcome);
      }
    });

    it("stores no state, and until when the claim is needed", async () => {
      const { claims, dump } = subject;
      await claims.claim(ONE, "a", SOON);
      await claims.settle(ONE, { kind: "consent_needed" });
      const stored = await dump();
      expect(stored).toEqual({
        [ONE]: { claimant: "a", expireAt: SOON, outcome: { kind: "consent_needed" } },
      });
      expect(JSON.stringify(stored)).not.toContain(STATE);
    });
  });
});

it.skipIf(!firestore.isHad)("gives up in time when Firestore does not answer", async () => {
  database = openDatabase(firestore);
  const waits: number[] = [];
  const claims = firestoreCallbackClaims(database, (ms, run) => {
    waits.push(ms);
    queueMicrotask(run);
    return () => {};
  });
  const error: unknown = await claims.claim(ONE, "me", SOON).catch((reason: unknown) => reason);
  expect(mayPass(error)).toBe(true);
  expect(waits).toEqual([30_000]);
});
