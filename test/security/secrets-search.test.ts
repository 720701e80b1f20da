import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { findSecrets } from "../support/find-secrets.ts";

/** Goal: what the other tests search with finds a secret in every form that it could have leaked in. */

const TOKEN = "1//0gHdR4vK1x/Qm+Zt&ref=Yw-exampleRefreshToken_0123456789abcdefGHIJ";
const OTHER = "ya29.a0AnotherToken-of-somebody-else-that-is-nowhere-to-be-found-0001";
const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 37 + 11) % 256));

const shifted = (encoding: "base64" | "base64url", by: number) =>
  Buffer.from(`${"x".repeat(by)}${TOKEN}yz`).toString(encoding);

const FORMS: [name: string, text: string][] = [
  ["as it is", `token=${TOKEN};`],
  ["its first half", TOKEN.slice(0, TOKEN.length / 2)],
  ["its second half", TOKEN.slice(TOKEN.length / 2)],
  ["26 characters of its middle", TOKEN.slice(17, 43)],
  ["in lower case", TOKEN.toLowerCase()],
  ["in upper case", TOKEN.toUpperCase()],
  ["percent-encoded", encodeURIComponent(TOKEN)],
  ["percent-encoded twice", encodeURIComponent(encodeURIComponent(TOKEN))],
  ["in a form", new URLSearchParams({ token: TOKEN }).toString()],
  ["in JSON", JSON.stringify({ token: `"${TOKEN}"` })],
  ["in JSON with escapes", JSON.stringify(TOKEN).replaceAll("/", "\\/").replace("g", "\\u0067")],
  ["in HTML", TOKEN.replaceAll("&", "&amp;").replaceAll("/", "&#x2F;").replaceAll("+", "&#43;")],
  ["in base64", shifted("base64", 0)],
  ["in base64, one byte on", shifted("base64", 1)],
  ["in base64, two bytes on", shifted("base64", 2)],
  ["in base64url", shifted("base64url", 1)],
  ["in base64 in an address", encodeURIComponent(shifted("base64", 2))],
  ["in base64 twice", Buffer.from(shifted("base64", 1)).toString("base64")],
  ["in hex", Buffer.from(TOKEN).toString("hex")],
  ["in hex, upper case", Buffer.from(TOKEN).toString("hex").toUpperCase()],
  ["as Node prints bytes", inspect(Buffer.from(TOKEN), { maxArrayLength: null })],
  ["as JSON has bytes", JSON.stringify(Buffer.from(TOKEN))],
  ["inside of much else", `${"abc/def+123 ".repeat(5_000)}${TOKEN}${"ghi".repeat(5_000)}`],
];

describe("the search for secrets", () => {
  it.each(FORMS)("finds one %s, and nothing else", (_, text) => {
    expect(findSecrets(`before ${text} after`, [TOKEN, OTHER])).toEqual([TOKEN]);
  });

  it("finds the bytes of a key in every encoding", () => {
    const secret = KEY.toString("latin1");
    for (const encoding of ["base64", "base64url", "hex"] as const) {
      expect(findSecrets(`{"a":"${KEY.toString(encoding)}"}`, [secret])).toEqual([secret]);
    }
    expect(findSecrets(inspect(KEY), [secret])).toEqual([secret]);
  });

  it("finds a short one only as a whole, also at the very end", () => {
    expect(findSecrets("the password is hunter2-0001", ["hunter2-0001"])).toEqual(["hunter2-0001"]);
    expect(findSecrets("the password is hunter2-0002", ["hunter2-0001"])).toEqual([]);
  });

  it("finds nothing in clean text", () => {
    expect(findSecrets("", [TOKEN])).toEqual([]);
    expect(findSecrets(TOKEN.slice(0, 17), [TOKEN])).toEqual([]);
    expect(findSecrets(`${OTHER}`.repeat(100), [TOKEN])).toEqual([]);
  });
});
