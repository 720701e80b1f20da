import { existsSync } from "node:fs";

/** Where package managers and Google put a browser that `playwright-core` can drive. */
const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** The Chromium of this machine: the one that `CHROMIUM_PATH` names, else an installed one. */
export function findChromium(): string | undefined {
  return process.env["CHROMIUM_PATH"] || PLACES.find((path) => existsSync(path));
}
