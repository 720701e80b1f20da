import { createHash, createSecretKey } from "node:crypto";
import { assert, property, string } from "fast-check";
import { describe, expect, it } from "vitest";
import type { KeyRing } from "../../functions/src/crypto/sealing.ts";
import {
  type TokenName,
  digestsOf,
  digestsOfName,
} from "../../functions/src/crypto/token-digest.ts";

const TOKEN = "1//0gA-emulated_refresh.token-of-some-length";

function ringOf(primary: string, keys: Record<string, number>): KeyRing {
  const entries = Object.entries(keys).map(
    ([id, fill]) => [id, createSecretKey(Buffer.alloc(32, fill))] as const,
  );
  return { primary, keys: new Map(entries) };
}

const byPrefix = (token: string): TokenName => ({ by: "prefix", prefix: token.slice(0, 16) });
const byHash = (token: string): TokenName => {
  const once = createHash("sha512").update(token).digest();
  return { by: "doubleHash", hash: createHash("sha512").update(once).digest() };
};

describe("the digests of a refresh token", () => {
  const ring = ringOf("new", { new: 1, old: 2 });

  it("match both of Google's identifiers of the token", () => {
    const { prefix, doubleHash } = digestsOf(ring, TOKEN);
    expect(digestsOfName(ring, byPrefix(TOKEN))).toContain(prefix);
    expect(digestsOfName(ring, byHash(TOKEN))).toContain(doubleHash);
  });

  it("match if an older key made them", () => {
    const before = digestsOf(ringOf("old", { old: 2 }), TOKEN);
    expect(before.prefix).toMatch(/^old\./);
    expect(digestsOfName(ring, byPrefix(TOKEN))).toContain(before.prefix);
    expect(digestsOfName(ring, byHash(TOKEN))).toContain(before.doubleHash);
  });

  it("T7: reveal nothing to a reader of the database who has a token but no key", () => {
    const { prefix, doubleHash } = digestsOf(ring, TOKEN);
    const plain = [TOKEN, TOKEN.slice(0, 16), byHash(TOKEN)].flatMap((known) => {
      const bytes = typeof known === "string" ? Buffer.from(known) : Buffer.from(hashOf(known));
      const hashes = ["sha256", "sha512"].map((name) => createHash(name).update(bytes).digest());
      return [bytes, ...hashes].flatMap((shown) => [
        shown.toString("base64url"),
        shown.toString("base64"),
        shown.toString("hex"),
        shown.toString("latin1"),
      ]);
    });
    for (const known of plain) {
      expect(prefix).not.toContain(known);
      expect(doubleHash).not.toContain(known);
    }
    // The form, and that another key makes another digest of the same token.
    expect([prefix, doubleHash].every((digest) => /^new\.[\w-]{43}$/.test(digest))).toBe(true);
    const other = digestsOf(ringOf("new", { new: 3 }), TOKEN);
    expect(other.prefix).not.toBe(prefix);
    expect(other.doubleHash).not.toBe(doubleHash);
  });

  it("differ for two tokens, and the prefix only if the first 16 characters differ", () => {
    assert(
      property(string({ minLength: 17 }), string({ minLength: 17 }), (one, another) => {
        const [first, second] = [digestsOf(ring, one), digestsOf(ring, another)];
        expect(first.doubleHash === second.doubleHash).toBe(one === another);
        expect(first.prefix === second.prefix).toBe(one.slice(0, 16) === another.slice(0, 16));
      }),
    );
  });

  it("cannot be confused, although the same bytes make them", () => {
    const bytes = "sixteen letters!";
    const prefixes = digestsOfName(ring, { by: "prefix", prefix: bytes });
    const hashes = digestsOfName(ring, { by: "doubleHash", hash: Buffer.from(bytes) });
    for (const digest of hashes) expect(prefixes).not.toContain(digest);
  });
});

function hashOf(name: TokenName): Uint8Array {
  if (name.by !== "doubleHash") throw new Error("not a hash");
  return name.hash;
}
