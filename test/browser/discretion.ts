import type { Page } from "playwright-core";
import { expect } from "vitest";
import type { Visitor } from "./visitor.ts";

/**
 * Nothing was refused or missing, nothing was asked of any other machine, no site heard which of our
 * pages the person came from, and neither code nor state is in the history of any tab.
 */
export async function expectDiscreet(visitor: Visitor, publicUrl: string): Promise<void> {
  const { context, complaints, requests } = visitor;
  expect(complaints).toEqual([]);
  const hosts = new Set(requests.map((request) => new URL(request.url()).hostname));
  expect([...hosts].filter((host) => host !== "127.0.0.1" && host !== "localhost")).toEqual([]);
  const referrers = await Promise.all(
    requests.map(async (request) => (await request.allHeaders())["referer"] ?? ""),
  );
  expect(referrers.filter((referrer) => referrer.startsWith(publicUrl))).toEqual([]);
  expect(referrers.filter((referrer) => referrer.includes("code="))).toEqual([]);
  for (const page of context.pages()) {
    const ours = (await history(page)).filter((url) => url.startsWith(publicUrl));
    expect(ours.filter((url) => /[?&](code|state)=/.test(url))).toEqual([]);
  }
}

/** Every address that the back button can lead to. */
export async function history(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page);
  const { entries } = await session.send("Page.getNavigationHistory");
  await session.detach();
  return entries.map(({ url }) => url);
}
