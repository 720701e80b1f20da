import type { Browser, Page } from "playwright-core";
import { EN } from "../../functions/src/texts/en.ts";
import type { Texts } from "../../functions/src/texts/texts.ts";
import { APPLICATION, type Visitor, openEveryPage } from "../support/every-page.ts";
import { startMailSink } from "../support/mail-sink.ts";
import { startScenario } from "../support/scenario.ts";
import { openVisitor, says, shows } from "./visitor.ts";

const LOGO_URL = "https://static.tidy.example/logo.svg";
const LOGO = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
  <rect width="32" height="32" rx="8" fill="#0b57d0"/>
  <path d="M9 17l5 5 9-11" fill="none" stroke="#fff" stroke-width="3"/></svg>`;

/** Opens every page that people see in Chromium, and the mail at last. `look` must not leave it. */
export async function showEveryPage(
  browser: Browser,
  look: (name: string, page: Page) => Promise<void>,
  texts: Texts = EN,
): Promise<void> {
  const sink = await startMailSink();
  const scenario = await startScenario({
    env: {
      APP_NAME: "Tidy Desk",
      APP_LOGO_URL: LOGO_URL,
      RETURN_TO_URLS: APPLICATION,
      SUPPORT_EMAIL: "help@tidy.example",
      NOTICE_SMTP_URL: sink.url,
      NOTICE_FROM: "Tidy Desk <mail@tidy.example>",
    },
  });
  // The pages do without scripts; `look` may need one.
  const { context, page } = await openVisitor(browser, {
    javaScriptEnabled: true,
    locale: texts.language,
  });
  await context.route(LOGO_URL, (route) =>
    route.fulfill({ contentType: "image/svg+xml", body: LOGO }),
  );
  try {
    await openEveryPage(scenario, visitorOf(page), (name) => look(name, page), texts);
    await scenario.runSchedule("mailboxReconciliation");
    await page.goto("about:blank");
    await page.setContent(sink.mails.at(-1)?.mail.html ?? "");
    await look("mail", page);
  } finally {
    await context.close();
    await scenario.close();
    await sink.close();
  }
}

function visitorOf(page: Page): Visitor {
  return {
    open: async (url) => void (await page.goto(url)),
    press: (name) => page.getByRole("button", { name }).click(),
    follow: (name) => page.getByRole("link", { name }).click(),
    decide: (name) => page.getByRole("button", { name }).click(),
    shows: (title) => shows(page, title),
    says: (text) => says(page, text),
  };
}
