import type { Browser, Page } from "playwright-core";
import { TEXTS } from "../../functions/src/texts/pages.ts";
import { linkOf } from "../support/flow.ts";
import { type MailSink, startMailSink } from "../support/mail-sink.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";
import { allow, openVisitor, says, shows } from "./visitor.ts";

const ADA = "ada@example.com";
/** As long as addresses get, with nowhere to break it. */
const LONGEST = `${"a-very-long-name-without-a-break".repeat(2)}@example.com`;
const LOGO_URL = "https://static.tidy.example/logo.svg";
const LOGO = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
  <rect width="32" height="32" rx="8" fill="#0b57d0"/>
  <path d="M9 17l5 5 9-11" fill="none" stroke="#fff" stroke-width="3"/></svg>`;
const APPLICATION = "https://app.tidy.example/connected";
const DAY_MS = 86_400_000;

/** What is done with a page that is open: it must not be left. */
export type Visit = (name: string, page: Page) => Promise<void>;

/** Opens every page that people see, each on its real path, and the mail at last. */
export async function openEveryPage(browser: Browser, visit: Visit): Promise<void> {
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
  // The pages do without scripts; whoever looks at them may need one.
  const { context, page } = await openVisitor(browser, { javaScriptEnabled: true });
  await context.route(LOGO_URL, (route) =>
    route.fulfill({ contentType: "image/svg+xml", body: LOGO }),
  );
  try {
    await openRefusals(scenario, page, visit);
    await openLife(scenario, page, visit);
    await openTroubles(scenario, page, visit);
    await openMail(sink, page, visit);
  } finally {
    await context.close();
    await scenario.close();
    await sink.close();
  }
}

async function openRefusals({ publicUrl }: Scenario, page: Page, visit: Visit): Promise<void> {
  for (const error of Object.keys(TEXTS.errors)) {
    await page.goto(`${publicUrl}/refused/${error}`);
    await visit(`refused-${error}`, page);
  }
}

/** One person's, from the first page to the last. */
async function openLife(scenario: Scenario, page: Page, visit: Visit): Promise<void> {
  const { publicUrl, emulator } = scenario;
  const press = (name: string) => page.getByRole("button", { name }).click();
  emulator.createAccount({ email: ADA });
  await page.goto(publicUrl);
  await visit("landing", page);
  await page.goto(`${publicUrl}/start?${new URLSearchParams({ return_to: APPLICATION })}`);
  await visit("handover", page);
  await page.goto(publicUrl);
  await page.getByRole("link", { name: TEXTS.landing.connect }).click();
  await allow(page);
  await shows(page, TEXTS.connected.title);
  await visit("connected", page);

  await endGrant(scenario, ADA, 3);
  await page.goto(linkOf(scenario, ADA));
  await visit("reauthorize", page);
  await press(TEXTS.reauthorize.button);
  await page.getByRole("button", { name: "Deny" }).click();
  await page.getByRole("alert").waitFor();
  await visit("reauthorize-declined", page);
  await page.goto(publicUrl);
  await visit("reauthorize-signed-in", page);
  await press(TEXTS.reauthorize.button);
  await allow(page);
  await shows(page, TEXTS.connected.title);
  await visit("connected-recovered", page);
  await page.getByRole("link", { name: TEXTS.erase.link }).click();
  await shows(page, TEXTS.erase.title);
  await visit("erase", page);

  await endGrant(scenario, ADA);
  await page.goto(linkOf(scenario, ADA));
  await press(TEXTS.reauthorize.button);
  emulator.faults.failNext({ method: "history.list", status: 503, count: "all" });
  await allow(page);
  await says(page, TEXTS.connected.more);
  await visit("connected-unfinished", page);
  emulator.faults.clear();
  await press(TEXTS.connected.disconnect);
  await shows(page, TEXTS.disconnected.title);
  await visit("disconnected", page);

  emulator.faults.failNext({ method: "users.watch", status: 503, count: "all" });
  await page.getByRole("link", { name: TEXTS.disconnected.again }).click();
  await allow(page);
  await says(page, TEXTS.connected.unwatched);
  await visit("connected-unwatched", page);
  emulator.faults.clear();

  await page.getByRole("link", { name: TEXTS.erase.link }).click();
  emulator.faults.failNext({ method: "revoke", status: 503, count: "all" });
  await press(TEXTS.erase.button);
  await shows(page, TEXTS.erase.underWay.title);
  await visit("erase-under-way", page);
  emulator.faults.clear();
}

/** What some people meet: another reason, the longest address, a mailbox that is not there. */
async function openTroubles(scenario: Scenario, page: Page, visit: Visit): Promise<void> {
  const { emulator, clock } = scenario;
  await scenario.connect(LONGEST);
  emulator.expireAccessTokens(LONGEST);
  const body = { error: "admin_policy_enforced" };
  emulator.faults.failNext({ method: "token.refresh", count: "all", status: 400, body });
  emulator.deliver(LONGEST);
  await scenario.settled();
  emulator.faults.clear();
  await page.goto(`${linkOf(scenario, LONGEST)}?refused=wrong_account`);
  await visit("reauthorize-longest", page);

  const withoutMail = "no-mail@example.com";
  await scenario.connect(withoutMail);
  emulator.setMailService(withoutMail, "off");
  clock.advance(DAY_MS);
  await scenario.runSchedule("watchRenewal");
  await page.goto(linkOf(scenario, withoutMail));
  await shows(page, TEXTS.unavailable.title);
  await visit("unavailable", page);
  await scenario.runSchedule("mailboxReconciliation");
}

async function openMail({ mails }: MailSink, page: Page, visit: Visit): Promise<void> {
  await page.goto("about:blank");
  await page.setContent(mails.at(-1)?.mail.html ?? "");
  await visit("mail", page);
}

async function endGrant(scenario: Scenario, email: string, changes = 1): Promise<void> {
  scenario.emulator.changePassword(email);
  for (let change = 0; change < changes; change += 1) scenario.emulator.deliver(email);
  await scenario.settled();
}
