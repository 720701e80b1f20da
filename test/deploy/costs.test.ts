import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { readConfig } from "../../functions/src/config/config.ts";
import { DEFAULTS, bill, billedPerMonth, freeEnds, limits } from "../../infra/cli/costs/model.ts";
import { defaultConfig } from "../../infra/cli/stand-ins.ts";
import { requiredEnv } from "../local/environment.ts";
import { runInfra } from "../support/infra-command.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");

const costs = (...args: string[]) => runInfra("costs", args);
const NOTHING = { ...DEFAULTS, notificationsPerDay: 0, instanceStartsPerDay: 0 };

describe("npm run costs", () => {
  it("prints what infra/docs/costs.md shows", async () => {
    const { code, stdout } = await costs();
    expect(code).toBe(0);
    expect(readFileSync(path.join(ROOT, "infra/docs/costs.md"), "utf8")).toContain(
      `\`\`\`text\n${stdout}\`\`\`\n`,
    );
  });

  it("takes every assumption as an option, and prints JSON", async () => {
    const { code, stdout } = await costs(
      "--mailboxes",
      "5000",
      "--notifications-per-day",
      "60",
      "--json",
    );
    expect(code).toBe(0);
    const given = { ...DEFAULTS, notificationsPerDay: 60 };
    expect(JSON.parse(stdout)).toEqual({
      assumptions: given,
      bills: [bill(5_000, given)],
      freeEnds: freeEnds(given),
      limits: limits(given),
    });
    const { stdout: help } = await costs("--help");
    for (const name of Object.keys(DEFAULTS)) {
      expect(help).toContain(
        `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} <n>`,
      );
    }
  });

  it.each([
    ["--mailboxes", "many"],
    ["--peak", "-1"],
    ["--rechecks", "1e9"],
  ])("refuses %s %s", async (...args) => {
    const { code, stdout, stderr } = await costs(...args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("It is not a number");
  });
});

describe("the estimate", () => {
  it("assumes the default configuration of the receiver", () => {
    const { sync, renewal, reconciliation } = readConfig(requiredEnv());
    expect(defaultConfig()).toMatchObject({ sync, renewal, reconciliation });
  });

  it("agrees with a bill calculated by hand", () => {
    // 1,000 mailboxes, 10 notifications a day, all looked at again: 20 reads and 20 writes; a
    // renewal each 21.6 h (1 read, 1 write, and 1 read of the notification that follows), a look
    // each 4.5 h (1 and 1). 1,440 runs with 3 reads and 144 with 1.
    const given = { ...DEFAULTS, notificationsPerDay: 10 };
    const renewals = 24 / 21.6;
    const looks = 24 / 4.5;
    const { documentReads, documentWrites, requests, pubsubBytes } = billedPerMonth(1_000, given);
    expect(documentWrites).toBeCloseTo(30_000 * (20 + renewals + looks), 3);
    expect(documentReads).toBeCloseTo(
      30_000 * (20 + 2 * renewals + looks) + 30 * (1_440 * 3 + 144),
      3,
    );
    expect(requests).toBeCloseTo(30_000 * (10 + renewals) + 30 * 1_584, 3);
    // A notification is published and delivered; each of 1.5 changes too.
    expect(pubsubBytes).toBeCloseTo(30_000 * 1_000 * (2 * (10 + renewals) + 2 * 15), 0);
    expect(bill(1_000, given).items.documentWrites).toBeCloseTo(
      (0.18 / 1e5) * (documentWrites - 600_000),
      6,
    );
  });

  it("adds what subscribers read, and only then the limit of it", () => {
    const given = { ...DEFAULTS, readsPerDay: 10 };
    const [without, reading] = [billedPerMonth(1_000, DEFAULTS), billedPerMonth(1_000, given)];
    const calls = 30_000 * 10;
    expect(reading.documentReads - without.documentReads).toBeCloseTo(calls, 3);
    expect(reading.documentWrites).toBe(without.documentWrites);
    expect(reading.requests - without.requests).toBeCloseTo(calls, 3);
    expect(reading.cpuSeconds - without.cpuSeconds).toBeCloseTo(calls * 0.3, 3);
    const isOfReads = ({ what }: { what: string }) => what.includes("gmailApi");
    expect(limits(DEFAULTS).filter(isOfReads)).toEqual([]);
    // 480,000 units a minute, and 20 for each of 10 reads a day, three times as many in a busy one.
    const [limit] = limits(given).filter(isOfReads);
    expect(limit?.mailboxes).toBeCloseTo((480_000 * 1_440) / (20 * 10 * 3), 0);
  });

  it("adds the units of details in events, and only then the limit of them", () => {
    const given = { ...DEFAULTS, detailsPerDay: 10 };
    expect(billedPerMonth(1_000, given)).toEqual(billedPerMonth(1_000, DEFAULTS));
    const find = (all: typeof DEFAULTS, part: string) =>
      limits(all).find(({ what }) => what.includes(part))?.mailboxes;
    expect(find(DEFAULTS, "CHANGES_DETAIL")).toBeUndefined();
    expect(find(given, "CHANGES_DETAIL")).toBeCloseTo((120_000 * 1_440) / (20 * 10 * 3), 0);
    const unitsOf = (all: typeof DEFAULTS) => 80e6 / (find(all, "80 M") ?? NaN);
    expect(unitsOf(given) - unitsOf(DEFAULTS)).toBeCloseTo(200, 3);
  });

  it("costs nothing that depends on mail when there is none", () => {
    const { cpuSeconds, ...items } = bill(0, NOTHING).items;
    expect(cpuSeconds).toBe(0);
    expect(items).toMatchObject({ documentWrites: 0, pubsubBytes: 0, logBytes: 0, requests: 0 });
    expect(items.kmsKeyVersions).toBeGreaterThan(0);
  });

  it("knows the units of every call that is counted, and reaches each limit sooner with more mail", () => {
    const few = limits({ ...DEFAULTS, notificationsPerDay: 1 });
    for (const { what, mailboxes } of limits(DEFAULTS)) {
      expect(Number.isFinite(mailboxes), `${what}`).toBe(true);
      const before = few.find((end) => end.what === what)?.mailboxes ?? 0;
      expect(mailboxes, `${what}`).toBeLessThanOrEqual(before);
    }
    // 101 units a renewal alone: 80 M a day are 713,000 quiet mailboxes, less what looks take.
    const quiet = limits(NOTHING).find(({ what }) => what.includes("80 M"))?.mailboxes ?? 0;
    expect(quiet).toBeCloseTo(80e6 / ((101 * 24) / 21.6 + (2 * 24) / 4.5), 0);
  });
});
