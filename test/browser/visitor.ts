import type {
  Browser,
  BrowserContext,
  BrowserContextOptions,
  Page,
  Request,
} from "playwright-core";

export const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

/** A person's browser, with what it does that the person does not see. */
export interface Visitor {
  page: Page;
  context: BrowserContext;
  /** What pages were refused by a policy, could not load, or did wrong. */
  complaints: string[];
  requests: Request[];
}

/** Without scripts unless said otherwise: the pages have to do without. */
export async function openVisitor(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<Visitor> {
  const context = await browser.newContext({ javaScriptEnabled: false, ...options });
  const complaints: string[] = [];
  const requests: Request[] = [];
  context.on("console", (message) => {
    // A status of 4xx is told on the console, too.
    if (!/the server responded with a status of/.test(message.text())) {
      complaints.push(`${message.location().url}: ${message.text()}`);
    }
  });
  context.on("weberror", (error) => complaints.push(String(error.error())));
  context.on("request", (request) => requests.push(request));
  return { context, page: await context.newPage(), complaints, requests };
}

const SHOW_MS_MAX = 10_000;

/** Resolves once this page is there, however many redirects lead to it. */
export async function shows(page: Page, title: string): Promise<void> {
  const heading = page.getByRole("heading", { level: 1, name: title, exact: true });
  await heading.waitFor({ timeout: SHOW_MS_MAX });
}

/** Resolves once the page says so somewhere. */
export async function says(page: Page, text: string): Promise<void> {
  await page.getByText(text).waitFor({ timeout: SHOW_MS_MAX });
}

/** On Google's page: the account that is chosen there allows what is ticked. */
export async function allow(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Allow" }).click();
}
