import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { callbackIdOf } from "../../functions/src/domain/callback-claims.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { openBrowser } from "../support/browser.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { startSecondInstance } from "../support/second-instance.ts";
import { begin, changed, cookieHeader, leadsTo } from "../support/flow.ts";

const ADA = "ada@example.com";
const MALLORY = "mallory@example.com";
const METADATA = "https://www.googleapis.com/auth/gmail.metadata";
const MINUTE_MS = 60_000;

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario();
  for (const email of [ADA, MALLORY]) scenario.emulator.createAccount({ email });
});
afterEach(() => scenario.close());

const codeExchanges = () => scenario.emulator.countCalls("token.code");
const users = () => scenario.users.dump().users;
const refreshTokens = (email: string) => scenario.emulator.account(email).refreshTokens.length;

describe("the browser that comes back from Google", () => {
  it("O1: rejects a victim who finishes an attacker's flow, before any token request", async () => {
    const { back } = await begin(scenario, ADA);
    const victim = openBrowser();
    const response = await victim.ask(back.href);
    expect(leadsTo(response, scenario)).toBe("/refused/session_lost");
    expect((await victim.get(back.href)).status).toBe(400);
    expect(codeExchanges()).toBe(0);
    expect(users()).toEqual([]);
    expect(scenario.logged("authorization_refused")[0]).toMatchObject({ reason: "session_lost" });
  });

  it("O2: an attacker's code and state sign in no other person, even during that person's own flow", async () => {
    const mallory = await begin(scenario, MALLORY);
    const victim = await begin(scenario, ADA);
    expect(leadsTo(await victim.browser.ask(mallory.back.href), scenario)).toBe(
      "/refused/session_lost",
    );
    expect(victim.browser.cookies.has("session")).toBe(false);
    expect(codeExchanges()).toBe(0);
    // The victim's own flow has not suffered.
    expect((await victim.browser.get(victim.back.href)).status).toBe(200);
    expect(scenario.stored(ADA).status).toBe("active");
  });

  it("O1, E3, O6: a refused callback uses nothing up: the real one still works, once", async () => {
    const { browser, back } = await begin(scenario, ADA);
    const altered = (change: (params: URLSearchParams) => void) => changed(back, change);
    const state = back.searchParams.get("state") ?? "";
    const flipped = `${state.slice(0, -1)}${state.endsWith("A") ? "B" : "A"}`;
    const refused = [
      await openBrowser().get(back.href),
      await browser.get(altered((params) => params.set("state", flipped))),
      await browser.get(altered((params) => params.delete("state"))),
      await browser.get(altered((params) => params.set("iss", "https://evil.example"))),
      await browser.get(altered((params) => params.append("code", "another"))),
    ];
    expect(refused.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400]);
    expect(codeExchanges()).toBe(0);
    expect(users()).toEqual([]);
    expect((await browser.get(back.href)).status).toBe(200);
    expect((await browser.get(back.href)).status).toBe(409);
    expect(codeExchanges()).toBe(1);
  });

  it("O15: redirects every callback to a URL without code and state", async () => {
    const done = await begin(scenario, ADA);
    const declined = await begin(scenario, ADA, { decline: true });
    const unticked = await begin(scenario, ADA, { untick: [METADATA] });
    const foreign = await begin(scenario, ADA);
    const flows = [done, declined, unticked, { ...foreign, browser: openBrowser() }];
    for (const { browser, back } of flows) {
      const response = await browser.ask(back.href);
      expect(response.status).toBe(303);
      expect(response.headers.get("referrer-policy")).toBe("no-referrer");
      expect(response.headers.get("cache-control")).toBe("no-store");
      expect(await response.text()).toBe("");
      const location = response.headers.get("location") ?? "";
      const secrets = ["state", "code"].flatMap((name) => back.searchParams.get(name) ?? []);
      expect(secrets.filter((secret) => location.includes(secret))).toEqual([]);
      const text = await (await browser.get(location)).text();
      const kept = [...secrets, ...browser.cookies.values()].filter(({ length }) => length > 20);
      expect(kept.length).toBeGreaterThan(0);
      expect(kept.filter((secret) => text.includes(secret))).toEqual([]);
    }
  });
});

