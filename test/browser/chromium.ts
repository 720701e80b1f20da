import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

/** Where package managers and Google put a browser that `playwright-core` can drive. */
const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** The Chromium of this machine: the one that `CHROMIUM_PATH` names, else an installed one. */
const executablePath = process.env["CHROMIUM_PATH"] || PLACES.find((path) => existsSync(path));

/** In CI a missing browser is a failure, not a reason to skip. */
export const isSkipped = executablePath === undefined && process.env["CI"] === undefined;
if (isSkipped) console.warn("no Chromium: nothing is opened in a browser (CHROMIUM_PATH)");

/** Without its own sandbox, which it cannot make as root: it sees nothing but our pages. */
export function launchChromium(args: readonly string[] = []): Promise<Browser> {
  if (executablePath === undefined) throw new Error("no Chromium here: set CHROMIUM_PATH");
  return chromium.launch({ executablePath, args: ["--no-sandbox", ...args] });
}
