import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseNotification } from "../../functions/src/pubsub/notification.ts";
import { valueOf } from "../support/result.ts";

/**
 * Goal: a notification is read to the digit, and everything else that is published to the topic is told
 * apart without an exception, which Pub/Sub would repeat for a day.
 */

const SUBSCRIPTION = "projects/p/subscriptions/s";

/** Pub/Sub's envelope around the text. */
function envelope(text: string | Buffer, encoding: BufferEncoding = "base64", more: object = {}) {
  const data = Buffer.from(text).toString(encoding);
  return { message: { data, messageId: "1", ...more }, subscription: SUBSCRIPTION };
}

/** Gmail's content, with the members as they stand in the text. */
function content(members: Record<string, string>): string {
  return `{${Object.entries(members)
    .map(([name, value]) => `"${name}":${value}`)
    .join(",")}}`;
}

const whyOf = (data: unknown) => {
  const parsed = parseNotification(data);
  return parsed.ok ? "notification" : parsed.error;
};
const ADA = '"ada@example.com"';

describe("a notification", () => {
  it("is parsed from the envelope that Pub/Sub delivers", () => {
    const data = {
      message: {
        attributes: {},
        data: Buffer.from('{"emailAddress":"Ada@Example.com","historyId":1710}').toString("base64"),
        messageId: "136969346945",
        message_id: "136969346945",
        publishTime: "2026-11-20T13:02:03.749123456Z",
        publish_time: "2026-11-20T13:02:03.749123456Z",
        orderingKey: "",
      },
      subscription: SUBSCRIPTION,
      deliveryAttempt: 3,
    };
    expect(valueOf(parseNotification(data))).toEqual({
      emailAddress: "ada@example.com",
      historyId: "1710",
      publishedAt: new Date("2026-11-20T13:02:03.749Z"),
      messageId: "136969346945",
    });
  });

  it("is parsed from a class instance, as firebase-functions passes it", () => {
    class Message {
      readonly data = Buffer.from(content({ emailAddress: ADA, historyId: "7" })).toString(
        "base64",
      );
      readonly messageId = "9";
      readonly publishTime = "2026-11-20T13:02:03Z";
      get json(): unknown {
        throw new Error("not read");
      }
    }
    expect(
      valueOf(parseNotification({ message: new Message(), subscription: SUBSCRIPTION })),
    ).toEqual({
      emailAddress: "ada@example.com",
      historyId: "7",
      publishedAt: new Date("2026-11-20T13:02:03Z"),
      messageId: "9",
    });
  });

  it("is parsed from base64 and base64url, with any padding", () => {
    // Encodes with both of the characters in which the alphabets differ.
    const text = content({ emailAddress: ADA, historyId: "7", x: '">>>???ÿÿÿ~~"' });
    const standard = Buffer.from(text).toString("base64");
    const url = Buffer.from(text).toString("base64url");
    expect(standard).toMatch(/[+/]/);
    for (const data of [standard, standard.replace(/=+$/, ""), url, `${url}=`, `${url}==`]) {
      expect(whyOf({ message: { data } })).toBe("notification");
    }
  });

  it.each([
    ["1710", "1710"],
    ['"1710"', "1710"],
    ["9007199254740993", "9007199254740993"],
    ['"9007199254740993"', "9007199254740993"],
    ["18446744073709551615", "18446744073709551615"],
    ["  12  ", "12"],
  ])("keeps every digit of historyId %s", (historyId, expected) => {
    expect(
      valueOf(parseNotification(envelope(content({ emailAddress: ADA, historyId })))),
    ).toMatchObject({
      historyId: expected,
    });
  });

  it.each([
    "null",
    "true",
    "0",
    '"0"',
    "-1",
    "-9007199254740993",
    "1.5",
    "12.0",
    "1e3",
    "9007199254740993.0",
    "18446744073709551616",
    "99999999999999999999999",
    '"abc"',
    '" 12"',
    '"12 "',
    '"0012"',
    '""',
    "{}",
    "[12]",
    '{"historyId":12}',
  ])("is malformed when historyId is %s", (historyId) => {
    expect(whyOf(envelope(content({ emailAddress: ADA, historyId })))).toBe("bad_history_id");
  });

  it.each([
    "null",
    "5",
    "12345678901234567890",
    '""',
    '"ada"',
    '"ada@@example.com"',
    '"ada@example.com@example.org"',
    '"ada@example.com\\r\\nBcc: eve@example.org"',
    '" ada@example.com"',
    '["ada@example.com"]',
    `"${"a".repeat(10_000)}@example.com"`,
  ])("is malformed when emailAddress is %s", (emailAddress) => {
    const data = envelope(content({ emailAddress, historyId: "12" }));
    expect(whyOf(data)).toBe("bad_email_address");
  });

  it("keeps digits inside strings", () => {
    const text = content({
      x: '"\\" 12345678901234567890 \\\\"',
      emailAddress: '"9007199254740993@example.com"',
      historyId: "9007199254740993",
      y: "[1,-2,3.5,1e9,12345678901234567890]",
    });
    expect(valueOf(parseNotification(envelope(text)))).toMatchObject({
      emailAddress: "9007199254740993@example.com",
      historyId: "9007199254740993",
    });
  });

  it("uses the last of a repeated member, as JSON parsers do", () => {
    const text = `{"historyId":1,"emailAddress":"eve@example.org","emailAddress":${ADA},"historyId":2}`;
    expect(valueOf(parseNotification(envelope(text)))).toMatchObject({
      emailAddress: "ada@example.com",
      historyId: "2",
    });
  });

  it("is accepted with unknown members and attributes", () => {
    const text = content({ emailAddress: ADA, historyId: "7", more: '{"__proto__":{"x":1}}' });
    const attributes = JSON.parse('{"__proto__":{"polluted":"yes"}}');
    expect(whyOf(envelope(text, "base64", { attributes, orderingKey: 5 }))).toBe("notification");
    expect({}).not.toHaveProperty("polluted");
  });

  it("ignores an invalid time or id", () => {
    const text = content({ emailAddress: ADA, historyId: "7" });
    const bare = { emailAddress: "ada@example.com", historyId: "7" };
    for (const publishTime of ["", "yesterday", "2026-13-45T99:99:99Z", "2026", 5, null, {}]) {
      const more = { publishTime, messageId: "a".repeat(256) };
      const longest = { messageId: "a".repeat(255) };
      expect(valueOf(parseNotification(envelope(text, "base64", longest)))).toMatchObject(longest);
      expect(valueOf(parseNotification(envelope(text, "base64", more)))).toEqual(bare);
    }
    const snake = { messageId: undefined, message_id: "8", publish_time: "2026-01-01T00:00:00Z" };
    expect(valueOf(parseNotification(envelope(text, "base64", snake)))).toEqual({
      ...bare,
      messageId: "8",
      publishedAt: new Date("2026-01-01T00:00:00Z"),
    });
  });
});

