import assert from "node:assert/strict";
import * as fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { ConfigError } from "../../functions/src/config/config.ts";
import {
  createLog,
  ReceiverError,
  describeUnknown,
  type Log,
  type LogFields,
  parseTraceHeader,
} from "../../functions/src/platform/log.ts";

/** What Cloud Logging receives: each test looks at the lines, as text and parsed. */
describe("a log", () => {
  let lines: string[];
  let log: Log;
  const records = (): Record<string, unknown>[] => lines.map((line) => JSON.parse(line));

  beforeEach(() => {
    lines = [];
    log = createLog((line) => lines.push(line));
  });

  it("writes one line of JSON in Cloud Logging's fields", () => {
    log.info("mailbox_synced", "synced a mailbox", { userId: "1001", changes: 3, more: false });
    expect(lines).toHaveLength(1);
    expect(records()).toEqual([
      {
        severity: "INFO",
        event: "mailbox_synced",
        message: "synced a mailbox",
        userId: "1001",
        changes: 3,
        more: false,
      },
    ]);
  });

  it("gives each severity its name, and CRITICAL to alerts", () => {
    log.debug("mailbox_synced", "m");
    log.info("mailbox_synced", "m");
    log.warn("call_failed", "m");
    log.error("bad_request", "m");
    log.alert("misconfigured", "m");
    expect(records().map(({ severity }) => severity)).toEqual([
      "DEBUG",
      "INFO",
      "WARNING",
      "ERROR",
      "CRITICAL",
    ]);
  });

  it("accepts an event only with the severities that the registry lists for it", () => {
    // @ts-expect-error: no such event.
    log.info("mailbox_sinced", "m");
    // @ts-expect-error: never an alert.
    log.alert("mailbox_synced", "m");
    expect(records()).toHaveLength(2);
  });

  it("has the fields it was created with; the innermost wins", () => {
    const run = log.with({ userId: "1001", run: "a" }).with({ run: "b" });
    run.info("mailbox_synced", "m", { labelIds: ["INBOX", "UNREAD"], absent: undefined });
    log.info("mailbox_synced", "m");
    const bare = { severity: "INFO", event: "mailbox_synced", message: "m" };
    const fields = { userId: "1001", run: "b", labelIds: ["INBOX", "UNREAD"] };
    expect(records()).toEqual([{ ...bare, ...fields }, bare]);
  });

  it("does not let a field replace the record's own", () => {
    const forged = { severity: "DEBUG", event: "forged", message: "forged" };
    log.with(forged).alert("misconfigured", "m", forged);
    expect(records()).toEqual([{ severity: "CRITICAL", event: "misconfigured", message: "m" }]);
  });

  it("escapes a forged line, an ANSI sequence and a line separator", () => {
    const text = 'a\r\n{"severity":"CRITICAL"}\u001b[31m\u009b31m\u007f\u2028\u2029\u0000';
    log.with({ [text]: text }).warn("call_failed", text, { list: [text] });
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
    expect(records()[0]).toEqual({
      severity: "WARNING",
      event: "call_failed",
      message: text,
      [text]: text,
      list: [text],
    });
  });

  it("cuts what is too long", () => {
    const text = "x".repeat(5_000);
    log.info("mailbox_synced", text, { text, list: Array.from({ length: 500 }, () => text) });
    const cut = `${"x".repeat(1_000)}…`;
    log.info("mailbox_synced", "x".repeat(1_000));
    expect(records()[1]).toMatchObject({ message: "x".repeat(1_000) });
    expect(records()[0]).toMatchObject({ message: cut, text: cut });
    expect(records()[0]?.["list"]).toEqual(Array.from({ length: 100 }, () => cut));
  });

  it("leaves out values that only a cast could pass", () => {
    const error = Object.assign(new Error("1//secret"), { config: { data: "1//secret" } });
    const fields = { error, list: ["a", error], nested: { token: "1//secret" }, big: 5n };
    log.error("bad_request", "m", fields as unknown as LogFields);
    expect(records()).toEqual([
      { severity: "ERROR", event: "bad_request", message: "m", list: ["a"] },
    ]);
  });

  it("writes one parsable line for any input", () => {
    const value = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.double(),
      fc.boolean(),
      fc.array(fc.string({ unit: "binary" })),
      fc.constant(undefined),
    );
    const text = fc.string({ unit: "binary" });
    fc.assert(
      fc.property(text, fc.dictionary(text, value), (message, fields) => {
        lines = [];
        log.with(fields).info("mailbox_synced", message, fields);
        expect(lines).toHaveLength(1);
        expect(lines[0]).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
        expect(records()[0]).toMatchObject({ severity: "INFO", event: "mailbox_synced", message });
      }),
    );
  });
});

