import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseKeyRing } from "../../functions/src/crypto/sealing.ts";
import { newRing, withNewKey, withPrimary, withoutKey } from "../../infra/cli/keys/ring.ts";
import { type KmsEmulator, startKmsEmulator } from "../support/kms-emulator.ts";
import { runInfra } from "../support/infra-command.ts";
import { tokenKeys } from "../support/test-keys.ts";

/**
 * Goal: what the command prints on standard output can be stored as it is, and nothing else ever
 * shows a key.
 */

const KEY = "projects/demo-project/locations/global/keyRings/ring/cryptoKeys/key";

/** The ids of a ring, the primary first; undefined for what is no ring. */
function idsOf(json: string): string[] | undefined {
  const parsed = parseKeyRing(json.trim());
  if (!parsed.ok) return undefined;
  const { primary, keys } = parsed.value;
  return [primary, ...[...keys.keys()].filter((id) => id !== primary)];
}

const keysIn = (json: string): string[] => Object.values(JSON.parse(json).keys);

describe("a ring", () => {
  const RING = tokenKeys("a", "b");
  const SECRET = Buffer.alloc(32, 9).toString("base64");

  it.each([
    [() => withNewKey(RING, "a", false), 'a key "a" already'],
    [() => withNewKey(RING, "a.b", false), "the id of key 3"],
    [() => withNewKey("", "c", true), "is not a JSON object"],
    [() => withNewKey(SECRET, "c", true), "is not a JSON object"],
    [() => withNewKey(`{"primary":"${SECRET}","keys":{"a":"${SECRET}"}}`, "c", true), '"primary"'],
    [() => newRing("a b"), "the id of key 1"],
    [() => withPrimary(RING, "c"), 'no key "c"'],
    [() => withPrimary(RING, "constructor"), 'no key "constructor"'],
    [() => withoutKey(RING, "a"), "make another one primary first"],
    [() => withoutKey(RING, "__proto__"), 'no key "__proto__"'],
  ])("is not made when it could not be used: %s", (make, why) => {
    const message = messageOf(make);
    expect(message).toContain(why);
    for (const key of [SECRET, ...keysIn(RING)]) expect(message).not.toContain(key.slice(0, 12));
  });
});

function messageOf(make: () => string): string {
  try {
    return `made: ${make()}`;
  } catch (error) {
    return (error as Error).message;
  }
}