describe("O4: an authorization response is used once", () => {
  it("O4: two simultaneous callbacks make one exchange and have one outcome", async () => {
    const { browser, back } = await begin(scenario, ADA);
    const held = scenario.emulator.faults.hold("token.code");
    const cookie = cookieHeader(browser);
    const ask = () => fetch(back, { headers: { cookie }, redirect: "manual" });
    const asked = [ask(), ask()];
    await held.arrived;
    held.release();
    const responses = await Promise.all(asked);
    expect(responses.map((response) => leadsTo(response, scenario))).toEqual(["/", "/"]);
    const [first, second] = responses.map(({ headers }) => headers.getSetCookie());
    expect(first).toEqual(second);
    expect(codeExchanges()).toBe(1);
    expect(scenario.stored(ADA).grant.generation).toBe(1);
  });

  describe("of two instances", () => {
    /** Another instance that shares the stores; its waits last until the test ends them. */
    function otherInstance() {
      const waits: (() => void)[] = [];
      const sleep = () => new Promise<void>((resolve) => waits.push(resolve));
      const clock = { ...scenario.clock, sleep };
      const instance = startSecondInstance({ ...scenario, clock }, {});
      const log = createLog(() => {});
      return {
        ask: (url: URL, cookie: string) =>
          instance.connect(new Request(url, { headers: { cookie } }), log, "127.0.0.1"),
        endWaits: () => waits.splice(0).forEach((end) => end()),
        isWaiting: () => waits.length > 0,
      };
    }

    async function until(isSo: () => boolean): Promise<void> {
      while (!isSo()) await turn();
    }

    it("O4: a double click makes one exchange, and both responses sign the person in", async () => {
      const { browser, back } = await begin(scenario, ADA);
      const cookie = cookieHeader(browser);
      const held = scenario.emulator.faults.hold("token.code");
      const first = fetch(back, { headers: { cookie }, redirect: "manual" });
      await held.arrived;
      const other = otherInstance();
      const second = other.ask(back, cookie);
      await until(other.isWaiting);
      held.release();
      expect(leadsTo(await first, scenario)).toBe("/");
      other.endWaits();
      const answer = await second;
      expect(leadsTo(answer, scenario)).toBe("/");
      expect(codeExchanges()).toBe(1);
      expect(scenario.stored(ADA).grant.generation).toBe(1);

      const session = answer.headers.getSetCookie().map((line) => line.split(";")[0] ?? "");
      const page = await fetch(`${scenario.publicUrl}/`, {
        headers: { cookie: session.join("; ") },
      });
      expect(await page.text()).toContain(ADA);
    });

    it("O4: both show the same refusal, and the same replaced connection", async () => {
      const unticked = await begin(scenario, ADA, { untick: [METADATA] });
      const refusedCookie = cookieHeader(unticked.browser);
      const refusal = await fetch(unticked.back, {
        headers: { cookie: refusedCookie },
        redirect: "manual",
      });
      const repeated = await otherInstance().ask(unticked.back, refusedCookie);
      expect(leadsTo(repeated, scenario)).toBe(leadsTo(refusal, scenario));

      const { browser, back } = await begin(scenario, ADA);
      const cookie = cookieHeader(browser);
      await fetch(back, { headers: { cookie }, redirect: "manual" });
      await scenario.connect(ADA, { exists: true });
      const late = await otherInstance().ask(back, cookie);
      expect(leadsTo(late, scenario)).toBe("/refused/already_done");
      expect(late.headers.getSetCookie().join()).not.toContain("session");
      expect(codeExchanges()).toBe(3);
    });

    it("O4: the second asks the person to try again when the first has died, and exchanges nothing", async () => {
      const { browser, back } = await begin(scenario, ADA);
      const id = callbackIdOf(back.searchParams.get("state") ?? "");
      await scenario.callbackClaims.claim(id, "dead", new Date());
      const second = await browser.ask(back.href);
      expect(leadsTo(second, scenario)).toBe("/refused/try_later");
      expect(codeExchanges()).toBe(0);
      expect((await scenario.connect(ADA, { exists: true, browser })).status).toBe(200);
    });

    it("O4: stores nothing for a callback without a valid cookie, and no secret for a valid one", async () => {
      const { browser, back } = await begin(scenario, ADA);
      await fetch(back, { redirect: "manual" });
      expect(scenario.callbackClaims.dump()).toEqual({});
      await browser.ask(back.href);
      const stored = JSON.stringify(scenario.callbackClaims.dump());
      for (const name of ["state", "code"]) {
        expect(stored).not.toContain(back.searchParams.get(name));
      }
      expect(stored).not.toContain(ADA);
    });
  });

  it("O4: repeats a lost response without another exchange", async () => {
    const { browser, back } = await begin(scenario, ADA);
    const cookie = cookieHeader(browser);
    await fetch(back, { headers: { cookie }, redirect: "manual" });
    const again = await fetch(back, { headers: { cookie }, redirect: "manual" });
    expect(leadsTo(again, scenario)).toBe("/");
    expect(codeExchanges()).toBe(1);
  });

  it("O4: the back button leads to a page that says it is done, after a success or a refusal", async () => {
    const { browser, back } = await begin(scenario, ADA);
    expect((await browser.get(back.href)).status).toBe(200);
    const again = await browser.get(back.href);
    expect(again.status).toBe(409);
    expect(await again.text()).toContain("already done");
    expect(codeExchanges()).toBe(1);

    const declined = await begin(scenario, ADA, { decline: true });
    expect((await declined.browser.get(declined.back.href)).status).toBe(400);
    expect((await declined.browser.get(declined.back.href)).status).toBe(409);
    expect(codeExchanges()).toBe(1);
  });

  it("O4: HEAD, POST and a prefetch use nothing up", async () => {
    const { browser, back } = await begin(scenario, ADA);
    const headers = { cookie: cookieHeader(browser) };
    const statuses = [
      (await fetch(back, { method: "HEAD", headers })).status,
      (await fetch(back, { method: "POST", headers })).status,
    ];
    expect(statuses).toEqual([405, 405]);
    for (const [name, value] of [
      ["sec-purpose", "prefetch"],
      ["sec-purpose", "prefetch;prerender"],
      ["purpose", "prefetch"],
      ["x-moz", "prefetch"],
      ["x-purpose", "preview"],
    ] as const) {
      const response = await fetch(back, { headers: { ...headers, [name]: value } });
      expect(response.status).toBe(503);
      expect(response.headers.getSetCookie()).toEqual([]);
    }
    expect(codeExchanges()).toBe(0);
    expect((await browser.get(back.href)).status).toBe(200);
  });

  it("O4: a code that another instance has redeemed is rejected, and ends nothing", async () => {
    const { browser, back } = await begin(scenario, ADA);
    const copy = openBrowser();
    for (const [name, value] of browser.cookies) copy.cookies.set(name, value);
    expect((await browser.get(back.href)).status).toBe(200);
    // The state that the first instance remembers is not this one's: a flow of the same code.
    const other = await begin(scenario, ADA, { browser: copy });
    const code = back.searchParams.get("code") ?? "";
    const reused = changed(other.back, (params) => params.set("code", code));
    expect((await copy.get(reused)).status).toBe(400);
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 1 } });
    expect(refreshTokens(ADA)).toBeGreaterThan(0);
  });
});

