import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keyIdOf } from "../../functions/src/crypto/sealing.ts";
import type { User, UserStore } from "../../functions/src/domain/user.ts";
import { type ResealReport, reseal } from "../../infra/cli/keys/reseal.ts";
import { findKeyUsage } from "../../infra/cli/keys/usage.ts";
import type { StoredUser } from "../support/memory-users.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { startSecondInstance } from "../support/second-instance.ts";
import { keyRing, sealWith, sealedAsBefore, tokenKeys } from "../support/test-keys.ts";

/**
 * Goal: re-sealing replaces the key and nothing else, whatever happens beside it and wherever it is
 * killed; and what says that a key may go is right.
 */

const EMAILS = ["ada", "bob", "cyd", "dan", "eve", "fay"].map((name) => `${name}@example.com`);
const HOUR_MS = 3_600_000;
const quiet = () => {};
const NOTHING: ResealReport = {
  resealed: 0,
  already: EMAILS.length,
  unreadable: 0,
  unfinished: 0,
  changedMeanwhile: 0,
  unreadableDocuments: 0,
};

let scenario: Scenario;
beforeEach(async () => {
  // The instance that runs has both keys and still seals with the old one.
  scenario = await startScenario({ env: { TOKEN_KEYS: tokenKeys("a", "b") } });
  for (const email of EMAILS) await scenario.connect(email);
});
afterEach(() => scenario.close());

const services = (users: UserStore = scenario.users, lines: string[] = []) => ({
  users,
  tokens: sealWith(keyRing("b", "a"), lines),
  primary: "b",
});
const run = (users?: UserStore) => reseal(services(users), undefined, quiet);

const tokensOf = (user: StoredUser, ring = keyRing("b", "a")) => {
  const tokens = sealWith(ring);
  const { refreshToken, accessToken } = user.grant;
  return [
    refreshToken && tokens.open(user.id, "refresh_token", refreshToken),
    accessToken && tokens.open(user.id, "access_token", accessToken),
  ];
};
/** What the digests of the user's refresh token are, under the primary key. */
const digestsOf = (user: StoredUser) => services().tokens.digests(tokensOf(user)[0] ?? "");
const stored = () => EMAILS.map((email) => scenario.stored(email));
const keysInUse = () =>
  new Set(
    stored().flatMap(({ grant }) =>
      [grant.refreshToken, grant.accessToken].flatMap((sealed) => sealed && keyIdOf(sealed)),
    ),
  );

/** The same store, with something that happens around each write. */
function around(write: (count: number, perform: () => ReturnType<UserStore["update"]>) => unknown) {
  let count = 0;
  const users: UserStore = {
    ...scenario.users,
    async update(...args) {
      count += 1;
      const written = await write(count, () => scenario.users.update(...args));
      return written as Awaited<ReturnType<UserStore["update"]>>;
    },
  };
  return users;
}

class Killed extends Error {}

