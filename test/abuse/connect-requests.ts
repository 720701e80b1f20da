import * as fc from "fast-check";
import { anyJson } from "./inputs.ts";
import { type PlainAnswer, type PlainRequest, asHeader, asTarget, send } from "./request.ts";
import type { Subject } from "./subject.ts";

/** Where browsers find `connect`, behind a path of its own, and where they may be sent afterwards. */
export const PUBLIC_URL = "https://connect.example.com/mail";
export const APPLICATION = "https://app.example.com";
export const ADA = "ada@example.com";
export const BOB = "bob@example.com";

const SESSION_COOKIE = "__Host-session";
export const FORM = { "content-type": "application/x-www-form-urlencoded" };
const OWN_PAGE = { origin: new URL(PUBLIC_URL).origin, "sec-fetch-site": "same-origin" };

/** Requests that people's browsers make. */
export const KINDS = [
  "landing",
  "status",
  "start",
  "start for the application",
  "declined",
  "callback",
  "link",
  "link pressed",
  "disconnect",
] as const;
export type Kind = (typeof KINDS)[number];

/** One authorization that a browser has begun. */
export interface Flow {
  state: string;
  cookie: string;
  /** Google's page. */
  location: string;
}

/** Ada, connected and signed in, and Bob, whose grant has ended and who was sent a link. */
export interface Actors {
  subject: Subject;
  session: string;
  csrf: string;
  link: string;
}

/** What an application has its link to `/start` say. */
const FOR_APPLICATION = new URLSearchParams({
  return_to: `${APPLICATION}/a?b=c`,
  app_state: "s1",
}).toString();

const START: PlainRequest = { method: "GET", url: "/start", headers: {} };
const SAMPLE_CODE = "4/0Aunknown-to-google";

/** The button of the page that names the application. */
export function pressed({ url }: PlainRequest): PlainRequest {
  const headers = {
    origin: new URL(PUBLIC_URL).origin,
    "content-type": "application/x-www-form-urlencoded",
  };
  return { method: "POST", url, headers, body: Buffer.alloc(0) };
}

export async function beginFlow(request = START): Promise<Flow> {
  const first = await send("connect", request);
  const isAsked = first.status === 200;
  const answer = isAsked ? await send("connect", pressed(request)) : first;
  const location = answer.headers.get("location") ?? "";
  const state = new URL(location).searchParams.get("state") ?? "";
  return { state, location, cookie: cookieOf(answer) };
}

function cookieOf(answer: PlainAnswer): string {
  return (answer.headers.getSetCookie()[0] ?? "").split(";")[0] ?? "";
}

/** Google's answer to a flow in which this person allows everything. */
export async function callbackOf(
  subject: Subject,
  { location, cookie }: Flow,
  account: string,
): Promise<PlainRequest> {
  const back = new URL(await subject.emulator.consent(location, { account }));
  return { method: "GET", url: `/callback${back.search}`, headers: { cookie } };
}

/** Google's response to a flow in which the person allows nothing. */
function declined({ state, cookie }: Flow): PlainRequest {
  const url = `/callback?error=access_denied&state=${state}`;
  return { method: "GET", url, headers: { cookie } };
}

/** What a browser asks for next, where a 303 leads to a page of the receiver. */
export function following(answer: PlainAnswer, cookie = ""): PlainRequest | undefined {
  const location = answer.headers.get("location");
  if (location === null || !location.startsWith(`${PUBLIC_URL}/`)) return undefined;
  return { method: "GET", url: location.slice(PUBLIC_URL.length), headers: { cookie } };
}

/** Takes over the session that a callback has begun, and the proof from the page that it leads to. */
export async function signIn(actors: Actors, answer: PlainAnswer): Promise<void> {
  const cookies = answer.headers.getSetCookie().map((line) => line.split(";")[0] ?? "");
  const session = cookies.find((pair) => pair.startsWith(`${SESSION_COOKIE}=`));
  const request = following(answer, session);
  const page = request && (await send("connect", request));
  const csrf = /name="csrf" value="([^"]+)"/.exec(page?.body ?? "")?.[1];
  if (session === undefined || csrf === undefined) throw new Error(`no session: ${answer.head}`);
  Object.assign(actors, { session, csrf });
}

export async function connectAda(actors: Actors): Promise<void> {
  const { subject } = actors;
  await signIn(actors, await send("connect", await callbackOf(subject, await beginFlow(), ADA)));
}

