import { mkdir } from "node:fs/promises";
import path from "node:path";
import { launchChromium } from "./chromium.ts";
import { showEveryPage } from "./every-page.ts";

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error("npm run screenshots -- FOLDER");
  process.exit(1);
}
await mkdir(folder, { recursive: true });
const browser = await launchChromium();
try {
  await showEveryPage(browser, async (name, page) => {
    for (const width of [360, 1280]) {
      await page.setViewportSize({ width, height: 640 });
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        const file = path.join(folder, `${name}-${width}-${colorScheme}.png`);
        await page.screenshot({ path: file, fullPage: true });
      }
    }
  });
} finally {
  await browser.close();
}
