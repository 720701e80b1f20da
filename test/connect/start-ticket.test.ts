import { createHmac } from "node:crypto";
import { SignJWT, UnsecuredJWT, decodeJwt } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Browser, FROM_OUR_PAGE, openBrowser } from "../support/browser.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { begin, leadsTo, startFlow } from "../support/flow.ts";

const ADA = "ada@example.com";
const APP = "https://app.example/done";
const OTHER_APP = "https://other.example/back?a=1";
const SECRET = "an application and this receiver share it";
const MINUTE_S = 60;
const LONGEST_TAGS = Object.fromEntries(
  Array.from({ length: 10 }, (_, index) => [`tag-${index}`.padEnd(32, "x"), "v".repeat(128)]),
);

let scenario: Scenario;
async function restart(env: Record<string, string> = {}) {
  await scenario?.close();
  const urls = { RETURN_TO_URLS: `${APP} ${OTHER_APP}`, RETURN_TO_SECRET: SECRET };
  scenario = await startScenario({ env: { ...urls, ...env } });
  scenario.emulator.createAccount({ email: ADA });
}
beforeEach(() => restart());
afterEach(() => scenario.close());

type Claims = Record<string, unknown>;

let tickets = 0;
/** What the application says of its own user, with what the test changes of it. */
function claims(changes: Claims = {}): Claims {
  const iat = Math.floor(scenario.clock.now().getTime() / 1_000);
  tickets += 1;
  return {
    iss: "https://app.example",
    aud: scenario.publicUrl,
    jti: `ticket-${tickets}`,
    iat,
    exp: iat + 5 * MINUTE_S,
    sub: "user-7",
    ...changes,
  };
}

function sign(
  content: Claims,
  { secret = SECRET, alg = "HS256", typ = "connect-ticket+jwt" } = {},
): Promise<string> {
  return new SignJWT(content)
    .setProtectedHeader({ alg, typ })
    .sign(new TextEncoder().encode(secret));
}

const HEADER = { alg: "HS256", typ: "connect-ticket+jwt" };

/** Signed like any other, with what a library would not write. `more` comes last, and so counts. */
function byHand(header: object, content: Claims, more?: string): string {
  const json = JSON.stringify(content);
  const parts = [
    JSON.stringify(header),
    more === undefined ? json : `${json.slice(0, -1)},${more}}`,
  ];
  const input = parts.map((part) => Buffer.from(part).toString("base64url")).join(".");
  return `${input}.${createHmac("sha256", SECRET).update(input).digest("base64url")}`;
}

const startUrl = (ticket: string, more = "") =>
  `${scenario.publicUrl}/start?ticket=${encodeURIComponent(ticket)}${more}`;

/** Both halves of a start: the page, and the button on it, which must agree. */
async function statuses(url: string): Promise<number[]> {
  const browser = openBrowser();
  return [(await browser.ask(url)).status, (await browser.post(url, {})).status];
}

const ACCEPTED = [200, 303];
const REFUSED = [403, 403];

/** Uses the ticket as the application's user would, and resolves to where the browser ends. */
async function use(ticket: string, browser: Browser = openBrowser()): Promise<string> {
  const query = `?ticket=${encodeURIComponent(ticket)}`;
  const { back } = await begin(scenario, ADA, { browser, query });
  return (await browser.ask(back.href)).headers.get("location") ?? "";
}

const connectionIn = (location: string) =>
  decodeJwt(new URL(location).searchParams.get("connection") ?? "");

