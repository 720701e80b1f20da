import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { exampleApplication } from "../examples/application/application.ts";
import { DEFAULT_CLIENT } from "../gmail-emulator/emulator.ts";
import { UNLIMITED } from "../local/environment.ts";
import { isSkipped, launchChromium } from "./chromium.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { type Site, startSite } from "./site.ts";
import { type TlsFront, startTlsFront } from "./tls-front.ts";
import { allow, openVisitor, shows } from "./visitor.ts";

/**
 * Goal: another web site, and a function of the same project, can do nothing with a person's browser.
 * Method: a real Chromium, real host names over TLS that resolve to loopback, so that the browser's own
 * rules about sites, origins and cookies decide.
 */

const ADA = "ada@example.com";
const SECRET = "an application and this receiver share it";
/** As Cloud Run names them. `run.app` is a public suffix, so each service is a site of its own. */
const RECEIVER = "connect-123456.us-central1.run.app";
const APPLICATION = "app.example.test";
const CONNECTED = "Your Gmail account is connected";
const HANDOVER = "Connect your Gmail account to an application";

const FOREIGN = [
  ["another site", RECEIVER, "evil.attacker.test"],
  ["another function of the project", RECEIVER, "reports-123456.us-central1.run.app"],
  ["another host of the receiver's domain", "connect.receiver.test", "shop.receiver.test"],
] as const;

