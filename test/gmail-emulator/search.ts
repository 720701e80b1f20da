import { filesOf, rawOf } from "./content.ts";
import type { Google } from "./google.ts";
import type { Mailbox, Message } from "./mailbox.ts";
import { valueOf } from "./mime.ts";

/** What a search asks for. */
export interface Search {
  readonly matches: (message: Message) => boolean;
  /** Whether it names spam or trash, so that they are not hidden. */
  readonly includesHidden: boolean;
}

/** Says what the emulator does not understand; Gmail itself never refuses a search. */
export class UnknownSearch extends Error {}

type Test = (message: Message) => boolean;

interface Context {
  readonly mailbox: Mailbox;
  readonly now: number;
}

/**
 * Reads a search as Gmail does: what stands side by side has to match, `OR` binds its two neighbours,
 * `{a b}` is any of them, `(a b)` all, and `-` none. Throws {@link UnknownSearch}.
 */
export function readSearch(google: Google, mailbox: Mailbox, query: string): Search {
  const context = { mailbox, now: google.now() };
  const tokens = tokensOf(query);
  const test = readAll(tokens, context, undefined);
  // A closing bracket without its opening one.
  if (tokens.length > 0) throw new UnknownSearch(`'${tokens[0]}' is not expected`);
  return {
    matches: test,
    includesHidden: /(^|[\s({])(in|label|is):\(?(trash|spam|anywhere)\b/i.test(query),
  };
}

/** Brackets, negations, and terms such as `subject:"a b"`; `from:(` is an operator and its bracket. */
function tokensOf(query: string): string[] {
  const found = query.matchAll(/[(){}]|-(?=\S)|[a-z0-9_]+:(?=[({])|(?:[^\s(){}"]+|"[^"]*"?)+/gi);
  return Array.from(found, ([token]) => token);
}

/** The terms up to a closing bracket; with an operator, they are its values. */
function readAll(tokens: string[], context: Context, operator: string | undefined): Test {
  const tests: Test[] = [];
  while (tokens.length > 0 && tokens[0] !== ")" && tokens[0] !== "}") {
    const token = tokens.shift() ?? "";
    if (/^and$/i.test(token)) continue;
    if (token === "OR" || token === "|") {
      const left = tests.pop();
      if (left === undefined || tokens.length === 0) continue;
      const right = readOne(tokens.shift() ?? "", tokens, context, operator);
      tests.push((message) => left(message) || right(message));
    } else tests.push(readOne(token, tokens, context, operator));
  }
  return (message) => tests.every((test) => test(message));
}

function readOne(
  token: string,
  tokens: string[],
  context: Context,
  operator: string | undefined,
): Test {
  switch (token) {
    case "-": {
      const refused = readOne(tokens.shift() ?? "", tokens, context, operator);
      return (message) => !refused(message);
    }
    case "(": {
      const all = readAll(tokens, context, operator);
      tokens.shift();
      return all;
    }
    case "{": {
      const any: Test[] = [];
      while (tokens.length > 0 && tokens[0] !== "}") {
        any.push(readOne(tokens.shift() ?? "", tokens, context, operator));
      }
      tokens.shift();
      return (message) => any.some((test) => test(message));
    }
    default:
      return readTerm(token, tokens, context, operator);
  }
}

function readTerm(
  token: string,
  tokens: string[],
  context: Context,
  outer: string | undefined,
): Test {
  const [, named, rest = ""] = /^([a-z_]+|rfc822msgid):(.*)$/i.exec(token) ?? [];
  if (named === undefined) return testOf(outer ?? "text", unquoted(token), context);
  const operator = named.toLowerCase();
  // `from:(a b)`: the brackets follow.
  if (rest === "") return readOne(tokens.shift() ?? "", tokens, context, operator);
  return testOf(operator, unquoted(rest), context);
}

function unquoted(text: string): string {
  return text.replaceAll('"', "");
}

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
const UNIT_MS: Record<string, number> = {
  h: 3_600_000,
  d: DAY_MS,
  m: 30 * DAY_MS,
  y: 365 * DAY_MS,
};

function testOf(operator: string, value: string, context: Context): Test {
  const { mailbox, now } = context;
  switch (operator) {
    case "text":
      return (message) => hasWords(everything(message), value);
    case "from":
    case "to":
    case "cc":
    case "bcc":
    case "subject":
      return (message) => hasWords(valueOf(message.headers, operator) ?? "", value);
    case "rfc822msgid": {
      const id = value.replaceAll(/[<>]/g, "");
      return ({ headers }) => valueOf(headers, "Message-ID")?.replaceAll(/[<>]/g, "") === id;
    }
    case "in":
    case "label":
    case "is":
    case "category":
      return placeTest(operator, value.toLowerCase(), mailbox);
    case "has":
      return propertyTest(value.toLowerCase());
    case "filename": {
      const part = value.toLowerCase();
      return (message) =>
        filesOf(message).some(({ filename }) => filename.toLowerCase().includes(part));
    }
    case "after":
    case "newer":
      return since(dateOf(operator, value));
    case "before":
    case "older":
      return not(since(dateOf(operator, value)));
    case "newer_than":
      return since(now - spanOf(operator, value));
    case "older_than":
      return not(since(now - spanOf(operator, value)));
    case "size":
    case "larger":
    case "larger_than":
      return largerThan(sizeOf(operator, value));
    case "smaller":
    case "smaller_than":
      return not(largerThan(sizeOf(operator, value)));
    default:
      throw new UnknownSearch(`the emulator does not search by '${operator}:'`);
  }
}

const not =
  (test: Test): Test =>
  (message) =>
    !test(message);

const since =
  (time: number): Test =>
  ({ internalDate }) =>
    internalDate >= time;

const largerThan =
  (bytes: number): Test =>
  ({ content }) =>
    rawOf(content).length > bytes;

/** Whole words, in this order; letters of either case are the same. */
function hasWords(text: string, value: string): boolean {
  const words = wordsOf(value);
  return words.length === 0 || ` ${wordsOf(text).join(" ")} `.includes(` ${words.join(" ")} `);
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];
}

function everything(message: Message): string {
  const { headers, text } = message;
  const told = ["From", "To", "Cc", "Subject"].map((name) => valueOf(headers, name) ?? "");
  return [...told, text, ...filesOf(message).map(({ filename }) => filename)].join("\n");
}

/** Labels by what `in:` and `is:` call them. */
const PLACES: Record<string, string> = {
  draft: "DRAFT",
  drafts: "DRAFT",
  sent: "SENT",
  chats: "CHAT",
};

function placeTest(operator: string, value: string, { userLabels }: Mailbox): Test {
  if (operator === "in" && value === "anywhere") return () => true;
  if (operator === "is" && value === "read") return not(hasLabel("UNREAD"));
  if (operator === "category") return hasLabel(`CATEGORY_${categoryOf(value)}`);
  const own = [...userLabels].find(
    ([id, { name = id }]) => id.toLowerCase() === value || nameInSearch(String(name)) === value,
  );
  return hasLabel(own?.[0] ?? PLACES[value] ?? value.toUpperCase());
}

const hasLabel =
  (labelId: string): Test =>
  ({ labelIds }) =>
    labelIds.includes(labelId);

function categoryOf(value: string): string {
  return value === "primary" ? "PERSONAL" : value.toUpperCase();
}

/** In a search, the spaces and slashes of a label's name are hyphens. */
function nameInSearch(name: string): string {
  return name.toLowerCase().replaceAll(/[\s/()&|]/g, "-");
}

function propertyTest(value: string): Test {
  switch (value) {
    case "attachment":
      return (message) => filesOf(message).length > 0;
    case "userlabels":
      return hasUserLabel;
    case "nouserlabels":
      return not(hasUserLabel);
    default:
      throw new UnknownSearch(`the emulator does not search by 'has:${value}'`);
  }
}

const hasUserLabel: Test = ({ labelIds }) => labelIds.some((label) => !/^[A-Z_]+$/.test(label));

/** Epoch seconds, or a day, which begins at midnight in California for the API. */
function dateOf(operator: string, value: string): number {
  if (/^\d{1,12}$/.test(value)) return Number(value) * SECOND_MS;
  const numbers = value.split(/[/-]/).map((number) => number.padStart(2, "0"));
  const [year, month, day] =
    numbers[0]?.length === 4 ? numbers : [numbers[2], numbers[0], numbers[1]];
  const at = Date.parse(`${year}-${month}-${day}T00:00:00-08:00`);
  if (Number.isNaN(at)) throw new UnknownSearch(`'${operator}:${value}' is no date`);
  return at;
}

function spanOf(operator: string, value: string): number {
  const [, count, unit = ""] = /^(\d{1,5})([hdmy])$/i.exec(value) ?? [];
  if (count === undefined) throw new UnknownSearch(`'${operator}:${value}' is no span of time`);
  return Number(count) * (UNIT_MS[unit.toLowerCase()] ?? 0);
}

function sizeOf(operator: string, value: string): number {
  const [, count, unit = ""] = /^(\d{1,12})([km]?)b?$/i.exec(value) ?? [];
  if (count === undefined) throw new UnknownSearch(`'${operator}:${value}' is no size`);
  return Number(count) * ({ "": 1, k: 1_024, m: 1_048_576 }[unit.toLowerCase()] ?? 1);
}
