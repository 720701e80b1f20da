import { describe, expect, it } from "vitest";
import type { HistoryId } from "../../functions/src/domain/history-id.ts";
import type { Recovery } from "../../functions/src/domain/user.ts";
import {
  afterLastPage,
  afterLate,
  afterPublishedPage,
  afterRecovery,
  afterRefusedToken,
  afterWalkedPage,
  phaseOf,
} from "../../functions/src/mailbox/recovery-plan.ts";
import { userOf } from "../support/users.ts";

const begun: Recovery = {
  fromHistoryId: "100" as HistoryId,
  toHistoryId: "200" as HistoryId,
  reason: "history_expired",
  since: new Date("2026-03-01T12:00:00Z"),
  pinnedAt: new Date("2026-03-02T12:00:00Z"),
  listing: 0,
  pages: [],
  isWalked: false,
};
const gapTold: Recovery = { ...begun, newest: [] };
const messages = (...ids: string[]) => ids.map((id) => ({ id, threadId: "t", labelIds: [] }));
const young = { told: -1, isOld: false, token: undefined };

describe("the phases of a recovery", () => {
  it("publish the gap, walk over the pages, publish them and look for late messages", () => {
    expect(phaseOf(begun)).toBe("gap");
    expect(phaseOf(gapTold)).toBe("walk");
    const page = { ...young, messages: messages("m3", "m2"), nextPageToken: "next" };
    const walked = afterWalkedPage(gapTold, page, 0);
    expect(phaseOf(walked)).toBe("walk");
    const last = { ...young, messages: messages("m1"), token: "next", nextPageToken: undefined };
    const noted = afterWalkedPage(walked, last, 0);
    expect(phaseOf(noted)).toBe("publish");
    expect(noted.pages).toEqual([
      { firstMessageId: "m3" },
      { firstMessageId: "m1", token: "next" },
    ]);
    const [, oldest] = noted.pages;
    if (oldest === undefined) throw new Error("no page was noted");
    const published = afterPublishedPage(noted, oldest, messages("m1"), new Set(["m1"]));
    expect(published).toMatchObject({ pages: [{ firstMessageId: "m3" }], toldUpTo: ["m1"] });
    expect(phaseOf(afterLastPage({ ...published, pages: [] }, 0))).toBe("late");
  });

  it("walk over each watched label before the last phase begins, which takes each label too", () => {
    const second = afterLastPage({ ...gapTold, isWalked: true }, 2);
    expect(second).toMatchObject({ listing: 1, isWalked: false });
    const late = afterLastPage({ ...second, isWalked: true }, 2);
    expect(late).toMatchObject({ listing: 0, isTold: true });
    expect(afterLate(late, 2)).toMatchObject({ listing: 1 });
    expect(afterLate({ ...late, listing: 1 }, 2)).toBeUndefined();
  });

  it("walk again when not all pages could be noted", () => {
    const again = afterLastPage({ ...gapTold, isWalked: true, unnoted: 3 }, 0);
    expect(phaseOf(again)).toBe("walk");
    expect(again).not.toHaveProperty("unnoted");
  });
});

describe("the walk", () => {
  it("ends where it meets a published message", () => {
    const page = { ...young, messages: messages("m3", "m2"), nextPageToken: "next", told: 1 };
    const walked = afterWalkedPage({ ...gapTold, toldUpTo: ["m2"] }, page, 0);
    expect(walked).toMatchObject({ isWalked: true });
  });

  it("ends after two pages of old messages, and does not publish those", () => {
    const old = { ...young, isOld: true, nextPageToken: "next" };
    const one = afterWalkedPage(gapTold, { ...old, messages: messages("m2") }, 0);
    expect(phaseOf(one)).toBe("walk");
    const two = afterWalkedPage(one, { ...old, messages: messages("m1"), token: "next" }, 0);
    expect(two).toMatchObject({ isWalked: true, pages: [] });
  });

  it("begins again without its pages when Gmail rejects a page token", () => {
    const walked = { ...gapTold, pages: [{ firstMessageId: "m3" }], isWalked: true, unnoted: 1 };
    const again = afterRefusedToken({ ...walked, toldUpTo: ["m1"] });
    expect(again).toMatchObject({ pages: [], isWalked: false, toldUpTo: ["m1"] });
  });
});

describe("the end of a recovery", () => {
  const at = begun.since;
  const stored = userOf({
    historyId: begun.fromHistoryId,
    sync: {
      retries: 0,
      recovery: gapTold,
      notifiedHistoryId: "999" as HistoryId,
      recent: [
        { historyId: "150" as HistoryId, at, isNotified: true },
        { historyId: "250" as HistoryId, at, isNotified: true },
      ],
    },
  });

  it("moves the cursor to the pinned head, and still waits for what was announced above it", () => {
    const { historyId, sync } = afterRecovery(stored, begun);
    expect(historyId).toBe("200");
    expect(sync?.recent).toEqual([{ historyId: "250", at, isNotified: true }]);
    expect(sync).not.toHaveProperty("recovery");
    expect(sync).not.toHaveProperty("notifiedHistoryId");
  });

  it("forgets after a rewind what was announced before the head was pinned", () => {
    const { sync } = afterRecovery(stored, { ...begun, reason: "history_rewound" });
    expect(sync?.recent).toEqual([]);
  });
});
