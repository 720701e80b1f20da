import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseEmailAddress } from "../../functions/src/domain/email-address.ts";

describe("an e-mail address", () => {
  it.each([
    ["ada@example.com", "ada@example.com"],
    ["Ada.Lovelace@Example.COM", "ada.lovelace@example.com"],
    ["ada+news@example.com", "ada+news@example.com"],
    ["o'brien@example.com", "o'brien@example.com"],
    ["grüße@exämple.com", "grüße@exämple.com"],
    ["ada@localhost", "ada@localhost"],
    [`${"a".repeat(64)}@${"b".repeat(255)}`, `${"a".repeat(64)}@${"b".repeat(255)}`],
  ])("is read from %j, in lower case", (value, expected) => {
    expect(parseEmailAddress(value)).toBe(expected);
  });

  it.each([
    undefined,
    null,
    5,
    {},
    ["ada@example.com"],
    "",
    "ada",
    "@",
    "@example.com",
    "ada@",
    "ada@@example.com",
    "ada@example.com@example.org",
    " ada@example.com",
    "ada@example.com\n",
    "ada@example.com\r\nBcc: eve@example.org",
    "a da@example.com",
    "ada\u0000@example.com",
    "ada\u007f@example.com",
    "ada\u200b@example.com",
    "\u202eada@example.com",
    "ada\ud800@example.com",
    "ada,eve@example.com",
    "Ada <ada@example.com>",
    '"ada"@example.com',
    "ada;eve@example.com",
    `${"a".repeat(65)}@${"b".repeat(255)}`,
    `${"a".repeat(10_000)}@example.com`,
  ])("is not read from %j", (value) => {
    expect(parseEmailAddress(value)).toBeUndefined();
  });

  it("is parsed the same when it is parsed again", () => {
    const part = fc.stringMatching(/^[A-Za-z0-9.+'_-]{1,60}$/);
    fc.assert(
      fc.property(part, part, (local, domain) => {
        const address = parseEmailAddress(`${local}@${domain}`);
        expect(address).toBe(`${local}@${domain}`.toLowerCase());
        expect(parseEmailAddress(address)).toBe(address);
      }),
    );
  });

  it("is always one address without white space, for any input", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.anything()), (value) => {
        const address = parseEmailAddress(value) ?? "none@example.com";
        expect(address.split("@")).toHaveLength(2);
        expect(address).not.toMatch(/[\s\p{Cc}]/u);
        expect(address.length).toBeLessThanOrEqual(320);
      }),
      { numRuns: 10_000 },
    );
  });
});
