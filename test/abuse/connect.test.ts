import assert from "node:assert/strict";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CONNECT_CASES } from "./connect-cases.ts";
import {
  ADA,
  APPLICATION,
  type Actors,
  BOB,
  KINDS,
  type Kind,
  PUBLIC_URL,
  beginFlow,
  byteChanged,
  callbackOf,
  connectAda,
  fieldReplaced,
  following,
  signIn,
  valid,
} from "./connect-requests.ts";
import { holdsForAll } from "./entry.ts";
import { rawBytes } from "./inputs.ts";
import {
  type PlainAnswer,
  type PlainRequest,
  asHeader,
  asTarget,
  expectSafe,
  send,
} from "./request.ts";
import { type Effects, startSubject } from "./subject.ts";

/**
 * Goal: whoever sends whatever to the pages gets a page or one fixed refusal, learns no secret, is
 * sent to nobody else's address, and changes nothing unless they hold what only Google and their
 * own browser could have given them.
 */

const STATUSES = [200, 303, 400, 403, 404, 405, 409, 410, 413, 415, 503];
const EXPECTED: Record<Kind, number> = {
  landing: 200,
  status: 200,
  start: 303,
  "start for the application": 200,
  declined: 303,
  callback: 303,
  link: 200,
  "link pressed": 303,
  disconnect: 200,
};

const actors = { session: "", csrf: "", link: "" } as Actors;

beforeAll(async () => {
  const env = { PUBLIC_URL, RETURN_TO_URLS: `${APPLICATION}/a?b=c` };
  const subject = await startSubject(env);
  actors.subject = subject;
  for (const email of [ADA, BOB]) subject.emulator.createAccount({ email });
  await send("connect", await callbackOf(subject, await beginFlow(), BOB));
  await connectAda(actors);
  subject.emulator.changePassword(BOB);
  subject.emulator.expireAccessTokens(BOB);
  subject.clock.advance(24 * 3_600_000);
  await subject.runSchedule("watchRenewal");
  const [event] = subject.events(BOB).filter(({ json }) => "reauthorizeUrl" in json);
  actors.link = String(event?.json["reauthorizeUrl"]).slice(`${PUBLIC_URL}/reauthorize/`.length);
  await connectAda(actors);
  subject.takeLogs();
});
afterAll(() => actors.subject.close());

interface Sent {
  answer: PlainAnswer;
  effects: Effects;
}

const NOTHING: Effects = { writes: 0, published: 0, calls: [] };

/** Sends it and checks what holds for every request. */
async function sendSafely(request: PlainRequest): Promise<Sent> {
  const { subject } = actors;
  const watched = subject.watch();
  const answer = await send("connect", request);
  const effects = watched();
  expectSafe(answer, STATUSES);
  expect(subject.takeLogs().filter(({ event }) => event === "request_failed")).toEqual([]);
  const location = answer.headers.get("location");
  if (location !== null) {
    const { origin } = new URL(location);
    const isGoogle = origin === new URL(subject.emulator.url).origin;
    assert(isGoogle || origin === APPLICATION || following(answer) !== undefined);
  }
  return { answer, effects };
}

/** The page that the person ends on, where a response leads to one of the receiver's pages. */
async function open({ answer, effects }: Sent): Promise<Sent> {
  const request = following(answer);
  if (request === undefined) return { answer, effects };
  // A fixed word and, with it, what an application said to `/start`: never a code or a state.
  expect(request.url).toMatch(/^\/(refused\/[a-z_]+(\?return_to=.*)?|reauthorize\/.*)?$/);
  expect(request.url).not.toMatch(/[?&](code|state|error)=/);
  const page = await sendSafely(request);
  expect(page.effects).toEqual(NOTHING);
  return { answer: page.answer, effects };
}

/**
 * Necessary for a code to be exchanged: the state and the cookie of one flow, to the letter. The
 * slashes before a path are not: `serve` puts one in place of however many there are.
 */
