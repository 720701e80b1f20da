import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LANGUAGES } from "../../functions/src/texts/languages.ts";
import { isSkipped, launchChromium } from "./chromium.ts";
import { showEveryPage } from "./every-page.ts";

const SIZES = [
  { width: 360, height: 740 },
  { width: 1280, height: 800 },
];
const PHONE_WIDTHS = [320, 390];
const WCAG = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"];
const USUAL_TEXT = { fontSizes: { standard: 16, fixed: 13 } };
/** Of a browser that is set to show text twice as large (WCAG 2.2, 1.4.4). */
const LARGE_TEXT = { fontSizes: { standard: 32, fixed: 26 } };

/** Some hundred looks in one test, on a machine that may be busy. */
const TIMEOUT_MS = 120_000;

describe.skipIf(isSkipped)("every page, and the mail", { timeout: TIMEOUT_MS }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());

  it("passes axe in light and dark, on a phone and on a desktop", async () => {
    const faults: unknown[] = [];
    let count = 0;
    await showEveryPage(browser, async (name, page) => {
      // Through the debugger's door: the policy lets no script in.
      await page.evaluate(axe.source);
      for (const size of SIZES) {
        await page.setViewportSize(size);
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme });
          // Best practices are about pages: a mail has no landmarks. And its ground is the reader's
          // own, which axe takes to be white.
          const isMail = name === "mail";
          if (isMail && colorScheme === "dark") continue;
          const results = await check(page, isMail ? WCAG : [...WCAG, "best-practice"]);
          expect(results.passes.map(({ id }) => id)).toContain("color-contrast");
          for (const { id, nodes } of results.violations) {
            faults.push({ name, ...size, colorScheme, id, at: nodes.map(({ html }) => html) });
          }
          count += 1;
        }
      }
    });
    expect(faults).toEqual([]);
    expect(count).toBeGreaterThan(80);
  });

  it.each(Object.values(LANGUAGES))("fit a phone in $language", async (texts) => {
    const tooWide: unknown[] = [];
    const look = async (name: string, page: Page) => {
      for (const each of PHONE_WIDTHS) {
        await page.setViewportSize({ width: each, height: 740 });
        const found = await width(page);
        if (found > each) tooWide.push({ name, each, found });
      }
      await page.setViewportSize({ width: 360, height: 740 });
      const lineBefore = await lineHeight(page);
      const widths = { usual: await width(page), large: 0, unbroken: 0 };
      const session = await page.context().newCDPSession(page);
      await session.send("Page.setFontSizes", LARGE_TEXT);
      widths.large = await width(page);
      expect((await lineHeight(page)) / lineBefore).toBeCloseTo(name === "mail" ? 1 : 2);
      // The mail and the lists have addresses, which may be broken when there is no other way.
      if (name !== "mail") {
        await page.evaluate(
          `document.querySelectorAll("h1, p, button, .button")
            .forEach(({ style }) => (style.overflowWrap = "normal"))`,
        );
        widths.unbroken = await width(page);
      }
      await session.send("Page.setFontSizes", USUAL_TEXT);
      await session.detach();
      if (Object.values(widths).some((each) => each > 360)) tooWide.push({ name, widths });
      expect(await page.evaluate("document.images[0].naturalWidth")).toBeGreaterThan(0);
    };
    await showEveryPage(browser, look, texts);
    expect(tooWide).toEqual([]);
  });
});

async function check(page: Page, rules: readonly string[]): Promise<axe.AxeResults> {
  return (await page.evaluate(`axe.run({ runOnly: ${JSON.stringify(rules)} })`)) as axe.AxeResults;
}

async function width(page: Page): Promise<number> {
  return Number(await page.evaluate("document.documentElement.scrollWidth"));
}

async function lineHeight(page: Page): Promise<number> {
  return Number(await page.evaluate("parseFloat(getComputedStyle(document.body).lineHeight)"));
}
