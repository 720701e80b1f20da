import type { Firestore } from "@google-cloud/firestore";
import { afterAll, describe, expect, it } from "vitest";
import { createLog } from "../../functions/src/platform/log.ts";
import { firestoreUsers } from "../../functions/src/store/users.ts";
import type { User, UserContent } from "../../functions/src/domain/user.ts";
import { type PairedUsers, pairedUsers } from "../simulation/paired-users.ts";
import type { Parameters } from "../simulation/parameters.ts";
import { simulate } from "../simulation/simulate.ts";
import { firestoreForTests } from "../support/emulator-for-tests.ts";
import { openDatabase } from "../support/firestore-emulator.ts";

const HOUR = 3_600_000;
const PROJECT = `demo-simulation-${process.pid}`;
const SEEDS = Array.from({ length: 24 }, (_, index) => 1_000 + index);

const firestore = firestoreForTests();
let database: Firestore | undefined;

afterAll(() => database?.terminate());

/** One client for all: each new one would look for credentials for seconds. */
async function emptyDatabase(): Promise<Firestore> {
  database ??= openDatabase(firestore, PROJECT);
  const documents = `emulator/v1/projects/${PROJECT}/databases/(default)/documents`;
  await fetch(`http://${firestore.host}/${documents}`, { method: "DELETE" });
  return database;
}

/** The same faults in less time: what a store answers takes real time here. */
function shortened(derived: Parameters): Parameters {
  return {
    ...derived,
    mailboxes: Math.min(derived.mailboxes, 2),
    chaosMs: 2 * HOUR,
    acts: Math.min(derived.acts, 10),
    quietMs: Math.max(derived.quietMs, HOUR),
    renewAfterMs: Math.max(derived.renewAfterMs, 6 * HOUR),
  };
}

/**
 * All that the simulation shows, it shows of a store in memory. Here the same runs are made with
 * documents in Firestore: the store answers alike each time, so the runs are the same to the end.
 */
describe.skipIf(!firestore.isHad)("simulated runs on Firestore", () => {
  it.each(SEEDS)("seed %i ends as it does in memory", async (seed) => {
    const lines: string[] = [];
    const users = firestoreUsers(
      await emptyDatabase(),
      createLog((line) => void lines.push(line)),
      { now: () => new Date() },
    );
    const paired: { users?: PairedUsers } = {};
    const inMemory = await simulate(seed, { adjust: shortened });
    const inFirestore = await simulate(seed, {
      adjust: shortened,
      openUsers: ({ hold, now }) =>
        (paired.users = pairedUsers(users, hold, { now: () => new Date(Math.round(now())) })),
    });

    expect(paired.users?.differences).toEqual([]);
    expect(inFirestore.published).toEqual(inMemory.published);
    expect(inFirestore.violations).toEqual(inMemory.violations);
    expect(inFirestore.events).toBe(inMemory.events);
    const stored = await Promise.all(inMemory.users.map(({ id }) => users.find(id)));
    expect(stored.map(contentOf)).toStrictEqual(inMemory.users.map(contentOf));
    expect(lines).toEqual([]);
  });
});

function contentOf(user: User | undefined): UserContent | undefined {
  if (user === undefined) return undefined;
  const { id: _, revision: __, read: ___, ...rest } = user;
  return rest;
}
