import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { begin, linkOf } from "../support/flow.ts";
import { isSkipped, launchChromium } from "./chromium.ts";
import { UNLIMITED } from "../local/environment.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { type Site, startSite } from "./site.ts";
import { allow, openVisitor, shows } from "./visitor.ts";

const ADA = "ada@example.com";
const MALLORY = "mallory@example.com";
const FORBIDDEN = "This request didn't come from our page";

/** To the browser of the first our cookies are not its own; the second shares our cookies' host. */
const SITES = [
  ["another site", "localhost"],
  ["a sibling of the receiver, with its cookies", "127.0.0.1"],
] as const;

describe.skipIf(isSkipped).each(SITES)("in a person's browser, %s", (_, host) => {
  let browser: Browser;
  let scenario: Scenario;
  let foreign: Site;
  let page: Page;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    foreign = await startSite(host);
    scenario = await startScenario({ env: UNLIMITED });
    for (const email of [ADA, MALLORY]) scenario.emulator.createAccount({ email });
    ({ page } = await openVisitor(browser, { javaScriptEnabled: true }));
  });
  afterEach(async () => {
    await page.context().close();
    await scenario.close();
    foreign.close();
  });

  async function connect(): Promise<void> {
    await page.goto(`${scenario.publicUrl}/start`);
    await allow(page);
    await shows(page, "Your Gmail account is connected");
  }

  /** The foreign page sends this form as soon as it is opened; resolves to what we answer. */
  async function send(path: string, fields = ""): Promise<number | undefined> {
    foreign.show(
      `<form method="post" action="${scenario.publicUrl}${path}">${fields}</form>
      <script>document.forms[0].submit()</script>`,
    );
    const answered = page.waitForResponse((response) => response.url().endsWith(path));
    await page.goto(foreign.origin);
    return (await answered).status();
  }

  it("cannot disconnect them, not even with the form's token", async () => {
    await connect();
    const csrf = await page.locator("input[name=csrf]").getAttribute("value");
    expect(csrf).toMatch(/^\S{16,}$/);
    expect(await send("/disconnect", `<input name="csrf" value="${csrf}">`)).toBe(403);
    await shows(page, FORBIDDEN);
    expect(scenario.stored(ADA).status).toBe("active");
    expect(scenario.emulator.account(ADA).refreshTokens).toHaveLength(1);
  });

  it("cannot start a re-authorization, not even with the link", async () => {
    await connect();
    scenario.emulator.revokeAccess(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const link = linkOf(scenario, ADA).replace(scenario.publicUrl, "");
    expect(await send(link)).toBe(403);
    await shows(page, FORBIDDEN);
    expect(page.url()).toBe(`${scenario.publicUrl}${link}`);
  });

  it("cannot sign them in as another person with that person's authorization response", async () => {
    const { back } = await begin(scenario, MALLORY);
    foreign.show(`<script>location = ${JSON.stringify(back.href)}</script>`);
    await page.goto(foreign.origin);
    await shows(page, "This page has expired");
    expect(scenario.users.dump().users).toEqual([]);
    await page.goto(scenario.publicUrl);
    await shows(page, "Connect your Gmail account");
  });

  it("cannot renew their grant without asking them", async () => {
    await connect();
    const { generation } = scenario.stored(ADA).grant;
    foreign.show(`<script>location = ${JSON.stringify(`${scenario.publicUrl}/start`)}</script>`);
    await page.goto(foreign.origin);
    await page.getByRole("button", { name: "Allow" }).waitFor();
    expect(new URL(page.url()).searchParams.get("prompt")).toBe("consent");
    expect(scenario.stored(ADA).grant.generation).toBe(generation);
  });

  it("cannot frame or read a page", async () => {
    await connect();
    foreign.show(`<iframe src="${scenario.publicUrl}/"></iframe>`);
    await page.goto(foreign.origin);
    const [frame] = page.frames().slice(1);
    expect(await frame?.locator("body").innerText()).not.toContain("Gmail account");
    expect(frame?.url()).toMatch(/^chrome-error:/);
    for (const mode of ["cors", "no-cors"]) {
      const asked = `fetch("${scenario.publicUrl}/", { mode: "${mode}", credentials: "include" })`;
      expect(await page.evaluate(`${asked}.then(() => "got", () => "refused")`)).toBe("refused");
    }
  });
});