describe("a malformed notification", () => {
  it.each([undefined, null, {}, [], "", "text", 5, true, { message: null }, { message: "x" }])(
    "has no message: %j",
    (data) => {
      expect(whyOf(data)).toBe("no_message");
    },
  );

  it.each([{}, [], { data: undefined }, { data: null }, { data: "" }, { data: 5 }, { data: {} }])(
    "has a message without data: %j",
    (message) => {
      expect(whyOf({ message })).toBe("no_data");
    },
  );

  it.each(["%%%", "a b", "YQ=\n", "=", "====", "YWJj=YWJj", "A", "AAAAA", "é", "YQ==="])(
    "has data that is not base64: %j",
    (data) => {
      expect(whyOf({ message: { data } })).toBe("not_base64");
    },
  );

  it.each(["", " ", "null", "[]", "[1]", "5", '"x"', "true", "{", "{'a':1}", "NaN", "{}x"])(
    "has content that is not a JSON object: %j",
    (text) => {
      expect(whyOf({ message: { data: Buffer.from(`${text} `).toString("base64") } })).toBe(
        "not_json",
      );
    },
  );

  it("has content that is not UTF-8, or JSON that is nested too deeply", () => {
    expect(whyOf(envelope(Buffer.from([0x7b, 0xff, 0xfe, 0x7d])))).toBe("not_json");
    expect(whyOf(envelope(Buffer.from('"\xc0\xaf"', "latin1")))).toBe("not_json");
    const text = content({ emailAddress: '"ad\xff@example.com"', historyId: "12" });
    expect(whyOf(envelope(Buffer.from(text, "latin1")))).toBe("not_json");
    expect(whyOf(envelope("[".repeat(10_000)))).toBe("not_json");
  });

  it("lacks an address or a position", () => {
    expect(whyOf(envelope("{}"))).toBe("no_email_address");
    expect(whyOf(envelope(content({ historyId: "12" })))).toBe("no_email_address");
    expect(whyOf(envelope(content({ emailAddress: ADA })))).toBe("no_history_id");
    expect(whyOf(envelope(content({ historyid: "12", emailAddress: ADA })))).toBe("no_history_id");
  });

  it("may not inherit its address or position", () => {
    const proto = content({ __proto__: content({ emailAddress: ADA, historyId: "12" }) });
    expect(whyOf(envelope(proto))).toBe("no_email_address");
  });

  it("is one character longer than allowed", () => {
    const text = content({ emailAddress: ADA, historyId: "12" }).padEnd(12_288);
    expect(whyOf(envelope(text))).toBe("notification");
    expect(whyOf(envelope(`${text} `))).toBe("too_long");
  });

  it("has 10 MB, and is not decoded", () => {
    const data = "A".repeat(10 * 1024 * 1024);
    expect(whyOf({ message: { data } })).toBe("too_long");
  });
});

