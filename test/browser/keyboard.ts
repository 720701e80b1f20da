import type { Page } from "playwright-core";
import { expect } from "vitest";

const FOCUSED = "document.activeElement";
const TAB_STOPS_MAX = 20;

/** What the Tab key stops at, until it leaves the page; each stop has to look like one. */
export async function tabStops(page: Page): Promise<string[]> {
  const stops: string[] = [];
  while (stops.length < TAB_STOPS_MAX) {
    const before = await page.screenshot();
    await page.keyboard.press("Tab");
    const name = await focused(page);
    if (name === undefined) break;
    expect(await page.evaluate(`getComputedStyle(${FOCUSED}).outlineStyle`)).toBe("solid");
    expect((await page.screenshot()).equals(before), `${name} shows its focus`).toBe(false);
    stops.push(name);
  }
  return stops;
}

/** Goes to a control by the Tab key, and presses Enter there. */
export async function pressByKeyboard(page: Page, name: string): Promise<void> {
  for (let stop = 0; stop < TAB_STOPS_MAX; stop += 1) {
    if ((await focused(page)) === name) return page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
  }
  throw new Error(`the Tab key does not reach ${name}`);
}

/** The text of what has the focus; `undefined` if nothing has. */
export async function focused(page: Page): Promise<string | undefined> {
  const text = await page.evaluate(
    `${FOCUSED} === document.body ? null : ${FOCUSED}.textContent.trim()`,
  );
  return text === null ? undefined : String(text);
}
