import { request } from "node:http";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { callbackIdOf } from "../../functions/src/domain/callback-claims.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";
import { createSigner } from "../gmail-emulator/signing.ts";
import { FROM_OUR_PAGE, openBrowser, throughGoogle } from "../support/browser.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { startSecondInstance } from "../support/second-instance.ts";
import { begin, changed, cookieHeader, leadsTo, linkOf } from "../support/flow.ts";

const ADA = "ada@example.com";
const MALLORY = "mallory@example.com";
const METADATA = "https://www.googleapis.com/auth/gmail.metadata";
const LABELS = "https://www.googleapis.com/auth/gmail.labels";
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

describe("which browser it is", () => {
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

  it("O3: ignores user identifiers in the query", async () => {
    // Nobody has to be signed in to begin: whose mailbox it is, Google says at the end.
    const { browser } = await scenario.connect(MALLORY, { exists: true });
    const { id } = scenario.stored(MALLORY);
    const plain = await openBrowser().ask(`${scenario.publicUrl}/start`);
    const named = await openBrowser().ask(
      `${scenario.publicUrl}/start?user=${id}&session=${id}&sub=${id}&login_hint=${MALLORY}`,
    );
    const names = (response: Response) =>
      [...new URL(response.headers.get("location") ?? "").searchParams.keys()].sort();
    expect(names(named)).toEqual(names(plain));
    // Only the session cookie tells who it is.
    const signedIn = await browser.ask(`${scenario.publicUrl}/start`, FROM_OUR_PAGE);
    expect(names(signedIn)).not.toContain("prompt");
  });

  const APP = "https://app.example/done";
  const SECRET = "an application and this receiver share it";

  it.each([
    ["another site", { "sec-fetch-site": "cross-site" }],
    ["a sibling", { "sec-fetch-site": "same-site" }],
    ["outside the browser", { "sec-fetch-site": "none" }],
    ["a browser that does not say", {}],
    ["a browser that says two things", { "sec-fetch-site": "same-origin, cross-site" }],
  ])("A2: a connected person who comes by a link of %s is asked for consent", async (_, from) => {
    const { browser } = await scenario.connect(ADA, { exists: true });
    const start = await browser.ask(`${scenario.publicUrl}/start`, from as Record<string, string>);
    const asked = new URL(start.headers.get("location") ?? "");
    expect(asked.searchParams.get("prompt")).toBe("consent");
  });

  it("A2: shows a connected person the application's name before anything happens", async () => {
    await scenario.close();
    scenario = await startScenario({ env: { RETURN_TO_URLS: APP, RETURN_TO_SECRET: SECRET } });
    const { browser } = await scenario.connect(ADA);
    const before = scenario.users.dump();
    const url = `${scenario.publicUrl}/start?${new URLSearchParams({ return_to: APP, app_state: "mallory's" })}`;
    const cookies = new Map(browser.cookies);
    for (const from of [FROM_OUR_PAGE, { "sec-fetch-site": "cross-site" }]) {
      const page = await browser.ask(url, from);
      expect(page.status).toBe(200);
      expect(page.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
      const text = await page.text();
      expect(text).toContain("https://app.example");
      expect(text).not.toContain("connection=");
    }
    expect(browser.cookies).toEqual(cookies);
    expect(scenario.users.dump()).toEqual(before);
    const pressed = await browser.post(url, {});
    const asked = new URL(pressed.headers.get("location") ?? "");
    expect(asked.searchParams.get("prompt")).toBe("consent");
  });

  it("A2: rejects that page's button from another site", async () => {
    await scenario.close();
    scenario = await startScenario({ env: { RETURN_TO_URLS: APP } });
    const { browser } = await scenario.connect(ADA);
    const url = `${scenario.publicUrl}/start?return_to=${encodeURIComponent(APP)}`;
    const forged = await browser.post(url, {}, "https://evil.example");
    expect(forged.status).toBe(403);
    expect(forged.headers.get("location")).toBeNull();
  });

  it("A2: rejects a URL that is not registered", async () => {
    await scenario.close();
    scenario = await startScenario({ env: { RETURN_TO_URLS: APP } });
    const query = new URLSearchParams({ return_to: `${APP}/redirect?to=https://evil.example` });
    const pressed = await openBrowser().post(`${scenario.publicUrl}/start?${query}`, {});
    expect(pressed.status).toBe(400);
    expect(pressed.headers.get("location")).toBeNull();
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
  const long = "a".repeat(4_096);
  const refusals: [what: string, change: (params: URLSearchParams) => void][] = [
    ["no state", (params) => params.delete("state")],
    ["an empty state", (params) => params.set("state", "")],
    ["the state twice", (params) => params.append("state", params.get("state") ?? "")],
    [
      "state as an array",
      (params) => {
        params.set("state[]", params.get("state") ?? "");
        params.delete("state");
      },
    ],
    ["an unknown state", (params) => params.set("state", "b".repeat(43))],
    [
      "a state that differs in its last character",
      (params) => params.set("state", `${params.get("state")?.slice(0, -1)}-`),
    ],
    [
      "a state in other case",
      (params) => params.set("state", params.get("state")?.toUpperCase() ?? ""),
    ],
    ["a state with a NUL", (params) => params.set("state", `${params.get("state")}\0`)],
    ["a state of 4 kB", (params) => params.set("state", long)],
    ["a state cut short", (params) => params.set("state", params.get("state")?.slice(0, 12) ?? "")],
    ["no code", (params) => params.delete("code")],
    ["an empty code", (params) => params.set("code", "")],
    ["two codes", (params) => params.append("code", "another")],
    ["a code and an error", (params) => params.set("error", "access_denied")],
    [
      "two errors",
      (params) => {
        params.delete("code");
        params.append("error", "access_denied");
        params.append("error", "access_denied");
      },
    ],
    ["O6: another issuer", (params) => params.set("iss", "https://evil.example")],
    ["O6: the issuer with a slash", (params) => params.set("iss", "https://accounts.google.com/")],
    ["O6: the issuer in capitals", (params) => params.set("iss", "HTTPS://ACCOUNTS.GOOGLE.COM")],
    ["O6: the issuer without its scheme", (params) => params.set("iss", "accounts.google.com")],
    ["O6: an empty issuer", (params) => params.set("iss", "")],
    ["O6: two issuers", (params) => params.append("iss", "https://accounts.google.com")],
  ];

  it.each(refusals)("%s", async (_, change) => {
    const { browser, back } = await begin(scenario, ADA);
    const response = await browser.ask(changed(back, change));
    expect(response.status).toBe(303);
    expect(leadsTo(response, scenario)).toBe("/refused/session_lost");
    expect(codeExchanges()).toBe(0);
    expect(users()).toEqual([]);
    // Nothing was used up by it.
    expect((await browser.get(back.href)).status).toBe(200);
  });

  it.each<[what: string, cookie: (name: string, value: string) => string]>([
    ["no cookie", () => "other=1"],
    ["an empty cookie", (name) => `${name}=`],
    ["the cookie twice", (name, value) => `${name}=${value}; ${name}=${value}`],
    ["a cookie slipped in beside it", (name, value) => `${name}=x; ${name}=${value}`],
    ["the cookie under another flow's name", (_, value) => `authorization-AAAAAAAAAAAA=${value}`],
    ["a cookie cut short", (name, value) => `${name}=${value.slice(0, -2)}`],
    ["a cookie of another purpose", (name) => `${name}=SESSION`],
  ])("%s", async (_, make) => {
    const { browser } = await scenario.connect(MALLORY, { exists: true });
    const session = browser.cookies.get("session") ?? "";
    const { browser: own, back } = await begin(scenario, ADA);
    const [[name = "", value = ""] = []] = own.cookies;
    const before = codeExchanges();
    const cookie = make(name, value).replace("SESSION", session);
    const response = await fetch(back, { headers: { cookie }, redirect: "manual" });
    expect(leadsTo(response, scenario)).toBe("/refused/session_lost");
    expect(codeExchanges()).toBe(before);
    expect(users()).toHaveLength(1);
  });

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

describe("codes and tokens of another person", () => {
  it("O5: an attacker's code in a victim's flow fails because of the code verifier", async () => {
    const mallory = await begin(scenario, MALLORY);
    const victim = await begin(scenario, ADA);
    const code = mallory.back.searchParams.get("code") ?? "";
    const injected = changed(victim.back, (params) => params.set("code", code));
    expect((await victim.browser.get(injected)).status).toBe(400);
    expect(victim.browser.cookies.has("session")).toBe(false);
    expect(users()).toEqual([]);
  });

  it("O5: every flow has a verifier, a state and a nonce of its own; only the challenge is shown", async () => {
    const browser = openBrowser();
    const flows = [];
    for (let count = 0; count < 4; count++) flows.push(await begin(scenario, ADA, { browser }));
    for (const name of ["state", "nonce", "code_challenge"]) {
      const values = flows.map(({ asked }) => asked.searchParams.get(name));
      expect(new Set(values).size).toBe(4);
      expect(values.every((value) => /^[\w-]{43}$/.test(value ?? ""))).toBe(true);
    }
    // The verifier is kept in the flow's cookie, sealed, in place of a store at our side.
    const names = [...(flows[0]?.asked.searchParams.keys() ?? [])];
    expect(names).not.toContain("code_verifier");
    expect(
      flows.every(({ asked }) => asked.searchParams.get("code_challenge_method") === "S256"),
    ).toBe(true);
  });

  const idTokens: [
    what: string,
    make: (claims: Record<string, unknown>) => string | undefined,
    page: string,
  ][] = [
    ["absent", () => undefined, "identity_refused"],
    ["no token", () => "id", "identity_refused"],
    ["of no algorithm", (claims) => unsigned(claims), "identity_refused"],
    ["of another signer", (claims) => tampered(sign(claims)), "identity_refused"],
    ["for another client", (claims) => sign({ ...claims, aud: "x" }), "identity_refused"],
    ["of another issuer", (claims) => sign({ ...claims, iss: "https://a.b" }), "identity_refused"],
    ["of another flow", (claims) => sign({ ...claims, nonce: "x" }), "identity_refused"],
    ["of no flow", (claims) => sign({ ...claims, nonce: undefined }), "identity_refused"],
    ["of the past", (claims) => sign({ ...claims, exp: 1_000 }), "identity_refused"],
    ["without an end", (claims) => sign({ ...claims, exp: undefined }), "identity_refused"],
    ["about nobody", (claims) => sign({ ...claims, sub: undefined }), "identity_refused"],
    ["about a path", (claims) => sign({ ...claims, sub: "../users/1" }), "identity_refused"],
    ["without an address", (claims) => sign({ ...claims, email: undefined }), "identity_refused"],
    [
      "of an address that is not confirmed",
      (claims) => sign({ ...claims, email_verified: false }),
      "address_unverified",
    ],
  ];
  const sign = (claims: Record<string, unknown>) => createSigner().sign(claims);
  const unsigned = (claims: Record<string, unknown>) =>
    `${[{ alg: "none" }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".")}.`;
  const tampered = (token: string) => {
    const [header, claims, signature = ""] = token.split(".");
    return [header, claims, `${signature.slice(4)}AAAA`].join(".");
  };

  /** Google's token answer, with an ID token of the test's making. */
  async function answered(make: (claims: Record<string, unknown>) => string | undefined) {
    const { browser, asked, back } = await begin(scenario, ADA);
    const now = Math.floor(scenario.clock.now().getTime() / 1_000);
    const idToken = make({
      iss: "https://accounts.google.com",
      aud: scenario.config.oauth.clientId,
      sub: scenario.emulator.account(ADA).sub,
      email: ADA,
      email_verified: true,
      nonce: asked.searchParams.get("nonce"),
      iat: now,
      exp: now + 3_600,
    });
    scenario.emulator.faults.failNext({
      method: "token.code",
      status: 200,
      body: {
        access_token: "ya29.made-by-the-test",
        refresh_token: "1//made-by-the-test",
        expires_in: 3_599,
        scope: `openid https://www.googleapis.com/auth/userinfo.email ${METADATA}`,
        token_type: "Bearer",
        ...(idToken !== undefined && { id_token: idToken }),
      },
    });
    return leadsTo(await browser.ask(back.href), scenario);
  }

  it.each(idTokens)("O13: an ID token %s is rejected", async (_, make, page) => {
    expect(await answered(make)).toBe(`/refused/${page}`);
    expect(users()).toEqual([]);
    expect(scenario.logs.join("\n")).not.toContain("made-by-the-test");
  });

  it("O13: the same response with a valid ID token is accepted as far as Gmail", async () => {
    // Gmail does not know the made-up access token: nothing before it was a reason to refuse.
    expect(await answered(sign)).toBe("/refused/try_later");
    expect(scenario.emulator.countCalls("users.watch")).toBe(1);
  });

  it.each([
    ["an error of the server", { status: 500, body: "<h1>no</h1>" }, "try_later"],
    ["a page", { status: 200, body: "<html></html>" }, "try_later"],
    ["an empty answer", { status: 200, body: {} }, "try_later"],
    ["our client refused", { status: 401, body: { error: "invalid_client" } }, "try_later"],
    ["the code refused", { status: 400, body: { error: "invalid_grant" } }, "session_lost"],
  ])("E3: %s in place of a token answer keeps nothing", async (_, answer, page) => {
    const { browser, back } = await begin(scenario, ADA);
    scenario.emulator.faults.failNext({ method: "token.code", ...answer });
    expect(leadsTo(await browser.ask(back.href), scenario)).toBe(`/refused/${page}`);
    expect(codeExchanges()).toBe(1);
    expect(users()).toEqual([]);
  });

  it("E3: asks the person to try later after a lost connection or without Google's keys", async () => {
    const cut = await begin(scenario, ADA);
    scenario.emulator.faults.dropNext({ method: "token.code" });
    expect((await cut.browser.get(cut.back.href)).status).toBe(503);
    const keyless = await begin(scenario, ADA);
    scenario.emulator.faults.failNext({ method: "certs", status: 503, count: "all" });
    expect((await keyless.browser.get(keyless.back.href)).status).toBe(503);
    expect(users()).toEqual([]);
  });
});

describe("what is requested from Google, and revoked", () => {
  it("O12: requests exactly the configured scopes", async () => {
    const { asked } = await begin(scenario, ADA);
    expect(asked.origin + asked.pathname).toBe(`http://${scenario.emulator.host}/o/oauth2/v2/auth`);
    const { scope, access_type, include_granted_scopes, prompt } = Object.fromEntries(
      asked.searchParams,
    );
    expect({ scope, access_type, include_granted_scopes, prompt }).toEqual({
      scope: `openid email ${METADATA}`,
      access_type: "offline",
      include_granted_scopes: undefined,
      prompt: "consent",
    });
  });

  it("O12: does not collect scopes that the person granted to the project before", async () => {
    const modify = "https://www.googleapis.com/auth/gmail.modify";
    const { asked } = await begin(scenario, ADA);
    asked.searchParams.set("scope", `openid email ${modify}`);
    await scenario.emulator.consent(asked.href, { account: ADA });
    await scenario.connect(ADA, { exists: true });
    expect(scenario.stored(ADA).grant.scopes).toContain(METADATA);
    expect(scenario.stored(ADA).grant.scopes).not.toContain(modify);
  });

  it("O12: accepts a grant of more than was requested", async () => {
    const { browser, back } = await begin(scenario, ADA, {
      alter: ({ searchParams }) =>
        searchParams.set("scope", `${searchParams.get("scope")} ${LABELS}`),
    });
    expect((await browser.get(back.href)).status).toBe(200);
    expect(scenario.stored(ADA).grant.scopes).toContain(LABELS);
  });

  it("O11: an unticked box connects no one, revokes the grant at Google, and says what to do", async () => {
    const { browser, back } = await begin(scenario, ADA, { untick: [METADATA] });
    expect(leadsTo(await browser.ask(back.href), scenario)).toBe("/refused/scopes_missing");
    expect(users()).toEqual([]);
    expect(refreshTokens(ADA)).toBe(0);
  });

  it("O11: an account with an unverified address is not connected, and its grant is revoked", async () => {
    const email = "unconfirmed@example.com";
    scenario.emulator.createAccount({ email, emailVerified: false });
    const { browser, back } = await begin(scenario, email);
    expect(leadsTo(await browser.ask(back.href), scenario)).toBe("/refused/address_unverified");
    expect(users()).toEqual([]);
    expect(refreshTokens(email)).toBe(0);
  });

  describe("ALLOWED_DOMAINS", () => {
    const WORKER = "worker@corp.example";
    beforeEach(async () => {
      await scenario.close();
      scenario = await startScenario({ env: { ALLOWED_DOMAINS: "corp.example" } });
      scenario.emulator.createAccount({ email: WORKER, hostedDomain: "corp.example" });
    });

    it("connects an account of the domain, and names the domain to Google", async () => {
      const { browser, asked, back } = await begin(scenario, WORKER);
      expect(asked.searchParams.get("hd")).toBe("corp.example");
      expect((await browser.get(back.href)).status).toBe(200);
      expect(scenario.stored(WORKER).status).toBe("active");
    });

    it.each([
      ["a consumer account", { email: "ada@gmail.example" }],
      ["a consumer account with an address of the domain", { email: "eve@corp.example" }],
      [
        "an account of another organization",
        { email: "bob@other.example", hostedDomain: "other.example" },
      ],
      [
        "an account of a subdomain",
        { email: "sub@dev.corp.example", hostedDomain: "dev.corp.example" },
      ],
      [
        "an account of a domain that ends alike",
        { email: "mal@evilcorp.example", hostedDomain: "evilcorp.example" },
      ],
    ])("refuses %s, keeps nothing, and gives the grant back", async (_, account) => {
      scenario.emulator.createAccount(account);
      // The hint is in the hands of whoever sends the browser to Google.
      const alter = ({ searchParams }: URL) => searchParams.delete("hd");
      const { browser, back } = await begin(scenario, account.email, { alter });
      expect(leadsTo(await browser.ask(back.href), scenario)).toBe("/refused/domain_refused");
      const page = await browser.get(`${scenario.publicUrl}/refused/domain_refused`);
      expect(page.status).toBe(403);
      expect(await page.text()).toContain("Nothing has been connected");
      expect(browser.cookies.has("session")).toBe(false);
      expect(users()).toEqual([]);
      expect(refreshTokens(account.email)).toBe(0);
    });

    it("sends no hint when there are several domains, and accepts each of them", async () => {
      await scenario.close();
      const env = { ALLOWED_DOMAINS: "corp.example, other.example" };
      scenario = await startScenario({ env });
      const account = { email: "bob@other.example", hostedDomain: "other.example" };
      scenario.emulator.createAccount(account);
      const { browser, asked, back } = await begin(scenario, account.email);
      expect(asked.searchParams.has("hd")).toBe(false);
      expect((await browser.get(back.href)).status).toBe(200);
    });
  });

  it("O11: alerts the operator about a refused grant that cannot be revoked", async () => {
    scenario.emulator.faults.failNext({ method: "revoke", status: 503, count: "all" });
    const { browser, back } = await begin(scenario, ADA, { untick: [METADATA] });
    expect((await browser.get(back.href)).status).toBe(400);
    expect(scenario.logged("grant_not_revoked")).toMatchObject([
      { severity: "ERROR", userId: scenario.emulator.account(ADA).sub },
    ]);
  });

  it("O11: does not revoke a refused grant of more than was requested", async () => {
    const { browser, back } = await begin(scenario, ADA, {
      alter: ({ searchParams }) =>
        searchParams.set("scope", `${searchParams.get("scope")} ${LABELS}`),
      untick: [METADATA],
    });
    expect((await browser.get(back.href)).status).toBe(400);
    expect(users()).toEqual([]);
    expect(scenario.emulator.countCalls("revoke")).toBe(0);
  });

  it("O11: an unticked box does not end what the person allowed another client of the project", async () => {
    await scenario.close();
    const clients = [
      { ...DEFAULT_CLIENT, redirectUris: ["https://push.example/callback"] },
      { ...DEFAULT_CLIENT, clientId: "sister.apps.example", redirectUris: ["https://a.example/"] },
    ];
    scenario = await startScenario({
      env: { PUBLIC_URL: "https://push.example", RISC_CLIENT_IDS: "sister.apps.example" },
      emulator: { clients },
    });
    const { emulator, urls } = scenario;
    emulator.createAccount({ email: ADA });
    // A sister application of the same project may change Ada's labels, for good.
    const sister = new URL(`http://${emulator.host}/o/oauth2/v2/auth`);
    sister.search = new URLSearchParams({
      client_id: "sister.apps.example",
      redirect_uri: "https://a.example/",
      response_type: "code",
      scope: `openid ${LABELS}`,
      access_type: "offline",
    }).toString();
    const code = new URL(await emulator.consent(sister.href, { account: ADA })).searchParams;
    const redeemed = await fetch(`http://${emulator.host}/token`, {
      method: "POST",
      body: new URLSearchParams({
        client_id: "sister.apps.example",
        client_secret: DEFAULT_CLIENT.clientSecret,
        redirect_uri: "https://a.example/",
        grant_type: "authorization_code",
        code: code.get("code") ?? "",
      }),
    });
    expect(redeemed.status).toBe(200);
    expect(refreshTokens(ADA)).toBe(1);

    const start = await fetch(`${urls.connect}/start`, { redirect: "manual" });
    const back = await emulator.consent(start.headers.get("location") ?? "", {
      account: ADA,
      untick: [METADATA],
    });
    const cookie = start.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const answer = await fetch(back.replace("https://push.example", urls.connect), {
      headers: { cookie },
      redirect: "manual",
    });
    expect(answer.headers.get("location")).toBe("https://push.example/refused/scopes_missing");
    expect(emulator.countCalls("revoke")).toBe(0);
    expect(refreshTokens(ADA)).toBeGreaterThan(0);
  });

  it("O9: rejects another account at the end of a re-authorization, and names the right one", async () => {
    await scenario.connect(ADA, { exists: true });
    scenario.emulator.revokeAccess(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const before = scenario.stored(ADA);
    const link = linkOf(scenario, ADA);
    const browser = openBrowser();
    const toGoogle = (await browser.post(link, {})).headers.get("location") ?? "";
    expect(new URL(toGoogle).searchParams.get("login_hint")).toBe(before.id);
    const back = await scenario.emulator.consent(toGoogle, { account: MALLORY });
    const response = await browser.ask(back);
    expect(response.headers.get("location")).toBe(`${link}?refused=wrong_account`);
    const page = await browser.get(response.headers.get("location") ?? "");
    expect(page.status).toBe(403);
    const text = await page.text();
    expect(text).toContain("different Google account");
    expect(text).toContain("a***@example.com");
    expect(text).not.toContain(MALLORY);
    expect(scenario.stored(ADA)).toEqual(before);
    expect(users()).toHaveLength(1);
    expect(refreshTokens(MALLORY)).toBe(0);

    // The same page leads back to Google, and then to the account that it is for.
    const again = await browser.post(link, {});
    const right = await throughGoogle(scenario.emulator, browser, again, { account: ADA });
    expect(right.status).toBe(200);
    expect(scenario.stored(ADA)).toMatchObject({ status: "active", grant: { generation: 2 } });
  });

  it("O9: leads a person who declines or unticks a box back to the link", async () => {
    await scenario.connect(ADA, { exists: true });
    scenario.emulator.revokeAccess(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const link = linkOf(scenario, ADA);
    for (const [decision, refused] of [
      [{ decline: true }, "declined"],
      [{ untick: [METADATA] }, "scopes_missing"],
    ] as const) {
      const browser = openBrowser();
      const toGoogle = (await browser.post(link, {})).headers.get("location") ?? "";
      const back = await scenario.emulator.consent(toGoogle, { account: ADA, ...decision });
      const response = await browser.ask(back);
      expect(response.headers.get("location")).toBe(`${link}?refused=${refused}`);
      expect((await browser.get(`${link}?refused=${refused}`)).status).toBe(400);
    }
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
  });

  it("O10, O14: treats a reassigned address as another mailbox, and shows nothing of the old one", async () => {
    // A mailbox belongs to Google's `sub`; there is no owner beside it who could be told of.
    await scenario.connect(ADA, { exists: true });
    const old = scenario.stored(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    scenario.emulator.changePassword(ADA);
    const moved = scenario.emulator.moveAddress(ADA);
    const { page } = await scenario.connect(ADA, { exists: true });
    expect(page).not.toContain(old.id);
    expect(page).not.toContain("you missed");
    const byId = new Map(users().map((user) => [String(user.id), user]));
    expect(byId.get(old.id)).toMatchObject({ status: "disconnected", historyId: old.historyId });
    expect(byId.get(moved.sub)).toMatchObject({ status: "active", grant: { generation: 1 } });
  });
});

describe("redirects", () => {
  it("O7: forged host headers change neither the redirect URI nor a link", async () => {
    const { port } = new URL(scenario.publicUrl);
    const ask = (path: string) =>
      new Promise<{ location: string | undefined; text: string }>((resolve, reject) => {
        const forged = {
          host: "evil.example",
          "x-forwarded-host": "evil.example",
          "x-forwarded-proto": "gopher",
          forwarded: "host=evil.example",
          "x-original-url": "/evil",
          "x-http-method-override": "POST",
        };
        const sent = request({ host: "127.0.0.1", port, path, headers: forged }, (response) => {
          const { location } = response.headers;
          let text = "";
          response.on("data", (chunk: Buffer) => (text += chunk.toString()));
          response.on("end", () => resolve({ location, text }));
        });
        sent.on("error", reject).end();
      });
    const start = await ask("/start");
    expect(new URL(start.location ?? "").searchParams.get("redirect_uri")).toBe(
      `${scenario.publicUrl}/callback`,
    );
    expect(start.location).not.toMatch(/evil|gopher/);
    for (const path of ["/", "/nowhere", "//evil.example/", "/refused/declined"]) {
      const { text } = await ask(path);
      expect(text).toContain(scenario.publicUrl);
      expect(text).not.toMatch(/evil|gopher/);
    }
  });

  const APP = "https://app.example";
  const PAYLOADS = [
    "//evil.example",
    "///evil.example",
    "////evil.example/%2f..",
    "\\\\evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:\\\\evil.example",
    "http://evil.example",
    "https://evil.example",
    "https://evil.example/https://app.example",
    "https://evil.example?https://app.example",
    "https://evil.example#https://app.example",
    "https://evil.example\\@app.example",
    "https://app.example@evil.example",
    "https://app.example:x@evil.example",
    "https://user@app.example/",
    "https://user:password@app.example/",
    "https://app.example.evil.example",
    "https://app.exampleevil.example",
    "https://evilapp.example",
    "https://sub.app.example/",
    "https://app.example./",
    "https://app.example:8443/",
    "https://app.example%00.evil.example/",
    "https://app.example%2eevil.example/",
    "https://app.example%0d%0aevil/",
    "https://app.example\\.evil.example/",
    "https://app.example\t.evil.example/",
    "https://app.example\n/done",
    "https://app.example\r\nlocation: https://evil.example",
    " https://app.example/",
    "https://app.example/ ",
    "\u0000https://app.example/",
    "https://app.example/\\evil.example",
    "https://app。example/\u0000",
    "http://app.example/",
    "ftp://app.example/",
    "javascript:alert(1)",
    "javascript://app.example/%0aalert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "blob:https://app.example/1",
    "about:blank",
    "intent://app.example#Intent;end",
    "mailto:a@app.example",
    "/",
    "/done",
    "done",
    "?done",
    "#done",
    ".",
    "..//evil.example",
    "%2f%2fevil.example",
    "%68ttps://app.example/",
    "https%3A%2F%2Fapp.example%2F",
    "https://",
    "https:///app.example@evil.example",
    "null",
    "",
    `https://app.example/${"a".repeat(3_000)}`,
    `https://app.example/${"é".repeat(500)}`,
  ];

  it("O8: redirects only to registered URLs", async () => {
    await scenario.close();
    scenario = await startScenario({ env: { RETURN_TO_URLS: `${APP}/done` } });
    expect(PAYLOADS.length).toBeGreaterThan(60);
    const taken: string[] = [];
    for (const payload of PAYLOADS) {
      const query = new URLSearchParams({ return_to: payload });
      const response = await openBrowser().ask(`${scenario.publicUrl}/start?${query}`);
      const isRefused = response.status === 400 && response.headers.get("location") === null;
      if (!isRefused) taken.push(payload);
    }
    expect(taken).toEqual([]);
    const twice = `?return_to=${APP}/done&return_to=https://evil.example/`;
    expect((await openBrowser().ask(`${scenario.publicUrl}/start${twice}`)).status).toBe(400);
  });

  it("O8: redirects to the registered URL, with its query and nothing else", async () => {
    const returnTo = `${APP}/done?a=1&b=%2F%2Fevil.example`;
    await scenario.close();
    scenario = await startScenario({ env: { RETURN_TO_URLS: `${APP}/ ${returnTo}` } });
    scenario.emulator.createAccount({ email: ADA });
    const query = `?${new URLSearchParams({ return_to: returnTo })}`;
    const { browser, back } = await begin(scenario, ADA, { query });
    const response = await browser.ask(back.href);
    // Without a secret there is no `connection`.
    expect(response.headers.get("location")).toBe(returnTo);
  });

  it.each([
    ["a longer path", `${APP}/done/more?a=1`],
    ["a shorter path", `${APP}/`],
    ["the origin alone", APP],
    ["another path", `${APP}/redirect?a=1`],
    ["a path that leads back out", `${APP}/done/../redirect?a=1`],
    ["an encoded path", `${APP}/d%6Fne?a=1`],
    ["another case", `${APP}/Done?a=1`],
    ["a slash at its end", `${APP}/done/?a=1`],
    ["a slash more", `${APP}//done?a=1`],
    ["path parameters", `${APP}/done;x?a=1`],
    ["no query", `${APP}/done`],
    ["an empty query", `${APP}/done?`],
    ["a longer query", `${APP}/done?a=1&next=https://evil.example`],
    ["a connection of its own", `${APP}/done?a=1&connection=forged`],
    ["another value in the query", `${APP}/done?a=2`],
    ["the query twice", `${APP}/done?a=1&a=1`],
    ["a fragment", `${APP}/done?a=1#top`],
    ["an empty fragment", `${APP}/done?a=1#`],
    ["a user", "https://u@app.example/done?a=1"],
  ])("O8: refuses a registered URL with %s", async (_, returnTo) => {
    await scenario.close();
    scenario = await startScenario({ env: { RETURN_TO_URLS: `${APP}/done?a=1` } });
    const ask = (to: string) =>
      openBrowser().ask(`${scenario.publicUrl}/start?${new URLSearchParams({ return_to: to })}`);
    expect((await ask(returnTo)).status).toBe(400);
    expect((await ask(`${APP}/done?a=1`)).status).toBeLessThan(400);
  });

  it("O8: rejects an app_state that is too long, repeated, or contains control characters", async () => {
    const state = (value: string) => new URLSearchParams({ app_state: value });
    const queries = [
      `${state("s".repeat(513))}`,
      `${state("a\nb")}`,
      `${state("a\0b")}`,
      "app_state=1&app_state=2",
    ];
    for (const query of queries) {
      const response = await openBrowser().ask(`${scenario.publicUrl}/start?${query}`);
      expect(response.status).toBe(400);
    }
  });

  it("O8: keeps the way back to the application when a refused person tries again", async () => {
    await scenario.close();
    scenario = await startScenario({ env: { RETURN_TO_URLS: `${APP}/done` } });
    scenario.emulator.createAccount({ email: ADA });
    const query = `?${new URLSearchParams({ return_to: `${APP}/done`, app_state: "s&1" })}`;
    const declined = await begin(scenario, ADA, { query, decline: true });
    const page = await (await declined.browser.get(declined.back.href)).text();
    const [, again = ""] = /class="button" href="([^"]+)"/.exec(page) ?? [];
    const url = new URL(again.replaceAll("&amp;", "&"));
    expect(url.searchParams.get("app_state")).toBe("s&1");
    const retried = await begin(scenario, ADA, { browser: declined.browser, query: url.search });
    const response = await retried.browser.ask(retried.back.href);
    expect(response.headers.get("location")).toBe(`${APP}/done`);
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
