import type { LocalStack } from "../local/stack.ts";
import { type Browser, openBrowser } from "./browser.ts";
import type { Scenario } from "./scenario.ts";

/** An authorization that one browser has begun, with the person not yet back from Google. */
export interface Flow {
  browser: Browser;
  /** The address at Google that the browser was sent to. */
  asked: URL;
  /** Where Google sends the browser back to, once the person has decided. */
  back: URL;
}

export interface FlowOptions {
  browser?: Browser;
  /** Of `/start`. */
  query?: string;
  /** What an attacker would change of the address at Google. */
  alter?: (asked: URL) => void;
  decline?: boolean;
  untick?: string[];
}

/** Goes through `/start` and the consent page as this account. */
export async function begin(
  { publicUrl, emulator }: LocalStack,
  account: string,
  { browser = openBrowser(), query = "", alter, decline = false, untick = [] }: FlowOptions = {},
): Promise<Flow> {
  const start = await startFlow(browser, `${publicUrl}/start${query}`);
  const asked = new URL(start.headers.get("location") ?? "");
  alter?.(asked);
  const back = await emulator.consent(asked.href, { account, decline, untick });
  return { browser, asked, back: new URL(back) };
}

/** From `/start` to Google: presses the button where the application is named first. */
export async function startFlow(browser: Browser, url: string): Promise<Response> {
  const answer = await browser.ask(url);
  return answer.status === 200 ? browser.post(url, {}) : answer;
}

/** A callback as it came, but for what is changed here. */
export function changed(back: URL, change: (params: URLSearchParams) => void): string {
  const url = new URL(back);
  change(url.searchParams);
  return url.href;
}

/** Where a response leads, as a path of the receiver. */
export function leadsTo(response: Response, { publicUrl }: LocalStack): string {
  return (response.headers.get("location") ?? "").replace(publicUrl, "");
}

/** The cookies of a browser, as a header. */
export function cookieHeader({ cookies }: Browser): string {
  return [...cookies].map((pair) => pair.join("=")).join("; ");
}

/** The link that subscribers were given last. */
export function linkOf(scenario: Scenario, email: string): string {
  const event = scenario.events(email).findLast(({ json }) => "reauthorizeUrl" in json);
  return String(event?.json["reauthorizeUrl"]);
}

/** The proof that a form of the receiver carries; empty where the page has no such form. */
export function csrfOf(page: string): string {
  return /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
}

/** Ends the grant at Google, and lets the receiver find out. */
export async function endGrant({ emulator, settled }: Scenario, email: string): Promise<void> {
  emulator.changePassword(email);
  emulator.deliver(email);
  await settled();
}

/** Another browser with the same cookies. */
export function copyOf({ cookies }: Browser): Browser {
  const copy = openBrowser();
  for (const [name, value] of cookies) copy.cookies.set(name, value);
  return copy;
}
