/** What has been published to a topic by mistake or on purpose. */
export interface NotificationCase {
  name: string;
  data: unknown;
  /** The code in the log, or `unknown` for an address that is not connected. */
  why: string;
}

const ADA = "ada@example.com";

function message(members: Record<string, unknown>): unknown {
  return { message: { messageId: "1", ...members }, subscription: "projects/p/subscriptions/s" };
}

function text(content: string | Buffer): unknown {
  return message({ data: Buffer.from(content).toString("base64") });
}

function json(content: unknown): unknown {
  return text(JSON.stringify(content));
}

function each(
  why: string,
  what: string,
  values: readonly unknown[],
  make: (value: unknown) => unknown,
): NotificationCase[] {
  return values.map((value) => ({
    name: `${what} ${JSON.stringify(value)?.slice(0, 40) ?? "undefined"}`,
    data: make(value),
    why,
  }));
}

const NESTED = JSON.parse(`${"[".repeat(1_000)}${"]".repeat(1_000)}`);
const POLLUTING = JSON.parse('{"__proto__":{"message":{"data":"e30="}},"constructor":{}}');

export const NOTIFICATION_CASES: readonly NotificationCase[] = [
  ...each(
    "no_message",
    "data",
    [undefined, null, {}, [], "", "text", 5, true, [null], NESTED, POLLUTING],
    (data) => data,
  ),
  { name: "bytes of another content type", data: Buffer.from("{}"), why: "no_message" },
  ...each("no_message", "message", [null, "x", 0, true, undefined], (it) => ({ message: it })),
  ...each("no_data", "message", [[], {}, ["data"], { Data: "e30=" }], (it) => ({ message: it })),
  ...each("no_data", "message.data", [null, "", 5, {}, [], ["e30="], true], (data) =>
    message({ data }),
  ),
  ...each(
    "not_base64",
    "message.data",
    ["%%%", "a b", "YQ=\n", "=", "A", "YWJj=YWJj", "é", "YQ===", "\u0000", "e30=\u2028"],
    (data) => message({ data }),
  ),
  {
    name: "10 MB of data",
    data: message({ data: "A".repeat(10 * 1024 * 1024) }),
    why: "too_long",
  },
  ...each(
    "not_json",
    "content",
    [
      "x",
      "null",
      "[]",
      "5",
      '"x"',
      "true",
      "{",
      "{'a':1}",
      "NaN",
      "{}x",
      "\ufeff{}x",
      "[".repeat(9_999),
    ],
    (it) => text(String(it)),
  ),
  { name: "content that is not UTF-8", data: text(Buffer.from([0xff, 0xfe])), why: "not_json" },
  {
    name: "content with an overlong slash",
    data: text(Buffer.from('{"emailAddress":"a\xc0\xaf@b.c","historyId":1}', "latin1")),
    why: "not_json",
  },
  ...each("no_email_address", "content", [{}, { historyId: 1 }, { emailaddress: ADA }], json),
  {
    name: "an inherited address",
    data: text(`{"__proto__":{"emailAddress":"${ADA}","historyId":1}}`),
    why: "no_email_address",
  },
  ...each(
    "bad_email_address",
    "emailAddress",
    [
      null,
      5,
      "",
      "ada",
      "@example.com",
      "ada@",
      "ada@@example.com",
      "ada@example.com@example.org",
      "ada@example.com\r\nBcc: eve@example.org",
      " ada@example.com",
      "ada@example.com\u0000",
      "ada\u202e@example.com",
      "\ud800@example.com",
      [ADA],
      { toString: ADA },
      `${"a".repeat(10_000)}@example.com`,
    ],
    (emailAddress) => json({ emailAddress, historyId: 5 }),
  ),
  ...each("no_history_id", "content", [{ emailAddress: ADA }], json),
  ...each(
    "bad_history_id",
    "historyId",
    [
      null,
      0,
      -1,
      1.5,
      1e308,
      "abc",
      "",
      " 12",
      "12 ",
      "0012",
      "1e3",
      "0x10",
      "-0",
      {},
      [],
      [12],
      true,
    ],
    (historyId) => json({ emailAddress: ADA, historyId }),
  ),
  ...each("bad_history_id", "historyId written", ["1e999", "-0", "18446744073709551616"], (it) =>
    text(`{"emailAddress":"${ADA}","historyId":${String(it)}}`),
  ),
  ...each(
    "unknown",
    "an unknown address",
    [
      "eve@example.org",
      "ada+tag@example.com",
      "ada@example.com.",
      "аda@example.com",
      "ada@EXAMPLE.org",
    ],
    (emailAddress) => json({ emailAddress, historyId: "99999999" }),
  ),
  {
    name: "of an unknown address, with additional members",
    data: {
      ...Object(json({ emailAddress: "eve@example.org", historyId: 5, more: { deep: [1] } })),
      deliveryAttempt: 99,
      subscription: 5,
    },
    why: "unknown",
  },
];
