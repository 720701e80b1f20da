import { describe, expect, it } from "vitest";
import { userOf } from "../support/users.ts";

const DUE = new Date("2026-03-01T12:00:00Z");
const parts = {
  watch: { failures: 0, renewAt: DUE },
  sync: { retries: 0, recent: [], dueAt: DUE, dueReason: "quiet" as const, behindSince: DUE },
};

describe("a user as it is read", () => {
  it("keeps the due dates of an active user", () => {
    expect(userOf({ status: "active", ...parts })).toMatchObject(parts);
  });

  it.each(["reauthorization_required", "mailbox_unavailable", "disconnected"] as const)(
    "has no due date but the follow-up's while it is %s, even after an edit by hand",
    (status) => {
      const followUp = { failures: 0, dueAt: DUE };
      const user = userOf({ status, ...parts, followUp });
      expect(user.watch).toEqual({ failures: 0 });
      expect(user.sync).toEqual({ retries: 0, recent: [], behindSince: DUE });
      expect(user.followUp).toEqual(followUp);
    },
  );
});