describe("E3: an invalid callback costs no token request", () => {
  it("a cookie of another flow of the same browser", async () => {
    const browser = openBrowser();
    const first = await begin(scenario, ADA, { browser });
    const second = await begin(scenario, ADA, { browser });
    const nameOf = ({ back }: typeof first) =>
      `authorization-${back.searchParams.get("state")?.slice(0, 12)}`;
    const cookie = `${nameOf(first)}=${browser.cookies.get(nameOf(second))}`;
    const response = await fetch(first.back, { headers: { cookie }, redirect: "manual" });
    expect(leadsTo(response, scenario)).toBe("/refused/session_lost");
    expect(codeExchanges()).toBe(0);
  });

  it("is accepted for ten minutes, and not after", async () => {
    const early = await begin(scenario, ADA);
    scenario.clock.advance(10 * MINUTE_MS - 5_000);
    expect((await early.browser.get(early.back.href)).status).toBe(200);
    const late = await begin(scenario, MALLORY);
    scenario.clock.advance(10 * MINUTE_MS);
    expect((await late.browser.get(late.back.href)).status).toBe(400);
    expect(codeExchanges()).toBe(1);
  });

  it("O6: accepts a missing issuer, and additional parameters of Google", async () => {
    const { browser, back } = await begin(scenario, ADA);
    const answer = changed(back, (params) => {
      params.delete("iss");
      for (const name of ["authuser", "hd", "prompt", "scope"]) params.append(name, "<b>&");
    });
    expect((await browser.get(answer)).status).toBe(200);
  });

  it.each([
    ["of 10 kB", "c".repeat(10_000)],
    ["with a line break", "4/0A\r\nset-cookie: a=b"],
    ["with another parameter in it", "4/0A&grant_type=refresh_token"],
  ])("a code %s costs one request, and is refused", async (_, code) => {
    const { browser, back } = await begin(scenario, ADA);
    const response = await browser.ask(changed(back, (params) => params.set("code", code)));
    expect(leadsTo(response, scenario)).toBe("/refused/session_lost");
    expect(response.headers.getSetCookie().every((line) => !line.startsWith("a="))).toBe(true);
    expect(codeExchanges()).toBe(1);
    expect(users()).toEqual([]);
  });

  it.each([
    ["access_denied", "declined", 400],
    ["server_error", "try_later", 503],
    ["temporarily_unavailable", "try_later", 503],
    ["admin_policy_enforced", "administrator_decides", 403],
    ["policy_enforced", "administrator_decides", 403],
    ["org_internal", "administrator_decides", 403],
    ["disallowed_useragent", "google_refused", 403],
    ["invalid_scope", "google_refused", 403],
    ["<script>alert(1)</script>", "google_refused", 403],
  ])("the error %s leads to %s, and is kept out of page and log", async (error, page, status) => {
    const { browser, back } = await begin(scenario, ADA);
    const answer = changed(back, (params) => {
      params.delete("code");
      params.set("error", error);
      params.set("error_description", "<img src=x onerror=alert(1)>");
    });
    const response = await browser.ask(answer);
    expect(leadsTo(response, scenario)).toBe(`/refused/${page}`);
    const shown = await browser.get(response.headers.get("location") ?? "");
    expect(shown.status).toBe(status);
    expect(await shown.text()).not.toMatch(/<script|onerror|alert\(/);
    expect(scenario.logs.join("\n")).not.toContain("alert(");
    expect(codeExchanges()).toBe(0);
  });
});
