import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readCookie } from "../../functions/src/connect/cookies.ts";
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";
import { type Browser, openBrowser, throughGoogle } from "../support/browser.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import {
  begin,
  cookieHeader,
  copyOf,
  csrfOf,
  endGrant,
  leadsTo,
  linkOf,
  startFlow,
} from "../support/flow.ts";

const ADA = "ada@example.com";
const MALLORY = "mallory@example.com";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** As long as a registered URL may be. */
const LONGEST_RETURN_TO = "https://app.example/".padEnd(200, "p");

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario({ env: { RETURN_TO_URLS: LONGEST_RETURN_TO } });
});
afterEach(() => scenario.close());

const home = async (browser: Browser) => (await browser.get(`${scenario.publicUrl}/`)).text();
const isSignedIn = async (browser: Browser, email = ADA) => (await home(browser)).includes(email);

/** With a link of the receiver, or from the start. */
async function reauthorize(browser: Browser, email: string): Promise<void> {
  const toGoogle = await browser.post(linkOf(scenario, email), {});
  const { status } = await throughGoogle(scenario.emulator, browser, toGoogle, { account: email });
  expect(status).toBe(200);
}

describe("C1: what cookies are", () => {
  it.each(["\u00a0", "\u0085", "\u000b", "\u000c", "\u00a0 "])(
    "C1: a name that begins with %j is not the name behind it",
    (space) => {
      const headers = new Headers();
      headers.get = () => `a=1; ${space}__Host-session=forged`;
      expect(readCookie(headers, "__Host-session")).toBeUndefined();
      headers.get = () => `a=1;\t__Host-session=own `;
      expect(readCookie(headers, "__Host-session")).toBe("own");
    },
  );

  it("C1: over TLS they belong to this host only, are hidden from scripts, and expire in time", async () => {
    await scenario.close();
    const redirectUris = ["https://push.example/callback"];
    scenario = await startScenario({
      env: { PUBLIC_URL: "https://push.example" },
      emulator: { clients: [{ ...DEFAULT_CLIENT, redirectUris }] },
    });
    const { emulator, urls } = scenario;
    emulator.createAccount({ email: ADA });
    const start = await fetch(`${urls.connect}/start`, { redirect: "manual" });
    const [flow = ""] = start.headers.getSetCookie();
    expect(flow).toMatch(
      /^__Host-authorization-[\w-]{12}=[\w.-]{200,4000}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
    );
    const back = await emulator.consent(start.headers.get("location") ?? "", { account: ADA });
    const answer = await fetch(back.replace("https://push.example", urls.connect), {
      headers: { cookie: flow.split(";")[0] ?? "" },
      redirect: "manual",
    });
    expect(answer.headers.get("location")).toBe("https://push.example/");
    const [done = "", session = ""] = answer.headers.getSetCookie();
    expect(done).toMatch(
      /^__Host-authorization-[\w-]{12}=done; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
    );
    expect(session).toMatch(
      /^__Host-session=[\w.-]{200,4000}; Path=\/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure$/,
    );
    // Strict would be left out on the way back from Google; a domain would let siblings in.
    for (const line of [flow, done, session]) expect(line).not.toMatch(/domain|strict/i);
  });

  it("C1: their content cannot be read, altered, or used for another purpose", async () => {
    const { browser } = await scenario.connect(ADA);
    const session = browser.cookies.get("session") ?? "";
    const { id } = scenario.stored(ADA);
    const readable = session.split(".").map((part) => Buffer.from(part, "base64url").toString());
    for (const text of readable) expect(text).not.toContain(id);

    const other = await begin(scenario, ADA);
    const [flow = ""] = [...other.browser.cookies.values()];
    const link = linkOf(scenario, ADA);
    for (const forged of [
      "",
      "x",
      `${session}A`,
      session.slice(0, -4),
      session.toLowerCase(),
      flow,
      link.slice(link.lastIndexOf("/") + 1),
      "v1.local...",
      "a".repeat(7_000),
    ]) {
      const headers = { cookie: `session=${forged}` };
      const page = await (await fetch(`${scenario.publicUrl}/`, { headers })).text();
      expect(page).not.toContain(ADA);
    }
    expect(await isSignedIn(browser)).toBe(true);
  });

  it("C1: a session ends after a day, even if the browser keeps the cookie", async () => {
    const { browser } = await scenario.connect(ADA);
    scenario.clock.advance(24 * HOUR_MS - MINUTE_MS);
    expect(await isSignedIn(browser)).toBe(true);
    scenario.clock.advance(MINUTE_MS);
    expect(await isSignedIn(browser)).toBe(false);
  });
});