describe("any input", () => {
  const WHY = [
    "no_message",
    "no_data",
    "too_long",
    "not_base64",
    "not_json",
    "no_email_address",
    "bad_email_address",
    "no_history_id",
    "bad_history_id",
  ];
  const json = fc.jsonValue();
  const anything = fc.oneof(
    fc.anything(),
    fc.record({ message: fc.anything() }),
    fc.record({ message: fc.record({ data: fc.string(), messageId: fc.anything() }) }),
    fc.uint8Array().map((bytes) => envelope(Buffer.from(bytes))),
    json.map((value) => envelope(JSON.stringify(value))),
    fc
      .record({ emailAddress: json, historyId: json }, { requiredKeys: [] })
      .map((value) => envelope(JSON.stringify(value))),
  );

  it("is a notification or malformed for a named reason, without an exception", () => {
    fc.assert(
      fc.property(anything, (data) => {
        expect([...WHY, "notification"]).toContain(whyOf(data));
      }),
      { numRuns: 10_000 },
    );
  });

  it("is parsed to the digit if it is valid", () => {
    const position = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });
    const local = fc.stringMatching(/^[a-z0-9.+_-]{1,40}$/);
    const spelling = fc.constantFrom<BufferEncoding>("base64", "base64url");
    const extra = fc.dictionary(
      fc.string().filter((name) => !["emailAddress", "historyId"].includes(name)),
      json,
    );
    fc.assert(
      fc.property(position, local, spelling, fc.boolean(), extra, (id, name, how, quoted, more) => {
        const text = content({
          ...Object.fromEntries(
            Object.entries(more).map(([key, value]) => [
              JSON.stringify(key).slice(1, -1),
              JSON.stringify(value),
            ]),
          ),
          emailAddress: `"${name}@example.com"`,
          historyId: quoted ? `"${id}"` : String(id),
        });
        expect(valueOf(parseNotification(envelope(text, how)))).toEqual({
          emailAddress: `${name}@example.com`,
          historyId: String(id),
          messageId: "1",
        });
      }),
      { numRuns: 10_000 },
    );
  });

  it("is still one or the other after one changed character", () => {
    const valid = content({ emailAddress: ADA, historyId: "9007199254740993" });
    fc.assert(
      fc.property(
        fc.nat({ max: valid.length - 1 }),
        fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
        (at, character) => {
          const text = valid.slice(0, at) + character + valid.slice(at + 1);
          expect([...WHY, "notification"]).toContain(whyOf(envelope(text)));
        },
      ),
      { numRuns: 10_000 },
    );
  });
});
