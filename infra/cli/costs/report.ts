import { type Assumptions, type Item, bill, freeEnds, limits } from "./model.ts";
import { PRICES } from "./prices.ts";

/** The items of a bill under the names that people know. */
const LINES: readonly [name: string, items: readonly Item[]][] = [
  ["functions: CPU", ["cpuSeconds"]],
  ["functions: memory", ["memoryGibSeconds"]],
  ["functions: requests", ["requests"]],
  ["Firestore: reads", ["documentReads"]],
  ["Firestore: writes", ["documentWrites"]],
  ["Firestore: storage", ["storedGib"]],
  ["Firestore: point-in-time recovery", ["recoverableGib"]],
  ["Pub/Sub: throughput", ["pubsubBytes"]],
  ["Pub/Sub: kept for replay", ["retainedGib"]],
  ["Cloud Logging", ["logBytes"]],
  ["secrets", ["secretVersions", "secretAccesses"]],
  ["Cloud KMS", ["kmsKeyVersions", "kmsOperations"]],
  ["Cloud Scheduler", ["schedules"]],
  ["alerts, with Terraform", ["alertConditions"]],
];

const NAME_WIDTH = 40;
const VALUE_WIDTH = 14;

/** Returns the report as text: the monthly cost of each fleet, the free quotas and the limits. */
export function report(fleets: readonly number[], given: Assumptions): string {
  const bills = fleets.map((mailboxes) => bill(mailboxes, given));
  const assumed = Object.entries(given).map(([name, value]) => `${name} ${value}`);
  const perMailbox = bills.map(({ total, mailboxes }) => total / mailboxes);
  return [
    `Assumed: ${assumed.join(", ")}`,
    "",
    row("US dollars a month, mailboxes:", fleets.map(whole)),
    ...LINES.map(([name, items]) =>
      row(
        `  ${name}${items.every((item) => PRICES[item].isVerified) ? "" : " *"}`,
        bills.map((one) => dollars(items.reduce((sum, item) => sum + one.items[item], 0))),
      ),
    ),
    row(
      "  total",
      bills.map(({ total }) => dollars(total)),
    ),
    row(
      "  per mailbox",
      perMailbox.map((usd) => usd.toFixed(5)),
    ),
    "",
    row("Free until, mailboxes:", []),
    ...freeEnds(given).map(({ what, mailboxes }) => row(`  ${what}`, [rounded(mailboxes)])),
    "",
    row("Limit reached at, mailboxes:", []),
    ...limits(given).map(({ what, mailboxes }) => row(`  ${what}`, [rounded(mailboxes)])),
    "",
    "* at a price from memory, not looked up",
  ].join("\n");
}

function row(name: string, values: readonly string[]): string {
  const cells = values.map((value) => value.padStart(VALUE_WIDTH));
  return `${name.padEnd(NAME_WIDTH)}${cells.join("")}`.trimEnd();
}

const whole = (value: number) => value.toLocaleString("en-US", { maximumFractionDigits: 0 });
const dollars = (usd: number) =>
  usd.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
/** Rounds to two digits: the assumptions are no more precise. */
const rounded = (value: number) => whole(Number(value.toPrecision(2)));
