import axe from "axe-core";
import { type Browser, type BrowserContextOptions, type Page, chromium } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findChromium } from "../support/chromium.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

const ADA = "ada@example.com";
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

const executablePath = findChromium();
// In CI a missing browser is a failure, not a reason to skip.
const isSkipped = executablePath === undefined && process.env["CI"] === undefined;
if (isSkipped) console.warn("no Chromium: the pages are not opened in a browser (CHROMIUM_PATH)");

describe.skipIf(isSkipped)("the pages in a real browser", () => {
  let browser: Browser;
  let scenario: Scenario;
  /** What any page complained of: refused by the policy, not found, a script error. */
  let complaints: string[];
  beforeAll(async () => {
    browser = await chromium.launch({
      ...(executablePath !== undefined && { executablePath }),
      args: ["--no-sandbox"],
    });
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    complaints = [];
    scenario = await startScenario({ env: { APP_NAME: "Tidy Desk", SUPPORT_EMAIL: "help@a.b" } });
    scenario.emulator.createAccount({ email: ADA });
  });
  afterEach(() => scenario.close());

  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    page.on("console", (message) => {
      const isOurs = message.location().url.startsWith(scenario.publicUrl);
      // A status of 4xx is told on the console, too.
      if (isOurs && !/the server responded with a status of/.test(message.text())) {
        complaints.push(message.text());
      }
    });
    return page;
  }

  /** Google's page: Ada is the account that is chosen. */
  const allow = (page: Page) => page.getByRole("button", { name: "Allow" }).click();
  const heading = (page: Page) => page.getByRole("heading", { level: 1 }).textContent();
  const path = (page: Page) => page.url().replace(scenario.publicUrl, "");

  async function connect(page: Page): Promise<void> {
    await page.goto(scenario.publicUrl);
    await page.getByRole("link", { name: "Connect Gmail" }).click();
    await allow(page);
    expect(await heading(page)).toBe("Your Gmail account is connected");
  }

  async function loseGrant(): Promise<string> {
    scenario.emulator.changePassword(ADA);
    scenario.emulator.deliver(ADA);
    await scenario.settled();
    const event = scenario.events(ADA).find(({ json }) => "reauthorizeUrl" in json);
    return String(event?.json["reauthorizeUrl"]);
  }

  it("lead through a whole life: connect, lose the grant, allow again, go back, disconnect", async () => {
    const page = await open();
    await connect(page);
    expect(path(page)).toBe("/");
    expect(await page.getByText(ADA).count()).toBe(1);

    await page.goto(await loseGrant());
    expect(await heading(page)).toBe("Allow access to your Gmail account again");
    // The form's answer leads to another origin, which the policy has to allow.
    await page.getByRole("button", { name: "Continue with Google" }).click();
    await allow(page);
    expect(await page.getByText("One change that was made meanwhile").count()).toBe(1);
    expect(path(page)).toBe("/");

    await page.getByRole("button", { name: "Disconnect" }).click();
    expect(await heading(page)).toBe("Your Gmail account is disconnected");
    expect(scenario.stored(ADA).status).toBe("disconnected");
    expect(complaints).toEqual([]);
  });

  it("O15: keep code and state out of the history; the back button redeems nothing again", async () => {
    const page = await open();
    await connect(page);
    const urls = await page.evaluate(
      "performance.getEntriesByType('navigation').map(({ name }) => name)",
    );
    expect(urls).toEqual([`${scenario.publicUrl}/`]);
    expect(await page.evaluate("document.referrer")).toBe("");

    const exchanges = scenario.emulator.countCalls("token.code");
    // Back to Google's page, and once more "Allow" there: another answer to a flow that is done.
    await page.goBack();
    await allow(page);
    expect(await heading(page)).toBe("This step is already done");
    expect(scenario.emulator.countCalls("token.code")).toBe(exchanges);
    await page.getByRole("link", { name: "Go to the first page" }).click();
    expect(await heading(page)).toBe("Your Gmail account is connected");
  });

  it("name the right account when another one was chosen, and lead back to Google", async () => {
    scenario.emulator.createAccount({ email: "zoe@example.com", name: "Zoe" });
    const page = await open();
    await connect(page);
    await page.goto(await loseGrant());
    await page.getByRole("button", { name: "Continue with Google" }).click();
    await page.getByLabel("zoe@example.com").check();
    await allow(page);
    expect(await page.getByRole("alert").textContent()).toContain("another Google account");
    expect(await page.getByText(ADA).count()).toBe(1);
    await page.getByRole("button", { name: "Continue with Google" }).click();
    await allow(page);
    expect(await heading(page)).toBe("Your Gmail account is connected");
  });

  it("can be used with the keyboard alone, and show where one is", async () => {
    const page = await open();
    await page.goto(scenario.publicUrl);
    await page.keyboard.press("Tab");
    const outline = "getComputedStyle(document.activeElement).outlineStyle";
    expect(await page.evaluate(outline)).toBe("solid");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/o\/oauth2\/v2\/auth/);
    await allow(page);
    await page.getByText(ADA).waitFor();
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Disconnect");
    expect(await page.evaluate(outline)).toBe("solid");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "disconnected" }).waitFor();
  });

  it.each<[string, BrowserContextOptions]>([
    ["light", { colorScheme: "light" }],
    ["dark", { colorScheme: "dark" }],
    ["light, on a phone", { colorScheme: "light", ...PHONE }],
    ["dark, on a phone", { colorScheme: "dark", ...PHONE }],
  ])("have no accessibility fault that axe finds: %s", async (_, options) => {
    const longest = `${"a-very-long-name-without-a-break".repeat(2).slice(0, 60)}@example.com`;
    scenario.emulator.createAccount({ email: longest });
    await scenario.connect(longest, { exists: true });
    scenario.emulator.revokeAccess(longest);
    scenario.emulator.deliver(longest);
    await scenario.settled();
    const event = scenario.events(longest).find(({ json }) => "reauthorizeUrl" in json);
    const link = String(event?.json["reauthorizeUrl"]);

    const page = await open(options);
    await connect(page);
    const addresses = ["/", "/refused/scopes_missing", "/refused/try_later", "/nowhere"];
    const urls = [
      ...addresses.map((each) => `${scenario.publicUrl}${each}`),
      link,
      `${link}?refused=wrong_account`,
    ];
    for (const url of urls) {
      await page.goto(url);
      // Through the debugger's door: the policy lets no script in.
      await page.evaluate(axe.source);
      const { violations } = await page
        .evaluate(
          "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'] })",
        )
        .then((result) => result as axe.AxeResults);
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
      const widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]");
      const [content = 0, window = 0] = widths as number[];
      expect(content).toBeLessThanOrEqual(window);
    }
    await page.context().clearCookies();
    await page.goto(scenario.publicUrl);
    await page.evaluate(axe.source);
    const result = (await page.evaluate("axe.run()")) as axe.AxeResults;
    expect(result.violations).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