/** A request as a browser makes it at this moment. Only a `fresh` callback carries Google's code. */
export async function valid(kind: Kind, actors: Actors, isFresh: boolean): Promise<PlainRequest> {
  const { subject, session, link } = actors;
  const get = (url: string, headers = {}) => ({ method: "GET", url, headers });
  switch (kind) {
    case "landing":
      return get("/");
    case "status":
      return get("/", { cookie: `theme=dark; ${session}` });
    case "start":
      return START;
    case "start for the application":
      return get(`/start?${FOR_APPLICATION}`);
    case "declined":
      return declined(await beginFlow());
    case "callback": {
      const flow = await beginFlow();
      if (isFresh) return callbackOf(subject, flow, ADA);
      const { state, cookie } = flow;
      const query = {
        state,
        code: SAMPLE_CODE,
        scope: "openid email",
        iss: "https://accounts.google.com",
      };
      return get(`/callback?${new URLSearchParams(query).toString()}`, { cookie });
    }
    case "link":
      return get(`/reauthorize/${link}`);
    case "link pressed":
      return { method: "POST", url: `/reauthorize/${link}`, headers: { ...FORM, ...OWN_PAGE } };
    case "disconnect": {
      if (subject.stored(ADA).status !== "active") await connectAda(actors);
      const body = Buffer.from(new URLSearchParams({ csrf: actors.csrf }).toString());
      const headers = { ...FORM, ...OWN_PAGE, cookie: actors.session };
      return { method: "POST", url: "/disconnect", headers, body };
    }
  }
}

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE"];
const HEADERS = [
  "cookie",
  "sec-purpose",
  "origin",
  "sec-fetch-site",
  "content-type",
  "host",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-http-method-override",
  "traceparent",
  "content-length",
  "authorization",
];
const PARAMETERS = ["state", "code", "error", "iss", "scope", "return_to", "app_state", "csrf"];

/** One change of a request: a field that has another value, or is there twice, or is gone. */
export type Change = (request: PlainRequest) => PlainRequest;

const text = anyJson.map((value) => (typeof value === "string" ? value : JSON.stringify(value)));

export const fieldReplaced: fc.Arbitrary<Change> = fc.oneof(
  fc.constantFrom(...METHODS).map((method) => (request: PlainRequest) => ({ ...request, method })),
  fc.tuple(fc.constantFrom(...HEADERS), text).map(([name, value]) => (request: PlainRequest) => ({
    ...request,
    headers: { ...request.headers, [name]: asHeader(value) },
  })),
  fc.tuple(fc.constantFrom(...PARAMETERS), text, fc.constantFrom("set", "append", "delete")).map(
    ([name, value, how]) =>
      (request: PlainRequest) =>
        withParameter(request, name, value, how),
  ),
  text.map((path) => (request: PlainRequest) => {
    const [, query = ""] = request.url.split("?");
    return { ...request, url: asTarget(`${path}?${query}`) };
  }),
  text.map((body) => (request: PlainRequest) => ({ ...request, body: Buffer.from(body) })),
);

function withParameter(
  request: PlainRequest,
  name: string,
  value: string,
  how: "set" | "append" | "delete",
): PlainRequest {
  const [path = "/", query] = request.url.split("?");
  const params = new URLSearchParams(query ?? request.body?.toString());
  params[how](name, value);
  const changed = params.toString();
  return query === undefined && request.body !== undefined
    ? { ...request, body: Buffer.from(changed) }
    : { ...request, url: `${path}?${changed}` };
}

/** The request with one byte changed, wherever that byte is. */
export function byteChanged(request: PlainRequest, at: number, difference: number): PlainRequest {
  const { method, url, headers, body = Buffer.alloc(0) } = request;
  const names = Object.keys(headers);
  const parts = [url, ...Object.values(headers), body.toString("latin1")];
  let left = at % parts.join("").length;
  const changed = parts.map((part) => {
    const position = left;
    left -= part.length;
    if (position < 0 || position >= part.length) return part;
    const byte = (part.charCodeAt(position) + difference) % 256;
    return part.slice(0, position) + String.fromCharCode(byte) + part.slice(position + 1);
  });
  return {
    method,
    url: asTarget(changed[0] ?? "/"),
    headers: Object.fromEntries(
      names.map((name, index) => [name, asHeader(changed[index + 1] ?? "")]),
    ),
    body: Buffer.from(changed.at(-1) ?? "", "latin1"),
  };
}
