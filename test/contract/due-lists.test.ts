import { Timestamp, type Firestore } from "@google-cloud/firestore";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { UserContent } from "../../functions/src/domain/user.ts";
import { eachDue } from "../../functions/src/mailbox/each-due.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { NO_TELEMETRY } from "../../functions/src/platform/telemetry/telemetry.ts";
import { firestoreUsers } from "../../functions/src/store/users.ts";
import { firestoreForTests } from "../support/emulator-for-tests.ts";
import { openDatabase } from "../support/firestore-emulator.ts";
import { putUser } from "../support/users.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const LONG_AGO = new Date("2020-01-01T00:00:00Z");

const firestore = firestoreForTests();

describe.runIf(firestore.isHad)("a due list in Firestore", () => {
  const COUNT = 120;
  let database: Firestore;
  beforeAll(() => {
    database = openDatabase(firestore);
  });
  afterAll(() => database.terminate());

  it("serves the user behind many documents that cannot be decoded, which wait an hour", async () => {
    const lines: string[] = [];
    const log = createLog((line) => void lines.push(line));
    const clock = { now: () => new Date(), sleep: () => Promise.resolve() };
    const users = firestoreUsers(database, log, clock);
    const batch = database.batch();
    for (let index = 0; index < COUNT; index++) {
      const sync = { dueAt: Timestamp.fromDate(LONG_AGO), dueReason: "of a newer version" };
      batch.set(database.doc(`users/strange-${index}`), { sync });
    }
    await batch.commit();
    const due: Partial<UserContent> = {
      sync: { retries: 0, recent: [], dueAt: new Date("2021-01-01"), dueReason: "quiet" },
    };
    await putUser(users, "behind", due);

    const startedAt = Date.now();
    const run = async () => {
      const served: string[] = [];
      await eachDue(
        "sync.dueAt",
        { concurrency: 8, timeMsMax: MINUTE_MS },
        {
          users,
          clock,
          log,
          random: () => 0,
          config: { sync: { reconcileAfterMs: HOUR_MS } },
          telemetry: NO_TELEMETRY,
        },
        (user) => {
          served.push(user.id);
          return Promise.resolve("done");
        },
      );
      return served;
    };
    expect(await run()).toEqual(["behind"]);
    const unreadable = () => lines.filter((line) => line.includes("user_document_invalid")).length;
    expect(unreadable()).toBe(COUNT);
    const strange = await database.doc("users/strange-7").get();
    expect(strange.get("sync.dueReason")).toBe("of a newer version");
    const waitMs = (strange.get("sync.dueAt") as Timestamp).toMillis() - startedAt;
    expect(waitMs).toBeGreaterThanOrEqual(HOUR_MS);
    expect(await run()).toEqual(["behind"]);
    expect(unreadable()).toBe(COUNT);
  });

  it("names the incomplete mailboxes behind documents that cannot be decoded", async () => {
    const clock = { now: () => new Date() };
    const users = firestoreUsers(
      database,
      createLog(() => {}),
      clock,
    );
    const batch = database.batch();
    for (let index = 0; index < COUNT; index++) {
      const sync = { behindSince: Timestamp.fromDate(LONG_AGO) };
      batch.set(database.doc(`users/strange-behind-${index}`), { sync });
    }
    await batch.commit();
    for (const [name, since] of [
      ["older", "2021-01-01"],
      ["newer", "2022-01-01"],
    ] as const) {
      const sync = { retries: 0, recent: [], behindSince: new Date(since) };
      await putUser(users, name, { sync });
    }

    const behind = async (limit: number) =>
      (await users.listBehind({ upTo: new Date() }, limit)).map(({ id }) => id);
    expect(await behind(1)).toEqual(["older"]);
    expect(await behind(2)).toEqual(["older", "newer"]);
    expect(await behind(100)).toEqual(["older", "newer"]);
  });
});
