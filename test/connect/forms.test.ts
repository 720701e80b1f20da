import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { cookieHeader, copyOf, csrfOf, endGrant, linkOf } from "../support/flow.ts";

const ADA = "ada@example.com";
const MALLORY = "mallory@example.com";

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario();
});
afterEach(() => scenario.close());

describe("C3: forms", () => {
  const SITES: [what: string, headers: Record<string, string>][] = [
    ["another site", { origin: "https://evil.example", "sec-fetch-site": "cross-site" }],
    ["another site that hides its origin", { origin: "null", "sec-fetch-site": "cross-site" }],
    ["a sibling", { origin: "https://sibling.example", "sec-fetch-site": "same-site" }],
    ["another site in an old browser", { origin: "https://evil.example" }],
    ["another port", { origin: "http://127.0.0.1:1" }],
    ["the same host without TLS or with it", { origin: "https://127.0.0.1" }],
    ["a site that says nothing else", { "sec-fetch-site": "cross-site" }],
  ];

  async function post(path: string, form: Record<string, string>, headers: Record<string, string>) {
    const body = new URLSearchParams(form);
    return fetch(`${scenario.publicUrl}${path}`, {
      method: "POST",
      body,
      headers,
      redirect: "manual",
    });
  }

  it.each(SITES)("C3: a form sent by %s does nothing", async (_, headers) => {
    const { browser, page } = await scenario.connect(ADA);
    const cookie = cookieHeader(browser);
    const form = { csrf: csrfOf(page) };
    expect((await post("/disconnect", form, { ...headers, cookie })).status).toBe(403);
    expect(scenario.stored(ADA).status).toBe("active");

    await endGrant(scenario, ADA);
    const link = new URL(linkOf(scenario, ADA)).pathname;
    const answer = await post(link, {}, headers);
    expect(answer.status).toBe(403);
    expect(answer.headers.get("location")).toBeNull();
  });

  it("C3: the receiver's own form is accepted, as browsers send it from a page without referrer", async () => {
    const { browser, page } = await scenario.connect(ADA);
    const headers = {
      origin: "null",
      "sec-fetch-site": "same-origin",
      cookie: cookieHeader(browser),
    };
    expect((await post("/disconnect", { csrf: csrfOf(page) }, headers)).status).toBe(200);
    expect(scenario.stored(ADA).status).toBe("disconnected");
  });

  it("C3: the receiver's own form is accepted from a browser that names neither site nor origin", async () => {
    const { browser, page } = await scenario.connect(ADA);
    const headers = { origin: "null" };
    const cookie = cookieHeader(browser);
    // What another site can send in such a browser has no proof.
    expect((await post("/disconnect", {}, { ...headers, cookie })).status).toBe(403);
    expect(scenario.stored(ADA).status).toBe("active");

    await endGrant(scenario, ADA);
    const link = new URL(linkOf(scenario, ADA)).pathname;
    expect((await post(link, {}, headers)).status).toBe(303);
    expect((await post(`${link}x`, {}, headers)).status).toBe(410);
    const signedIn = await post("/disconnect", { csrf: csrfOf(page) }, { ...headers, cookie });
    expect(signedIn.status).toBe(200);
  });

  it("C3: the token of another session, or none, ends no connection", async () => {
    const ada = await scenario.connect(ADA);
    const mallory = await scenario.connect(MALLORY);
    const cookie = cookieHeader(ada.browser);
    for (const csrf of [csrfOf(mallory.page), "", "x", csrfOf(ada.page).slice(1)]) {
      expect((await post("/disconnect", { csrf }, { cookie })).status).toBe(403);
    }
    expect((await post("/disconnect", {}, { cookie })).status).toBe(403);
    expect((await post("/disconnect", { csrf: csrfOf(ada.page) }, {})).status).toBe(400);
    expect(scenario.users.dump().users.every(({ status }) => status === "active")).toBe(true);
  });

  it("C3: only form content is accepted as a form", async () => {
    const { browser, page } = await scenario.connect(ADA);
    const cookie = cookieHeader(browser);
    const csrf = csrfOf(page);
    for (const [type, body] of [
      ["text/plain", `csrf=${csrf}`],
      ["application/json", JSON.stringify({ csrf })],
      ["multipart/form-data; boundary=a", `csrf=${csrf}`],
      ["", `csrf=${csrf}`],
    ] as const) {
      const response = await fetch(`${scenario.publicUrl}/disconnect`, {
        method: "POST",
        headers: { cookie, "content-type": type },
        body,
      });
      expect(response.status).toBe(415);
    }
    expect(scenario.stored(ADA).status).toBe("active");
  });

  it("C3: no GET but the callback changes anything", async () => {
    const { browser } = await scenario.connect(ADA);
    await endGrant(scenario, ADA);
    const before = scenario.users.dump();
    scenario.emulator.resetCalls();
    const paths = ["/", "/start", "/refused/declined", new URL(linkOf(scenario, ADA)).pathname];
    for (const path of paths) {
      await browser.ask(`${scenario.publicUrl}${path}`);
      await fetch(`${scenario.publicUrl}${path}`, { method: "HEAD" });
    }
    expect((await browser.ask(`${scenario.publicUrl}/disconnect`)).status).toBe(405);
    expect(scenario.users.dump()).toEqual(before);
    expect(scenario.emulator.countCalls()).toBe(0);
  });

  it("C3: a disconnect button that is pressed twice disconnects once, and says so twice", async () => {
    const { browser, page } = await scenario.connect(ADA);
    const twin = copyOf(browser);
    const form = { csrf: csrfOf(page) };
    const url = `${scenario.publicUrl}/disconnect`;
    expect((await browser.post(url, form)).status).toBe(200);
    const again = await twin.post(url, form);
    expect(again.status).toBe(200);
    expect(await again.text()).toContain("disconnected");
    expect(scenario.emulator.countCalls("revoke")).toBe(1);
  });
});
