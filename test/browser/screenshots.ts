import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Page } from "playwright-core";
import { startPlayground } from "../local/playground.ts";
import { launchChromium } from "./chromium.ts";
import { playStory } from "./console-story.ts";
import { showEveryPage } from "./every-page.ts";

/** The console is as high as the window: a window of each width has its usual height. */
const CONSOLE_SIZES = [
  [390, 844],
  [768, 1024],
  [1280, 800],
  [1920, 1080],
] as const;

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error("npm run screenshots -- FOLDER");
  process.exit(1);
}
const target = folder;
await mkdir(target, { recursive: true });
const browser = await launchChromium();
const playground = await startPlayground({ pagePort: 0, connectPort: 0 });
try {
  await playStory(playground);
  const page = await browser.newPage();
  for (const [width, height] of CONSOLE_SIZES) {
    await page.setViewportSize({ width, height });
    await page.goto(playground.url);
    await page.locator("#threads li").first().waitFor();
    for (const pane of ["mailbox", "person", "stream", "inspector"]) {
      await page.locator(`[data-shows=${pane}]`).click();
      await shoot(page, `console-${pane}-${width}`);
    }
  }
  await showEveryPage(browser, async (name, shown) => {
    for (const width of [360, 1280]) {
      await shown.setViewportSize({ width, height: 640 });
      await shoot(shown, `${name}-${width}`);
    }
  });
} finally {
  await playground.close();
  await browser.close();
}

async function shoot(page: Page, name: string): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const file = path.join(target, `${name}-${colorScheme}.png`);
    await page.screenshot({ path: file, fullPage: true });
  }
}
