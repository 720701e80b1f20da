import { type Actors, FORM, beginFlow, valid } from "./connect-requests.ts";
import type { PlainRequest } from "./request.ts";

/** A request that changes nothing, reaches no other server, and is answered in one way. */
export interface ConnectCase {
  name: string;
  /** Of what the person sees in the end. */
  status: number;
  /** The receiver's page that a 303 sends them to first. */
  leadsTo?: string;
  make(actors: Actors): Promise<PlainRequest>;
}

const CODE = "code=4%2F0Aunknown";
/** How the cookies of flows begin. */
const FLOW = "__Host-authorization-";

/** The refusals that a callback can lead to without Google being asked, and their pages' statuses. */
const REFUSALS = {
  session_lost: 400,
  google_refused: 403,
  already_done: 409,
} as const;
type Refusal = keyof typeof REFUSALS;

/** A callback with the cookie of a flow that this browser has begun. */
function callback(
  name: string,
  query: (state: string) => string,
  cookie: (own: string) => string = (own) => own,
  refusal: Refusal = "session_lost",
): ConnectCase {
  return {
    name: `a callback ${name}`,
    status: REFUSALS[refusal],
    leadsTo: `/refused/${refusal}`,
    make: async () => {
      const flow = await beginFlow();
      const url = `/callback?${query(flow.state)}`;
      return { method: "GET", url, headers: { cookie: cookie(flow.cookie) } };
    },
  };
}

function plain(name: string, status: number, request: Partial<PlainRequest>): ConnectCase {
  const made = { method: "GET", url: "/", headers: {}, ...request };
  return { name, status, make: () => Promise.resolve(made) };
}

/** What a valid request becomes. */
function changed(
  name: string,
  status: number,
  kind: Parameters<typeof valid>[0],
  change: (request: PlainRequest, actors: Actors) => PlainRequest,
): ConnectCase {
  return { name, status, make: async (actors) => change(await valid(kind, actors, false), actors) };
}

const STATES: readonly [string, (state: string) => string, Refusal?][] = [
  ["no state", () => CODE],
  ["an empty state", () => `state=&${CODE}`],
  ["an unknown state", () => `state=${"A".repeat(43)}&${CODE}`],
  ["a state in capitals", (state) => `state=${swapCase(state)}&${CODE}`],
  ["a state of its flow alone", (state) => `state=${state.slice(0, 12)}&${CODE}`],
  ["a state that is cut", (state) => `state=${state.slice(0, 42)}&${CODE}`],
  ["a state with more behind it", (state) => `state=${state}A&${CODE}`],
  ["a state with another end", (state) => `state=${otherEnd(state)}&${CODE}`],
  ["a state with NUL", (state) => `state=${state}%00&${CODE}`],
  ["a state with a line break", (state) => `state=${state}%0d%0a&${CODE}`],
  ["a state of 4 kB", () => `state=${"A".repeat(4_096)}&${CODE}`],
  ["two states", (state) => `state=${state}&state=${state}&${CODE}`],
  ["two states, one of them encoded", (state) => `state=${state}&%73tate=x&${CODE}`],
  ["a list of states", (state) => `state[]=${state}&${CODE}`],
  ["State", (state) => `State=${state}&${CODE}`],
  ["a state behind a semicolon", (state) => `x=1;state=${state}&${CODE}`],
  ["no code", (state) => `state=${state}`],
  ["an empty code", (state) => `state=${state}&code=`],
  ["two codes", (state) => `state=${state}&${CODE}&${CODE}`],
  ["a list of codes", (state) => `state=${state}&code[]=x`],
  ["a code and an error", (state) => `state=${state}&${CODE}&error=access_denied`],
  ["a code and an empty error", (state) => `state=${state}&${CODE}&error=`],
  ["an empty error", (state) => `state=${state}&error=`, "google_refused"],
  ["two errors", (state) => `state=${state}&error=a&error=b`],
  [
    "an error with a line break",
    (state) => `state=${state}&error=a%0d%0aSet-Cookie:%20b=c`,
    "google_refused",
  ],
  ["another issuer", (state) => `state=${state}&${CODE}&iss=https://evil.example.com`],
  ["an issuer without a scheme", (state) => `state=${state}&${CODE}&iss=accounts.google.com`],
  ["an issuer and a slash", (state) => `state=${state}&${CODE}&iss=https://accounts.google.com/`],
  ["an issuer in capitals", (state) => `state=${state}&${CODE}&iss=HTTPS://ACCOUNTS.GOOGLE.COM`],
  ["an empty issuer", (state) => `state=${state}&${CODE}&iss=`],
  [
    "two issuers",
    (state) => `state=${state}&${CODE}&iss=https://accounts.google.com&iss=https://evil.example`,
  ],
  ["the form of an implicit flow", (state) => `#state=${state}&${CODE}`],
];

