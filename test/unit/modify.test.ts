import { beforeEach, describe, expect, it } from "vitest";
import { describeUnknown } from "../../functions/src/platform/log.ts";
import { eraseIf, modify } from "../../functions/src/store/modify.ts";
import {
  StoreContended,
  mayPass,
  unlessContended,
} from "../../functions/src/platform/store-error.ts";
import type { StoredChange, User, UserId } from "../../functions/src/domain/user.ts";
import { type MemoryUsers, memoryUsers } from "../support/memory-users.ts";
import { putUser } from "../support/users.ts";

let users: MemoryUsers;
let id: UserId;

beforeEach(async () => {
  users = memoryUsers();
  id = await putUser(users, "1000", { statusReason: "0" });
});

/** Another writer changes the document before each of the next writes. */
function contend(times: number): void {
  const { erase, update } = users;
  let left = times;
  const interfere = () => {
    left -= 1;
    if (left >= 0) users.overwrite(id, { watch: { failures: left } });
  };
  users.update = (...args) => (interfere(), update(...args));
  users.erase = (user) => (interfere(), erase(user));
}

const stored = () => users.dump().users[0];
/** Counts up what is stored, so that a lost write and a repeated one show. */
const countUp = ({ statusReason }: User) => ({ statusReason: String(Number(statusReason) + 1) });

describe("modifying a user", () => {
  it("writes the changed user", async () => {
    const before = { ...users.operations };
    const modified = await modify(users, id, countUp, { what: "a count" });
    expect(modified).toMatchObject({ kind: "written", user: { id, statusReason: "1" } });
    expect(stored()?.statusReason).toBe("1");
    expect(users.operations).toEqual({
      reads: before.reads + 1,
      writes: before.writes + 1,
    });
  });

  it("uses a user that was read before", async () => {
    const from = await users.find(id);
    if (from === undefined) throw new Error("just stored");
    const { reads } = users.operations;
    await modify(users, id, countUp, { what: "a count", from });
    expect(users.operations.reads).toBe(reads);
    expect(stored()?.statusReason).toBe("1");
  });

  it("keeps its own change and another writer's", async () => {
    contend(9);
    let pauses = 0;
    const pause = () => Promise.resolve(void (pauses += 1));
    const { kind } = await modify(users, id, countUp, { what: "a count", pause });
    expect(kind).toBe("written");
    expect(stored()).toMatchObject({ statusReason: "1", watch: { failures: 0 } });
    expect(pauses).toBe(9);
  });

  it("gives up after ten refused writes, with a temporary store failure", async () => {
    contend(10);
    const work = modify(users, id, countUp, { what: "a count" });
    const error: unknown = await work.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StoreContended);
    expect(mayPass(error)).toBe(true);
    expect(describeUnknown(error)).toBe(
      "StoreContended (10): a count could not be written: other writers changed the document each time",
    );
    expect(stored()?.statusReason).toBe("0");
  });

  it("writes nothing when the change skips, or when there is no user", async () => {
    const before = stored();
    const skipped = await modify(users, id, () => "skip", { what: "nothing" });
    expect(skipped).toMatchObject({ kind: "skipped", user: { id } });
    expect(stored()).toEqual(before);
    users.remove(id);
    expect(await modify(users, id, countUp, { what: "a count" })).toEqual({
      kind: "skipped",
      user: undefined,
    });
  });

  it("stops when another writer has done the same in the meantime", async () => {
    contend(1);
    const change = ({ watch }: User) => (watch.failures === 0 ? "skip" : { statusReason: "own" });
    users.overwrite(id, { watch: { failures: 5 } });
    expect((await modify(users, id, change, { what: "it" })).kind).toBe("skipped");
    expect(stored()?.statusReason).toBe("0");
  });

  it("stores all changes, and those of a lost race once", async () => {
    contend(1);
    const kept = Array.from({ length: 650 }, (_, index): StoredChange => {
      return { id: `${id}/${index}`, type: "mailbox.gap", time: new Date(0), data: {} };
    });
    await modify(users, id, countUp, { what: "a checkpoint", changes: () => kept });
    expect(users.dump().changes[id]).toHaveLength(650);
    expect(stored()?.statusReason).toBe("1");
  });
});

describe("erasing a user", () => {
  it("erases the document, although it changes in between", async () => {
    contend(9);
    const judged: number[] = [];
    const judge = ({ watch }: User) => (judged.push(watch.failures), "erase" as const);
    expect(await eraseIf(users, id, judge)).toBe("erased");
    expect(judged).toHaveLength(10);
    expect(stored()).toBeUndefined();
  });

  it("leaves the document if it should be kept, or changes constantly", async () => {
    expect(await eraseIf(users, id, () => "alive" as const)).toBe("alive");
    contend(10);
    expect(await unlessContended(eraseIf(users, id, () => "erase" as const))).toBeUndefined();
    expect(stored()).toBeDefined();
  });

  it("returns that there is none", async () => {
    users.remove(id);
    expect(await eraseIf(users, id, () => "erase" as const)).toBe("not_found");
  });
});

it("rethrows other failures", async () => {
  const work = Promise.reject(new Error("the store is down"));
  await expect(unlessContended(work)).rejects.toThrow("the store is down");
});