describe("a start ticket", () => {
  it("returns to the application which of its users has connected, and stores the tags", async () => {
    const tags = { team: "blue", "plan-2": "", constructor: "é" };
    const ticket = await sign(claims({ return_to: OTHER_APP, app_state: "s1", tags }));
    const location = await use(ticket);
    expect(location).toContain(OTHER_APP);
    expect(connectionIn(location)).toMatchObject({
      aud: OTHER_APP,
      app_sub: "user-7",
      app_state: "s1",
      email: ADA,
      sub: scenario.stored(ADA).id,
    });
    expect(scenario.stored(ADA).tags).toEqual(tags);
  });

  it("without return_to leads to the page of the receiver", async () => {
    expect(await use(await sign(claims()))).toBe(`${scenario.publicUrl}/`);
    expect(scenario.stored(ADA).tags).toBeUndefined();
  });

  it("names the application before anything happens, and asks for consent", async () => {
    const { browser } = await scenario.connect(ADA, { exists: true });
    const url = startUrl(await sign(claims()));
    const page = await browser.ask(url, FROM_OUR_PAGE);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain("https://app.example");
    const pressed = await browser.post(url, {});
    const asked = new URL(pressed.headers.get("location") ?? "");
    expect(asked.searchParams.get("prompt")).toBe("consent");
    expect(asked.href).not.toContain("user-7");
  });

  it("is accepted once, also by another browser and at another instance", async () => {
    const url = startUrl(await sign(claims()));
    const first = openBrowser();
    // A scanner that opens the link uses nothing up.
    for (let count = 0; count < 3; count++) expect((await first.ask(url)).status).toBe(200);
    const pressed = await Promise.all([first.post(url, {}), openBrowser().post(url, {})]);
    expect(pressed.map(({ status }) => status).toSorted()).toEqual([303, 403]);
    expect((await openBrowser().post(url, {})).status).toBe(403);
    expect(scenario.logged("ticket_refused")[0]).toMatchObject({ reason: "used" });
  });

  it("of another application may have the same id", async () => {
    const jti = "1";
    expect(await statuses(startUrl(await sign(claims({ jti }))))).toEqual(ACCEPTED);
    const iss = "https://other.example";
    expect(await statuses(startUrl(await sign(claims({ jti, iss }))))).toEqual(ACCEPTED);
    expect(await statuses(startUrl(await sign(claims({ jti }))))).toEqual([200, 403]);
  });

  it("is remembered for longer than it is valid", async () => {
    const url = startUrl(await sign(claims()));
    await openBrowser().post(url, {});
    const [kept] = Object.values(scenario.callbackClaims.dump());
    const { exp } = decodeJwt(new URL(url).searchParams.get("ticket") ?? "");
    expect(kept?.expireAt.getTime()).toBeGreaterThan(((exp ?? 0) + 30) * 1_000);
    expect(JSON.stringify(scenario.callbackClaims.dump())).not.toContain("ticket-");
  });

  it("leads a person who declines back to the application, since it is used up", async () => {
    const ticket = await sign(claims({ return_to: APP, app_state: "s1" }));
    const query = `?ticket=${encodeURIComponent(ticket)}`;
    const { browser, back } = await begin(scenario, ADA, { query, decline: true });
    const led = leadsTo(await browser.ask(back.href), scenario);
    expect(led).not.toContain(ticket);
    const page = await (await browser.ask(`${scenario.publicUrl}${led}`)).text();
    expect(page).toContain(`class="button" href="${APP}"`);
    const forged = `/refused/declined?ticket=used&return_to=${encodeURIComponent("https://evil.example/")}`;
    const shown = await (await browser.ask(`${scenario.publicUrl}${forged}`)).text();
    expect(shown).not.toContain("evil.example");
  });

  const refused: [what: string, make: () => Promise<string> | string][] = [
    ["that is no token", () => "ticket"],
    ["that is empty", () => ""],
    ["of 7,000 characters", () => sign(claims({ more: "x".repeat(5_000) }))],
    ["signed with another secret", () => sign(claims(), { secret: "x".repeat(40) })],
    ["signed with HS512", () => sign(claims(), { alg: "HS512" })],
    ["that is not signed", () => new UnsecuredJWT(claims()).encode()],
    ["of no type", () => byHand({ alg: "HS256" }, claims())],
    ["of type JWT", () => sign(claims(), { typ: "JWT" })],
    ["that is a connection", () => sign(claims(), { typ: "connection+jwt" })],
    ["with an extension", () => byHand({ ...HEADER, crit: ["x"], x: 1 }, claims())],
    ["of an unknown application", () => sign(claims({ iss: "https://evil.example" }))],
    ["whose issuer is the whole URL", () => sign(claims({ iss: APP }))],
    ["of no issuer", () => sign(claims({ iss: undefined }))],
    ["for another receiver", () => sign(claims({ aud: "https://other.example" }))],
    [
      "for several receivers",
      () => sign(claims({ aud: [scenario.publicUrl, "https://b.example"] })),
    ],
    ["for no receiver", () => sign(claims({ aud: undefined }))],
    ["without an end that is a number", () => byHand(HEADER, claims(), '"exp":1e999')],
    ["without an id", () => sign(claims({ jti: undefined }))],
    ["with an empty id", () => sign(claims({ jti: "" }))],
    ["with an id of 256 characters", () => sign(claims({ jti: "j".repeat(256) }))],
    ["without a beginning", () => sign(claims({ iat: undefined }))],
    ["without an end", () => sign(claims({ exp: undefined }))],
    ["of the past", () => sign(claims(at(-11 * MINUTE_S, -1 * MINUTE_S)))],
    ["of the future", () => sign(claims(at(2 * MINUTE_S, 4 * MINUTE_S)))],
    ["for more than ten minutes", () => sign(claims(at(0, 10 * MINUTE_S + 1)))],
    ["that began long ago", () => sign(claims(at(-12 * MINUTE_S, 1)))],
    ["that ends before it begins, far off", () => sign(claims({ iat: -1e300 }))],
    ["of nobody", () => sign(claims({ sub: undefined }))],
    ["of an empty user", () => sign(claims({ sub: "" }))],
    ["of a user of 256 characters", () => sign(claims({ sub: "u".repeat(256) }))],
    ["of a user with a line break", () => sign(claims({ sub: "a\nb" }))],
    ["of a user that is half a character", () => sign(claims({ sub: "\ud800" }))],
    ["of a user that is a number", () => sign(claims({ sub: 7 }))],
    ["that returns elsewhere", () => sign(claims({ return_to: "https://evil.example/" }))],
    ["that returns to another path", () => sign(claims({ return_to: `${APP}/more` }))],
    ["that returns nowhere", () => sign(claims({ return_to: "" }))],
    ["with an app_state that is too long", () => sign(claims({ app_state: "s".repeat(513) }))],
    ["with a broken app_state", () => sign(claims({ app_state: "\ud800" }))],
    ["with a list of tags", () => sign(claims({ tags: ["a"] }))],
    ["with eleven tags", () => sign(claims({ tags: { ...LONGEST_TAGS, more: "1" } }))],
    ["with a tag in capitals", () => sign(claims({ tags: { Team: "a" } }))],
    ["with a tag of no name", () => sign(claims({ tags: { "": "a" } }))],
    ["with a tag of 33 characters", () => sign(claims({ tags: { ["t".repeat(33)]: "a" } }))],
    ["with a tag of 129 characters", () => sign(claims({ tags: { team: "v".repeat(129) } }))],
    ["with a tag of two lines", () => sign(claims({ tags: { team: "a\nb" } }))],
    ["with a tag that is a number", () => sign(claims({ tags: { team: 1 } }))],
    [
      "with more than a cookie holds",
      () => sign(claims({ app_state: "漢".repeat(512), tags: LONGEST_TAGS })),
    ],
  ];
  const at = (from: number, to: number): Claims => {
    const now = Math.floor(scenario.clock.now().getTime() / 1_000);
    return { iat: now + from, exp: now + to };
  };

  it.each(refused)("%s is rejected", async (_, make) => {
    // Optional tickets make no difference to one that is there.
    const ticket = await make();
    expect(await statuses(startUrl(ticket))).toEqual(REFUSED);
    expect(scenario.callbackClaims.dump()).toEqual({});
    const [logged] = scenario.logged("ticket_refused");
    expect(logged).toMatchObject({ severity: "INFO" });
    expect(String(logged?.["reason"])).toMatch(/^[\w-]{1,60}$/);
    // Every part of a real ticket is longer.
    const parts = ticket.split(".").filter(({ length }) => length > 10);
    expect(parts.filter((part) => scenario.logs.join("\n").includes(part))).toEqual([]);
  });

  it("that is valid is accepted, so the rejections above have a reason", async () => {
    expect(await statuses(startUrl(byHand(HEADER, claims())))).toEqual(ACCEPTED);
    expect(await statuses(startUrl(await sign(claims())))).toEqual(ACCEPTED);
    expect(await statuses(startUrl(await sign(claims(at(-10, 10 * MINUTE_S - 10)))))).toEqual(
      ACCEPTED,
    );
    // The clocks of the application and the receiver differ a little.
    expect(await statuses(startUrl(await sign(claims(at(20, 10 * MINUTE_S)))))).toEqual(ACCEPTED);
  });

  it.each([
    ["another return_to", `&return_to=${encodeURIComponent(OTHER_APP)}`],
    ["an app_state", "&app_state=mallory"],
    ["another ticket", "&ticket=x"],
  ])("is refused when the query adds %s to it", async (_, more) => {
    expect(await statuses(startUrl(await sign(claims({ return_to: APP })), more))).toEqual(REFUSED);
  });

  it("is rejected while the receiver has no secret to verify it", async () => {
    await restart({ RETURN_TO_SECRET: "none" });
    expect(await statuses(startUrl(await sign(claims())))).toEqual(REFUSED);
  });

  it("of maximum length fits into a cookie", async () => {
    const longest = "https://app.example/".padEnd(200, "p");
    await restart({ RETURN_TO_URLS: longest });
    const content = {
      return_to: longest,
      app_state: "s".repeat(512),
      sub: "u".repeat(255),
      tags: LONGEST_TAGS,
    };
    const started = await startFlow(openBrowser(), startUrl(await sign(claims(content))));
    expect(started.status).toBe(303);
    const [cookie = ""] = started.headers.getSetCookie();
    expect(cookie.length + "__Host-".length + "; Secure".length).toBeLessThanOrEqual(4_096);
  });
});

