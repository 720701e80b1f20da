import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { isAppState, parseReturnTo } from "../../functions/src/connect/return-to.ts";
import { readTicket } from "../../functions/src/connect/start-ticket.ts";
import { endOldestFlows, readCookie } from "../../functions/src/connect/cookies.ts";
import { parseTrace } from "../../functions/src/platform/log.ts";
import { parseEmailAddress } from "../../functions/src/domain/email-address.ts";
import { parsePageError } from "../../functions/src/texts/texts.ts";
import { clientOf } from "../../functions/src/platform/rate-limit.ts";
import { parseToken } from "../../functions/src/security-events/token.ts";

/**
 * Goal: no text of a stranger keeps an instance busy. Method: each parser of public input reads texts
 * that make backtracking expressions slow, as long as a header can be, hundreds of times. In linear
 * time that takes a second or so; quadratic time takes minutes and runs into the time limit.
 */

const CHARACTERS = 16 * 1024;
const TIMES = 200;
const TIME_MS_MAX = 20_000;

/** Runs of what expressions repeat, with an end that they do not expect. */
const RUNS = [
  ["a", "!"],
  ["0", "x"],
  [" ", "x"],
  ["\t ", "x"],
  ["a ", "="],
  ["-", "."],
  [".", "@"],
  ["a.", "@"],
  ["a@", "\u0000"],
  ["/", "\\"],
  ["\\/", "x"],
  ["../", "?"],
  ["%2e", "%"],
  ["=;", " "],
  ["; ", "="],
  [",", "x"],
  ["1, ", "x"],
  [":", "%"],
  ["aA0_", "\u00e9"],
  ["\u00e9", "a"],
] as const;
const TEXTS = RUNS.map(
  ([run, end]) => `a${run.repeat(Math.floor((CHARACTERS - 2) / run.length))}${end}`,
);

const RETURN_TO = "https://app.example/done";
const ticketContext = {
  config: {
    publicUrl: "https://push.example",
    returnTo: { urls: [RETURN_TO], secret: "s".repeat(32), isTicketRequired: false },
  },
  clock: { now: () => new Date(0), sleep: () => Promise.resolve() },
};

/** Built once for each text: only our own reading of it is repeated. */
const withCookies = (text: string) =>
  // What a header cannot hold is left out.
  new Headers({ cookie: text.replaceAll("\u0000", "") });
const parser =
  (parse: (text: string) => unknown) =>
  (text: string): (() => unknown) =>
  () =>
    parse(text);

const PARSERS: Record<string, (text: string) => () => unknown> = {
  "the names of cookies"(text) {
    const headers = withCookies(text);
    return () => readCookie(headers, "session");
  },
  "the cookies of flows"(text) {
    const headers = withCookies(text);
    return () => endOldestFlows(headers, "http://127.0.0.1", []);
  },
  "a client's address": parser((text) => clientOf(text, undefined, 0)),
  "a trace": parser(parseTrace),
  return_to: parser((text) => parseReturnTo(text, [RETURN_TO])),
  app_state: parser(isAppState),
  "a start ticket": parser((text) => readTicket(text, ticketContext)),
  "a security event": parser(parseToken),
  "an email address": parser(parseEmailAddress),
  "the name of a refusal": parser(parsePageError),
};

describe("a text that makes regular expressions slow", () => {
  it.each(Object.entries(PARSERS))(
    "is parsed quickly as %s",
    async (_, parse) => {
      for (const text of TEXTS) {
        const read = parse(text);
        for (let times = 0; times < TIMES; times++) {
          await read();
          // Lets the time limit end the test.
          await turn();
        }
      }
      expect(TEXTS.every(({ length }) => length > CHARACTERS / 2)).toBe(true);
    },
    TIME_MS_MAX,
  );
});