describe("what is logged of an error", () => {
  const TOKEN = "1//0gHdR4vK1exampleRefreshToken";

  it("is its class and its code, not its message", () => {
    class GaxiosError extends Error {
      code = 400;
      config = { data: `refresh_token=${TOKEN}` };
    }
    const system = Object.assign(new Error(`connect ${TOKEN}`), { code: "ECONNREFUSED" });
    expect(describeUnknown(new GaxiosError(TOKEN))).toBe("GaxiosError (400)");
    expect(describeUnknown(new TypeError(TOKEN, { cause: TOKEN }))).toBe("TypeError");
    expect(describeUnknown(system)).toBe("Error (ECONNREFUSED)");
    expect(describeUnknown(new DOMException(TOKEN, "TimeoutError"))).toBe("TimeoutError (23)");
  });

  it("is also the message if it is our own", () => {
    const failed = new ConfigError(["GMAIL_TOPIC is not set"]);
    const asserted = (() => {
      try {
        return assert(false, "the cursor moved backwards");
      } catch (error) {
        return error;
      }
    })();
    expect(describeUnknown(failed)).toBe(
      "ConfigError: the configuration is not usable: GMAIL_TOPIC is not set",
    );
    expect(describeUnknown(new ReceiverError("a watch could not be stored"))).toBe(
      "ReceiverError: a watch could not be stored",
    );
    expect(describeUnknown(asserted)).toBe(
      "AssertionError (ERR_ASSERTION): the cursor moved backwards",
    );
  });

  it("is not the generated message of an assertion", () => {
    const compared = (() => {
      try {
        return assert.equal(TOKEN, "other");
      } catch (error) {
        return error;
      }
    })();
    expect(describeUnknown(compared)).toBe("AssertionError (ERR_ASSERTION)");
  });

  it("is little if it is not an error", () => {
    expect(describeUnknown(TOKEN)).toBe("not an error: string");
    expect(describeUnknown({ message: TOKEN })).toBe("not an error: object");
    expect(describeUnknown(undefined)).toBe("not an error: undefined");
    expect(describeUnknown(null)).toBe("not an error: null");
  });

  it("is no name or code that could be a token", () => {
    const error = Object.assign(new Error("x"), { name: TOKEN, code: TOKEN });
    expect(describeUnknown(error)).toBe("Error");
    const nameless = class extends Error {
      override name = TOKEN;
    };
    Object.defineProperty(nameless, "name", { value: TOKEN });
    expect(describeUnknown(new nameless("x"))).toBe("Error");
    expect(describeUnknown(Object.assign(new Error("x"), { code: "4/0AeanS0e" }))).toBe("Error");
    expect(describeUnknown(Object.assign(new Error("x"), { code: { TOKEN } }))).toBe("Error");
  });

  it("is found without an exception, for anything thrown", () => {
    const hostile = Object.defineProperty(new Error("x"), "code", {
      get: () => {
        throw new Error(TOKEN);
      },
    });
    expect(describeUnknown(hostile)).toBe("unreadable");
    expect(describeUnknown(Object.setPrototypeOf(new Error("x"), null))).toMatch(/^not an error/);
    const members = fc.record(
      { name: fc.anything(), code: fc.anything(), message: fc.anything(), stack: fc.anything() },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.anything(), members, (value, own) => {
        expect(describeUnknown(value).length).toBeLessThan(120);
        expect(describeUnknown(Object.assign(new Error(TOKEN), own))).not.toContain(TOKEN);
      }),
      { numRuns: 10_000 },
    );
  });
});

describe("a trace", () => {
  const TRACE = "0af7651916cd43dd8448eb211c80319c";

  it("is parsed from traceparent", () => {
    expect(parseTraceHeader(`00-${TRACE}-b7ad6b7169203331-01`, "p")).toEqual({
      "logging.googleapis.com/trace": `projects/p/traces/${TRACE}`,
      "logging.googleapis.com/spanId": "b7ad6b7169203331",
      "logging.googleapis.com/trace_sampled": true,
    });
    expect(parseTraceHeader(`00-${TRACE}-b7ad6b7169203331-00`, "p")).toMatchObject({
      "logging.googleapis.com/trace_sampled": false,
    });
  });

  it("is parsed from X-Cloud-Trace-Context, with the span in hexadecimal", () => {
    expect(parseTraceHeader(`${TRACE}/255;o=1`, "p")).toEqual({
      "logging.googleapis.com/trace": `projects/p/traces/${TRACE}`,
      "logging.googleapis.com/spanId": "00000000000000ff",
      "logging.googleapis.com/trace_sampled": true,
    });
    expect(parseTraceHeader(TRACE.toUpperCase(), "p")).toEqual({
      "logging.googleapis.com/trace": `projects/p/traces/${TRACE}`,
      "logging.googleapis.com/spanId": undefined,
      "logging.googleapis.com/trace_sampled": false,
    });
    expect(parseTraceHeader(`${TRACE}/99999999999999999999`, "p")).toMatchObject({
      "logging.googleapis.com/spanId": undefined,
    });
  });

  it.each([
    undefined,
    "",
    "00",
    `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
    `ff-${TRACE}-b7ad6b7169203331-01`,
    `00-${TRACE}-b7ad6b7169203331`,
    `00-${TRACE}-b7ad6b7169203331-01\n`,
    `${TRACE}/255;o=1"}`,
    `${TRACE}/x`,
    `../../${TRACE}`,
    "g".repeat(32),
  ])("is not read from %j", (header) => {
    expect(parseTraceHeader(header, "p")).toEqual({});
  });
});
