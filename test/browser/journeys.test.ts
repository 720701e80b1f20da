import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { exampleApplication } from "../examples/application/application.ts";
import { isSkipped, launchChromium } from "./chromium.ts";
import { type MailSink, type SunkMail, startMailSink } from "../support/mail-sink.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { type Site, startSite } from "./site.ts";
import { expectDiscreet, history } from "./discretion.ts";
import { pressByKeyboard, tabStops } from "./keyboard.ts";
import { PHONE, type Visitor, allow, openVisitor, says, shows } from "./visitor.ts";

const ADA = "ada@example.com";
const ZOE = "zoe@example.com";
const SECRET = "an application and this receiver share it";
const CONNECTED = "Your Gmail account is connected";
const AGAIN = "Allow access to your Gmail account again";

describe.skipIf(isSkipped)("a person with a real browser and no script", () => {
  let browser: Browser;
  let sink: MailSink;
  /** Another site: where the person reads mail. */
  let mailReader: Site;
  let application: Site;
  let scenario: Scenario;
  let visitors: Visitor[];
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    visitors = [];
    sink = await startMailSink();
    mailReader = await startSite("localhost");
    application = await startSite();
    scenario = await startScenario({
      env: {
        APP_NAME: "Tidy Desk",
        SUPPORT_EMAIL: "help@tidy.example",
        NOTICE_SMTP_URL: sink.url,
        NOTICE_FROM: "Tidy Desk <mail@tidy.example>",
        RETURN_TO_URLS: `${application.origin}/connected`,
        RETURN_TO_SECRET: SECRET,
      },
    });
    const { publicUrl: receiverUrl, clock, emulator } = scenario;
    const options = { origin: application.origin, receiverUrl, secret: SECRET, now: clock.now };
    application.answer = exampleApplication(options).fetch;
    for (const email of [ADA, ZOE]) emulator.createAccount({ email });
  });
  // Whatever a journey was about, its browser was discreet all along.
  afterEach(async () => {
    try {
      for (const visitor of visitors) await expectDiscreet(visitor, scenario.publicUrl);
    } finally {
      for (const { context } of visitors) await context.close();
      await scenario.close();
      await sink.close();
      application.close();
      mailReader.close();
    }
  });

  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const visitor = await openVisitor(browser, options);
    visitors.push(visitor);
    return visitor.page;
  }

  const path = (page: Page) => page.url().replace(scenario.publicUrl, "");
  const press = (page: Page, name: string) => page.getByRole("button", { name }).click();
  const users = () => scenario.users.dump().users;

  async function connect(page: Page): Promise<void> {
    await page.goto(scenario.publicUrl);
    await page.getByRole("link", { name: "Continue with Google" }).click();
    await allow(page);
    await shows(page, CONNECTED);
  }

  /** Ada changes her password, mail comes meanwhile, and she opens the mail that tells her. */
  async function openMail(page: Page, changes = 1): Promise<void> {
    scenario.emulator.changePassword(ADA);
    for (let change = 0; change < changes; change += 1) scenario.emulator.deliver(ADA);
    await scenario.settled();
    await scenario.runSchedule("mailboxReconciliation");
    const { mail } = sink.mails.at(-1) as SunkMail;
    mailReader.show(mail.html ?? "");
    await page.goto(mailReader.origin);
    await page.getByRole("link", { name: "Allow access again" }).click();
    await shows(page, AGAIN);
  }

  it("connects from the first page, on a phone", async () => {
    const page = await open(PHONE);
    await page.goto(scenario.publicUrl);
    expect(await page.evaluate("[innerWidth, document.documentElement.scrollWidth]")).toEqual([
      360, 360,
    ]);
    await page.getByRole("link", { name: "Continue with Google" }).tap();
    await page.getByRole("button", { name: "Allow" }).tap();
    await shows(page, CONNECTED);
    expect(path(page)).toBe("/");
    await says(page, ADA);
    expect(scenario.stored(ADA).status).toBe("active");
  });

  it("unticks a box: the page says so, nothing is stored, and they can try again", async () => {
    const page = await open();
    await page.goto(`${scenario.publicUrl}/start`);
    await page.getByRole("checkbox").uncheck();
    await allow(page);
    await shows(page, "One permission is missing");
    expect(users()).toEqual([]);
    await page.getByRole("link", { name: "Try again" }).click();
    expect(await page.getByRole("checkbox").isChecked()).toBe(true);
    await allow(page);
    await shows(page, CONNECTED);
  });

  it("declines: nothing is connected", async () => {
    const page = await open();
    await page.goto(`${scenario.publicUrl}/start`);
    await press(page, "Deny");
    await shows(page, "You didn't allow access");
    expect(users()).toEqual([]);
    await page.goto(scenario.publicUrl);
    await shows(page, "Connect your Gmail account");
  });

  it("changes the password: a mail, one click on the page, and everything that was missed", async () => {
    const page = await open();
    await connect(page);
    await openMail(page, 3);
    expect(sink.mails.map(({ to }) => to)).toEqual([[ADA]]);
    // The form's answer leads to another origin, which the policy has to allow.
    await press(page, "Continue with Google");
    expect(await page.getByRole("radio", { name: ADA }).isChecked()).toBe(true);
    await allow(page);
    await shows(page, CONNECTED);
    await says(page, "We delivered the 3 changes you missed");
    expect(path(page)).toBe("/");
    const added = scenario.events(ADA).filter(({ json }) => "messageId" in json);
    expect(added).toHaveLength(3);
  });

  it("opens the mail's link a second time: it is used up, and Google is not called", async () => {
    const page = await open();
    await connect(page);
    await openMail(page);
    const link = page.url();
    await press(page, "Continue with Google");
    await allow(page);
    await shows(page, CONNECTED);
    const flows = scenario.emulator.countCalls("token.code");
    expect((await page.goto(link))?.status()).toBe(410);
    await shows(page, "This link has been used or has expired");
    expect(await page.getByRole("button").count()).toBe(0);
    expect(scenario.emulator.countCalls("token.code")).toBe(flows);
    expect(scenario.stored(ADA).grant.generation).toBe(2);
  });

  it("chooses another account when re-authorizing: the page names the right one and leads to Google again", async () => {
    const page = await open();
    await connect(page);
    await openMail(page);
    await press(page, "Continue with Google");
    await page.getByLabel(ZOE).check();
    await allow(page);
    await page.getByRole("alert").getByText("That was a different Google account").waitFor();
    // The link is no proof of who holds it: the address shows only its beginning.
    await says(page, "a***@example.com");
    expect(scenario.stored(ADA).status).toBe("reauthorization_required");
    expect(users()).toHaveLength(1);
    await press(page, "Continue with Google");
    await allow(page);
    await shows(page, CONNECTED);
  });

  it("disconnects: Google has no grant any more, and the first page shows no account", async () => {
    const page = await open();
    await connect(page);
    await press(page, "Disconnect");
    await shows(page, "Your Gmail account is disconnected");
    expect(scenario.stored(ADA).status).toBe("disconnected");
    expect(scenario.emulator.account(ADA).refreshTokens).toEqual([]);
    await page.goto(scenario.publicUrl);
    await shows(page, "Connect your Gmail account");
  });

  it("O15: finds neither code nor state in the history; going back redeems nothing again", async () => {
    const page = await open();
    await connect(page);
    const ours = (await history(page)).filter((url) => url.startsWith(scenario.publicUrl));
    expect(ours).toEqual([`${scenario.publicUrl}/`, `${scenario.publicUrl}/`]);
    expect(await page.evaluate("document.referrer")).toBe("");

    const exchanges = scenario.emulator.countCalls("token.code");
    // Back to Google's page, and once more "Allow" there: another answer to a flow that is done.
    await page.goBack();
    await allow(page);
    await shows(page, "You've already done this step");
    expect(scenario.emulator.countCalls("token.code")).toBe(exchanges);
    await page.getByRole("link", { name: "Go to the start page" }).click();
    await shows(page, CONNECTED);
  });

  it("connects two accounts in two tabs, finishing the second one first", async () => {
    const first = await open();
    const second = await first.context().newPage();
    await first.goto(`${scenario.publicUrl}/start`);
    await second.goto(`${scenario.publicUrl}/start`);
    await second.getByLabel(ZOE).check();
    await allow(second);
    await says(second, ZOE);
    await allow(first);
    await says(first, ADA);
    expect(users().map(({ status }) => status)).toEqual(["active", "active"]);
  });

  it("comes back to the application that sent them, which knows whose mailbox it is", async () => {
    const [ada, zoe] = [await open(), await open()];
    for (const page of [ada, zoe]) {
      await page.goto(application.origin);
      await press(page, "Connect Gmail");
      await says(page, application.origin);
      await press(page, "Continue with Google");
    }
    // Zoe declines first; trying again still leads back.
    await press(zoe, "Deny");
    await zoe.getByRole("link", { name: "Try again" }).click();
    await press(zoe, "Continue with Google");
    await zoe.getByLabel(ZOE).check();
    await allow(zoe);
    await allow(ada);
    for (const [page, email] of [
      [ada, ADA],
      [zoe, ZOE],
    ] as const) {
      await says(page, `Your mailbox: ${email}`);
      expect(page.url()).toBe(`${application.origin}/`);
      expect((await history(page)).filter((url) => url.includes("connection="))).toEqual([]);
    }
  });

  it("prefers German: the pages and the dates are in German, and they get connected", async () => {
    const page = await open({ locale: "de-AT" });
    await page.goto(scenario.publicUrl);
    await shows(page, "Gmail-Konto verbinden");
    expect(await page.locator("html").getAttribute("lang")).toBe("de");
    await page.getByRole("link", { name: "Weiter mit Google" }).click();
    await press(page, "Deny");
    await shows(page, "Sie haben den Zugriff nicht erlaubt");
    await page.getByRole("link", { name: "Noch einmal versuchen" }).click();
    await allow(page);
    await shows(page, "Ihr Gmail-Konto ist verbunden");
    expect(await page.locator("time").innerText()).toMatch(/^\d+\. \S+ \d{4} um \d\d:\d\d UTC$/);
    await page.getByRole("link", { name: "Meine Daten löschen" }).click();
    await shows(page, "Ihre Daten löschen?");
    await press(page, "Alles löschen");
    await shows(page, "Ihre Daten sind gelöscht");
    expect(users()).toEqual([]);
  });

  it("has only a keyboard: every control is reachable, in order, with visible focus", async () => {
    const page = await open();
    await page.goto(scenario.publicUrl);
    expect(await tabStops(page)).toEqual(["Continue with Google", "help@tidy.example"]);
    await pressByKeyboard(page, "Continue with Google");
    await page.waitForURL(/\/o\/oauth2\/v2\/auth/);
    await pressByKeyboard(page, "Allow");
    await shows(page, CONNECTED);

    await openMail(page);
    expect(await tabStops(page)).toEqual(["Continue with Google", "help@tidy.example"]);
    await page.goto(scenario.publicUrl);
    expect(await tabStops(page)).toEqual([
      "Continue with Google",
      "Disconnect",
      "Erase my data",
      "help@tidy.example",
    ]);
    await pressByKeyboard(page, "Continue with Google");
    await page.waitForURL(/\/o\/oauth2\/v2\/auth/);
    await pressByKeyboard(page, "Allow");
    await shows(page, CONNECTED);
    await pressByKeyboard(page, "Disconnect");
    await shows(page, "Your Gmail account is disconnected");
    expect(scenario.stored(ADA).status).toBe("disconnected");
  });
});