describe("T5: re-sealing", () => {
  it("T5: replaces the key of every stored token and nothing else, and has nothing to do the second time", async () => {
    const before = stored();
    expect(await run()).toEqual({ ...NOTHING, resealed: EMAILS.length, already: 0 });
    expect(keysInUse()).toEqual(new Set(["b"]));
    for (const [index, user] of stored().entries()) {
      const was = before[index];
      if (was === undefined) throw new Error("somebody is gone");
      expect(tokensOf(user, keyRing("b"))).toEqual(tokensOf(was, keyRing("a")));
      const { refreshToken, accessToken, refreshTokenDigests } = was.grant;
      const grant = { ...user.grant, refreshToken, accessToken, refreshTokenDigests };
      expect({ ...user, revision: was.revision, grant }).toEqual(was);
      expect(user.grant.refreshTokenDigests).toEqual(digestsOf(user));
    }
    expect(await run()).toEqual(NOTHING);
  });

  const writes = EMAILS.map((_, index) => index + 1);
  it.each(writes.flatMap((kill) => [[kill, "before"] as const, [kill, "after"] as const]))(
    "T5: killed at write %i, %s it is applied, while syncs run: run again, it finishes",
    async (kill, when) => {
      const tokens = stored().map((user) => tokensOf(user)[0]);
      const delivered: Record<string, (string | undefined)[]> = {};
      let isKilled = false;
      const users = around(async (count, perform) => {
        // A change arrives and its checkpoint is written between our reading and our writing.
        if (count % 2 === 1) {
          for (const email of EMAILS) {
            (delivered[email] ??= []).push(scenario.emulator.deliver(email, {}).messageId);
          }
          await scenario.settled();
        }
        isKilled ||= count === kill;
        if (isKilled && !(count === kill && when === "after")) throw new Killed();
        const outcome = await perform();
        if (isKilled) throw new Killed();
        return outcome;
      });
      await expect(run(users)).rejects.toThrow(Killed);
      await scenario.settled();

      await run();
      expect(await run()).toEqual(NOTHING);
      expect(keysInUse()).toEqual(new Set(["b"]));
      expect(stored().map((user) => tokensOf(user)[0])).toEqual(tokens);
      for (const email of EMAILS) {
        const published = scenario.events(email).flatMap(({ json }) => json["messageId"] ?? []);
        expect(published).toEqual(delivered[email]);
        expect(scenario.stored(email).status).toBe("active");
      }
      expect(scenario.logged("token_decrypt_failed")).toEqual([]);
    },
  );

  it("T5: replaces the older format, also of the primary key, once", async () => {
    expect((await run()).resealed).toBe(EMAILS.length);
    for (const user of stored()) {
      const [refreshToken = ""] = tokensOf(user);
      const old = sealedAsBefore(keyRing("b", "a"), refreshToken, [user.id, "refresh_token"]);
      const grant = { ...user.grant, refreshToken: old };
      expect(tokensOf({ ...user, grant })[0]).toBe(refreshToken);
      expect(await scenario.users.update(user, { grant })).not.toBe("refused");
    }
    expect(await run()).toEqual({ ...NOTHING, resealed: EMAILS.length, already: 0 });
    for (const { grant } of stored()) expect(grant.refreshToken).toMatch(/^v2\.b\./);
    expect(await run()).toEqual(NOTHING);
  });

  it("T5: never undoes a write in between, and reads it before it retries", async () => {
    const users = around(async (count, perform) => {
      if (count <= EMAILS.length) {
        const user = await scenario.users.find(stored()[count - 1]?.id as User["id"]);
        if (user === undefined) throw new Error("nobody");
        await scenario.users.update(user, { statusReason: `changed ${count}` });
      }
      return perform();
    });
    const report = await run(users);
    expect(report).toMatchObject({ resealed: EMAILS.length, unfinished: 0 });
    expect(report.changedMeanwhile).toBeGreaterThan(0);
    expect(stored().map(({ statusReason }) => statusReason)).toEqual(
      EMAILS.map((_, index) => `changed ${index + 1}`),
    );
  });

  it("T5: keeps a token that is rotated in the meantime", async () => {
    const [ada] = stored();
    if (ada === undefined) throw new Error("nobody");
    let isRotated = false;
    const users = around(async (_, perform) => {
      const user = await scenario.users.find(ada.id);
      if (!isRotated && user !== undefined) {
        isRotated = true;
        const refreshToken = sealWith(keyRing("a")).seal(ada.id, "refresh_token", "1//rotated");
        await scenario.users.update(user, { grant: { ...user.grant, refreshToken } });
      }
      return perform();
    });
    await run(users);
    const [now] = stored();
    expect(now && tokensOf(now)[0]).toBe("1//rotated");
    expect(now?.grant.refreshTokenDigests).toEqual(services().tokens.digests("1//rotated"));
    expect(keysInUse()).toEqual(new Set(["b"]));
  });

  it("T5: leaves a document that changes constantly for the next run", async () => {
    const [ada] = stored();
    const users = around(async (_, perform) => {
      const user = ada && (await scenario.users.find(ada.id));
      if (user) await scenario.users.update(user, { statusReason: String(Math.random()) });
      return perform();
    });
    expect(await run(users)).toMatchObject({ resealed: EMAILS.length - 1, unfinished: 1 });
    expect(await run()).toMatchObject({ resealed: 1, already: EMAILS.length - 1 });
  });

  it("T5: does not recreate a user who is deleted in the meantime", async () => {
    const [ada] = stored();
    const users = around((_, perform) => {
      if (ada !== undefined) scenario.users.remove(ada.id);
      return perform();
    });
    await run(users);
    expect(ada && (await scenario.users.find(ada.id))).toBeUndefined();
  });

  it("continues after the user that a progress line named", async () => {
    const ids = stored()
      .map(({ id }) => id)
      .toSorted();
    const progress: unknown[] = [];
    const report = await reseal(services(), ids[2], (made) => void progress.push(made));
    expect(report).toMatchObject({ resealed: 3, already: 0 });
    expect(progress).toEqual([{ users: 3, upTo: ids.at(-1) }]);
  });

  it("alerts, counts and keeps what cannot be decrypted, and re-seals the rest of that user", async () => {
    const [ada] = stored();
    if (ada === undefined) throw new Error("nobody");
    const lost = sealWith(keyRing("lost")).seal(ada.id, "refresh_token", "1//lost");
    await scenario.users.update(ada, { grant: { ...ada.grant, refreshToken: lost } });
    const lines: string[] = [];
    const report = await reseal(services(scenario.users, lines), undefined, quiet);
    expect(report).toEqual({ ...NOTHING, resealed: EMAILS.length - 1, already: 0, unreadable: 1 });
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { event: "token_decrypt_failed", userId: ada.id, why: "unknown_key" },
    ]);
    const [now] = stored();
    expect(now?.grant.refreshToken).toBe(lost);
    expect(keyIdOf(now?.grant.accessToken ?? "")).toBe("b");
  });

  it("renews digests that do not match the token", async () => {
    const [ada] = stored();
    if (ada === undefined) throw new Error("nobody");
    const refreshTokenDigests = { prefix: "old", doubleHash: "old" };
    await scenario.users.update(ada, { grant: { ...ada.grant, refreshTokenDigests } });
    await run();
    expect(stored()[0]?.grant.refreshTokenDigests).toEqual(digestsOf(ada));
  });
});