describe("C2: cookies that another site has set", () => {
  // Over TLS the `__Host-` prefix (C1) keeps siblings from setting any; this is the second line.
  it("C2: two cookies of one name sign no one in", async () => {
    const { browser } = await scenario.connect(ADA);
    const mallory = await scenario.connect(MALLORY);
    const own = `session=${browser.cookies.get("session")}`;
    const planted = `session=${mallory.browser.cookies.get("session")}`;
    for (const cookie of [`${own}; ${planted}`, `${planted}; ${own}`, `${own}; ${own}`]) {
      const page = await fetch(`${scenario.publicUrl}/`, { headers: { cookie } });
      expect(await page.text()).not.toMatch(/ada@|mallory@/);
    }
  });

  it("C2: connecting replaces a session that was planted before", async () => {
    const mallory = await scenario.connect(MALLORY);
    const victim = openBrowser();
    const planted = mallory.browser.cookies.get("session") ?? "";
    victim.cookies.set("session", planted);
    await scenario.connect(ADA, { browser: victim });
    expect(victim.cookies.get("session")).not.toBe(planted);
    expect(await isSignedIn(victim, ADA)).toBe(true);
    expect(await isSignedIn(victim, MALLORY)).toBe(false);
    expect(await isSignedIn(mallory.browser, ADA)).toBe(false);
  });
});

describe("C4, C5: when a session ends", () => {
  it("C4: a re-authorization begins a new one and ends every older one", async () => {
    const first = await scenario.connect(ADA);
    const elsewhere = copyOf(first.browser);
    const before = first.browser.cookies.get("session");
    await endGrant(scenario, ADA);
    await reauthorize(first.browser, ADA);
    expect(first.browser.cookies.get("session")).not.toBe(before);
    expect(await isSignedIn(first.browser)).toBe(true);
    expect(await isSignedIn(elsewhere)).toBe(false);
    // Nor does its form work any more.
    const url = `${scenario.publicUrl}/disconnect`;
    expect((await elsewhere.post(url, { csrf: csrfOf(first.page) })).status).toBe(400);
    expect(scenario.stored(ADA).status).toBe("active");
  });

  it("C4: a flag alone ends no session: the person needs to see why nothing arrives", async () => {
    const { browser } = await scenario.connect(ADA);
    await endGrant(scenario, ADA);
    expect(await home(browser)).toContain("Allow access to your Gmail account again");
  });

  it("C5: a disconnect ends every session at the receiver", async () => {
    const { browser, page } = await scenario.connect(ADA);
    const elsewhere = copyOf(browser);
    await browser.post(`${scenario.publicUrl}/disconnect`, { csrf: csrfOf(page) });
    expect(browser.cookies.has("session")).toBe(false);
    expect(await isSignedIn(elsewhere)).toBe(false);
    // Also once the same account is connected again.
    await scenario.connect(ADA, { exists: true });
    expect(await isSignedIn(elsewhere)).toBe(false);
  });

  it("C5: a security event ends every session that began before it", async () => {
    const { browser } = await scenario.connect(ADA);
    scenario.clock.advance(MINUTE_MS);
    const signedOutAt = scenario.clock.now();
    expect(await scenario.users.update(scenario.stored(ADA), { signedOutAt })).not.toBe("refused");
    expect(await isSignedIn(browser)).toBe(false);
    // Signing in at Google begins a new one.
    scenario.clock.advance(MINUTE_MS);
    await scenario.connect(ADA, { exists: true, browser });
    expect(await isSignedIn(browser)).toBe(true);
  });

  it("C5: a session of an erased user is invalid", async () => {
    const { browser } = await scenario.connect(ADA);
    scenario.users.remove(scenario.stored(ADA).id);
    expect((await browser.get(`${scenario.publicUrl}/`)).status).toBe(200);
    expect(await isSignedIn(browser)).toBe(false);
  });
});

