import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type KeyRing,
  isSealedWith,
  open,
  parseKeyRing,
  seal,
} from "../../functions/src/crypto/sealing.ts";
import { err, ok } from "../../functions/src/domain/result.ts";
import { ringOf } from "../support/test-keys.ts";

/**
 * Goal: what was sealed opens for the same user and purpose and for nothing else, and nothing that
 * anyone did to it goes unnoticed or throws.
 */

const OLD_KEY = Buffer.alloc(32, 1).toString("base64");
const NEW_KEY = Buffer.alloc(32, 2).toString("base64");
const ADA = { userId: "1001", purpose: "refresh_token" };
const TOKEN = "1//0gHdR4vK1exampleRefreshToken";

function keyRing(primary: string, keys: Record<string, string>): KeyRing {
  return ringOf(JSON.stringify({ primary, keys }));
}

const ring = keyRing("2026-11", { "2026-11": NEW_KEY, "2026-05": OLD_KEY });
/** Its IV is written with both of the characters in which base64 and base64url differ. */
const sealed = seal(ring, TOKEN, ADA, (size) => Buffer.alloc(size, 0xfb));
const opened = ok(TOKEN);
const notAuthentic = err("not_authentic");
const malformed = err("malformed");

const problemsOf = (ringText: unknown) => {
  const parsed = parseKeyRing(typeof ringText === "string" ? ringText : JSON.stringify(ringText));
  return parsed.ok ? [] : parsed.error;
};

/** One bit of one of the parts of a sealed value, which stays well-formed. */
function flip(value: string, part: number, bit: number): string {
  const parts = value.split(".");
  const bytes = Buffer.from(parts[part] ?? "", "base64url");
  const at = Math.floor(bit / 8) % bytes.length;
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit % 8));
  return parts.with(part, bytes.toString("base64url")).join(".");
}

const manyKeys = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`k${i}`, Buffer.alloc(32, i).toString("base64")]),
  );

describe("a sealed text", () => {
  it("opens for the same user and purpose, and reveals nothing", () => {
    expect(open(ring, sealed, ADA)).toEqual(opened);
    expect(sealed).toMatch(/^v2\.2026-11(\.[A-Za-z0-9_-]+){3}$/);
    for (const encoding of ["utf8", "base64", "base64url", "hex"] as const) {
      expect(sealed).not.toContain(Buffer.from(TOKEN).toString(encoding).slice(0, 12));
    }
  });

  it("opens for no other user and no other purpose", () => {
    for (const context of [
      { ...ADA, userId: "1002" },
      { ...ADA, userId: "" },
      { ...ADA, purpose: "access_token" },
      { userId: ADA.purpose, purpose: ADA.userId },
      // The same characters, divided elsewhere.
      { userId: "1001r", purpose: "efresh_token" },
      { userId: "100", purpose: "1refresh_token" },
    ]) {
      expect(open(ring, sealed, context)).toEqual(notAuthentic);
    }
  });

  it("does not open after any single bit was changed", () => {
    const lengths = sealed.split(".").map((part) => Buffer.from(part, "base64url").length);
    for (const part of [2, 3, 4]) {
      for (let bit = 0; bit < (lengths[part] ?? 0) * 8; bit++) {
        expect(open(ring, flip(sealed, part, bit), ADA)).toEqual(notAuthentic);
      }
    }
  });

  it("does not open under the id of another key, even with the same bytes", () => {
    const named = sealed.replace(".2026-11.", ".2026-05.");
    expect(open(ring, named, ADA)).toEqual(notAuthentic);
    const key = ring.keys.get("2026-11");
    assert(key !== undefined);
    const twin = {
      primary: "2026-11",
      keys: new Map([...ring.keys.keys()].map((id) => [id, key])),
    };
    expect(open(twin, named, ADA)).toEqual(notAuthentic);
  });

  it("has only one encoding", () => {
    for (const spelling of [
      sealed.replace("v2.", "v3."),
      sealed.replace("v2.", ""),
      `${sealed}=`,
      `${sealed} `,
      `${sealed}.`,
      ` ${sealed}`,
      `${sealed}\n`,
      sealed.replace("-_", "+/"),
    ]) {
      expect(open(ring, spelling, ADA)).toEqual(malformed);
    }
  });

  it("is rejected with a short IV or tag, which would weaken the check", () => {
    const parts = sealed.split(".");
    for (const part of [2, 4]) {
      for (const bytes of [0, 4, 11, 13, 15, 17]) {
        const changed = parts.with(part, Buffer.alloc(bytes).toString("base64url")).join(".");
        expect(open(ring, changed, ADA)).toEqual(malformed);
      }
    }
    expect(open(ring, parts.with(4, (parts[4] ?? "").slice(0, 6)).join("."), ADA)).toEqual(
      malformed,
    );
  });

  it("does not open once its key has left the ring", () => {
    const without = keyRing("2026-05", { "2026-05": OLD_KEY });
    expect(open(without, sealed, ADA)).toEqual(err("unknown_key"));
  });

  it("works for any text, and the empty one", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme" }),
        fc.string(),
        fc.string(),
        (text, userId, purpose) => {
          const context = { userId, purpose };
          const value = seal(ring, text, context, randomBytes);
          expect(open(ring, value, context)).toEqual(ok(text));
        },
      ),
    );
    expect(open(ring, seal(ring, "", ADA, randomBytes), ADA)).toEqual(ok(""));
  });

  it("is bound to its context", () => {
    const context = fc.record({ userId: fc.string(), purpose: fc.string() });
    fc.assert(
      fc.property(context, context, (one, other) => {
        fc.pre(one.userId !== other.userId || one.purpose !== other.purpose);
        const value = seal(ring, TOKEN, one, randomBytes);
        expect(open(ring, value, other)).toEqual(notAuthentic);
      }),
    );
  });

  it("is never sealed twice the same way: no IV repeats", () => {
    const ivs = new Set<string>();
    for (let i = 0; i < 20_000; i++) {
      ivs.add(seal(ring, TOKEN, ADA, randomBytes).split(".")[2] ?? "");
    }
    expect(ivs.size).toBe(20_000);
  });

  it("is rejected with an id that no key can have", () => {
    for (const keyId of ["", "a b", "a".repeat(65), "2026+11"]) {
      expect(open(ring, sealed.replace("2026-11", keyId), ADA)).toEqual(malformed);
    }
  });

  it("is never longer than the limit for opening", () => {
    const longest = "x".repeat(49_000);
    const value = seal(ring, longest, ADA, randomBytes);
    expect(open(ring, value, ADA)).toEqual(ok(longest));
    expect(() => seal(ring, "x".repeat(49_200), ADA, randomBytes)).toThrow("too long");
    expect(open(ring, `${value}${"A".repeat(600)}`, ADA)).toEqual(malformed);
  });

  it("is refused when the randomness is of another length", () => {
    expect(() => seal(ring, TOKEN, ADA, () => Buffer.alloc(8))).toThrow("the IV");
  });
});

