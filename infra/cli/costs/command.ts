import { type Command, InvalidArgumentError } from "commander";
import { type Session, printResult } from "../session.ts";
import { type Assumptions, DEFAULTS, bill, freeEnds, limits } from "./model.ts";
import { report } from "./report.ts";

const FLEETS = [100, 10_000, 1_000_000];

const HELP = `
infra/operation-counts.json says what each notification, look and renewal takes; a test counts it
again. infra/cli/costs/prices.ts has the prices, and infra/docs/costs.md says what is left out.`;

const OPTIONS: Readonly<Record<keyof Assumptions, string>> = {
  notificationsPerDay: "notifications per mailbox and day",
  changesPerNotification: "changes that one notification leads to",
  rechecks: "part of the notifications that is looked at again a minute later, 0 to 1",
  readsPerDay: "messages that subscribers read through gmailApi, per mailbox and day",
  detailsPerDay: "messages whose details events carry (CHANGES_DETAIL), per mailbox and day",
  functionMs: "milliseconds that a notification or such a read takes",
  subscribers: "subscriptions of the changes",
  changeBytes: "bytes of a change as a message",
  logBytes: "bytes logged for a request, Cloud Run's own line among them",
  documentBytes: "bytes of a user document",
  instanceStartsPerDay: "instances started in a day",
  peak: "the busiest minutes of a day against its mean",
};

/** `gmail-push costs`: what a fleet costs a month, from counted operations and list prices. */
export function defineCosts(costs: Command, session: Session): void {
  costs
    .option("--mailboxes <count>", "one fleet in place of three", number)
    .addHelpText("after", HELP);
  for (const [name, description] of Object.entries(OPTIONS)) {
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    costs.option(`--${flag} <n>`, description, number, DEFAULTS[name as keyof Assumptions]);
  }
  costs.action(({ mailboxes, ...given }: Assumptions & { mailboxes?: number }) => {
    const fleets = mailboxes === undefined ? FLEETS : [mailboxes];
    const bills = fleets.map((fleet) => bill(fleet, given));
    const all = { assumptions: given, bills, freeEnds: freeEnds(given), limits: limits(given) };
    return printResult(session, all, [report(fleets, given)]);
  });
}

function number(text: string): number {
  const value = /^\d{1,12}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 0) return value;
  throw new InvalidArgumentError("It is not a number of 0 or more.");
}