describe.skipIf(isSkipped).each(FOREIGN)("in a person's browser, %s", (_, receiver, foreign) => {
  let browser: Browser;
  let front: TlsFront;
  let scenario: Scenario;
  let application: Site;
  let attacker: Site;
  let page: Page;
  let context: BrowserContext;
  let publicUrl: string;
  let returnTo: string;

  beforeAll(async () => {
    browser = await launchChromium([
      "--host-resolver-rules=MAP *.test 127.0.0.1, MAP *.run.app 127.0.0.1",
      "--ignore-certificate-errors",
    ]);
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    front = await startTlsFront();
    application = await startSite();
    attacker = await startSite();
    publicUrl = front.originOf(receiver);
    const origin = front.originOf(APPLICATION);
    returnTo = `${origin}/connected`;
    scenario = await startScenario({
      env: {
        ...UNLIMITED,
        PUBLIC_URL: publicUrl,
        RETURN_TO_URLS: returnTo,
        RETURN_TO_SECRET: SECRET,
      },
      emulator: {
        clients: [{ ...DEFAULT_CLIENT, redirectUris: [`${publicUrl}/callback`] }],
      },
    });
    const options = { origin, receiverUrl: publicUrl, secret: SECRET, now: scenario.clock.now };
    application.answer = exampleApplication(options).fetch;
    front.lead(receiver, scenario.urls.connect);
    front.lead(APPLICATION, application.origin);
    front.lead(foreign, attacker.origin);
    scenario.emulator.createAccount({ email: ADA });
    ({ page, context } = await openVisitor(browser, { javaScriptEnabled: true }));
  });
  afterEach(async () => {
    await context.close();
    await scenario.close();
    for (const each of [application, attacker, front]) each.close();
  });

  async function connect(): Promise<void> {
    await page.goto(`${publicUrl}/start`);
    await allow(page);
    await shows(page, CONNECTED);
  }

  /** The page of the attacker does this as soon as it is opened. */
  async function openForeign(script: string, markup = ""): Promise<void> {
    attacker.show(`${markup}<script>${script}</script>`);
    await page.goto(front.originOf(foreign));
  }

  async function sendForm(path: string, fields: Record<string, string> = {}): Promise<number> {
    const inputs = Object.entries(fields).map(
      ([name, value]) => `<input name="${name}" value="${value}">`,
    );
    const answered = page.waitForResponse((response) => response.request().method() === "POST");
    await openForeign(
      "document.forms[0].submit()",
      `<form method="post" action="${publicUrl}${path}">${inputs.join("")}</form>`,
    );
    return (await answered).status();
  }

  const generation = () => scenario.stored(ADA).grant.generation;
  const start = (wish: Record<string, string>) => `${publicUrl}/start?${new URLSearchParams(wish)}`;

  it("cannot use or set the receiver's cookies", async () => {
    await connect();
    const kept = await context.cookies(publicUrl);
    expect(kept.length).toBeGreaterThan(0);
    for (const { name, ...cookie } of kept) {
      expect(name).toMatch(/^__Host-/);
      const { httpOnly, secure, sameSite, path, domain } = cookie;
      expect({ httpOnly, secure, sameSite, path, domain }).toEqual({
        httpOnly: true,
        secure: true,
        sameSite: "Lax",
        path: "/",
        domain: receiver,
      });
    }
    const parent = receiver.slice(receiver.indexOf(".") + 1);
    const forged = ["__Host-session", ...kept.map(({ name }) => name)].flatMap((name) =>
      [`; domain=${receiver}`, `; domain=${parent}`, ""].map(
        (domain) =>
          `document.cookie = ${JSON.stringify(`${name}=forged${domain}; path=/; secure`)};`,
      ),
    );
    await openForeign(forged.join(""));
    const session = kept.find(({ name }) => name === "__Host-session")?.value ?? "";
    expect(await page.evaluate("document.cookie")).not.toContain(session);
    expect(await context.cookies(publicUrl)).toEqual(kept);
    for (const mode of ["cors", "no-cors"]) {
      const asked = `fetch("${publicUrl}/", { mode: "${mode}", credentials: "include" })`;
      expect(await page.evaluate(`${asked}.then(() => "got", () => "refused")`)).toBe("refused");
    }
    await page.goto(publicUrl);
    await shows(page, CONNECTED);
  });

  it("cannot end a connection or erase a person, not even with the form's token", async () => {
    await connect();
    const csrf = (await page.locator("input[name=csrf]").first().getAttribute("value")) ?? "";
    expect(csrf).toMatch(/^\S{16,}$/);
    for (const path of ["/disconnect", "/erase"]) {
      expect(await sendForm(path, { csrf })).toBe(403);
      expect(await page.content()).not.toContain(ADA);
    }
    expect(scenario.stored(ADA).status).toBe("active");
    expect(scenario.emulator.account(ADA).refreshTokens).toHaveLength(1);
  });

  it("cannot connect silently: not by a link, a frame, a script, or a form of its own", async () => {
    await connect();
    const before = generation();
    const target = start({ return_to: returnTo, app_state: "of the attacker" });

    await openForeign(`location = ${JSON.stringify(target)}`);
    await shows(page, HANDOVER);
    expect(await page.content()).toContain(front.originOf(APPLICATION));

    expect(await sendForm(new URL(target).pathname + new URL(target).search)).toBe(403);

    await openForeign(`location = ${JSON.stringify(`${publicUrl}/start`)}`);
    await page.getByRole("button", { name: "Allow" }).waitFor();
    expect(new URL(page.url()).searchParams.get("prompt")).toBe("consent");

    await openForeign(
      `fetch(${JSON.stringify(`${publicUrl}/start`)}, { mode: "no-cors", credentials: "include" })
        .catch(() => 0).finally(() => { document.title = "done" })`,
      `<iframe src="${publicUrl}/start"></iframe><iframe src="${target}"></iframe>`,
    );
    await page.waitForFunction('document.title === "done"');
    expect(generation()).toBe(before);
    expect(scenario.emulator.account(ADA).refreshTokens).toHaveLength(1);
    expect(front.asked(APPLICATION)).toEqual([]);
  });

  it("cannot have a mailbox bound to a stranger's account of the application", async () => {
    await connect();
    // Mallory begins at the application, and has Ada follow what he was given.
    const mallory = await openVisitor(browser, { ignoreHTTPSErrors: true });
    await mallory.page.goto(front.originOf(APPLICATION));
    await mallory.page.getByRole("button", { name: "Connect Gmail" }).click();
    await shows(mallory.page, HANDOVER);
    const link = mallory.page.url();
    expect(new URL(link).searchParams.get("app_state")).toMatch(/^\S{16,}$/);

    const elsewhere = new URL(link);
    elsewhere.searchParams.set("return_to", `${front.originOf(APPLICATION)}/search`);
    await openForeign(`location = ${JSON.stringify(elsewhere.href)}`);
    await shows(page, "We don't know where this link leads");

    // Even a person who presses every button is refused by the application: the visit is not hers.
    await openForeign(`location = ${JSON.stringify(link)}`);
    await shows(page, HANDOVER);
    await page.getByRole("button", { name: "Continue with Google" }).click();
    await allow(page);
    await page.waitForURL((url) => url.origin === front.originOf(APPLICATION));
    expect(await page.content()).toContain("not asked for");
    const returned = page.url();

    // Mallory, whose visit the answer names, never sees it.
    await mallory.page.goto(front.originOf(APPLICATION));
    expect(await mallory.page.content()).toContain("Your mailbox: none");
    await page.goto(front.originOf(foreign));
    expect(front.asked(foreign).join("\n")).not.toContain(
      new URL(returned).searchParams.get("connection"),
    );
    await mallory.context.close();
  });

  it("sees no code in a worker, a window or a referrer", async () => {
    await openForeign(
      `navigator.serviceWorker.register(${JSON.stringify(`${publicUrl}/worker.js`)}, { scope: "/" })
        .then(() => "registered", () => "refused").then((text) => { document.title = text })`,
    );
    await page.waitForFunction('document.title !== ""');
    expect(await page.title()).toBe("refused");

    await openForeign(
      "",
      `<a id="start" href="${publicUrl}/start" target="_blank" rel="opener">go</a>`,
    );
    const opened = context.waitForEvent("page");
    await page.evaluate('window.child = window.open(document.getElementById("start").href)');
    const child = await opened;
    await allow(child);
    await shows(child, CONNECTED);
    // Pages are in a browsing context group of their own (`Cross-Origin-Opener-Policy`).
    expect(await page.evaluate("window.child.closed")).toBe(true);
    expect(await child.evaluate("window.opener")).toBeNull();
    const seen = front.asked(foreign).join("\n");
    expect(seen).not.toMatch(/code=|state=/);
    expect(front.asked(receiver).some((url) => url.startsWith("/callback?"))).toBe(true);
  });
});
