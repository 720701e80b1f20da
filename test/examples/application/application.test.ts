import { SignJWT, UnsecuredJWT, decodeJwt } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Browser, openBrowser, throughGoogle } from "../../support/browser.ts";
import { startFlow } from "../../support/flow.ts";
import { type Scenario, startScenario } from "../../support/scenario.ts";
import { type Site, startSite } from "../../browser/site.ts";
import { exampleApplication } from "./application.ts";

const ADA = "ada@example.com";
const MALLORY = "mallory@example.com";
const SECRET = "an application and this receiver share it";

describe("an application that lets people connect mailboxes", () => {
  let scenario: Scenario;
  let site: Site;
  let origin: string;
  beforeEach(async () => {
    site = await startSite();
    origin = site.origin;
    scenario = await startScenario({
      env: { RETURN_TO_URLS: `${origin}/connected`, RETURN_TO_SECRET: SECRET },
    });
    const { publicUrl: receiverUrl, clock } = scenario;
    const options = { origin, receiverUrl, secret: SECRET, now: clock.now };
    site.answer = exampleApplication(options).fetch;
    for (const email of [ADA, MALLORY]) scenario.emulator.createAccount({ email });
  });
  afterEach(async () => {
    await scenario.close();
    site.close();
  });

  /** From the application's button to Google and back: where the receiver then sends the browser. */
  async function answerTo(browser: Browser, account: string): Promise<string> {
    const pressed = await browser.post(`${origin}/connect`, {});
    const started = await startFlow(browser, pressed.headers.get("location") ?? "");
    const back = await throughGoogle(scenario.emulator, browser, started, { account });
    expect(back.status).toBe(303);
    return back.headers.get("location") ?? "";
  }

  const mailboxOf = async (browser: Browser) =>
    /Your mailbox: ([^<]*)</.exec(await (await browser.get(`${origin}/`)).text())?.[1];

  /** The answer to Ada's own visit, with the token that an attacker would put in its place. */
  async function withToken(make: (claims: Record<string, unknown>) => Promise<string> | string) {
    const browser = openBrowser();
    const url = new URL(await answerTo(browser, ADA));
    const claims = decodeJwt(url.searchParams.get("connection") ?? "");
    url.searchParams.set("connection", await make(claims));
    const { status } = await browser.get(url.href);
    return { status, mailbox: await mailboxOf(browser) };
  }

  const signed = (
    claims: Record<string, unknown>,
    { secret = SECRET, alg = "HS256", typ = "connection+jwt" } = {},
  ) => new SignJWT(claims).setProtectedHeader({ alg, typ }).sign(new TextEncoder().encode(secret));

  it("knows afterwards whose mailbox it is, and keeps no token in its URL", async () => {
    const browser = openBrowser();
    const back = await answerTo(browser, ADA);
    const page = await browser.get(back);
    expect(page.status).toBe(200);
    expect(page.url).toBe(`${origin}/`);
    expect(await mailboxOf(browser)).toBe(ADA);
    expect(decodeJwt(new URL(back).searchParams.get("connection") ?? "").sub).toBe(
      scenario.stored(ADA).id,
    );
  });

  it("accepts its own token when signed again, so the rejections below have a reason", async () => {
    expect(await withToken((claims) => signed(claims))).toEqual({ status: 200, mailbox: ADA });
  });

  it.each([
    [
      "signed with another secret",
      (claims: object) => signed({ ...claims }, { secret: "x".repeat(40) }),
    ],
    ["of another algorithm", (claims: object) => signed({ ...claims }, { alg: "HS512" })],
    ["of another type", (claims: object) => signed({ ...claims }, { typ: "JWT" })],
    ["typed as a ticket", (claims: object) => signed({ ...claims }, { typ: "connect-ticket+jwt" })],
    ["of another receiver", (claims: object) => signed({ ...claims, iss: "https://a.example" })],
    ["of no receiver", (claims: object) => signed({ ...claims, iss: undefined })],
    ["without an id", (claims: object) => signed({ ...claims, jti: undefined })],
    ["not signed at all", (claims: object) => new UnsecuredJWT({ ...claims }).encode()],
    [
      "for another application",
      (claims: object) => signed({ ...claims, aud: "https://a.example" }),
    ],
    [
      "for the origin alone",
      (claims: Record<string, unknown>) =>
        signed({ ...claims, aud: new URL(String(claims["aud"])).origin }),
    ],
    ["without an end", (claims: object) => signed({ ...claims, exp: undefined })],
    ["of another visit", (claims: object) => signed({ ...claims, app_state: "another" })],
    ["of no visit", (claims: object) => signed({ ...claims, app_state: undefined })],
    ["about nobody", (claims: object) => signed({ ...claims, sub: undefined })],
    ["that is no token", () => "connection"],
  ])("does not take a token %s", async (_, make) => {
    expect(await withToken(make)).toEqual({ status: 403, mailbox: "none" });
  });

  it("rejects a token after five minutes", async () => {
    const browser = openBrowser();
    const back = await answerTo(browser, ADA);
    scenario.clock.advance(5 * 60_000 + 1_000);
    expect((await browser.get(back)).status).toBe(403);
    expect(await mailboxOf(browser)).toBe("none");
  });

  it("accepts a response once", async () => {
    const browser = openBrowser();
    const back = await answerTo(browser, ADA);
    expect((await browser.get(back)).status).toBe(200);
    expect((await browser.get(back)).status).toBe(403);
  });

  it("accepts a token id once, in any visit", async () => {
    const browser = openBrowser();
    const first = new URL(await answerTo(browser, ADA));
    const claims = decodeJwt(first.searchParams.get("connection") ?? "");
    expect((await browser.get(first.href)).status).toBe(200);
    const second = new URL(await answerTo(browser, ADA));
    const { app_state } = decodeJwt(second.searchParams.get("connection") ?? "");
    second.searchParams.set("connection", await signed({ ...claims, app_state }));
    expect((await browser.get(second.href)).status).toBe(403);
  });

  it("binds no mailbox of another person, by a stolen or an injected response", async () => {
    const [ada, mallory] = [openBrowser(), openBrowser()];
    const adasAnswer = await answerTo(ada, ADA);
    // Mallory has seen Ada's answer, and has a visit of her own under way.
    await mallory.post(`${origin}/connect`, {});
    expect((await mallory.get(adasAnswer)).status).toBe(403);
    expect(await mailboxOf(mallory)).toBe("none");
    // And makes Ada's browser open the answer to hers.
    const mallorysAnswer = await answerTo(mallory, MALLORY);
    expect((await ada.get(mallorysAnswer)).status).toBe(403);
    expect(await mailboxOf(ada)).toBe("none");
    expect((await openBrowser().get(adasAnswer)).status).toBe(403);
  });

  it("receives nothing about a connected person who opens a link that another person has changed", async () => {
    const ada = openBrowser();
    await ada.get(await answerTo(ada, ADA));
    const before = scenario.stored(ADA);
    const pressed = await openBrowser().post(`${origin}/connect`, {});
    const link = new URL(pressed.headers.get("location") ?? "");
    const from = { "sec-fetch-site": "cross-site" };
    // The link as the application made it: the page names the application, and nothing happens.
    const shown = await ada.ask(link.href, from);
    expect(shown.status).toBe(200);
    expect(await shown.text()).toContain(origin);
    for (const changed of [`${origin}/redirect?to=https://evil.example`, `${origin}/`]) {
      link.searchParams.set("return_to", changed);
      const refused = [await ada.ask(link.href, from), await ada.post(link.href, {})];
      expect(refused.map(({ status }) => status)).toEqual([400, 400]);
      expect(refused.map(({ headers }) => headers.get("location"))).toEqual([null, null]);
    }
    expect(scenario.stored(ADA)).toEqual(before);
  });

  it("binds no mailbox to the person who sent its owner the link", async () => {
    const mallory = openBrowser();
    const pressed = await mallory.post(`${origin}/connect`, {});
    // Ada opens the address that Mallory was sent to, and allows access.
    const ada = openBrowser();
    const started = await startFlow(ada, pressed.headers.get("location") ?? "");
    const google = started.headers.get("location") ?? "";
    const back = await ada.get(await scenario.emulator.consent(google, { account: ADA }));
    expect((await ada.get(back.headers.get("location") ?? "")).status).toBe(403);
    expect(await mailboxOf(mallory)).toBe("none");
    expect(await mailboxOf(ada)).toBe("none");
  });
});