describe("npm run keys", () => {
  it("explains its commands, their order and its exit codes", async () => {
    const { code, stdout } = await runInfra("keys", ["--help"]);
    expect(code).toBe(0);
    for (const word of ["generate", "primary", "remove", "wrap", "reseal", "verify"]) {
      expect(stdout).toMatch(new RegExp(`^ +${word} .*[a-z]`, "m"));
    }
    expect(stdout).toContain("Exit codes: 0 done; 1 not done, or not all of it; 2 wrong usage");
    expect(stdout).toContain("7 days");
  });

  it("makes a new ring each time, named after the day by default", async () => {
    const rings = [
      await runInfra("keys", ["generate"]),
      await runInfra("keys", ["generate", "--id", "first"]),
    ];
    expect(rings.map(({ code }) => code)).toEqual([0, 0]);
    expect(rings.map(({ stderr }) => stderr)).toEqual(["", ""]);
    expect(rings.map(({ stdout }) => idsOf(stdout))).toEqual([
      [expect.stringMatching(/^\d{4}-\d\d-\d\d$/)],
      ["first"],
    ]);
    const [one, other] = rings.map(({ stdout }) => keysIn(stdout)[0]);
    expect(one).not.toBe(other);
  });

  it("rotates step by step: added, primary, removed", async () => {
    const before = tokenKeys("a");
    const added = await runInfra("keys", ["generate", "--add", "--id", "b"], { input: before });
    expect(idsOf(added.stdout)).toEqual(["a", "b"]);
    expect(keysIn(added.stdout)[0]).toBe(keysIn(before)[0]);
    const primary = await runInfra("keys", ["primary", "b"], { input: added.stdout });
    expect(idsOf(primary.stdout)).toEqual(["b", "a"]);
    expect(keysIn(primary.stdout)).toEqual(keysIn(added.stdout));
    const removed = await runInfra("keys", ["remove", "a"], { input: primary.stdout });
    expect(idsOf(removed.stdout)).toEqual(["b"]);
    expect(keysIn(removed.stdout)).toEqual(keysIn(primary.stdout).slice(1));
    const atOnce = await runInfra("keys", ["generate", "--add", "--primary", "--id", "b"], {
      input: before,
    });
    expect(idsOf(atOnce.stdout)).toEqual(["b", "a"]);
  });

  it.each([
    [["generate", "--add", "--id", "a"], 'a key "a" already'],
    [["generate", "--primary"], "goes with --add"],
    [["remove"], "missing required argument"],
    [["wrap"], "--kms-key"],
    [["rotate"], "unknown command"],
    [["reseal", "--after", "a/b"], "not a user id"],
    [["verify"], "TOKEN_KEYS is not set"],
  ])("refuses %j, says why, and prints nothing to store", async (args, why) => {
    const input = tokenKeys("a", "b");
    const { code, stdout, stderr } = await runInfra("keys", args, { input });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(why);
    for (const key of keysIn(input)) expect(stderr).not.toContain(key.slice(0, 12));
  });

  describe("with Cloud KMS", () => {
    let kms: KmsEmulator;
    beforeAll(async () => {
      kms = await startKmsEmulator();
    });
    afterAll(() => kms.close());
    const run = (args: string[], input = "") =>
      runInfra("keys", [...args, "--kms-key", KEY], {
        input,
        env: { KMS_EMULATOR_HOST: kms.host },
      });

    it("encrypts a ring, and performs a whole rotation without showing a key", async () => {
      const plain = tokenKeys("a");
      const wrapped = await run(["wrap"], plain);
      expect(wrapped.code).toBe(0);
      expect(wrapped.stdout).toMatch(/^[A-Za-z0-9+/]+=*\n$/);
      const added = await run(["generate", "--add", "--id", "b"], wrapped.stdout);
      const primary = await run(["primary", "b"], added.stdout);
      const removed = await run(["remove", "a"], primary.stdout);
      const fresh = await run(["generate"]);
      for (const { code, stdout, stderr } of [wrapped, added, primary, removed, fresh]) {
        expect([code, stderr]).toEqual([0, ""]);
        expect(idsOf(stdout)).toBeUndefined();
        expect(idsOf(Buffer.from(stdout, "base64").toString())).toBeUndefined();
      }
      // What is wrapped is what it should be: the command itself takes it, and refuses "a".
      const gone = await run(["primary", "a"], removed.stdout);
      expect([gone.code, gone.stderr]).toEqual([2, 'error: the ring has no key "a"\n']);
    });

    it("prints nothing when the response of Cloud KMS is damaged or an error", async () => {
      kms.damage("checksum");
      const damaged = await run(["wrap"], tokenKeys("a"));
      expect([damaged.code, damaged.stdout]).toEqual([1, ""]);
      expect(damaged.stderr).toBe("error: Cloud KMS failed: answer_damaged\n");
      kms.damage(undefined);
      kms.failWith(7);
      const denied = await run(["generate"]);
      expect([denied.code, denied.stdout]).toEqual([1, ""]);
      expect(denied.stderr).toBe("error: Cloud KMS failed: PERMISSION_DENIED\n");
      kms.failWith(undefined);
    });

    it("sends a ring to an emulator on loopback only", async () => {
      const env = { KMS_EMULATOR_HOST: "kms.example.com:443" };
      const sent = await runInfra("keys", ["wrap", "--kms-key", KEY], {
        input: tokenKeys("a"),
        env,
      });
      expect([sent.code, sent.stderr]).toEqual([
        2,
        "error: KMS_EMULATOR_HOST must be host:port on loopback\n",
      ]);
    });
  });
});
