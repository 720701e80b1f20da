import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { call } from "../gmail-api/calls.ts";
import { type Scenario, startScenario } from "../support/scenario.ts";

/**
 * Goal: `infra/operation-counts.json`, from which `npm run costs` reckons, is what the receiver
 * does. A change of what a notification costs has to write it again (`npx vitest run -u` with this
 * file), and its diff shows by how much.
 */

const FILE = "../../infra/operation-counts.json";
const EMAILS = ["ada", "bob", "cyd", "dan"].map((name) => `${name}@example.com`);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

interface Counts {
  reads: number;
  writes: number;
  published: number;
  logLines: number;
  /** Of Google's methods, by name. */
  calls: Record<string, number>;
}

let scenario: Scenario;
beforeEach(async () => {
  scenario = await startScenario({ random: () => 0.5 });
  for (const email of EMAILS) await scenario.connect(email);
});
afterEach(() => scenario.close());

/** What an act takes, as Firestore, Pub/Sub, Gmail and Cloud Logging would count it. */
async function measure(act: () => unknown): Promise<Counts> {
  const { operations } = scenario.users;
  const before = { ...operations };
  const published = scenario.topic.published.length;
  const logLines = scenario.logs.length;
  scenario.emulator.resetCalls();
  await act();
  await scenario.settled();
  const calls: Record<string, number> = {};
  for (const { method } of scenario.emulator.calls) calls[method] = (calls[method] ?? 0) + 1;
  return {
    reads: operations.reads - before.reads,
    writes: operations.writes - before.writes,
    published: scenario.topic.published.length - published,
    logLines: scenario.logs.length - logLines,
    calls,
  };
}

/** Of a run over all four, the part of one; the rest is what a run costs that finds nothing. */
function share(run: Counts, { reads, logLines }: { reads: number; logLines: number }): Counts {
  const each = (count: number) => {
    const one = count / EMAILS.length;
    if (!Number.isInteger(one)) throw new Error(`not the same for each mailbox: ${count}`);
    return one;
  };
  return {
    reads: each(run.reads - reads),
    writes: each(run.writes),
    published: each(run.published),
    logLines: each(run.logLines - logLines),
    calls: Object.fromEntries(Object.entries(run.calls).map(([name, n]) => [name, each(n)])),
  };
}

const reconcile = () => scenario.runSchedule("mailboxReconciliation");
const renew = () => scenario.runSchedule("watchRenewal");

/** A list that is not empty is billed by its documents, an empty one as one read. */
const OTHER_LIST = { reads: 2, logLines: 1 };
const NO_OTHER_LIST = { reads: 0, logLines: 1 };
/** What an act adds to another that takes everything else. */
const ONLY_CALLS = { reads: 0, writes: 0, published: 0, logLines: 0 };

describe("the operation counts", () => {
  it("match infra/operation-counts.json", async () => {
    const [ada = ""] = EMAILS;
    const counts: Record<string, Counts> = {};
    counts["notification"] = await measure(() => scenario.emulator.deliver(ada));
    counts["staleNotification"] = await measure(() =>
      scenario.emulator.publishNotification({
        emailAddress: ada,
        historyId: scenario.emulator.account(ada).historyId,
      }),
    );

    scenario.emulator.settings.notificationIdAhead = "past_head";
    for (const email of EMAILS) scenario.emulator.deliver(email);
    await scenario.settled();
    scenario.emulator.settings.notificationIdAhead = "no";
    scenario.clock.advance(2 * MINUTE_MS);
    counts["recheck"] = share(await measure(reconcile), OTHER_LIST);

    counts["emptyReconciliation"] = await measure(reconcile);
    counts["emptyRenewal"] = await measure(renew);

    // Due for less than an hour: a notification does not take the look's place yet.
    scenario.clock.advance(5 * HOUR_MS);
    for (const email of EMAILS) scenario.emulator.deliver(email);
    await scenario.settled();
    scenario.clock.advance(HOUR_MS / 4);
    counts["postponedLook"] = share(await measure(reconcile), OTHER_LIST);

    // The token that a look needs is there: what it costs to refresh one is counted by itself.
    scenario.emulator.settings.accessTokenSeconds = 24 * 3_600;
    scenario.clock.advance(HOUR_MS);
    const plain = await measure(() => scenario.emulator.deliver(ada));
    expect(plain.calls).toEqual({ "token.refresh": 1, "history.list": 1 });
    const { "token.refresh": refreshes = 0, ...calls } = plain.calls;
    expect({ ...plain, calls }).toEqual(counts["notification"]);
    counts["tokenRefresh"] = { ...ONLY_CALLS, calls: { "token.refresh": refreshes } };
    for (const email of EMAILS.slice(1)) scenario.emulator.deliver(email);
    await scenario.settled();
    await reconcile();

    scenario.clock.advance(7 * HOUR_MS);
    counts["quietLook"] = share(await measure(reconcile), OTHER_LIST);

    scenario.clock.advance(24 * HOUR_MS);
    scenario.emulator.loseNotifications();
    // No token is believed for longer than a day.
    await reconcile();
    counts["renewal"] = share(await measure(renew), NO_OTHER_LIST);

    // The token of the sync before is still valid.
    const { messageId } = scenario.emulator.deliver(ada);
    await scenario.settled();
    const message = `/gmail/v1/users/${scenario.stored(ada).id}/messages/${messageId}`;
    counts["messageRead"] = await measure(() => call(scenario, message));

    await scenario.close();
    scenario = await startScenario({ env: { CHANGES_DETAIL: "headers" } });
    await scenario.connect(ada);
    const detailed = await measure(() => scenario.emulator.deliver(ada));
    const { "messages.get": details = 0, ...others } = detailed.calls;
    expect({ ...detailed, calls: others }).toEqual(counts["notification"]);
    counts["messageDetail"] = { ...ONLY_CALLS, calls: { "messages.get": details } };

    await expect(`${JSON.stringify(counts, undefined, 2)}\n`).toMatchFileSnapshot(FILE);
  });
});
