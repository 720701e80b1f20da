import { gzipSync } from "node:zlib";
import type { RawAnswer } from "./google-server.ts";

/** Something in place of an answer, and the kind of failure that it is to every call that reads one. */
export type AnswerCase = readonly [name: string, kind: string, answer: RawAnswer];

const json = (body: string, status = 200): RawAnswer => ({ status, body });
const page = (status: number): RawAnswer => ({
  status,
  headers: { "content-type": "text/html" },
  body: "<!DOCTYPE html><title>Sorry</title><p>Error",
});

/** Nothing that any call could take for what it asked. */
export const UNREADABLE: readonly AnswerCase[] = [
  ["nothing", "transient", json("")],
  ["204", "transient", { status: 204 }],
  ["null", "transient", json("null")],
  ["a number", "transient", json("5")],
  ["a text", "transient", json('"ok"')],
  ["a list", "transient", json("[]")],
  ["an empty object", "transient", json("{}")],
  ["an object that only inherits", "transient", json('{"__proto__":{"historyId":"5"}}')],
  ["JSON that is cut", "transient", json('{"historyId":"2')],
  ["JSON behind a guard", "transient", json(')]}\'\n{"historyId":[]}')],
  ["deep JSON", "transient", json(`${"[".repeat(50_000)}${"]".repeat(50_000)}`)],
  ["a page in place of an answer", "transient", page(200)],
  ["5 MB of text", "transient", json("x".repeat(5_000_000))],
  [
    "what is not gzip but says so",
    "transient",
    { headers: { "content-encoding": "gzip" }, body: "no" },
  ],
  [
    "gzip that is cut",
    "transient",
    { headers: { "content-encoding": "gzip" }, body: gzipSync("{}".repeat(500)).subarray(0, 20) },
  ],
  ["an unknown type", "transient", { headers: { "content-type": "a/b" }, body: "{}" }],
  ["no type", "transient", { headers: { "content-type": "" }, body: "{}" }],
  [
    "an unknown charset",
    "transient",
    { headers: { "content-type": "application/json; charset=x" } },
  ],
  ["a page of a proxy, 400", "transient", page(400)],
  ["a page of a proxy, 502", "transient", page(502)],
  ["503 and nothing", "transient", json("", 503)],
  ["500 and an unknown error", "transient", json('{"error":{"code":500,"errors":null}}', 500)],
  ["a status that is not registered", "transient", json("{}", 599)],
  ["429 and nothing", "rate_limited", json("", 429)],
  [
    "429 until the year 9999",
    "rate_limited",
    { status: 429, headers: { "retry-after": "Fri, 31 Dec 9999 23:59:59 GMT" } },
  ],
  ["429 until no day", "rate_limited", { status: 429, headers: { "retry-after": "99999999999" } }],
];

/** One member of an answer that cannot be read, by call. What cannot be read is asked for again. */
export const WRONG_MEMBERS: readonly (readonly [
  method: string,
  name: string,
  values: unknown[],
])[] = [
  [
    "history.list",
    "historyId",
    [null, 0, -5, 1.5, "", "0012", "abc", 2 ** 60, {}, [], "1".repeat(21)],
  ],
  ["history.list", "history", [5, "text", {}, true]],
  ["users.getProfile", "historyId", [null, 0, -5, "", " 5", "5 ", [], "18446744073709551616"]],
  ["messages.list", "messages", [5, "text", {}, true]],
  [
    "messages.get",
    "internalDate",
    [null, "", " ", false, [], "1e3", 1.5, {}, "9".repeat(15), 1e308],
  ],
  ["users.watch", "expiration", [null, "", " ", false, [], "1e3", {}, "9".repeat(15), 8.64e15]],
  ["users.watch", "historyId", [null, 0, "", {}, "abc"]],
  [
    "token.refresh",
    "access_token",
    [null, "", 5, {}, [], "a\r\nb", "a\u0000b", "é", "x".repeat(4_097), "x".repeat(1_000_000)],
  ],
  ["token.refresh", "expires_in", [null, 0, -1, "3599", {}, []]],
  ["token.refresh", "scope", [null, 5, [], "x".repeat(100_000)]],
  ["token.code", "refresh_token", ["", 5, {}, "a\nb", "x".repeat(100_000)]],
  ["token.code", "id_token", ["", 5, {}, "x".repeat(100_000)]],
];
