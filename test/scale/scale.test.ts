import { describe, expect, it } from "vitest";
import { dueLists } from "./due-lists.ts";
import { UNITS_PER_MINUTE } from "./google.ts";
import { outage } from "./outage.ts";
import { renewalDay } from "./renewal-day.ts";
import { revocation } from "./revocation.ts";

const USERS = 250;
const FLEET = { users: USERS, store: "memory" } as const;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** `npm run scale` does the same for 100,000. */
describe("a fleet", () => {
  it.each(["stub", "memory"] as const)(
    "is read from one list, a hundred at a time, and written once each (%s)",
    async (store) => {
      const [none, few, all, slow] = await dueLists({ users: USERS, store });

      expect(none).toMatchObject({ served: 0, requests: 3, reads: 3, writes: 0 });
      expect(few).toMatchObject({ served: 100, reads: 103, writes: 100 });
      expect(all).toMatchObject({ served: USERS, reads: USERS + 2, writes: USERS });
      expect(slow).toMatchObject({ served: USERS, writes: USERS });
    },
    60_000,
  );

  it("whose watches are all due is renewed within the quota, and spread after it", async () => {
    const day = await renewalDay(FLEET);

    expect(day.allAfterMs).toBeLessThan(15 * MINUTE_MS);
    expect(day.unitsPerMinuteMax).toBeLessThan(UNITS_PER_MINUTE / 2);
    expect(day.watches).toBeGreaterThan(USERS * 1.8);
    expect(day.watches).toBeLessThanOrEqual(USERS * 2);
    expect(day).toMatchObject({ refused: 0 });
    expect(day.writesEach).toBeCloseTo(1, 1);
  }, 60_000);

  it("that was incomplete for six hours is complete once each mailbox had its turn", async () => {
    const after = await outage(FLEET);

    expect(after.completeAfterMs).toBeLessThan(46 * MINUTE_MS);
    expect(after).toMatchObject({ caughtUp: USERS, refused: 0 });
    expect(after.liveMs).toMatchObject({ unpublished: 0 });
    expect(after.writesEach).toBeLessThan(3);
  }, 60_000);

  it("loses exactly the users whose grants have ended, each with an event and a mail", async () => {
    const revoked = 50;
    const after = await revocation(FLEET, revoked);

    expect(after).toMatchObject({ wrong: 0, notices: revoked });
    expect(after.flaggedMs.count).toBe(revoked);
    expect(after.flaggedMs.max).toBeLessThan(6 * HOUR_MS);
  }, 60_000);

  it("whose grants all end at once is held until Google has accepted the client", async () => {
    const revoked = USERS;
    const after = await revocation(FLEET, revoked);

    expect(after.guardRecords).toBeGreaterThanOrEqual(2);
    expect(after.flaggedMs.count).toBe(revoked);
    expect(after.flaggedMs.max).toBeGreaterThan(HOUR_MS);
  }, 60_000);
});