const COOKIES: readonly [string, (own: string) => string, Refusal?][] = [
  ["no cookie", () => ""],
  ["a cookie without a value", (own) => `${own.split("=")[0]}=`],
  ["a cookie under a name without its prefix", (own) => own.replace("__Host-", "")],
  ["a cookie of the other prefix", (own) => own.replace("__Host-", "__Secure-")],
  ["a cookie in capitals", (own) => own.toUpperCase()],
  ["its cookie twice", (own) => `${own}; ${own}`],
  ["its cookie behind another of its name", (own) => `${own.split("=")[0]}=x; ${own}`],
  ["its cookie under another flow's name", (own) => own.replace(/-[\w-]+=/, "-AAAAAAAAAAAA=")],
  ["its cookie and another of its name", (own) => `${own}; ${own.split("=")[0]}=v1.a.b.c.d`],
  ["a cookie that is cut", (own) => own.slice(0, -1)],
  ["a cookie with padding", (own) => `${own}==`],
  ["a cookie in quotes", (own) => own.replace("=", '="').concat('"')],
  ["a cookie that says it is done", (own) => own.replace(/=.*/, "=done"), "already_done"],
  ["a cookie that says Done", (own) => own.replace(/=.*/, "=Done")],
  ["a cookie of another version", (own) => own.replace(/=v\d\./, "=v9.")],
  ["a cookie of an unknown key", (own) => own.replace(".canary.", ".other.")],
  ["a cookie of 100 kB", (own) => `${own}${"A".repeat(100_000)}`],
  ["ten thousand cookies", (own) => `${"a=b; ".repeat(10_000)}${own.slice(0, -1)}`],
];

const READING: readonly ConnectCase[] = [
  plain("an unknown path", 404, { url: "/admin" }),
  plain("a path that goes up", 404, { url: "/../callback" }),
  plain("a path that goes up and down", 404, { url: "/../othr/callback" }),
  plain("a path with an encoded slash", 404, { url: "/%2fcallback" }),
  plain("a path with a broken encoding", 404, { url: "/%E0%A4%A" }),
  plain("a path with NUL", 404, { url: "/%00" }),
  plain("an address without a path", 200, { url: "?state=1" }),
  plain("an asterisk", 404, { url: "*" }),
  plain("a name and a port", 404, { url: "evil.example.com:443" }),
  plain("an address of 1 MB", 200, { url: `/?${"a".repeat(1_048_576)}` }),
  plain("a HEAD of the landing page", 200, { method: "HEAD" }),
  plain("a POST of the start that is no form", 415, { method: "POST", url: "/start" }),
  plain("a DELETE", 405, { method: "DELETE" }),
  plain("an OPTIONS", 405, { method: "OPTIONS", url: "/disconnect" }),
  plain("a start of a person who has begun a hundred times", 303, {
    url: "/start",
    headers: { cookie: Array.from({ length: 100 }, (_, n) => `${FLOW}${n}=v1.a`).join("; ") },
  }),
  plain("a start with a flow of a name that is markup", 303, {
    url: "/start",
    headers: { cookie: `${FLOW}<script>=a; `.repeat(9) },
  }),
  plain("a link that is none", 410, { url: "/reauthorize/abc" }),
  plain("a link of 100 kB", 410, { url: `/reauthorize/${"A".repeat(100_000)}` }),
];

/** What is taken from one place and put in another, and forms that another page has sent. */
const BORROWED: readonly ConnectCase[] = [
  changed("a link with another end", 410, "link", (it) => ({ ...it, url: otherEnd(it.url) })),
  changed("a link in capitals", 410, "link", (it, { link }) => ({
    ...it,
    url: `/reauthorize/${swapCase(link)}`,
  })),
  changed("a session as a link", 410, "landing", (it, { session }) => ({
    ...it,
    url: `/reauthorize/${session.split("=")[1]}`,
  })),
  {
    ...changed("a session as a pending authorization", 400, "callback", (it, { session }) => ({
      ...it,
      headers: { cookie: it.headers["cookie"]?.replace(/=.*/, `=${session.split("=")[1]}`) ?? "" },
    })),
    leadsTo: "/refused/session_lost",
  },
  changed("a link pressed on a page whose host begins alike", 403, "link pressed", (it) => ({
    ...it,
    headers: { ...FORM, origin: "https://connect.example.com.evil.example.com" },
  })),
  ...["", "text/plain", "application/json", "multipart/form-data; boundary=a"].map((type) =>
    changed(`a link pressed with ${type || "no type"}`, 415, "link pressed", (it) => ({
      ...it,
      headers: { ...it.headers, "content-type": type },
    })),
  ),
  ...["Same-Origin", ""].map((site) =>
    changed(`a disconnect from ${site || "nowhere"}`, 403, "disconnect", (it) => ({
      ...it,
      headers: { ...it.headers, "sec-fetch-site": site },
    })),
  ),
  changed("a disconnect with the proof in its address", 403, "disconnect", (it, { csrf }) => ({
    ...it,
    url: `/disconnect?csrf=${csrf}`,
    body: Buffer.alloc(0),
  })),
  changed("a disconnect with the proof as JSON in a form", 403, "disconnect", (it, { csrf }) => ({
    ...it,
    body: Buffer.from(JSON.stringify({ csrf })),
  })),
  changed("a disconnect with two sessions", 400, "disconnect", ({ headers, ...it }) => ({
    ...it,
    headers: { ...headers, cookie: `${headers["cookie"]}; __Host-session=v1.canary.a.b.c` },
  })),
];

export const CONNECT_CASES: readonly ConnectCase[] = [
  ...STATES.map(([name, query, refusal]) => callback(`with ${name}`, query, (own) => own, refusal)),
  ...COOKIES.map(([name, cookie, refusal]) =>
    callback(`with ${name}`, (s) => `state=${s}&${CODE}`, cookie, refusal),
  ),
  ...READING,
  ...BORROWED,
];

function swapCase(text: string): string {
  return text.replace(/[a-zA-Z]/g, (it) => (it < "a" ? it.toLowerCase() : it.toUpperCase()));
}

function otherEnd(text: string): string {
  return `${text.slice(0, -2)}${text.endsWith("AA") ? "BB" : "AA"}`;
}
