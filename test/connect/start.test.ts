import { request } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FROM_OUR_PAGE, openBrowser } from "../support/browser.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { begin } from "../support/flow.ts";

const ADA = "ada@example.com";
const MALLORY = "mallory@example.com";

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario();
  for (const email of [ADA, MALLORY]) scenario.emulator.createAccount({ email });
});
afterEach(() => scenario.close());

describe("the request to Google", () => {
  it("O12: asks Google for the narrowest scopes, offline, with PKCE, state and nonce", async () => {
    const { asked } = await begin(scenario, ADA);
    expect(asked.origin + asked.pathname).toBe(`http://${scenario.emulator.host}/o/oauth2/v2/auth`);
    expect(Object.fromEntries(asked.searchParams)).toEqual({
      client_id: scenario.config.oauth.clientId,
      redirect_uri: `${scenario.publicUrl}/callback`,
      response_type: "code",
      scope: "openid email https://www.googleapis.com/auth/gmail.metadata",
      access_type: "offline",
      prompt: "consent",
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: "S256",
    });
  });

  it("O3: ignores user identifiers in the query", async () => {
    // No one has to be signed in to begin: Google says at the end whose mailbox it is.
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
});

describe("A2: a connected person who starts again", () => {
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
    "https://app.example\\@evil.example",
    "https://app.exampl",
    "https://app-example",
    "https://аpp.example/",
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
    "https://[",
    " ",
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
});
