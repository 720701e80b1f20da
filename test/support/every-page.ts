import { pause } from "../../functions/src/grant/pause.ts";
import { resume } from "../../functions/src/mailbox/resume.ts";
import { createLog } from "../../functions/src/platform/log.ts";
import { EN } from "../../functions/src/texts/en.ts";
import type { Texts } from "../../functions/src/texts/texts.ts";
import { linkOf } from "./flow.ts";
import type { Scenario } from "./scenario.ts";

const ADA = "ada@example.com";
/** As long as addresses get, with nowhere to break it. */
const LONGEST = `${"a-very-long-name-without-a-break".repeat(2)}@example.com`;
const DAY_MS = 86_400_000;

/** The page of an application that people come from: it has to be among `RETURN_TO_URLS`. */
export const APPLICATION = "https://app.tidy.example/connected";

/** A person who goes from page to page, in Chromium or over plain HTTP. */
export interface Visitor {
  open(url: string): Promise<void>;
  press(button: string): Promise<void>;
  follow(link: string): Promise<void>;
  /** On Google's page: allows what is asked for, or denies it. */
  decide(decision: "Allow" | "Deny"): Promise<void>;
  /** Resolves once the page with this title is there. */
  shows(title: string): Promise<void>;
  /** Resolves once the page says this somewhere. */
  says(text: string): Promise<void>;
}

/** What is done with a page that is open: it must not be left. */
export type Visit = (name: string) => Promise<void> | void;

/** Opens every page that people see, each on its real path, in the language of the visitor. */
export async function openEveryPage(
  scenario: Scenario,
  visitor: Visitor,
  visit: Visit,
  texts: Texts = EN,
): Promise<void> {
  const { publicUrl } = scenario;
  for (const error of Object.keys(texts.errors)) {
    await visitor.open(`${publicUrl}/refused/${error}`);
    await visit(`refused-${error}`);
  }
  await visitor.open(`${publicUrl}/nowhere`);
  await visit("unknown");
  await openLife(scenario, visitor, visit, texts);
  await openTroubles(scenario, visitor, visit, texts);
}

/** One person's, from the first page to the last. */
async function openLife(
  scenario: Scenario,
  visitor: Visitor,
  visit: Visit,
  texts: Texts,
): Promise<void> {
  const { publicUrl, emulator } = scenario;
  const { open, press, follow, decide, shows, says } = visitor;
  emulator.createAccount({ email: ADA });
  await open(publicUrl);
  await visit("landing");
  await open(`${publicUrl}/start?${new URLSearchParams({ return_to: APPLICATION })}`);
  await visit("handover");
  await open(publicUrl);
  await follow(texts.landing.button);
  await decide("Allow");
  await shows(texts.connected.title);
  await visit("connected");

  const operator = await scenario.operator({ log: createLog(() => {}) }).getContext();
  await pause(await scenario.read(ADA), "operator_request", operator);
  await open(publicUrl);
  await shows(texts.paused.title);
  await visit("paused");
  await resume(await scenario.read(ADA), operator);

  await endGrant(scenario, ADA, 3);
  await open(linkOf(scenario, ADA));
  await visit("reauthorize");
  await press(texts.reauthorize.button);
  await decide("Deny");
  await says(texts.errors.declined.title);
  await visit("reauthorize-declined");
  await open(publicUrl);
  await visit("reauthorize-signed-in");
  await press(texts.reauthorize.button);
  await decide("Allow");
  await shows(texts.connected.title);
  await visit("connected-recovered");
  await follow(texts.erase.link);
  await shows(texts.erase.title);
  await visit("erase");

  await endGrant(scenario, ADA);
  await open(linkOf(scenario, ADA));
  await press(texts.reauthorize.button);
  emulator.faults.failNext({ method: "history.list", status: 503, count: "all" });
  await decide("Allow");
  await says(texts.connected.more);
  await visit("connected-unfinished");
  emulator.faults.clear();
  await press(texts.connected.disconnect);
  await shows(texts.disconnected.title);
  await visit("disconnected");

  emulator.faults.failNext({ method: "users.watch", status: 503, count: "all" });
  await follow(texts.disconnected.again);
  await decide("Allow");
  await says(texts.connected.unwatched);
  await visit("connected-unwatched");
  emulator.faults.clear();

  await follow(texts.erase.link);
  emulator.faults.failNext({ method: "revoke", status: 503, count: "all" });
  await press(texts.erase.button);
  await shows(texts.erase.underWay.title);
  await visit("erase-under-way");
  emulator.faults.clear();
}

/** What some people meet: another reason, the longest address, a mailbox that is not there. */
async function openTroubles(
  scenario: Scenario,
  visitor: Visitor,
  visit: Visit,
  texts: Texts,
): Promise<void> {
  const { emulator, clock } = scenario;
  const { open, shows } = visitor;
  await scenario.connect(LONGEST);
  emulator.expireAccessTokens(LONGEST);
  const body = { error: "admin_policy_enforced" };
  emulator.faults.failNext({ method: "token.refresh", count: "all", status: 400, body });
  emulator.deliver(LONGEST);
  await scenario.settled();
  emulator.faults.clear();
  await open(`${linkOf(scenario, LONGEST)}?refused=wrong_account`);
  await visit("reauthorize-longest");

  const withoutMail = "no-mail@example.com";
  await scenario.connect(withoutMail);
  emulator.setMailService(withoutMail, "off");
  clock.advance(DAY_MS);
  await scenario.runSchedule("watchRenewal");
  await open(linkOf(scenario, withoutMail));
  await shows(texts.unavailable.title);
  await visit("unavailable");
}

async function endGrant(scenario: Scenario, email: string, changes = 1): Promise<void> {
  scenario.emulator.changePassword(email);
  for (let change = 0; change < changes; change += 1) scenario.emulator.deliver(email);
  await scenario.settled();
}
