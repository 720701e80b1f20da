import { describe, expect, it } from "vitest";
import { completeness } from "../../functions/src/domain/completeness.ts";
import type { User } from "../../functions/src/domain/user.ts";
import { userOf } from "../support/users.ts";

const NOW = new Date("2026-11-20T12:00:00.000Z");
const ago = (ms: number) => new Date(NOW.getTime() - ms);

function sync(own: Partial<User["sync"]>): User {
  return userOf({ sync: { retries: 0, recent: [], dueReason: "quiet", ...own } });
}

describe("completeness", () => {
  it("consists of the cursor, the last complete listing, and what a poll found", () => {
    const unannounced = { at: ago(3_600_000), changes: 2 };
    expect(completeness(sync({ syncedAt: ago(12_000), unannounced }), NOW)).toEqual({
      historyId: "1000",
      completeAt: ago(12_000),
      lagMs: 12_000,
      unannounced,
    });
  });

  it("does not claim that an unread mailbox was read", () => {
    const user = userOf({ grant: { generation: 1, scopes: [], grantedAt: ago(5_000) } });
    expect(completeness(user, NOW)).toEqual({ historyId: "1000", lagMs: 5_000 });
  });

  it.each(["lag", "throttled", "unfinished"] as const)("says when it is due because: %s", (why) => {
    expect(completeness(sync({ dueReason: why }), NOW).pending).toBe(why);
  });

  it("says that a gap is being recovered, for any due reason", () => {
    const { historyId } = userOf();
    const recovery = {
      fromHistoryId: historyId,
      toHistoryId: historyId,
      reason: "history_expired",
      since: NOW,
      listing: 0,
      pages: [],
      isWalked: false,
    } as const;
    expect(completeness(sync({ dueReason: "unfinished", recovery }), NOW).pending).toBe("recovery");
  });

  it.each(["reauthorization_required", "mailbox_unavailable", "disconnected"] as const)(
    "says that nothing is done for a user who is %s",
    (status) => {
      expect(completeness(userOf({ status }), NOW).pending).toBe(status);
    },
  );

  it("is never negative, even if another clock is ahead", () => {
    expect(completeness(sync({ syncedAt: ago(-5_000) }), NOW).lagMs).toBe(0);
  });
});