describe("C6: several flows in one browser", () => {
  /** Each start fills as much of its cookie as a stranger can. */
  const long = (number: number) =>
    `?return_to=${encodeURIComponent(LONGEST_RETURN_TO)}` +
    `&app_state=${encodeURIComponent(`${number}`.padEnd(512, "€"))}`;

  it("C6: long flows of one browser stay within its header limit", async () => {
    scenario.emulator.createAccount({ email: ADA });
    const browser = openBrowser();
    const flows = [];
    for (let count = 0; count < 12; count++) {
      flows.push(await begin(scenario, ADA, { browser, query: long(count) }));
      expect(cookieHeader(browser).length).toBeLessThanOrEqual(8 * 1024);
    }
    const back = await browser.ask(flows.at(-1)?.back.href ?? "");
    expect(back.headers.get("location")).toContain(LONGEST_RETURN_TO);
  });

  it("C6: the longest accepted start fits into a cookie", async () => {
    const query = new URLSearchParams({
      return_to: LONGEST_RETURN_TO,
      app_state: "\u{20ac}".repeat(512),
    });
    const answer = await startFlow(openBrowser(), `${scenario.publicUrl}/start?${query}`);
    expect(answer.status).toBe(303);
    // Off loopback, its name has a prefix and it is for TLS alone.
    const added = "__Host-".length + "; Secure".length;
    const [line = ""] = answer.headers.getSetCookie();
    expect(line.length).toBeGreaterThan(2_500);
    expect(line.length + added).toBeLessThanOrEqual(4_096);
  });

  it("C6: a link works although its grant has a hundred other scopes", async () => {
    await scenario.connect(ADA);
    const { grant } = scenario.stored(ADA);
    const others = Array.from(
      { length: 100 },
      (_, index) => `https://www.googleapis.com/auth/drive.part-${index}`,
    );
    await scenario.users.update(scenario.stored(ADA), {
      grant: { ...grant, scopes: [...grant.scopes, ...others] },
    });
    await endGrant(scenario, ADA);
    const answer = await fetch(linkOf(scenario, ADA), {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      redirect: "manual",
    });
    expect(answer.status).toBe(303);
    const asked = new URL(answer.headers.get("location") ?? "").searchParams.get("scope");
    expect(asked?.split(" ")).toEqual(expect.arrayContaining(others));
    for (const line of answer.headers.getSetCookie()) expect(line.length).toBeLessThan(2_048);
  });

  it("C6: two flows in two tabs succeed, in either order", async () => {
    const browser = openBrowser();
    for (const email of [ADA, MALLORY]) scenario.emulator.createAccount({ email });
    const first = await begin(scenario, ADA, { browser });
    const second = await begin(scenario, MALLORY, { browser });
    expect((await browser.get(second.back.href)).status).toBe(200);
    expect((await browser.get(first.back.href)).status).toBe(200);
    const statuses = scenario.users.dump().users.map(({ status }) => status);
    expect(statuses).toEqual(["active", "active"]);
  });

  it("C6: a browser that starts again and again keeps a bounded number of flows, the newest", async () => {
    scenario.emulator.createAccount({ email: ADA });
    const browser = openBrowser();
    const flows = [];
    for (let count = 0; count < 30; count++) flows.push(await begin(scenario, ADA, { browser }));
    expect(browser.cookies.size).toBe(8);
    expect(cookieHeader(browser).length).toBeLessThan(8_000);
    const [oldest] = flows;
    const newest = flows.slice(-8);
    expect(leadsTo(await browser.ask(oldest?.back.href ?? ""), scenario)).toBe(
      "/refused/session_lost",
    );
    for (const { back } of newest) expect((await browser.get(back.href)).status).toBe(200);
  });
});