describe("CONNECT_TICKET=required", () => {
  beforeEach(() => restart({ CONNECT_TICKET: "required" }));

  it.each([
    ["nothing", ""],
    ["a return_to", `?return_to=${encodeURIComponent(APP)}`],
    ["an app_state", "?app_state=s1"],
  ])("refuses a start with %s, and asks Google nothing", async (_, query) => {
    const url = `${scenario.publicUrl}/start${query}`;
    expect(await statuses(url)).toEqual(REFUSED);
    const page = await openBrowser().ask(url);
    expect(page.headers.get("location")).toBeNull();
    expect(page.headers.getSetCookie()).toEqual([]);
    expect(await page.text()).toContain("go back to the application");
  });

  it("admits a start with a ticket", async () => {
    const location = await use(await sign(claims({ return_to: APP })));
    expect(connectionIn(location)).toMatchObject({ app_sub: "user-7" });
  });
});

describe("tags", () => {
  const tagged = async (tags?: Record<string, string>) =>
    use(await sign(claims(tags === undefined ? {} : { tags })));

  it("survive an authorization without a ticket, and are removed by a ticket without tags", async () => {
    await tagged({ team: "blue" });
    await scenario.connect(ADA, { exists: true });
    expect(scenario.stored(ADA).tags).toEqual({ team: "blue" });
    await tagged({ team: "red" });
    expect(scenario.stored(ADA).tags).toEqual({ team: "red" });
    await tagged();
    expect(scenario.stored(ADA).tags).toBeUndefined();
  });

  it("end with the connection", async () => {
    const browser = openBrowser();
    await use(await sign(claims({ tags: { team: "blue" } })), browser);
    const page = await (await browser.get(`${scenario.publicUrl}/`)).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
    await browser.post(`${scenario.publicUrl}/disconnect`, { csrf });
    await scenario.connect(ADA, { exists: true });
    expect(scenario.stored(ADA)).toMatchObject({ status: "active" });
    expect(scenario.stored(ADA).tags).toBeUndefined();
  });
});