function couldExchange({ method, url, headers }: PlainRequest): boolean {
  const state = /[?&]state=([\w-]{43})(&|$)/.exec(url)?.[1];
  const flow = state?.slice(0, 12);
  return (
    method === "GET" &&
    url.includes("callback") &&
    (url.match(/[?&]code=/g)?.length ?? 0) === 1 &&
    headers["cookie"]?.includes(`__Host-authorization-${flow}=v2.canary.`) === true
  );
}

/** Necessary to end a connection: the session and the proof that its own page was used. */
function couldDisconnect({ method, url, headers, body }: PlainRequest): boolean {
  return (
    method === "POST" &&
    url.includes("disconnect") &&
    headers["cookie"]?.includes(actors.session) === true &&
    body?.toString().includes(actors.csrf) === true
  );
}

async function check(request: PlainRequest): Promise<void> {
  const mayExchange = couldExchange(request);
  const mayDisconnect = couldDisconnect(request);
  const { answer, effects } = await open(await sendSafely(request));
  if (mayDisconnect) return;
  // No code of these requests is Google's: it is asked about one, at most, and nothing is kept.
  const calls = mayExchange ? expect.toBeOneOf([["token.code"], []]) : [];
  expect({ ...effects, request }).toEqual({ ...NOTHING, calls, request });
  assert(answer.status >= 400 || !/^\/+callback\?/.test(request.url), request.url);
}

/** What people's browsers send does what they want. */
async function checkValid(kind: Kind, request: PlainRequest): Promise<void> {
  const { answer, effects } = await sendSafely(request);
  expect(answer.status).toBe(EXPECTED[kind]);
  expect(effects).toEqual(isCostly(kind) ? expect.not.objectContaining({ writes: 0 }) : NOTHING);
  // A session ends with the grant that it began with.
  if (kind === "callback") await signIn(actors, answer);
}

describe("a request to the pages", () => {
  const cases = CONNECT_CASES.map((each) => [each.name, each.status, each] as const);
  it.each(cases)("answers %s with %d", async (_, status, { leadsTo, make }) => {
    const sent = await sendSafely(await make(actors));
    const found = { leadsTo: following(sent.answer)?.url, ...sent.effects };
    expect(found).toEqual({ leadsTo, ...NOTHING });
    expect((await open(sent)).answer.status).toBe(status);
  });

  describe("of any kind", () => {
    const kind = fc.constantFrom(...KINDS);
    const often = fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...KINDS.filter((one) => !isCostly(one))) },
      { weight: 1, arbitrary: fc.constantFrom(...KINDS.filter(isCostly)) },
    );
    const changed = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 }));
    type Make = () => Promise<PlainRequest>;

    holdsForAll<{ kind?: Kind; make: Make }>(
      {
        valid: often.map((one) => ({ kind: one, make: () => valid(one, actors, true) })),
        oneFieldReplaced: fc.tuple(kind, fieldReplaced).map(([one, change]) => ({
          make: async () => change(await valid(one, actors, false)),
        })),
        oneByteChanged: fc.tuple(kind, changed).map(([one, [at, difference]]) => ({
          make: async () => byteChanged(await valid(one, actors, false), at, difference),
        })),
        rawBytes: fc
          .tuple(fc.constantFrom("GET", "POST"), kind, rawBytes, rawBytes, rawBytes)
          .map(([method, one, path, cookie, body]) => ({
            make: async () => {
              const { url } = await valid(one, actors, false);
              const tail = asTarget(path.toString("latin1"));
              const headers = { cookie: asHeader(cookie.toString("latin1")) };
              return { method, url: asTarget(`${url.split("?")[0]}?${tail}`), headers, body };
            },
          })),
      },
      async ({ kind: one, make }, generator) =>
        generator === "valid" && one !== undefined
          ? checkValid(one, await make())
          : check(await make()),
    );
  });
});

function isCostly(kind: Kind): boolean {
  return kind === "callback" || kind === "disconnect";
}