describe("the formats", () => {
  const before = keyRing("2026-05", { "2026-05": OLD_KEY });
  const constant = (size: number) => Buffer.alloc(size, 0xfb);
  const TAIL = "2026-05.-_v7-_v7-_v7-_v7";

  it.each([
    ["refresh_token", "Vk1lLDyFjAV5wZyzwAQsssTiLGY8YbvIWYiCJKhR3Q.ELheLoi1pZd9PfFSCR849w"],
    ["session", "BdF9lx1PFqpUc5dqmerwgNudE0tbjtKUA9_PPUtiFQ.zbi77MiFSc1l-aWGCKqCfg"],
  ])("v2 seals each purpose with a key of its own: %s", (purpose, expected) => {
    const context = { ...ADA, purpose };
    const value = `v2.${TAIL}.${expected}`;
    expect(seal(before, TOKEN, context, constant)).toBe(value);
    expect(open(before, value, context)).toEqual(opened);
    expect(isSealedWith("2026-05", value)).toBe(true);
    expect(isSealedWith("2026-11", value)).toBe(false);
  });

  it.each([
    ["refresh_token", "hoNn8G36q7to8AKLgdUUr0EkcCsw-7E95uOfP2fv5g.Bc8cSzFqVxydNlB5tXvV0g"],
    ["session", "hoNn8G36q7to8AKLgdUUr0EkcCsw-7E95uOfP2fv5g.Ds2j6IpqzaQd7xV9QYlcgQ"],
  ])("v1 still opens, for its own purpose only, and is to be re-sealed: %s", (purpose, old) => {
    const value = `v1.${TAIL}.${old}`;
    expect(open(before, value, { ...ADA, purpose })).toEqual(opened);
    expect(open(before, value, { ...ADA, purpose: "another" })).toEqual(notAuthentic);
    expect(isSealedWith("2026-05", value)).toBe(false);
  });

  it("cannot be confused", () => {
    for (const [from, to] of [
      ["v1", "v2"],
      ["v2", "v1"],
    ] as const) {
      const text =
        from === "v1"
          ? "hoNn8G36q7to8AKLgdUUr0EkcCsw-7E95uOfP2fv5g.Bc8cSzFqVxydNlB5tXvV0g"
          : "Vk1lLDyFjAV5wZyzwAQsssTiLGY8YbvIWYiCJKhR3Q.ELheLoi1pZd9PfFSCR849w";
      expect(open(before, `${to}.${TAIL}.${text}`, ADA)).toEqual(notAuthentic);
    }
  });
});

describe("a rotated ring", () => {
  it("opens values of the old key, and seals with the new one", () => {
    const before = keyRing("2026-05", { "2026-05": OLD_KEY });
    const old = seal(before, TOKEN, ADA, randomBytes);
    expect(old).toMatch(/^v2\.2026-05\./);
    expect(open(ring, old, ADA)).toEqual(opened);
    expect(seal(ring, TOKEN, ADA, randomBytes)).toMatch(/^v2\.2026-11\./);
  });
});