describe("which keys are needed", () => {
  const usage = async (lines?: string[]) => {
    const { keys, ...rest } = await findKeyUsage(services(scenario.users, lines), quiet);
    return { keys: Object.fromEntries(keys), ...rest };
  };

  it("are listed for every stored token, without a change", async () => {
    expect(await usage()).toEqual({
      keys: { a: 12 },
      unreadable: 0,
      outdatedDigests: 6,
      unreadableDocuments: 0,
    });
    const [ada] = stored();
    if (ada === undefined) throw new Error("nobody");
    await reseal(services(), stored()[4]?.id, quiet);
    const before = scenario.users.dump();
    const { keys } = await usage();
    expect((keys["a"] ?? 0) + (keys["b"] ?? 0)).toBe(12);
    expect(scenario.users.dump()).toEqual(before);
    await run();
    expect(await usage()).toEqual({
      keys: { b: 12 },
      unreadable: 0,
      outdatedDigests: 0,
      unreadableDocuments: 0,
    });
  });

  it("are not listed for values that cannot be decrypted", async () => {
    const [ada] = stored();
    if (ada === undefined) throw new Error("nobody");
    const accessToken = sealWith(keyRing("lost")).seal(ada.id, "access_token", "ya29.lost");
    const refreshTokenDigests = { prefix: "old", doubleHash: "old" };
    const grant = { ...ada.grant, accessToken, refreshTokenDigests };
    await scenario.users.update(ada, { grant });
    const lines: string[] = [];
    expect(await usage(lines)).toEqual({
      keys: { a: 11 },
      unreadable: 1,
      outdatedDigests: 6,
      unreadableDocuments: 0,
    });
    expect(lines).toHaveLength(1);
  });

  it("are seen to change while an instance with the old primary key runs", async () => {
    await run();
    scenario.clock.advance(2 * HOUR_MS);
    const old = startSecondInstance(scenario, { tokenKeys: tokenKeys("a", "b") });
    scenario.emulator.setPush({ kind: "none" });
    scenario.emulator.deliver(EMAILS[0] ?? "", {});
    await old.notify(EMAILS[0] ?? "");
    expect((await usage()).keys).toEqual({ a: 1, b: 11 });
    expect(await run()).toMatchObject({ resealed: 1 });
    expect((await usage()).keys).toEqual({ b: 12 });
  });
});