describe("a value that we did not seal", () => {
  const base64url = fc
    .uint8Array({ maxLength: 40 })
    .map((bytes) => Buffer.from(bytes).toString("base64url"));
  const lookalike = fc
    .tuple(
      fc.constantFrom("v1", "v2", "v3", ""),
      fc.constantFrom("2026-11", "x", ""),
      fc.array(base64url),
    )
    .map(([version, keyId, parts]) => [version, keyId, ...parts].join("."));
  const mutated = fc
    .tuple(fc.nat({ max: sealed.length }), fc.nat({ max: 3 }), fc.string({ maxLength: 3 }))
    .map(([at, length, text]) => sealed.slice(0, at) + text + sealed.slice(at + length));

  it("does not open and does not throw", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), lookalike, mutated), (value) => {
        fc.pre(value !== sealed);
        expect(open(ring, value, ADA).ok).toBe(false);
      }),
      { numRuns: 10_000 },
    );
    expect(open(ring, "a".repeat(10_000_000), ADA)).toEqual(malformed);
    expect(open(ring, ".".repeat(10_000_000), ADA)).toEqual(malformed);
  });
});

describe("a key ring", () => {
  it("is parsed with its primary and its older keys", () => {
    expect(ring.primary).toBe("2026-11");
    expect([...ring.keys.keys()]).toEqual(["2026-11", "2026-05"]);
    expect(ring.keys.get("2026-11")?.export().toString("base64")).toBe(NEW_KEY);
  });

  it("prints no key", () => {
    expect(inspect(ring, { depth: 10, showHidden: true })).not.toContain(NEW_KEY.slice(0, 12));
    expect(JSON.stringify([...ring.keys])).not.toContain(NEW_KEY.slice(0, 12));
  });

  it.each([
    ["", ["is not a JSON object"]],
    ["null", ["is not a JSON object"]],
    ["[]", ["is not a JSON object"]],
    [NEW_KEY, ["is not a JSON object"]],
    [{}, ['"keys" is not an object with at least one key', '"primary" is not a string']],
    [
      { primary: "a", keys: [] },
      ['"keys" is not an object with at least one key', '"primary" names none of "keys"'],
    ],
    [{ primary: "b", keys: { a: NEW_KEY } }, ['"primary" names none of "keys"']],
    [{ primary: NEW_KEY, keys: { a: NEW_KEY } }, ['"primary" names none of "keys"']],
    [{ primary: "a", keys: { a: NEW_KEY, b: NEW_KEY } }, ['key 2 of "keys" repeats another key']],
    [
      { primary: "a.b", keys: { "a.b": NEW_KEY } },
      ['the id of key 1 of "keys" is not 1 to 64 of A-Z a-z 0-9 _ -'],
    ],
    [
      {
        primary: "a",
        keys: { a: Buffer.alloc(31, 7).toString("base64"), b: 5, c: `${NEW_KEY}\n` },
      },
      [1, 2, 3].map((place) => `key ${place} of "keys" is not 32 bytes in base64`),
    ],
  ])("is unusable and says why: %j", (ringText, problems) => {
    expect(problemsOf(ringText)).toEqual(problems);
  });

  it("has at most 100 keys", () => {
    expect(problemsOf({ primary: "k0", keys: manyKeys(100) })).toEqual([]);
    expect(problemsOf({ primary: "k0", keys: manyKeys(101) })).toEqual([
      '"keys" has more than 100 keys',
    ]);
  });

  it("quotes nothing of a rejected ring", () => {
    const secret = Buffer.alloc(32, 9).toString("base64");
    for (const ringText of [
      secret,
      { primary: secret, keys: secret },
      { primary: secret, keys: { [secret]: secret } },
      { primary: "a", keys: { a: `${secret}x`, [`${secret}y`]: `z${secret}` } },
      `{"primary":"a","keys":{"a":"${secret}"}`,
    ]) {
      expect(problemsOf(ringText)).not.toEqual([]);
      expect(problemsOf(ringText).join()).not.toContain(secret.slice(0, 12));
    }
  });

  it("is parsed or invalid, for any text", () => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record(
          {
            primary: fc.oneof(fc.constantFrom("a", "b", "__proto__"), fc.jsonValue()),
            keys: fc.oneof(
              fc.jsonValue(),
              fc.dictionary(
                fc.constantFrom("a", "b", "__proto__", "constructor"),
                fc.oneof(fc.constantFrom(NEW_KEY, OLD_KEY), fc.jsonValue()),
              ),
            ),
          },
          { requiredKeys: [] },
        )
        .map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(text, (value) => {
        const parsed = parseKeyRing(value);
        const isSound = parsed.ok
          ? parsed.value.keys.has(parsed.value.primary)
          : parsed.error.length > 0;
        expect(isSound).toBe(true);
      }),
      { numRuns: 10_000 },
    );
  });
});
